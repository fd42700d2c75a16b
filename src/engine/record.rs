//! What must be remembered of a process when the worker dies.
//!
//! The worker journals these before it performs effects; only the engine reads and changes what is inside.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::input::{Exit, Pid, ProcessId, RequestId};
use super::needs::Held;
use super::overlap::Beside;
use super::policy::Policy;
use super::readiness::Readiness;
use super::state::ProcessState;
use super::time::{Moment, Now};

/// One process' lifecycle. A deadline lives in the state that owns it, so leaving the state cancels the timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    Stopped,
    /// STARTING: `Effect::Spawn` was asked for and is not answered.
    Spawning,
    /// STARTING: forked, not yet up for `startsecs`.
    Starting {
        pid: Pid,
        up_at: Moment,
    },
    Running {
        pid: Pid,
    },
    Backoff {
        retry_at: Moment,
    },
    /// STOPPING: a stop came while `Effect::Spawn` was not answered; the signal goes out when it is.
    Cancelled,
    /// STOPPING: the stop signal was sent; `insisting` once SIGKILL was.
    Stopping {
        pid: Pid,
        kill_at: Moment,
        insisting: bool,
    },
    /// `restart_at` is set while an automatic restart is held back (see `Process::exited`).
    Exited {
        restart_at: Option<Moment>,
    },
    Fatal,
    /// A signal could not be delivered; `pid` until that child is reaped.
    Unknown {
        pid: Option<Pid>,
    },
}

impl State {
    /// The state as Supervisor tells it.
    pub(super) fn shown(self) -> ProcessState {
        match self {
            State::Stopped => ProcessState::Stopped,
            State::Spawning | State::Starting { .. } => ProcessState::Starting,
            State::Running { .. } => ProcessState::Running,
            State::Backoff { .. } => ProcessState::Backoff,
            State::Cancelled | State::Stopping { .. } => ProcessState::Stopping,
            State::Exited { .. } => ProcessState::Exited,
            State::Fatal => ProcessState::Fatal,
            State::Unknown { .. } => ProcessState::Unknown,
        }
    }

    /// The live child, as far as the engine knows.
    pub(super) fn pid(self) -> Option<Pid> {
        match self {
            State::Starting { pid, .. } | State::Running { pid } | State::Stopping { pid, .. } => Some(pid),
            State::Unknown { pid } => pid,
            State::Stopped
            | State::Spawning
            | State::Backoff { .. }
            | State::Cancelled
            | State::Exited { .. }
            | State::Fatal => None,
        }
    }
}

/// Who had a process stopped since its last start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// A client's stop request.
    Request,
    /// The daemon's shutdown or restart.
    Shutdown,
    /// The engine, after too many failed starts.
    GaveUp,
    /// An update, to start it anew or to remove it.
    Update,
    /// The engine, after as many automatic starts in a time as its limit allows.
    Limited,
}

/// What an update has in store for a process once it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// It is started under its new rules.
    Start,
    /// Nothing: the new rules hold from then on.
    Stay,
    /// It leaves its group.
    Leave,
    /// Its group is removed when all members are stopped.
    LeaveWithGroup,
}

/// An update's decision that waits for the process to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// The rules that the present child was started under: it is stopped by them.
    pub(super) former: Policy,
    pub(super) then: Then,
}

/// The end of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExit {
    pub pid: Pid,
    pub exit: Exit,
    pub lived: Duration,
    /// It ended before `startsecs` were over.
    pub too_quickly: bool,
}

/// A main process that is gone while its tree is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sweeping {
    pub(super) exit: Exit,
    pub(super) at: Now,
    /// When SIGKILL follows.
    pub(super) insist_at: Moment,
}

/// Everything about one process that its successor engine must know; its rules come from the `GroupSpec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct ProcessRecord {
    pub(super) process: ProcessId,
    pub(super) name: String,
    pub(super) state: State,
    /// Failed starts since the last success; shown as `tries:`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) backoff: u32,
    /// Spawns asked for, ever.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) attempt: u32,
    /// The last fork, or the last attempt at one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<Now>,
    /// When a child was last reaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stopped: Option<Now>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) spawnerr: Option<String>,
    /// Why the last child did not become the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) exec_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) exitstatus: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stop_cause: Option<StopCause>,
    /// How the last child ended, and how long it had lived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_exit: Option<LastExit>,
    /// The child was reaped, and what is left of its tree is being ended; the exit counts after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sweeping: Option<Sweeping>,
    /// It ended within a second of its start and was restarted at once; the next time waits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) restarted_at_once: bool,
    /// Automatic starts in a row, without a run that lasted in between.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) in_a_row: u32,
    /// The last automatic starts, as many as the limit allows; empty without a limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) counted: Vec<Moment>,
    /// The last start was an automatic one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) automatic: bool,
    /// Its turn among all automatic starts is the deadline of its state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) booked: bool,
    /// Starts in a row that failed for want of resources.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) starved: u32,
    /// The present child did not become the program for such a reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) exec_starved: bool,
    /// Its present child is one that the child that was spawned left behind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) in_background: bool,
    /// The daemon ends because of it, with this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ends_daemon: Option<u8>,
    /// How ready the present child is; `None` without one, and where nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) readiness: Option<Readiness>,
    /// A start that waits for what it needs; the state is `Spawning` then, and nothing was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Held>,
    /// A stop that waits until these have stopped; empty without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) stops_after: Vec<ProcessId>,
    /// The ordered stop that has not stopped it yet; a successor asks for what is left of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ordered: Option<RequestId>,
    /// It was stopped because what it needs was, and is started with that again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) follows: bool,
    /// Set while an update waits for it to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<Box<Change>>,
    /// Set while it stands beside the member of its name; see `overlap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) beside: Option<Box<Beside>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if hands in a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl ProcessRecord {
    pub(super) fn new(process: ProcessId, name: String) -> ProcessRecord {
        ProcessRecord {
            process,
            name,
            state: State::Stopped,
            backoff: 0,
            attempt: 0,
            started: None,
            stopped: None,
            spawnerr: None,
            exec_error: None,
            exitstatus: None,
            stop_cause: None,
            last_exit: None,
            sweeping: None,
            restarted_at_once: false,
            in_a_row: 0,
            counted: Vec::new(),
            automatic: false,
            booked: false,
            starved: 0,
            exec_starved: false,
            in_background: false,
            ends_daemon: None,
            readiness: None,
            held: None,
            stops_after: Vec::new(),
            ordered: None,
            follows: false,
            change: None,
            beside: None,
        }
    }

    #[must_use]
    pub fn process(&self) -> ProcessId {
        self.process
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn state(&self) -> ProcessState {
        self.state.shown()
    }

    /// The child this process has, if it is known that it was forked.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.state.pid()
    }

    /// Whether the child was reaped and what is left of its tree is being ended.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        self.sweeping.is_some()
    }

    /// Spawns asked for, ever; the last one's `Effect::Spawn` carried this number.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}
