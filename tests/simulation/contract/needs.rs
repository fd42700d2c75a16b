//! One after the other: starts that wait for what they need, stops the other way round.

use std::time::Duration;

use galaxyd::engine::{
    AutoRestart, Condition, Engine, GroupChange, GroupSpec, Input, Mood, Need, Needs, Policy, ProcessId, ProcessRecord,
    ProcessState as P, ReadyRule, Refusal, Request, Target,
};

use crate::stage::{Stage, TERMINATED, auto, code, group, millis, policy, result, results};

fn need(name: &str, condition: Condition) -> Need {
    Need { group: name.to_owned(), name: name.to_owned(), condition }
}

fn needing(needs: &[(&str, Condition)], rules: Policy) -> Policy {
    let processes = needs.iter().map(|(name, condition)| need(name, *condition)).collect();
    Policy { needs: Needs { processes, outside: false }, startsecs: Duration::ZERO, ..rules }
}

fn quick() -> Policy {
    Policy { startsecs: Duration::ZERO, ..policy() }
}

/// `db`, `web` that needs it running, `front` that needs `web` ready; each a group of its own, nobody started.
fn three() -> (Stage, [ProcessId; 3]) {
    let web = needing(&[("db", Condition::Running)], policy());
    let front = needing(&[("web", Condition::Ready)], policy());
    let stage = Stage::new(vec![
        group("front", 1, &[("front", front)]),
        group("web", 2, &[("web", web)]),
        group("db", 3, &[("db", quick())]),
    ]);
    let all = ["db", "web", "front"].map(|name| stage.find(name, name));
    (stage, all)
}

/// All of them RUNNING.
fn up() -> (Stage, [ProcessId; 3]) {
    let (mut stage, all) = three();
    stage.start(Target::All, false);
    for process in all {
        stage.forked(process);
    }
    assert!(all.iter().all(|process| stage.state(*process) == P::Running));
    (stage, all)
}

fn held(stage: &Stage, process: ProcessId) -> Vec<String> {
    assert_eq!(stage.view(process).held.is_some(), !stage.engine.lacks(process).is_empty());
    stage.engine.lacks(process).iter().map(ToString::to_string).collect()
}

#[test]
fn a_start_takes_along_what_it_needs_and_waits_for_it() {
    let (mut stage, [db, web, front]) = three();
    stage.start(Target::One(front), true);
    assert_eq!(stage.spawns(), [db]);
    assert_eq!([db, web, front].map(|one| stage.state(one)), [P::Starting; 3]);
    assert_eq!(stage.view(front).pid, None);
    assert_eq!(held(&stage, front), ["web to be ready (it is STARTING)"]);
    assert_eq!(
        stage.log(),
        [
            "held: front waits for web to be ready (it is STARTING)",
            "held: web waits for db to be running (it is STARTING)"
        ]
    );
    stage.forked(db);
    assert_eq!(stage.spawns(), [web]);
    assert!(stage.log().iter().all(|line| !line.starts_with("held")), "told once: {:?}", stage.log());
    stage.pass(millis(60_000));
    stage.forked(web);
    assert_eq!(stage.spawns(), [front]);
    stage.forked(front);
    assert_eq!(result(&stage), Ok(()));
}

#[test]
fn nothing_waits_that_needs_nothing_or_whose_needs_are_met() {
    let (mut stage, [db, web, _]) = three();
    stage.start(Target::One(db), false);
    assert_eq!(stage.spawns(), [db]);
    stage.forked(db);
    stage.start(Target::One(web), false);
    assert_eq!((stage.spawns(), stage.view(web).held), (vec![web], None));
    assert!(stage.log().is_empty());
}

#[test]
fn a_start_without_waiting_is_answered_when_it_is_held() {
    let (mut stage, [_, web, _]) = three();
    stage.start(Target::One(web), false);
    assert_eq!(result(&stage), Ok(()));
}

#[test]
fn autostart_keeps_the_order_and_takes_along_what_does_not_start_by_itself() {
    let rules = needing(&[("db", Condition::Running)], auto(AutoRestart::Never));
    let mut stage = Stage::new(vec![group("web", 1, &[("web", rules)]), group("db", 9, &[("db", quick())])]);
    let (db, web) = (stage.find("db", "db"), stage.find("web", "web"));
    assert_eq!(stage.spawns(), [db]);
    stage.forked(db);
    assert_eq!(stage.spawns(), [web]);
}

