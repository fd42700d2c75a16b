//! An idle daemon does nothing.

use std::time::Duration;

use crate::household::{activity, galaxyd, worker_of};
use crate::wait::until;

/// How long the daemon is watched, seconds.
const WATCHED_SECS: u64 = 30;

#[test]
fn an_idle_daemon_with_100_children_uses_no_cpu_tick_and_makes_no_wakeup() {
    let daemon = galaxyd(
        "",
        "[program:idle]\ncommand=sleep 1000\nprocess_name=idle%(process_num)s\nnumprocs=100\nstartsecs=0\n\
         stdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    daemon.wait_state("idle:idle99", "RUNNING");
    let keeper = daemon.pid();
    let worker = worker_of(keeper);
    // What start-up left to do (side threads that end, the connection of the question above) comes to rest first.
    let mut last = (activity(keeper), activity(worker));
    until("the daemon to come to rest", || {
        std::thread::sleep(Duration::from_secs(2));
        let now = (activity(keeper), activity(worker));
        let rested = now == last;
        let seen = format!("{last:?} then {now:?}");
        last = now;
        if rested { Ok(()) } else { Err(seen) }
    });
    // Here time itself is the subject: nothing must happen while it passes.
    std::thread::sleep(Duration::from_secs(WATCHED_SECS));
    assert_eq!((activity(keeper), activity(worker)), last, "(ticks, context switches) of keeper and worker");
}
