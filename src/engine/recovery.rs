//! Life after the worker's death: an engine is built again from what its predecessor had journalled.
//!
//! The order of things for the worker: `restore`; what the keeper knows as inputs (`Spawned` for a child whose attempt
//! is the record's but whose pid the record lacks, `ExecFailed`, `Exited`); `resume_signalled` for each child that
//! lives; `resume`. Requests that were pending are gone, and so are their clients' connections. Every record counts as
//! changed then, so the successor's journal is whole.
//!
//! A daemon that starts anew in the same keeper (reload) begins with `restore(Mood::Running, [], next_id)`, so that no
//! process id, and so no child's name, comes a second time.

use super::engine::{Engine, Slot};
use super::input::{Effect, Mood, ProcessId};
use super::policy::GroupSpec;
use super::process::Step;
use super::record::{ProcessRecord, State};
use super::time::Now;

impl Engine {
    /// The engine as it was journalled: the groups in order of creation, each with the records of its members. A
    /// member without a record (its journalling was cut off) is a new process. `next_id` is the predecessor's
    /// `next_id()`; ids in use are never given again whatever it says.
    #[must_use]
    pub fn restore(mood: Mood, groups: Vec<(GroupSpec, Vec<ProcessRecord>)>, next_id: u64) -> Engine {
        let mut engine = Engine::new();
        let used =
            groups.iter().flat_map(|(_, records)| records).map(|record| record.process.0.saturating_add(1)).max();
        engine.mood = mood;
        engine.next_process = next_id.max(used.unwrap_or(0)).max(1);
        for (spec, records) in groups {
            engine.place_group(spec, records);
        }
        for (process, slot) in &engine.slots {
            let record = &slot.process.record;
            let is_asked = record.held.is_none();
            if is_asked && matches!(record.state, State::Spawning | State::Cancelled | State::Stopping { .. }) {
                engine.unconfirmed.insert(*process, record.attempt);
            }
        }
        if mood != Mood::Running {
            engine.begin_leaving();
        }
        engine
    }

    /// Tells which signal the keeper last sent to a process' living child, zero if none. A stop signal that the
    /// predecessor had decided on but that never went out goes out now.
    pub fn resume_signalled(&mut self, now: Now, process: ProcessId, last_signal: i32, effects: &mut Vec<Effect>) {
        if self.is_unconfirmed(process) {
            self.unconfirmed.remove(&process);
            self.step(now, process, Step::LastSignal(last_signal), effects);
        }
    }

    /// Takes up what was under way: spawns that the keeper has not heard of, first starts, the daemon's end. Called
    /// once, after everything the keeper knows was handed in.
    pub fn resume(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let unconfirmed: Vec<ProcessId> = self.unconfirmed.keys().copied().collect();
        for process in unconfirmed {
            if self.is_unconfirmed(process) {
                self.step(now, process, Step::NeverSpawned, effects);
            }
        }
        self.unconfirmed.clear();
        let sweeping = |slot: &Slot| slot.process.record.sweeping.is_some();
        let sweeping: Vec<ProcessId> =
            self.slots.iter().filter(|(_, slot)| sweeping(slot)).map(|(process, _)| *process).collect();
        for process in sweeping {
            self.step(now, process, Step::SweepAgain, effects);
        }
        for key in self.groups_by_priority() {
            self.autostart(now, key, effects);
        }
        self.follow_up(now, effects);
    }

    /// Whether nothing was asked for this process since `restore` that would make up for what may have been lost.
    fn is_unconfirmed(&self, process: ProcessId) -> bool {
        let attempt = self.slots.get(&process).map(|slot| slot.process.record.attempt);
        attempt.is_some() && self.unconfirmed.get(&process).copied() == attempt
    }
}
