//! What Supervisor does not have: oneshots, and exits that wait until the child's tree is ended.

use galaxyd::engine::{AutoRestart, Effect, Engine, Input, Kind, Policy, ProcessId, ProcessState as P, Target};

use crate::stage::{SIGTERM, Stage, TERMINATED, code, millis, policy, result, running, time_at};

fn oneshot(startretries: i64) -> Policy {
    let startsecs = std::time::Duration::ZERO;
    Policy { kind: Kind::Oneshot, startsecs, startretries, autorestart: AutoRestart::Unexpected, ..policy() }
}

fn sweeps(stage: &Stage) -> Vec<(i32, std::time::Duration)> {
    let sweeps = stage.effects.iter().filter_map(|effect| match effect {
        Effect::Sweep { signal, insist_at, .. } => Some((*signal, insist_at.0)),
        _ => None,
    });
    sweeps.collect()
}

#[test]
fn a_oneshot_that_ended_well_is_not_started_again_even_with_autorestart() {
    let (mut stage, process) = Stage::with_one(Policy { autorestart: AutoRestart::Always, ..oneshot(3) });
    stage.start(Target::One(process), true);
    stage.forked(process);
    assert_eq!(result(&stage), Ok(()));
    stage.exit(process, code(0));
    assert_eq!((stage.announced(), stage.engine.deadline()), (vec![P::Exited], None));
}

#[test]
fn a_oneshot_that_fails_waits_one_two_and_three_seconds_and_is_given_up() {
    let (mut stage, process) = Stage::with_one(oneshot(3));
    stage.start(Target::One(process), false);
    for wait in [1000, 2000, 3000] {
        stage.forked(process);
        stage.pass(millis(50_000));
        stage.exit(process, code(9));
        assert_eq!(stage.announced(), [P::Exited]);
        stage.wait(millis(wait - 1));
        assert_eq!(stage.spawns(), []);
        stage.wait(millis(1));
        assert_eq!(stage.spawns(), [process]);
    }
    stage.forked(process);
    stage.exit(process, code(9));
    assert_eq!(stage.announced(), [P::Exited, P::Fatal]);
    assert_eq!(stage.view(process).spawnerr, "Bad exit code 9");
    // Someone who starts it gets all tries again.
    stage.start(Target::One(process), false);
    stage.forked(process);
    stage.exit(process, code(9));
    assert_eq!(stage.announced(), [P::Exited]);
}

#[test]
fn a_oneshots_success_forgets_its_failures() {
    let (mut stage, process) = Stage::with_one(oneshot(1));
    stage.start(Target::One(process), false);
    stage.forked(process);
    stage.exit(process, code(1));
    stage.wait(millis(1000));
    stage.forked(process);
    stage.exit(process, code(0));
    assert_eq!(stage.view(process).backoff, 0);
}

fn sweeping() -> (Stage, ProcessId) {
    let (mut stage, process) = running(Policy { killtree: true, ..policy() });
    stage.stop(Target::One(process), true);
    stage.pass(millis(3000));
    stage.exit(process, TERMINATED);
    (stage, process)
}

#[test]
fn a_stop_is_answered_when_the_tree_is_ended_and_the_tree_has_as_long_as_the_child() {
    let (mut stage, process) = sweeping();
    // Up for a second, ten to stop.
    assert_eq!(sweeps(&stage), [(SIGTERM, millis(11_000))]);
    assert!(stage.answers().is_empty() && stage.announced().is_empty());
    stage.wait(millis(60_000));
    assert!(stage.kills().is_empty(), "nobody is there to be killed");
    stage.swept(process);
    assert_eq!((stage.announced(), result(&stage)), (vec![P::Stopped], Ok(())));
    let view = stage.view(process);
    assert_eq!(view.stopped.unwrap().mono.0, millis(4000), "when it was reaped");
}

#[test]
fn an_exit_by_itself_gives_the_tree_stopwaitsecs() {
    let (mut stage, process) = running(Policy { killtree: true, autorestart: AutoRestart::Always, ..policy() });
    stage.exit(process, code(1));
    assert_eq!(sweeps(&stage), [(SIGTERM, millis(11_000))]);
    assert!(stage.spawns().is_empty());
    stage.swept(process);
    assert_eq!(stage.spawns(), [process]);
}

#[test]
fn a_successor_of_the_worker_sweeps_again_and_takes_the_exit_only_once() {
    let (stage, process) = sweeping();
    let spec = crate::stage::group("p", 999, &[("p", Policy { killtree: true, ..policy() })]);
    let record = stage.engine.record(process).unwrap();
    let pid = stage.pid(process);
    let mut engine = Engine::restore(stage.engine.mood(), vec![(spec, vec![record])], stage.engine.next_id());
    let now = time_at(millis(5000));
    let mut effects = Vec::new();
    engine.handle(now, Input::Exited { process, pid, exit: code(7), at: now }, &mut effects);
    assert_eq!(effects, [], "the journal knew it");
    engine.resume(now, &mut effects);
    assert!(matches!(effects.as_slice(), [Effect::Sweep { .. }]), "{effects:?}");
    effects.clear();
    engine.handle(now, Input::Swept { process, pid }, &mut effects);
    let view = engine.process(process).unwrap();
    assert_eq!((view.state, view.exitstatus), (P::Stopped, Some(-1)));
}
