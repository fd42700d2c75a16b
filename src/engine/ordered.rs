//! A stop that waits between priorities: what was started last is down before what it needs is told.
//!
//! Whom it has not stopped yet is in the records, so a successor of the worker goes on with it.

use std::collections::BTreeMap;

use super::engine::{Engine, Slot};
use super::input::{Effect, LogLine, Mood, ProcessId, RequestId};
use super::request::{Scope, Verdict, answer};
use super::state::ProcessState;
use super::time::Now;
use super::wait::{Pending, STOP_REPORT_SPACING, Wait, Want};

/// Processes that are told at the same time, with their places in the answer.
pub(super) type Stage = Vec<(usize, ProcessId)>;

impl Engine {
    /// Stops these processes by descending priority of group and process. Those of one rank are told together; the next
    /// rank when all of them have stopped, also who was told to before. A client that goes away leaves the later ranks
    /// running; the worker's death does not.
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
        for (_, process) in stages.values().flatten() {
            self.set_ordered(*process, Some(id));
            // Else a successor would have the place when its turn comes, and run on.
            self.call_off_succession(now, *process, effects);
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
                self.end_ordered(id);
                return;
            };
            let mut waiting = Vec::new();
            for (rank, process) in stage {
                let mut verdict = self.stop(now, process, Scope::Several, true, effects);
                if matches!(verdict, Verdict::Absent)
                    && let Some(want) = self.awaits_stop(now, process)
                {
                    verdict = Verdict::Later(want);
                }
                if !matches!(verdict, Verdict::Later(_)) {
                    self.set_ordered(process, None);
                }
                match verdict {
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

    /// What to wait for at a process that was told to stop before.
    fn awaits_stop(&self, now: Now, process: ProcessId) -> Option<Want> {
        let slot = self.slots.get(&process).filter(|slot| slot.process.state() == ProcessState::Stopping)?;
        let (signal, report_at) = (slot.process.rules().stopsignal, now.mono + STOP_REPORT_SPACING);
        Some(Want::Stopped { signal, delivered: false, report_at })
    }

    fn set_ordered(&mut self, process: ProcessId, ordered: Option<RequestId>) {
        if let Some(slot) = self.slots.get_mut(&process)
            && slot.process.record.ordered != ordered
        {
            slot.process.record.ordered = ordered;
            self.dirty.insert(process);
        }
    }

    /// This one is not waited for any more.
    pub(super) fn ordered_is_done(&mut self, id: RequestId, process: ProcessId) {
        if self.slots.get(&process).is_some_and(|slot| slot.process.record.ordered == Some(id)) {
            self.set_ordered(process, None);
        }
    }

    /// Nobody is stopped by this request any more.
    pub(super) fn end_ordered(&mut self, id: RequestId) {
        let is_its = |slot: &Slot| slot.process.record.ordered == Some(id);
        let its: Vec<ProcessId> = self.slots.iter().filter(|(_, slot)| is_its(slot)).map(|(one, _)| *one).collect();
        for process in its {
            self.set_ordered(process, None);
        }
    }

    /// Whom the ordered stops have not stopped yet that a predecessor of the worker had begun, each stop for itself: after
    /// `resume`, the worker asks for them again. None while the daemon ends, which has an order of its own.
    #[must_use]
    pub fn interrupted_stops(&self) -> Vec<Vec<ProcessId>> {
        let mut stops: BTreeMap<RequestId, Vec<ProcessId>> = BTreeMap::new();
        for (process, slot) in self.slots.iter().filter(|_| self.mood == Mood::Running) {
            if let Some(id) = slot.process.record.ordered {
                stops.entry(id).or_default().push(*process);
            }
        }
        stops.into_values().collect()
    }
}
