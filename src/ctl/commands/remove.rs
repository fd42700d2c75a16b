//! `remove GROUP...`

use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::{Fact, GroupAct};
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    for group in rest.split_whitespace() {
        let fault = match shell.call("removeProcessGroup", &[group.into()]) {
            Ok(_) => {
                shell.screen.show(&Fact::Group { group: group.to_owned(), act: GroupAct::Removed });
                continue;
            }
            Err(CallError::Fault(fault)) => fault,
            Err(error) => return Err(error.into()),
        };
        shell.set_exit(ExitCode::Generic);
        match fault.code {
            code if code == FaultCode::StillRunning as i64 => {
                shell.problem(format!("ERROR: process/group still running: {group}"), Some(group));
            }
            code if code == FaultCode::BadName as i64 => {
                shell.problem(format!("ERROR: no such process/group: {group}"), Some(group));
                shell.suggest(&format!("{group}:"));
            }
            _ => return Err(CallError::Fault(fault).into()),
        }
    }
    Ok(Flow::Continue)
}
