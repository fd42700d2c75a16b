//! What listeners see, by table. The expectations about serials, order and texts were seen at supervisord 4.3.0; where ours
//! is meant to differ, the test's name says so.

use std::time::Duration;

use galaxyd::engine::{Channel, ProcessState};
use galaxyd::events::{GroupSpec, Input, ListenerState};

use crate::stage::{Stage, pool, program};

const NOTHING: [&str; 0] = [];

fn remote(events: &mut Stage, texts: &[&str]) {
    for text in texts {
        events.remote(text);
    }
}

#[test]
fn a_pool_hears_of_its_own_group_and_of_those_after_it() {
    let mut stage = Stage::new();
    stage.group(pool("early", &["PROCESS_GROUP"], 10, &[(1, "early")]));
    stage.group(program("cat", 2));
    stage.group(pool("late", &["EVENT"], 10, &[(3, "late")]));
    let (early, late) = (stage.run(1), stage.run(3));
    stage.say(early, b"READY\n");
    stage.say(late, b"READY\n");
    assert_eq!(
        stage.sent(),
        ["early 0/0 PROCESS_GROUP_ADDED groupname:early\n", "late 2/0 PROCESS_GROUP_ADDED groupname:late\n"]
    );
    stage.say(early, b"RESULT 2\nOKREADY\n");
    assert_eq!(stage.sent(), ["early 1/1 PROCESS_GROUP_ADDED groupname:cat\n"]);
}

#[test]
fn a_removed_pool_does_not_hear_of_it_and_loses_its_queue() {
    let mut stage = Stage::new();
    stage.group(pool("a", &["PROCESS_GROUP"], 10, &[(1, "a")]));
    stage.group(pool("b", &["PROCESS_GROUP"], 10, &[(2, "b")]));
    let (a, b) = (stage.run(1), stage.run(2));
    stage.say(a, b"READY\n");
    stage.exit(1, a);
    stage.remove("a");
    stage.say(b, b"READY\n");
    stage.say(b, b"RESULT 2\nOKREADY\n");
    assert_eq!(
        stage.sent(),
        [
            "a 0/0 PROCESS_GROUP_ADDED groupname:a\n",
            "b 1/0 PROCESS_GROUP_ADDED groupname:b\n",
            "b 2/1 PROCESS_GROUP_REMOVED groupname:a\n"
        ]
    );
    stage.group(pool("a", &["PROCESS_GROUP"], 10, &[(3, "a")]));
    let a = stage.run(3);
    stage.say(a, b"READY\n");
    assert_eq!(stage.sent(), ["a 3/0 PROCESS_GROUP_ADDED groupname:a\n"], "the pool's serials begin anew");
}

#[test]
fn events_that_nobody_asked_for_have_no_number() {
    let mut stage = Stage::new();
    stage.group(program("cat", 1));
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(2, "p")]));
    let p = stage.run(2);
    stage.run(1);
    stage.say(p, b"READY\n");
    stage.remote("x");
    assert_eq!(stage.sent(), ["p 0/0 REMOTE_COMMUNICATION type:t\nx"]);
    assert_eq!(stage.events.next_serial(), 1);
}

#[test]
fn an_event_has_one_number_in_all_pools_and_another_in_each() {
    let mut stage = Stage::new();
    stage.group(pool("a", &["EVENT"], 10, &[(1, "a")]));
    stage.group(pool("b", &["REMOTE_COMMUNICATION"], 10, &[(2, "b")]));
    let (a, b) = (stage.run(1), stage.run(2));
    stage.remote("x");
    stage.say(b, b"READY\n");
    assert_eq!(stage.sent(), ["b 6/0 REMOTE_COMMUNICATION type:t\nx"]);
    for _ in 0..7 {
        stage.say(a, b"READY\n");
        stage.say(a, b"RESULT 2\nOK");
    }
    assert_eq!(stage.sent().last().unwrap(), "a 6/6 REMOTE_COMMUNICATION type:t\nx");
}

