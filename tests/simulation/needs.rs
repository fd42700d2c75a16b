//! What must hold in every history of starts that wait for others, and of stops that go the other way round.

use std::collections::BTreeSet;

use galaxyd::engine::{Condition, Engine, Exit, Mood, ProcessId, ProcessState, Then};

use crate::watch::{Kept, Watch, is_so, promise};

impl Watch<'_> {
    /// A start that was asked for, or that goes with another one.
    pub(crate) fn is_pulled_in(&self, engine: &Engine, process: ProcessId) -> bool {
        let started = |to: &ProcessState| *to == ProcessState::Starting;
        let starting = self.entered.iter().filter(|(_, to)| started(to)).map(|(other, _)| *other);
        let wants = |other: ProcessId| needs(engine, other).any(|(needed, _)| needed == Some(process));
        starting.clone().any(wants)
            || needs(engine, process).any(|(needed, _)| starting.clone().any(|one| Some(one) == needed))
    }

    pub(crate) fn note_released(&mut self, engine: &Engine) {
        for view in engine.processes().filter(|view| view.state == ProcessState::Starting && view.held.is_none()) {
            self.released.insert((view.process, view.attempt));
        }
        if engine.mood() == Mood::Running {
            self.parting = engine.processes().filter(|view| view.is_parting).map(|view| view.process).collect();
        }
    }

    /// Nothing is spawned before what it needs is there; a start that was let go on is not taken back.
    pub(crate) fn spawned(&mut self, engine: &Engine, process: ProcessId, attempt: u32) -> Kept {
        let stops = engine.process(process).is_some_and(|view| view.state == ProcessState::Stopping);
        if self.released.contains(&(process, attempt)) || stops {
            return Ok(());
        }
        for (needed, condition) in needs(engine, process) {
            let is_met = needed.is_some_and(|needed| is_met(engine, needed, condition));
            promise!(is_met, "{process:?} is spawned, but {needed:?} is not {condition:?}");
            self.seen.saw("a start after what it needs");
        }
        Ok(())
    }

    /// A start that is held lacks something.
    pub(crate) fn nobody_is_stuck(&mut self, engine: &Engine) -> Kept {
        for view in engine.processes().filter(|view| view.held.is_some()) {
            let lacks = needs(engine, view.process)
                .any(|(needed, condition)| needed.is_none_or(|needed| !is_met(engine, needed, condition)));
            let looks = engine.waiting_outside().any(|other| other.process == view.process);
            promise!(lacks || looks, "{:?} is held, and what it needs is there", view.process);
            promise!(!(lacks && looks), "{:?} looks outside too early", view.process);
            self.seen.saw(if lacks { "a held start" } else { "a start held for what is outside" });
        }
        Ok(())
    }

    /// Those that need a process are down before it is told to stop.
    pub(crate) fn stops_after_those_that_need_it(&mut self, engine: &Engine, process: ProcessId) -> Kept {
        for dependent in dependents(engine, process) {
            let Some(view) = engine.process(dependent) else { continue };
            let is_up = matches!(view.state, ProcessState::Starting | ProcessState::Running | ProcessState::Stopping);
            promise!(
                !is_up || view.held.is_some(),
                "{process:?} is told to stop while {dependent:?} is {:?}",
                view.state
            );
            self.seen.saw("a stop after those that need it");
        }
        Ok(())
    }
}

/// What a process needs, by its rules: `None` is nobody there.
fn needs(engine: &Engine, process: ProcessId) -> impl Iterator<Item = (Option<ProcessId>, Condition)> + Clone {
    let needs = engine.process(process).map(|view| view.policy.needs.processes.as_slice()).unwrap_or_default();
    needs.iter().map(|need| (engine.find(&need.group, &need.name), need.condition))
}

/// Everybody whom a process needs for as long as it runs, however indirectly.
pub(crate) fn needed_by(engine: &Engine, process: ProcessId) -> BTreeSet<ProcessId> {
    let mut found = BTreeSet::new();
    let mut next = vec![process];
    while let Some(one) = next.pop() {
        let lasting = needs(engine, one).filter(|(_, condition)| *condition != Condition::Exited);
        next.extend(lasting.filter_map(|(needed, _)| needed).filter(|needed| found.insert(*needed)));
    }
    found
}

/// Those that need a process for as long as they run.
pub(crate) fn dependents(engine: &Engine, process: ProcessId) -> Vec<ProcessId> {
    let needs_it = |other: ProcessId| {
        needs(engine, other).any(|(needed, condition)| needed == Some(process) && condition != Condition::Exited)
    };
    engine.processes().map(|view| view.process).filter(|other| needs_it(*other)).collect()
}

/// Whether a process is what others need it to be.
fn is_met(engine: &Engine, process: ProcessId, condition: Condition) -> bool {
    let Some(view) = engine.process(process) else { return false };
    let lives = view.pid.is_some() && !view.is_parting;
    match condition {
        Condition::Started => {
            lives && matches!(view.state, ProcessState::Starting | ProcessState::Running)
                || view.state == ProcessState::Exited && view.deadline.is_none() && view.then != Some(Then::Start)
        }
        Condition::Running | Condition::Ready => lives && is_so(engine, process, condition),
        Condition::Exited => {
            let expected = |exit: Exit| exit != Exit::Unknown && view.policy.exitcodes.contains(&exit.status());
            let ended = view.last_exit.is_some_and(|last| expected(last.exit));
            view.state == ProcessState::Exited && view.deadline.is_none() && ended
        }
    }
}
