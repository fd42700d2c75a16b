//! `quit`, `exit`, and the end of the input.

use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;

#[expect(clippy::unnecessary_wraps, reason = "commands share one signature")]
pub(super) fn run(shell: &mut Shell, _rest: &str) -> Result<Flow, Trouble> {
    shell.line("");
    Ok(Flow::Leave)
}
