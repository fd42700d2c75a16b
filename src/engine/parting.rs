//! Stops in reverse: who is needed by others is told to stop when they have stopped.
//!
//! Whom a stop waits for is in the record, so a successor of the worker goes on with it.

use super::engine::Engine;
use super::input::{Effect, Mood, ProcessId};
use super::process::{Process, Step};
use super::record::State;
use super::time::Now;

impl Process {
    /// A stop was asked for and waits for others.
    pub(super) fn is_parting(&self) -> bool {
        !self.record.stops_after.is_empty()
    }

    /// Nothing of it runs that could need others.
    fn is_down(&self) -> bool {
        self.state().is_stopped() || self.record.held.is_some() || matches!(self.record.state, State::Backoff { .. })
    }

    fn has_child(&self) -> bool {
        matches!(self.record.state, State::Starting { .. } | State::Running { .. })
    }
}

impl Engine {
    /// Tells a process to stop, after those that need it. At the daemon's end as at a client's request.
    pub(super) fn stop_in_order(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        if !self.part(now, process, effects) {
            self.step(now, process, self.stop_step(), effects);
        }
    }

    fn stop_step(&self) -> Step {
        if self.mood == Mood::Running { Step::Stop } else { Step::Halt }
    }

    /// Tells those to stop that need this process; whether it has to wait for one of them.
    fn part(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) -> bool {
        if self.parting.contains(&process) {
            return true;
        }
        if !self.slots.get(&process).is_some_and(|slot| slot.process.is_up()) {
            return false;
        }
        // Whoever needs it in a ring finds it here.
        self.parting.insert(process);
        let dependents = self.dependents(process);
        for dependent in &dependents {
            self.stop_for_another(now, *dependent, effects);
        }
        let waits: Vec<ProcessId> =
            dependents.into_iter().filter(|one| *one != process && !self.is_down(*one)).collect();
        if let Some(slot) = self.slots.get_mut(&process)
            && slot.process.has_child()
            && !waits.is_empty()
        {
            slot.process.record.stops_after = waits;
            self.dirty.insert(process);
            // Nobody takes the place of one that is to stop, however long it waits for its turn.
            self.call_off_succession(now, process, effects);
        }
        self.note_needs(process);
        self.parting.contains(&process)
    }

    fn stop_for_another(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&process).filter(|slot| slot.process.is_up()) else { return };
        if self.mood == Mood::Running {
            slot.process.record.follows = true;
            self.dirty.insert(process);
        }
        self.stop_in_order(now, process, effects);
    }

    fn is_down(&self, process: ProcessId) -> bool {
        self.slots.get(&process).is_none_or(|slot| slot.process.is_down())
    }

    /// Tells those whose turn has come; whether there were any.
    pub(super) fn settle_parting(&mut self, now: Now, effects: &mut Vec<Effect>) -> bool {
        let may_go = |process: &&ProcessId| {
            self.slots.get(process).is_some_and(|slot| {
                let after = &slot.process.record.stops_after;
                // One that has ended meanwhile only has to be kept from starting again. Whoever was told other needs
                // meanwhile may have been started again, and is not waited for.
                let needs_it = self.dependents(**process);
                let is_done = |other: &ProcessId| self.is_down(*other) || !needs_it.contains(other);
                !slot.process.has_child() || after.iter().all(is_done)
            })
        };
        let next: Vec<ProcessId> = self.parting.iter().filter(may_go).copied().collect();
        for process in &next {
            if let Some(slot) = self.slots.get_mut(process) {
                slot.process.record.stops_after.clear();
                self.dirty.insert(*process);
            }
            self.note_needs(*process);
            // Others may need it by now.
            self.stop_in_order(now, *process, effects);
        }
        !next.is_empty()
    }
}
