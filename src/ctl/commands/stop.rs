//! `stop NAME...|all`

use crate::ctl::action::Deed;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Action;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

const STOP: Deed<'_> = Deed {
    action: Action::Stop,
    one: "stopProcess",
    group: "stopProcessGroup",
    all: "stopAllProcesses",
    extra: None,
    ignored: Some(FaultCode::NotRunning),
    no_such_group: ExitCode::Generic,
};

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    if words.is_empty() {
        shell.usage("Error: stop requires a process name", "stop", ExitCode::Generic);
    } else {
        shell.perform(&STOP, &words)?;
    }
    Ok(Flow::Continue)
}
