//! What clients ask for: checks in Supervisor's order, immediate results, and what is left to wait for.

use std::collections::BTreeMap;

use super::engine::Engine;
use super::group::Group;
use super::input::{Answer, Effect, Event, LogLine, Mood, ProcessId, Refusal, Request, RequestId, SpawnError, Target};
use super::policy::GroupSpec;
use super::process::Step;
use super::record::State;
use super::state::ProcessState;
use super::time::Now;
use super::view::namespec;
use super::wait::{Pending, STOP_REPORT_SPACING, Wait, Want};

/// What a request comes to at one process.
pub(super) enum Verdict {
    Now(Result<(), Refusal>),
    Later(Want),
    /// A request to several does not apply to this one: it is absent from the answer.
    Absent,
}

/// Whether a request names one process, or several of which only the fitting ones are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    One,
    Several,
}

/// In which order the processes of a request come, each with its place in the answer.
type Order = fn(&Engine, Vec<ProcessId>) -> Vec<(usize, ProcessId)>;

fn in_their_places(_: &Engine, processes: Vec<ProcessId>) -> Vec<(usize, ProcessId)> {
    processes.into_iter().enumerate().collect()
}

impl Engine {
    pub(super) fn request(&mut self, now: Now, id: RequestId, request: Request, effects: &mut Vec<Effect>) {
        if self.pending.contains_key(&id) {
            effects.push(Effect::Log(LogLine::bug(&format!("request {id} came twice"))));
            return;
        }
        if self.mood != Mood::Running {
            answer(effects, id, Answer::Refused(Refusal::ShutdownState));
            return;
        }
        match request {
            Request::Start { target, wait, checked } => {
                let checked: BTreeMap<ProcessId, SpawnError> = checked.into_iter().collect();
                let order = Engine::needed_first;
                self.each(
                    id,
                    Pending::new(now.mono, wait),
                    (&target, order),
                    effects,
                    |engine, process, scope, effects| {
                        engine.start(now, process, scope, wait, checked.get(&process), effects)
                    },
                );
            }
            Request::Stop { target, wait } => {
                let order = Engine::dependents_first;
                self.each(
                    id,
                    Pending::new(now.mono, wait),
                    (&target, order),
                    effects,
                    |engine, process, scope, effects| engine.stop(now, process, scope, wait, effects),
                );
            }
            Request::StopOrdered { processes } => self.stop_ordered(now, id, processes, effects),
            Request::Retry { processes, wait } => {
                let meant = (self.needed_first(processes), Scope::Several);
                self.each_of(id, Pending::new(now.mono, wait), meant, effects, |engine, process, scope, effects| {
                    if engine.state(process) != Some(ProcessState::Fatal) {
                        return Verdict::Absent;
                    }
                    engine.start(now, process, scope, wait, None, effects)
                });
            }
            Request::Await { processes, condition, within } => {
                let meant = (in_their_places(self, processes), Scope::Several);
                let until = within.map(|within| now.mono + within);
                self.each_of(id, Pending::new(now.mono, true), meant, effects, |engine, process, _, _| {
                    engine.awaits(process, condition, until)
                });
            }
            Request::Succeed { process } => {
                let (pending, target) = (Pending::new(now.mono, true), Target::One(process));
                let meant = (&target, in_their_places as Order);
                self.each(id, pending, meant, effects, |engine, process, _, effects| {
                    engine.succeed(now, process, effects)
                });
            }
            Request::Signal { target, signal } => {
                let meant = (&target, in_their_places as Order);
                self.each(id, Pending::new(now.mono, false), meant, effects, |engine, process, scope, effects| {
                    engine.signal(now, process, scope, signal, effects)
                });
            }
            Request::AddGroup(spec) => self.add_group(now, id, spec, effects),
            Request::RemoveGroup(name) => self.remove_group(now, id, &name, effects),
            Request::Update { changes, wait } => self.update(now, id, changes, wait, effects),
            Request::AddMembers { group, members } => self.add_members(now, (id, &group), members, effects),
            Request::RemoveMember(process) => self.remove_member(now, id, process, effects),
            Request::Shutdown => {
                answer(effects, id, Answer::Done);
                self.leave(now, Mood::Shutdown, effects);
            }
            Request::Restart => {
                answer(effects, id, Answer::Done);
                self.leave(now, Mood::Restarting, effects);
            }
        }
    }

