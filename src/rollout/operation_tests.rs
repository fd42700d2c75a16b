//! Operations in a world where every deed is done at once.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::operation::*;
use super::step::{Phase, Step};
use super::tally::Asked;
use crate::config::{Strategy, Trigger};
use crate::engine::{Moment, Now, ProcessId};

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

fn unit(strategy: Strategy, max_unavailable: u32, processes: &[u64]) -> Unit {
    let steps = processes.iter().map(|id| Step::new(ProcessId(*id), format!("web_{id}"))).collect();
    let triggers = processes.iter().map(|_| Trigger::Signal(libc::SIGHUP)).collect();
    let program = "program:web".to_owned();
    Unit { program, strategy, reason: String::new(), triggers, zerglings: Vec::new(), max_unavailable, steps }
}

fn operation(units: Vec<Unit>) -> Operation {
    let plan = Plan { kind: Kind::Graceful, asker: "root".to_owned(), units, has_front: false };
    Operation::new(1, Now { mono: at(0), wall: 0 }, plan)
}

/// A world in which every deed is done at once, and the most that were out of service together.
struct World {
    states: BTreeMap<ProcessId, Outlook>,
    broken: Option<ProcessId>,
    deeds: Vec<(u64, &'static str)>,
    most_down: usize,
}

impl World {
    fn of(up: impl IntoIterator<Item = u64>) -> World {
        let states = up.into_iter().map(|id| (ProcessId(id), Outlook::Up)).collect();
        World { states, broken: None, deeds: Vec::new(), most_down: 0 }
    }

    fn outlook(&self) -> impl Fn(ProcessId) -> Outlook + use<> {
        let states = self.states.clone();
        move |process| states.get(&process).copied().unwrap_or(Outlook::Gone)
    }

