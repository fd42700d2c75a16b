//! Starts, retries and automatic restarts.

use std::time::Duration;

use galaxyd::engine::{
    Answer, AutoRestart, Effect, Event, ExecError, Input, Policy, ProcessState as P, Refusal, Request, SpawnError,
    Target,
};

use crate::stage::{SIGHUP, Stage, TERMINATED, auto, code, group, millis, policy, result, results, running, time_at};

#[test]
fn a_start_without_waiting_is_answered_by_the_fork() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), false);
    assert!(stage.answers().is_empty());
    stage.forked(process);
    assert_eq!(result(&stage), Ok(()));
    assert_eq!(stage.state(process), P::Starting);
}

#[test]
fn a_waiting_start_is_answered_by_running() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), true);
    stage.forked(process);
    stage.wait(millis(999));
    assert!(stage.answers().is_empty());
    stage.wait(millis(1));
    assert_eq!(result(&stage), Ok(()));
}

#[test]
fn a_waiting_start_that_exits_too_quickly_is_a_spawn_error_even_with_an_expected_code() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), true);
    stage.forked(process);
    stage.pass(millis(300));
    stage.exit(process, code(0));
    assert_eq!(result(&stage), Err(Refusal::SpawnError));
    assert_eq!(stage.view(process).spawnerr, "Exited too quickly (process log may have details)");
    assert_eq!(stage.view(process).exitstatus, None);
    assert_eq!(stage.log(), ["exited: p (exit status 0; not expected)"]);
}

#[test]
fn a_start_that_cannot_fork_is_a_spawn_error_with_or_without_waiting() {
    for wait in [true, false] {
        let (mut stage, process) = Stage::with_one(policy());
        stage.start(Target::One(process), wait);
        stage.not_forked(process);
        assert_eq!(result(&stage), Err(Refusal::SpawnError));
        assert_eq!(stage.view(process).spawnerr, "can't find command '/nowhere'");
        assert_eq!(stage.log(), ["spawnerr: can't find command '/nowhere'"]);
    }
}

#[test]
fn a_waiting_start_that_someone_stops_ends_abnormally() {
    for forked in [true, false] {
        let (mut stage, process) = Stage::with_one(policy());
        let start = stage.start(Target::One(process), true);
        if forked {
            stage.forked(process);
        }
        stage.stop(Target::One(process), true);
        let answers = stage.answers();
        let [(id, Answer::Processes(outcomes))] = answers.as_slice() else { panic!("{answers:?}") };
        assert_eq!(*id, start);
        assert_eq!(outcomes.first().map(|outcome| &outcome.result), Some(&Err(Refusal::AbnormalTermination)));
    }
}

#[test]
fn start_checks_the_command_before_the_state() {
    let error = SpawnError::NotExecutable("command at '/x' is not executable".to_owned());
    let (mut stage, process) = running(policy());
    let checked = vec![(process, error.clone())];
    stage.request(Request::Start { target: Target::One(process), wait: true, checked: checked.clone() });
    assert_eq!(result(&stage), Err(Refusal::Spawn(error)));
    stage.start(Target::One(process), true);
    assert_eq!(result(&stage), Err(Refusal::AlreadyStarted));
    stage.request(Request::Start { target: Target::Group("p".to_owned()), wait: true, checked });
    assert_eq!(results(&stage), [""; 0], "a running member is absent");
}

#[test]
fn start_of_an_unknown_process_fails_naming_it() {
    let rules = policy();
    let mut stage = Stage::new(vec![group("g", 1, &[("p", rules)])]);
    let process = stage.find("g", "p");
    stage.start(Target::One(process), false);
    stage.forked(process);
    stage.request(Request::Signal { target: Target::One(process), signal: SIGHUP });
    stage.kill_failed(process, SIGHUP);
    let text = format!("unknown problem sending sig p ({}):not permitted", stage.pid(process));
    assert_eq!(result(&stage), Err(Refusal::Failed(text)));
    stage.start(Target::One(process), true);
    assert_eq!(result(&stage), Err(Refusal::Failed("g:p is in an unknown process state".to_owned())));
}

#[test]
fn start_of_a_stopping_process_does_nothing_and_tells_only_those_who_wait() {
    let (mut stage, process) = running(policy());
    stage.stop(Target::One(process), true);
    stage.start(Target::One(process), true);
    assert_eq!(result(&stage), Err(Refusal::AbnormalTermination));
    assert_eq!(stage.log(), ["process 'p' already running"]);
    stage.start(Target::One(process), false);
    assert_eq!(result(&stage), Ok(()));
    assert!(stage.spawns().is_empty());
}

