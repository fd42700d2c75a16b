//! `version`

use crate::ctl::daemon::CallError;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;
use crate::ctl::render::Form;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if !rest.is_empty() {
        shell.usage("Error: version accepts no arguments", "version", ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let value = shell.call("getSupervisorVersion", &[])?;
    let supervisor = value.as_str().map(str::to_owned);
    let supervisor = supervisor.ok_or_else(|| CallError::BadAnswer(format!("a version is a {}", value.type_name())))?;
    let galaxyd = if shell.screen.form() == Form::Json { own_version(shell)? } else { None };
    shell.screen.show(&Fact::Version { supervisor, galaxyd });
    Ok(Flow::Continue)
}

/// galaxyd's own version; `None` from the original Supervisor, which does not know the question.
fn own_version(shell: &mut Shell) -> Result<Option<String>, Trouble> {
    match shell.daemon.call("galaxyd.getVersion", &[]) {
        Ok(value) => Ok(value.as_str().map(str::to_owned)),
        Err(CallError::Fault(fault)) if fault.code == FaultCode::UnknownMethod as i64 => Ok(None),
        Err(error) => Err(error.into()),
    }
}
