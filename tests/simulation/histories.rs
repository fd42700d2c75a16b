//! Many histories from one seed; a failing one is made smaller before it is shown.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use galaxyd::engine::ProcessState;

use crate::dice::Dice;
use crate::plan::Plan;
use crate::table;
use crate::watch::Seen;
use crate::world::{self, History};

pub(crate) type Transitions = BTreeSet<(ProcessState, ProcessState)>;

/// A broken promise and what was told to the engine up to there.
pub(crate) struct Failure {
    text: String,
    trace: Vec<String>,
}

pub(crate) fn run(plan: &Plan, allowed: &Transitions, traced: bool) -> Result<History, Failure> {
    match catch_unwind(AssertUnwindSafe(|| world::run(plan, allowed, traced))) {
        Ok(Ok(history)) => Ok(history),
        Ok(Err((text, trace))) => Err(Failure { text, trace }),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Failure { text: format!("panic: {}", text.unwrap_or_default()), trace: Vec::new() })
        }
    }
}

/// Leaves out of a failing plan whatever it also fails without.
fn shrink(mut plan: Plan, allowed: &Transitions) -> Plan {
    let fails = |plan: &Plan| run(plan, allowed, false).is_err();
    loop {
        let before = plan.actions.len() + plan.deaths.len() + plan.groups.len();
        for size in [8, 4, 2, 1] {
            without(&mut plan, size, |plan| &mut plan.actions, &fails);
            without(&mut plan, size, |plan| &mut plan.deaths, &fails);
            without(&mut plan, size, |plan| &mut plan.groups, &fails);
        }
        for group in 0..plan.groups.len() {
            let members = |plan: &mut Plan| plan.groups.get(group).map_or(0, |spec| spec.members.len());
            for _ in 0..members(&mut plan) {
                let mut smaller = plan.clone();
                if let Some(spec) = smaller.groups.get_mut(group) {
                    spec.members.pop();
                }
                if fails(&smaller) {
                    plan = smaller;
                }
            }
        }
        if plan.actions.len() + plan.deaths.len() + plan.groups.len() == before {
            return plan;
        }
    }
}

/// Tries to leave out `size` neighbours at every place of one of the plan's lists.
fn without<T: Clone>(
    plan: &mut Plan,
    size: usize,
    list: impl Fn(&mut Plan) -> &mut Vec<T>,
    fails: &impl Fn(&Plan) -> bool,
) {
    let mut at = 0;
    while at + size <= list(plan).len() {
        let mut smaller = plan.clone();
        list(&mut smaller).drain(at..at + size);
        if fails(&smaller) {
            *plan = smaller;
        } else {
            at += 1;
        }
    }
}

/// The failure as a person wants to see it, below a line that says how to replay it.
pub(crate) fn story(headline: &str, plan: Plan, allowed: &Transitions) -> String {
    let small = shrink(plan, allowed);
    let mut story = format!("{headline}\n");
    let Err(failure) = run(&small, allowed, true) else { return story };
    let _ = writeln!(story, "broken: {}\nsmallest plan found:", failure.text);
    for group in &small.groups {
        let _ = writeln!(story, "  group {group:?}");
    }
    for (at, action) in &small.actions {
        let _ = writeln!(story, "  at {at:?}: {action:?}");
    }
    for death in &small.deaths {
        let _ = writeln!(story, "  {death:?}");
    }
    let _ = writeln!(story, "inputs:");
    for line in &failure.trace {
        let _ = writeln!(story, "  {line}");
    }
    story
}

fn headline(seed: u64) -> String {
    format!("history {seed} breaks a promise; GALAXYD_SEED={seed} replays it")
}

pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} wants a whole number, found `{text}`")))
}

/// Runs `count` histories on all processors; the first failure ends all.
fn run_many(base: u64, count: u64, allowed: &Transitions) -> Result<Seen, (u64, Plan)> {
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let work = || -> Result<Seen, (u64, Plan)> {
        let mut all = Seen::default();
        while !failed.load(Ordering::Relaxed) {
            let history = next.fetch_add(1, Ordering::Relaxed);
            if history >= count {
                break;
            }
            let number = Dice::new(base.wrapping_add(history)).next();
            let plan = Plan::new(number);
            let Ok(history) = run(&plan, allowed, false) else {
                failed.store(true, Ordering::Relaxed);
                return Err((number, plan));
            };
            all.add(&history.seen);
        }
        Ok(all)
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Seen::default();
        for handle in handles {
            all.add(&handle.join().expect("histories catch their panics")?);
        }
        Ok(all)
    })
}

#[test]
fn no_history_breaks_a_promise() {
    let allowed = table::transitions();
    if let Some(seed) = number("GALAXYD_SEED") {
        let plan = Plan::new(seed);
        let kept = run(&plan, &allowed, false).is_ok();
        assert!(kept, "{}", story(&headline(seed), plan, &allowed));
        return;
    }
    let count = number("GALAXYD_HISTORIES").unwrap_or(20_000);
    let base = RandomState::new().hash_one(count);
    println!("{count} histories from {base}");
    match run_many(base, count, &allowed) {
        Err((seed, plan)) => panic!("{}", story(&headline(seed), plan, &allowed)),
        Ok(seen) => {
            println!("{seen:#?}");
            if count >= 1000 {
                saw_everything(&seen, &allowed);
            }
        }
    }
}

/// A simulation that never sees a thing proves nothing about it.
fn saw_everything(seen: &Seen, allowed: &Transitions) {
    for transition in allowed {
        assert!(seen.transitions.contains_key(transition), "no history had {transition:?}");
    }
    for thing in [
        "before deciding",
        "before journalling",
        "performing",
        "after performing",
        "a keeper's death",
        "a take-over",
        "a waiting line",
        "a sweep",
        "a program in the background",
        "a start under a limit",
        "an ordered stop that goes on",
        "a start without resources",
        "a stop by shutdown",
        "a renewal under way",
        "a renewal of one that stops",
        "a process leaving",
        "a group leaving",
        "an awaited child",
        "a late child",
        "a settling child",
        "a ready child",
        "a succession",
    ] {
        assert!(seen.things.contains_key(thing), "no history had {thing}");
    }
    for result in [
        "start: ok",
        "start: spawn error",
        "start: abnormal",
        "start: already started",
        "start: bad command",
        "start: failed",
        "start: refused, shutdown",
        "start, not waiting: ok",
        "start, not waiting: spawn error",
        "stop: ok",
        "stop: not running",
        "stop: failed",
        "stop: refused, shutdown",
        "stop, not waiting: ok",
        "stop, not waiting: failed",
        "signal: ok",
        "signal: failed",
        "signal: not running",
        "retry: ok",
        "wait: ok",
        "wait: failed",
        "succession: ok",
        "succession: failed",
        "succession: not running",
        "ordered stop: ok",
        "ordered stop: failed",
        "update: ok",
        "update: abnormal",
        "update: spawn error",
        "update: failed",
        "update, not waiting: ok",
        "group: done",
        "group: refused, already added",
        "group: refused, still running",
        "group: refused, bad name",
        "end: done",
        "end: refused, shutdown",
    ] {
        assert!(seen.results.contains_key(result), "no history had {result}");
    }
}
