//! Members that come and go while their group stays.

use std::collections::BTreeSet;

use super::engine::{Engine, Slot};
use super::input::{Answer, Effect, ProcessId, Refusal, RequestId};
use super::policy::MemberSpec;
use super::process::Process;
use super::record::ProcessRecord;
use super::time::Now;

impl Engine {
    /// Puts new members at the end of a group and starts those that want it. All or none: a name that the group has, or
    /// that comes twice, refuses the request.
    pub(super) fn add_members(
        &mut self,
        now: Now,
        (id, name): (RequestId, &str),
        members: Vec<MemberSpec>,
        effects: &mut Vec<Effect>,
    ) {
        let answer = |effects: &mut Vec<Effect>, answer| effects.push(Effect::Answer { id, answer });
        let Some(key) = self.group_names.get(name).copied() else {
            return answer(effects, Answer::Refused(Refusal::BadName));
        };
        let Some(group) = self.groups.get_mut(&key) else {
            return answer(effects, Answer::Refused(Refusal::BadName));
        };
        let mut names = BTreeSet::new();
        if members.iter().any(|member| group.by_name.contains_key(&member.name) || !names.insert(member.name.clone())) {
            return answer(effects, Answer::Refused(Refusal::AlreadyAdded));
        }
        let mut added = Vec::new();
        for MemberSpec { name, policy } in members {
            let process = ProcessId(self.next_process);
            self.next_process += 1;
            let record = ProcessRecord::new(process, name.clone());
            let slot = Slot { process: Process::new(policy, record), group: key, waits: Vec::new(), filed: None };
            group.members.push(process);
            group.by_name.insert(name, process);
            self.slots.insert(process, slot);
            self.dirty.insert(process);
            added.push(process);
        }
        group.by_priority.clone_from(&group.members);
        group.by_priority.sort_by_key(|process| self.slots.get(process).map(|slot| slot.process.policy.priority));
        answer(effects, Answer::Done);
        for process in added {
            if self.slots.get(&process).is_some_and(|slot| slot.process.wants_autostart(self.mood)) {
                self.start_with_needs(now, process, effects);
            }
        }
    }

    /// Forgets one member, which must be stopped and without a child.
    pub(super) fn remove_member(&mut self, now: Now, id: RequestId, process: ProcessId, effects: &mut Vec<Effect>) {
        let answer = match self.slots.get(&process) {
            None => Answer::Refused(Refusal::BadName),
            Some(slot) if !slot.process.state().is_stopped() || slot.process.record.state.pid().is_some() => {
                Answer::Refused(Refusal::StillRunning)
            }
            Some(_) if self.has_beside(process) => Answer::Refused(Refusal::StillRunning),
            Some(_) => {
                self.end_conditions(now, process, effects);
                self.forget_member(process);
                Answer::Done
            }
        };
        effects.push(Effect::Answer { id, answer });
    }

    fn forget_member(&mut self, process: ProcessId) {
        let group = self.slots.get(&process).map(|slot| slot.group);
        self.drop_slot(process);
        if let Some(group) = group.and_then(|group| self.groups.get_mut(&group)) {
            group.members.retain(|member| *member != process);
            group.by_priority.retain(|member| *member != process);
            group.by_name.retain(|_, member| *member != process);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::{AutoRestart, GroupSpec, Input, Kind, Moment, Policy, Request};

    const NOW: Now = Now { mono: Moment(Duration::from_secs(100)), wall: 1_700_000_000 };

    fn member(name: &str, autostart: bool, priority: i64) -> MemberSpec {
        let policy = Policy {
            autostart,
            autorestart: AutoRestart::Unexpected,
            startsecs: Duration::from_secs(1),
            startretries: 3,
            exitcodes: vec![0],
            stopsignal: 15,
            stopwaitsecs: Duration::from_secs(10),
            stopasgroup: false,
            killasgroup: false,
            priority,
            kind: Kind::Service,
            killtree: false,
            restarts: crate::engine::Restarts::default(),
            ready: None,
            needs: crate::engine::Needs::default(),
        };
        MemberSpec { name: name.to_owned(), policy }
    }

    fn engine() -> Engine {
        let mut engine = Engine::new();
        let spec =
            GroupSpec { name: "g".to_owned(), priority: 999, members: vec![member("a", false, 5)], listens: false };
        engine.handle(NOW, Input::Begin { groups: vec![spec] }, &mut Vec::new());
        engine
    }

    fn ask(engine: &mut Engine, id: u64, request: Request) -> (Answer, usize) {
        let mut effects = Vec::new();
        engine.handle(NOW, Input::Request { id, request }, &mut effects);
        let spawns = effects.iter().filter(|effect| matches!(effect, Effect::Spawn { .. })).count();
        let answer = effects.into_iter().find_map(|effect| match effect {
            Effect::Answer { id: answered, answer } if answered == id => Some(answer),
            _ => None,
        });
        (answer.expect("an answer"), spawns)
    }

    fn add(names: &[(&str, bool, i64)]) -> Request {
        let members = names.iter().map(|(name, autostart, priority)| member(name, *autostart, *priority)).collect();
        Request::AddMembers { group: "g".to_owned(), members }
    }

    #[test]
    fn new_members_take_their_place_and_start_if_they_want() {
        let mut engine = engine();
        assert_eq!(ask(&mut engine, 1, add(&[("b", true, 1), ("c", false, 9)])), (Answer::Done, 1));
        let names = |engine: &Engine| -> Vec<String> {
            engine.processes_by_priority().map(|view| view.name.to_owned()).collect()
        };
        assert_eq!(names(&engine), ["b", "a", "c"]);
        assert_eq!(
            ask(&mut engine, 2, add(&[("d", true, 1), ("c", true, 9)])).0,
            Answer::Refused(Refusal::AlreadyAdded)
        );
        assert_eq!(
            ask(&mut engine, 3, add(&[("d", true, 1), ("d", true, 9)])).0,
            Answer::Refused(Refusal::AlreadyAdded)
        );
        assert_eq!(names(&engine), ["b", "a", "c"]);
        let nowhere = Request::AddMembers { group: "h".to_owned(), members: Vec::new() };
        assert_eq!(ask(&mut engine, 4, nowhere).0, Answer::Refused(Refusal::BadName));
    }

    #[test]
    fn only_a_stopped_member_can_be_removed() {
        let mut engine = engine();
        ask(&mut engine, 1, add(&[("b", true, 1)]));
        let (a, b) = (engine.find("g", "a").unwrap(), engine.find("g", "b").unwrap());
        assert_eq!(ask(&mut engine, 2, Request::RemoveMember(b)).0, Answer::Refused(Refusal::StillRunning));
        assert_eq!(ask(&mut engine, 3, Request::RemoveMember(a)).0, Answer::Done);
        assert_eq!((engine.find("g", "a"), engine.record(a).is_none()), (None, true));
        assert_eq!(ask(&mut engine, 4, Request::RemoveMember(a)).0, Answer::Refused(Refusal::BadName));
        assert!(engine.group("g").is_some());
    }
}
