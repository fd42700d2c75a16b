//! A stop that waits between priorities: what was started last is down before what it needs is told.

use std::collections::BTreeMap;

use super::engine::Engine;
use super::input::{Effect, LogLine, Mood, ProcessId, RequestId};
use super::request::{Scope, Verdict, answer};
use super::time::Now;
use super::wait::{Pending, Wait, Want};

/// Processes that are told at the same time, with their places in the answer.
pub(super) type Stage = Vec<(usize, ProcessId)>;

impl Engine {
    /// Stops these processes by descending priority of group and process. Those of one rank are told together; the next
    /// rank when all of them have stopped. A client that goes away leaves the later ranks running.
    pub(super) fn stop_ordered(
        &mut self,
        now: Now,
        id: RequestId,
        processes: Vec<ProcessId>,
        effects: &mut Vec<Effect>,
    ) {
        let mut stages: BTreeMap<(i64, i64), Stage> = BTreeMap::new();
        for (place, process) in processes.into_iter().enumerate() {
            let Some(slot) = self.slots.get(&process) else { continue };
            let Some(group) = self.groups.get(&slot.group) else { continue };
            stages.entry((group.priority, slot.process.policy.priority)).or_default().push((place, process));
        }
        let mut stages: Vec<Stage> = stages.into_values().collect();
        // Those told first are also first in the answer.
        let places = stages.iter_mut().rev().flatten();
        places.enumerate().for_each(|(rank, (place, _))| *place = rank);
        let pending = Pending::new(now.mono, true).in_stages(stages);
        self.pending.insert(id, pending);
        self.advance_stages(now, id, effects);
    }

    /// Tells the next ranks of a request all of whose waits are over, until one has to be waited for; answers in the end.
    pub(super) fn advance_stages(&mut self, now: Now, id: RequestId, effects: &mut Vec<Effect>) {
        while let Some(pending) = self.pending.get_mut(&id) {
            if !pending.is_complete() {
                return;
            }
            // While the daemon ends, its own order holds.
            let stage = pending.next_stage().filter(|_| self.mood == Mood::Running);
            let Some(stage) = stage else {
                if let Some(pending) = self.pending.remove(&id) {
                    answer(effects, id, pending.into_answer());
                }
                return;
            };
            let mut waiting = Vec::new();
            for (rank, process) in stage {
                match self.stop(now, process, Scope::Several, true, effects) {
                    Verdict::Now(result) => {
                        let outcome = self.outcome(process, result);
                        if let Some((pending, outcome)) = self.pending.get_mut(&id).zip(outcome) {
                            pending.decided(now.mono, rank, outcome);
                        }
                    }
                    Verdict::Later(want) => {
                        if let Some(slot) = self.slots.get_mut(&process) {
                            if matches!(want, Want::Stopped { .. }) {
                                waiting.push(LogLine::waiting_to_stop(&slot.process.record.name));
                            }
                            slot.waits.push(Wait { request: id, want });
                        }
                        if let Some(pending) = self.pending.get_mut(&id) {
                            pending.wait_for(rank, process);
                        }
                        self.file_deadline(process);
                    }
                    Verdict::Absent => {}
                }
            }
            effects.extend(waiting.into_iter().map(Effect::Log));
        }
    }
}