#[test]
fn each_condition_is_waited_for() {
    let ready = Policy { ready: Some(ReadyRule { timeout: millis(60_000), settle: millis(0) }), ..policy() };
    for condition in Condition::ALL {
        let rules = needing(&[("db", condition)], policy());
        let mut stage = Stage::new(vec![group("web", 1, &[("web", rules)]), group("db", 9, &[("db", ready.clone())])]);
        let (db, web) = (stage.find("db", "db"), stage.find("web", "web"));
        stage.start(Target::One(web), false);
        let mut met = Vec::new();
        let mut note = |stage: &Stage, what| met.extend(stage.spawns().contains(&web).then_some(what));
        stage.forked(db);
        note(&stage, "started");
        stage.wait(millis(1000));
        note(&stage, "running");
        let attempt = stage.view(db).attempt;
        stage.tell(Input::Answered { process: db, attempt });
        note(&stage, "ready");
        stage.exit(db, code(0));
        note(&stage, "exited");
        assert_eq!(met, [condition.word()]);
    }
}

#[test]
fn an_end_that_was_not_well_is_none_that_is_waited_for() {
    let rules = needing(&[("job", Condition::Exited)], policy());
    let mut stage = Stage::new(vec![group("web", 1, &[("web", rules)]), group("job", 9, &[("job", quick())])]);
    let (job, web) = (stage.find("job", "job"), stage.find("web", "web"));
    stage.start(Target::One(web), true);
    stage.forked(job);
    stage.exit(job, code(1));
    let wanted = "web is held: it waits for job to have ended well (it is EXITED)".to_owned();
    assert_eq!(result(&stage), Err(Refusal::Failed(wanted)), "nobody waits in vain");
    assert_eq!(stage.state(web), P::Starting, "it goes on waiting");
    stage.start(Target::One(job), false);
    stage.forked(job);
    stage.exit(job, code(0));
    assert_eq!(stage.spawns(), [web]);
    // It has done its work: the next start does not repeat it.
    stage.forked(web);
    stage.exit(web, code(0));
    stage.start(Target::One(web), false);
    assert_eq!(stage.spawns(), [web]);
}

#[test]
fn holding_uses_up_no_retries_and_startsecs_count_from_the_fork() {
    let rules = Policy { startretries: 0, startsecs: millis(1000), ..needing(&[("db", Condition::Running)], policy()) };
    let rules = Policy { startsecs: millis(1000), ..rules };
    let mut stage = Stage::new(vec![group("web", 1, &[("web", rules)]), group("db", 9, &[("db", quick())])]);
    let (db, web) = (stage.find("db", "db"), stage.find("web", "web"));
    stage.start(Target::One(web), false);
    for _ in 0..3 {
        stage.pass(millis(60_000));
        stage.not_forked(db);
        stage.wait_for_deadline();
    }
    assert_eq!((stage.state(web), stage.view(web).backoff), (P::Starting, 0));
    stage.start(Target::One(db), false);
    stage.forked(db);
    stage.forked(web);
    assert_eq!(stage.state(web), P::Starting);
    stage.wait(millis(999));
    assert_eq!(stage.state(web), P::Starting);
    stage.wait(millis(1));
    assert_eq!(stage.state(web), P::Running);
}

#[test]
fn a_restart_waits_for_what_it_needs() {
    let rules = needing(&[("db", Condition::Running)], auto(AutoRestart::Always));
    let db = Policy { startsecs: Duration::ZERO, ..auto(AutoRestart::Always) };
    let mut stage = Stage::new(vec![group("web", 1, &[("web", rules)]), group("db", 9, &[("db", db)])]);
    let (db, web) = (stage.find("db", "db"), stage.find("web", "web"));
    stage.forked(db);
    stage.forked(web);
    stage.pass(millis(60_000));
    stage.exit(db, code(1));
    assert_eq!(stage.spawns(), [db]);
    assert_eq!(stage.state(web), P::Running, "it may live on without");
    stage.exit(web, code(1));
    assert_eq!(stage.spawns(), [], "it waits");
    stage.forked(db);
    assert_eq!(stage.spawns(), [web]);
}

#[test]
fn a_held_start_can_be_stopped() {
    let (mut stage, [_, web, _]) = three();
    stage.start(Target::One(web), true);
    stage.stop(Target::One(web), true);
    assert_eq!((stage.state(web), stage.view(web).held), (P::Stopped, None));
    assert_eq!(stage.announced(), [P::Stopping, P::Stopped]);
    assert_eq!(stage.answers().len(), 2, "both clients know: {:?}", stage.answers());
}