    /// Nobody waits for this request any more; what it set off goes on.
    pub(super) fn forget(&mut self, id: RequestId) {
        let Some(pending) = self.pending.remove(&id) else { return };
        for process in pending.open() {
            if let Some(slot) = self.slots.get_mut(&process) {
                slot.waits.retain(|wait| wait.request != id);
            }
            self.ordered_is_done(id, process);
            self.file_deadline(process);
        }
        if pending.has_stages() {
            self.end_ordered(id);
        }
    }

    /// Asks `one` about every process of the target, in order, and answers or waits.
    fn each<F>(
        &mut self,
        id: RequestId,
        pending: Pending,
        (target, order): (&Target, Order),
        effects: &mut Vec<Effect>,
        one: F,
    ) where
        F: Fn(&mut Engine, ProcessId, Scope, &mut Vec<Effect>) -> Verdict,
    {
        match self.targets(target) {
            Some((processes, scope)) => self.each_of(id, pending, (order(self, processes), scope), effects, one),
            None => answer(effects, id, Answer::Refused(Refusal::BadName)),
        }
    }

    fn each_of<F>(
        &mut self,
        id: RequestId,
        mut pending: Pending,
        (processes, scope): (Vec<(usize, ProcessId)>, Scope),
        effects: &mut Vec<Effect>,
        one: F,
    ) where
        F: Fn(&mut Engine, ProcessId, Scope, &mut Vec<Effect>) -> Verdict,
    {
        let mut waiting = Vec::new();
        for (rank, process) in processes {
            match one(self, process, scope, effects) {
                Verdict::Now(result) => {
                    if let Some(outcome) = self.outcome(process, result) {
                        pending.decided_at_once(rank, outcome);
                    }
                }
                Verdict::Later(want) => {
                    if let Some(slot) = self.slots.get_mut(&process) {
                        if matches!(want, Want::Stopped { .. }) {
                            waiting.push(LogLine::waiting_to_stop(&slot.process.record.name));
                        }
                        slot.waits.push(Wait { request: id, want });
                        pending.wait_for(rank, process);
                    }
                    self.file_deadline(process);
                }
                Verdict::Absent => {}
            }
        }
        // All are signalled before the first wait is mentioned.
        effects.extend(waiting.into_iter().map(Effect::Log));
        if pending.is_complete() {
            answer(effects, id, pending.into_answer());
        } else {
            self.pending.insert(id, pending);
        }
    }

    fn targets(&self, target: &Target) -> Option<(Vec<ProcessId>, Scope)> {
        match target {
            Target::One(process) => self.slots.contains_key(process).then(|| (vec![*process], Scope::One)),
            Target::Group(name) => Some((self.group_members(name)?.to_vec(), Scope::Several)),
            Target::All => Some((self.members_of_all(), Scope::Several)),
        }
    }

    fn start(
        &mut self,
        now: Now,
        process: ProcessId,
        scope: Scope,
        wait: bool,
        checked: Option<&SpawnError>,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        let Some(state) = self.state(process) else { return Verdict::Absent };
        if scope == Scope::Several && state.is_running() {
            return Verdict::Absent;
        }
        if let Some(error) = checked {
            return Verdict::Now(Err(Refusal::Spawn(error.clone())));
        }
        if state.is_running() {
            return Verdict::Now(Err(Refusal::AlreadyStarted));
        }
        if state.is_stopped() && self.is_leaving(process) {
            let name = self.process(process).map(|view| view.namespec()).unwrap_or_default();
            return Verdict::Now(Err(Refusal::Failed(format!("{name} is being removed by an update"))));
        }
        if state == ProcessState::Unknown {
            return Verdict::Now(Err(Refusal::Failed(self.unknown_state_text(process))));
        }
        self.start_with_needs(now, process, effects);
        match (state, wait) {
            (ProcessState::Stopping, true) => Verdict::Now(Err(Refusal::AbnormalTermination)),
            (ProcessState::Stopping, false) => Verdict::Now(Ok(())),
            (_, true) => Verdict::Later(Want::Running),
            (_, false) => Verdict::Later(Want::Forked),
        }
    }