#[test]
fn overlapping_subscriptions_deliver_once_unlike_supervisors() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION", "TICK_5"], 10, &[(1, "p")]));
    stage.group(pool("q", &["TICK", "TICK_5"], 10, &[(2, "q")]));
    let q = stage.run(2);
    stage.pass(2);
    stage.say(q, b"READY\n");
    assert_eq!(stage.sent(), ["q 0/0 TICK_5 when:1000000005"]);
    stage.say(q, b"RESULT 2\nOKREADY\n");
    assert_eq!(stage.sent(), NOTHING);
}

#[test]
fn a_listener_gets_events_only_while_running_and_ready() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(1, "p")]));
    stage.remote("x");
    let p = stage.start(1);
    stage.say(p, b"READY\n");
    assert_eq!(stage.sent(), NOTHING, "ready, but STARTING");
    stage.state(1, ProcessState::Running);
    assert_eq!(stage.sent(), ["p 0/0 REMOTE_COMMUNICATION type:t\nx"]);
    stage.remote("y");
    stage.state(1, ProcessState::Stopping);
    stage.say(p, b"RESULT 2\nOKREADY\n");
    assert_eq!(stage.sent(), NOTHING, "ready, but STOPPING");
}

#[test]
fn listeners_are_offered_events_in_the_order_of_the_configuration() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(1, "p_0"), (2, "p_1"), (3, "p_2")]));
    let children = [stage.run(1), stage.run(2), stage.run(3)];
    remote(&mut stage, &["a", "b", "c", "d"]);
    stage.say(children[2], b"READY\n");
    stage.say(children[0], b"READY\n");
    stage.say(children[1], b"READY\n");
    assert_eq!(
        stage.sent(),
        [
            "p_2 0/0 REMOTE_COMMUNICATION type:t\na",
            "p_0 1/1 REMOTE_COMMUNICATION type:t\nb",
            "p_1 2/2 REMOTE_COMMUNICATION type:t\nc"
        ]
    );
    stage.say(children[1], b"RESULT 2\nOKREADY\n");
    stage.say(children[2], b"RESULT 2\nOKREADY\n");
    stage.say(children[0], b"RESULT 2\nOKREADY\n");
    assert_eq!(stage.sent(), ["p_1 3/3 REMOTE_COMMUNICATION type:t\nd"]);
    stage.remote("e");
    assert_eq!(stage.sent(), ["p_0 4/4 REMOTE_COMMUNICATION type:t\ne"], "both are ready: the first gets it");
}

/// How a listener can fail to take an event, and what the log says then.
#[test]
fn a_rejected_event_comes_back_to_the_head_of_its_own_queue_with_its_serials() {
    let failures: [(&[u8], &[&str]); 4] = [
        (b"RESULT 4\nFAILREADY\n", &["WARN p: event was rejected"]),
        (b"RESULT 0\nREADY\n", &["WARN p: event was rejected"]),
        (b"RESULT 5\nOK\n\n\nREADY\n", &["WARN p: event was rejected"]),
        (
            b"what?\nREADY\n",
            &[
                "WARN p: bad result line: 'what?'",
                "WARN p: has entered the UNKNOWN state and will no longer receive events, this usually indicates the \
                 process violated the eventlistener protocol",
            ],
        ),
    ];
    for (answer, expected) in failures {
        let mut stage = Stage::new();
        stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(1, "p")]));
        stage.group(pool("other", &["REMOTE_COMMUNICATION"], 10, &[(2, "other")]));
        let p = stage.run(1);
        remote(&mut stage, &["a", "b"]);
        stage.say(p, b"READY\n");
        stage.trace();
        stage.say(p, answer);
        let is_lost = expected.len() > 1;
        let trace = stage.trace();
        let logged = trace.iter().filter(|line| line.starts_with("WARN")).collect::<Vec<_>>();
        assert_eq!(logged, expected);
        assert_eq!(trace.iter().any(|line| line.contains("serial:0 pool:p poolserial:0 ")), !is_lost);
        if is_lost {
            stage.exit(1, p);
            let p = stage.run(1);
            stage.say(p, b"READY\n");
            assert_eq!(stage.sent(), ["p 0/0 REMOTE_COMMUNICATION type:t\na"], "a new process gets it");
        }
        let waiting: Vec<_> = stage.events.pools().map(|pool| (pool.name, pool.waiting, pool.requeued)).collect();
        assert_eq!(waiting, [("p", 1, 1), ("other", 2, 0)], "no other pool hears of it");
    }
}

