//! `check [FILE]`

use std::path::PathBuf;

use crate::config::{self, Overrides};
use crate::ctl::exit::ExitCode;
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(path) = file(shell, rest) else {
        shell.usage("Error: no configuration file was found; name one", "check", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let loaded = config::load(&path, &Overrides::default(), &host());
    let text = loaded.problems.iter().map(|p| format!("{}\n", p.text())).collect::<String>();
    if loaded.problems.has_errors() {
        shell.set_exit(ExitCode::Usage);
    }
    shell.screen.write(text.as_bytes());
    Ok(Flow::Continue)
}

/// The named file, or the one in use.
pub(super) fn file(shell: &Shell, rest: &str) -> Option<PathBuf> {
    if rest.is_empty() { shell.session.configuration.clone() } else { Some(rest.into()) }
}