    fn run(&mut self, operation: &mut Operation) {
        let mut effects = Vec::new();
        for turn in 1..1000 {
            operation.advance(at(turn), &self.outlook(), &mut effects);
            let down = self.states.values().filter(|one| **one != Outlook::Up).count();
            self.most_down = self.most_down.max(down);
            // The oldest first, so that several are under way together.
            if effects.is_empty() {
                return;
            }
            let Effect { process, deed } = effects.remove(0);
            let (word, outlook) = match deed {
                Deed::Stop => ("stop", Outlook::Down),
                Deed::Start => ("start", Outlook::Pending),
                Deed::AwaitReady => ("ready", Outlook::Up),
                Deed::Reload(_) => ("reload", Outlook::Up),
                Deed::Succeed => ("succeed", Outlook::Up),
                Deed::Accept => ("accept", Outlook::Up),
                Deed::Retire => ("retire", Outlook::Down),
            };
            self.deeds.push((process.0, word));
            self.states.insert(process, outlook);
            let fails = self.broken == Some(process) && word == "ready";
            let result = if fails { Err("it is late".to_owned()) } else { Ok(()) };
            if fails {
                self.states.insert(process, Outlook::Down);
            }
            operation.finished(at(turn), process, result, &self.outlook(), &mut effects);
        }
        panic!("it does not end: {operation:?}");
    }
}

fn phases(operation: &Operation) -> Vec<Phase> {
    operation.steps().map(|step| step.phase).collect()
}

#[test]
fn one_is_ready_before_the_next_is_touched() {
    let mut operation = operation(vec![unit(Strategy::Rolling, 1, &[1, 2])]);
    let mut world = World::of([1, 2]);
    world.run(&mut operation);
    let wanted = [(1, "stop"), (1, "start"), (1, "ready"), (2, "stop"), (2, "start"), (2, "ready")];
    assert_eq!((world.deeds.as_slice(), world.most_down, operation.state), (wanted.as_slice(), 1, State::Done));
    assert!(operation.verdict(at(50)).starts_with("Rolled 2 of 2 in "), "{}", operation.verdict(at(50)));
}

#[test]
fn the_first_failure_ends_it_and_what_is_left_is_not_touched() {
    let mut operation = operation(vec![unit(Strategy::Rolling, 1, &[1, 2, 3]), unit(Strategy::Restart, 1, &[4])]);
    let mut world = World::of([1, 2, 3, 4]);
    world.broken = Some(ProcessId(2));
    world.run(&mut operation);
    assert_eq!(phases(&operation), [Phase::Done, Phase::Failed, Phase::NotReached, Phase::NotReached]);
    assert_eq!((operation.state, operation.progress()), (State::Failed, (1, 4)));
    assert!(!world.deeds.iter().any(|(id, _)| *id > 2), "{:?}", world.deeds);
}

#[test]
fn nobody_is_taken_out_while_another_is_down_but_who_is_down_comes_first() {
    let mut refused = operation(vec![unit(Strategy::Rolling, 1, &[1])]);
    refused.units[0].steps.push(Step { phase: Phase::Done, ..Step::new(ProcessId(2), "web_2".to_owned()) });
    let mut world = World::of([1]);
    world.states.insert(ProcessId(2), Outlook::Down);
    world.run(&mut refused);
    assert_eq!((world.deeds.len(), refused.state), (0, State::Failed));
    assert!(refused.units[0].steps[0].note.contains("web_2 is out of service already"));

    let mut mended = operation(vec![unit(Strategy::Rolling, 1, &[1, 2])]);
    let mut world = World::of([1]);
    world.states.insert(ProcessId(2), Outlook::Down);
    world.run(&mut mended);
    assert_eq!((world.deeds[0], mended.state), ((2, "stop"), State::Done));
}

#[test]
fn who_may_yet_become_ready_is_waited_for() {
    let mut operation = operation(vec![unit(Strategy::Signal, 1, &[1])]);
    operation.units[0].steps.push(Step { phase: Phase::Done, ..Step::new(ProcessId(2), "web_2".to_owned()) });
    let mut world = World::of([1]);
    world.states.insert(ProcessId(2), Outlook::Pending);
    world.run(&mut operation);
    assert_eq!((world.deeds.len(), operation.state), (0, State::Active));
    world.states.insert(ProcessId(2), Outlook::Up);
    world.run(&mut operation);
    assert_eq!((world.deeds.as_slice(), operation.state), ([(1, "reload")].as_slice(), State::Done));
}

#[test]
fn who_only_begins_is_waited_for_and_then_told_and_not_restarted() {
    let mut operation = operation(vec![unit(Strategy::Signal, 1, &[1])]);
    let mut world = World::of([]);
    world.states.insert(ProcessId(1), Outlook::Pending);
    world.run(&mut operation);
    assert_eq!((world.deeds.len(), operation.state), (0, State::Active));
    world.states.insert(ProcessId(1), Outlook::Up);
    world.run(&mut operation);
    assert_eq!((world.deeds.as_slice(), operation.state), ([(1, "reload")].as_slice(), State::Done));
}

#[test]
fn who_is_kept_is_started_where_it_is_down_and_else_left_alone() {
    let mut operation = operation(vec![unit(Strategy::Keep, 1, &[1, 2])]);
    let mut world = World::of([1]);
    world.states.insert(ProcessId(2), Outlook::Down);
    world.run(&mut operation);
    assert_eq!(world.deeds, [(2, "start"), (2, "ready")]);
    assert_eq!(phases(&operation), [Phase::LeftAlone, Phase::Done]);
    assert_eq!((operation.state, operation.progress()), (State::Done, (1, 1)));
}

#[test]
fn who_is_overlapped_answers_all_the_time_and_stays_where_the_successor_fails() {
    let mut operation = operation(vec![unit(Strategy::Overlap, 1, &[1, 2])]);
    let world = World::of([1, 2]);
    let mut effects = Vec::new();
    operation.advance(at(1), &world.outlook(), &mut effects);
    assert_eq!(effects, [Effect { process: ProcessId(1), deed: Deed::Succeed }]);
    let good = Asked { took: Duration::ZERO, result: Ok(()) };
    operation.asked(at(2), Some(ProcessId(1)), &good);
    assert_eq!(operation.tally.asked, 1);
    operation.finished(at(3), ProcessId(1), Err("the successor ended".to_owned()), &|_| Outlook::Up, &mut effects);
    operation.advance(at(3), &world.outlook(), &mut effects);
    assert_eq!((phases(&operation), operation.state), (vec![Phase::Failed, Phase::NotReached], State::Failed));
}

#[test]
fn a_cancelled_one_finishes_what_it_has_begun() {
    let mut operation = operation(vec![unit(Strategy::Rolling, 1, &[1, 2])]);
    let mut world = World::of([1, 2]);
    let mut effects = Vec::new();
    operation.advance(at(1), &world.outlook(), &mut effects);
    operation.cancel();
    operation.finished(at(2), ProcessId(1), Ok(()), &|_| Outlook::Up, &mut effects);
    operation.finished(at(3), ProcessId(1), Ok(()), &|_| Outlook::Up, &mut effects);
    operation.advance(at(3), &world.outlook(), &mut effects);
    assert_eq!(operation.state, State::Cancelling);
    operation.finished(at(4), ProcessId(1), Ok(()), &|_| Outlook::Up, &mut effects);
    world.run(&mut operation);
    assert_eq!((phases(&operation), operation.state), (vec![Phase::Done, Phase::NotReached], State::Cancelled));
    assert_eq!(operation.verdict(at(9)), "Cancelled after 1 of 2 in 1.0 s, nobody was asked meanwhile");
}

#[test]
fn a_successor_asks_again_for_what_is_under_way() {
    let mut operation = operation(vec![unit(Strategy::Rolling, 2, &[1, 2, 3])]);
    let world = World::of([1, 2, 3]);
    let mut effects = Vec::new();
    operation.advance(at(1), &world.outlook(), &mut effects);
    operation.finished(at(2), ProcessId(1), Ok(()), &|_| Outlook::Up, &mut effects);
    let mut again = Vec::new();
    operation.resume(&mut again);
    let one = |id, deed| Effect { process: ProcessId(id), deed };
    assert_eq!(again, [one(1, Deed::Start), one(2, Deed::Stop)]);
    let text = serde_json::to_string(&operation).unwrap();
    assert_eq!(serde_json::from_str::<Operation>(&text).unwrap(), operation);
}

#[test]
fn requests_count_where_somebody_was_meant_to_answer() {
    let took = Duration::from_millis(100);
    let good = Asked { took, result: Ok(()) };
    let bad = Asked { took, result: Err("connection refused".to_owned()) };
    let mut rolled = operation(vec![unit(Strategy::Rolling, 1, &[1, 2])]);
    let world = World::of([1, 2]);
    rolled.advance(at(1), &world.outlook(), &mut Vec::new());
    // The first is being stopped; the second is not.
    rolled.asked(at(2), Some(ProcessId(1)), &bad);
    rolled.asked(at(2), Some(ProcessId(2)), &good);
    assert_eq!((rolled.tally.asked, rolled.tally.failed), (1, 0));
    rolled.asked(at(3), Some(ProcessId(2)), &bad);
    assert!(rolled.verdict(at(41)).ends_with(", 1 of 2 requests failed (the first: connection refused)"));

    let mut fronted = operation(vec![unit(Strategy::Rolling, 1, &[1, 2])]);
    fronted.has_front = true;
    fronted.asked(at(2), Some(ProcessId(2)), &bad);
    fronted.asked(at(2), None, &Asked { took: Duration::from_secs(3), result: Ok(()) });
    assert_eq!(fronted.verdict(at(41)), "Rolled 0 of 2 in 41 s, 0 of 1 requests failed, the slowest took 3.0 s");
}

proptest! {
    #[test]
    fn never_more_than_allowed_are_out_of_service(
        count in 1..8_u64, max in 1..4_u32, broken in proptest::option::of(1..8_u64)
    ) {
        let processes: Vec<u64> = (1..=count).collect();
        let mut operation = operation(vec![unit(Strategy::Rolling, max, &processes)]);
        let mut world = World::of(processes);
        world.broken = broken.map(ProcessId);
        world.run(&mut operation);
        prop_assert!(world.most_down <= usize::try_from(max).unwrap());
        prop_assert!(operation.state.is_over());
        let fails = broken.is_some_and(|id| id <= count);
        prop_assert_eq!(operation.state == State::Failed, fails);
    }
}
