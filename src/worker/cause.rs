//! What led to a state, in the same words for the same cause: no pid, no run time.

use crate::engine::{Event, Exit, Pid, ProcessState, ProcessView, StopCause};

/// Texts of `spawnerr` that are about an exit and say less than we know.
const ABOUT_EXITS: [&str; 2] = ["Exited too quickly", "Bad exit code"];

/// Signals that a program brings upon itself; nobody has sent them.
const OWN_FAULTS: [i32; 8] = [
    libc::SIGSEGV,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGPIPE,
];

/// Why the present attempt did not become the program, if that is why it failed.
pub(super) fn of_no_start<'a>(view: &ProcessView<'a>) -> Option<&'a str> {
    let unspawned = || {
        let is_other = !view.spawnerr.is_empty() && !ABOUT_EXITS.iter().any(|about| view.spawnerr.starts_with(about));
        is_other.then_some(view.spawnerr)
    };
    view.exec_error.or_else(unspawned)
}

/// A change of state as the history tells it; `None` for STARTING and STOPPING: what led to them and what comes of them
/// is told. `last_signal` gives the last signal that we sent to a child, if any.
pub(super) fn of_change(
    event: &Event,
    view: &ProcessView<'_>,
    last_signal: impl Fn(Pid) -> Option<i32>,
) -> Option<String> {
    let Event::ProcessState { from, to, expected, pid, .. } = event else { return None };
    let ended = || view.last_exit.map(|last| Ended { exit: last.exit, sent: last_signal(last.pid) });
    let cause = match to {
        ProcessState::Starting | ProcessState::Stopping => return None,
        ProcessState::Exited if *expected == Some(false) => {
            ended().map(|ended| format!("{}; not expected", ended.text()))
        }
        ProcessState::Exited => ended().map(|ended| ended.text()),
        ProcessState::Stopped => {
            let ended = ended().filter(|_| pid.is_some_and(|pid| view.last_exit.is_some_and(|last| last.pid == pid)));
            Some(stopped(*from, ended.as_ref(), view))
        }
        ProcessState::Backoff => of_no_start(view).map(str::to_owned).or_else(|| {
            let ended = ended()?;
            Some(format!("{}; ended too quickly", ended.text()))
        }),
        ProcessState::Fatal => Some(given_up(view)),
        ProcessState::Running | ProcessState::Unknown => None,
    };
    let name = to.name();
    Some(cause.map_or_else(|| name.to_owned(), |cause| format!("{name}: {cause}")))
}

/// How a child ended, and the last signal that we sent to it.
struct Ended {
    exit: Exit,
    sent: Option<i32>,
}

impl Ended {
    fn text(&self) -> String {
        match self.exit {
            Exit::Signal { number, .. } if self.sent == Some(number) => format!("{} (sent by galaxyd)", self.exit),
            Exit::Signal { number, .. } if !OWN_FAULTS.contains(&number) => {
                format!("{} (not sent by galaxyd)", self.exit)
            }
            _ => self.exit.to_string(),
        }
    }

    /// The end of a child that was to end.
    fn of_stop(&self, stopsignal: i32, stopwaitsecs: u64) -> String {
        if self.sent == Some(libc::SIGKILL) && stopsignal != libc::SIGKILL {
            return format!("{}, sent after stopwaitsecs ({stopwaitsecs} s)", self.exit);
        }
        match self.exit {
            Exit::Signal { number, .. } if number == stopsignal => self.exit.to_string(),
            _ => self.text(),
        }
    }
}

fn stopped(from: ProcessState, ended: Option<&Ended>, view: &ProcessView<'_>) -> String {
    let by = match view.stop_cause {
        Some(StopCause::Request) => " (by request)",
        Some(StopCause::Update) => " (by an update)",
        Some(StopCause::Shutdown) => " (by the daemon's end)",
        Some(StopCause::GaveUp | StopCause::Limited) | None => "",
    };
    let how = match (ended, from) {
        (_, ProcessState::Backoff) => "while it waited for its next start".to_owned(),
        (None, _) => of_no_start(view).unwrap_or("before it was started").to_owned(),
        (Some(ended), _) => ended.of_stop(view.rules.stopsignal, view.rules.stopwaitsecs.as_secs()),
    };
    format!("{how}{by}")
}

fn given_up(view: &ProcessView<'_>) -> String {
    match view.stop_cause {
        Some(StopCause::Limited) => view.spawnerr.to_owned(),
        Some(StopCause::Shutdown) => "given up, as the daemon ends".to_owned(),
        _ => "given up after too many failed starts".to_owned(),
    }
}