#[test]
fn the_log_of_a_rejection_reads_as_supervisors() {
    let mut stage = Stage::new();
    stage.group(pool("two", &["REMOTE_COMMUNICATION"], 100, &[(1, "two")]));
    let two = stage.run(1);
    remote(&mut stage, &["a", "b", "c"]);
    stage.say(two, b"READY\n");
    stage.trace();
    stage.say(two, b"RESULT 4\nFAIL");
    stage.say(two, b"READY\n");
    let lines: Vec<String> = stage.trace().into_iter().filter(|line| !line.starts_with("write")).collect();
    assert_eq!(
        lines,
        [
            "DEBG 'two' stdout output:\nb'RESULT 4\\nFAIL'",
            "WARN two: event was rejected",
            "DEBG two: BUSY -> ACKNOWLEDGED",
            "DEBG rebuffering event 0 for pool two (buf size=2, max=100)",
            "DEBG 'two' stdout output:\nb'READY\\n'",
            "DEBG two: ACKNOWLEDGED -> READY",
            "DEBG event 0 sent to listener two",
            "DEBG rebuffering event 1 for pool two (buf size=1, max=100)",
        ]
    );
}

#[test]
fn an_event_in_the_hands_of_a_dying_listener_comes_back_after_the_news_of_its_death() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["PROCESS_STATE_EXITED", "REMOTE_COMMUNICATION"], 10, &[(1, "p_0"), (2, "p_1")]));
    let (first, second) = (stage.run(1), stage.run(2));
    stage.say(first, b"READY\n");
    remote(&mut stage, &["a"]);
    stage.say(second, b"READY\n");
    assert_eq!(stage.sent(), ["p_0 0/0 REMOTE_COMMUNICATION type:t\na"]);
    stage.state(1, ProcessState::Exited);
    assert_eq!(stage.sent(), NOTHING, "its last words are not read yet");
    stage.gone(first);
    assert_eq!(stage.sent(), ["p_1 0/0 REMOTE_COMMUNICATION type:t\na"]);
    stage.say(second, b"RESULT 2\nOKREADY\n");
    assert_eq!(
        stage.sent(),
        ["p_1 1/1 PROCESS_STATE_EXITED processname:p_0 groupname:p from_state:RUNNING expected:0 pid:1001"]
    );
}

#[test]
fn a_last_result_counts_even_if_its_listener_is_known_to_be_dead() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(1, "p")]));
    let p = stage.run(1);
    stage.say(p, b"READY\n");
    stage.remote("a");
    stage.state(1, ProcessState::Exited);
    let next = stage.run(1);
    stage.say(next, b"READY\n");
    stage.say(p, b"RESULT 2\nOK");
    stage.gone(p);
    assert_eq!(stage.sent(), ["p 0/0 REMOTE_COMMUNICATION type:t\na"], "once");
    let view = stage.events.pools().next().unwrap();
    assert_eq!((view.processed, view.requeued, view.listeners[0].state), (1, 0, Some(ListenerState::Ready)));
}

#[test]
fn a_full_queue_drops_the_oldest_and_says_so_in_two_lines_unlike_supervisors_many() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 2, &[(1, "p")]));
    remote(&mut stage, &["a", "b", "c", "d", "e"]);
    assert_eq!(stage.logged(), ["ERRO pool p event buffer overflowed, discarding event 0"]);
    stage.pass(10);
    assert_eq!(
        stage.logged(),
        ["ERRO pool p event buffer overflowed, discarded 2 more events in the last 10 seconds (serials 1 to 2); its \
          listeners are too slow, or buffer_size is too small"]
    );
    let p = stage.run(1);
    stage.say(p, b"READY\n");
    stage.say(p, b"RESULT 2\nOKREADY\n");
    assert_eq!(stage.sent(), ["p 3/3 REMOTE_COMMUNICATION type:t\nd", "p 4/4 REMOTE_COMMUNICATION type:t\ne"]);
    assert_eq!(stage.events.pools().next().unwrap().dropped, 3);
}

