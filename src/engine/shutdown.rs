//! The daemon's end: groups are stopped by descending priority, one after the other, then `Effect::Halted`.
//!
//! Event listeners, whose turn comes last by their priority of -1, are first let hear what the others' ends were.

use std::time::Duration;

use super::engine::Engine;
use super::group::{Group, GroupKey};
use super::input::{Effect, Event, LogLine, Mood};
use super::process::Step;
use super::state::ProcessState;
use super::time::{Moment, Now};

/// How often the processes that still live are named in the activity log.
const DIE_REPORT_SPACING: Duration = Duration::from_secs(3);

/// At the daemon's end listeners have this long for the events that wait for them. Enough for hundreds of events where
/// they answer, and little beside a `stopwaitsecs` of 10 s where one does not; pools one after the other share it.
const LAST_EVENTS_WAIT: Duration = Duration::from_secs(1);

/// The daemon is ending.
#[derive(Debug, Clone)]
pub(super) struct Leaving {
    /// Groups still to be stopped; the last is next.
    queue: Vec<GroupKey>,
    /// Whether the last of the queue was told to stop.
    told: bool,
    /// When to name those who live; `None` until the first time, and once there is nobody.
    report_at: Option<Moment>,
    /// Until when listeners are let hear what waits; set when the first of pools in a row is next.
    hearing_until: Option<Moment>,
    /// The next group is not told to stop because its members still hear.
    hears: bool,
    /// `Input::Quiet` came for the next group.
    quiet: bool,
}

impl Leaving {
    pub(super) fn new(queue: Vec<GroupKey>) -> Leaving {
        Leaving { queue, told: false, report_at: None, hearing_until: None, hears: false, quiet: false }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        let hearing = self.hearing_until.filter(|_| self.hears);
        self.report_at.into_iter().chain(hearing).min()
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
        // Who waited for a start that will not be any more is told so: nothing else happens to that process.
        self.settle_all_conditions(now, effects);
        self.advance_leaving(now, effects);
    }

    /// The code that the daemon ends with: that of the program that it ends for, otherwise 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.ender().map_or(0, |(_, code)| code)
    }

    /// The first program of those whose end is the daemon's.
    fn ender(&self) -> Option<(&str, u8)> {
        let mut records = self.slots.values().map(|slot| &slot.process.record);
        records.find_map(|record| Some((record.name.as_str(), record.ends_daemon?)))
    }

    /// A program has ended for whose end the daemon is to end.
    pub(super) fn end_with_its_program(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if !std::mem::take(&mut self.has_ender) || self.mood != Mood::Running {
            return;
        }
        if let Some((name, code)) = self.ender() {
            effects.push(Effect::Log(LogLine::ends_daemon(name, code)));
            self.leave(now, Mood::Shutdown, effects);
        }
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
                if self.still_hears(now, key) {
                    self.report_leaving(now, effects);
                    return;
                }
                self.leaving.iter_mut().for_each(|leaving| leaving.told = true);
                let members = self.groups.get(&key).map(|group| group.by_priority.clone()).unwrap_or_default();
                let beside = self.groups.get(&key).map(|group| group.beside.clone()).unwrap_or_default();
                for process in members.into_iter().rev() {
                    self.stop_in_order(now, process, effects);
                }
                for process in beside {
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

    /// Whether the group about to be stopped is to be left alone for now: its listeners may hear what waits for them.
    fn still_hears(&mut self, now: Now, key: GroupKey) -> bool {
        let Some(group) = self.groups.get(&key) else { return false };
        let is_up = |process| matches!(self.state(process), Some(ProcessState::Starting | ProcessState::Running));
        let could = group.listens && group.members.iter().any(|process| is_up(*process));
        let listens = group.listens;
        let Some(leaving) = &mut self.leaving else { return false };
        if !listens {
            leaving.hearing_until = None;
        }
        let quiet = std::mem::take(&mut leaving.quiet);
        leaving.hears = could && !quiet && now.mono < *leaving.hearing_until.get_or_insert(now.mono + LAST_EVENTS_WAIT);
        leaving.hears
    }

    /// The group of listeners that the daemon's end waits for; [`super::Input::Quiet`] ends the waiting before its time.
    #[must_use]
    pub fn awaited(&self) -> Option<&str> {
        let leaving = self.leaving.as_ref().filter(|leaving| leaving.hears)?;
        self.groups.get(leaving.queue.last()?).map(|group| group.name.as_str())
    }

    pub(super) fn release(&mut self, group: &str) {
        let awaited = self.awaited() == Some(group);
        self.leaving.iter_mut().for_each(|leaving| leaving.quiet = awaited);
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
        let members = self.groups.values().filter(|group| group.unstopped > 0).flat_map(Group::everybody);
        let unstopped = members.filter_map(|process| self.slots.get(&process).map(|slot| &slot.process));
        let names: Vec<&str> = unstopped
            .filter(|process| !process.state().is_stopped())
            .map(|process| process.record.name.as_str())
            .collect();
        effects.push(Effect::Log(LogLine::waiting_to_die(&names)));
    }
}
