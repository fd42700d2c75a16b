//! Requests that are not answered yet, and what each waits for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::input::{Answer, Outcome, ProcessId, Refusal, RequestId};
use super::ordered::Stage;
use super::readiness::Condition;
use super::state::ProcessState;
use super::time::Moment;

/// How often a waiting stop is mentioned in the activity log.
pub(super) const STOP_REPORT_SPACING: Duration = Duration::from_secs(2);

/// What happened to a process, for those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    Entered(ProcessState),
    /// `Effect::Spawn` was answered.
    Forked,
    NotForked,
    /// `Effect::Kill` failed; `text` says how.
    Undelivered {
        text: String,
    },
    Reaped,
}

/// What one request waits for at one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Want {
    /// A start without waiting: the fork's result.
    Forked,
    /// A start.
    Running,
    /// A signal, or a stop without waiting: whether it could be sent.
    Delivered { signal: i32 },
    /// A stop. `delivered` once the stop signal is known to have been sent; a later SIGKILL's failure is not the
    /// request's.
    Stopped { signal: i32, delivered: bool, report_at: Moment },
    /// An update's restart, until it is stopped; then it becomes `Running`.
    Restarted { signal: i32, delivered: bool, report_at: Moment },
    /// That the process is something; judged by its record, see `settle_conditions`.
    Condition { condition: Condition, until: Option<Moment> },
    /// The end of an overlap; see `overlap`.
    Succeeded,
}

impl Want {
    /// Whether this waits to hear that `signal` was sent. The keeper answers in order, so the first who does is meant.
    pub(super) fn expects(&self, sent: i32) -> bool {
        match self {
            Want::Delivered { signal } => *signal == sent,
            Want::Stopped { signal, delivered, .. } | Want::Restarted { signal, delivered, .. } => {
                *signal == sent && !delivered
            }
            Want::Forked | Want::Running | Want::Condition { .. } | Want::Succeeded => false,
        }
    }

    /// The outcome if `turn` decides it.
    pub(super) fn judge(&self, turn: &Turn) -> Option<Result<(), Refusal>> {
        match (self, turn) {
            (Want::Forked, Turn::Forked)
            | (Want::Running, Turn::Entered(ProcessState::Running))
            | (Want::Delivered { .. }, Turn::Reaped) => Some(Ok(())),
            (Want::Forked, Turn::NotForked) | (Want::Running, Turn::Entered(ProcessState::Backoff)) => {
                Some(Err(Refusal::SpawnError))
            }
            (Want::Delivered { .. }, Turn::Undelivered { text }) => Some(Err(Refusal::Failed(text.clone()))),
            (Want::Stopped { delivered, .. } | Want::Restarted { delivered, .. }, Turn::Undelivered { text }) => {
                (!*delivered).then(|| Err(Refusal::Failed(text.clone())))
            }
            (Want::Stopped { .. }, Turn::Entered(state)) => state.is_stopped().then_some(Ok(())),
            // A restart that has stopped: the engine goes on from there, see `finish_change`.
            (Want::Condition { .. } | Want::Succeeded, _)
            | (Want::Restarted { .. }, Turn::Entered(ProcessState::Stopped))
            | (Want::Forked, Turn::Entered(_) | Turn::Undelivered { .. } | Turn::Reaped)
            | (Want::Running, Turn::Forked | Turn::NotForked | Turn::Undelivered { .. } | Turn::Reaped)
            | (Want::Delivered { .. }, Turn::Entered(_) | Turn::Forked | Turn::NotForked)
            | (Want::Stopped { .. } | Want::Restarted { .. }, Turn::Forked | Turn::NotForked | Turn::Reaped) => None,
            (Want::Running | Want::Restarted { .. }, Turn::Entered(_)) => Some(Err(Refusal::AbnormalTermination)),
        }
    }
}

/// A request's interest in one process; kept with the process.
#[derive(Debug, Clone)]
pub(super) struct Wait {
    pub(super) request: RequestId,
    pub(super) want: Want,
}

/// Supervisor looks every 0.05 s which of its waits are over; those of one look count as simultaneous.
const LOOK_SPACING: Duration = Duration::from_millis(50);

/// A request whose answer is not complete.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    since: Moment,
    /// Whether completion orders the answer; a request that does not wait has it in the order of the processes.
    by_completion: bool,
    /// With (look, rank): in which look it was over (0: at once), and the process' place in the request.
    outcomes: Vec<((u128, usize), Outcome)>,
    /// Processes that still owe an outcome, with their places.
    open: BTreeMap<ProcessId, usize>,
    /// What is told when nobody is open any more; the last is next.
    stages: Vec<Stage>,
}

impl Pending {
    pub(super) fn new(since: Moment, by_completion: bool) -> Pending {
        Pending { since, by_completion, outcomes: Vec::new(), open: BTreeMap::new(), stages: Vec::new() }
    }

    /// With these stages, the last of which comes first.
    pub(super) fn in_stages(mut self, stages: Vec<Stage>) -> Pending {
        self.stages = stages;
        self
    }

    pub(super) fn next_stage(&mut self) -> Option<Stage> {
        self.stages.pop()
    }

    pub(super) fn has_stages(&self) -> bool {
        !self.stages.is_empty()
    }

    pub(super) fn decided_at_once(&mut self, rank: usize, outcome: Outcome) {
        self.outcomes.push(((0, rank), outcome));
    }

    pub(super) fn wait_for(&mut self, rank: usize, process: ProcessId) {
        self.open.insert(process, rank);
    }

    /// Another one has the place of somebody who is waited for.
    pub(super) fn waits_for(&mut self, former: ProcessId, other: ProcessId) {
        if let Some(rank) = self.open.remove(&former) {
            self.open.insert(other, rank);
        }
    }

    /// One who was waited for is decided.
    pub(super) fn concluded(&mut self, now: Moment, outcome: Outcome) {
        if let Some(rank) = self.open.remove(&outcome.process) {
            self.decided(now, rank, outcome);
        }
    }

    pub(super) fn decided(&mut self, now: Moment, rank: usize, outcome: Outcome) {
        let look =
            if self.by_completion { 1 + now.since(self.since).as_millis() / LOOK_SPACING.as_millis() } else { 0 };
        self.outcomes.push(((look, rank), outcome));
    }

    pub(super) fn is_complete(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn open(&self) -> impl Iterator<Item = ProcessId> {
        self.open.keys().copied()
    }

    /// Immediate results first, then in order of completion.
    pub(super) fn into_answer(mut self) -> Answer {
        self.outcomes.sort_by_key(|(place, _)| *place);
        Answer::Processes(self.outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }
}
