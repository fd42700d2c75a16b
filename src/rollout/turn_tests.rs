//! Hand-overs between zerglings, in a world where every deed is done at once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::operation::*;
use super::step::{Phase, Step};
use crate::config::{Leaving, Strategy, Trigger, Zergling};
use crate::engine::{Moment, Now, ProcessId};

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

/// Zerglings of one pool that stand so, and the deeds that are done to them.
struct World {
    operation: Operation,
    states: BTreeMap<ProcessId, Outlook>,
    broken: Option<&'static str>,
    deeds: Vec<(u64, &'static str)>,
}

impl World {
    fn of(states: &[Outlook]) -> World {
        let ids = || (1..).map(ProcessId).zip(states.iter().copied());
        let fifos = vec!["/new".to_owned(), "/run".to_owned(), "/old".to_owned()];
        let zergling = Zergling { pool: "/pool".to_owned(), leaving: Leaving::ByFifo, fifos, stats: None };
        let unit = Unit {
            program: "program:zergling".to_owned(),
            strategy: Strategy::Zerg,
            reason: String::new(),
            triggers: ids().map(|_| Trigger::Signal(libc::SIGHUP)).collect(),
            zerglings: ids().map(|_| zergling.clone()).collect(),
            max_unavailable: 1,
            steps: ids().map(|(id, _)| Step::new(id, format!("zergling{}", id.0))).collect(),
        };
        let plan = Plan { kind: Kind::Graceful, asker: "root".to_owned(), units: vec![unit], has_front: false };
        let operation = Operation::new(1, Now { mono: at(0), wall: 0 }, plan);
        World { operation, states: ids().collect(), broken: None, deeds: Vec::new() }
    }

    fn outlook(&self) -> impl Fn(ProcessId) -> Outlook + use<> {
        let states = self.states.clone();
        move |process| states.get(&process).copied().unwrap_or(Outlook::Gone)
    }

    /// Until nothing is done any more.
    fn run(&mut self) {
        let mut effects = Vec::new();
        for turn in 1..100 {
            self.operation.advance(at(turn), &self.outlook(), &mut effects);
            let Some(Effect { process, deed }) = effects.pop() else { return };
            assert!(effects.is_empty(), "one thing at a time: {effects:?}");
            let (word, outlook) = match deed {
                Deed::Stop => ("stop", Outlook::Down),
                Deed::Start => ("start", Outlook::Pending),
                Deed::AwaitReady => ("ready", Outlook::Up),
                Deed::Accept => ("accept", Outlook::Up),
                Deed::Retire => ("retire", Outlook::Down),
                Deed::Reload(_) | Deed::Succeed => panic!("{deed:?}"),
            };
            self.deeds.push((process.0, word));
            let result = if self.broken == Some(word) { Err("it is late".to_owned()) } else { Ok(()) };
            self.states.insert(process, outlook);
            self.operation.finished(at(turn), process, result, &self.outlook(), &mut effects);
            // A successor may take over at any time, and asks for the same.
            let mut again = Vec::new();
            self.operation.resume(&mut again);
            assert!(effects.is_empty() || effects == again, "{effects:?} {again:?}");
            if word == "start" {
                self.operation.cancel();
            }
        }
        panic!("it does not end: {:?}", self.operation);
    }

    fn phases(&self) -> Vec<Phase> {
        self.operation.steps().map(|step| step.phase).collect()
    }

    fn note(&self, at: usize) -> &str {
        &self.operation.units[0].steps[at].note
    }
}

#[test]
fn the_one_that_is_down_takes_over_and_then_the_other_leaves_though_it_is_cancelled_meanwhile() {
    for serving in [Outlook::Up, Outlook::Late] {
        let mut world = World::of(&[serving, Outlook::Down, Outlook::Down]);
        world.run();
        let wanted = [(2, "stop"), (2, "start"), (2, "ready"), (2, "accept"), (1, "retire")];
        assert_eq!(world.deeds, wanted);
        assert_eq!(world.phases(), [Phase::Done, Phase::Done, Phase::LeftAlone]);
        assert_eq!((world.note(0), world.operation.state), ("it gave way to zergling2", State::Done));
        assert!(world.operation.verdict(at(9)).starts_with("Rolled 2 of 2 in "));
    }
}

#[test]
fn one_that_does_not_get_there_is_stopped_and_the_other_serves_on() {
    for broken in ["start", "ready", "accept"] {
        let mut world = World::of(&[Outlook::Down, Outlook::Up]);
        world.broken = Some(broken);
        world.run();
        assert_eq!(world.deeds.last(), Some(&(1, "stop")), "{broken}");
        assert_eq!(world.phases(), [Phase::Failed, Phase::NotReached], "{broken}");
        assert_eq!(world.note(0), "it was stopped, and zergling2 serves on: it is late");
        assert_eq!((world.operation.state, world.states[&ProcessId(2)]), (State::Failed, Outlook::Up));
    }
}

#[test]
fn where_nobody_serves_one_is_started_and_kept_whatever_comes_of_it() {
    let mut world = World::of(&[Outlook::Down, Outlook::Down]);
    world.run();
    assert_eq!(world.phases(), [Phase::Done, Phase::LeftAlone]);
    assert_eq!(world.operation.state, State::Done);

    let mut world = World::of(&[Outlook::Down, Outlook::Down]);
    world.broken = Some("accept");
    world.run();
    assert_eq!((world.phases()[0], world.states[&ProcessId(1)]), (Phase::Failed, Outlook::Up));
    assert!(world.note(0).contains("it is left as it is, as no other zergling serves"));
}

#[test]
fn two_that_run_are_left_as_they_are_and_one_that_changes_is_waited_for() {
    let mut world = World::of(&[Outlook::Up, Outlook::Late]);
    world.run();
    assert!(world.deeds.is_empty() && world.operation.state == State::Failed);
    assert!(world.note(0).contains("zergling1 and zergling2 run both"), "{}", world.note(0));

    let mut world = World::of(&[Outlook::Up, Outlook::Pending]);
    world.run();
    assert!(world.deeds.is_empty() && world.operation.state == State::Active);
    world.states.insert(ProcessId(2), Outlook::Down);
    world.run();
    assert_eq!(world.operation.state, State::Done);
}

#[test]
fn one_that_does_not_leave_is_a_failure() {
    let mut world = World::of(&[Outlook::Up, Outlook::Down]);
    world.broken = Some("retire");
    world.run();
    assert_eq!(world.phases(), [Phase::Failed, Phase::Done]);
    assert_eq!(world.operation.state, State::Failed);
}
