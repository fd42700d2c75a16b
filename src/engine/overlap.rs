//! A successor beside a process: when it is ready it takes the process's place, and the other one is stopped.
//!
//! Names are labels of processes in their group. A successor is a process of its own under the same name that is no member: it
//! is not asked for by name and not listed. Taking the place exchanges the member. Whoever has part in an overlap carries that in
//! its record ([`Beside`]), so that a worker's successor goes on with it. Whatever stops the member, a client, an update or
//! the daemon's end, calls the overlap off and ends the successor too.

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::group::GroupKey;
use super::input::{Effect, LogLine, Mood, ProcessId, Refusal};
use super::needs::Needs;
use super::pacing::{OnEnd, Restarts};
use super::policy::{AutoRestart, Kind, Policy};
use super::process::Step;
use super::readiness::{Condition, Standing};
use super::record::State;
use super::request::Verdict;
use super::state::ProcessState;
use super::time::Now;
use super::wait::Want;

/// What a process is that stands beside the member of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// It takes the member's place when it is ready.
    Successor,
    /// It is ended, for this reason, and the member stays.
    Failed { why: String },
    /// Its place was taken, and it is stopped.
    Retired,
}

impl Role {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Role::Successor => "successor",
            Role::Failed { .. } => "failed successor",
            Role::Retired => "retired",
        }
    }
}

/// The part of a process in an overlap. Its rules are here, as no group's specification has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beside {
    pub(super) role: Role,
    pub(super) policy: Policy,
}

/// The rules of a successor: one try, and its end ends nobody. It waits for nothing: what it needs, the process beside it
/// has already.
fn on_probation(policy: &Policy) -> Policy {
    let restarts = Restarts { limit: None, on_fatal: OnEnd::Ignore, on_exit: OnEnd::Ignore, ..policy.restarts };
    let needs = Needs::default();
    Policy { autorestart: AutoRestart::Never, startretries: -1, restarts, needs, ..policy.clone() }
}

fn lives(state: State) -> bool {
    matches!(state, State::Spawning | State::Starting { .. } | State::Running { .. })
}

impl Engine {
    /// What `Request::Succeed` comes to.
    pub(super) fn succeed(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) -> Verdict {
        let Some(slot) = self.slots.get(&process) else { return Verdict::Absent };
        let (key, record, policy) = (slot.group, &slot.process.record, &slot.process.policy);
        let Some(group) = self.groups.get(&key) else { return Verdict::Absent };
        let refused = |text: &str| Verdict::Now(Err(Refusal::Failed(format!("{} {text}", record.name))));
        if group.listens || policy.kind != Kind::Service {
            return refused("is no service: nobody can take over from it");
        }
        if record.beside.is_some() || self.beside(key, &record.name).is_some() {
            return refused("is being succeeded already");
        }
        let is_leaving = record.change.is_some() || slot.process.is_parting() || record.ordered.is_some();
        if is_leaving || !matches!(record.state, State::Running { .. }) {
            return Verdict::Now(Err(Refusal::NotRunning));
        }
        let (name, group_name, policy) = (record.name.clone(), group.name.clone(), on_probation(policy));
        effects.push(Effect::Log(LogLine::succeeding(&name).noted(Some(process))));
        effects.push(Effect::GroupChanged { group: group_name, settled: Vec::new(), removed: Vec::new() });
        let mut record = self.new_record(&name);
        record.beside = Some(Box::new(Beside { role: Role::Successor, policy: policy.clone() }));
        let successor = record.process;
        if let Some(group) = self.groups.get_mut(&key) {
            group.beside.push(successor);
        }
        self.place_member(key, policy, record);
        self.step(now, successor, Step::Start, effects);
        Verdict::Later(Want::Succeeded)
    }

