//! Supervisor's contract for requests, order and timing, one sentence a test.

use std::time::Duration;

use galaxyd::engine::{
    Answer, AutoRestart, Description, Effect, Engine, Event, Exit, GroupSpec, Input, Mood, Policy, ProcessId,
    ProcessState as P, Refusal, Request, SpawnError, Target,
};

use crate::stage::{SIGHUP, SIGKILL, SIGTERM, Stage, code, group, millis, policy};

const TERMINATED: Exit = Exit::Signal { number: SIGTERM, core_dumped: false };

fn auto(restart: AutoRestart) -> Policy {
    Policy { autostart: true, autorestart: restart, ..policy() }
}

/// The results of the only answer, as `name: result`.
fn results(stage: &Stage) -> Vec<String> {
    match stage.answers().as_slice() {
        [(_, Answer::Processes(outcomes))] => {
            outcomes.iter().map(|outcome| format!("{}: {:?}", outcome.name, outcome.result)).collect()
        }
        answers => panic!("one answer was expected: {answers:?}"),
    }
}

fn result(stage: &Stage) -> Result<(), Refusal> {
    match stage.answers().as_slice() {
        [(_, Answer::Processes(outcomes))] => match outcomes.as_slice() {
            [outcome] => outcome.result.clone(),
            _ => panic!("one outcome was expected: {outcomes:?}"),
        },
        answers => panic!("one answer was expected: {answers:?}"),
    }
}

fn refusal(stage: &Stage) -> Refusal {
    match stage.answers().as_slice() {
        [(_, Answer::Refused(refusal))] => refusal.clone(),
        answers => panic!("one refusal was expected: {answers:?}"),
    }
}

/// A process that is RUNNING for a second.
fn running(rules: Policy) -> (Stage, ProcessId) {
    let (mut stage, process) = Stage::with_one(rules);
    stage.start(Target::One(process), false);
    stage.forked(process);
    stage.wait(millis(1000));
    assert_eq!(stage.state(process), P::Running);
    (stage, process)
}

/// Three processes RUNNING in group `g`; priorities descend from `a` to `c`.
fn three() -> (Stage, [ProcessId; 3]) {
    let rules = |priority| Policy { priority, startsecs: Duration::ZERO, ..policy() };
    let mut stage = Stage::new(vec![group("g", 1, &[("a", rules(3)), ("b", rules(2)), ("c", rules(1))])]);
    let all = ["a", "b", "c"].map(|name| stage.find("g", name));
    stage.start(Target::All, false);
    for process in all {
        stage.forked(process);
    }
    (stage, all)
}

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

#[test]
fn a_waiting_stop_is_answered_when_the_child_is_reaped() {
    let (mut stage, process) = running(policy());
    stage.stop(Target::One(process), true);
    assert_eq!(
        stage.log(),
        [&format!("killing p (pid {}) with signal SIGTERM", stage.pid(process)), "waiting for p to stop"]
    );
    stage.signalled(process, SIGTERM);
    assert!(stage.answers().is_empty());
    stage.exit(process, TERMINATED);
    assert_eq!(result(&stage), Ok(()));
    assert_eq!(stage.log(), ["stopped: p (terminated by SIGTERM)"]);
    assert_eq!(stage.view(process).exitstatus, Some(-1));
}

#[test]
fn a_waiting_stop_is_mentioned_every_two_seconds() {
    let (mut stage, process) = running(policy());
    let stop = stage.stop(Target::One(process), true);
    let mut lines = Vec::new();
    for _ in 0..70 {
        stage.wait(millis(100));
        lines.extend(stage.log().iter().map(|line| (*line).to_owned()));
    }
    assert_eq!(lines, ["waiting for p to stop"; 3]);
    stage.tell(Input::Forget { id: stop });
    assert_eq!(stage.engine.deadline(), Some(stage.now().mono + millis(3000)), "only SIGKILL is due");
}

