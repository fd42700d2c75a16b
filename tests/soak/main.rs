//! Many programs for a while, under everything at once: deaths of programs, of the worker, of the keeper and of both, floods
//! of output, starts, stops, reloads, upgrades in place, hostile clients. In the end every program is accounted for, and the
//! daemon is as small as at the start.
//!
//! `cargo test` plays ten seconds of it; `GALAXYD_SOAK_SECS=N` as many as wanted. All of it follows from a printed seed,
//! but for who gets in first; `GALAXYD_SEED=N` plays another one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests start programs and tell what they measured"
)]
#![expect(dead_code, reason = "the harness is shared with the conformance tests, which use all of it")]

#[path = "../faults/bars.rs"]
mod bars;
#[path = "../conformance/daemon.rs"]
mod daemon;
#[path = "../fixture/dice.rs"]
mod dice;
#[path = "../promises/household.rs"]
mod household;
#[path = "../promises/subject.rs"]
mod subject;
#[path = "../conformance/wait.rs"]
mod wait;

mod havoc;

use std::time::{Duration, Instant};

use bars::{BYSTANDER, Bars};
use dice::Dice;
use havoc::{Havoc, sections};
use household::galaxyd;
use wait::{until, until_true};

/// What runs in the longest soaks; shorter ones have no time for so many.
const PROGRAMS_MAX: u64 = 300;

fn seconds() -> u64 {
    std::env::var("GALAXYD_SOAK_SECS").ok().map_or(10, |text| text.parse().unwrap())
}

/// Names of all processes that run, sorted.
fn running(daemon: &daemon::Daemon) -> Vec<String> {
    let shown = daemon.ctl(&["status"]).stdout;
    let mut names: Vec<String> = shown
        .lines()
        .filter(|line| line.contains(" RUNNING "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[test]
fn nothing_is_lost_or_grows_while_everything_goes_wrong_at_once() {
    let count = usize::try_from((20 + 3 * seconds()).min(PROGRAMS_MAX)).unwrap();
    let daemon = galaxyd("", &format!("{BYSTANDER}{}", sections(count, 0)));
    let all = until("all to run", || {
        let names = running(&daemon);
        if names.len() == count + 1 { Ok(names) } else { Err(format!("{} run", names.len())) }
    });
    let mut bars = Bars::before(&daemon);
    let mut havoc = Havoc::new(&daemon, Dice::of_environment("soak"), count);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds()) {
        havoc.wreak();
    }
    let (next, told) = havoc.end();
    let left = all_run_again(&daemon, &all);
    eprintln!("{} programs, {} s: {told}", left.len(), begin.elapsed().as_secs());
    let log = daemon.text("main.log");
    assert!(!log.contains("bug: "), "{log}");
    // The keeper holds programs that it took over by one descriptor more; all but the bystander begin anew as its own.
    daemon.ctl(&["restart", "many:*"]);
    all_run_again(&daemon, &all);
    bars.allow_descriptors(1);
    bars.hold_with_another_daemon(&daemon);
    daemon.call("supervisor.shutdown", "").unwrap();
    if let Some(mut next) = next {
        until_true("the daemon's end", || next.try_wait().unwrap().is_some());
    }
}

fn all_run_again(daemon: &daemon::Daemon, all: &[String]) -> Vec<String> {
    until("all to run again, and nobody else", || {
        // What the test stopped, it starts; the answer is of no use while others are still being started.
        let _ = daemon.ctl(&["start", "many:*"]);
        let names = running(daemon);
        if names == all { Ok(names) } else { Err(format!("{} run", names.len())) }
    })
}
