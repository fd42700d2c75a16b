//! Another configuration, applied process by process.

use std::time::Duration;

use galaxyd::engine::{
    AutoRestart, Effect, Engine, GroupChange, GroupSpec, Input, Mood, Policy, ProcessId, ProcessState as P, Refusal,
    Request, StopCause, Target, Then,
};

use crate::stage::{SIGTERM, Stage, TERMINATED, auto, group, millis, policy, results, running, three};

const SIGINT: i32 = 2;

fn reshape(spec: GroupSpec, renewed: &[&str]) -> Request {
    let renewed = renewed.iter().map(ToString::to_string).collect();
    Request::Update { changes: vec![GroupChange::Reshape { spec, renewed, restarted: Vec::new() }], wait: false }
}

fn rules(priority: i64) -> Policy {
    Policy { priority, startsecs: Duration::ZERO, ..policy() }
}

#[test]
fn new_rules_hold_at_once_and_nobody_is_stopped() {
    let (mut stage, [a, ..]) = three();
    let quick = Policy { stopsignal: SIGINT, stopwaitsecs: millis(500), ..rules(3) };
    stage.request(reshape(group("g", 7, &[("a", quick), ("b", rules(2)), ("c", rules(1))]), &[]));
    assert!(stage.kills().is_empty() && results(&stage).is_empty());
    assert_eq!(stage.engine.group("g").unwrap().priority, 7);
    stage.stop(Target::One(a), true);
    assert_eq!(stage.kills()[0].signal, SIGINT);
}

#[test]
fn a_renewed_process_is_stopped_by_its_former_rules_and_started_under_the_new_ones() {
    let (mut stage, [a, ..]) = three();
    let new = Policy { stopsignal: SIGINT, ..rules(3) };
    stage.request(reshape(group("g", 1, &[("a", new), ("b", rules(2)), ("c", rules(1))]), &["a"]));
    assert_eq!((stage.killed(), stage.kills()[0].signal), (vec!["a".to_owned()], SIGTERM));
    stage.exit(a, TERMINATED);
    assert_eq!(stage.announced(), [P::Stopped, P::Starting]);
    assert_eq!(stage.spawns(), [a]);
    assert_eq!(results(&stage), ["a: Ok(())"]);
    stage.forked(a);
    stage.stop(Target::One(a), false);
    assert_eq!(stage.kills()[0].signal, SIGINT);
}

#[test]
fn members_come_and_go_and_the_others_keep_their_children() {
    let (mut stage, [a, b, c]) = three();
    let before = stage.pid(b);
    let fresh = Policy { startsecs: Duration::ZERO, ..auto(AutoRestart::Never) };
    stage.request(reshape(group("g", 1, &[("b", rules(2)), ("c", rules(1)), ("d", fresh)]), &[]));
    assert_eq!(stage.killed(), ["a"]);
    let d = stage.find("g", "d");
    assert_eq!(stage.spawns(), [d]);
    stage.exit(a, TERMINATED);
    assert!(stage.engine.process(a).is_none() && stage.engine.find("g", "a").is_none());
    assert_eq!(stage.engine.group("g").unwrap().members, [b, c, d]);
    assert_eq!(stage.pid(b), before);
    assert_eq!(stage.engine.spec("g").unwrap().members.len(), 3);
}

#[test]
fn who_stops_a_process_while_it_is_renewed_keeps_it_stopped() {
    let (mut stage, [a, ..]) = three();
    stage.request(reshape(group("g", 1, &[("a", rules(3)), ("b", rules(2)), ("c", rules(1))]), &["a"]));
    stage.stop(Target::One(a), true);
    stage.exit(a, TERMINATED);
    assert_eq!((stage.state(a), stage.spawns()), (P::Stopped, vec![]));
}

#[test]
fn a_stop_by_hand_outlasts_an_update_and_a_failure_does_not() {
    let (mut stage, [a, b, _]) = three();
    stage.stop(Target::One(a), false);
    stage.exit(a, TERMINATED);
    stage.exit(b, TERMINATED);
    assert_eq!((stage.state(a), stage.state(b)), (P::Stopped, P::Exited));
    let auto = |priority| Policy { autostart: true, ..rules(priority) };
    stage.request(reshape(group("g", 1, &[("a", auto(3)), ("b", auto(2)), ("c", auto(1))]), &["a", "b"]));
    assert_eq!((stage.state(a), stage.spawns()), (P::Stopped, vec![b]));
}

