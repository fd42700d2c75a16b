//! Automatic starts: waits of a program's own, limits, want of resources, the rate that all share, the daemon's end.

use std::time::Duration;

use galaxyd::engine::{
    AutoRestart, Delay, Effect, ExecError, Input, Kind, Limit, Mood, OnEnd, Policy, ProcessId, ProcessState as P,
    Request, Restarts, SpawnError, StopCause, Target, UNLIMITED,
};

use crate::stage::{Stage, auto, code, group, millis, policy};

const DELAY: Delay = Delay { first: Duration::from_secs(2), factor: 200, ceiling: Duration::from_secs(5), jitter: 0 };

fn restarting(restarts: Restarts) -> Policy {
    Policy { restarts, startsecs: Duration::ZERO, ..auto(AutoRestart::Always) }
}

/// How long it stays down before each of so many automatic starts, when it ends after `lives`.
fn waits(stage: &mut Stage, process: ProcessId, lives: Duration, count: usize) -> Vec<u64> {
    let mut waits = Vec::new();
    for _ in 0..count {
        stage.forked(process);
        stage.wait(lives);
        stage.exit(process, code(1));
        let down = stage.now().mono;
        if stage.spawns().is_empty() {
            stage.wait_for_deadline();
        }
        assert_eq!(stage.spawns(), [process]);
        waits.push(stage.now().mono.since(down).as_secs());
    }
    waits
}

#[test]
fn waits_of_its_own_grow_after_exited_and_begin_anew_after_a_long_run() {
    let (mut stage, process) = Stage::with_one(restarting(Restarts { delay: Some(DELAY), ..Restarts::default() }));
    assert_eq!(waits(&mut stage, process, millis(3000), 4), [2, 4, 5, 5]);
    assert_eq!(waits(&mut stage, process, millis(5000), 1), [2]);
    assert_eq!(waits(&mut stage, process, millis(10), 1), [4]);
}

#[test]
fn waits_of_its_own_grow_after_failed_starts_too() {
    let restarts = Restarts { delay: Some(DELAY), ..Restarts::default() };
    let (mut stage, process) =
        Stage::with_one(Policy { restarts, startretries: UNLIMITED, autostart: true, ..policy() });
    let mut waits = Vec::new();
    for _ in 0..4 {
        stage.not_forked(process);
        assert_eq!(stage.announced(), [P::Backoff]);
        let failed = stage.now().mono;
        stage.wait_for_deadline();
        waits.push(stage.now().mono.since(failed).as_secs());
    }
    assert_eq!(waits, [2, 4, 5, 5]);
}

#[test]
fn unlimited_retries_never_end_in_fatal() {
    let (mut stage, process) = Stage::with_one(Policy { startretries: UNLIMITED, autostart: true, ..policy() });
    for _ in 0..200 {
        stage.not_forked(process);
        assert_eq!(stage.state(process), P::Backoff);
        stage.wait_for_deadline();
    }
}

#[test]
fn a_limit_ends_in_fatal_and_says_so() {
    let limit = Limit { starts: 2, window: Duration::from_secs(60) };
    let (mut stage, process) = Stage::with_one(restarting(Restarts { limit: Some(limit), ..Restarts::default() }));
    assert_eq!(waits(&mut stage, process, millis(20_000), 2), [0, 0]);
    stage.forked(process);
    stage.wait(millis(19_000));
    stage.exit(process, code(1));
    assert_eq!(stage.announced(), [P::Exited, P::Fatal]);
    let view = stage.view(process);
    assert_eq!(view.spawnerr, "Bad exit code 1; started again 2 times in 60 seconds (restart_limit)");
    assert_eq!(view.stop_cause, Some(StopCause::Limited));
    // Somebody looked after it: the count begins anew.
    stage.start(Target::One(process), false);
    assert_eq!(waits(&mut stage, process, millis(20_000), 2), [0, 0]);
}

#[test]
fn a_limit_lets_through_what_is_spread_out() {
    let limit = Limit { starts: 2, window: Duration::from_secs(60) };
    let (mut stage, process) = Stage::with_one(restarting(Restarts { limit: Some(limit), ..Restarts::default() }));
    assert_eq!(waits(&mut stage, process, millis(31_000), 20), [0; 20]);
}

