//! Limits of programs (`memory_max` and its companions): what the kernel is told of a run's cgroup before the run begins,
//! when an update changes it, and when a daemon goes on after one that was killed.
//!
//! A cgroup holds its members to limits only if its controllers are enabled in all cgroups above it, and none of those may
//! have members of its own. So the first program with a limit has the controllers enabled, and the daemon moves to a leaf
//! if it sits in the cgroup that was handed over. Where nobody sets a limit, nothing of this happens.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::worker::Worker;
use crate::config::Limits;
use crate::engine::{Pid, ProcessId};
use crate::logs::{Level, log};
use crate::sys::{cgroup, side};

/// Where the daemon moves to. Not `daemon`, which is what the unit has systemd put it in: there nothing must be undone
/// before systemd can start the next one, see [`release`].
const LEAF: &str = "galaxyd-main";

/// So often whoever was forked meanwhile is moved as well.
const MOVES_MAX: u32 = 5;

/// What makes limits possible, where there is no cgroup to set them in.
pub(super) const WAY_OUT: &str = "run the daemon under systemd with Delegate=yes on a host with cgroup v2, name a cgroup of its own by cgroup=, or \
     remove the limits";

/// Holds the run in `run`, a cgroup below the daemon's own `directory`, to these limits. Not for the control loop: the kernel
/// may look for memory to take back meanwhile.
///
/// # Errors
///
/// Which limit cannot be enforced, and why.
pub(super) fn impose(directory: &Path, run: &Path, limits: &Limits) -> Result<(), String> {
    let needed: BTreeSet<&str> =
        limits.settings().iter().filter(|(_, value)| value.is_some()).map(|(key, _)| controller(key)).collect();
    let base = directory.parent().unwrap_or(directory);
    let enabled = enable(base, &needed).and_then(|()| enable_in(directory, &needed));
    enabled.map_err(|why| format!("{limits} cannot be enforced: {why}"))?;
    for (key, value) in limits.settings() {
        let file = key.replace('_', ".");
        match (cgroup::write(run, &file, value.as_deref().unwrap_or("max")), value) {
            (Ok(()), _) => {}
            // Without its controller there is no limit, and no file.
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {}
            (Err(error), value) => {
                let value = value.unwrap_or_else(|| "max".to_owned());
                return Err(format!("{key}={value} cannot be enforced: {}: {error}", run.join(file).display()));
            }
        }
    }
    Ok(())
}

/// `memory` of `memory_max`.
fn controller(key: &str) -> &str {
    key.split('_').next().unwrap_or(key)
}

/// Enables controllers for what is below the cgroup that was handed over.
fn enable(base: &Path, needed: &BTreeSet<&str>) -> Result<(), String> {
    let offered = cgroup::controllers(base).map_err(|error| format!("{}: {error}", base.display()))?;
    let missing: Vec<&str> =
        needed.iter().filter(|name| !offered.iter().any(|other| other == *name)).copied().collect();
    if !missing.is_empty() {
        let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
        return Err(format!(
            "{} has no controller {} (it has: {offered}); {WAY_OUT}",
            base.display(),
            missing.join(", ")
        ));
    }
    match cgroup::enable(base, needed) {
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
        other => return other.map_err(|error| format!("controllers of {}: {error}", base.display())),
    }
    // Somebody lives right in it. It is ours to make room only if that is where we are.
    let own = cgroup::own().map(|(_, own)| own)?;
    if own != base {
        return Err(format!("{} has processes of its own: a cgroup with limits below it must not", base.display()));
    }
    let leaf = base.join(LEAF);
    let mut enabled = Err(io::Error::from_raw_os_error(libc::EBUSY));
    for _ in 0..MOVES_MAX {
        cgroup::move_all(base, &leaf).map_err(|error| format!("moving to {}: {error}", leaf.display()))?;
        enabled = cgroup::enable(base, needed);
        if enabled.is_ok() {
            break;
        }
    }
    enabled.map_err(|error| format!("controllers of {}: {error}", base.display()))
}

fn enable_in(directory: &Path, needed: &BTreeSet<&str>) -> Result<(), String> {
    cgroup::enable(directory, needed).map_err(|error| format!("controllers of {}: {error}", directory.display()))
}

/// Takes the controllers back where a daemon had to move to its own leaf: there systemd (before 254) puts the next daemon
/// into `unit` itself, which the kernel forbids as long as they are enabled. The next daemon sets all limits anew.
///
/// # Errors
///
/// EBUSY if something below has them enabled that is not the daemon's.
pub(super) fn release(unit: &Path) -> io::Result<()> {
    if !unit.join(LEAF).is_dir() {
        return Ok(());
    }
    for directory in cgroup::below(unit) {
        cgroup::disable_all(&directory)?;
    }
    cgroup::disable_all(unit)
}

