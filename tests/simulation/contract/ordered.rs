//! A stop that waits between priorities.

use galaxyd::engine::{Input, Refusal, Request};

use super::recovery::successor;
use crate::stage::{Stage, TERMINATED, auto, group, result, results, three};

#[test]
fn each_rank_is_told_when_the_one_above_has_stopped() {
    let (mut stage, [a, b, c]) = three();
    stage.request(Request::StopOrdered { processes: vec![c, b, a] });
    assert_eq!(stage.killed(), ["a"]);
    stage.exit(a, TERMINATED);
    assert_eq!(stage.killed(), ["b"]);
    stage.exit(b, TERMINATED);
    assert_eq!(stage.killed(), ["c"]);
    assert_eq!(stage.answers(), []);
    stage.exit(c, TERMINATED);
    assert_eq!(results(&stage), ["a: Ok(())", "b: Ok(())", "c: Ok(())"]);
}

#[test]
fn those_of_one_rank_are_told_together_and_groups_come_before_members() {
    let rules = |priority| galaxyd::engine::Policy {
        priority,
        startsecs: std::time::Duration::ZERO,
        ..auto(galaxyd::engine::AutoRestart::Never)
    };
    let mut stage =
        Stage::new(vec![group("low", 1, &[("x", rules(999))]), group("high", 2, &[("y", rules(1)), ("z", rules(1))])]);
    let all = [stage.find("low", "x"), stage.find("high", "y"), stage.find("high", "z")];
    for process in all {
        stage.forked(process);
    }
    stage.request(Request::StopOrdered { processes: all.to_vec() });
    assert_eq!(stage.killed(), ["y", "z"]);
    stage.exit(all[1], TERMINATED);
    assert!(stage.killed().is_empty());
    stage.exit(all[2], TERMINATED);
    assert_eq!(stage.killed(), ["x"]);
}

#[test]
fn what_does_not_run_is_passed_over() {
    let (mut stage, [a, b, c]) = three();
    stage.stop(galaxyd::engine::Target::One(b), false);
    stage.exit(b, TERMINATED);
    stage.request(Request::StopOrdered { processes: vec![a, b, c] });
    stage.exit(a, TERMINATED);
    assert_eq!(stage.killed(), ["c"]);
}

#[test]
fn a_client_that_goes_away_leaves_the_later_ranks_running() {
    let (mut stage, [a, b, _]) = three();
    let id = stage.request(Request::StopOrdered { processes: vec![a, b] });
    stage.tell(Input::Forget { id });
    stage.exit(a, TERMINATED);
    assert!(stage.killed().is_empty());
    assert!(stage.engine.interrupted_stops().is_empty(), "a successor leaves them alone, too");
}

#[test]
fn who_was_told_before_is_waited_for() {
    let (mut stage, [a, b, c]) = three();
    stage.stop(galaxyd::engine::Target::One(a), false);
    stage.request(Request::StopOrdered { processes: vec![a, b, c] });
    assert!(stage.killed().is_empty());
    stage.exit(a, TERMINATED);
    assert_eq!(stage.killed(), ["b"]);
}

#[test]
fn a_new_worker_goes_on_where_the_former_one_was() {
    for is_told in [true, false] {
        let (mut stage, [a, b, c]) = three();
        stage.request(Request::StopOrdered { processes: vec![a, b, c] });
        stage.exit(a, TERMINATED);
        let spec = stage.engine.spec("g").expect("the group of the three");
        stage.engine = successor(&stage, galaxyd::engine::Mood::Running, spec);
        let (now, mut effects) = (stage.now(), Vec::new());
        let last = if is_told { crate::stage::SIGTERM } else { 0 };
        stage.engine.resume_signalled(now, b, last, &mut effects);
        stage.engine.resume(now, &mut effects);
        assert_eq!(stage.engine.interrupted_stops(), [vec![b, c]]);
        stage.request(Request::StopOrdered { processes: vec![b, c] });
        assert!(stage.killed().is_empty(), "b was told before, or when its child was taken over");
        stage.exit(b, TERMINATED);
        assert_eq!(stage.killed(), ["c"]);
        stage.exit(c, TERMINATED);
        assert!(stage.engine.interrupted_stops().is_empty());
    }
}

#[test]
fn an_ordered_stop_passes_nobody_over_who_is_being_succeeded_when_it_begins() {
    let (mut stage, [a, b, _]) = three();
    stage.request(Request::Succeed { process: b });
    let [successor] = stage.engine.group("g").expect("the group of the three").beside[..] else {
        panic!("no successor")
    };
    let ordered = stage.request(Request::StopOrdered { processes: vec![a, b] });
    // Without startsecs it would take the place at once, before it is its member's turn.
    stage.forked(successor);
    assert_eq!((stage.find("g", "b"), stage.kills().len()), (b, 1), "the successor is ended instead");
    stage.exit(successor, TERMINATED);
    stage.request(Request::Succeed { process: b });
    assert_eq!(result(&stage), Err(Refusal::NotRunning), "nor is another one made meanwhile");
    stage.exit(a, TERMINATED);
    assert_eq!(stage.killed(), ["b"]);
    stage.exit(b, TERMINATED);
    assert!(stage.answers().iter().any(|(id, _)| *id == ordered), "{:?}", stage.answers());
    assert!(stage.engine.everybody().all(|view| view.name == "c" || view.state.is_stopped()));
}