#[test]
fn a_limit_is_judged_for_the_time_at_which_the_next_start_would_come() {
    // Each of these would be the second in ten seconds if it came at once, and comes after twenty.
    let limit = Some(Limit { starts: 1, window: Duration::from_secs(10) });
    let twenty = Duration::from_secs(20);
    let delay = Some(Delay { first: twenty, ceiling: twenty, ..DELAY });
    let (mut stage, process) = Stage::with_one(restarting(Restarts { limit, delay, ..Restarts::default() }));
    assert_eq!(waits(&mut stage, process, millis(2000), 5), [20; 5]);
    let restarts = Restarts { limit, delay, ..Restarts::default() };
    let (mut stage, process) =
        Stage::with_one(Policy { restarts, startretries: UNLIMITED, autostart: true, ..policy() });
    for _ in 0..5 {
        stage.not_forked(process);
        assert_eq!(stage.announced(), [P::Backoff]);
        stage.wait_for_deadline();
    }
}

#[test]
fn want_of_resources_counts_where_that_is_wanted() {
    let restarts = Restarts { counts_want: true, ..Restarts::default() };
    let (mut stage, process) = Stage::with_one(Policy { startretries: 1, autostart: true, restarts, ..policy() });
    let starved =
        |process| Input::SpawnFailed { process, error: SpawnError::Starved("too many open files".to_owned()) };
    stage.tell(starved(process));
    assert_eq!((stage.state(process), stage.view(process).backoff), (P::Backoff, 1));
    stage.wait_for_deadline();
    stage.tell(starved(process));
    assert_eq!(stage.state(process), P::Fatal);
}

#[test]
fn want_of_resources_uses_up_neither_retries_nor_limit() {
    let limit = Limit { starts: 1, window: Duration::from_secs(3600) };
    let restarts = Restarts { limit: Some(limit), ..Restarts::default() };
    let (mut stage, process) = Stage::with_one(Policy { startretries: 0, autostart: true, restarts, ..policy() });
    let mut waits = Vec::new();
    for _ in 0..50 {
        let error = SpawnError::Starved("too many open files".to_owned());
        stage.tell(Input::SpawnFailed { process, error });
        let view = stage.view(process);
        assert_eq!((view.state, view.backoff, view.spawnerr), (P::Backoff, 0, "too many open files"));
        let before = stage.now().mono;
        stage.wait_for_deadline();
        waits.push(stage.now().mono.since(before).as_secs());
    }
    assert_eq!(waits[..6], [1, 2, 3, 4, 5, 5]);
    stage.forked(process);
    stage.wait(millis(1000));
    assert_eq!(stage.state(process), P::Running);
}

#[test]
fn a_file_that_is_being_written_is_tried_again_and_said_once() {
    let (mut stage, process) = Stage::with_one(Policy { startretries: 0, autostart: true, ..policy() });
    for round in 0..20 {
        let pid = stage.forked(process);
        stage.tell(Input::ExecFailed { process, pid, error: ExecError::Starved("ETXTBSY".to_owned()) });
        assert_eq!(stage.log().len(), usize::from(round == 0));
        stage.exit(process, code(127));
        assert_eq!(stage.announced(), [P::Backoff]);
        assert_eq!(stage.view(process).spawnerr, "ETXTBSY");
        stage.wait_for_deadline();
    }
}

#[test]
fn a_oneshot_that_lacks_resources_has_not_failed() {
    let rules = Policy { kind: Kind::Oneshot, startretries: 0, ..restarting(Restarts::default()) };
    let (mut stage, process) = Stage::with_one(rules);
    let pid = stage.forked(process);
    stage.tell(Input::ExecFailed { process, pid, error: ExecError::Starved("EAGAIN".to_owned()) });
    stage.exit(process, code(127));
    assert_eq!(stage.announced(), [P::Exited]);
    stage.wait_for_deadline();
    assert_eq!(stage.spawns(), [process]);
}

/// So many processes that end at once whenever they are started, for so many seconds: when each automatic start was.
fn storm(count: usize, rate: u32, seconds: u64) -> Vec<Duration> {
    let rules = restarting(Restarts::default());
    let names: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
    let members: Vec<(&str, Policy)> = names.iter().map(|name| (name.as_str(), rules.clone())).collect();
    let mut stage = Stage::new(Vec::new());
    stage.engine.set_restart_rate(rate);
    stage.tell(Input::Request { id: 99_999, request: Request::AddGroup(group("g", 999, &members)) });
    let mut spawned = stage.spawns();
    assert_eq!(spawned.len(), count, "the first starts are free");
    let mut starts = Vec::new();
    while stage.now().mono.0 < Duration::from_secs(seconds) {
        for process in std::mem::take(&mut spawned) {
            stage.forked(process);
            stage.exit(process, code(1));
            let again = stage.spawns();
            starts.extend(again.iter().map(|_| stage.now().mono.0));
            spawned.extend(again);
        }
        if spawned.is_empty() {
            stage.wait_for_deadline();
            spawned = stage.spawns();
            starts.extend(spawned.iter().map(|_| stage.now().mono.0));
        }
    }
    starts
}

