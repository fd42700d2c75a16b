//! What others may know of groups and processes.

use std::time::Duration;

use super::group::Group;
use super::input::{Pid, ProcessId};
use super::policy::Policy;
use super::process::Process;
use super::readiness::Readiness;
use super::record::{LastExit, StopCause, Then};
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
    /// Automatic starts in a row up to the last one, without a run that lasted in between.
    pub restarts_in_a_row: u32,
    /// How the last child ended.
    pub last_exit: Option<LastExit>,
    /// The child was reaped and what is left of its tree is being ended; `pid` is nobody's then.
    pub sweeping: bool,
    /// What the engine waits for next here (RUNNING, retry, SIGKILL by state), and until when.
    pub deadline: Option<Moment>,
    /// How ready its child is; `None` without one, and where nobody asks.
    pub readiness: Option<Readiness>,
    /// Since when its start waits for what it needs.
    pub held: Option<Now>,
    /// A stop was asked for and waits for those that need it.
    pub is_parting: bool,
    /// What an update has in store for it once it is stopped.
    pub then: Option<Then>,
    /// Its part in an overlap where it is not the member of its name: `successor`, `failed successor`, `retired`.
    pub role: Option<&'static str>,
    pub policy: &'a Policy,
    /// What its present child is stopped and judged by: the former policy while an update waits for its end.
    pub rules: &'a Policy,
}

/// One group as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupView<'a> {
    pub name: &'a str,
    pub priority: i64,
    /// In creation order.
    pub members: &'a [ProcessId],
    /// Successors and predecessors of members, which have their names and are no members.
    pub beside: &'a [ProcessId],
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
        GroupView { name: &group.name, priority: group.priority, members: &group.members, beside: &group.beside }
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
            restarts_in_a_row: if record.automatic { record.in_a_row } else { 0 },
            last_exit: record.last_exit,
            sweeping: record.sweeping.is_some(),
            deadline,
            readiness: record.readiness,
            held: record.held.map(|held| held.since),
            is_parting: process.is_parting(),
            then: record.change.as_ref().map(|change| change.then),
            role: record.beside.as_ref().map(|beside| beside.role.word()),
            policy: &process.policy,
            rules: process.rules(),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uptimes_read_as_pythons_timedelta() {
        for (seconds, text) in [
            (0, "0:00:00"),
            (59, "0:00:59"),
            (60, "0:01:00"),
            (3599, "0:59:59"),
            (3600, "1:00:00"),
            (59_537, "16:32:17"),
            (86_399, "23:59:59"),
            (86_400, "1 day, 0:00:00"),
            (172_799, "1 day, 23:59:59"),
            (172_800, "2 days, 0:00:00"),
            (86_400 * 1000 + 36_061, "1000 days, 10:01:01"),
        ] {
            assert_eq!(uptime_text(Duration::from_secs(seconds)), text);
        }
        assert_eq!(uptime_text(Duration::from_millis(1999)), "0:00:01");
    }

    /// Reads an uptime back to seconds.
    fn seconds(text: &str) -> Option<u64> {
        let (days, clock) = match text.split_once(", ") {
            Some((days, clock)) => (days.strip_suffix(" days").or(days.strip_suffix(" day"))?.parse().ok()?, clock),
            None => (0_u64, text),
        };
        let mut parts = clock.split(':');
        let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
        let padded = minutes.len() == 2 && seconds.len() == 2 && !(hours.len() == 2 && hours.starts_with('0'));
        let (hours, minutes, seconds): (u64, u64, u64) =
            (hours.parse().ok()?, minutes.parse().ok()?, seconds.parse().ok()?);
        let plausible = padded && parts.next().is_none() && hours < 24 && minutes < 60 && seconds < 60;
        plausible.then_some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    }

    proptest! {
        #[test]
        fn an_uptime_loses_nothing_but_the_fraction(secs in 0..4_000_000_000_u64, nanos in 0..1_000_000_000_u32) {
            prop_assert_eq!(seconds(&uptime_text(Duration::new(secs, nanos))), Some(secs));
        }

        #[test]
        fn one_day_is_singular_and_no_day_is_not_mentioned(secs in 0..864_000_u64) {
            let text = uptime_text(Duration::from_secs(secs));
            prop_assert_eq!(text.contains(" day, "), secs / 86_400 == 1);
            prop_assert_eq!(text.contains(" days, "), secs / 86_400 > 1);
        }

        #[test]
        fn a_namespec_names_the_group_unless_it_is_the_same(group in "[a-c]{1,2}", name in "[a-c]{1,2}") {
            let spec = namespec(&group, &name);
            match spec.split_once(':') {
                Some(parts) => prop_assert!(group != name && parts == (group.as_str(), name.as_str())),
                None => prop_assert!(group == name && spec == name),
            }
        }
    }
}
