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
    let mut selection = shell.selection(rest, &[]);
    let signal = if selection.words.len() > 1 { Some(selection.words.remove(0)) } else { None };
    let Some(signal) = signal else {
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
    shell.perform(&deed, &selection)?;
    Ok(Flow::Continue)
}
