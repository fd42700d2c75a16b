//! The daemon's end.

use std::time::Duration;

use galaxyd::engine::{
    Answer, AutoRestart, Effect, Event, GroupSpec, Input, Mood, Policy, ProcessState as P, Refusal, Request, Target,
};

use crate::stage::{Stage, TERMINATED, auto, code, group, millis, policy, refusal};

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
    assert_eq!(stage.engine.deadline(), Some(stage.now().mono + millis(3000)), "for the next line about waiting");
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

/// A program and two pools of listeners behind it, all running and the daemon ending.
fn ending_with_listeners() -> Stage {
    let rules = Policy { startsecs: Duration::ZERO, ..auto(AutoRestart::Never) };
    let pool = |name| GroupSpec { listens: true, ..group(name, -1, &[("l", rules.clone())]) };
    let mut stage = Stage::new(vec![pool("one"), pool("two"), group("p", 999, &[("p", rules.clone())])]);
    for process in stage.spawns() {
        stage.forked(process);
    }
    stage.tell(Input::Shutdown);
    assert_eq!((stage.killed(), stage.engine.awaited()), (vec!["p".to_owned()], None));
    stage.exit(stage.find("p", "p"), TERMINATED);
    assert_eq!(stage.killed(), [""; 0]);
    assert_eq!(stage.engine.awaited(), Some("two"));
    stage
}

#[test]
fn listeners_are_stopped_when_nothing_waits_for_them() {
    let mut stage = ending_with_listeners();
    stage.tell(Input::Quiet { group: "one".to_owned() });
    assert_eq!(stage.killed(), [""; 0], "not its turn");
    stage.tell(Input::Quiet { group: "two".to_owned() });
    assert_eq!((stage.killed(), stage.engine.awaited()), (vec!["l".to_owned()], None));
    stage.exit(stage.find("two", "l"), TERMINATED);
    assert_eq!(stage.engine.awaited(), Some("one"), "the end of the first pool is news for the second");
    stage.tell(Input::Quiet { group: "one".to_owned() });
    stage.exit(stage.find("one", "l"), TERMINATED);
    assert_eq!(stage.effects.last(), Some(&Effect::Halted { mood: Mood::Shutdown }));
}

#[test]
fn listeners_that_do_not_answer_delay_the_end_by_a_second_together() {
    let mut stage = ending_with_listeners();
    stage.wait(millis(999));
    assert_eq!(stage.killed(), [""; 0]);
    stage.wait(millis(1));
    assert_eq!((stage.killed(), stage.engine.awaited()), (vec!["l".to_owned()], None));
    stage.exit(stage.find("two", "l"), TERMINATED);
    assert_eq!((stage.killed(), stage.engine.awaited()), (vec!["l".to_owned()], None), "its second is over as well");
}

#[test]
fn a_listener_that_ends_by_itself_is_not_waited_for() {
    let mut stage = ending_with_listeners();
    stage.exit(stage.find("two", "l"), code(0));
    assert_eq!(stage.engine.awaited(), Some("one"));
    stage.exit(stage.find("one", "l"), code(0));
    assert_eq!(stage.effects.last(), Some(&Effect::Halted { mood: Mood::Shutdown }));
}