#[test]
fn those_that_need_it_are_stopped_first() {
    let (mut stage, [db, web, front]) = up();
    stage.stop(Target::One(db), true);
    assert_eq!(stage.killed(), ["front"]);
    assert!(stage.view(db).is_parting && stage.view(web).is_parting);
    stage.exit(front, TERMINATED);
    assert_eq!(stage.killed(), ["web"]);
    stage.exit(web, TERMINATED);
    assert_eq!(stage.killed(), ["db"]);
    assert_eq!(stage.answers(), []);
    stage.exit(db, TERMINATED);
    assert_eq!(results(&stage), ["db: Ok(())"]);
}

#[test]
fn who_was_stopped_with_it_is_started_with_it_again() {
    let (mut stage, [db, web, front]) = up();
    stage.stop(Target::One(db), true);
    for process in [front, web, db] {
        stage.exit(process, TERMINATED);
    }
    // This one is to stay down.
    stage.stop(Target::One(front), true);
    stage.start(Target::One(db), true);
    assert_eq!(stage.spawns(), [db]);
    stage.forked(db);
    assert_eq!(stage.spawns(), [web]);
    assert_eq!(stage.state(front), P::Stopped);
}

#[test]
fn all_are_named_in_the_answers_whatever_the_order() {
    let (mut stage, all) = three();
    stage.start(Target::All, true);
    for process in all {
        stage.forked(process);
    }
    assert_eq!(results(&stage).len(), 3);
    stage.stop(Target::All, true);
    assert_eq!(stage.killed(), ["front"]);
    let [db, web, front] = all;
    stage.exit(front, TERMINATED);
    stage.exit(web, TERMINATED);
    stage.exit(db, TERMINATED);
    assert_eq!(results(&stage), ["front: Ok(())", "web: Ok(())", "db: Ok(())"]);
    stage.start(Target::One(db), false);
    assert_eq!(stage.spawns(), [db], "who was stopped for himself stays so");
}

#[test]
fn one_that_is_to_be_stopped_is_not_started_again_meanwhile() {
    let db = Policy { startsecs: Duration::ZERO, ..auto(AutoRestart::Always) };
    let web = needing(&[("db", Condition::Running)], auto(AutoRestart::Never));
    let mut stage = Stage::new(vec![group("web", 1, &[("web", web)]), group("db", 9, &[("db", db)])]);
    let (db, web) = (stage.find("db", "db"), stage.find("web", "web"));
    stage.forked(db);
    stage.forked(web);
    stage.pass(millis(5000));
    stage.stop(Target::One(db), true);
    stage.exit(db, code(0));
    assert_eq!((stage.state(db), stage.spawns()), (P::Exited, vec![]));
    assert_eq!(result(&stage), Ok(()));
    stage.exit(web, TERMINATED);
    assert_eq!((stage.state(db), stage.spawns()), (P::Exited, vec![]));
}

#[test]
fn the_daemon_ends_in_reverse() {
    let (mut stage, [db, web, front]) = up();
    // By priority alone db would be first.
    stage.tell(Input::Shutdown);
    assert_eq!(stage.killed(), ["front"]);
    stage.exit(front, TERMINATED);
    assert_eq!(stage.killed(), ["web"]);
    stage.exit(web, TERMINATED);
    assert_eq!(stage.killed(), ["db"]);
    stage.exit(db, TERMINATED);
    assert_eq!(stage.engine.deadline(), None);
}

#[test]
fn things_outside_are_looked_for_when_nothing_else_is_waited_for() {
    let mut rules = needing(&[("db", Condition::Running)], policy());
    rules.needs.outside = true;
    let mut stage = Stage::new(vec![group("web", 1, &[("web", rules)]), group("db", 9, &[("db", quick())])]);
    let (db, web) = (stage.find("db", "db"), stage.find("web", "web"));
    stage.start(Target::One(web), true);
    assert_eq!(stage.engine.waiting_outside().count(), 0);
    let attempt = stage.view(web).attempt;
    stage.tell(Input::Reached { process: web, attempt });
    assert_eq!(stage.spawns(), [], "too early");
    stage.forked(db);
    assert_eq!((stage.engine.waiting_outside().count(), stage.spawns()), (1, vec![]));
    stage.tell(Input::Reached { process: web, attempt: attempt + 1 });
    assert_eq!(stage.spawns(), []);
    stage.tell(Input::Reached { process: web, attempt });
    assert_eq!((stage.spawns(), stage.engine.waiting_outside().count()), (vec![web], 0));
}

