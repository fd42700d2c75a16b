//! What a start may lack though nothing is wrong with the program: descriptors, processes, memory.

use crate::config::Config;
use crate::engine::{ProcessId, SpawnError};
use crate::keeper::Stage;
use crate::sys::{cgroup, descriptors, errno, limits};

use super::worker::Worker;

/// Descriptors that a program takes in the worker: its three pipes, two log files, what its start is prepared with, a
/// reserve for taps and sockets.
const PER_PROGRAM: u64 = 8;

/// Descriptors that no program gets: control sockets, clients (as many as may be connected), what is set aside for more
/// of them, journal, activity log.
const RESERVE: u64 = 160;

/// Whether an error means that something is used up, which changes by itself.
pub(super) fn is_starved(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM | libc::ETOOMANYREFS)
}

/// Supervisor's text, and what to do.
pub(super) fn no_descriptors(name: &str, needed: u64) -> SpawnError {
    SpawnError::Starved(format!(
        "too many open files to spawn '{name}' (EMFILE: raise LimitNOFILE, or ulimit -n, to at least {needed})"
    ))
}

/// How many processes there may be, as far as it can be told.
pub(super) fn process_limit() -> String {
    let pids_max = cgroup::pids_max().map(|max| format!("pids.max={max}"));
    let nproc = limits::get(limits::PROCESSES).ok().map(|(soft, _)| soft).filter(|soft| *soft < u64::MAX);
    let nproc = nproc.map(|soft| format!("RLIMIT_NPROC={soft}"));
    let known: Vec<String> = pids_max.into_iter().chain(nproc).collect();
    if known.is_empty() {
        "EAGAIN: process limit reached".to_owned()
    } else {
        format!("EAGAIN: process limit reached ({})", known.join(", "))
    }
}

/// How many descriptors a daemon with so many programs needs to be sure to have enough.
fn needed(programs: usize) -> u64 {
    PER_PROGRAM.saturating_mul(u64::try_from(programs).unwrap_or(u64::MAX)).saturating_add(RESERVE)
}

/// What to tell when the limit is too low for this configuration.
pub(super) fn foreseen(config: &Config) -> Option<String> {
    let programs = config.groups.iter().map(|group| group.processes.len()).sum();
    let (limit, _) = limits::get(limits::OPEN_FILES).ok()?;
    let needed = needed(programs);
    (limit < needed).then(|| {
        format!(
            "{programs} programs may need {needed} open files, and the limit is {limit}: raise LimitNOFILE, or ulimit -Hn, \
             to at least {needed}; programs for which there is none left will wait"
        )
    })
}

impl Worker {
    /// See [`needed`].
    pub(super) fn descriptors_needed(&self) -> u64 {
        needed(self.engine.processes().count())
    }

    /// Whether a program can be started and enough is left to be controlled with. The count is asked for only where the
    /// limit is near.
    pub(super) fn has_descriptors_for_another(&self) -> bool {
        let Ok((limit, _)) = limits::get(limits::OPEN_FILES) else { return true };
        let coming = self.spawning.len() + 1;
        if needed(self.children.len() + coming).saturating_mul(2) <= limit {
            return true;
        }
        let coming = PER_PROGRAM * u64::try_from(coming).unwrap_or(0);
        // A low limit leaves a smaller reserve: half of it is the programs' in any case.
        descriptors::open_count().is_ok_and(|open| open + coming + RESERVE.min(limit / 4) <= limit)
    }

    /// Why a child did not become its program, and what would help.
    pub(super) fn exec_reason(&self, process: ProcessId, stage: Stage, number: i32) -> String {
        let reason = errno::name(number).map_or_else(|| format!("errno {number}"), str::to_owned);
        let Some(config) = self.process_config(process) else { return reason };
        let uid = config.user.as_ref().map_or_else(|| nix::unistd::geteuid().as_raw(), |user| user.uid);
        let directory = config.directory.as_deref().unwrap_or_default();
        let hint = match (stage, number) {
            (Stage::Directory, libc::ENOENT | libc::ENOTDIR) => format!("directory '{directory}' is not there"),
            (Stage::Directory, _) => format!("directory '{directory}', as uid {uid}"),
            (Stage::User, libc::EPERM) => {
                format!("only root may become uid {uid}: start the daemon as root or remove user=")
            }
            (Stage::User, _) => format!("uid {uid}"),
            (Stage::Exec, libc::EACCES) => {
                format!("uid {uid} may not execute it: check the x bits, the directories above it, a noexec mount")
            }
            (Stage::Exec, libc::ENOENT) => "it, or the interpreter that its first line names, is not there".to_owned(),
            (Stage::Exec, libc::ENOEXEC) => "it is no program: a script needs #!/path/to/interpreter first".to_owned(),
            (Stage::Exec, libc::ETXTBSY) => "somebody is writing the file; tried again until that is over".to_owned(),
            (Stage::Exec, libc::E2BIG) => "arguments and environment are too long: shorten environment=".to_owned(),
            (Stage::Exec, libc::EAGAIN) => format!("uid {uid} has as many processes as it may: {}", process_limit()),
            _ => return reason,
        };
        format!("{reason} ({hint})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_programs_need_more_than_the_usual_limit() {
        assert_eq!(needed(0), RESERVE);
        assert!(needed(1000) > 1024);
        assert!(needed(usize::MAX) > needed(1000));
    }

    #[test]
    fn what_is_used_up_is_told_from_what_is_wrong() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::EAGAIN, libc::ENOMEM] {
            assert!(is_starved(errno), "{errno}");
        }
        for errno in [libc::ENOENT, libc::EACCES, libc::EPERM, libc::E2BIG] {
            assert!(!is_starved(errno), "{errno}");
        }
    }
}
