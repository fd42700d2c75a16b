//! Plays all scenarios, several at once, and tells what came of it.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::comparison::Comparison;
use crate::differences;
use crate::notice::tell;
use crate::observation::Observation;
use crate::play::play;
use crate::scenario::{self, Scenario};
use crate::subject::{Side, original_bin};

/// The original loses stop signals and exits to races of its own when the machine is busy (see `docs/compatibility.md`), so
/// what it does is asked again where a difference shows. Ours is asked once.
const ORIGINAL_ATTEMPTS_MAX: usize = 4;

/// Scenarios played at once. They mostly wait: for start windows, and for the original's loop.
const JOBS: usize = 10;

/// What became of one scenario.
struct Outcome {
    name: String,
    comparison: Comparison,
    attempts: usize,
    /// What differed before the original was asked again, if that made it equal.
    at_first: Vec<String>,
    log_differences: Vec<&'static str>,
    seconds: f32,
}

/// Plays what is wanted; fails if a difference was found that nobody meant.
pub(crate) fn all(arguments: &Arguments) -> ExitCode {
    let everything = scenario::all();
    let used: BTreeSet<String> =
        everything.iter().flat_map(|scenario| scenario.expected.iter().map(|expected| expected.name.clone())).collect();
    let whole = arguments.wanted.is_empty();
    let wanted: Vec<Scenario> = everything.into_iter().filter(|scenario| arguments.wants(&scenario.name)).collect();
    let root = nix::unistd::geteuid().is_root();
    let (wanted, left): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|scenario| root || !scenario.root);
    if !left.is_empty() {
        tell(&format!("could not run: {} scenarios that need root", left.len()));
    }
    if arguments.list {
        for scenario in &wanted {
            println!("{}: test", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    if let Err(why) = original_bin() {
        tell(&format!("could not run: no Supervisor 4.3.0 to compare with: {why}"));
        return if std::env::var_os("CONFORMANCE_REQUIRED").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let begin = Instant::now();
    let outcomes = played(&wanted);
    let mut complaints = differences::unfounded(&used);
    if whole && other_side() == Side::Galaxyd {
        let seen = outcomes.iter().flat_map(|outcome| {
            let of_logs = outcome.log_differences.iter().map(ToString::to_string);
            of_logs.chain(outcome.comparison.named.iter().cloned()).collect::<Vec<_>>()
        });
        complaints.extend(differences::unseen(&seen.collect()));
    }
    summary(&outcomes, &complaints, begin.elapsed().as_secs())
}

/// Whom the original is compared with.
fn other_side() -> Side {
    match std::env::var("DIFFERENTIAL_SIDES").as_deref() {
        Ok("original") => Side::Original,
        _ => Side::Galaxyd,
    }
}

fn played(scenarios: &[Scenario]) -> Vec<Outcome> {
    // A step that fails is told with its scenario, not where it happens.
    std::panic::set_hook(Box::new(|_| {}));
    let jobs = std::env::var("DIFFERENTIAL_JOBS").ok().and_then(|text| text.parse().ok()).unwrap_or(JOBS);
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = compared(scenario);
                    report(&outcome);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    outcomes.into_inner().unwrap()
}

/// Both sides at once; where they differ, the original again.
fn compared(scenario: &Scenario) -> Outcome {
    let begin = Instant::now();
    let (original, ours) = thread::scope(|scope| {
        let original = scope.spawn(|| play(scenario, Side::Original));
        let ours = scope.spawn(|| play(scenario, other_side()));
        (joined(original.join()), joined(ours.join()))
    });
    let mut first = Comparison::of(scenario, &original, &ours);
    let mut attempts = 1;
    let mut comparison = Comparison::of(scenario, &original, &ours);
    while !comparison.differences.is_empty() && ours.failure.is_none() && attempts < ORIGINAL_ATTEMPTS_MAX {
        attempts += 1;
        comparison = Comparison::of(scenario, &play(scenario, Side::Original), &ours);
    }
    // What is told is what was seen first.
    let mut at_first = Vec::new();
    if comparison.differences.is_empty() {
        at_first = std::mem::take(&mut first.differences);
    } else {
        comparison = first;
    }
    let seconds = begin.elapsed().as_secs_f32();
    let log_differences = [original.log_differences, ours.log_differences].concat();
    Outcome { name: scenario.name.clone(), comparison, attempts, at_first, log_differences, seconds }
}

fn joined(result: thread::Result<Observation>) -> Observation {
    result.unwrap_or_else(|_| Observation { failure: Some("the harness failed".to_owned()), ..Observation::default() })
}

fn report(outcome: &Outcome) {
    let Outcome { name, comparison, attempts, seconds, .. } = outcome;
    let word = if comparison.differences.is_empty() { "same" } else { "DIFFERENT" };
    let again = if *attempts > 1 { format!(", the original was asked {attempts} times") } else { String::new() };
    println!("{word} {name} ({} comparisons, {seconds:.1} s{again})", comparison.pieces);
}

fn summary(outcomes: &[Outcome], complaints: &[String], seconds: u64) -> ExitCode {
    let different: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| !outcome.comparison.differences.is_empty()).collect();
    for outcome in &different {
        println!("\n---- {}", outcome.name);
        for text in &outcome.comparison.differences {
            println!("{text}");
        }
    }
    let comparisons: usize = outcomes.iter().map(|outcome| outcome.comparison.pieces).sum();
    println!("\ndifferential: {} scenarios, {comparisons} comparisons, {seconds} s", outcomes.len());
    for difference in differences::DIFFERENCES {
        let shows = |outcome: &&Outcome| {
            outcome.log_differences.contains(&difference.name)
                || outcome.comparison.named.iter().any(|name| name == difference.name)
        };
        let count = outcomes.iter().filter(shows).count();
        if count > 0 {
            println!("  meant: {} (`{}`), in {count} scenarios", difference.name, difference.row);
        }
    }
    for outcome in outcomes.iter().filter(|outcome| outcome.attempts > 1) {
        println!("  the original was asked {} times: {}", outcome.attempts, outcome.name);
        for line in outcome.at_first.iter().flat_map(|text| text.lines()) {
            println!("      at first: {line}");
        }
    }
    for text in complaints {
        println!("  WRONG: {text}");
    }
    println!("  {} different", different.len());
    if different.is_empty() && complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
