//! `pm COMMAND [WORDS]`: what Gravity hands on to its process manager, which is this one.

use super::find;
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let (name, words) = rest.split_once(' ').unwrap_or((rest, ""));
    if let Some(command) = find(name, shell.session.personality).filter(|_| name != "pm") {
        return command(shell, words.trim());
    }
    shell.usage(&format!("*** Unknown syntax: {rest}"), "pm", ExitCode::Generic);
    Ok(Flow::Continue)
}
