//! `completions SHELL`

use clap_complete::Shell as ShellName;

use crate::cli::galaxyctl;
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let Ok(name) = <ShellName as clap::ValueEnum>::from_str(rest, false) else {
        shell.usage("Error: completions requires the name of a shell", "completions", ExitCode::Usage);
        return Ok(Flow::Continue);
    };
    let mut text = Vec::new();
    clap_complete::generate(name, &mut galaxyctl::definition(), "galaxyctl", &mut text);
    shell.screen.write_text(&text);
    Ok(Flow::Continue)
}
