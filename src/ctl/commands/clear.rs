//! `clear NAME...|all`

use crate::ctl::answer::{self, ResultInfo};
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Action;
use crate::ctl::name;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let selection = shell.selection(rest, &[]);
    if selection.is_empty() {
        shell.usage("Error: clear requires a process name", "clear", ExitCode::Generic);
    } else if selection.is_all() {
        let value = shell.call("clearAllProcessLogs", &[])?;
        for result in answer::list(&value, ResultInfo::read)? {
            let name = name::join(&result.group, &result.name);
            shell.show_result(Action::Clear, None, name, result.status, &result.description)?;
        }
    } else {
        for name in shell.chosen_singly(&selection)? {
            one(shell, &name)?;
        }
    }
    Ok(Flow::Continue)
}

fn one(shell: &mut Shell, typed: &str) -> Result<(), Trouble> {
    let name::Name { group, process } = name::split(typed);
    // A group has no such call; Supervisor shows the process that was not named as Python's `None`.
    let name = name::join(group, process.unwrap_or("None"));
    match shell.call("clearProcessLogs", &[typed.into()]) {
        Ok(_) => shell.show_result(Action::Clear, None, name, FaultCode::Success as i64, ""),
        Err(CallError::Fault(fault)) => {
            shell.show_result(Action::Clear, None, name, fault.code, &fault.text)?;
            if fault.code == FaultCode::BadName as i64 {
                shell.suggest(typed);
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
