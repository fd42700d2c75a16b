//! `reload`

use super::shutdown::confirmed;
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::{DaemonAct, Fact};
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if !rest.is_empty() {
        shell.usage("Error: reload accepts no arguments", "reload", ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    if shell.session.interactive {
        shell.screen.hint("galaxyctl: reload stops and starts every program; update applies only what changed");
    }
    if !confirmed(shell, "Really restart the remote supervisord process y/N? ")? {
        return Ok(Flow::Continue);
    }
    match shell.call("restart", &[]) {
        Ok(_) => shell.screen.show(&Fact::Daemon(DaemonAct::Restarted)),
        Err(CallError::Fault(fault)) if fault.code == FaultCode::ShutdownState as i64 => {
            shell.set_exit(ExitCode::Generic);
            shell.problem("ERROR: already shutting down", None);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Flow::Continue)
}