#[test]
fn an_event_that_comes_back_to_a_full_queue_pushes_out_the_one_that_waited_longest() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 2, &[(1, "p")]));
    let p = stage.run(1);
    stage.say(p, b"READY\n");
    remote(&mut stage, &["a", "b", "c"]);
    stage.trace();
    stage.say(p, b"RESULT 4\nFAIL");
    assert_eq!(
        stage.logged(),
        ["WARN p: event was rejected", "ERRO pool p event buffer overflowed, discarding event 1"]
    );
    stage.say(p, b"READY\n");
    stage.say(p, b"RESULT 2\nOKREADY\n");
    assert_eq!(stage.sent(), ["p 0/0 REMOTE_COMMUNICATION type:t\na", "p 2/2 REMOTE_COMMUNICATION type:t\nc"]);
}

#[test]
fn a_listener_with_a_closed_standard_input_is_passed_over() {
    let mut stage = Stage::new();
    stage.answers = false;
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(1, "p_0"), (2, "p_1")]));
    let (first, second) = (stage.run(1), stage.run(2));
    stage.say(first, b"READY\n");
    stage.say(second, b"READY\n");
    stage.remote("a");
    stage.trace();
    stage.feed(Input::NotWritten { child: first, serial: 0 });
    assert_eq!(
        stage.trace(),
        [
            "DEBG epipe occurred while sending event 0 to listener p_0, listener state unchanged",
            "DEBG rebuffering event 0 for pool p (buf size=0, max=10)",
            "write p_1 ver:3.0 server:supervisor serial:0 pool:p poolserial:0 eventname:REMOTE_COMMUNICATION len:8\n\
             type:t\na",
            "DEBG event 0 sent to listener p_1",
        ]
    );
    stage.feed(Input::Written { child: second, serial: 0 });
    stage.remote("b");
    assert_eq!(stage.sent(), NOTHING);
    let listeners = stage.events.pools().next().unwrap().listeners;
    assert_eq!(listeners[0].state, Some(ListenerState::Ready));
    assert_eq!(listeners[1].busy_with, Some(0));
}

#[test]
fn output_makes_log_events_before_the_end_is_announced() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["PROCESS_LOG", "PROCESS_COMMUNICATION", "PROCESS_STATE"], 99, &[(1, "p")]));
    stage.group(program("cat", 2));
    let cat = stage.run(2);
    let output = |channel, text: &str| Input::Output { child: cat, channel, at: 0, bytes: text.as_bytes().to_vec() };
    stage.feed(output(Channel::Stdout, "one\n"));
    stage.feed(output(Channel::Stderr, ""));
    stage.feed(Input::Captured { child: cat, channel: Channel::Stdout, bytes: b"block".to_vec() });
    assert_eq!(stage.trace(), ["DEBG 'cat' stdout emitted a comm event"]);
    stage.state(2, ProcessState::Exited);
    stage.state(2, ProcessState::Starting);
    stage.feed(output(Channel::Stderr, "last words"));
    stage.gone(cat);
    let p = stage.run(1);
    for _ in 0..8 {
        stage.say(p, b"READY\n");
        stage.say(p, b"RESULT 2\nOK");
    }
    assert_eq!(
        stage.sent(),
        [
            "p 0/0 PROCESS_STATE_STARTING processname:cat groupname:cat from_state:STOPPED tries:0",
            "p 1/1 PROCESS_STATE_RUNNING processname:cat groupname:cat from_state:STARTING pid:1002",
            "p 2/2 PROCESS_LOG_STDOUT processname:cat groupname:cat pid:1002 channel:stdout\none\n",
            "p 3/3 PROCESS_COMMUNICATION_STDOUT processname:cat groupname:cat pid:1002\nblock",
            "p 4/4 PROCESS_LOG_STDERR processname:cat groupname:cat pid:1002 channel:stderr\nlast words",
            "p 5/5 PROCESS_STATE_EXITED processname:cat groupname:cat from_state:RUNNING expected:0 pid:1002",
            "p 6/6 PROCESS_STATE_STARTING processname:cat groupname:cat from_state:EXITED tries:0",
            "p 7/7 PROCESS_STATE_STARTING processname:p groupname:p from_state:STOPPED tries:0",
        ]
    );
}

