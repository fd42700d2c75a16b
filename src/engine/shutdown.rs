//! The daemon's end: groups are stopped by descending priority, one after the other, then `Effect::Halted`.

use std::time::Duration;

use super::engine::Engine;
use super::group::GroupKey;
use super::input::{Effect, Event, LogLine, Mood};
use super::process::Step;
use super::time::{Moment, Now};

/// How often the processes that still live are named in the activity log.
const DIE_REPORT_SPACING: Duration = Duration::from_secs(3);

/// The daemon is ending.
#[derive(Debug, Clone)]
pub(super) struct Leaving {
    /// Groups still to be stopped; the last is next.
    queue: Vec<GroupKey>,
    /// Whether the last of the queue was told to stop.
    told: bool,
    /// When to name those who live; `None` until the first time, and once there is nobody.
    report_at: Option<Moment>,
}

impl Leaving {
    pub(super) fn new(queue: Vec<GroupKey>) -> Leaving {
        Leaving { queue, told: false, report_at: None }
    }

    pub(super) fn report_at(&self) -> Option<Moment> {
        self.report_at
    }
}

impl Engine {
    /// The daemon is to end. A shutdown overrules a restart, not the other way round.
    pub(super) fn leave(&mut self, now: Now, mood: Mood, effects: &mut Vec<Effect>) {
        if self.halted || self.mood == Mood::Shutdown || mood == Mood::Running {
            return;
        }
        self.mood = mood;
        if self.leaving.is_some() {
            return;
        }
        effects.push(Effect::Event(Event::SupervisorStopping));
        self.begin_leaving();
        self.advance_leaving(now, effects);
    }

    pub(super) fn begin_leaving(&mut self) {
        self.leaving = Some(Leaving::new(self.groups_by_priority()));
        // Nothing is started from here on: those deadlines are gone.
        let filed: Vec<_> = self.deadlines.iter().map(|(_, process)| *process).collect();
        for process in filed {
            self.file_deadline(process);
        }
    }

    /// Goes on to the next group whenever one has no unstopped member left.
    pub(super) fn advance_leaving(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some(leaving) = &mut self.leaving {
            let Some(key) = leaving.queue.last().copied() else {
                leaving.report_at = None;
                self.halt(effects);
                return;
            };
            if !leaving.told {
                leaving.told = true;
                let members = self.groups.get(&key).map(|group| group.by_priority.clone()).unwrap_or_default();
                for process in members.into_iter().rev() {
                    self.step(now, process, Step::Halt, effects);
                }
            }
            if self.groups.get(&key).is_some_and(|group| group.unstopped > 0) {
                self.report_leaving(now, effects);
                return;
            }
            if let Some(leaving) = &mut self.leaving {
                leaving.queue.pop();
                leaving.told = false;
            }
        }
    }

    fn halt(&mut self, effects: &mut Vec<Effect>) {
        if !self.halted {
            self.halted = true;
            // Every wait ends with the process it is for.
            debug_assert!(self.pending.is_empty(), "halted with requests unanswered: {:?}", self.pending);
            effects.push(Effect::Halted { mood: self.mood });
        }
    }

    /// Names all who are not stopped, at once and then every three seconds.
    pub(super) fn report_leaving(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(leaving) = &mut self.leaving else { return };
        if leaving.queue.is_empty() || leaving.report_at.is_some_and(|at| at > now.mono) {
            return;
        }
        leaving.report_at = Some(now.mono + DIE_REPORT_SPACING);
        let members = self.groups.values().filter(|group| group.unstopped > 0).flat_map(|group| &group.members);
        let unstopped = members.filter_map(|process| self.slots.get(process).map(|slot| &slot.process));
        let names: Vec<&str> = unstopped
            .filter(|process| !process.state().is_stopped())
            .map(|process| process.record.name.as_str())
            .collect();
        effects.push(Effect::Log(LogLine::waiting_to_die(&names)));
    }
}