    /// Who stands beside the member of this name.
    fn beside(&self, key: GroupKey, name: &str) -> Option<ProcessId> {
        let beside = self.groups.get(&key)?.beside.iter();
        beside.copied().find(|process| self.slots.get(process).is_some_and(|slot| slot.process.record.name == name))
    }

    /// The member beside whom this one stands.
    fn member_beside(&self, process: ProcessId) -> Option<ProcessId> {
        let slot = self.slots.get(&process)?;
        self.groups.get(&slot.group)?.by_name.get(&slot.process.record.name).copied()
    }

    /// Whether somebody stands beside this member.
    pub(super) fn has_beside(&self, process: ProcessId) -> bool {
        let slot = self.slots.get(&process);
        slot.is_some_and(|slot| self.beside(slot.group, &slot.process.record.name).is_some())
    }

    /// A member is told to stop: nobody takes its place any more.
    pub(super) fn call_off_succession(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get(&process).filter(|slot| slot.process.record.beside.is_none()) else { return };
        let successor = self.beside(slot.group, &slot.process.record.name);
        let Some(successor) = successor.filter(|other| self.role(*other) == Some(&Role::Successor)) else { return };
        let why = format!("{} was told to stop meanwhile", slot.process.record.name);
        self.end_successor(now, successor, why, effects);
    }

    fn role(&self, process: ProcessId) -> Option<&Role> {
        self.slots.get(&process)?.process.record.beside.as_ref().map(|beside| &beside.role)
    }

    /// Goes on with an overlap after a step of one that has part in it.
    pub(super) fn advance_overlap(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        let Some(role) = self.role(process) else { return };
        let Some(slot) = self.slots.get(&process) else { return };
        let is_over = slot.process.state().is_stopped();
        match role {
            // Its group's turn comes, in the daemon's order.
            Role::Successor if self.mood != Mood::Running && lives(slot.process.record.state) => {}
            Role::Successor if self.mood != Mood::Running => {
                self.end_successor(now, process, "the daemon ends".to_owned(), effects);
            }
            Role::Successor if matches!(slot.process.record.state, State::Backoff { .. }) => {
                self.end_successor(now, process, self.reason(process), effects);
            }
            Role::Successor => match slot.process.standing(Condition::Ready, self.mood) {
                // For the world, the name is RUNNING all along.
                Standing::Met if slot.process.state() == ProcessState::Running => {
                    self.take_place(now, process, effects);
                }
                Standing::Missed => self.end_successor(now, process, self.reason(process), effects),
                Standing::Met | Standing::Pending => {}
            },
            Role::Failed { .. } | Role::Retired if is_over => self.end_overlap(now, process, effects),
            Role::Failed { .. } | Role::Retired => {}
        }
    }

    /// Why a successor is of no use.
    fn reason(&self, process: ProcessId) -> String {
        let Some(slot) = self.slots.get(&process) else { return String::new() };
        let record = &slot.process.record;
        match (record.last_exit, &record.spawnerr, slot.process.policy.ready) {
            (Some(last), ..) => {
                format!("the successor of {} ended: {}", record.name, last.exit)
            }
            (None, Some(error), _) => format!("the successor of {} could not be started: {error}", record.name),
            (None, None, Some(rule)) => format!(
                "the successor of {} has not become ready in {} seconds (ready_timeout)",
                record.name,
                rule.timeout.as_secs_f64()
            ),
            (None, None, None) => format!("the successor of {} was stopped", record.name),
        }
    }

    fn end_successor(&mut self, now: Now, successor: ProcessId, why: String, effects: &mut Vec<Effect>) {
        let member = self.member_beside(successor);
        let Some(slot) = self.slots.get_mut(&successor) else { return };
        effects.push(Effect::Log(LogLine::not_succeeded(&slot.process.record.name, &why).noted(member)));
        if let Some(beside) = &mut slot.process.record.beside {
            beside.role = Role::Failed { why };
        }
        self.dirty.insert(successor);
        self.step(now, successor, Step::Stop, effects);
    }

