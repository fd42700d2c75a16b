//! `restart NAME...|all`: all that `stop` does for these names, then all that `start` does.

use super::{start, stop};
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    if rest.split_whitespace().next().is_none() {
        shell.usage("Error: restart requires a process name", "restart", ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    stop::run(shell, rest)?;
    start::run(shell, rest)
}
