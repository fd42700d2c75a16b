//! Another configuration, applied process by process.
//!
//! A process that must stop first carries what comes afterwards in its record ([`Change`]), so a successor of the worker
//! goes on with it. Nothing of this happens while the daemon ends: then everything stops anyway.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::Engine;
use super::group::GroupKey;
use super::input::{Effect, LogLine, Mood, Pid, ProcessId, Refusal, RequestId};
use super::policy::{AutoRestart, GroupSpec, Policy};
use super::process::Step;
use super::record::{Change, ProcessRecord, State, StopCause, Then};
use super::request::answer;
use super::time::Now;
use super::wait::{Pending, STOP_REPORT_SPACING, Wait, Want};

/// What an update makes of one group that exists; others are added by `Request::AddGroup`.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupChange {
    /// The group's rules and members from now on. A member that the spec does not name is stopped and removed; one that
    /// is new is started if it is to start with the daemon.
    Reshape {
        spec: GroupSpec,
        /// Members whose present child is not what the new configuration would spawn: started anew if they run, are to
        /// be restarted, or ended without having been stopped by someone and are to start with the daemon.
        renewed: Vec<String>,
        /// Members that are started anew whatever they are doing.
        restarted: Vec<String>,
    },
    /// All members are stopped, then the group is removed.
    Leave(String),
}

impl GroupChange {
    fn group(&self) -> &str {
        match self {
            GroupChange::Reshape { spec, .. } => &spec.name,
            GroupChange::Leave(name) => name,
        }
    }
}

/// What is done to a process of an update, after all rules are in place.
#[derive(Debug, Clone, Copy)]
struct Deed {
    process: ProcessId,
    then: Then,
}

/// How much a member of the new spec differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Treatment {
    Live,
    Renew,
    Restart,
}

impl Engine {
    pub(super) fn update(
        &mut self,
        now: Now,
        id: RequestId,
        changes: Vec<GroupChange>,
        wait: bool,
        effects: &mut Vec<Effect>,
    ) {
        let (mut deeds, mut starts) = (Vec::new(), Vec::new());
        let mut named = BTreeSet::new();
        for change in changes {
            if !named.insert(change.group().to_owned()) {
                effects.push(Effect::Log(LogLine::bug(&format!("an update names group '{}' twice", change.group()))));
                continue;
            }
            match change {
                GroupChange::Leave(name) => self.plan_leave(now, &name, &mut deeds, effects),
                GroupChange::Reshape { spec, renewed, restarted } => {
                    let treatment = |name: &str| {
                        let named = |names: &[String]| names.iter().any(|one| one == name);
                        match (named(&restarted), named(&renewed)) {
                            (true, _) => Treatment::Restart,
                            (false, true) => Treatment::Renew,
                            (false, false) => Treatment::Live,
                        }
                    };
                    self.reshape(spec, treatment, &mut deeds, &mut starts, effects);
                }
            }
        }
        let mut pending = Pending::new(now.mono, true);
        for (rank, deed) in deeds.into_iter().enumerate() {
            self.carry_out(now, id, rank, deed, wait, &mut pending, effects);
        }
        for process in starts {
            self.start_with_needs(now, process, effects);
        }
        self.settle_all_conditions(now, effects);
        if pending.is_complete() {
            answer(effects, id, pending.into_answer());
        } else {
            self.pending.insert(id, pending);
        }
    }

    /// Stops one process, or goes on at once if there is nothing to stop.
    #[expect(clippy::too_many_arguments, reason = "the engine's surroundings and the request's")]
    fn carry_out(
        &mut self,
        now: Now,
        id: RequestId,
        rank: usize,
        deed: Deed,
        wait: bool,
        pending: &mut Pending,
        effects: &mut Vec<Effect>,
    ) {
        let Deed { process, then } = deed;
        let Some(outcome) = self.outcome(process, Ok(())) else { return };
        let signal = self.slots.get(&process).map_or(0, |slot| slot.process.rules().stopsignal);
        self.step(now, process, Step::Stop, effects);
        let restarts = wait && then == Then::Start;
        let report_at = now.mono + STOP_REPORT_SPACING;
        let awaited = match self.slots.get(&process).map(|slot| slot.process.record.state) {
            Some(State::Stopping { .. } | State::Cancelled) if restarts => {
                Want::Restarted { signal, delivered: false, report_at }
            }
            Some(State::Stopping { .. } | State::Cancelled) => Want::Stopped { signal, delivered: false, report_at },
            Some(State::Spawning) if restarts => Want::Running,
            _ => {
                pending.decided_at_once(rank, outcome);
                return;
            }
        };
        if let Some(slot) = self.slots.get_mut(&process) {
            slot.waits.push(Wait { request: id, want: awaited });
            pending.wait_for(rank, process);
        }
        self.file_deadline(process);
    }

