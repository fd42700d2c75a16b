//! `add GROUP...`

use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::{Fact, GroupAct};
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    for group in rest.split_whitespace() {
        let fault = match shell.call("addProcessGroup", &[group.into()]) {
            Ok(_) => {
                shell.screen.show(&Fact::Group { group: group.to_owned(), act: GroupAct::Added });
                continue;
            }
            Err(CallError::Fault(fault)) => fault,
            Err(error) => return Err(error.into()),
        };
        match fault.code {
            code if code == FaultCode::ShutdownState as i64 => {
                shell.problem("ERROR: shutting down", Some(group));
                shell.set_exit(ExitCode::Generic);
            }
            code if code == FaultCode::AlreadyAdded as i64 => {
                shell.problem("ERROR: process group already active", Some(group));
            }
            code if code == FaultCode::BadName as i64 => {
                shell.problem(format!("ERROR: no such process/group: {group}"), Some(group));
                shell.set_exit(ExitCode::Generic);
            }
            _ => return Err(CallError::Fault(fault).into()),
        }
    }
    Ok(Flow::Continue)
}
