//! What a process needs before it is started: others in a certain condition, and things outside of which the worker knows.
//!
//! A start whose needs are not met is held: the process is STARTING without a child until they are, and no retry is used up.
//! Who needs whom, the rules say; nobody is held by what changes after its start.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::input::{Effect, LogLine, Mood, ProcessId, Refusal};
use super::process::{Context, Process, Step};
use super::readiness::{Condition, Standing};
use super::record::{State, StopCause};
use super::state::ProcessState;
use super::time::Now;
use super::view::{ProcessView, namespec};
use super::wait::{Wait, Want};

/// Another process, and what it must be: one entry of `depends_on`, ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub group: String,
    pub name: String,
    pub condition: Condition,
}

/// All that a process needs to be started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    pub processes: Vec<Need>,
    /// There are things outside that it needs too: `wait_for`, ours. Asked for when the processes are what they must be.
    pub outside: bool,
}

impl Needs {
    fn is_empty(&self) -> bool {
        self.processes.is_empty() && !self.outside
    }
}

/// A start that waits for what the process needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) since: Now,
    /// The log says so.
    pub(super) told: bool,
}

/// A need that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    pub need: Need,
    /// What the needed process is; `None`: there is none of that name.
    pub state: Option<ProcessState>,
    /// It does not become what it must be by itself.
    pub is_missed: bool,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aim = match self.need.condition {
            Condition::Started => "to be started",
            Condition::Running => "to be running",
            Condition::Ready => "to be ready",
            Condition::Exited => "to have ended well",
        };
        let state = self.state.map_or("not there", ProcessState::name);
        write!(f, "{} {aim} (it is {state})", namespec(&self.need.group, &self.need.name))
    }
}

/// Needs that are not met, in a sentence.
fn sentence(lacks: &[Lack]) -> String {
    if lacks.is_empty() {
        return "what is outside (wait_for)".to_owned();
    }
    lacks.iter().map(Lack::to_string).collect::<Vec<_>>().join(", ")
}

impl Process {
    /// A start waits for what the process needs; without needs it does not wait.
    pub(super) fn hold(&mut self, cx: &mut Context<'_>) -> bool {
        let is_held = !self.policy.needs.is_empty();
        self.record.held = is_held.then_some(Held { since: cx.now, told: false });
        is_held
    }

    /// There is no child and none was asked for: nothing can happen but the start's going on or its end.
    pub(super) fn handle_held(&mut self, cx: &mut Context<'_>, step: &Step) -> bool {
        match step {
            Step::Release => {
                self.record.held = None;
                self.record.started = Some(cx.now);
                self.ask_to_spawn(cx);
            }
            Step::Stop => self.end_hold(cx, self.stop_cause()),
            Step::Halt => self.end_hold(cx, StopCause::Shutdown),
            Step::Spawned { pid, .. } => self.refuse_child(cx, *pid),
            _ => return false,
        }
        true
    }
}

