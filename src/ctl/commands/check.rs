//! `check [FILE]`

use std::path::PathBuf;

use crate::config::{self, Overrides, Plugins, Rendering};
use crate::ctl::exit::ExitCode;
use crate::ctl::render::{Colour, Form};
use crate::ctl::run::host;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Some(path) = file(shell, rest) else {
        shell.usage("Error: no configuration file was found; name one", "check", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let (text, code) = config::check(&path, &overrides(shell), &host(), rendering(shell));
    if code != ExitCode::Success.code() {
        shell.set_exit(ExitCode::Usage);
    }
    shell.screen.write_instead(text.as_bytes());
    Ok(Flow::Continue)
}

/// What the client's command line says about reading a configuration.
pub(super) fn overrides(shell: &Shell) -> Overrides {
    Overrides { ignore_plugins: shell.session.plugins == Plugins::Ignored, ..Overrides::default() }
}

/// The named file, or the one in use.
pub(super) fn file(shell: &Shell, rest: &str) -> Option<PathBuf> {
    if rest.is_empty() { shell.session.configuration.clone() } else { Some(rest.into()) }
}

pub(super) fn rendering(shell: &Shell) -> Rendering {
    match shell.screen.form() {
        Form::Json => Rendering::Json,
        Form::Table(Colour::On) => Rendering::Coloured,
        Form::Table(Colour::Off) | Form::Plain => Rendering::Plain,
    }
}
