//! Control groups (cgroup v2): processes are grouped, and limited where somebody asks for that.
//!
//! Source: the kernel's `cgroup-v2.rst`; the mark of delegation is systemd's.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{AccessFlags, access};

/// Where the second version is mounted: alone, or next to the first.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// What systemd marks a cgroup with that it has handed over: to a user's service manager or service, to one of root's.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// Groups looked at below one. A program that makes more of its own has the rest overlooked, not the daemon held up.
const BELOW_MAX: usize = 4096;

const MEMBERS: &str = "cgroup.procs";

/// Whether a process is in a cgroup (v2) in whose path a name begins like this.
#[must_use]
pub fn is_within(pid: i32, beginning: &str) -> bool {
    let lines = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let path = lines.lines().find_map(|line| line.strip_prefix("0::"));
    path.is_some_and(|path| path.split('/').any(|part| part.starts_with(beginning)))
}

/// The controllers that what is below a cgroup has.
const ENABLED: &str = "cgroup.subtree_control";

/// The cgroup that was handed over to this process: its own, or the one above (`DelegateSubgroup=`).
///
/// # Errors
///
/// Why there is none.
pub fn delegated() -> Result<PathBuf, String> {
    let (mount, own) = own()?;
    let above = own.parent().filter(|above| above.starts_with(mount));
    let marked = [Some(own.as_path()), above].into_iter().flatten().find(|path| is_marked(path));
    let marked = marked.ok_or_else(|| format!("{} is not delegated", own.display()))?;
    usable(marked)?;
    Ok(marked.to_owned())
}

/// The mount of cgroup v2, and the cgroup of this process below it.
///
/// # Errors
///
/// Why there is none, or it cannot be seen.
pub fn own() -> Result<(&'static Path, PathBuf), String> {
    let mount = MOUNTS.map(Path::new).into_iter().find(|mount| is_cgroup(mount)).ok_or("there is no cgroup v2")?;
    let table = fs::read_to_string("/proc/self/cgroup").map_err(|error| format!("/proc/self/cgroup: {error}"))?;
    let own = table.lines().find_map(|line| line.strip_prefix("0::/")).ok_or("this process has no cgroup v2")?;
    if own.split('/').any(|part| part == "..") {
        return Err(format!("its cgroup /{own} is outside of this namespace"));
    }
    Ok((mount, mount.join(own)))
}

/// Whether cgroups can be made below `path`, and processes moved there.
///
/// # Errors
///
/// Why not.
pub fn usable(path: &Path) -> Result<(), String> {
    if !is_cgroup(path) {
        return Err(format!("{} is no cgroup v2", path.display()));
    }
    for path in [path.to_owned(), path.join(MEMBERS)] {
        access(&path, AccessFlags::W_OK)
            .map_err(|errno| format!("{} cannot be written to: {errno}", path.display()))?;
    }
    Ok(())
}

