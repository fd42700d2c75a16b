//! `galaxyd stop-post`: what systemd runs once the daemon is gone (`ExecStopPost=`). With `KillMode=process` systemd itself
//! leaves the programs alone, which is right after a crash, when the next daemon takes them over, and wrong after a stop.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use super::confinement;
use crate::sys::{cgroup, clock, pidfd, proc_table};

/// How the service ended, in systemd's words (`systemd.exec(5)`).
const RESULT: &str = "SERVICE_RESULT";

/// After these nobody takes the programs over: a stop that went well, and one that had to be forced.
const FINAL: [&str; 2] = ["success", "timeout"];

/// Where systemd puts this process in a delegated cgroup.
const CONTROL: &str = ".control";

/// So long processes that were killed may take to be gone, and to fork before they are.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest wait for one of them to end.
const ROUND_MILLIS: u16 = 200;

/// The whole life of the process.
pub(super) fn run() -> ExitCode {
    match clear_up() {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            say(&format!("Error: stop-post: {text}\n"));
            ExitCode::from(2)
        }
    }
}

/// Standard error is the journal here.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn clear_up() -> Result<String, String> {
    let result = std::env::var(RESULT).map_err(|_| format!("{RESULT} is not set: only systemd runs this"))?;
    let unit = unit_cgroup(cgroup::own()?.1)?;
    confinement::release(&unit).map_err(|error| format!("controllers of {}: {error}", unit.display()))?;
    if !FINAL.contains(&result.as_str()) {
        return Ok(format!("the daemon ended with '{result}': programs are left to the next one\n"));
    }
    match end_all(&unit)? {
        0 => Ok(String::new()),
        count => Ok(format!("ended {count} processes that the daemon left behind\n")),
    }
}

/// The unit's cgroup, which holds what the daemon started. Another one than a service's, as that of a person who tries this
/// out, is not touched.
fn unit_cgroup(own: PathBuf) -> Result<PathBuf, String> {
    let unit = match own.parent() {
        Some(above) if own.ends_with(CONTROL) => above.to_owned(),
        _ => own,
    };
    if unit.extension().is_some_and(|extension| extension == "service") {
        return Ok(unit);
    }
    Err(format!("{} is not the cgroup of a systemd service", unit.display()))
}

/// SIGKILL for everybody in the cgroup but ourselves; gives how many that were.
fn end_all(unit: &Path) -> Result<usize, String> {
    let unreadable = |error: io::Error| format!("{}: {error}", unit.display());
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let deadline = clock::monotonic() + PATIENCE;
    let mut ended = BTreeSet::new();
    loop {
        let others = cgroup::members(unit).map_err(unreadable)?.into_iter().filter(|pid| *pid != me);
        let held: Vec<(i32, OwnedFd)> =
            others.filter_map(|pid| Some((pid, pidfd::open(proc_table::one(pid)?.identity).ok()?))).collect();
        // Once held, a number cannot become another's; who is still a member now is the one meant.
        let members = cgroup::members(unit).map_err(unreadable)?;
        let leftovers: Vec<_> = held.into_iter().filter(|(pid, _)| members.contains(pid)).collect();
        if leftovers.is_empty() {
            return Ok(ended.len());
        }
        if clock::monotonic() >= deadline {
            return Err(format!("{} processes do not end", leftovers.len()));
        }
        for (pid, held) in &leftovers {
            // Who cannot be signalled has ended.
            if pidfd::send(held, libc::SIGKILL).is_ok() {
                ended.insert(*pid);
            }
        }
        let mut awaited: Vec<_> =
            leftovers.iter().map(|(_, held)| PollFd::new(held.as_fd(), PollFlags::POLLIN)).collect();
        // One end after the other, each look finds those that are left. A zombie of ours is process 1's to collect.
        let _ = poll(&mut awaited, ROUND_MILLIS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_services_cgroup_is_cleared() {
        for (own, unit) in [
            ("/c/system.slice/galaxyd.service", Some("/c/system.slice/galaxyd.service")),
            ("/c/system.slice/galaxyd@a.service/.control", Some("/c/system.slice/galaxyd@a.service")),
            ("/c/user.slice/user-0.slice/session-1.scope", None),
            ("/c/.control", None),
            ("/c", None),
        ] {
            assert_eq!(unit_cgroup(own.into()).ok(), unit.map(PathBuf::from), "{own}");
        }
    }
}