impl Worker {
    /// Tells the kernel the limits of runs that exist. A run for which that fails goes on as it is.
    pub(super) fn confine_anew(&self, processes: impl Iterator<Item = ProcessId>) {
        let wanted =
            |process| Some((self.bare_name(process), self.pid_of(process)?, self.limits_of(process)?, process));
        let runs: Vec<(String, Pid, Limits, Option<PathBuf>)> = processes
            .filter_map(wanted)
            .map(|(name, pid, limits, process)| (name, pid, limits, self.present_cgroup(process)))
            .collect();
        if runs.is_empty() {
            return;
        }
        let (directory, absence) = (self.cgroups.directory(), self.cgroups.absence());
        side::run(move || {
            for (name, pid, limits, run) in runs {
                let imposed = match directory.as_deref().zip(run.as_deref()) {
                    Some((directory, run)) => confine(directory, run, pid, &limits),
                    None if limits.is_none() => Ok(()),
                    None => Err(format!("{limits} cannot be enforced: {absence}")),
                };
                if let Err(why) = imposed {
                    let text = format!("'{name}' (pid {pid}) goes on without its present limits: {why}");
                    log(Level::Warn, &text);
                }
            }
        });
    }

    /// As [`Worker::confine_anew`], for all that have limits: after a crash the kernel may have lost them.
    pub(super) fn confine_all(&self) {
        let all = self.engine.everybody().map(|view| view.process);
        self.confine_anew(all.filter(|process| self.limits_of(*process).is_some_and(|limits| !limits.is_none())));
    }

    fn limits_of(&self, process: ProcessId) -> Option<Limits> {
        self.process_config(process).map(|config| config.extras.limits)
    }

    fn pid_of(&self, process: ProcessId) -> Option<Pid> {
        self.engine.process(process)?.pid
    }
}

fn confine(directory: &Path, run: &Path, pid: Pid, limits: &Limits) -> Result<(), String> {
    let is_inside = cgroup::members(run).is_ok_and(|members| members.contains(&pid));
    if !is_inside && !limits.is_none() {
        return Err(format!("{limits} cannot be enforced: it runs outside of its cgroup; a restart helps"));
    }
    impose(directory, run, limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like cgroups: the kernel's answers are not played.
    fn cgroups(controllers: &str) -> tempfile::TempDir {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("d/run")).unwrap();
        std::fs::write(base.path().join("cgroup.controllers"), controllers).unwrap();
        for folder in ["", "d"] {
            std::fs::write(base.path().join(folder).join("cgroup.subtree_control"), "").unwrap();
        }
        base
    }

    #[test]
    fn a_controller_that_is_missing_is_named_with_the_way_out() {
        let base = cgroups("hugetlb\n");
        let limits = Limits { memory_max: Some(1 << 20), pids_max: Some(5), ..Limits::default() };
        let why = impose(&base.path().join("d"), &base.path().join("d/run"), &limits).unwrap_err();
        let begin = format!(
            "memory_max=1MB, pids_max=5 cannot be enforced: {} has no controller memory, pids (it has: hugetlb); run the daemon",
            base.path().display()
        );
        assert!(why.starts_with(&begin), "{why}");
    }

    #[test]
    fn only_what_is_limited_is_enabled_and_written() {
        let base = cgroups("cpu memory pids\n");
        let (directory, run) = (base.path().join("d"), base.path().join("d/run"));
        for (file, there) in [("memory.max", "max"), ("memory.high", "max"), ("cpu.max", "max 100000")] {
            std::fs::write(run.join(file), there).unwrap();
        }
        let limits = Limits { memory_max: Some(4096), ..Limits::default() };
        impose(&directory, &run, &limits).unwrap();
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(text(&base.path().join("cgroup.subtree_control")), "+memory");
        assert_eq!(text(&directory.join("cgroup.subtree_control")), "+memory");
        assert_eq!((text(&run.join("memory.max")), text(&run.join("memory.high"))), ("4096".into(), "max".into()));
        assert!(!run.join("pids.max").exists());
        let limits = Limits { pids_max: Some(7), ..Limits::default() };
        let why = impose(&directory, &run, &limits).unwrap_err();
        assert!(why.starts_with("pids_max=7 cannot be enforced: ") && why.contains("run/pids.max"), "{why}");
    }

    #[test]
    fn without_a_leaf_of_ours_nothing_is_taken_back() {
        let base = cgroups("memory\n");
        std::fs::write(base.path().join("cgroup.subtree_control"), "memory").unwrap();
        release(base.path()).unwrap();
        let control = || std::fs::read_to_string(base.path().join("cgroup.subtree_control")).unwrap();
        assert_eq!(control(), "memory");
        std::fs::create_dir(base.path().join(LEAF)).unwrap();
        std::fs::write(base.path().join(LEAF).join("cgroup.subtree_control"), "").unwrap();
        release(base.path()).unwrap();
        assert_eq!(control(), "-memory");
    }
}
