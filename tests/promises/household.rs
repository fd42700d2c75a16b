//! The supervisor's own processes: keeper and worker, their memory and their wakeups.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::wait::until;

/// A galaxyd with the usual head and these sections.
pub(crate) fn galaxyd(daemon_keys: &str, sections: &str) -> Daemon {
    Daemon::start_with(Subject::GALAXYD, daemon_keys, "", sections)
}

/// The worker: the keeper's child that runs the keeper's own binary.
pub(crate) fn worker_of(keeper: i32) -> i32 {
    until("a worker", || find_worker(keeper).ok_or_else(|| "none".to_string()))
}

fn find_worker(keeper: i32) -> Option<i32> {
    let binary = fs::read_link(format!("/proc/{keeper}/exe")).ok()?;
    let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).ok()?;
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .find(|pid: &i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == binary))
}

/// Proportional set size, kB.
pub(crate) fn pss_kb(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Memory that is this process's alone by its nature (heap, stacks), kB: unlike that of the binary it does not depend on
/// how many run it.
pub(crate) fn anonymous_kb(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Clock ticks of CPU and context switches (voluntary and not) of all threads of a process.
pub(crate) fn activity(pid: i32) -> (u64, u64) {
    let mut ticks = 0;
    let mut switches = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        let status = fs::read_to_string(task.path().join("status")).unwrap();
        switches += status
            .lines()
            .filter(|line| line.contains("ctxt_switches"))
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .sum::<u64>();
    }
    (ticks, switches)
}

pub(crate) fn kill_pid(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// One that has ended and was not collected yet is gone, when all its threads are: they have its descriptors.
pub(crate) fn is_there(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z') || threads > 1)
}

/// Kills keeper and worker in one instant, as seen by them; gives the keeper's pid. They may be dying for a while yet.
pub(crate) fn kill_both(daemon: &Daemon) -> i32 {
    let keeper = daemon.pid();
    let worker = worker_of(keeper);
    // The keeper cannot start another worker, nor the worker another keeper.
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        kill_pid(keeper, signal);
        kill_pid(worker, signal);
    }
    keeper
}

/// Kills the worker and waits until another one answers.
pub(crate) fn kill_worker(daemon: &Daemon, keeper: i32) {
    let old = worker_of(keeper);
    kill_pid(old, Signal::SIGKILL);
    until("a successor", || {
        if worker_of(keeper) == old {
            return Err("the old worker".to_string());
        }
        daemon.call("supervisor.getState", "").map(drop)
    });
}