/// The `tries:` of the announcements that have one.
fn tries(stage: &Stage) -> Vec<Option<u32>> {
    let tries = stage.effects.iter().filter_map(|effect| match effect {
        Effect::Event(Event::ProcessState { to: P::Starting | P::Backoff, tries, .. }) => Some(*tries),
        _ => None,
    });
    tries.collect()
}

#[test]
fn retries_wait_one_two_and_three_seconds_and_then_give_up() {
    let (mut stage, process) = Stage::with_one(Policy { autostart: true, ..policy() });
    assert_eq!(tries(&stage), [Some(0)]);
    for failures in 1..=3 {
        stage.not_forked(process);
        assert_eq!((stage.announced(), tries(&stage)), (vec![P::Backoff], vec![Some(failures)]));
        stage.wait(millis(u64::from(failures) * 1000 - 1));
        assert!(stage.spawns().is_empty());
        stage.wait(millis(1));
        assert_eq!((stage.spawns(), tries(&stage)), (vec![process], vec![Some(failures)]));
    }
    stage.not_forked(process);
    assert_eq!((stage.announced(), tries(&stage)), (vec![P::Backoff, P::Fatal], vec![Some(4)]));
    assert_eq!(stage.log().last(), Some(&"gave up: p entered FATAL state, too many start retries too quickly"));
    assert_eq!(stage.engine.deadline(), None);
    stage.start(Target::One(process), false);
    assert_eq!(tries(&stage), [Some(0)], "giving up forgets the failures");
}

#[test]
fn a_negative_startretries_allows_one_attempt() {
    let (mut stage, process) = Stage::with_one(Policy { autostart: true, startretries: -5, ..policy() });
    stage.not_forked(process);
    assert_eq!(stage.announced(), [P::Backoff, P::Fatal]);
}

#[test]
fn an_exit_is_judged_by_its_own_time_not_by_when_it_is_heard_of() {
    for (lived, announced) in [(999, vec![P::Backoff]), (1000, vec![P::Running, P::Exited])] {
        let (mut stage, process) = Stage::with_one(policy());
        stage.start(Target::One(process), true);
        stage.forked(process);
        let reaped = time_at(millis(lived));
        stage.pass(millis(60_000));
        stage.exit_at(process, code(0), reaped);
        assert_eq!(stage.announced(), announced, "lived {lived} ms");
    }
}

#[test]
fn a_fork_heard_of_late_waits_for_the_exit_that_may_have_come_before() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), true);
    let at = stage.now();
    stage.pass(millis(5000));
    stage.tell(Input::Spawned { process, pid: 5, at });
    assert_eq!(stage.state(process), P::Starting);
    assert!(stage.engine.deadline() < Some(stage.now().mono));
    stage.wait(millis(0));
    assert_eq!(stage.announced(), [P::Running]);
    assert_eq!(stage.view(process).started, Some(at));
}

#[test]
fn an_expected_exit_is_restarted_by_true_alone() {
    for (restart, exit, restarted) in [
        (AutoRestart::Never, code(1), false),
        (AutoRestart::Unexpected, code(0), false),
        (AutoRestart::Unexpected, code(1), true),
        (AutoRestart::Unexpected, TERMINATED, true),
        (AutoRestart::Always, code(0), true),
    ] {
        let (mut stage, process) = running(auto(restart));
        stage.exit(process, exit);
        assert_eq!(stage.spawns().len(), usize::from(restarted), "{restart:?} {exit:?}");
    }
}

#[test]
fn an_unexpected_exit_leaves_its_code_in_spawnerr() {
    let (mut stage, process) = running(policy());
    stage.exit(process, code(3));
    assert_eq!(stage.view(process).spawnerr, "Bad exit code 3");
    assert_eq!(stage.log(), ["exited: p (exit status 3; not expected)"]);
}

#[test]
fn a_crash_loop_restarts_once_at_once_and_then_once_a_second() {
    let (mut stage, process) = Stage::with_one(Policy { startsecs: Duration::ZERO, ..auto(AutoRestart::Always) });
    let mut starts = 0;
    for _ in 0..5000 {
        if stage.spawns().is_empty() {
            stage.wait(millis(1));
        } else {
            starts += 1;
            stage.forked(process);
            stage.exit(process, code(0));
        }
    }
    // 0, at once, +1, +2, +3, +4.
    assert_eq!(starts, 6);
}

#[test]
fn a_restart_after_a_second_of_life_is_immediate() {
    let (mut stage, process) = Stage::with_one(Policy { startsecs: Duration::ZERO, ..auto(AutoRestart::Always) });
    for _ in 0..10 {
        assert_eq!(stage.spawns(), [process]);
        stage.forked(process);
        stage.pass(millis(1000));
        stage.exit(process, code(0));
    }
}

