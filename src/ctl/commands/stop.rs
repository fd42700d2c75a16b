//! `stop [--ordered|--drain] NAME...|all`

use crate::ctl::action::Deed;
use crate::ctl::draining::After;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Action;
use crate::ctl::selection::Selection;
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
    if let Some(words) = shell.drain_words(rest) {
        if shell.upcheck()? == Upcheck::Up
            && let Some(others) = shell.drain_among("stop", &words, After::Nothing)?
            && !others.is_empty()
        {
            stop_named(shell, &others.join(" "))?;
        }
        return Ok(Flow::Continue);
    }
    let flow = stop_named(shell, &shell.names_or_all(rest))?;
    shell.shut_down_if_idle()?;
    Ok(flow)
}

/// Stops these; the daemon stays.
pub(super) fn stop_named(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let selection = shell.selection(rest, &["--ordered"]);
    if selection.is_empty() {
        shell.usage("Error: stop requires a process name", "stop", ExitCode::Generic);
    } else if selection.has("--ordered") {
        ordered(shell, &selection)?;
    } else {
        shell.perform(&STOP, &selection)?;
    }
    Ok(Flow::Continue)
}

/// Rank by rank: the daemon waits between priorities.
fn ordered(shell: &mut Shell, selection: &Selection<'_>) -> Result<(), Trouble> {
    let Some(names) = shell.chosen_names(selection)? else { return Ok(()) };
    // Without a colon it is a group's name here, a process' in the call.
    let names: Vec<String> =
        names.into_iter().map(|name| if name.contains(':') { name } else { format!("{name}:*") }).collect();
    let answer = shell.daemon.call("galaxyd.stopOrdered", &[names.into()]);
    shell.show_own(&STOP, answer, "ordered stop")
}
