//! The engine as a whole: all groups and processes, who waits for them, and when it next has to be woken.
//!
//! This file holds the inputs' way to the processes and the look-ups; what clients ask for is in `request`, the
//! daemon's end in `shutdown`, life after the worker's death in `recovery`.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{Group, GroupKey};
use super::input::{Effect, Event, Input, LogLine, Mood, Outcome, Pid, ProcessId, Refusal, RequestId};
use super::pacing::Throttle;
use super::policy::{GroupSpec, MemberSpec, Policy};
use super::process::{Context, Process, Step};
use super::record::ProcessRecord;
use super::shutdown::Leaving;
use super::state::ProcessState;
use super::time::{Moment, Now};
use super::view::{GroupView, ProcessView};
use super::wait::{Pending, STOP_REPORT_SPACING, Turn, Wait, Want};

/// A process in its place.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) process: Process,
    pub(super) group: GroupKey,
    pub(super) waits: Vec<Wait>,
    /// Under which deadline it is filed.
    pub(super) filed: Option<Moment>,
}

impl Slot {
    /// When this process, or the log line about waiting for it, is next due.
    fn deadline(&self, mood: Mood) -> Option<Moment> {
        let report = self.waits.iter().filter_map(|wait| match wait.want {
            Want::Stopped { report_at, .. } | Want::Restarted { report_at, .. } => Some(report_at),
            Want::Condition { until, .. } => until,
            Want::Forked | Want::Running | Want::Delivered { .. } | Want::Succeeded => None,
        });
        report.chain(self.process.deadline(mood)).chain(self.process.readiness_deadline()).min()
    }
}

/// Decides what happens to every process; see the module's comment for what it does not do.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) mood: Mood,
    pub(super) next_process: u64,
    pub(super) next_group: u64,
    pub(super) groups: BTreeMap<GroupKey, Group>,
    pub(super) group_names: BTreeMap<String, GroupKey>,
    pub(super) slots: BTreeMap<ProcessId, Slot>,
    pub(super) pending: BTreeMap<RequestId, Pending>,
    pub(super) deadlines: BTreeSet<(Moment, ProcessId)>,
    pub(super) dirty: BTreeSet<ProcessId>,
    /// Set while the daemon ends.
    pub(super) leaving: Option<Leaving>,
    pub(super) halted: bool,
    /// After the worker's death: processes whose last `Spawn` or `Kill` may not have reached the keeper, with the
    /// attempt it belonged to.
    pub(super) unconfirmed: BTreeMap<ProcessId, u32>,
    /// A program ended in this input for whose end the daemon is to end.
    pub(super) has_ender: bool,
    /// The rate of automatic starts.
    throttle: Throttle,
    /// Processes whose child is to be asked whether it is ready.
    pub(super) asked: BTreeSet<ProcessId>,
    /// Processes that need others by their rules.
    pub(super) needy: BTreeSet<ProcessId>,
    /// Processes whose start waits for what they need.
    pub(super) held: BTreeSet<ProcessId>,
    /// Processes whose stop waits for those that need them.
    pub(super) parting: BTreeSet<ProcessId>,
    /// Requests whose next stage is to be told when this input is done with.
    pub(super) staged: Vec<RequestId>,
    /// Kept for its allocation.
    turns: Vec<Turn>,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}

impl Engine {
    /// An engine without groups, running.
    #[must_use]
    pub fn new() -> Engine {
        Engine {
            mood: Mood::Running,
            next_process: 1,
            next_group: 1,
            groups: BTreeMap::new(),
            group_names: BTreeMap::new(),
            slots: BTreeMap::new(),
            pending: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            dirty: BTreeSet::new(),
            leaving: None,
            halted: false,
            unconfirmed: BTreeMap::new(),
            has_ender: false,
            throttle: Throttle::default(),
            asked: BTreeSet::new(),
            needy: BTreeSet::new(),
            held: BTreeSet::new(),
            parting: BTreeSet::new(),
            staged: Vec::new(),
            turns: Vec::new(),
        }
    }

