//! What Supervisor does not have: oneshots, programs that go into the background, and exits that wait until the child's tree
//! is ended.

use galaxyd::engine::{
    AutoRestart, Effect, Engine, Exit, Heir, Input, Kind, Policy, ProcessId, ProcessState as P, Target,
};

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

fn forking() -> Policy {
    Policy { kind: Kind::Forking, ..policy() }
}

#[test]
fn what_a_forking_program_left_behind_is_up_when_it_has_lived_for_startsecs() {
    let (mut stage, process) = Stage::with_one(forking());
    stage.start(Target::One(process), true);
    stage.forked(process);
    stage.pass(millis(900));
    let heir = stage.followed(process);
    assert_eq!((stage.announced(), stage.pid(process)), (vec![], heir));
    stage.wait(millis(999));
    assert_eq!(stage.state(process), P::Starting);
    stage.wait(millis(1));
    assert_eq!((stage.announced(), result(&stage)), (vec![P::Running], Ok(())));
    stage.exit(process, code(1));
    assert_eq!((stage.announced(), stage.view(process).last_exit.unwrap().pid), (vec![P::Exited], heir));
}

#[test]
fn no_deadline_counts_while_what_goes_on_is_looked_for() {
    let (mut stage, process) = Stage::with_one(Policy { startretries: 0, ..forking() });
    stage.start(Target::One(process), false);
    let pid = stage.forked(process);
    let ended = stage.now();
    assert_eq!(stage.engine.seek(process, pid, code(0)), Some(Heir::First));
    assert_eq!(stage.engine.deadline(), None);
    stage.wait(millis(5000));
    assert_eq!(stage.state(process), P::Starting);
    stage.exit_at(process, code(0), ended);
    assert_eq!(stage.announced(), [P::Backoff, P::Fatal], "it is judged by when it ended");
}

#[test]
fn a_stop_reaches_what_goes_on_in_the_background_though_it_came_before() {
    let (mut stage, process) = Stage::with_one(forking());
    stage.start(Target::One(process), false);
    let first = stage.forked(process);
    stage.stop(Target::One(process), true);
    assert_eq!(stage.kills().iter().map(|kill| kill.pid).collect::<Vec<_>>(), [first]);
    assert_eq!(stage.engine.seek(process, first, code(0)), Some(Heir::First));
    let heir = stage.followed(process);
    assert_eq!(stage.kills().iter().map(|kill| (kill.pid, kill.signal)).collect::<Vec<_>>(), [(heir, SIGTERM)]);
    assert_eq!(stage.engine.seek(process, heir, code(0)), None);
    stage.exit(process, TERMINATED);
    assert_eq!((stage.announced(), result(&stage)), (vec![P::Stopped], Ok(())));
}

#[test]
fn only_the_good_end_of_a_forking_programs_first_child_may_mean_that_it_goes_on() {
    for (rules, exit, may) in [
        (forking(), code(0), true),
        (forking(), Exit::Unknown, true),
        (forking(), code(1), false),
        (forking(), TERMINATED, false),
        (policy(), code(0), false),
        (oneshot(1), code(0), false),
    ] {
        let (mut stage, process) = Stage::with_one(rules);
        assert_eq!(stage.engine.seek(process, 77, exit), None, "it has no child");
        stage.start(Target::One(process), false);
        let pid = stage.forked(process);
        assert_eq!(stage.engine.seek(process, pid, exit), may.then_some(Heir::First), "{exit:?}");
        assert_eq!(stage.engine.seek(process, pid + 1, exit), None, "another one's end");
    }
    let (mut stage, process) = Stage::with_one(forking());
    stage.start(Target::One(process), false);
    stage.forked(process);
    let between = stage.followed(process);
    assert_eq!(stage.engine.seek(process, between, code(0)), Some(Heir::First), "it may fork again");
    let heir = stage.followed(process);
    stage.wait(millis(1000));
    for (exit, wanted) in [(code(0), Heir::Only), (Exit::Unknown, Heir::Only), (TERMINATED, Heir::Named)] {
        assert_eq!(stage.engine.seek(process, heir, exit), Some(wanted), "{exit:?}: it was up");
    }
    stage.stop(Target::One(process), false);
    assert_eq!(stage.engine.seek(process, heir, code(0)), None, "it was told to stop");
}

#[test]
fn a_program_in_the_background_that_gives_its_place_to_another_process_goes_on_with_its_uptime() {
    let (mut stage, process) = Stage::with_one(forking());
    stage.start(Target::One(process), false);
    stage.forked(process);
    let first = stage.followed(process);
    stage.wait(millis(1000));
    let started = stage.view(process).started;
    stage.pass(millis(5000));
    assert_eq!(stage.engine.seek(process, first, TERMINATED), Some(Heir::Named));
    let second = stage.followed(process);
    assert_eq!((stage.announced(), stage.state(process), stage.pid(process)), (vec![], P::Running, second));
    assert_eq!(stage.view(process).started, started);
    assert_eq!(
        stage.log(),
        [format!("the main process of 'p' (pid {first}) has ended, and it goes on as pid {second}")]
    );
    assert_eq!(stage.engine.seek(process, second, code(0)), Some(Heir::Only), "and so on");
    stage.exit(process, code(0));
    assert_eq!(stage.announced(), [P::Exited]);
}

#[test]
fn a_successor_of_the_worker_knows_that_a_program_is_in_the_background() {
    let (mut stage, process) = Stage::with_one(forking());
    stage.start(Target::One(process), false);
    stage.forked(process);
    let heir = stage.followed(process);
    stage.wait(millis(1000));
    let spec = crate::stage::group("p", 999, &[("p", forking())]);
    let record = stage.engine.record(process).unwrap();
    let mut engine = Engine::restore(stage.engine.mood(), vec![(spec, vec![record])], stage.engine.next_id());
    assert_eq!(engine.process(process).unwrap().pid, Some(heir));
    assert_eq!(engine.seek(process, heir, code(0)), Some(Heir::Only), "it does not go there for the first time");
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