fn is_cgroup(path: &Path) -> bool {
    statfs(path).is_ok_and(|file_system| file_system.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

fn is_marked(path: &Path) -> bool {
    MARKS.iter().any(|mark| attribute(path, mark).is_some_and(|value| value == *b"1"))
}

/// The first byte of an extended attribute that is one byte long.
fn attribute(path: &Path, name: &str) -> Option<[u8; 1]> {
    let (path, name) = (CString::new(path.as_os_str().as_bytes()).ok()?, CString::new(name).ok()?);
    let mut value = [0u8; 1];
    // SAFETY: both texts are valid C strings and `value` is as long as is said; all outlive the call.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    (length == 1).then_some(value)
}

/// Makes a cgroup, unless it is there, and opens the door to it: who writes `0` there moves in.
///
/// # Errors
///
/// ENOENT without the one above, EACCES, EAGAIN when there are too many, EMFILE.
pub fn create(path: &Path) -> io::Result<OwnedFd> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    Ok(OpenOptions::new().write(true).open(path.join(MEMBERS))?.into())
}

/// The processes in it and in all below. One that moves meanwhile may be missing or there twice.
///
/// # Errors
///
/// Other than that it is not there.
pub fn members(path: &Path) -> io::Result<Vec<i32>> {
    let mut members = Vec::new();
    for group in with_those_below(path) {
        match fs::read_to_string(group.join(MEMBERS)) {
            // A process outside of this pid namespace is shown as 0.
            Ok(text) => members.extend(text.lines().filter_map(|pid| pid.parse::<i32>().ok()).filter(|pid| *pid > 0)),
            // ENODEV: removed since it was opened. EOPNOTSUPP: of threads, whose processes are listed above.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(members)
}

/// The controllers that can be enabled for what is below `path`.
///
/// # Errors
///
/// ENOENT if it is no cgroup, EACCES.
pub fn controllers(path: &Path) -> io::Result<Vec<String>> {
    words(&path.join("cgroup.controllers"))
}

/// Enables controllers for what is below `path`; those that are enabled already stay so.
///
/// # Errors
///
/// EBUSY while processes live right in it, ENOENT if it has no such controller, EACCES.
pub fn enable(path: &Path, controllers: &BTreeSet<&str>) -> io::Result<()> {
    let present = words(&path.join(ENABLED))?;
    let missing = controllers.iter().filter(|name| !present.iter().any(|other| other == *name));
    switch(path, '+', missing)
}

/// Disables all controllers for what is below `path`; their limits are gone then.
///
/// # Errors
///
/// EBUSY while something further below has one enabled, EACCES.
pub fn disable_all(path: &Path) -> io::Result<()> {
    switch(path, '-', words(&path.join(ENABLED))?.iter())
}

fn switch(path: &Path, sign: char, names: impl Iterator<Item = impl std::fmt::Display>) -> io::Result<()> {
    let wishes: Vec<String> = names.map(|name| format!("{sign}{name}")).collect();
    if wishes.is_empty() { Ok(()) } else { write(path, ENABLED, &wishes.join(" ")) }
}

fn words(file: &Path) -> io::Result<Vec<String>> {
    Ok(fs::read_to_string(file)?.split_ascii_whitespace().map(str::to_owned).collect())
}

/// Writes into a file of the kernel's, which is never created.
///
/// # Errors
///
/// ENOENT without its controller, EINVAL for a value that the kernel does not take, EACCES.
pub fn write(path: &Path, file: &str, value: &str) -> io::Result<()> {
    // The files that a test has instead must be emptied; the kernel's have no length.
    let mut opened = OpenOptions::new().write(true).truncate(true).open(path.join(file))?;
    io::Write::write_all(&mut opened, value.as_bytes())
}

/// Moves everybody who lives right in `from` to the cgroup `to`, which is made if it is not there.
///
/// # Errors
///
/// Other than that somebody ended meanwhile.
pub fn move_all(from: &Path, to: &Path) -> io::Result<()> {
    drop(create(to)?);
    for pid in words(&from.join(MEMBERS))? {
        match write(to, MEMBERS, &pid) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// How many of its members the kernel's OOM killer ended so far; `None` without the memory controller.
#[must_use]
pub fn oom_kills(path: &Path) -> Option<u64> {
    let events = fs::read_to_string(path.join("memory.events")).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// The lowest limit of processes of the cgroups that this process is in, of either version; `None` without one.
#[must_use]
pub fn pids_max() -> Option<u64> {
    let table = fs::read_to_string("/proc/self/cgroup").ok()?;
    let lines = table.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let places = lines.flat_map(|(controllers, path)| {
        let roots: &[&str] = match controllers {
            "" => &MOUNTS,
            "pids" => &["/sys/fs/cgroup/pids"],
            _ => &[],
        };
        roots.iter().map(move |root| (Path::new(root), path.trim_start_matches('/')))
    });
    places.filter_map(|(root, path)| lowest_pids_max(root, path)).min()
}

/// Of the cgroup at `path` below `root` and all above it.
fn lowest_pids_max(root: &Path, path: &str) -> Option<u64> {
    let own = root.join(path);
    let above = own.ancestors().take_while(|group| group.starts_with(root));
    above.filter_map(|group| fs::read_to_string(group.join("pids.max")).ok()?.trim().parse().ok()).min()
}

/// SIGKILL for everybody in it and below, also for those who are being forked.
///
/// # Errors
///
/// ENOENT without it and before Linux 5.14, EACCES.
pub fn kill(path: &Path) -> io::Result<()> {
    // Never created: the file is the kernel's.
    io::Write::write_all(&mut OpenOptions::new().write(true).open(path.join("cgroup.kill"))?, b"1")
}

/// Removes it with all below; that it is not there is fine.
///
/// # Errors
///
/// EBUSY while somebody lives in it, EACCES.
pub fn remove(path: &Path) -> io::Result<()> {
    for group in with_those_below(path).iter().rev() {
        match fs::remove_dir(group) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The cgroups right below; none if it cannot be read.
#[must_use]
pub fn below(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// Each before those below it.
fn with_those_below(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    let mut place = 0;
    while let Some(group) = all.get(place).filter(|_| all.len() < BELOW_MAX) {
        let found = below(group);
        all.extend(found);
        place += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cgroup_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        assert!(usable(folder.path()).unwrap_err().ends_with("is no cgroup v2"));
        assert!(!is_marked(folder.path()));
        let missing = folder.path().join("missing");
        assert_eq!(members(&missing).unwrap(), [0; 0]);
        remove(&missing).unwrap();
        assert_eq!(kill(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!missing.exists());
    }

    #[test]
    fn the_lowest_limit_from_here_up_counts() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        assert_eq!(lowest_pids_max(folder.path(), "a/b"), None);
        fs::write(folder.path().join("a/b/pids.max"), "max\n").unwrap();
        fs::write(folder.path().join("a/pids.max"), "70\n").unwrap();
        fs::write(folder.path().join("pids.max"), "900\n").unwrap();
        assert_eq!(lowest_pids_max(folder.path(), "a/b"), Some(70));
        assert_eq!(lowest_pids_max(folder.path(), ""), Some(900));
    }

    #[test]
    fn only_kills_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(oom_kills(folder.path()), None);
        fs::write(folder.path().join("memory.events"), "low 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 1\n").unwrap();
        assert_eq!(oom_kills(folder.path()), Some(3));
    }

    #[test]
    fn those_below_come_after_those_above() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b/c")).unwrap();
        fs::write(folder.path().join("a/cgroup.procs"), "12\n0\n").unwrap();
        fs::write(folder.path().join("a/b/cgroup.procs"), "13\n").unwrap();
        assert_eq!(members(folder.path()).unwrap(), [12, 13]);
        assert_eq!(with_those_below(folder.path()).len(), 4);
    }
}