    fn unknown_state_text(&self, process: ProcessId) -> String {
        let name = self.process(process).map(|view| namespec(view.group, view.name)).unwrap_or_default();
        format!("{name} is in an unknown process state")
    }

    pub(super) fn stop(
        &mut self,
        now: Now,
        process: ProcessId,
        scope: Scope,
        wait: bool,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        let Some(state) = self.state(process) else { return Verdict::Absent };
        self.call_off_start(process);
        // Also when it is not running: a stop calls off a restart that is held back.
        self.stop_in_order(now, process, effects);
        if !state.is_running() {
            return match scope {
                Scope::One => Verdict::Now(Err(Refusal::NotRunning)),
                Scope::Several => Verdict::Absent,
            };
        }
        let Some(slot) = self.slots.get(&process) else { return Verdict::Absent };
        let signal = slot.process.rules().stopsignal;
        let parts = slot.process.is_parting();
        let forked = match slot.process.record.state {
            State::Stopping { .. } => true,
            State::Cancelled => false,
            // It is told when those that need it have stopped.
            State::Starting { .. } | State::Running { .. } if parts => false,
            State::Stopped
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal
            | State::Unknown { .. } => return Verdict::Now(Ok(())),
        };
        if wait {
            let report_at = now.mono + STOP_REPORT_SPACING;
            return Verdict::Later(Want::Stopped { signal, delivered: false, report_at });
        }
        // Without a child there is no signal yet that could fail.
        if forked { Verdict::Later(Want::Delivered { signal }) } else { Verdict::Now(Ok(())) }
    }

    fn signal(
        &mut self,
        now: Now,
        process: ProcessId,
        scope: Scope,
        signal: i32,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        let Some(slot) = self.slots.get(&process) else { return Verdict::Absent };
        if !slot.process.state().is_signallable() {
            return match scope {
                Scope::One => Verdict::Now(Err(Refusal::NotRunning)),
                Scope::Several => Verdict::Absent,
            };
        }
        if slot.process.record.state.pid().is_none() {
            let name = &slot.process.record.name;
            let signal = super::signal::signal_name(signal);
            return Verdict::Now(Err(Refusal::Failed(format!(
                "attempted to send {name} sig {signal} but it wasn't running"
            ))));
        }
        self.step(now, process, Step::Signal(signal), effects);
        Verdict::Later(Want::Delivered { signal })
    }

    fn add_group(&mut self, now: Now, id: RequestId, spec: GroupSpec, effects: &mut Vec<Effect>) {
        match self.create_group(spec, effects) {
            Some(key) => {
                answer(effects, id, Answer::Done);
                self.autostart(now, key, effects);
            }
            None => answer(effects, id, Answer::Refused(Refusal::AlreadyAdded)),
        }
    }

    fn remove_group(&mut self, now: Now, id: RequestId, name: &str, effects: &mut Vec<Effect>) {
        let Some(group) = self.group_named(name) else {
            answer(effects, id, Answer::Refused(Refusal::BadName));
            return;
        };
        if group.unstopped > 0 {
            answer(effects, id, Answer::Refused(Refusal::StillRunning));
            return;
        }
        self.drop_group(now, name, effects);
        answer(effects, id, Answer::Done);
    }

    /// Forgets a group whose members are all stopped.
    pub(super) fn drop_group(&mut self, now: Now, name: &str, effects: &mut Vec<Effect>) {
        let members: Vec<_> = self.group_named(name).into_iter().flat_map(Group::everybody).collect();
        for process in &members {
            self.end_conditions(now, *process, effects);
        }
        if self.group_names.remove(name).and_then(|key| self.groups.remove(&key)).is_none() {
            return;
        }
        for process in &members {
            self.drop_slot(*process);
        }
        effects.push(Effect::GroupRemoved { group: name.to_owned(), processes: members });
        effects.push(Effect::Event(Event::GroupRemoved { group: name.to_owned() }));
    }
}

pub(super) fn answer(effects: &mut Vec<Effect>, id: RequestId, answer: Answer) {
    effects.push(Effect::Answer { id, answer });
}
