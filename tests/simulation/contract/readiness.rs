//! Ready, not merely running: when a child counts as ready, and what those who wait for it are told.

use std::time::Duration;

use galaxyd::engine::{
    Answer, AutoRestart, Condition, Delay, Engine, GroupSpec, Input, MemberSpec, Mood, Policy, ProcessId,
    ProcessState as P, Readiness, ReadyRule, Refusal, Request, Restarts, Target,
};

use crate::stage::{Stage, code, millis, policy, result};

fn asked(timeout: u64, settle: u64) -> Policy {
    let rule = ReadyRule { timeout: millis(timeout), settle: millis(settle) };
    Policy { ready: Some(rule), startsecs: Duration::ZERO, ..policy() }
}

/// RUNNING, and asked.
fn started(timeout: u64, settle: u64) -> (Stage, ProcessId) {
    let (mut stage, process) = Stage::with_one(asked(timeout, settle));
    stage.start(Target::One(process), false);
    stage.forked(process);
    assert_eq!(stage.state(process), P::Running);
    (stage, process)
}

fn answers(stage: &mut Stage, process: ProcessId) {
    let attempt = stage.view(process).attempt;
    stage.tell(Input::Answered { process, attempt });
}

fn word(stage: &Stage, process: ProcessId) -> &'static str {
    stage.view(process).readiness.map_or("none", Readiness::word)
}

fn wait(stage: &mut Stage, process: ProcessId, condition: Condition, within: Option<Duration>) {
    stage.request(Request::Await { processes: vec![process], condition, within });
}

