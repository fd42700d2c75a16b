//! `signal SIGNAL NAME...|all`

use crate::ctl::action::Deed;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Action;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let Some((signal, names)) = words.split_first().filter(|(_, names)| !names.is_empty()) else {
        let text = "Error: signal requires a signal name and a process name";
        shell.usage(text, "signal", ExitCode::Generic);
        return Ok(Flow::Continue);
    };
    let deed = Deed {
        action: Action::Signal,
        one: "signalProcess",
        group: "signalProcessGroup",
        all: "signalAllProcesses",
        extra: Some(signal),
        ignored: None,
        no_such_group: ExitCode::Generic,
    };
    shell.perform(&deed, names)?;
    Ok(Flow::Continue)
}
