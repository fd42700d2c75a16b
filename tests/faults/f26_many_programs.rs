//! F26: ten thousand programs are configured, and two thousand run.

use std::time::{Duration, Instant};

use crate::bars::Bars;
use crate::daemon::Daemon;
use crate::household::{activity, anonymous_kb, worker_of};
use crate::wait::until;
use crate::world::{World, is_long};

/// The bars are an optimised binary's.
const DEBUG_FACTOR: u32 = if cfg!(debug_assertions) { 20 } else { 1 };

/// A tick of CPU.
const TICK: Duration = Duration::from_millis(10);

const MEMORY_KB_MAX: u64 = 200 * 1024;

/// What keeper and worker have spent so far.
fn cpu(daemon: &Daemon) -> Duration {
    let keeper = daemon.pid();
    TICK * u32::try_from(activity(keeper).0 + activity(worker_of(keeper)).0).unwrap()
}

/// Tells how long it takes, and asserts how much CPU the daemon spends on it: that is its own, whatever else runs here.
fn costs<T>(what: &str, most: Duration, world: &World, deed: impl FnOnce() -> T) -> T {
    let (begin, before) = (Instant::now(), cpu(world));
    let answer = deed();
    let spent = cpu(world).saturating_sub(before);
    eprintln!("F26: {what} took {:?}, for which the daemon spent {spent:?}", begin.elapsed());
    assert!(spent < most * DEBUG_FACTOR, "{what} cost {spent:?}");
    answer
}

#[test]
fn f26_thousands_of_programs_are_started_shown_and_read_again_quickly() {
    let (groups, running) = if is_long() { (10, 2000) } else { (3, 100) };
    let section = |name: String, count: usize| {
        format!(
            "[program:{name}]\ncommand=sleep 10000\nprocess_name=p%(process_num)04d\nnumprocs={count}\nautostart=false\n\
             startsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
        )
    };
    let mut sections: String = (0..groups).map(|group| section(format!("g{group}"), 1000)).collect();
    sections += &section("run".to_owned(), running);
    let mut daemon = World::folder("", &sections);
    let begin = Instant::now();
    daemon.run();
    daemon.wait_running(&["bystander"]);
    let spent = cpu(&daemon);
    eprintln!("F26: the start took {:?}, for which the daemon spent {spent:?}", begin.elapsed());
    assert!(spent < Duration::from_secs(2) * DEBUG_FACTOR, "the start cost {spent:?}");
    let world = World::around(daemon);
    costs("a start of one", Duration::from_millis(50), &world, || world.start("g0:p0500"));
    costs("reread", Duration::from_secs(1), &world, || {
        assert!(world.ctl(&["reread"]).stdout.contains("No config updates"));
    });
    let shown = costs("status", Duration::from_millis(500), &world, || world.ctl(&["status"]).stdout);
    assert_eq!(shown.lines().count(), 1000 * groups + running + 1);
    world.stop("g0:p0500");
    // The allocator keeps what a second reading of so many programs took: it is there for the next one.
    let bars = Bars::before(&world);
    let answer = world.call("supervisor.startProcessGroup", &World::named("run")).unwrap();
    assert!(!answer.contains("faultCode"), "{answer:.300}");
    until("all to run", || {
        let shown = world.ctl(&["status", "run:*"]).stdout;
        let count = shown.lines().filter(|line| line.contains("RUNNING")).count();
        if count == running { Ok(()) } else { Err(format!("{count} run")) }
    });
    costs("a start of one beside those that run", Duration::from_millis(50), &world, || world.start("g0:p0501"));
    let memory = anonymous_kb(world.bars.keeper) + anonymous_kb(worker_of(world.bars.keeper));
    eprintln!("F26: {memory} kB with {running} running of {}", 1000 * groups + running);
    assert!(memory < MEMORY_KB_MAX, "{memory} kB");
    world.stop("g0:p0501");
    let answer = world.call("supervisor.stopProcessGroup", &World::named("run")).unwrap();
    assert!(!answer.contains("faultCode"), "{answer:.300}");
    if !is_long() {
        // An answer about thousands takes longer than the bar that is for a handful.
        bars.hold_but_for_status(&world);
    }
}
