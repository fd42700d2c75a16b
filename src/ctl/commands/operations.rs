//! `operations`

use jiff::tz::TimeZone;

use crate::ctl::answer;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::operation::OperationInfo;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, _rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let Some(value) = shell.call_operations("galaxyd.getOperations", &[])? else { return Ok(Flow::Continue) };
    let operations = answer::list(&value, OperationInfo::read)?;
    let zone = TimeZone::system();
    for operation in &operations {
        let text = operation.line(&zone);
        shell.screen.show(&Fact::Detail { list: "operations", value: operation.json(), text });
    }
    if operations.is_empty() {
        shell.screen.hint("galaxyctl: there was no operation yet");
    }
    Ok(Flow::Continue)
}

/// The number of an operation, as typed; zero where none is.
pub(super) fn id(shell: &mut Shell, rest: &str, command: &str) -> Option<i64> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let id = match words.as_slice() {
        [] => Some(0),
        [word] => word.parse().ok().filter(|id| *id > 0),
        _ => None,
    };
    if id.is_none() {
        shell.usage(&format!("Error: {command} wants the number of an operation"), command, ExitCode::Usage);
    }
    id
}
