//! Ready, not merely running: what is known of a child's readiness, and who waits for it.
//!
//! Whom to ask is the worker's business ([`Engine::to_be_asked`]); it tells only that the child has answered as often as its
//! program wants it. Once ready, a child is ready until it ends: nobody goes on asking.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::{Engine, Slot};
use super::input::{Effect, Exit, LogLine, Mood, ProcessId, Refusal};
use super::process::{Context, Process, Step, log};
use super::record::{State, Then};
use super::request::Verdict;
use super::time::{Moment, Now};
use super::view::ProcessView;
use super::wait::{Wait, Want};

/// When a child counts as ready: `ready_timeout` and `ready_settle`, ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyRule {
    /// From the fork; afterwards it is late, though it may still become ready.
    pub timeout: Duration,
    /// How long it must live after it has answered.
    pub settle: Duration,
}

/// What is known of a child that is to become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// It has not answered yet; late after this.
    Awaited {
        until: Moment,
    },
    /// It has not answered in time and is asked on.
    Late,
    /// It has answered; ready if it lives until then.
    Settling {
        until: Moment,
    },
    Ready {
        since: Now,
    },
}

impl Readiness {
    /// When it changes by itself.
    #[must_use]
    pub fn deadline(self) -> Option<Moment> {
        match self {
            Readiness::Awaited { until } | Readiness::Settling { until } => Some(until),
            Readiness::Late | Readiness::Ready { .. } => None,
        }
    }

    /// The word for it in answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Readiness::Awaited { .. } => "waiting",
            Readiness::Late => "late",
            Readiness::Settling { .. } => "settling",
            Readiness::Ready { .. } => "ready",
        }
    }
}

/// What others can wait for at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Forked, whatever became of it; not one that failed or was stopped.
    Started,
    Running,
    /// As [`Condition::Running`] for a program that is not asked.
    Ready,
    /// Ended by itself with an expected exit code, and not started again.
    Exited,
}

impl Condition {
    /// All of them.
    pub const ALL: [Condition; 4] = [Condition::Started, Condition::Running, Condition::Ready, Condition::Exited];

    /// The word for it in the configuration and in requests.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Condition::Started => "started",
            Condition::Running => "running",
            Condition::Ready => "ready",
            Condition::Exited => "exited",
        }
    }

    /// The condition of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Condition> {
        Condition::ALL.into_iter().find(|condition| condition.word() == word)
    }
}

/// How a process stands to a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Met,
    Pending,
    /// It does not become so by itself.
    Missed,
}

impl Process {
    pub(super) fn readiness_deadline(&self) -> Option<Moment> {
        self.record.readiness.and_then(Readiness::deadline)
    }

    /// Whether the child is to be asked.
    fn is_asked(&self) -> bool {
        matches!(self.record.readiness, Some(Readiness::Awaited { .. } | Readiness::Late))
    }

    /// What a step means to the readiness of the child; whether it changed.
    pub(super) fn readier(&mut self, cx: &mut Context<'_>, step: &Step) -> bool {
        let Some((readiness, rule)) = self.record.readiness.zip(self.policy.ready) else { return false };
        let now = cx.now.mono;
        match (readiness, step) {
            (Readiness::Awaited { .. } | Readiness::Late, Step::Answered { attempt })
                if *attempt == self.record.attempt =>
            {
                if rule.settle.is_zero() {
                    self.become_ready(cx);
                } else {
                    self.record.readiness = Some(Readiness::Settling { until: now + rule.settle });
                }
            }
            (Readiness::Settling { until }, Step::Due) if now >= until => self.become_ready(cx),
            (Readiness::Awaited { until }, Step::Due) if now >= until => {
                self.record.readiness = Some(Readiness::Late);
                log(cx, LogLine::not_ready(&self.record.name, rule.timeout));
            }
            _ => return false,
        }
        true
    }

    fn become_ready(&mut self, cx: &mut Context<'_>) {
        self.record.readiness = Some(Readiness::Ready { since: cx.now });
        let after = self.record.started.map_or(Duration::ZERO, |started| cx.now.mono.since(started.mono));
        log(cx, LogLine::ready(&self.record.name, after));
    }

