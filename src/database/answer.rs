//! What the side process answers.

use serde::Deserialize;

/// Where a job stands, as far as the database tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It runs nowhere yet.
    Waiting,
    Running,
    /// It has ended, or is to end, and its handler has work left with it.
    Finishing,
    /// A person stopped it; it goes on with the same handler.
    Paused,
}

impl Stage {
    /// `None` for a state that wants no handler.
    #[must_use]
    pub fn of(state: &str) -> Option<Stage> {
        Some(match state {
            "new" | "resubmitted" | "upload" | "waiting" | "queued" => Stage::Waiting,
            "running" => Stage::Running,
            "stop" | "stopped" | "deleting" => Stage::Finishing,
            "paused" => Stage::Paused,
            _ => return None,
        })
    }
}

/// What became of a control task that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obedience {
    /// The process has answered that it is done.
    Answered,
    /// Why nobody knows.
    Doubtful(String),
}

/// Jobs of one handler that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JobCount {
    /// A server name, or a tag as long as nobody has grabbed them.
    pub handler: Option<String>,
    pub state: String,
    /// The id of the runner plugin; `None` before one was chosen.
    pub runner: Option<String>,
    /// Whether the runner has told the number of the job where it runs.
    pub is_submitted: bool,
    pub count: u64,
    /// Seconds since the last change of the one that was not changed for longest.
    pub oldest_seconds: Option<u64>,
}

/// Workflow invocations of one handler in one state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Invocations {
    #[serde(default)]
    pub handler: Option<String>,
    pub state: String,
    pub count: u64,
}

/// A row of `worker_process`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Beat {
    pub server_name: String,
    pub hostname: Option<String>,
    pub pid: Option<i64>,
    pub age_seconds: u64,
}

/// Everything that is not at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Census {
    pub jobs: Vec<JobCount>,
    pub invocations: Vec<Invocations>,
    pub heartbeats: Vec<Beat>,
}

/// One job of a handler.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OwnedJob {
    pub id: i64,
    pub handler: String,
    pub state: String,
    pub runner: Option<String>,
    pub is_submitted: bool,
    pub tool: Option<String>,
    /// Since its last change.
    pub age_seconds: Option<u64>,
}

/// What belongs to a handler, and what was given away of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reassignment {
    /// Without their handler.
    pub jobs: Vec<Left>,
    pub invocations: Vec<Invocations>,
    /// Signs of life of the old handler; as long as there is one, nothing is changed.
    pub alive: Vec<Beat>,
    /// `None`: nothing was changed.
    pub moved: Option<Moved>,
}

/// Jobs that are alike, of the handler that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Left {
    pub state: String,
    pub runner: Option<String>,
    pub is_submitted: bool,
    pub count: u64,
}

/// What a database is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DatabaseVersion {
    /// `postgresql` or `sqlite`.
    pub dialect: String,
    /// As it says itself.
    pub version: String,
}

/// How many rows have another handler now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Moved {
    pub jobs: u64,
    pub invocations: u64,
}

#[cfg(test)]
mod tests {
    use super::super::question::JOB_STATES;
    use super::*;

    #[test]
    fn every_state_that_is_asked_for_has_its_stage() {
        for state in JOB_STATES {
            assert!(Stage::of(state).is_some(), "{state}");
        }
        assert_eq!((Stage::of("ok"), Stage::of("queued")), (None, Some(Stage::Waiting)));
    }
}