#[test]
fn a_stop_without_waiting_is_answered_by_the_signal() {
    let (mut stage, process) = running(policy());
    stage.stop(Target::One(process), false);
    assert!(stage.answers().is_empty());
    stage.signalled(process, SIGTERM);
    assert_eq!(result(&stage), Ok(()));
}

#[test]
fn a_stop_whose_signal_fails_is_told_so_at_once() {
    for wait in [true, false] {
        let (mut stage, process) = running(policy());
        stage.stop(Target::One(process), wait);
        let text = format!("unknown problem killing p ({}):not permitted", stage.pid(process));
        stage.kill_failed(process, SIGTERM);
        assert_eq!(result(&stage), Err(Refusal::Failed(text)));
        assert_eq!(stage.state(process), P::Unknown);
    }
}

#[test]
fn a_stop_whose_sigkill_fails_has_stopped_as_far_as_it_can() {
    let (mut stage, process) = running(policy());
    stage.stop(Target::One(process), true);
    stage.signalled(process, SIGTERM);
    stage.wait(millis(10_000));
    stage.kill_failed(process, SIGKILL);
    assert_eq!(result(&stage), Ok(()));
}

#[test]
fn stop_of_what_does_not_run_is_not_running() {
    let (mut stage, process) = running(policy());
    stage.stop(Target::One(process), false);
    stage.stop(Target::One(process), true);
    assert_eq!(result(&stage), Err(Refusal::NotRunning), "STOPPING");
    stage.exit(process, TERMINATED);
    stage.stop(Target::One(process), true);
    assert_eq!(result(&stage), Err(Refusal::NotRunning), "STOPPED");
    stage.stop(Target::All, true);
    assert_eq!(results(&stage), [""; 0]);
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
        stage.wait(Duration::from_secs(failures.into()) - millis(1));
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
        let reaped = stage.time_at(millis(lived));
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
        if !stage.spawns().is_empty() {
            starts += 1;
            stage.forked(process);
            stage.exit(process, code(0));
        } else {
            stage.wait(millis(1));
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
fn sigkill_follows_the_stop_signal_and_is_repeated() {
    let rules = Policy { stopasgroup: false, killasgroup: true, stopwaitsecs: millis(2000), ..policy() };
    let (mut stage, process) = running(rules);
    stage.stop(Target::One(process), false);
    assert_eq!(stage.kills().iter().map(|kill| (kill.signal, kill.group)).collect::<Vec<_>>(), [(SIGTERM, false)]);
    for _ in 0..3 {
        stage.wait(millis(2000));
        assert_eq!(stage.kills().iter().map(|kill| (kill.signal, kill.group)).collect::<Vec<_>>(), [(SIGKILL, true)]);
        let pid = stage.pid(process);
        assert_eq!(stage.log().first(), Some(&format!("killing 'p' ({pid}) with SIGKILL").as_str()));
        assert!(stage.announced().is_empty());
    }
}

#[test]
fn without_patience_sigkill_follows_at_once_but_is_repeated_each_second_only() {
    let (mut stage, process) = running(Policy { stopwaitsecs: Duration::ZERO, ..policy() });
    stage.stop(Target::One(process), false);
    stage.wait(millis(0));
    assert_eq!(stage.kills().len(), 1);
    assert_eq!(stage.engine.deadline(), Some(stage.now().mono + millis(1000)));
}

#[test]
fn a_stop_between_asking_and_forking_signals_the_late_child() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), false);
    stage.stop(Target::One(process), true);
    assert_eq!(stage.announced(), [P::Stopping]);
    assert!(stage.kills().is_empty());
    stage.pass(millis(20_000));
    let pid = stage.forked(process);
    assert_eq!(stage.kills().iter().map(|kill| (kill.pid, kill.signal)).collect::<Vec<_>>(), [(pid, SIGTERM)]);
    assert_eq!(result(&stage), Ok(()), "the start without waiting is answered by the fork");
    stage.exit(process, TERMINATED);
    assert_eq!(result(&stage), Ok(()), "the stop by the exit");
}

