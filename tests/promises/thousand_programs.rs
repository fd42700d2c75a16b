//! A thousand programs: start, show, restart, stop, and the supervisor's memory with them.

use crate::household::{anonymous_kb, galaxyd, pss_kb, worker_of};
use crate::wait::until;

/// Keeper and worker together, kB, of the binary as it is shipped.
const MEMORY_KB_MAX: u64 = 16 * 1024;

/// What of that may be theirs alone in a binary that is not optimised, whose code is many times as large and says nothing about
/// the shipped one's: that takes 6 MB.
const OWN_KB_MAX: u64 = 12 * 1024;

#[test]
fn a_thousand_programs_start_show_restart_and_stop_in_little_memory() {
    let daemon = galaxyd(
        "",
        "[program:many]\ncommand=sleep 1000\nprocess_name=p%(process_num)04d\nnumprocs=1000\nstartsecs=0\n",
    );
    let all_running = |what: &str| {
        until(what, || {
            let shown = daemon.ctl(&["status"]).stdout;
            let running = shown.lines().filter(|line| line.contains("RUNNING")).count();
            if running == 1000 { Ok(()) } else { Err(format!("{running} RUNNING")) }
        });
    };
    all_running("1000 programs to run");
    let keeper = daemon.pid();
    let worker = worker_of(keeper);
    let (measure, most): (fn(i32) -> u64, u64) =
        if cfg!(debug_assertions) { (anonymous_kb, OWN_KB_MAX) } else { (pss_kb, MEMORY_KB_MAX) };
    let (keeper_kb, worker_kb) = (measure(keeper), measure(worker));
    eprintln!("with 1000 programs: keeper {keeper_kb} kB, worker {worker_kb} kB");
    assert!(keeper_kb + worker_kb < most, "keeper {keeper_kb} kB, worker {worker_kb} kB");

    let restarted = daemon.ctl(&["restart", "many:*"]);
    assert_eq!(restarted.stdout.lines().filter(|line| line.ends_with(": stopped")).count(), 1000);
    assert_eq!(restarted.stdout.lines().filter(|line| line.ends_with(": started")).count(), 1000);
    all_running("1000 programs to run again");
    let stopped = daemon.ctl(&["stop", "all"]);
    assert_eq!(stopped.stdout.lines().filter(|line| line.ends_with(": stopped")).count(), 1000);
    assert_eq!(worker_of(keeper), worker, "the same worker all along");
}
