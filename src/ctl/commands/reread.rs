//! `reread`

use crate::ctl::answer::Changes;
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::{Change, Fact};
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if !rest.is_empty() {
        shell.usage("Error: reread accepts no arguments", "reread", ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    match shell.call("reloadConfig", &[]) {
        Ok(value) => show(shell, Changes::read(&value)?),
        Err(CallError::Fault(fault)) if fault.code == FaultCode::ShutdownState as i64 => {
            shell.set_exit(ExitCode::Generic);
            shell.problem("ERROR: supervisor shutting down", None);
        }
        Err(CallError::Fault(fault)) if fault.code == FaultCode::CantReread as i64 => {
            shell.set_exit(ExitCode::Generic);
            shell.problem(format!("ERROR: {}", fault.text), None);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Flow::Continue)
}

fn show(shell: &mut Shell, changes: Changes) {
    let with = |names: Vec<String>, change| names.into_iter().map(move |name| (name, change));
    let mut all: Vec<(String, Change)> = with(changes.added, Change::Available)
        .chain(with(changes.changed, Change::Changed))
        .chain(with(changes.removed, Change::Disappeared))
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    if all.is_empty() {
        shell.screen.show(&Fact::NoChange);
    }
    for (group, change) in all {
        shell.screen.show(&Fact::Change { group, change });
    }
}