#[test]
fn a_signal_goes_to_the_child_alone_and_is_answered_when_sent() {
    let (mut stage, process) = running(Policy { stopasgroup: true, killasgroup: true, ..policy() });
    stage.request(Request::Signal { target: Target::One(process), signal: SIGHUP });
    assert_eq!(stage.kills().iter().map(|kill| (kill.signal, kill.group)).collect::<Vec<_>>(), [(SIGHUP, false)]);
    assert_eq!(stage.log(), [format!("sending p (pid {}) sig SIGHUP", stage.pid(process))]);
    stage.signalled(process, SIGHUP);
    assert_eq!(result(&stage), Ok(()));
}

#[test]
fn each_sent_signal_answers_one_request() {
    let (mut stage, process) = running(policy());
    let ids = [1, 2].map(|_| stage.request(Request::Signal { target: Target::One(process), signal: SIGHUP }));
    for id in ids {
        stage.signalled(process, SIGHUP);
        assert_eq!(stage.answers().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
    }
}

#[test]
fn a_signal_to_a_child_that_just_died_was_sent() {
    let (mut stage, process) = running(policy());
    stage.request(Request::Signal { target: Target::One(process), signal: SIGHUP });
    stage.exit(process, code(0));
    assert_eq!(result(&stage), Ok(()));
    stage.request(Request::Signal { target: Target::One(process), signal: SIGHUP });
    assert_eq!(result(&stage), Err(Refusal::NotRunning));
}

#[test]
fn requests_to_a_group_take_members_by_ascending_priority() {
    let (mut stage, [a, b, c]) = three();
    stage.stop(Target::Group("g".to_owned()), false);
    assert_eq!(stage.killed(), ["c", "b", "a"]);
    for process in [a, c, b] {
        stage.signalled(process, SIGTERM);
    }
    assert_eq!(results(&stage), ["c: Ok(())", "b: Ok(())", "a: Ok(())"], "not waiting: in that order");
}

#[test]
fn waiting_requests_are_answered_in_order_of_completion() {
    let (mut stage, [a, b, c]) = three();
    stage.stop(Target::One(b), false);
    stage.exit(b, TERMINATED);
    stage.start(Target::One(b), false);
    stage.not_forked(b);
    assert_eq!(stage.state(b), P::Backoff);
    stage.stop(Target::All, true);
    stage.pass(millis(100));
    stage.exit(a, TERMINATED);
    stage.pass(millis(100));
    stage.exit(c, TERMINATED);
    assert_eq!(results(&stage), ["b: Ok(())", "a: Ok(())", "c: Ok(())"]);
}

#[test]
fn completions_within_one_look_are_told_in_the_requests_order() {
    let (mut stage, [a, b, c]) = three();
    stage.stop(Target::All, true);
    for process in [a, b, c] {
        stage.pass(millis(1));
        stage.exit(process, TERMINATED);
    }
    assert_eq!(results(&stage), ["c: Ok(())", "b: Ok(())", "a: Ok(())"]);
}

#[test]
fn an_unknown_target_is_a_bad_name() {
    let (mut stage, _) = Stage::with_one(policy());
    for target in [Target::One(ProcessId(99)), Target::Group("none".to_owned())] {
        stage.start(target, true);
        assert_eq!(refusal(&stage), Refusal::BadName);
    }
}

#[test]
fn autostart_takes_groups_by_priority_and_members_in_creation_order() {
    let rules = |priority| Policy { autostart: true, priority, ..policy() };
    let stage = Stage::new(vec![
        group("late", 5, &[("x", rules(9)), ("y", rules(1)), ("manual", policy())]),
        group("early", 1, &[("z", rules(7))]),
    ]);
    let names: Vec<_> = stage.spawns().iter().map(|process| stage.view(*process).name).collect();
    assert_eq!(names, ["z", "x", "y"]);
    let added: Vec<_> = stage.effects.iter().filter(|effect| matches!(effect, Effect::GroupAdded { .. })).collect();
    assert_eq!(added.len(), 2);
    let running = stage.effects.iter().position(|effect| *effect == Effect::Event(Event::SupervisorRunning));
    let spawn = stage.effects.iter().position(|effect| matches!(effect, Effect::Spawn { .. }));
    assert!(running < spawn);
}

#[test]
fn an_added_group_starts_its_members_at_once() {
    let (mut stage, _) = Stage::with_one(policy());
    let spec = group("new", 1, &[("n", auto(AutoRestart::Never)), ("m", policy())]);
    stage.request(Request::AddGroup(spec.clone()));
    let process = stage.find("new", "n");
    assert_eq!(stage.spawns(), [process]);
    stage.request(Request::AddGroup(spec));
    assert_eq!(refusal(&stage), Refusal::AlreadyAdded);
    stage.request(Request::RemoveGroup("new".to_owned()));
    assert_eq!(refusal(&stage), Refusal::StillRunning);
    stage.stop(Target::All, true);
    stage.not_forked(process);
    stage.request(Request::RemoveGroup("new".to_owned()));
    assert_eq!(stage.answers().first().map(|(_, answer)| answer), Some(&Answer::Done));
    assert_eq!(stage.engine.find("new", "n"), None);
    stage.request(Request::RemoveGroup("new".to_owned()));
    assert_eq!(refusal(&stage), Refusal::BadName);
    assert_eq!(stage.engine.deadline(), None);
}

#[test]
fn of_two_groups_with_one_name_the_first_counts() {
    let stage = Stage::new(vec![group("g", 1, &[("a", policy())]), group("g", 2, &[("b", policy())])]);
    let shown: Vec<_> = stage.engine.processes().map(|view| view.name.to_owned()).collect();
    assert_eq!(shown, ["a"]);
}

fn layers() -> Vec<GroupSpec> {
    let rules = |priority| Policy { priority, startsecs: Duration::ZERO, ..auto(AutoRestart::Always) };
    vec![
        group("low", 1, &[("l", rules(1))]),
        group("mid", 5, &[("m1", rules(1)), ("m2", rules(2)), ("m3", rules(2))]),
        group("idle", 7, &[("i", policy())]),
        group("high", 9, &[("h", rules(1))]),
    ]
}

#[test]
fn shutdown_stops_one_group_after_the_other_by_descending_priority() {
    let mut stage = Stage::new(layers());
    for process in stage.spawns() {
        stage.forked(process);
    }
    stage.tell(Input::Shutdown);
    assert_eq!(stage.killed(), ["h"]);
    assert_eq!(stage.log().last(), Some(&"waiting for l, m1, m2, m3, h to die"));
    stage.exit(stage.find("high", "h"), TERMINATED);
    assert_eq!(stage.killed(), ["m3", "m2", "m1"], "past the idle group at once");
    for name in ["m1", "m3"] {
        stage.exit(stage.find("mid", name), TERMINATED);
        assert_eq!(stage.killed(), [""; 0]);
    }
    stage.exit(stage.find("low", "l"), code(0));
    assert_eq!(stage.announced(), [P::Exited], "nothing is restarted any more");
    stage.exit(stage.find("mid", "m2"), TERMINATED);
    assert_eq!(stage.effects.last(), Some(&Effect::Halted { mood: Mood::Shutdown }));
    assert_eq!(stage.engine.deadline(), None);
}

#[test]
fn shutdown_names_the_living_every_three_seconds() {
    let rules = Policy { startsecs: Duration::ZERO, stopwaitsecs: millis(60_000), ..auto(AutoRestart::Never) };
    let mut stage = Stage::new(vec![group("a", 1, &[("a", rules.clone())]), group("b", 1, &[("b", rules)])]);
    for process in stage.spawns() {
        stage.forked(process);
    }
    stage.tell(Input::Shutdown);
    let mut lines = vec![stage.log().last().map(|line| (*line).to_owned()).expect("a line at once")];
    for _ in 0..100 {
        stage.wait(millis(100));
        lines.extend(stage.log().iter().map(|line| (*line).to_owned()));
    }
    assert_eq!(lines, ["waiting for a, b to die"; 4]);
}

#[test]
fn while_the_daemon_ends_requests_are_refused() {
    let mut stage = Stage::new(layers());
    stage.request(Request::Restart);
    assert_eq!(stage.answers().first().map(|(_, answer)| answer), Some(&Answer::Done));
    for request in [
        Request::Start { target: Target::All, wait: true, checked: Vec::new() },
        Request::Stop { target: Target::All, wait: true },
        Request::Shutdown,
        Request::RemoveGroup("idle".to_owned()),
    ] {
        stage.request(request);
        assert_eq!(refusal(&stage), Refusal::ShutdownState);
    }
    assert_eq!(stage.engine.mood(), Mood::Restarting);
    stage.tell(Input::Shutdown);
    assert_eq!(stage.engine.mood(), Mood::Shutdown, "TERM overrules a restart");
    stage.tell(Input::Restart);
    assert_eq!(stage.engine.mood(), Mood::Shutdown, "HUP does not overrule a shutdown");
}

#[test]
fn backoff_in_a_group_not_yet_reached_neither_retries_nor_wakes_the_daemon() {
    let rules = Policy { startsecs: Duration::ZERO, ..auto(AutoRestart::Never) };
    let mut stage = Stage::new(vec![group("low", 1, &[("l", rules.clone())]), group("high", 2, &[("h", rules)])]);
    let (low, high) = (stage.find("low", "l"), stage.find("high", "h"));
    stage.not_forked(low);
    stage.forked(high);
    stage.tell(Input::Shutdown);
    stage.wait(millis(5000));
    assert_eq!(stage.state(low), P::Backoff);
    stage.exit(high, TERMINATED);
    assert_eq!(stage.announced(), [P::Stopped, P::Fatal]);
    assert_eq!(stage.effects.last(), Some(&Effect::Halted { mood: Mood::Shutdown }));
}

#[test]
fn an_empty_daemon_halts_at_once() {
    let mut stage = Stage::new(Vec::new());
    stage.tell(Input::Restart);
    assert_eq!(stage.effects, [Effect::Event(Event::SupervisorStopping), Effect::Halted { mood: Mood::Restarting }]);
    stage.tell(Input::Shutdown);
    assert_eq!(stage.effects, []);
}

#[test]
fn processes_are_listed_by_group_and_name() {
    let stage = Stage::new(vec![
        group("b", 1, &[("z", policy()), ("a", policy())]),
        group("a", 2, &[("m", policy())]),
        group("B", 3, &[("B", policy())]),
    ]);
    let names: Vec<_> = stage.engine.processes().map(|view| view.namespec()).collect();
    assert_eq!(names, ["B", "a:m", "b:a", "b:z"]);
}

#[test]
fn descriptions_are_supervisors() {
    let (mut stage, process) = Stage::with_one(Policy { startretries: 0, ..policy() });
    let text = |text: &str| Description::Text(text.to_owned());
    let description = |stage: &Stage| stage.view(process).description(stage.now());
    assert_eq!(description(&stage), text("Not started"));
    stage.start(Target::One(process), false);
    assert_eq!(description(&stage), text(""));
    stage.not_forked(process);
    assert_eq!(description(&stage), text("can't find command '/nowhere'"));
    stage.start(Target::One(process), false);
    stage.forked(process);
    stage.wait(millis(90_061_000));
    let pid = stage.pid(process);
    assert_eq!(description(&stage), text(&format!("pid {pid}, uptime 1 day, 1:01:01")));
    stage.exit(process, code(0));
    assert_eq!(description(&stage), Description::StoppedAt(stage.now().wall));
}

#[test]
fn a_process_stopped_before_it_was_ever_forked_shows_the_epoch() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.start(Target::One(process), false);
    stage.not_forked(process);
    stage.stop(Target::One(process), true);
    assert_eq!(stage.view(process).description(stage.now()), Description::StoppedAt(0));
}

/// The engine of a new worker, from what the old one journalled.
fn successor(stage: &Stage, mood: Mood, spec: GroupSpec) -> Engine {
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
