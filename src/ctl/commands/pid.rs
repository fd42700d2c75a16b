//! `pid [NAME...|all]`

use crate::ctl::answer::ProcessInfo;
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let selection = shell.selection(rest, &[]);
    if selection.is_empty() {
        let value = shell.call("getPID", &[])?;
        let pid = value.as_int().ok_or_else(|| CallError::BadAnswer(format!("getPID answered {value:?}")))?;
        shell.screen.show(&Fact::Pid { name: "supervisord".to_owned(), pid });
    } else if selection.is_all() {
        for one in shell.known()? {
            shell.screen.show(&Fact::Pid { name: one.namespec(), pid: one.pid });
        }
    } else {
        for name in shell.chosen_singly(&selection)? {
            one(shell, &name)?;
        }
    }
    Ok(Flow::Continue)
}

fn one(shell: &mut Shell, name: &str) -> Result<(), Trouble> {
    match shell.call("getProcessInfo", &[name.into()]) {
        Ok(value) => {
            let info = ProcessInfo::read(&value)?;
            shell.screen.show(&Fact::Pid { name: info.namespec(), pid: info.pid });
            if info.pid == 0 {
                shell.set_exit(ExitCode::NotRunning);
            }
        }
        Err(CallError::Fault(fault)) if fault.code == FaultCode::BadName as i64 => {
            shell.problem(format!("No such process {name}"), Some(name));
            shell.set_exit(ExitCode::Generic);
            shell.suggest(name);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