#[test]
fn a_stop_calls_off_a_restart_that_is_held_back() {
    let (mut stage, process) = Stage::with_one(Policy { startsecs: Duration::ZERO, ..auto(AutoRestart::Always) });
    for _ in 0..2 {
        stage.forked(process);
        stage.exit(process, code(0));
    }
    assert!(stage.engine.deadline().is_some());
    stage.stop(Target::One(process), true);
    assert_eq!(result(&stage), Err(Refusal::NotRunning));
    assert_eq!((stage.state(process), stage.engine.deadline()), (P::Exited, None));
}

#[test]
fn stop_in_backoff_is_immediate_and_keeps_the_failures_counted() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), false);
    stage.not_forked(process);
    stage.stop(Target::One(process), true);
    assert_eq!(result(&stage), Ok(()));
    assert_eq!(stage.view(process).spawnerr, "can't find command '/nowhere'");
    stage.start(Target::One(process), false);
    assert_eq!(tries(&stage), [Some(1)]);
}

#[test]
fn success_forgets_earlier_failures() {
    let (mut stage, process) = Stage::with_one(auto(AutoRestart::Always));
    for _ in 0..2 {
        stage.not_forked(process);
        stage.wait_for_deadline();
    }
    assert_eq!(tries(&stage), [Some(2)]);
    stage.forked(process);
    stage.wait(millis(1000));
    stage.exit(process, code(0));
    assert_eq!(tries(&stage), [Some(0)]);
    stage.not_forked(process);
    assert_eq!(tries(&stage), [Some(1)]);
}

#[test]
fn a_retry_is_counted_from_the_childs_end() {
    let (mut stage, process) = Stage::with_one(auto(AutoRestart::Never));
    stage.forked(process);
    let ended = time_at(millis(300));
    stage.pass(millis(900));
    stage.exit_at(process, code(1), ended);
    assert_eq!(stage.engine.deadline(), Some(ended.mono + millis(1000)));
}

#[test]
fn a_start_by_hand_or_a_second_of_life_ends_a_crash_loop() {
    let (mut stage, process) = Stage::with_one(Policy { startsecs: Duration::ZERO, ..auto(AutoRestart::Always) });
    let held_back = |stage: &mut Stage| {
        stage.forked(process);
        stage.exit(process, code(0));
        stage.spawns().is_empty()
    };
    assert!(!held_back(&mut stage));
    assert!(held_back(&mut stage));
    stage.start(Target::One(process), false);
    assert!(!held_back(&mut stage), "by hand");
    stage.forked(process);
    stage.pass(millis(1000));
    stage.exit(process, code(0));
    assert!(!held_back(&mut stage), "a second of life");
}

#[test]
fn a_new_attempt_forgets_how_the_last_one_ended() {
    let (mut stage, process) = running(policy());
    stage.exit(process, code(3));
    stage.start(Target::One(process), false);
    let view = stage.view(process);
    assert_eq!((view.spawnerr, view.exitstatus, view.stop_cause), ("", None, None));
    let pid = stage.forked(process);
    stage.tell(Input::ExecFailed { process, pid, error: ExecError::Failed("couldn't exec /x: EACCES".to_owned()) });
    assert_eq!(stage.view(process).exec_error, Some("couldn't exec /x: EACCES"));
    assert_eq!(stage.log(), [format!("spawnerr: 'p' (pid {pid}): couldn't exec /x: EACCES")]);
    stage.exit(process, code(127));
    assert_eq!(stage.view(process).exec_error, Some("couldn't exec /x: EACCES"));
    stage.wait_for_deadline();
    assert_eq!(stage.view(process).exec_error, None);
}

#[test]
fn a_start_taken_back_while_its_fork_fails_counts_as_failed() {
    for (startretries, tried) in [(3, 1), (0, 0)] {
        let (mut stage, process) = Stage::with_one(Policy { startretries, ..policy() });
        stage.start(Target::One(process), false);
        stage.stop(Target::One(process), true);
        stage.not_forked(process);
        assert_eq!(stage.announced(), [P::Stopped]);
        stage.start(Target::One(process), false);
        assert_eq!(tries(&stage), [Some(tried)]);
    }
}

#[test]
fn a_start_is_told_in_events_and_lines() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), true);
    let pid = stage.forked(process);
    assert_eq!(stage.log(), [format!("spawned: 'p' with pid {pid}")]);
    stage.wait(millis(1000));
    assert_eq!(
        stage.log(),
        ["success: p entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)"]
    );
    let event = stage.effects.iter().find_map(|effect| match effect {
        Effect::Event(event) => Some(event.clone()),
        _ => None,
    });
    let expected = Event::ProcessState {
        process,
        group: "p".to_owned(),
        name: "p".to_owned(),
        from: P::Starting,
        to: P::Running,
        tries: None,
        pid: Some(pid),
        expected: None,
        beside: false,
    };
    assert_eq!(event, Some(expected));
}