    /// The successor becomes the member, and who was that is stopped.
    fn take_place(&mut self, now: Now, successor: ProcessId, effects: &mut Vec<Effect>) {
        let Some((key, name)) = self.slots.get(&successor).map(|slot| (slot.group, slot.process.record.name.clone()))
        else {
            return;
        };
        let Some(group) = self.groups.get_mut(&key) else { return };
        let Some(incumbent) = group.by_name.insert(name.clone(), successor) else { return };
        group.replace(incumbent, successor);
        effects.push(Effect::GroupChanged { group: group.name.clone(), settled: Vec::new(), removed: Vec::new() });
        let Some(slot) = self.slots.get_mut(&incumbent) else { return };
        let policy = slot.process.policy.clone();
        slot.process.record.beside = Some(Box::new(Beside { role: Role::Retired, policy: policy.clone() }));
        let pid = slot.process.record.state.pid();
        let (moved, stay) =
            std::mem::take(&mut slot.waits).into_iter().partition(|wait| matches!(wait.want, Want::Condition { .. }));
        slot.waits = stay;
        self.dirty.extend([incumbent, successor]);
        if let Some(slot) = self.slots.get_mut(&successor) {
            slot.process.policy = policy;
            slot.process.record.beside = None;
            slot.waits.extend::<Vec<_>>(moved);
            for wait in &slot.waits {
                if let Some(pending) = self.pending.get_mut(&wait.request) {
                    pending.waits_for(incumbent, successor);
                }
            }
            let line = LogLine::succeeded(&name, slot.process.record.state.pid(), pid);
            effects.push(Effect::Log(line.noted(Some(successor))));
        }
        self.note_needs(successor);
        self.settle_conditions(now, successor, effects);
        self.file_deadline(successor);
        self.step(now, incumbent, Step::Stop, effects);
    }

    /// Somebody beside has ended: whoever waits for the outcome is told, and it is forgotten. One that no signal reaches is
    /// kept in sight until it is gone.
    fn end_overlap(&mut self, now: Now, process: ProcessId, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get(&process) else { return };
        let (key, lives) = (slot.group, slot.process.record.state.pid().is_some());
        let name = slot.process.record.name.clone();
        let (waiter, result) = match self.role(process) {
            Some(Role::Failed { why }) => (self.member_beside(process), Err(Refusal::Failed(why.clone()))),
            _ if lives => (Some(process), Err(Refusal::Failed(format!("the former {name} cannot be stopped")))),
            _ => (Some(process), Ok(())),
        };
        if let Some(waiter) = waiter {
            self.tell_outcome(now, waiter, &result, effects);
        }
        if lives {
            return self.give_up_leaving(now, key, &name, effects);
        }
        if self.role(process) == Some(&Role::Retired) {
            effects.push(Effect::Log(LogLine::overlapped(&name).noted(self.member_beside(process))));
        }
        self.drop_slot(process);
        let Some(group) = self.groups.get_mut(&key) else { return };
        group.beside.retain(|other| *other != process);
        let (member, first) = (group.by_name.get(&name).copied(), group.members.first().copied());
        effects.push(Effect::GroupChanged { group: group.name.clone(), settled: Vec::new(), removed: vec![process] });
        // An update that removes the member, or the group, may have waited for it.
        for waiting in member.into_iter().chain(first) {
            self.finish_change(now, waiting, effects);
        }
    }

    /// Concludes the requests that wait for a succession, which are kept with the process that was to be succeeded.
    fn tell_outcome(&mut self, now: Now, process: ProcessId, result: &Result<(), Refusal>, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&process) else { return };
        let (told, stay): (Vec<_>, Vec<_>) =
            std::mem::take(&mut slot.waits).into_iter().partition(|wait| matches!(wait.want, Want::Succeeded));
        slot.waits = stay;
        for wait in told {
            self.conclude(now, wait.request, process, result.clone(), effects);
        }
    }
}