fn told(stage: &Stage) -> String {
    match result(stage) {
        Ok(()) => "ok".to_owned(),
        Err(Refusal::Failed(text)) => text,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_child_is_asked_until_it_has_answered_and_then_is_ready_until_it_ends() {
    let (mut stage, process) = started(5000, 0);
    assert_eq!(stage.engine.to_be_asked().count(), 1);
    wait(&mut stage, process, Condition::Ready, None);
    stage.wait(millis(2000));
    assert!(stage.answers().is_empty());
    answers(&mut stage, process);
    assert_eq!((told(&stage).as_str(), word(&stage, process)), ("ok", "ready"));
    assert_eq!(stage.log(), ["ready: p, 2.0 seconds after its start"]);
    assert_eq!((stage.engine.to_be_asked().count(), stage.engine.deadline()), (0, None));
    stage.exit(process, code(0));
    assert_eq!(word(&stage, process), "none");
}

#[test]
fn nobody_is_asked_who_does_not_want_it() {
    let (mut stage, process) = Stage::with_one(Policy { startsecs: Duration::ZERO, ..policy() });
    stage.start(Target::One(process), false);
    stage.forked(process);
    assert_eq!((stage.engine.to_be_asked().count(), word(&stage, process)), (0, "none"));
    wait(&mut stage, process, Condition::Ready, None);
    assert_eq!(told(&stage), "ok", "it runs, and that is all there is to know");
}

#[test]
fn who_settles_must_live_on() {
    let (mut stage, process) = started(5000, 1000);
    wait(&mut stage, process, Condition::Ready, None);
    answers(&mut stage, process);
    assert_eq!((word(&stage, process), stage.engine.to_be_asked().count()), ("settling", 0));
    stage.wait(millis(999));
    assert_eq!(word(&stage, process), "settling");
    stage.wait(millis(1));
    assert_eq!((word(&stage, process), told(&stage).as_str()), ("ready", "ok"));

    let (mut stage, process) = started(5000, 1000);
    wait(&mut stage, process, Condition::Ready, None);
    answers(&mut stage, process);
    stage.exit(process, code(0));
    assert_eq!(told(&stage), "p is EXITED, not ready");
}

#[test]
fn who_is_late_is_left_running_and_may_still_become_ready() {
    let (mut stage, process) = started(5000, 0);
    wait(&mut stage, process, Condition::Ready, None);
    stage.wait_for_deadline();
    assert_eq!((stage.state(process), word(&stage, process)), (P::Running, "late"));
    assert_eq!(stage.log(), ["not ready: p has not become ready in 5 seconds (ready_timeout); it is left running"]);
    assert_eq!(told(&stage), "p has not become ready in 5 seconds (ready_timeout)");
    assert_eq!(stage.engine.to_be_asked().count(), 1);
    answers(&mut stage, process);
    assert_eq!(word(&stage, process), "ready");
}

#[test]
fn the_answer_of_an_earlier_child_does_not_count() {
    let (mut stage, process) = started(5000, 0);
    let earlier = stage.view(process).attempt;
    stage.exit(process, code(0));
    stage.start(Target::One(process), false);
    stage.forked(process);
    stage.tell(Input::Answered { process, attempt: earlier });
    assert_eq!(word(&stage, process), "waiting");
}

#[test]
fn a_wait_ends_with_its_time_and_with_hope() {
    let (mut stage, process) = started(60_000, 0);
    wait(&mut stage, process, Condition::Ready, Some(millis(1500)));
    stage.wait_for_deadline();
    assert_eq!(told(&stage), "p is not ready in time");
    wait(&mut stage, process, Condition::Exited, None);
    assert!(stage.answers().is_empty());
    stage.stop(Target::One(process), false);
    assert!(stage.answers().iter().any(|(id, _)| *id == 3), "{:?}", stage.answers());
    wait(&mut stage, process, Condition::Running, None);
    assert_eq!(told(&stage), "p is STOPPING, not running");
}

#[test]
fn every_condition_has_its_states() {
    let (mut stage, process) = Stage::with_one(Policy { autostart: false, ..policy() });
    let told_of = |stage: &mut Stage| -> Vec<bool> {
        let one = |condition| {
            wait(stage, process, condition, None);
            matches!(stage.answers().as_slice(), [_]) && result(stage).is_ok()
        };
        Condition::ALL.map(one).to_vec()
    };
    assert_eq!(told_of(&mut stage), [false; 4]);
    stage.start(Target::One(process), false);
    assert_eq!(told_of(&mut stage), [false; 4]);
    stage.forked(process);
    assert_eq!(told_of(&mut stage), [true, false, false, false]);
    stage.wait(millis(1000));
    assert_eq!(told_of(&mut stage), [true, true, true, false]);
    stage.exit(process, code(0));
    assert_eq!(told_of(&mut stage), [true, false, false, true]);
    stage.start(Target::One(process), false);
    stage.forked(process);
    stage.wait(millis(1000));
    stage.exit(process, code(9));
    assert_eq!(told_of(&mut stage), [true, false, false, false]);
}

#[test]
fn a_successor_knows_what_was_known() {
    for (settle, answered, wanted) in [(0, false, "waiting"), (0, true, "ready"), (700, true, "settling")] {
        let (mut stage, process) = started(5000, settle);
        if answered {
            answers(&mut stage, process);
        }
        let record = serde_json::to_string(&stage.engine.record(process).unwrap()).unwrap();
        let member = MemberSpec { name: "p".to_owned(), policy: asked(5000, settle) };
        let spec = GroupSpec { name: "p".to_owned(), priority: 999, members: vec![member], listens: false };
        let records = vec![serde_json::from_str(&record).unwrap()];
        let engine = Engine::restore(Mood::Running, vec![(spec, records)], stage.engine.next_id());
        assert_eq!(engine.process(process).unwrap().readiness.map(Readiness::word), Some(wanted));
        assert_eq!(engine.to_be_asked().count(), usize::from(wanted == "waiting"));
        assert_eq!(engine.deadline().is_some(), wanted != "ready");
    }
}

/// EXITED, about to be started again, and waited for.
fn waited_for_between_two_runs() -> Stage {
    let delay = Delay { first: millis(2000), factor: 100, ceiling: millis(2000), jitter: 0 };
    let restarts = Restarts { delay: Some(delay), ..Restarts::default() };
    let (mut stage, process) = Stage::with_one(Policy { autorestart: AutoRestart::Always, restarts, ..asked(5000, 0) });
    stage.start(Target::One(process), false);
    stage.forked(process);
    stage.exit(process, code(1));
    assert_eq!(stage.state(process), P::Exited);
    wait(&mut stage, process, Condition::Ready, None);
    assert_eq!(stage.answers(), []);
    stage
}

fn told_of_failure(stage: &Stage) -> Vec<String> {
    let answers = stage.answers().into_iter().filter_map(|(_, answer)| match answer {
        Answer::Processes(outcomes) => {
            Some(format!("{:?}", outcomes.into_iter().map(|one| one.result).collect::<Vec<_>>()))
        }
        _ => None,
    });
    answers.collect()
}

#[test]
fn who_waits_for_a_process_that_is_removed_is_told_so() {
    let mut stage = waited_for_between_two_runs();
    stage.request(Request::RemoveGroup("p".to_owned()));
    assert_eq!(told_of_failure(&stage), ["[Err(Failed(\"p was removed\"))]"]);
}

#[test]
fn who_waits_for_a_start_that_the_daemons_end_prevents_is_told_so() {
    let mut stage = waited_for_between_two_runs();
    stage.request(Request::Shutdown);
    assert_eq!(told_of_failure(&stage), ["[Err(Failed(\"p is EXITED, not ready\"))]"]);
}
