//! `start NAME...|all`

use crate::ctl::action::Deed;
use crate::ctl::deployment::become_daemon;
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Action;
use crate::ctl::shell::{Flow, Shell, Upcheck};
use crate::ctl::trouble::Trouble;
use crate::rpc::FaultCode;

pub(super) const START: Deed<'_> = Deed {
    action: Action::Start,
    one: "startProcess",
    group: "startProcessGroup",
    all: "startAllProcesses",
    extra: None,
    ignored: Some(FaultCode::AlreadyStarted),
    no_such_group: ExitCode::Usage,
};

pub(super) fn run(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    let foreground = rest.split_whitespace().any(|word| matches!(word, "-f" | "--foreground"));
    if let Some(path) = shell.galaxy_yml().filter(|_| foreground) {
        let error = become_daemon(&path);
        shell.problem(format!("Error: galaxyd cannot be started: {error}"), None);
        shell.set_exit(ExitCode::Generic);
        return Ok(Flow::Continue);
    }
    if shell.is_up_to_date()? { start_named(shell, &shell.names_or_all(rest)) } else { Ok(Flow::Continue) }
}

/// Starts these, whatever the configuration says by now.
pub(in crate::ctl) fn start_named(shell: &mut Shell, rest: &str) -> Result<Flow, Trouble> {
    if shell.upcheck()? == Upcheck::Down {
        return Ok(Flow::Continue);
    }
    let selection = shell.selection(rest, &[]);
    if selection.is_empty() {
        shell.usage("Error: start requires a process name", "start", ExitCode::Usage);
    } else {
        let inquiry = shell.ask_elsewhere(rest);
        shell.perform(&START, &selection)?;
        shell.follow_up_starts();
        shell.tell_elsewhere(inquiry);
    }
    Ok(Flow::Continue)
}