impl Engine {
    /// The processes whose start waits for nothing but things outside.
    pub fn waiting_outside(&self) -> impl Iterator<Item = ProcessView<'_>> {
        let waits = |process: &&ProcessId| {
            let policy = self.slots.get(process).map(|slot| &slot.process.policy);
            policy.is_some_and(|policy| policy.needs.outside) && self.lacks(**process).is_empty()
        };
        self.held
            .iter()
            .filter(move |process| self.mood == Mood::Running && waits(process))
            .filter_map(|process| self.process(*process))
    }

    /// Which other processes are not yet what this one needs.
    #[must_use]
    pub fn lacks(&self, process: ProcessId) -> Vec<Lack> {
        let Some(slot) = self.slots.get(&process) else { return Vec::new() };
        slot.process.policy.needs.processes.iter().filter_map(|need| self.lack(need)).collect()
    }

    fn lack(&self, need: &Need) -> Option<Lack> {
        let needed = self.find(&need.group, &need.name).and_then(|needed| self.slots.get(&needed));
        let Some(needed) = needed else { return Some(Lack { need: need.clone(), state: None, is_missed: false }) };
        let standing = match needed.process.standing(need.condition, self.mood) {
            // About to be stopped: nobody begins to count on it.
            Standing::Met if needed.process.is_parting() && need.condition != Condition::Exited => Standing::Pending,
            standing => standing,
        };
        let state = Some(needed.process.state());
        (standing != Standing::Met).then(|| Lack { need: need.clone(), state, is_missed: standing == Standing::Missed })
    }

    /// What is outside is there.
    pub(super) fn reached(&mut self, now: Now, process: ProcessId, attempt: u32, effects: &mut Vec<Effect>) {
        let is_meant = self.waiting_outside().any(|view| view.process == process && view.attempt == attempt);
        if is_meant {
            self.step(now, process, Step::Release, effects);
        }
    }

    /// Lets those go on whose needs are met, tells of the others; whether anything happened.
    pub(super) fn settle_held(&mut self, now: Now, effects: &mut Vec<Effect>) -> bool {
        if self.mood != Mood::Running {
            return false;
        }
        let held: Vec<ProcessId> = self.held.iter().copied().collect();
        let mut happened = false;
        for process in held {
            let lacks = self.lacks(process);
            let outside = self.slots.get(&process).is_some_and(|slot| slot.process.policy.needs.outside);
            if lacks.is_empty() && !outside {
                self.step(now, process, Step::Release, effects);
                happened = true;
            } else {
                self.tell_of_hold(process, &lacks, effects);
                happened |= self.settle_starts(now, process, &lacks, effects);
            }
        }
        happened
    }

    fn tell_of_hold(&mut self, process: ProcessId, lacks: &[Lack], effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        let record = &mut slot.process.record;
        if lacks.is_empty() {
            // What is missing outside, the worker finds out and tells.
            return;
        }
        if let Some(held) = record.held.as_mut().filter(|held| !held.told) {
            held.told = true;
            effects.push(Effect::Log(LogLine::held(&record.name, &sentence(lacks))));
            self.dirty.insert(process);
        }
    }

    /// A start without waiting has done what it can; one that waits fails if it waits in vain. The process stays held.
    fn settle_starts(&mut self, now: Now, process: ProcessId, lacks: &[Lack], effects: &mut Vec<Effect>) -> bool {
        let Some(slot) = self.slots.get_mut(&process) else { return false };
        let hopeless = lacks.iter().any(|lack| lack.is_missed);
        let is_over = |wait: &Wait| match wait.want {
            Want::Forked => true,
            Want::Running => hopeless,
            _ => false,
        };
        let (over, waits): (Vec<Wait>, Vec<Wait>) = std::mem::take(&mut slot.waits).into_iter().partition(is_over);
        slot.waits = waits;
        let name = slot.process.record.name.clone();
        let happened = !over.is_empty();
        for wait in over {
            let result = match wait.want {
                Want::Forked => Ok(()),
                _ => Err(Refusal::Failed(format!("{name} is held: it waits for {}", sentence(lacks)))),
            };
            self.conclude(now, wait.request, process, result, effects);
        }
        happened
    }

    /// Starts a process, those that it needs and that are stopped, and those that were stopped because it was.
    pub(super) fn start_with_needs(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        self.step(now, process, Step::Start, effects);
        for needed in self.lacks(process) {
            let Some(other) = self.find(&needed.need.group, &needed.need.name) else { continue };
            let is_stopped =
                self.state(other).is_some_and(|state| state.is_stopped() && state != ProcessState::Unknown);
            if needed.is_missed && is_stopped && !self.is_leaving(other) {
                self.start_with_needs(now, other, effects);
            }
        }
        if !self.state(process).is_some_and(ProcessState::is_running) {
            return;
        }
        for dependent in self.dependents(process) {
            let follows = self.slots.get(&dependent).is_some_and(|slot| slot.process.record.follows);
            let is_stopped = self.state(dependent).is_some_and(ProcessState::is_stopped);
            if follows && is_stopped && !self.is_leaving(dependent) {
                self.start_with_needs(now, dependent, effects);
            }
        }
    }

    /// Those that need this process for as long as they run.
    pub(super) fn dependents(&self, process: ProcessId) -> Vec<ProcessId> {
        let Some(view) = self.process(process) else { return Vec::new() };
        let needs_it =
            |need: &Need| need.condition != Condition::Exited && need.name == view.name && need.group == view.group;
        let needs = |dependent: &&ProcessId| {
            let policy = self.slots.get(dependent).map(|slot| &slot.process.policy);
            policy.is_some_and(|policy| policy.needs.processes.iter().any(needs_it))
        };
        self.needy.iter().filter(needs).copied().collect()
    }

    fn needed(&self, process: ProcessId) -> Vec<ProcessId> {
        let needs = self.slots.get(&process).map(|slot| slot.process.policy.needs.processes.as_slice());
        needs.unwrap_or_default().iter().filter_map(|need| self.find(&need.group, &need.name)).collect()
    }

    /// These processes with their places, so that each comes after those that it needs.
    pub(super) fn needed_first(&self, processes: Vec<ProcessId>) -> Vec<(usize, ProcessId)> {
        self.sorted(processes, Engine::needed)
    }

    /// These processes with their places, so that each comes after those that need it.
    pub(super) fn dependents_first(&self, processes: Vec<ProcessId>) -> Vec<(usize, ProcessId)> {
        self.sorted(processes, Engine::dependents)
    }

    fn sorted(
        &self,
        processes: Vec<ProcessId>,
        earlier: fn(&Engine, ProcessId) -> Vec<ProcessId>,
    ) -> Vec<(usize, ProcessId)> {
        let places: Vec<(usize, ProcessId)> = processes.into_iter().enumerate().collect();
        if places.len() < 2 || self.needy.is_empty() {
            return places;
        }
        let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
        for (_, process) in &places {
            self.visit(*process, earlier, &mut seen, &mut order);
        }
        let place: BTreeMap<ProcessId, usize> = places.iter().map(|(at, process)| (*process, *at)).collect();
        order.iter().filter_map(|process| Some((*place.get(process)?, *process))).collect()
    }

    /// Depth first; who was seen is not visited again, so that a ring ends.
    fn visit(
        &self,
        process: ProcessId,
        earlier: fn(&Engine, ProcessId) -> Vec<ProcessId>,
        seen: &mut BTreeSet<ProcessId>,
        order: &mut Vec<ProcessId>,
    ) {
        if !seen.insert(process) {
            return;
        }
        for other in earlier(self, process) {
            self.visit(other, earlier, seen, order);
        }
        order.push(process);
    }

    /// Keeps the sets of those who need others, who are held, and who wait to be stopped.
    pub(super) fn note_needs(&mut self, process: ProcessId) {
        let known = self.slots.get(&process).map(|slot| &slot.process);
        let needy = known.is_some_and(|process| !process.policy.needs.processes.is_empty());
        let held = known.is_some_and(|process| process.record.held.is_some());
        let parting = known.is_some_and(Process::is_parting);
        let sets = [(&mut self.needy, needy), (&mut self.held, held), (&mut self.parting, parting)];
        for (set, belongs) in sets {
            if belongs {
                set.insert(process);
            } else {
                set.remove(&process);
            }
        }
    }
}

impl Process {
    /// Whether it has a child or will have one by itself.
    pub(super) fn is_up(&self) -> bool {
        self.state().is_running() || matches!(self.record.state, State::Exited { restart_at: Some(_) })
    }
}
