//! What others may know of groups and processes.

use std::time::Duration;

use super::group::Group;
use super::input::{Pid, ProcessId};
use super::policy::Policy;
use super::process::Process;
use super::record::StopCause;
use super::state::ProcessState;
use super::time::{Moment, Now};

/// One process as it stands: the facts behind `getProcessInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessView<'a> {
    pub process: ProcessId,
    pub group: &'a str,
    pub name: &'a str,
    pub state: ProcessState,
    /// The child, as far as it is known; UNKNOWN may have one.
    pub pid: Option<Pid>,
    /// Spawns asked for, ever; names the child together with `process`.
    pub attempt: u32,
    /// The last fork or attempt at one; `None`: never.
    pub started: Option<Now>,
    /// When a child was last reaped; `None`: never.
    pub stopped: Option<Now>,
    /// Empty if there was no error.
    pub spawnerr: &'a str,
    /// Why the last child did not become the program, if so.
    pub exec_error: Option<&'a str>,
    /// `None` (shown as 0) while running, after a failed start, or never run; -1 for death by signal.
    pub exitstatus: Option<i32>,
    /// Failed starts since the last success.
    pub backoff: u32,
    pub stop_cause: Option<StopCause>,
    /// What the engine waits for next here (RUNNING, retry, SIGKILL by state), and until when.
    pub deadline: Option<Moment>,
    pub policy: &'a Policy,
}

/// One group as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupView<'a> {
    pub name: &'a str,
    pub priority: i64,
    /// In creation order.
    pub members: &'a [ProcessId],
}

/// `getProcessInfo`'s description (`supervisor.md` section 18), but for the local time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Description {
    Text(String),
    /// The local time of this second since the epoch as `Mon DD HH:MM AM`.
    StoppedAt(i64),
}

impl<'a> GroupView<'a> {
    pub(super) fn new(group: &'a Group) -> GroupView<'a> {
        GroupView { name: &group.name, priority: group.priority, members: &group.members }
    }
}

impl<'a> ProcessView<'a> {
    pub(super) fn new(process: &'a Process, group: &'a str, deadline: Option<Moment>) -> ProcessView<'a> {
        let record = &process.record;
        ProcessView {
            process: record.process,
            group,
            name: &record.name,
            state: record.state.shown(),
            pid: record.state.pid(),
            attempt: record.attempt,
            started: record.started,
            stopped: record.stopped,
            spawnerr: record.spawnerr.as_deref().unwrap_or_default(),
            exec_error: record.exec_error.as_deref(),
            exitstatus: record.exitstatus,
            backoff: record.backoff,
            stop_cause: record.stop_cause,
            deadline,
            policy: &process.policy,
        }
    }

    /// `group:name`, or just `name` when both are equal.
    #[must_use]
    pub fn namespec(&self) -> String {
        namespec(self.group, self.name)
    }

    /// The description at `now`. The uptime is measured on the monotonic clock, so a step of the wall clock does not
    /// show in it. A process whose starts all failed before the fork has a start but no stop: the epoch, as in
    /// Supervisor.
    #[must_use]
    pub fn description(&self, now: Now) -> Description {
        match self.state {
            ProcessState::Running => {
                let uptime = self.started.map_or(Duration::ZERO, |started| now.mono.since(started.mono));
                Description::Text(format!("pid {}, uptime {}", self.pid.unwrap_or(0), uptime_text(uptime)))
            }
            ProcessState::Fatal | ProcessState::Backoff if self.spawnerr.is_empty() => {
                Description::Text(format!("unknown error (try \"tail {}\")", self.name))
            }
            ProcessState::Fatal | ProcessState::Backoff => Description::Text(self.spawnerr.to_owned()),
            ProcessState::Stopped | ProcessState::Exited if self.started.is_none() => {
                Description::Text("Not started".to_owned())
            }
            ProcessState::Stopped | ProcessState::Exited => {
                Description::StoppedAt(self.stopped.map_or(0, |stopped| stopped.wall))
            }
            ProcessState::Starting | ProcessState::Stopping | ProcessState::Unknown => Description::Text(String::new()),
        }
    }
}

/// `group:name`, or just `name` when both are equal.
#[must_use]
pub fn namespec(group: &str, name: &str) -> String {
    if group == name { name.to_owned() } else { format!("{group}:{name}") }
}

/// Whole seconds as `H:MM:SS`, with `1 day, ` or `N days, ` in front.
#[must_use]
pub fn uptime_text(uptime: Duration) -> String {
    let seconds = uptime.as_secs();
    let clock = format!("{}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match seconds / 86_400 {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}
