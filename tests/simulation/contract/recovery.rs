//! Life after the worker's death, and what is journalled for it.

use galaxyd::engine::{AutoRestart, Effect, Engine, GroupSpec, Input, Mood, ProcessId, ProcessState as P, Target};

use crate::stage::{SIGHUP, SIGKILL, SIGTERM, Stage, TERMINATED, auto, group, millis, policy, running, three};

/// The engine of a new worker, from what the old one journalled.
pub(super) fn successor(stage: &Stage, mood: Mood, spec: GroupSpec) -> Engine {
    let members = stage.engine.group_members(&spec.name).expect("the group exists");
    let records = members.iter().filter_map(|process| stage.engine.record(*process)).collect();
    Engine::restore(mood, vec![(spec, records)], stage.engine.next_id())
}

#[test]
fn a_new_worker_repeats_only_the_stop_signal_that_was_not_sent() {
    for (last_signal, repeated) in [(0, 1), (SIGHUP, 1), (SIGTERM, 0), (SIGKILL, 0)] {
        let (mut stage, process) = running(policy());
        stage.stop(Target::One(process), true);
        stage.engine = successor(&stage, Mood::Running, group("p", 999, &[("p", policy())]));
        stage.effects.clear();
        let now = stage.now();
        stage.engine.resume_signalled(now, process, last_signal, &mut stage.effects);
        stage.engine.resume(now, &mut stage.effects);
        assert_eq!(stage.kills().len(), repeated, "last signal {last_signal}");
        assert_eq!(stage.state(process), P::Stopping);
    }
}

#[test]
fn a_new_worker_asks_again_for_a_spawn_that_the_keeper_never_heard_of() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), true);
    stage.engine = successor(&stage, Mood::Running, group("p", 999, &[("p", policy())]));
    stage.effects.clear();
    let now = stage.now();
    stage.engine.resume(now, &mut stage.effects);
    assert_eq!(stage.effects, [Effect::Spawn { process, attempt: 1 }]);
}

#[test]
fn a_new_worker_forgets_a_start_that_was_taken_back_before_the_keeper_heard_of_it() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), true);
    stage.stop(Target::One(process), true);
    stage.engine = successor(&stage, Mood::Running, group("p", 999, &[("p", policy())]));
    stage.effects.clear();
    let now = stage.now();
    stage.engine.resume(now, &mut stage.effects);
    assert_eq!((stage.announced(), stage.spawns()), (vec![P::Stopped], vec![]));
}

#[test]
fn a_new_worker_finishes_the_shutdown() {
    let (mut stage, process) = running(policy());
    stage.tell(Input::Shutdown);
    stage.engine = successor(&stage, Mood::Shutdown, group("p", 999, &[("p", policy())]));
    stage.exit(process, TERMINATED);
    let now = stage.now();
    let mut effects = std::mem::take(&mut stage.effects);
    stage.engine.resume(now, &mut effects);
    let halts = effects.iter().filter(|effect| **effect == Effect::Halted { mood: Mood::Shutdown }).count();
    assert_eq!(halts, 1);
}

#[test]
fn ids_are_never_given_twice() {
    let (stage, process) = Stage::with_one(policy());
    let mut engine = successor(&stage, Mood::Running, group("p", 999, &[("p", policy()), ("new", policy())]));
    assert_ne!(engine.find("p", "new"), Some(process));
    let mut dirty = engine.take_dirty();
    dirty.sort_unstable();
    assert_eq!(dirty, [process, engine.find("p", "new").expect("a member without a record is new")]);
}

#[test]
fn only_what_changed_is_dirty() {
    let (mut stage, [a, b, _]) = three();
    stage.engine.take_dirty();
    stage.stop(Target::One(b), true);
    assert_eq!(stage.engine.take_dirty(), [b]);
    stage.wait(millis(10));
    stage.start(Target::One(a), true);
    assert_eq!(stage.engine.take_dirty(), []);
}

#[test]
fn a_new_worker_repeats_a_sigkill_that_was_not_sent() {
    let (mut stage, process) = running(policy());
    stage.stop(Target::One(process), true);
    stage.wait(millis(10_000));
    stage.engine = successor(&stage, Mood::Running, group("p", 999, &[("p", policy())]));
    stage.effects.clear();
    let now = stage.now();
    stage.engine.resume_signalled(now, process, SIGTERM, &mut stage.effects);
    assert_eq!(stage.kills().iter().map(|kill| kill.signal).collect::<Vec<_>>(), [SIGKILL]);
}

#[test]
fn a_member_whose_first_start_was_not_journalled_is_started_by_the_new_worker() {
    let spec = group("p", 999, &[("p", auto(AutoRestart::Never)), ("manual", policy())]);
    let mut stage = Stage::new(Vec::new());
    stage.engine = Engine::restore(Mood::Running, vec![(spec, Vec::new())], 7);
    let now = stage.now();
    stage.engine.resume(now, &mut stage.effects);
    assert_eq!(stage.spawns(), [stage.find("p", "p")]);
    assert_eq!(stage.find("p", "p"), ProcessId(7));
}

#[test]
fn a_new_worker_for_an_ending_daemon_starts_nothing() {
    let spec = group("p", 999, &[("p", auto(AutoRestart::Never))]);
    let mut stage = Stage::new(Vec::new());
    stage.engine = Engine::restore(Mood::Restarting, vec![(spec, Vec::new())], 1);
    stage.effects.clear();
    let now = stage.now();
    stage.engine.resume(now, &mut stage.effects);
    assert_eq!(stage.effects, [Effect::Halted { mood: Mood::Restarting }]);
}
