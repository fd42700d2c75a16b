//! `fg PROCESS`

use crate::ctl::answer::{ProcessInfo, RUNNING};
use crate::ctl::daemon::{CallError, fault_text};
use crate::ctl::exit::ExitCode;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::stream;
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let name = match words.as_slice() {
        [] => {
            shell.usage("ERROR: no process name supplied", "fg", ExitCode::Generic);
            return Ok(Flow::Continue);
        }
        [name] => match shell.one_name(name)? {
            Some(name) => name,
            None => return Ok(Flow::Continue),
        },
        _ => return refuse(shell, "ERROR: too many process names supplied"),
    };
    let info = match shell.call("getProcessInfo", &[name.as_str().into()]) {
        Ok(value) => ProcessInfo::read(&value)?,
        Err(CallError::Fault(fault)) if fault.code == FaultCode::BadName as i64 => {
            let flow = refuse(shell, "ERROR: bad process name supplied");
            shell.suggest(&name);
            return flow;
        }
        Err(CallError::Fault(fault)) => {
            shell.problem(format!("ERROR: {}", fault_text(&fault)), Some(&name));
            return Ok(Flow::Continue);
        }
        Err(error) => return Err(error.into()),
    };
    if info.state != RUNNING {
        return refuse(shell, "ERROR: process not running");
    }
    stream::foreground(shell, &name)?;
    Ok(Flow::Continue)
}

#[expect(clippy::unnecessary_wraps, reason = "the end of a command, in its signature")]
fn refuse(shell: &mut Shell, text: &str) -> Result<Flow, Trouble> {
    shell.problem(text, None);
    shell.set_exit(ExitCode::Generic);
    Ok(Flow::Continue)
}