    fn plan_leave(&mut self, now: Now, name: &str, deeds: &mut Vec<Deed>, effects: &mut Vec<Effect>) {
        let Some(group) = self.group_named(name) else { return };
        if group.members.is_empty() {
            self.drop_group(now, name, effects);
            return;
        }
        for process in group.by_priority.clone() {
            self.mark(process, None, Then::LeaveWithGroup);
            deeds.push(Deed { process, then: Then::LeaveWithGroup });
        }
    }

    /// Puts the new rules of a group in place and says what has to be done to its processes.
    fn reshape(
        &mut self,
        spec: GroupSpec,
        treatment: impl Fn(&str) -> Treatment,
        deeds: &mut Vec<Deed>,
        starts: &mut Vec<ProcessId>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(&key) = self.group_names.get(&spec.name) else { return };
        let Some(mut group) = self.groups.remove(&key) else { return };
        // Of two members with one name the later rules count, at the earlier place.
        let mut rules: BTreeMap<String, Policy> = BTreeMap::new();
        let mut order = Vec::new();
        for member in spec.members {
            if rules.insert(member.name.clone(), member.policy).is_none() {
                order.push(member.name);
            }
        }
        let leaving: Vec<ProcessId> =
            group.members.iter().copied().filter(|process| !self.is_named(*process, &rules)).collect();
        group.priority = spec.priority;
        group.listens = spec.listens;
        group.members.clear();
        let mut thens = BTreeMap::new();
        for name in order {
            let Some(policy) = rules.remove(&name) else { continue };
            if let Some(&process) = group.by_name.get(&name) {
                group.members.push(process);
                thens.extend(self.judge(process, policy, treatment(&name)).map(|then| (process, then)));
            } else {
                let record = self.new_record(&name);
                group.members.push(record.process);
                if policy.autostart {
                    starts.push(record.process);
                }
                group.by_name.insert(name, record.process);
                self.place_member(key, policy, record);
            }
        }
        for process in leaving {
            group.members.push(process);
            self.mark(process, None, Then::Leave);
            thens.insert(process, Then::Leave);
        }
        group.by_priority = self.by_priority(&group.members);
        let told = group.by_priority.iter().filter_map(|process| Some((*process, *thens.get(process)?)));
        deeds.extend(told.map(|(process, then)| Deed { process, then }));
        self.groups.insert(key, group);
        effects.push(Effect::GroupChanged { group: spec.name, settled: Vec::new(), removed: Vec::new() });
    }

    fn is_named(&self, process: ProcessId, rules: &BTreeMap<String, Policy>) -> bool {
        self.slots.get(&process).is_some_and(|slot| rules.contains_key(&slot.process.record.name))
    }

    /// Gives a member its new rules; says what has to be done to it, if anything.
    fn judge(&mut self, process: ProcessId, policy: Policy, treatment: Treatment) -> Option<Then> {
        let starts = self.starts(process, treatment, policy.autostart);
        if policy.ready.is_none() {
            self.forget_readiness(process);
        }
        let slot = self.slots.get_mut(&process)?;
        let former = std::mem::replace(&mut slot.process.policy, policy);
        self.note_needs(process);
        let slot = self.slots.get_mut(&process)?;
        let record = &mut slot.process.record;
        let then = record.change.as_ref().map(|change| change.then);
        // An earlier update removes it and this one wants it back.
        let returns = matches!(then, Some(Then::Leave | Then::LeaveWithGroup));
        if starts {
            self.mark(process, Some(former), Then::Start);
            return Some(Then::Start);
        }
        match record.state {
            State::Stopping { .. } | State::Cancelled => {
                // Whoever stopped it did so under the former rules, and it stays stopped.
                let back = if slot.process.policy.autostart { Then::Start } else { Then::Stay };
                let then = if returns { back } else { then.unwrap_or(Then::Stay) };
                if former != slot.process.policy || returns || treatment == Treatment::Renew {
                    self.mark(process, Some(former), then);
                }
            }
            State::Exited { restart_at: Some(_) } if slot.process.policy.autorestart == AutoRestart::Never => {
                record.state = State::Exited { restart_at: None };
                self.dirty.insert(process);
                self.file_deadline(process);
            }
            _ if returns => {
                record.change = None;
                self.dirty.insert(process);
            }
            _ => {}
        }
        None
    }