    /// Applies `input` at `now` and appends what the worker must do, in order. Never fails: what does not fit is
    /// dropped, what cannot be meant leaves a `bug: ` line.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Request { id, request } => self.request(now, id, request, effects),
            Input::Forget { id } => self.forget(id),
            Input::Spawned { process, pid, at } => self.step(now, process, Step::Spawned { pid, at }, effects),
            Input::SpawnFailed { process, error } => self.step(now, process, Step::SpawnFailed(error), effects),
            Input::ExecFailed { process, pid, error } => {
                self.step(now, process, Step::ExecFailed { pid, error }, effects);
            }
            Input::Exited { process, pid, exit, at } => {
                self.step(now, process, Step::Exited { pid, exit, at }, effects);
            }
            Input::Followed { process, pid, heir, at } => {
                self.step(now, process, Step::Followed { pid, heir, at }, effects);
            }
            Input::Swept { process, pid } => self.step(now, process, Step::Swept { pid }, effects),
            Input::Signalled { process, pid, signal } => self.delivered(now, process, pid, signal, effects),
            Input::KillFailed { process, pid, signal, text } => {
                self.step(now, process, Step::KillFailed { pid, signal, text }, effects);
            }
            Input::Answered { process, attempt } => self.step(now, process, Step::Answered { attempt }, effects),
            Input::Reached { process, attempt } => self.reached(now, process, attempt, effects),
            Input::Deadline => {
                // A group whose listeners' time is over is stopped first: its members may be due at once.
                self.advance_leaving(now, effects);
                self.run_deadlines(now, effects);
            }
            Input::Begin { groups } => self.begin(now, groups, effects),
            Input::Shutdown => self.leave(now, Mood::Shutdown, effects),
            Input::Restart => self.leave(now, Mood::Restarting, effects),
            Input::Renew { process, pid } => self.renew(now, process, pid, effects),
            Input::Quiet { group } => self.release(&group),
        }
        self.follow_up(now, effects);
    }

    /// What others are to be told by what has happened, until nothing happens any more.
    pub(super) fn follow_up(&mut self, now: Now, effects: &mut Vec<Effect>) {
        loop {
            while let Some(id) = self.staged.pop() {
                self.advance_stages(now, id, effects);
            }
            self.end_with_its_program(now, effects);
            self.advance_leaving(now, effects);
            let parted = self.settle_parting(now, effects);
            let released = self.settle_held(now, effects);
            if !parted && !released && self.staged.is_empty() {
                return;
            }
        }
    }

    /// When `Input::Deadline` is next due; `None` while only events can move anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        let leaving = self.leaving.as_ref().and_then(Leaving::deadline);
        first.into_iter().chain(leaving).min()
    }

    /// How many automatic starts there may be a second, over all programs and not counting the first one of each after
    /// a run that lasted; zero: any number. Five seconds' worth may come at once.
    pub fn set_restart_rate(&mut self, per_second: u32) {
        self.throttle = Throttle::new(per_second);
    }

    #[must_use]
    pub fn mood(&self) -> Mood {
        self.mood
    }

    /// The id that the next new process gets; for the journal.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.next_process
    }

    /// Which processes changed since the last call. One without a `record` is gone.
    pub fn take_dirty(&mut self) -> Vec<ProcessId> {
        std::mem::take(&mut self.dirty).into_iter().collect()
    }

    /// What the journal must keep of a process.
    #[must_use]
    pub fn record(&self, process: ProcessId) -> Option<ProcessRecord> {
        self.slots.get(&process).map(|slot| slot.process.record.clone())
    }

    #[must_use]
    pub fn find(&self, group: &str, name: &str) -> Option<ProcessId> {
        self.group_named(group)?.by_name.get(name).copied()
    }

    #[must_use]
    pub fn process(&self, process: ProcessId) -> Option<ProcessView<'_>> {
        let slot = self.slots.get(&process)?;
        let group = self.groups.get(&slot.group)?;
        Some(ProcessView::new(&slot.process, &group.name, slot.process.deadline(self.mood)))
    }

    /// All processes by (group, name) in byte order: the order of `getAllProcessInfo`.
    pub fn processes(&self) -> impl Iterator<Item = ProcessView<'_>> {
        let groups = self.group_names.values().filter_map(|key| self.groups.get(key));
        groups.flat_map(|group| group.by_name.values()).filter_map(|process| self.process(*process))
    }

    /// All processes and those beside them (see [`ProcessView::role`]), in the order in which they were made.
    pub fn everybody(&self) -> impl Iterator<Item = ProcessView<'_>> {
        self.slots.keys().filter_map(|process| self.process(*process))
    }

    /// All processes, groups by ascending priority, members by ascending priority: the order of requests to all.
    pub fn processes_by_priority(&self) -> impl Iterator<Item = ProcessView<'_>> {
        self.members_of_all().into_iter().filter_map(|process| self.process(process))
    }

    /// The groups in order of creation.
    pub fn groups(&self) -> impl Iterator<Item = GroupView<'_>> {
        self.groups.values().map(GroupView::new)
    }

    #[must_use]
    pub fn group(&self, name: &str) -> Option<GroupView<'_>> {
        self.group_named(name).map(GroupView::new)
    }

    /// The members of a group by ascending priority, the order of requests to it; `None` without such a group.
    #[must_use]
    pub fn group_members(&self, name: &str) -> Option<&[ProcessId]> {
        self.group_named(name).map(|group| group.by_priority.as_slice())
    }

    /// The rules of a group and of its members as they hold now; for the journal.
    #[must_use]
    pub fn spec(&self, name: &str) -> Option<GroupSpec> {
        let group = self.group_named(name)?;
        let members = group.members.iter().filter_map(|process| self.slots.get(process));
        let member =
            |slot: &Slot| MemberSpec { name: slot.process.record.name.clone(), policy: slot.process.policy.clone() };
        Some(GroupSpec {
            name: group.name.clone(),
            priority: group.priority,
            members: members.map(member).collect(),
            listens: group.listens,
        })
    }

    pub(super) fn group_named(&self, name: &str) -> Option<&Group> {
        self.groups.get(self.group_names.get(name)?)
    }

    /// Groups by ascending priority, ties in creation order.
    pub(super) fn groups_by_priority(&self) -> Vec<GroupKey> {
        let mut keys: Vec<(i64, GroupKey)> = self.groups.iter().map(|(key, group)| (group.priority, *key)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    pub(super) fn members_of_all(&self) -> Vec<ProcessId> {
        let groups = self.groups_by_priority();
        let groups = groups.iter().filter_map(|key| self.groups.get(key));
        groups.flat_map(|group| group.by_priority.iter().copied()).collect()
    }

    pub(super) fn state(&self, process: ProcessId) -> Option<ProcessState> {
        self.slots.get(&process).map(|slot| slot.process.state())
    }

    fn begin(&mut self, now: Now, groups: Vec<GroupSpec>, effects: &mut Vec<Effect>) {
        if self.mood != Mood::Running {
            return;
        }
        for spec in groups {
            self.create_group(spec, effects);
        }
        effects.push(Effect::Event(Event::SupervisorRunning));
        for key in self.groups_by_priority() {
            self.autostart(now, key, effects);
        }
    }

    /// Makes the group unless there is one of that name.
    pub(super) fn create_group(&mut self, spec: GroupSpec, effects: &mut Vec<Effect>) -> Option<GroupKey> {
        let name = spec.name.clone();
        let key = self.place_group(spec, Vec::new())?;
        effects.push(Effect::GroupAdded { group: name.clone() });
        effects.push(Effect::Event(Event::GroupAdded { group: name }));
        Some(key)
    }

    /// Starts the members that were never started and want to be.
    pub(super) fn autostart(&mut self, now: Now, key: GroupKey, effects: &mut Vec<Effect>) {
        let members = self.groups.get(&key).map(|group| group.members.clone()).unwrap_or_default();
        for process in members {
            if self.slots.get(&process).is_some_and(|slot| slot.process.wants_autostart(self.mood)) {
                self.start_with_needs(now, process, effects);
            }
        }
    }

    /// Puts a group in its place, its members with the records given or new ones. Of two members with one name the
    /// later rules count, at the earlier place.
    pub(super) fn place_group(&mut self, spec: GroupSpec, records: Vec<ProcessRecord>) -> Option<GroupKey> {
        if self.group_names.contains_key(&spec.name) {
            return None;
        }
        let key = GroupKey(self.next_group);
        self.next_group += 1;
        let (beside, records): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.beside.is_some());
        let mut records: BTreeMap<String, ProcessRecord> =
            records.into_iter().map(|record| (record.name.clone(), record)).collect();
        let mut group = Group {
            name: spec.name,
            priority: spec.priority,
            listens: spec.listens,
            members: Vec::new(),
            by_priority: Vec::new(),
            by_name: BTreeMap::new(),
            beside: Vec::new(),
            unstopped: 0,
        };
        for member in spec.members {
            let twin = group.by_name.get(&member.name).and_then(|twin| self.slots.get_mut(twin));
            if let Some(twin) = twin {
                twin.process.policy = member.policy;
                let process = twin.process.record.process;
                self.note_needs(process);
                continue;
            }
            let record = records.remove(&member.name).filter(|record| !self.slots.contains_key(&record.process));
            let record = record.unwrap_or_else(|| self.new_record(&member.name));
            group.unstopped += usize::from(!record.state.shown().is_stopped());
            group.members.push(record.process);
            group.by_name.insert(member.name, record.process);
            self.place_member(key, member.policy, record);
        }
        for record in beside {
            let Some(policy) = record.beside.as_ref().map(|beside| beside.policy.clone()) else { continue };
            if self.slots.contains_key(&record.process) {
                continue;
            }
            group.unstopped += usize::from(!record.state.shown().is_stopped());
            group.beside.push(record.process);
            self.place_member(key, policy, record);
        }
        group.by_priority = self.by_priority(&group.members);
        self.group_names.insert(group.name.clone(), key);
        self.groups.insert(key, group);
        Some(key)
    }

    pub(super) fn new_record(&mut self, name: &str) -> ProcessRecord {
        let process = ProcessId(self.next_process);
        self.next_process += 1;
        ProcessRecord::new(process, name.to_owned())
    }

    /// Puts one process in its place.
    pub(super) fn place_member(&mut self, key: GroupKey, policy: Policy, record: ProcessRecord) {
        let process = record.process;
        let slot = Slot { process: Process::new(policy, record), group: key, waits: Vec::new(), filed: None };
        self.slots.insert(process, slot);
        self.dirty.insert(process);
        self.file_deadline(process);
        self.note_asked(process);
        self.note_needs(process);
    }

    /// These members by ascending priority, ties in their order.
    pub(super) fn by_priority(&self, members: &[ProcessId]) -> Vec<ProcessId> {
        let mut sorted = members.to_vec();
        sorted.sort_by_key(|process| self.slots.get(process).map(|slot| slot.process.policy.priority));
        sorted
    }

    /// Forgets one process.
    pub(super) fn drop_slot(&mut self, process: ProcessId) {
        if let Some(slot) = self.slots.remove(&process)
            && let Some(at) = slot.filed
        {
            self.deadlines.remove(&(at, process));
        }
        self.unconfirmed.remove(&process);
        self.asked.remove(&process);
        self.note_needs(process);
        self.dirty.insert(process);
    }

    /// Lets one step happen to one process and tells those who wait for it. An unknown process is none of ours any
    /// more: its group was removed.
    pub(super) fn step(&mut self, now: Now, process: ProcessId, step: Step, effects: &mut Vec<Effect>) {
        if matches!(step, Step::Stop | Step::Halt) {
            self.call_off_succession(now, process, effects);
        }
        let Some(slot) = self.slots.get_mut(&process) else { return };
        let Some(group) = self.groups.get_mut(&slot.group) else { return };
        if matches!(step, Step::Spawned { .. } | Step::SpawnFailed(_) | Step::Followed { .. } | Step::Exited { .. }) {
            self.unconfirmed.remove(&process);
        }
        let was_stopped = slot.process.state().is_stopped();
        let mut turns = std::mem::take(&mut self.turns);
        let throttle = &mut self.throttle;
        let mut cx = Context { now, mood: self.mood, group: &group.name, throttle, effects, turns: &mut turns };
        if slot.process.handle(&mut cx, step) {
            self.dirty.insert(process);
        }
        self.has_ender |= slot.process.record.ends_daemon.is_some();
        match (was_stopped, slot.process.state().is_stopped()) {
            (true, false) => group.unstopped += 1,
            (false, true) => group.unstopped = group.unstopped.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
        for turn in &turns {
            self.settle(now, process, turn, effects);
        }
        turns.clear();
        self.turns = turns;
        self.note_asked(process);
        self.note_needs(process);
        self.settle_conditions(now, process, effects);
        self.file_deadline(process);
        self.finish_change(now, process, effects);
        self.advance_overlap(now, process, effects);
    }

    /// A signal is known to have been sent: that ends the first wait for it, or is noted by a waiting stop.
    fn delivered(&mut self, now: Now, process: ProcessId, pid: Pid, signal: i32, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        if slot.process.record.state.pid() != Some(pid) {
            return;
        }
        let Some(at) = slot.waits.iter().position(|wait| wait.want.expects(signal)) else { return };
        if let Some(Wait { want: Want::Stopped { delivered, .. } | Want::Restarted { delivered, .. }, .. }) =
            slot.waits.get_mut(at)
        {
            *delivered = true;
        } else {
            let wait = slot.waits.remove(at);
            self.conclude(now, wait.request, process, Ok(()), effects);
        }
    }

    /// Gives the outcome to those whose wait `turn` decides.
    fn settle(&mut self, now: Now, process: ProcessId, turn: &Turn, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        let mut decided = Vec::new();
        slot.waits.retain(|wait| {
            let result = wait.want.judge(turn);
            let undecided = result.is_none();
            decided.extend(result.map(|result| (wait.request, result)));
            undecided
        });
        for (request, result) in decided {
            self.conclude(now, request, process, result, effects);
        }
    }

    /// One outcome of a request is known; the last one completes the answer.
    pub(super) fn conclude(
        &mut self,
        now: Now,
        request: RequestId,
        process: ProcessId,
        result: Result<(), Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(outcome) = self.outcome(process, result) else { return };
        self.ordered_is_done(request, process);
        let Some(pending) = self.pending.get_mut(&request) else { return };
        pending.concluded(now.mono, outcome);
        if pending.is_complete() && pending.has_stages() {
            self.staged.push(request);
        } else if pending.is_complete()
            && let Some(pending) = self.pending.remove(&request)
        {
            effects.push(Effect::Answer { id: request, answer: pending.into_answer() });
        }
    }

    pub(super) fn outcome(&self, process: ProcessId, result: Result<(), Refusal>) -> Option<Outcome> {
        let view = self.process(process)?;
        Some(Outcome { process, group: view.group.to_owned(), name: view.name.to_owned(), result })
    }

    /// Files a process under its present deadline.
    pub(super) fn file_deadline(&mut self, process: ProcessId) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        let deadline = slot.deadline(self.mood);
        if slot.filed == deadline {
            return;
        }
        if let Some(at) = slot.filed {
            self.deadlines.remove(&(at, process));
        }
        if let Some(at) = deadline {
            self.deadlines.insert((at, process));
        }
        slot.filed = deadline;
    }

    fn run_deadlines(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let due: Vec<ProcessId> =
            self.deadlines.iter().take_while(|(at, _)| *at <= now.mono).map(|(_, process)| *process).collect();
        for process in due {
            self.step(now, process, Step::Due, effects);
            self.report_waiting(now, process, effects);
        }
        self.report_leaving(now, effects);
    }

    /// The log line of a client's wait for a stop.
    fn report_waiting(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        for wait in &mut slot.waits {
            if let Want::Stopped { report_at, .. } | Want::Restarted { report_at, .. } = &mut wait.want
                && *report_at <= now.mono
            {
                *report_at = now.mono + STOP_REPORT_SPACING;
                effects.push(Effect::Log(LogLine::waiting_to_stop(&slot.process.record.name)));
            }
        }
        self.file_deadline(process);
    }
}
