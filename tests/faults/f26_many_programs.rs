//! F26: ten thousand programs are configured, and two thousand run.

use std::time::{Duration, Instant};

use crate::household::{anonymous_kb, worker_of};
use crate::wait::until;
use crate::world::{World, is_long};

/// Bars of an optimised binary on a machine of its own; tests run in neither, so times may be longer by this.
const BUSY_FACTOR: u32 = if cfg!(debug_assertions) { 20 } else { 5 };

const MEMORY_KB_MAX: u64 = 200 * 1024;

fn timed<T>(what: &str, most: Duration, deed: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let answer = deed();
    let taken = begin.elapsed();
    eprintln!("F26: {what} took {taken:?}");
    assert!(taken < most * BUSY_FACTOR, "{what} took {taken:?}");
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
    let folder = World::folder("", &sections);
    let world = timed("the start", Duration::from_secs(2), || World::in_folder(folder));
    timed("a start of one", Duration::from_millis(50), || world.start("g0:p0500"));
    timed("reread", Duration::from_secs(1), || {
        assert!(world.ctl(&["reread"]).stdout.contains("No config updates"));
    });
    let shown = timed("status", Duration::from_millis(500), || world.ctl(&["status"]).stdout);
    assert_eq!(shown.lines().count(), 1000 * groups + running + 1);
    world.stop("g0:p0500");
    let answer = world.call("supervisor.startProcessGroup", &World::named("run")).unwrap();
    assert!(!answer.contains("faultCode"), "{answer:.300}");
    until("all to run", || {
        let shown = world.ctl(&["status", "run:*"]).stdout;
        let count = shown.lines().filter(|line| line.contains("RUNNING")).count();
        if count == running { Ok(()) } else { Err(format!("{count} run")) }
    });
    timed("a start of one beside those that run", Duration::from_millis(50), || world.start("g0:p0501"));
    let memory = anonymous_kb(world.bars.keeper) + anonymous_kb(worker_of(world.bars.keeper));
    eprintln!("F26: {memory} kB with {running} running of {}", 1000 * groups + running);
    assert!(memory < MEMORY_KB_MAX, "{memory} kB");
    world.stop("g0:p0501");
    let answer = world.call("supervisor.stopProcessGroup", &World::named("run")).unwrap();
    assert!(!answer.contains("faultCode"), "{answer:.300}");
    if !is_long() {
        // An answer about thousands takes longer than the bar that is for a handful.
        world.bars.hold_but_for_status(&world);
    }
}