#[test]
fn a_need_that_is_taken_out_lets_go_and_a_new_one_costs_nothing() {
    let (mut stage, [db, web, _]) = three();
    stage.start(Target::One(web), false);
    stage.not_forked(db);
    let update = |stage: &mut Stage, rules: Policy| {
        let spec = group("web", 2, &[("web", rules)]);
        let change = GroupChange::Reshape { spec, renewed: Vec::new(), restarted: Vec::new() };
        stage.request(Request::Update { changes: vec![change], wait: false });
    };
    update(&mut stage, quick());
    assert_eq!(stage.spawns(), [web]);
    stage.forked(web);
    update(&mut stage, needing(&[("db", Condition::Running)], policy()));
    assert_eq!((stage.state(web), stage.kills()), (P::Running, vec![]));
}

/// The engine as its successor has it.
fn successor(stage: &Stage, groups: Vec<GroupSpec>) -> Engine {
    let record = |name: &str| -> ProcessRecord {
        let text = serde_json::to_string(&stage.engine.record(stage.find(name, name))).expect("a record is JSON");
        serde_json::from_str(&text).expect("what was written is read")
    };
    let groups = groups.into_iter().map(|spec| (spec.clone(), vec![record(&spec.name)])).collect();
    Engine::restore(Mood::Running, groups, stage.engine.next_id())
}

fn specs(stage: &Stage) -> Vec<GroupSpec> {
    ["front", "web", "db"].iter().filter_map(|name| stage.engine.spec(name)).collect()
}

#[test]
fn a_successor_goes_on_holding() {
    let (mut stage, [db, web, front]) = three();
    stage.start(Target::One(front), true);
    let pid = stage.forked(db);
    // The worker dies before it has asked for web.
    stage.engine = successor(&stage, specs(&stage));
    let now = stage.now();
    let mut effects = Vec::new();
    stage.engine.resume(now, &mut effects);
    assert!(format!("{effects:?}").contains(&format!("Spawn {{ process: {web:?}")), "{effects:?}");
    assert_eq!(stage.view(db).pid, Some(pid));
    assert_eq!(held(&stage, front), ["web to be ready (it is STARTING)"]);
    stage.forked(web);
    assert_eq!(stage.spawns(), [front]);
}

#[test]
fn a_successor_goes_on_stopping_in_order() {
    let (mut stage, [db, web, front]) = up();
    stage.stop(Target::One(db), true);
    stage.engine = successor(&stage, specs(&stage));
    stage.exit(front, TERMINATED);
    assert_eq!(stage.killed(), ["web"]);
    stage.exit(web, TERMINATED);
    assert_eq!(stage.killed(), ["db"]);
    stage.exit(db, TERMINATED);
    assert_eq!(stage.state(db), P::Stopped);
}

#[test]
fn a_successor_waits_for_nothing_as_the_process_beside_it_has_what_it_needs() {
    let (mut stage, [db, web, _]) = up();
    stage.exit(db, code(1));
    stage.request(Request::Succeed { process: web });
    assert_ne!(stage.state(db), P::Running);
    let [successor] = stage.engine.group("web").map(|group| group.beside.to_vec()).unwrap_or_default()[..] else {
        panic!("nobody stands beside")
    };
    assert!(stage.spawns().contains(&successor));
}

#[test]
fn nobody_takes_the_place_of_one_that_waits_for_its_turn_to_stop() {
    let (mut stage, [db, web, front]) = up();
    stage.request(Request::Succeed { process: db });
    let [successor] = stage.engine.group("db").expect("its group").beside[..] else { panic!("no successor") };
    stage.stop(Target::One(db), true);
    stage.forked(successor);
    assert_eq!(stage.find("db", "db"), db, "the successor, ready at once, is ended instead");
    stage.exit(successor, TERMINATED);
    stage.exit(front, TERMINATED);
    stage.exit(web, TERMINATED);
    assert_eq!(stage.killed(), ["db"]);
    stage.exit(db, TERMINATED);
    assert!(stage.engine.everybody().all(|view| view.state.is_stopped()));
}
