//! What holds at the end of every fault: the daemon is the one that was started, is as small as before, has lost or
//! forgotten no process, and told what happened without a flood.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::household::{anonymous_kb, worker_of};
use crate::wait::until;

/// How long an answer to `status` may take.
const STATUS_MAX: Duration = Duration::from_millis(50);

/// Memory may grow by a twentieth, but an allocator keeps pages of its own, kB.
const MEMORY_SLACK_KB: u64 = 1536;

/// Warnings of one text are a flood beyond this many.
const REPEATED_MAX: usize = 3;

/// What one process of the daemon holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    descriptors: usize,
    threads: usize,
    memory_kb: u64,
}

impl Level {
    fn of(pid: i32) -> Level {
        let count = |folder: &str| fs::read_dir(format!("/proc/{pid}/{folder}")).unwrap().count();
        Level { descriptors: count("fd"), threads: count("task"), memory_kb: anonymous_kb(pid) }
    }

    fn excess(&self, before: &Level) -> Option<String> {
        let memory_max = before.memory_kb + (before.memory_kb / 20).max(MEMORY_SLACK_KB);
        let grown =
            self.descriptors > before.descriptors || self.threads > before.threads || self.memory_kb > memory_max;
        grown.then(|| format!("{before:?} became {self:?}"))
    }
}

/// The daemon before the fault.
#[derive(Debug)]
pub(crate) struct Bars {
    pub(crate) keeper: i32,
    pub(crate) worker: i32,
    bystander: i32,
    levels: [Level; 2],
}

/// The program that no fault aims at.
pub(crate) const BYSTANDER: &str = "[program:bystander]\ncommand=sleep 10000\nstartsecs=0\nstdout_logfile=NONE\n\
                                    stderr_logfile=NONE\n";

impl Bars {
    /// Measures a daemon that has come to rest.
    pub(crate) fn before(daemon: &Daemon) -> Bars {
        daemon.wait_state("bystander", "RUNNING");
        // What is made at its first use, be made now.
        for _ in 0..20 {
            daemon.call("supervisor.getAllProcessInfo", "").unwrap();
        }
        let keeper = daemon.pid();
        let worker = worker_of(keeper);
        let levels = at_rest(keeper, worker);
        Bars { keeper, worker, bystander: daemon.process_pid("bystander"), levels }
    }

    /// The daemon may hold so many more descriptors afterwards, for a reason that the test names.
    pub(crate) fn allow_descriptors(&mut self, count: usize) {
        self.levels.iter_mut().for_each(|level| level.descriptors += count);
    }

    /// Asserts that all of it holds after the fault.
    pub(crate) fn hold(&self, daemon: &Daemon) {
        self.hold_but_for_status(daemon);
        let taken = until("a quick answer", || {
            let taken = status_time(daemon);
            if taken < STATUS_MAX { Ok(taken) } else { Err(format!("{taken:?}")) }
        });
        eprintln!("status was answered in {taken:?}; levels before {:?}", self.levels);
    }

    /// The same where an answer is about thousands of processes.
    pub(crate) fn hold_but_for_status(&self, daemon: &Daemon) {
        assert_eq!(daemon.pid(), self.keeper, "the keeper is another one");
        assert_eq!(daemon.process_pid("bystander"), self.bystander, "the bystander is another one");
        assert_eq!(worker_of(self.keeper), self.worker, "the worker is another one");
        until("no zombie and no process that nobody manages", || strangers(daemon, self.keeper));
        for (who, pid, before) in [("keeper", self.keeper, &self.levels[0]), ("worker", self.worker, &self.levels[1])] {
            until(&format!("the {who}'s descriptors, threads and memory to be as before"), || {
                Level::of(pid).excess(before).map_or(Ok(()), Err)
            });
        }
    }

    /// The same after a fault that replaced keeper and worker.
    pub(crate) fn hold_with_another_daemon(mut self, daemon: &Daemon) {
        self.keeper = daemon.pid();
        self.hold_with_another_worker(daemon);
    }

    /// The same after a fault that replaced the worker.
    pub(crate) fn hold_with_another_worker(mut self, daemon: &Daemon) {
        self.worker = worker_of(self.keeper);
        self.hold(daemon);
    }
}

/// Levels that are the same at so many looks, one after the other.
const LOOKS_AT_REST: usize = 10;

fn at_rest(keeper: i32, worker: i32) -> [Level; 2] {
    let (mut last, mut equal) = ([Level::of(keeper), Level::of(worker)], 0);
    until("the daemon to come to rest", || {
        let now = [Level::of(keeper), Level::of(worker)];
        equal = if now == last { equal + 1 } else { 0 };
        last = now;
        if equal >= LOOKS_AT_REST { Ok(now) } else { Err(format!("{now:?}")) }
    })
}

/// The middle one of some answers.
fn status_time(daemon: &Daemon) -> Duration {
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let begin = Instant::now();
            daemon.call("supervisor.getAllProcessInfo", "").unwrap();
            begin.elapsed()
        })
        .collect();
    times.sort();
    times[2]
}

/// Parent and state letter by pid.
fn table() -> BTreeMap<i32, (i32, char)> {
    let entry = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        Some((pid, (fields.next()?.parse().ok()?, state)))
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(entry).collect()
}

/// Children of the keeper that are zombies, and processes of this test that descend from neither a program, nor the
/// daemon's two, nor the test.
fn strangers(daemon: &Daemon, keeper: i32) -> Result<(), String> {
    let answer = daemon.call("supervisor.getAllProcessInfo", "")?;
    let managed: Vec<i32> = answer
        .split("<name>pid</name>")
        .skip(1)
        .filter_map(|rest| rest.split("<int>").nth(1)?.split("</int>").next()?.parse().ok())
        .collect();
    let worker = worker_of(keeper);
    let processes = table();
    let zombies =
        processes.iter().filter(|(_, (parent, state))| *parent == keeper && *state == 'Z').map(|(pid, _)| *pid);
    let mut wrong: Vec<String> = zombies.map(|pid| format!("zombie {pid}")).collect();
    for pid in daemon.living() {
        let mut next = pid;
        let known = loop {
            if next == keeper || !processes.contains_key(&next) {
                break pid == keeper || !processes.contains_key(&pid);
            }
            if next == worker || managed.contains(&next) || next == i32::try_from(std::process::id()).unwrap() {
                break true;
            }
            next = processes[&next].0;
        };
        if !known {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
            wrong.push(format!("nobody manages {pid} {command}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) }
}

/// No warning of one text is told again and again.
pub(crate) fn no_flood(daemon: &Daemon) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in daemon.text("main.log").lines().filter_map(|line| line.get(24..)) {
        // One line for each end is what is wanted.
        let is_an_end = line.contains(" stopped: ") || line.contains(" exited: ");
        if !is_an_end && ["WARN", "ERRO", "CRIT"].iter().any(|level| line.starts_with(level)) {
            *counts.entry(line.to_owned()).or_default() += 1;
        }
    }
    let floods: Vec<_> = counts.into_iter().filter(|(_, count)| *count > REPEATED_MAX).collect();
    assert!(floods.is_empty(), "told again and again: {floods:?}");
}