    /// Whether a `Reshape` with these rules would start the process, stopping it first if it runs: what a rehearsal of
    /// an update must know. `renewed` and `restarted` as in [`GroupChange::Reshape`].
    #[must_use]
    pub fn update_starts(&self, process: ProcessId, renewed: bool, restarted: bool, autostart: bool) -> bool {
        let treatment = match (restarted, renewed) {
            (true, _) => Treatment::Restart,
            (false, true) => Treatment::Renew,
            (false, false) => Treatment::Live,
        };
        self.starts(process, treatment, autostart)
    }

    fn starts(&self, process: ProcessId, treatment: Treatment, autostart: bool) -> bool {
        let Some(record) = self.slots.get(&process).map(|slot| &slot.process.record) else { return false };
        let never_started = record.state == State::Stopped && record.started.is_none() && autostart;
        let returns = self.is_leaving(process);
        match (record.state, treatment) {
            (State::Unknown { .. }, _) => false,
            (_, Treatment::Restart) => true,
            (State::Stopping { .. } | State::Cancelled, _) => false,
            _ if returns => autostart,
            (_, Treatment::Live) | (State::Stopped, Treatment::Renew) => never_started,
            (State::Spawning | State::Starting { .. } | State::Running { .. } | State::Backoff { .. }, _) => true,
            (State::Exited { restart_at }, Treatment::Renew) => restart_at.is_some() || autostart,
            (State::Fatal, Treatment::Renew) => autostart,
        }
    }

    /// Stops a running child and starts another one, unless something else is already in store for the process.
    pub(super) fn renew(&mut self, now: Now, process: ProcessId, pid: Pid, effects: &mut Vec<Effect>) {
        let record = self.slots.get(&process).map(|slot| &slot.process.record);
        let is_meant = |record: &ProcessRecord| record.state == State::Running { pid } && record.change.is_none();
        if self.mood == Mood::Running && record.is_some_and(is_meant) {
            self.mark(process, None, Then::Start);
            self.step(now, process, Step::Stop, effects);
        }
    }

