//! Workers that die: what listeners are told must not show it.

use galaxyd::engine::ProcessState;

use crate::history::{Random, histories};
use crate::stage::{Stage, pool, program};

#[test]
fn no_listener_and_no_log_notices_that_workers_died() {
    let (seed, histories) = histories(100);
    for (case, history) in histories.iter().enumerate() {
        let undisturbed = history.play(|_| ()).trace();
        let mut random = Random(seed ^ case as u64);
        let mut disturbed = history.play(|stage| match random.below(4) {
            0 => stage.die(),
            1 => stage.shorten_journal(),
            _ => (),
        });
        assert_eq!(disturbed.trace(), undisturbed, "case {case} of LISTENERS_SEED={seed}: {history:?}");
    }
}

#[test]
fn a_write_whose_end_nobody_saw_is_taken_as_made_and_said() {
    let mut stage = Stage::new();
    stage.answers = false;
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(1, "p")]));
    let p = stage.run(1);
    stage.say(p, b"READY\n");
    stage.remote("a");
    stage.trace();
    stage.die();
    assert_eq!(
        stage.trace(),
        [
            "WARN p: a worker ended while it sent event 0; waiting for an answer to it, restart the listener if none comes"
        ]
    );
    stage.die();
    assert_eq!(stage.trace(), [""; 0], "said once");
    stage.say(p, b"RESULT 2\nOK");
    assert_eq!(stage.events.pools().next().unwrap().processed, 1);
}

#[test]
fn an_event_in_the_hands_of_a_listener_that_ended_meanwhile_comes_back() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(1, "p_0"), (2, "p_1")]));
    let (first, second) = (stage.run(1), stage.run(2));
    stage.say(first, b"READY\n");
    stage.remote("a");
    stage.say(second, b"READY\n");
    stage.trace();
    stage.forget(first);
    stage.die();
    assert_eq!(stage.sent(), ["p_1 0/0 REMOTE_COMMUNICATION type:t\na"]);
}

#[test]
fn an_announcement_that_waits_for_last_words_survives() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["PROCESS_STATE_EXITED"], 10, &[(1, "p")]));
    stage.group(program("cat", 2));
    let (p, cat) = (stage.run(1), stage.run(2));
    stage.say(p, b"READY\n");
    stage.state(2, ProcessState::Exited);
    stage.shorten_journal();
    stage.die();
    assert_eq!(stage.sent(), [""; 0]);
    stage.gone(cat);
    assert_eq!(
        stage.sent(),
        ["p 0/0 PROCESS_STATE_EXITED processname:cat groupname:cat from_state:RUNNING expected:0 pid:1002"]
    );
}

#[test]
fn a_pool_that_was_removed_does_not_come_back() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["EVENT"], 10, &[(1, "p")]));
    stage.remove("p");
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(2, "p")]));
    stage.die();
    let view = stage.events.pools().next().unwrap();
    assert_eq!((view.waiting, view.listeners.len()), (0, 1));
    let p = stage.run(2);
    stage.say(p, b"READY\n");
    stage.remote("a");
    assert_eq!(stage.sent(), ["p 1/0 REMOTE_COMMUNICATION type:t\na"]);
}