#[test]
fn a_pool_that_lives_has_its_new_settings_at_once() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 9, &[(1, "p")]));
    let p = stage.run(1);
    remote(&mut stage, &["a", "b", "c"]);
    stage.change(pool("p", &["REMOTE_COMMUNICATION"], 2, &[(1, "p")]));
    assert_eq!(stage.logged(), ["ERRO pool p event buffer overflowed, discarding event 0"]);
    stage.change(pool("q", &["EVENT"], 2, &[(9, "q")]));
    assert_eq!(stage.events.pools().count(), 1, "a group that is not there is not made");
    stage.change(pool("p", &["REMOTE_COMMUNICATION"], 3, &[(1, "p")]));
    remote(&mut stage, &["d"]);
    stage.die();
    for _ in 0..3 {
        stage.say(p, b"READY\n");
        stage.say(p, b"RESULT 2\nOK");
    }
    assert_eq!(
        stage.sent(),
        [
            "p 1/1 REMOTE_COMMUNICATION type:t\nb",
            "p 2/2 REMOTE_COMMUNICATION type:t\nc",
            "p 3/3 REMOTE_COMMUNICATION type:t\nd"
        ],
        "its listener lives on"
    );
}

#[test]
fn output_that_is_not_to_make_events_any_more_makes_them_until_its_child_has_ended() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["PROCESS_LOG"], 99, &[(1, "p")]));
    stage.group(program("cat", 2));
    let p = stage.run(1);
    let first = stage.run(2);
    let mut silent = program("cat", 2);
    for member in &mut silent.members {
        (member.stdout, member.stderr) = Default::default();
    }
    stage.change(silent);
    let output =
        |child, text: &str| Input::Output { child, channel: Channel::Stdout, at: 0, bytes: text.as_bytes().to_vec() };
    stage.feed(output(first, "one\n"));
    stage.exit(2, first);
    stage.gone(first);
    let second = stage.run(2);
    stage.feed(output(second, "two\n"));
    for _ in 0..2 {
        stage.say(p, b"READY\n");
        stage.say(p, b"RESULT 2\nOK");
    }
    assert_eq!(stage.sent(), ["p 0/0 PROCESS_LOG_STDOUT processname:cat groupname:cat pid:1002 channel:stdout\none\n"]);
}

#[test]
fn the_announcement_of_an_end_does_not_wait_for_a_hanging_disk() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["PROCESS_STATE"], 99, &[(1, "p")]));
    stage.group(program("cat", 2));
    let p = stage.run(1);
    stage.run(2);
    stage.state(2, ProcessState::Exited);
    for _ in 0..4 {
        stage.say(p, b"READY\n");
        stage.say(p, b"RESULT 2\nOK");
    }
    stage.say(p, b"READY\n");
    assert_eq!(stage.sent().len(), 4);
    assert_eq!(stage.events.deadline().map(|due| due.since(stage.now.mono).as_secs()), Some(1));
    stage.pass(1);
    assert_eq!(
        stage.sent(),
        ["p 4/4 PROCESS_STATE_EXITED processname:cat groupname:cat from_state:RUNNING expected:0 pid:1002"]
    );
    assert_eq!(stage.events.deadline(), None);
}

#[test]
fn ticks_are_told_and_waited_for_only_if_someone_asked() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["PROCESS_STATE"], 10, &[(1, "p")]));
    let p = stage.run(1);
    assert_eq!(stage.events.deadline(), None, "nobody waits for time to pass");
    stage.group(pool("q", &["TICK_60"], 10, &[(2, "q")]));
    assert_eq!(stage.events.deadline().map(|due| due.since(stage.now.mono).as_secs()), Some(17));
    let q = stage.run(2);
    stage.say(q, b"READY\n");
    stage.pass(17);
    assert_eq!(stage.sent(), ["q 4/0 TICK_60 when:1000000020"]);
    stage.exit(2, q);
    stage.remove("q");
    assert_eq!(stage.events.deadline(), None);
    stage.exit(1, p);
}