#[test]
fn a_storm_is_tamed_and_everybody_gets_a_turn() {
    let (count, rate) = (500, 20);
    let starts = storm(count, rate, 60);
    // The first one of each is free, then come the bucket's 100, then 20 a second.
    assert!(starts.len() <= count + 100 + 20 * 61, "{}", starts.len());
    assert!(starts.len() >= count + 20 * 55, "{}", starts.len());
    let steady: Vec<Duration> = starts.into_iter().filter(|at| *at > Duration::from_secs(30)).collect();
    for first in &steady {
        let second = *first..*first + Duration::from_secs(1);
        let within = steady.iter().filter(|at| second.contains(*at)).count();
        assert!(within <= 21, "{within} starts in a second");
    }
}

#[test]
fn without_a_rate_only_supervisors_rule_slows_a_storm() {
    assert!(storm(50, 0, 20).len() >= 50 * 19);
}

#[test]
fn a_retry_starts_only_what_is_fatal() {
    let rules = Policy { startretries: 0, ..policy() };
    let mut stage =
        Stage::new(vec![group("g", 1, &[("fatal", rules.clone()), ("stopped", rules.clone()), ("up", rules)])]);
    let [fatal, stopped, up] = ["fatal", "stopped", "up"].map(|name| stage.find("g", name));
    stage.start(Target::One(fatal), false);
    stage.not_forked(fatal);
    stage.start(Target::One(up), false);
    stage.forked(up);
    stage.request(Request::Retry { processes: vec![fatal, stopped, up], wait: false });
    assert_eq!(stage.spawns(), [fatal]);
    stage.forked(fatal);
    assert_eq!(crate::stage::results(&stage), ["fatal: Ok(())"]);
    stage.request(Request::Retry { processes: vec![stopped, up], wait: true });
    assert_eq!((stage.spawns(), crate::stage::results(&stage)), (vec![], vec![]));
}

fn halted(stage: &Stage) -> Option<(Mood, u8)> {
    let halted = stage.effects.iter().find_map(|effect| match effect {
        Effect::Halted { mood } => Some(*mood),
        _ => None,
    });
    halted.map(|mood| (mood, stage.engine.exit_code()))
}

#[test]
fn the_daemon_ends_with_a_fatal_program_and_its_code() {
    for (exit, wanted) in [(3, 3), (0, 1)] {
        let restarts = Restarts { on_fatal: OnEnd::Shutdown, ..Restarts::default() };
        let fatal = Policy { restarts, startretries: 0, autostart: true, ..policy() };
        let other = Policy { autostart: true, ..policy() };
        let mut stage = Stage::new(vec![group("g", 1, &[("fatal", fatal), ("other", other)])]);
        let (fatal, other) = (stage.find("g", "fatal"), stage.find("g", "other"));
        stage.forked(fatal);
        stage.forked(other);
        stage.exit(fatal, code(exit));
        assert_eq!(stage.announced(), [P::Backoff, P::Fatal, P::Stopping]);
        stage.exit(other, code(0));
        assert_eq!(halted(&stage), Some((Mood::Shutdown, wanted)));
    }
}

#[test]
fn the_daemon_ends_with_a_program_that_is_done() {
    let restarts = Restarts { on_exit: OnEnd::Shutdown, ..Restarts::default() };
    let (mut stage, process) = Stage::with_one(Policy { restarts, autostart: true, ..policy() });
    stage.forked(process);
    stage.wait(millis(1000));
    stage.exit(process, code(7));
    assert_eq!(halted(&stage), Some((Mood::Shutdown, 7)));
}

#[test]
fn on_exit_is_not_about_fatal() {
    let restarts = Restarts { on_exit: OnEnd::Shutdown, ..Restarts::default() };
    let (mut stage, process) = Stage::with_one(Policy { restarts, startretries: 0, autostart: true, ..policy() });
    stage.not_forked(process);
    assert_eq!((stage.state(process), halted(&stage)), (P::Fatal, None));
}

#[test]
fn a_stop_by_someone_does_not_end_the_daemon() {
    let restarts = Restarts { on_exit: OnEnd::Shutdown, on_fatal: OnEnd::Shutdown, ..Restarts::default() };
    let (mut stage, process) = Stage::with_one(Policy { restarts, autostart: true, ..policy() });
    stage.forked(process);
    stage.stop(Target::One(process), true);
    stage.exit(process, code(1));
    assert_eq!((stage.state(process), halted(&stage)), (P::Stopped, None));
    // Nor does an end of the daemon take the code of a program that it has stopped.
    stage.tell(Input::Shutdown);
    assert_eq!(halted(&stage), Some((Mood::Shutdown, 0)));
}
