//! `avail`

use crate::ctl::answer::{self, ConfigInfo};
use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::shell::{Flow, Shell};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if !rest.is_empty() {
        shell.usage("Error: avail accepts no arguments", "avail", ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    match shell.call("getAllConfigInfo", &[]) {
        Ok(value) => {
            let all = answer::list(&value, ConfigInfo::read)?;
            shell.screen.show(&Fact::Available(all));
        }
        Err(CallError::Fault(fault)) if fault.code == FaultCode::ShutdownState as i64 => {
            shell.set_exit(ExitCode::Generic);
            shell.problem("ERROR: supervisor shutting down", None);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Flow::Continue)
}
