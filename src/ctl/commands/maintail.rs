//! `maintail [-f|-N]`

use super::tail::{DEFAULT_BYTES, Extent, log_text, offset};
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::{Channel, Fact};
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::stream;
use crate::ctl::trouble::Trouble;
use crate::rpc::{FaultCode, Value};

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let extent = match words.as_slice() {
        [] => Some(Extent::Bytes(DEFAULT_BYTES)),
        [word] => word.strip_prefix('-').and_then(Extent::read),
        _ => {
            shell.usage("Error: too many arguments", "maintail", ExitCode::Generic);
            return Ok(Flow::Continue);
        }
    };
    match extent {
        None => {
            shell.problem(format!("Error: bad argument {}", words.join(" ")), None);
            shell.set_exit(ExitCode::Generic);
        }
        Some(Extent::Follow) => stream::tail(shell, "/mainlogtail")?,
        Some(Extent::Bytes(bytes)) => show(shell, bytes)?,
    }
    Ok(Flow::Continue)
}

fn show(shell: &mut Shell, bytes: i64) -> Result<(), Trouble> {
    let name = "supervisord";
    match shell.call("readLog", &[offset(bytes)?, Value::Int(0)]) {
        Ok(value) => {
            let text = log_text(&value)?;
            shell.screen.show(&Fact::Log { name: name.to_owned(), channel: Channel::Main, text });
            Ok(())
        }
        Err(CallError::Fault(fault)) => {
            shell.set_exit(ExitCode::Generic);
            let what = match fault.code {
                code if code == FaultCode::NoFile as i64 => "no log file",
                code if code == FaultCode::Failed as i64 => "unknown error reading log",
                _ => return Err(CallError::Fault(fault).into()),
            };
            shell.problem(format!("{name}: ERROR ({what})"), Some(name));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