#[test]
fn a_restart_that_is_waited_for_is_answered_when_it_runs() {
    let (mut stage, [a, ..]) = three();
    let spec = group("g", 1, &[("a", rules(3)), ("b", rules(2)), ("c", rules(1))]);
    let changes = vec![GroupChange::Reshape { spec, renewed: Vec::new(), restarted: vec!["a".to_owned()] }];
    stage.request(Request::Update { changes, wait: true });
    stage.signalled(a, SIGTERM);
    stage.exit(a, TERMINATED);
    assert_eq!(stage.answers(), []);
    stage.forked(a);
    assert_eq!(results(&stage), ["a: Ok(())"]);
}

#[test]
fn a_group_that_leaves_is_gone_when_its_last_member_is() {
    let (mut stage, [a, b, c]) = three();
    stage.request(Request::Update { changes: vec![GroupChange::Leave("g".to_owned())], wait: false });
    assert_eq!(stage.killed(), ["c", "b", "a"]);
    for process in [c, b] {
        stage.exit(process, TERMINATED);
    }
    assert!(stage.engine.is_shrinking());
    stage.start(Target::One(b), true);
    let refused = Err(Refusal::Failed("g:b is being removed by an update".to_owned()));
    assert_eq!(crate::stage::result(&stage), refused);
    stage.exit(a, TERMINATED);
    assert!(stage.engine.group("g").is_none() && !stage.engine.is_shrinking());
    assert!(stage.effects.iter().any(|effect| matches!(effect, Effect::GroupRemoved { .. })));
}

#[test]
fn a_child_that_cannot_be_signalled_keeps_its_process_in_sight() {
    let (mut stage, [a, ..]) = three();
    stage.request(reshape(group("g", 1, &[("b", rules(2)), ("c", rules(1))]), &[]));
    stage.kill_failed(a, SIGTERM);
    assert_eq!(stage.state(a), P::Unknown);
    assert!(!stage.engine.is_shrinking());
    stage.request(reshape(group("g", 1, &[("b", rules(2)), ("c", rules(1))]), &[]));
    assert!(stage.engine.process(a).is_none(), "asked a second time, it is let go as by remove");
}

#[test]
fn a_restart_that_is_waited_for_and_given_up_with_its_group_is_answered() {
    let (mut stage, [a, b, _]) = three();
    let spec = group("g", 1, &[("a", rules(3)), ("b", rules(2)), ("c", rules(1))]);
    let changes = vec![GroupChange::Reshape { spec, renewed: Vec::new(), restarted: vec!["a".to_owned()] }];
    stage.request(Request::Update { changes, wait: true });
    stage.signalled(a, SIGTERM);
    stage.request(Request::Update { changes: vec![GroupChange::Leave("g".to_owned())], wait: false });
    // So the group cannot leave, and all that was meant to happen is forgotten.
    stage.kill_failed(b, SIGTERM);
    stage.exit(a, TERMINATED);
    assert_eq!(results(&stage), ["a: Err(AbnormalTermination)"]);
}

#[test]
fn a_successor_finishes_what_was_begun() {
    let (mut stage, [a, b, c]) = three();
    stage.request(reshape(group("g", 1, &[("a", rules(3)), ("c", rules(1))]), &["a"]));
    let spec = stage.engine.spec("g").unwrap();
    let records = [a, c, b].iter().filter_map(|process| stage.engine.record(*process)).collect();
    stage.engine = Engine::restore(Mood::Running, vec![(spec, records)], stage.engine.next_id());
    assert_eq!((stage.view(a).then, stage.view(b).then), (Some(Then::Start), Some(Then::Leave)));
    stage.exit(a, TERMINATED);
    assert_eq!(stage.spawns(), [a]);
    stage.exit(b, TERMINATED);
    assert!(stage.engine.process(b).is_none());
}

#[test]
fn nothing_is_started_or_removed_while_the_daemon_ends() {
    let (mut stage, [a, b, c]) = three();
    stage.request(reshape(group("g", 1, &[("a", rules(3)), ("b", rules(2))]), &["a"]));
    stage.tell(Input::Shutdown);
    for process in [a, b, c] {
        stage.exit(process, TERMINATED);
    }
    assert!(stage.spawns().is_empty());
    assert!(stage.effects.iter().any(|effect| matches!(effect, Effect::Halted { .. })));
}

