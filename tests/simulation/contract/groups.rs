//! Groups, order, and what is shown of processes.

use std::time::Duration;

use galaxyd::engine::{
    Answer, AutoRestart, Description, Effect, Event, Input, Mood, Policy, ProcessId, ProcessState as P, Refusal,
    Request, Target,
};

use crate::stage::{SIGTERM, Stage, TERMINATED, auto, code, group, millis, policy, refusal, results, three};

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

#[test]
fn all_members_are_signalled_before_the_first_wait_is_mentioned() {
    let (mut stage, [a, b, c]) = three();
    let [a, b, c] = [a, b, c].map(|process| stage.pid(process));
    stage.stop(Target::All, true);
    assert_eq!(
        stage.log(),
        [
            &format!("killing c (pid {c}) with signal SIGTERM"),
            &format!("killing b (pid {b}) with signal SIGTERM"),
            &format!("killing a (pid {a}) with signal SIGTERM"),
            "waiting for c to stop",
            "waiting for b to stop",
            "waiting for a to stop",
        ]
    );
}

#[test]
fn ten_thousand_processes_are_started_stopped_and_ended() {
    let names: Vec<String> = (0..10_000).map(|number| format!("p{number}")).collect();
    let members: Vec<_> = names.iter().map(|name| (name.as_str(), policy())).collect();
    let mut stage = Stage::new(vec![group("many", 1, &members)]);
    let all = stage.engine.group_members("many").expect("the group exists").to_vec();
    stage.start(Target::All, true);
    for process in &all {
        stage.pass(Duration::from_micros(10));
        stage.forked(*process);
    }
    while stage.answers().is_empty() {
        stage.wait_for_deadline();
    }
    assert_eq!(results(&stage).len(), all.len());
    stage.stop(Target::All, true);
    for process in all.iter().rev() {
        stage.exit(*process, TERMINATED);
    }
    assert_eq!(results(&stage).first(), Some(&"p0: Ok(())".to_owned()));
    stage.tell(Input::Shutdown);
    assert_eq!(stage.effects.last(), Some(&Effect::Halted { mood: Mood::Shutdown }));
}