    pub(super) fn standing(&self, condition: Condition, mood: Mood) -> Standing {
        let comes_back = self.record.change.as_ref().is_some_and(|change| change.then == Then::Start);
        match (self.record.state, condition) {
            (State::Starting { .. } | State::Running { .. }, Condition::Started)
            | (State::Running { .. }, Condition::Running) => Standing::Met,
            (State::Starting { .. } | State::Running { .. }, Condition::Ready) => match self.record.readiness {
                Some(Readiness::Ready { .. }) => Standing::Met,
                Some(Readiness::Late) => Standing::Missed,
                Some(Readiness::Awaited { .. } | Readiness::Settling { .. }) => Standing::Pending,
                None => self.standing(Condition::Running, mood),
            },
            (State::Starting { .. } | State::Running { .. } | State::Spawning, _) => Standing::Pending,
            (State::Exited { restart_at: Some(_) } | State::Backoff { .. }, _) if mood == Mood::Running => {
                Standing::Pending
            }
            (State::Stopping { .. } | State::Cancelled | State::Stopped | State::Exited { .. } | State::Fatal, _)
                if comes_back && mood == Mood::Running =>
            {
                Standing::Pending
            }
            (State::Exited { .. }, Condition::Started) => Standing::Met,
            (State::Exited { restart_at: None }, Condition::Exited) if self.ended_well() => Standing::Met,
            (
                State::Stopping { .. }
                | State::Cancelled
                | State::Stopped
                | State::Exited { .. }
                | State::Backoff { .. }
                | State::Fatal
                | State::Unknown { .. },
                _,
            ) => Standing::Missed,
        }
    }

    fn ended_well(&self) -> bool {
        let exit = self.record.last_exit.map(|last| last.exit);
        exit.is_some_and(|exit| exit != Exit::Unknown && self.policy.exitcodes.contains(&exit.status()))
    }
}

impl Engine {
    /// The processes whose children are to be asked whether they are ready.
    pub fn to_be_asked(&self) -> impl Iterator<Item = ProcessView<'_>> {
        self.asked.iter().filter_map(|process| self.process(*process))
    }

    /// Keeps the set of those who are asked.
    pub(super) fn note_asked(&mut self, process: ProcessId) {
        if self.slots.get(&process).is_some_and(|slot| slot.process.is_asked()) {
            self.asked.insert(process);
        } else {
            self.asked.remove(&process);
        }
    }

    /// Nobody asks for it any more.
    pub(super) fn forget_readiness(&mut self, process: ProcessId) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        if slot.process.record.readiness.take().is_some() {
            self.asked.remove(&process);
            self.dirty.insert(process);
            self.file_deadline(process);
        }
    }

    /// Other rules hold: some are by now what somebody waits for.
    pub(super) fn settle_all_conditions(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let is_awaited = |slot: &Slot| slot.waits.iter().any(|wait| matches!(wait.want, Want::Condition { .. }));
        let awaited: Vec<ProcessId> =
            self.slots.iter().filter(|(_, slot)| is_awaited(slot)).map(|(process, _)| *process).collect();
        for process in awaited {
            self.settle_conditions(now, process, effects);
            self.file_deadline(process);
        }
    }

    /// What a request comes to that waits for a process to be something.
    pub(super) fn awaits(&self, process: ProcessId, condition: Condition, until: Option<Moment>) -> Verdict {
        let Some(slot) = self.slots.get(&process) else { return Verdict::Absent };
        match slot.process.standing(condition, self.mood) {
            Standing::Met => Verdict::Now(Ok(())),
            Standing::Pending => Verdict::Later(Want::Condition { condition, until }),
            Standing::Missed => Verdict::Now(Err(missed(&slot.process, condition))),
        }
    }

    /// Gives the outcome to those who waited for the process to be what it is now, or will not become.
    pub(super) fn settle_conditions(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        let mood = self.mood;
        let Some(slot) = self.slots.get_mut(&process) else { return };
        let mut decided = Vec::new();
        let waits = std::mem::take(&mut slot.waits);
        for wait in waits {
            let Want::Condition { condition, until } = wait.want else {
                slot.waits.push(wait);
                continue;
            };
            let result = match slot.process.standing(condition, mood) {
                Standing::Met => Ok(()),
                Standing::Missed => Err(missed(&slot.process, condition)),
                Standing::Pending if until.is_some_and(|until| until <= now.mono) => {
                    let text = format!("{} is not {} in time", slot.process.record.name, condition.word());
                    Err(Refusal::Failed(text))
                }
                Standing::Pending => {
                    slot.waits.push(wait);
                    continue;
                }
            };
            decided.push((wait.request, result));
        }
        for (request, result) in decided {
            self.conclude(now, request, process, result, effects);
        }
    }

    /// The process is about to be removed: whoever waits for it to be something waits in vain.
    pub(super) fn end_conditions(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        let text = format!("{} was removed", slot.process.record.name);
        let waits = std::mem::take(&mut slot.waits).into_iter();
        let (ended, others): (Vec<Wait>, _) =
            waits.partition(|wait| matches!(wait.want, Want::Condition { .. } | Want::Succeeded));
        slot.waits = others;
        for wait in ended {
            self.conclude(now, wait.request, process, Err(Refusal::Failed(text.clone())), effects);
        }
    }
}

fn missed(process: &Process, condition: Condition) -> Refusal {
    let name = &process.record.name;
    let late = process.policy.ready.filter(|_| process.record.readiness == Some(Readiness::Late));
    Refusal::Failed(match late {
        Some(rule) => format!("{name} has not become ready in {} seconds (ready_timeout)", rule.timeout.as_secs_f64()),
        None => format!("{name} is {}, not {}", process.state().name(), condition.word()),
    })
}