/// The only child of `p` has ended and its tree is being ended; it was up for a second, three seconds ago.
fn being_swept(stopped: bool) -> (Stage, ProcessId) {
    let (mut stage, process) = running(Policy { killtree: true, autostart: true, ..policy() });
    if stopped {
        stage.stop(Target::One(process), false);
    }
    stage.exit(process, TERMINATED);
    stage.pass(millis(3000));
    (stage, process)
}

#[test]
fn a_swept_process_is_renewed_when_nothing_is_left_of_its_tree() {
    let (mut stage, process) = being_swept(false);
    // No killtree any more: what was begun by the former rules is ended by them.
    let new = Policy { autostart: true, stopsignal: SIGINT, ..policy() };
    stage.request(reshape(group("p", 999, &[("p", new)]), &["p"]));
    assert_eq!((stage.announced(), stage.killed(), stage.spawns()), (vec![P::Stopping], vec![], vec![]));
    assert!(stage.answers().is_empty());
    assert_eq!(stage.view(process).stop_cause, Some(StopCause::Update));
    stage.swept(process);
    assert_eq!((stage.announced(), stage.spawns()), (vec![P::Stopped, P::Starting], vec![process]));
    assert_eq!(results(&stage), ["p: Ok(())"]);
    stage.forked(process);
    stage.wait(millis(1000));
    stage.exit(process, TERMINATED);
    assert_eq!(stage.state(process), P::Exited, "the new child is not swept");
}

#[test]
fn a_swept_process_that_was_stopped_stays_so_and_one_that_leaves_is_gone_after_the_sweep() {
    let (mut stage, process) = being_swept(true);
    let new = Policy { autostart: true, stopsignal: SIGINT, ..policy() };
    stage.request(reshape(group("p", 999, &[("p", new)]), &["p"]));
    stage.swept(process);
    assert_eq!((stage.announced(), stage.spawns()), (vec![P::Stopped], vec![]));

    let (mut stage, process) = being_swept(false);
    stage.request(Request::Update { changes: vec![GroupChange::Leave("p".to_owned())], wait: false });
    assert!(stage.engine.is_shrinking() && stage.engine.process(process).is_some());
    stage.swept(process);
    assert!(!stage.engine.is_shrinking() && stage.engine.group("p").is_none());
}

#[test]
fn a_live_update_leaves_a_sweep_alone_and_its_new_rules_judge_the_end() {
    let (mut stage, process) = being_swept(false);
    let new = Policy { autorestart: AutoRestart::Always, ..policy() };
    stage.request(reshape(group("p", 999, &[("p", new)]), &[]));
    assert!(stage.announced().is_empty() && stage.kills().is_empty());
    stage.swept(process);
    assert_eq!((stage.announced(), stage.spawns()), (vec![P::Exited, P::Starting], vec![process]));
}

#[test]
fn a_listener_of_no_use_is_replaced_whatever_autorestart_says() {
    let (mut stage, [a, b, _]) = three();
    let pid = stage.pid(a);
    stage.tell(Input::Renew { process: b, pid });
    assert_eq!(stage.killed(), [""; 0], "it is another one's child");
    stage.tell(Input::Renew { process: a, pid });
    assert_eq!((stage.killed(), stage.state(a)), (vec!["a".to_owned()], P::Stopping));
    stage.tell(Input::Renew { process: a, pid });
    assert_eq!(stage.killed(), [""; 0], "once is enough");
    stage.exit(a, TERMINATED);
    assert_eq!((stage.announced(), stage.spawns()), (vec![P::Stopped, P::Starting], vec![a]));
    stage.forked(a);
    // Who stops it in between keeps it stopped.
    stage.tell(Input::Renew { process: a, pid: stage.pid(a) });
    stage.stop(Target::One(a), false);
    stage.exit(a, TERMINATED);
    assert_eq!((stage.state(a), stage.spawns()), (P::Stopped, vec![]));
    stage.tell(Input::Renew { process: a, pid });
    assert_eq!(stage.state(a), P::Stopped);
    stage.tell(Input::Shutdown);
    let pid = stage.pid(b);
    stage.tell(Input::Renew { process: b, pid });
    stage.exit(b, TERMINATED);
    assert_eq!((stage.state(b), stage.spawns()), (P::Stopped, vec![]), "nothing is started while the daemon ends");
}
