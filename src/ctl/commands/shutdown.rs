//! `shutdown`

use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::{DaemonAct, Fact};
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if !rest.is_empty() {
        shell.usage("Error: shutdown accepts no arguments", "shutdown", ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    if !confirmed(shell, "Really shut the remote supervisord process down y/N? ")? {
        return Ok(Flow::Continue);
    }
    let url = shell.session.serverurl.clone();
    match shell.call("shutdown", &[]) {
        Ok(_) => shell.screen.show(&Fact::Daemon(DaemonAct::ShutDown)),
        Err(CallError::Fault(fault)) if fault.code == FaultCode::ShutdownState as i64 => {
            shell.problem("ERROR: already shutting down", None);
        }
        Err(error @ (CallError::Refused | CallError::NoSuchFile)) => {
            shell.set_exit(ExitCode::Generic);
            let what = if error == CallError::Refused { "refused connection" } else { "no such file" };
            shell.problem(format!("ERROR: {url} {what} (already shut down?)"), None);
            shell.explain(&error);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Flow::Continue)
}

/// Whether to go on: asked in an interactive session, taken for granted otherwise.
pub(super) fn confirmed(shell: &mut Shell, question: &str) -> Result<bool, Trouble> {
    if !shell.session.interactive {
        return Ok(true);
    }
    Ok(shell.console.ask(question)?.to_lowercase().starts_with('y'))
}
