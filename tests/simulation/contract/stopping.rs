//! Stops and signals.

use std::time::Duration;

use galaxyd::engine::{Input, Policy, ProcessState as P, Refusal, Request, Target};

use crate::stage::{SIGHUP, SIGKILL, SIGTERM, Stage, TERMINATED, code, millis, policy, result, results, running};

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
fn the_groups_get_the_stop_signal_and_sigkill_each_by_its_own_rule() {
    for (stopasgroup, killasgroup) in [(false, false), (true, false), (false, true), (true, true)] {
        let (mut stage, process) = running(Policy { stopasgroup, killasgroup, ..policy() });
        stage.stop(Target::One(process), false);
        assert!(stage.kills().iter().all(|kill| kill.group == stopasgroup));
        stage.wait_for_deadline();
        assert!(stage.kills().iter().all(|kill| kill.group == killasgroup && kill.signal == SIGKILL));
        assert_eq!(stage.kills().len(), 1);
    }
}
