//! What commands have to say, before anyone decides how it looks.

use super::answer::{ConfigInfo, ListenerPool, ProcessInfo};
use super::updating::UpdatedGroup;

/// One thing a command found out or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// `status`.
    Processes(Vec<ProcessInfo>),
    /// `status`, for programs: what people are told of it is a hint.
    ListenerPools(Vec<ListenerPool>),
    /// `status` of a name that is none.
    Missing { name: String, what: Missing },
    /// `pid`; `supervisord` is the daemon itself.
    Pid { name: String, pid: i64 },
    /// start, stop, signal, clear, of one process.
    Done(Done),
    /// `reread`.
    Change { group: String, change: Change },
    /// `reread` without changes.
    NoChange,
    /// `add`, `remove`, `update`.
    Group { group: String, act: GroupAct },
    /// `update` and `apply` by process: what was done, or what would be.
    Update { groups: Vec<UpdatedGroup>, rehearsal: bool },
    /// `avail`.
    Available(Vec<ConfigInfo>),
    /// `version`.
    Version { supervisor: String, galaxyd: Option<String> },
    /// `tail`, `maintail`.
    Log { name: String, channel: Channel, text: String },
    /// `shutdown`, `reload`.
    Daemon(DaemonAct),
    /// Something went wrong; `name` is what it went wrong with.
    Problem { text: String, name: Option<String> },
    /// One of galaxyd's own answers: an element of a list in a document, lines elsewhere.
    Detail { list: &'static str, value: serde_json::Value, text: String },
    /// A line for people: help, hints, the greeting of a stream.
    Line(String),
}

/// What `status` did not find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Group,
    Process,
}

/// What was done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Signal,
    Clear,
    /// Waiting until it is this.
    Wait(&'static str),
}

impl Action {
    /// The action's command.
    #[must_use]
    pub(super) fn verb(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Signal => "signal",
            Action::Clear => "clear",
            Action::Wait(_) => "wait",
        }
    }

    /// The word that tells of its success.
    #[must_use]
    pub(super) fn participle(self) -> &'static str {
        match self {
            Action::Start => "started",
            Action::Stop => "stopped",
            Action::Signal => "signalled",
            Action::Clear => "cleared",
            Action::Wait(condition) => condition,
        }
    }
}

/// An action on a process and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub action: Action,
    /// `group:process`, or just the name.
    pub name: String,
    /// The fault's code; 80 for success.
    pub code: i64,
    pub outcome: Outcome,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    /// Refused or failed, in the client's words.
    Error(&'static str),
    /// Failed, in the daemon's words alone.
    Told(String),
}

/// A difference between the configuration files and what is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Available,
    Changed,
    Disappeared,
}

impl Change {
    /// As `reread` prints it.
    #[must_use]
    pub(super) fn word(self) -> &'static str {
        match self {
            Change::Available => "available",
            Change::Changed => "changed",
            Change::Disappeared => "disappeared",
        }
    }
}

/// What was done to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupAct {
    Stopped,
    Added,
    Removed,
    Updated,
}

/// What was done to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DaemonAct {
    ShutDown,
    Restarted,
}

/// Which log of a process, or the daemon's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Stdout,
    Stderr,
    Main,
}

impl Channel {
    /// As it is typed and shown.
    #[must_use]
    pub(super) fn word(self) -> &'static str {
        match self {
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
            Channel::Main => "main",
        }
    }
}