#[test]
fn what_a_listener_said_already_is_not_heard_twice() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 10, &[(1, "p")]));
    let p = stage.run(1);
    let said = |at, text: &str| Input::Output { child: p, channel: Channel::Stdout, at, bytes: text.into() };
    stage.feed(said(0, "READ"));
    assert_eq!(stage.events.heard(p), Some(4));
    stage.feed(said(0, "READY\n"));
    stage.feed(said(2, "ADY\n"));
    assert_eq!(stage.events.pools().next().unwrap().listeners[0].state, Some(ListenerState::Ready));
    assert_eq!(stage.logged(), NOTHING);
    stage.remote("a");
    stage.feed(said(9, "RESULT 2\nOK"));
    assert_eq!(stage.logged(), ["WARN p: 3 bytes of its output were lost on the way, its answers may be misread"]);
    assert_eq!(stage.events.pools().next().unwrap().processed, 1);
}

#[test]
fn nothing_stays_untold_when_the_daemon_ends() {
    let mut stage = Stage::new();
    stage.group(pool("p", &["REMOTE_COMMUNICATION"], 1, &[(1, "p")]));
    remote(&mut stage, &["a", "b", "c"]);
    stage.trace();
    stage.feed(Input::Halt);
    assert!(stage.logged()[0].contains("discarded 1 more events"));
}

/// A pool of one listener that must answer within ten seconds.
fn hurried() -> GroupSpec {
    let mut spec = pool("p", &["REMOTE_COMMUNICATION"], 10, &[(1, "p")]);
    spec.pool.as_mut().unwrap().answer_timeout = Some(Duration::from_secs(10));
    spec
}

#[test]
fn who_owes_an_answer_for_too_long_is_started_anew_once() {
    let mut stage = Stage::new();
    stage.group(hurried());
    let p = stage.run(1);
    stage.remote("a");
    stage.pass(9);
    assert_eq!(stage.logged(), NOTHING);
    stage.die();
    stage.pass(1);
    let renewed = format!("renew p {p}");
    assert_eq!(
        stage.logged(),
        ["WARN p: has been ACKNOWLEDGED for 10 seconds; it is started anew (answer_timeout)", renewed.as_str()]
    );
    stage.pass(100);
    assert_eq!(stage.logged(), NOTHING, "it was asked for");
    stage.exit(1, p);
    let next = stage.run(1);
    stage.say(next, b"READY\n");
    assert_eq!(stage.sent(), ["p 0/0 REMOTE_COMMUNICATION type:t\na"]);
    // Bytes are no answer before they are complete.
    for byte in b"RESULT 2\nO" {
        stage.say(next, &[*byte]);
        stage.pass(1);
    }
    let renewed = format!("renew p {next}");
    assert_eq!(
        stage.logged(),
        [
            "WARN p: has been BUSY for 10 seconds, with event 0 in its hands; it is started anew (answer_timeout)",
            renewed.as_str()
        ]
    );
    assert_eq!(stage.events.pools().next().unwrap().renewed, 2);
}

#[test]
fn a_listener_that_waits_for_events_or_has_no_deadline_is_left_alone() {
    let mut stage = Stage::new();
    stage.group(hurried());
    stage.group(pool("patient", &["REMOTE_COMMUNICATION"], 10, &[(2, "patient")]));
    let p = stage.start(1);
    stage.run(2);
    stage.pass(100);
    assert_eq!(stage.logged(), NOTHING, "one that is not RUNNING yet owes nothing, the other has no limit");
    stage.state(1, ProcessState::Running);
    stage.say(p, b"READY\n");
    stage.pass(1000);
    assert_eq!((stage.logged(), stage.events.deadline()), (vec![], None), "nobody wakes for it");
    stage.say(p, b"hello");
    stage.pass(10);
    assert!(stage.logged().iter().any(|line| line.contains("p: has been UNKNOWN for 10 seconds")));
    let mut spec = hurried();
    spec.pool.as_mut().unwrap().answer_timeout = None;
    stage.feed(Input::Changed(spec));
    stage.exit(1, p);
    stage.run(1);
    stage.pass(1000);
    assert_eq!(stage.logged(), NOTHING, "the limit was taken away");
}
