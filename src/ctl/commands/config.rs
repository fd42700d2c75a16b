//! `config [FILE] --format ini|toml|json`

use super::check::file;
use crate::config::{self, Overrides};
use crate::ctl::exit::ExitCode;
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(path) = file(shell, rest) else {
        shell.usage("Error: no configuration file was found; name one", "config", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let loaded = config::load(&path, &Overrides::default(), &host());
    let Some(config) = loaded.config else {
        shell.set_exit(ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let _ = config;
    Ok(Flow::Continue)
}