    /// Notes what comes after the process is stopped; `former` are the rules until then, if they are others.
    fn mark(&mut self, process: ProcessId, former: Option<Policy>, then: Then) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        let former = match slot.process.record.change.take() {
            Some(change) => change.former,
            None => former.unwrap_or_else(|| slot.process.policy.clone()),
        };
        slot.process.record.change = Some(Box::new(Change { former, then }));
        if matches!(slot.process.record.state, State::Unknown { .. }) {
            // No stop of this update made it so: nothing is to be waited for.
            slot.process.record.stop_cause = None;
        }
        self.dirty.insert(process);
    }

    /// Whether an update removes this process.
    #[must_use]
    pub fn is_leaving(&self, process: ProcessId) -> bool {
        let change = self.slots.get(&process).and_then(|slot| slot.process.record.change.as_ref());
        change.is_some_and(|change| matches!(change.then, Then::Leave | Then::LeaveWithGroup))
    }

    /// Whether an update still waits for a process that it removes.
    #[must_use]
    pub fn is_shrinking(&self) -> bool {
        self.slots.keys().any(|process| self.is_leaving(*process))
    }

    /// A client's stop of a process that would start again by itself, for an update or with what it needs: it stays stopped.
    pub(super) fn call_off_start(&mut self, process: ProcessId) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        if std::mem::take(&mut slot.process.record.follows) {
            self.dirty.insert(process);
        }
        if let Some(change) = slot.process.record.change.as_mut().filter(|change| change.then == Then::Start) {
            change.then = Then::Stay;
            slot.process.record.stop_cause = Some(StopCause::Request);
            self.dirty.insert(process);
        }
    }

    /// Goes on with what an update has in store for a process, if it is stopped by now.
    pub(super) fn finish_change(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get(&process) else { return };
        if !slot.process.state().is_stopped() {
            return;
        }
        let Some(then) = slot.process.record.change.as_ref().map(|change| change.then) else {
            // Another update took the change over, and gave it up.
            return self.disappoint(now, process, effects);
        };
        let unknown = matches!(slot.process.record.state, State::Unknown { .. });
        // A child that our stop signal did not reach may live on: it must neither run twice nor vanish from sight.
        let stuck = unknown && slot.process.record.stop_cause == Some(StopCause::Update);
        let ending = self.mood != Mood::Running;
        let Some(group) = self.groups.get(&slot.group) else { return };
        let (key, name, unstopped) = (slot.group, group.name.clone(), group.unstopped);
        let members = group.members.clone();
        if then == Then::Start && !unknown && !ending {
            let waits = self.take_restarts(process);
            self.forget_change(process);
            effects.push(Effect::GroupChanged { group: name, settled: vec![process], removed: Vec::new() });
            self.step(now, process, Step::Start, effects);
            if let Some(slot) = self.slots.get_mut(&process) {
                slot.waits.extend(waits.into_iter().map(|request| Wait { request, want: Want::Running }));
            }
            self.file_deadline(process);
            return;
        }
        self.disappoint(now, process, effects);
        match then {
            _ if ending => self.forget_change(process),
            Then::LeaveWithGroup if stuck => members.into_iter().for_each(|member| self.forget_change(member)),
            Then::LeaveWithGroup if unstopped == 0 => self.drop_group(now, &name, effects),
            Then::LeaveWithGroup => {}
            Then::Leave if stuck => self.forget_change(process),
            // `end_overlap` comes back to it.
            Then::Leave if self.has_beside(process) => {}
            Then::Leave => {
                self.end_conditions(now, process, effects);
                if let Some(group) = self.groups.get_mut(&key) {
                    group.members.retain(|member| *member != process);
                    group.by_priority.retain(|member| *member != process);
                    group.by_name.retain(|_, member| *member != process);
                }
                self.drop_slot(process);
                effects.push(Effect::GroupChanged { group: name, settled: Vec::new(), removed: vec![process] });
            }
            Then::Start | Then::Stay => {
                self.forget_change(process);
                effects.push(Effect::GroupChanged { group: name, settled: vec![process], removed: Vec::new() });
            }
        }
    }

    /// Somebody beside the member of this name lives on, whom no signal reaches: neither the member nor its group may vanish
    /// from sight.
    pub(super) fn give_up_leaving(&mut self, now: Now, key: GroupKey, name: &str, effects: &mut Vec<Effect>) {
        let members = self.groups.get(&key).map(|group| group.members.clone()).unwrap_or_default();
        for member in members {
            let Some(record) = self.slots.get(&member).map(|slot| &slot.process.record) else { continue };
            let stays = match record.change.as_ref().map(|change| change.then) {
                Some(Then::LeaveWithGroup) => true,
                Some(Then::Leave) => record.name == name,
                _ => false,
            };
            if stays {
                self.disappoint(now, member, effects);
                self.forget_change(member);
            }
        }
    }

    fn forget_change(&mut self, process: ProcessId) {
        if let Some(slot) = self.slots.get_mut(&process) {
            slot.process.record.change = None;
            self.dirty.insert(process);
        }
    }

    /// Whoever waits for this process's restart waits in vain.
    fn disappoint(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        for request in self.take_restarts(process) {
            self.conclude(now, request, process, Err(Refusal::AbnormalTermination), effects);
        }
    }

    /// The requests that wait for a restart of this process.
    fn take_restarts(&mut self, process: ProcessId) -> Vec<RequestId> {
        let Some(slot) = self.slots.get_mut(&process) else { return Vec::new() };
        let is_restart = |wait: &Wait| matches!(wait.want, Want::Restarted { .. });
        if !slot.waits.iter().any(is_restart) {
            return Vec::new();
        }
        let requests: Vec<RequestId> =
            slot.waits.iter().filter(|wait| is_restart(wait)).map(|wait| wait.request).collect();
        slot.waits.retain(|wait| !is_restart(wait));
        self.file_deadline(process);
        requests
    }
}
