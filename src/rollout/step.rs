//! One process of an operation, and how far it is.

use serde::{Deserialize, Serialize};

use crate::engine::{Moment, ProcessId};

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Waiting,
    Stopping,
    Starting,
    /// It runs and is to become ready.
    Readying,
    /// It was told to replace its workers.
    Reloading,
    /// A successor starts beside it, or has taken over and it ends.
    Overlapping,
    /// Its stats are to say that it accepts requests.
    Accepting,
    /// Another one serves in its place, and it is to leave.
    Retiring,
    /// It was of no use and is stopped, as another one serves.
    Withdrawing,
    Done,
    Failed,
    /// It was not meant, for the reason that is said.
    LeftAlone,
    /// The operation ended before its turn came.
    NotReached,
}

impl Phase {
    /// As people and programs read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Stopping => "stopping",
            Phase::Starting => "starting",
            Phase::Readying => "not ready yet",
            Phase::Reloading => "reloading",
            Phase::Overlapping => "overlapping",
            Phase::Accepting => "not accepting yet",
            Phase::Retiring => "leaving",
            Phase::Withdrawing => "being stopped",
            Phase::Done => "done",
            Phase::Failed => "failed",
            Phase::LeftAlone => "left alone",
            Phase::NotReached => "not reached",
        }
    }

    /// Whether something is being done to the process.
    #[must_use]
    pub fn is_active(self) -> bool {
        match self {
            Phase::Stopping
            | Phase::Starting
            | Phase::Readying
            | Phase::Reloading
            | Phase::Overlapping
            | Phase::Accepting
            | Phase::Retiring
            | Phase::Withdrawing => true,
            Phase::Waiting | Phase::Done | Phase::Failed | Phase::LeftAlone | Phase::NotReached => false,
        }
    }

    /// Whether nothing is done any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        !self.is_active() && self != Phase::Waiting
    }
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub process: ProcessId,
    /// `group:name`, or one of them where both are equal.
    pub name: String,
    pub phase: Phase,
    /// Why it failed or is left alone; of one that is done, what else is worth knowing.
    pub note: String,
    /// When something was first done to it.
    pub began: Option<Moment>,
    /// When it was over.
    pub ended: Option<Moment>,
}

impl Step {
    /// One whose turn comes.
    #[must_use]
    pub fn new(process: ProcessId, name: String) -> Step {
        Step { process, name, phase: Phase::Waiting, note: String::new(), began: None, ended: None }
    }

    /// One that nothing is done to.
    #[must_use]
    pub fn left_alone(process: ProcessId, name: String, why: &str) -> Step {
        Step { phase: Phase::LeftAlone, note: why.to_owned(), ..Step::new(process, name) }
    }

    pub(super) fn enter(&mut self, now: Moment, phase: Phase) {
        self.phase = phase;
        if phase.is_active() {
            self.began.get_or_insert(now);
        } else if phase.is_over() {
            self.ended = Some(now);
        }
    }

    pub(super) fn fail(&mut self, now: Moment, why: &str) {
        why.clone_into(&mut self.note);
        self.enter(now, Phase::Failed);
    }

    /// Whether it was meant to answer all the time since then.
    pub(super) fn was_in_service(&self, since: Moment) -> bool {
        match self.phase {
            Phase::Done => self.ended.is_none_or(|ended| ended <= since),
            // Whoever reloads or is overlapped keeps its socket, and is meant to answer.
            Phase::Waiting | Phase::Reloading | Phase::Overlapping | Phase::LeftAlone | Phase::NotReached => true,
            Phase::Stopping
            | Phase::Starting
            | Phase::Readying
            | Phase::Accepting
            | Phase::Retiring
            | Phase::Withdrawing
            | Phase::Failed => false,
        }
    }
}
