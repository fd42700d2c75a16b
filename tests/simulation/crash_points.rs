//! Worker, keeper or both die once at every step of long histories: before the worker decides, before it journals, after each
//! single effect, and when all are performed; each time with a successor at once, and with one that comes late.
//!
//! `GALAXYD_CRASH_HISTORIES` sets how many histories are enumerated (3), `GALAXYD_CRASH_SEED` replays the first of them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::dice::Dice;
use crate::histories::{Transitions, number, run, story};
use crate::plan::{Death, Moment, Plan, Victim};
use crate::table;

/// A successor that comes at once, and one that comes when deadlines have passed and children have ended.
const DOWNTIMES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(2500)];

/// Every step of a history whose turns had so many effects.
fn crash_points(effects: &[usize]) -> Vec<Death> {
    let mut points = Vec::new();
    for (turn, count) in (0_u64..).zip(effects) {
        let around = [Moment::BeforeDeciding, Moment::BeforeJournalling, Moment::AfterPerforming];
        for moment in around.into_iter().chain((0..*count).map(Moment::Performing)) {
            points.extend(DOWNTIMES.map(|downtime| Death { turn, moment, victim: Victim::Worker, downtime }));
            // The two downtimes in turn: what a late keeper finds differs little from step to step.
            let [soon, late] = DOWNTIMES;
            let (keepers, boths) = if turn.is_multiple_of(2) { (soon, late) } else { (late, soon) };
            points.push(Death { turn, moment, victim: Victim::Keeper, downtime: keepers });
            points.push(Death { turn, moment, victim: Victim::Both, downtime: boths });
        }
    }
    points
}

/// How many crash points a history has; the first at which a promise is broken, as a story.
fn enumerate(seed: u64, allowed: &Transitions) -> Result<usize, String> {
    let headline = |what: &str| format!("{what}; GALAXYD_CRASH_SEED={seed} replays it");
    let plan = Plan::long(seed);
    let Ok(history) = run(&plan, allowed, false) else {
        return Err(story(&headline("a long history breaks a promise without any death"), plan, allowed));
    };
    let points = crash_points(&history.effects);
    for death in &points {
        let plan = Plan { deaths: vec![*death], ..plan.clone() };
        match run(&plan, allowed, false) {
            Ok(history) if history.seen.deaths == 1 => {}
            // Up to the death both are the same history, so it must come.
            Ok(_) => return Err(headline(&format!("{death:?} did not happen"))),
            Err(_) => return Err(story(&headline(&format!("{death:?} breaks a promise")), plan, allowed)),
        }
    }
    Ok(points.len())
}

#[test]
fn no_death_at_any_step_breaks_a_promise() {
    let allowed = table::transitions();
    let base = number("GALAXYD_CRASH_SEED");
    let count = if base.is_some() { 1 } else { number("GALAXYD_CRASH_HISTORIES").unwrap_or(3) };
    let base = base.unwrap_or_else(|| RandomState::new().hash_one(count));
    println!("crash points of {count} long histories from {base}");
    let seeds: Vec<u64> =
        (0..count).map(|place| if place == 0 { base } else { Dice::new(base ^ place).next() }).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut points = 0;
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            points += enumerate(*seed, &allowed)?;
        }
        Ok(points)
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let points: Result<usize, String> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().map(|handle| handle.join().expect("histories catch their panics")).sum()
    });
    match points {
        Ok(points) => {
            println!("{points} deaths");
            assert!(points > 1000, "{count} long histories have only {points} crash points");
        }
        Err(story) => panic!("{story}"),
    }
}
