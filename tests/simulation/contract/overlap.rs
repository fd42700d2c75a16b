//! A successor beside a running process.

use galaxyd::engine::{Effect, Event, Kind, Policy, ProcessId, ProcessState as P, Refusal, Request, Target};

use crate::stage::{SIGTERM, Stage, TERMINATED, code, millis, policy, result, running};

/// A running process and its successor, which is being forked.
fn succeeding() -> (Stage, ProcessId, ProcessId) {
    let (mut stage, process) = running(policy());
    stage.request(Request::Succeed { process });
    let [successor] = beside(&stage)[..] else { panic!("{:?}", beside(&stage)) };
    assert_eq!(stage.spawns(), [successor]);
    (stage, process, successor)
}

fn beside(stage: &Stage) -> Vec<ProcessId> {
    stage.engine.group("p").expect("the group of the stage").beside.to_vec()
}

/// Whether all news were of those who stand beside.
fn is_silent(stage: &Stage) -> bool {
    stage.effects.iter().all(|effect| match effect {
        Effect::Event(Event::ProcessState { beside, .. }) => *beside,
        _ => true,
    })
}

#[test]
fn a_successor_takes_the_place_and_listeners_hear_nothing() {
    let (mut stage, process, successor) = succeeding();
    assert!(is_silent(&stage));
    stage.forked(successor);
    assert!(is_silent(&stage) && stage.find("p", "p") == process);
    stage.wait(millis(1000));
    assert!(is_silent(&stage));
    assert_eq!((stage.find("p", "p"), beside(&stage)), (successor, vec![process]));
    assert_eq!(stage.kills().iter().map(|kill| kill.signal).collect::<Vec<_>>(), [SIGTERM]);
    assert_eq!(stage.engine.processes().map(|view| view.process).collect::<Vec<_>>(), [successor]);
    stage.exit(process, TERMINATED);
    assert!(is_silent(&stage));
    assert_eq!((result(&stage), beside(&stage)), (Ok(()), Vec::new()));
    assert!(stage.engine.process(process).is_none());
    // From here on its rules are the program's.
    stage.exit(successor, code(1));
    assert!(!is_silent(&stage));
    assert_eq!(stage.state(successor), P::Exited);
}

#[test]
fn a_successor_that_ends_leaves_all_as_it_was() {
    let (mut stage, process, successor) = succeeding();
    stage.forked(successor);
    stage.exit(successor, code(3));
    let why = "the successor of p ended: exit status 3".to_owned();
    assert_eq!(result(&stage), Err(Refusal::Failed(why)));
    assert_eq!((stage.find("p", "p"), stage.state(process), beside(&stage)), (process, P::Running, Vec::new()));
}

#[test]
fn a_stop_ends_the_successor_too() {
    let (mut stage, process, successor) = succeeding();
    stage.forked(successor);
    stage.stop(Target::One(process), true);
    assert_eq!(stage.kills().len(), 2);
    stage.exit(process, TERMINATED);
    assert_eq!(result(&stage), Ok(()), "the stop");
    stage.exit(successor, TERMINATED);
    assert_eq!(result(&stage), Err(Refusal::Failed("p was told to stop meanwhile".to_owned())));
    assert!(beside(&stage).is_empty());
}

#[test]
fn only_a_running_service_can_be_succeeded_and_by_one_at_a_time() {
    let (mut stage, process) = Stage::with_one(policy());
    stage.request(Request::Succeed { process });
    assert_eq!(result(&stage), Err(Refusal::NotRunning));
    let (mut stage, process, _) = succeeding();
    stage.request(Request::Succeed { process });
    assert_eq!(result(&stage), Err(Refusal::Failed("p is being succeeded already".to_owned())));
    let (mut stage, process) = running(Policy { kind: Kind::Oneshot, ..policy() });
    stage.request(Request::Succeed { process });
    assert_eq!(result(&stage), Err(Refusal::Failed("p is no service: nobody can take over from it".to_owned())));
}
