//! The table of processes as /proc tells it.
//!
//! Each fact is true at some instant of the walk, not all at the same one: whoever acts on it has to look again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use super::{clock, heap};

/// A process, known by its number together with its start: numbers are used again, the pair is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks after boot.
    pub start: u64,
}

/// Whether a process can go on. Source: the states of `proc_pid_stat(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Goes,
    /// In the kernel, for something that no signal ends.
    Waits,
    /// By a signal or a debugger.
    Stopped,
    /// It has ended and waits for its parent.
    Ended,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub identity: Identity,
    pub parent: i32,
    pub group: i32,
    pub standing: Standing,
    /// The first 15 bytes of its file's name.
    pub name: String,
}

/// An environment or a command line is read up to here; the kernel's own limit for one string is 128 KiB.
const READ_MAX_BYTES: u64 = 256 << 10;

/// The first instant, in clock ticks after boot, of processes that were started at this monotonic time or later. The machine
/// was not suspended in between, or they seem older than they are.
#[must_use]
pub fn ticks(monotonic: Duration) -> u64 {
    let after_boot = monotonic + clock::suspended();
    after_boot.as_secs() * TICKS_PER_SECOND + u64::from(after_boot.subsec_millis()) / (1000 / TICKS_PER_SECOND)
}

/// `USER_HZ`, the same on all machines that this is built for. Source: `time(7)`.
const TICKS_PER_SECOND: u64 = 100;

/// Every process that can be seen. One that ends meanwhile is left out.
///
/// # Errors
///
/// Without /proc; EMFILE, ENFILE, ENOMEM.
pub fn all() -> io::Result<Vec<Entry>> {
    each(parse)
}

/// What `read` makes of each process's line in /proc/PID/stat.
///
/// # Errors
///
/// As [`all`]; a line that `read` cannot take is one.
pub(super) fn each<T>(read: impl Fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let no_memory = || io::Error::from_raw_os_error(libc::ENOMEM);
    let mut entries = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // There may be ten thousands of processes, and the look is never worth the reserve.
        if heap::is_short() || entries.try_reserve(1).is_err() {
            return Err(no_memory());
        }
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match of(pid, &read) {
            Ok(entry) => entries.extend(entry),
            // Of another user, and hidden (`hidepid=1`).
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    // Whoever looks makes a table of his own from it.
    let bytes = size_of::<T>().saturating_mul(entries.len());
    if heap::has_room(bytes) { Ok(entries) } else { Err(no_memory()) }
}

/// One process; `None` when there is none of that number.
///
/// # Errors
///
/// Whether there is one is not known: EMFILE, ENFILE, ENOMEM, EACCES (`hidepid=1`).
pub fn one(pid: i32) -> io::Result<Option<Entry>> {
    of(pid, &parse)
}

/// Whether a process is this one, or comes from it as far as parents tell.
#[must_use]
pub fn descends(pid: i32, from: i32) -> bool {
    let parent = |pid: &i32| one(*pid).ok().flatten().map(|entry| entry.parent);
    std::iter::successors(Some(pid), parent).take(DEPTH_MAX).any(|pid| pid == from)
}

/// Parents of parents are followed so far.
const DEPTH_MAX: usize = 64;

fn of<T>(pid: i32, read: &impl Fn(&str) -> Option<T>) -> io::Result<Option<T>> {
    let Some(line) = stat(pid)? else { return Ok(None) };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {line}"));
    read(&line).ok_or_else(damaged).map(Some)
}

/// How a process ended that its parent has not collected yet, as `wait(2)` would tell it: the kernel shows it to whoever
/// may trace the process, and zero to others, so zero says nothing.
#[must_use]
pub fn unreaped_status(identity: Identity) -> Option<i32> {
    let line = stat(identity.pid).ok()??;
    let entry = parse(&line).filter(|entry| entry.identity == identity && entry.standing == Standing::Ended)?;
    let (_, fields) = line.rsplit_once(&format!("{}) ", entry.name))?;
    fields.split_ascii_whitespace().nth(EXIT_CODE)?.parse().ok().filter(|status| *status != 0)
}

/// The name in it may be any bytes: a program gives itself one, and a long one is cut within a letter.
fn stat(pid: i32) -> io::Result<Option<String>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(line) => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
        // It was gone before the file was opened, or before it was read.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a process has the environment that it was started with. One in the middle of an exec has none for an instant; of one
/// that may not be looked into nobody can tell, and it counts as one that has.
#[must_use]
pub fn has_begun(pid: i32) -> bool {
    let line = stat(pid).ok().flatten();
    let end = line.as_deref().and_then(|line| field(line, ENVIRONMENT_END));
    end != Some(0) || fs::read_link(format!("/proc/{pid}/exe")).is_err()
}

/// Whether a process has ended or was killed, be it that the kernel is still busy with its end.
///
/// # Errors
///
/// As [`one`].
pub fn is_dying(pid: i32) -> io::Result<bool> {
    let Some(line) = stat(pid)? else { return Ok(false) };
    let is_set = |place, bit| field(&line, place).is_some_and(|flags| flags & bit != 0);
    let has_ended = parse(&line).is_some_and(|entry| entry.standing == Standing::Ended);
    let killed = 1 << (libc::SIGKILL - 1);
    // A thread takes the signal before it is seen to exit; what was sent to the whole process stays to be seen to its end.
    Ok(has_ended || is_set(FLAGS, EXITING) || is_set(PENDING, killed) || pending_of_all(pid) & killed != 0)
}

/// The signals that were sent to a process as a whole and that it has not taken. Source: `ShdPnd` of `proc_pid_status(5)`.
fn pending_of_all(pid: i32) -> u64 {
    let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let set = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}

/// A number in /proc/PID/stat, by its place behind the name.
fn field(line: &str, place: usize) -> Option<u64> {
    let (_, fields) = line.rsplit_once(") ")?;
    fields.split_ascii_whitespace().nth(place)?.parse().ok()
}

/// The places of `flags`, `signal` and `env_end` behind the name in /proc/PID/stat. Source: `proc_pid_stat(5)`.
const FLAGS: usize = 6;
const PENDING: usize = 28;
const ENVIRONMENT_END: usize = 48;

/// `PF_EXITING`. Source: `linux/sched.h`.
const EXITING: u64 = 0x4;

/// The place of `exit_code` behind the name in /proc/PID/stat. Source: `proc_pid_stat(5)`.
const EXIT_CODE: usize = 49;

/// The account that a process runs as; `None` when there is none of that number.
#[must_use]
pub fn account(pid: i32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The children of the only thread of a process; of one with more, those of the first.
///
/// # Errors
///
/// Without `CONFIG_PROC_CHILDREN`; ENOENT when there is no such process, EMFILE, ENFILE, ENOMEM.
pub fn children(pid: i32) -> io::Result<Vec<i32>> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// The environment it was started with, variables separated by NUL; `None` if it may not be read.
#[must_use]
pub fn environment(pid: i32) -> Option<Vec<u8>> {
    read(&format!("/proc/{pid}/environ"))
}

/// The inodes of the pipes that are its standard input, output and error; those that may not be seen are left out.
#[must_use]
pub fn standard_pipes(pid: i32) -> Vec<u64> {
    let inode = |number: u8| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok()
    };
    (0..3).filter_map(inode).collect()
}

/// The function of the kernel in which it sleeps; `None` if it does not, or that is not told.
#[must_use]
pub fn waits_in(pid: i32) -> Option<String> {
    let place = fs::read_to_string(format!("/proc/{pid}/wchan")).ok()?;
    Some(place).filter(|place| !place.is_empty() && place != "0")
}

/// Its command line in one line, or its name in brackets where it has none. Not made safe for a terminal.
#[must_use]
pub fn command(pid: i32) -> Option<String> {
    let line = read(&format!("/proc/{pid}/cmdline"))?;
    let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    if line.is_empty() { one(pid).ok()?.map(|entry| format!("[{}]", entry.name)) } else { Some(line) }
}

/// A process and the words that it was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub pid: i32,
    /// What is no UTF-8 in them is replaced.
    pub arguments: Vec<String>,
    /// Where it is; empty if that may not be read.
    pub directory: PathBuf,
}

/// The command lines of all processes that have one and can be read.
///
/// # Errors
///
/// As [`all`].
pub fn commands() -> io::Result<impl Iterator<Item = Command>> {
    let living = all()?.into_iter().filter(|entry| entry.standing != Standing::Ended);
    Ok(living.filter_map(|entry| arguments(entry.identity.pid)))
}

fn arguments(pid: i32) -> Option<Command> {
    let line = read(&format!("/proc/{pid}/cmdline"))?;
    let words = line.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    let arguments = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    Some(Command { pid, arguments, directory: fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default() })
}

/// A variable of the environment that a process was started with; `None` too if it may not be read.
#[must_use]
pub fn variable(pid: i32, name: &str) -> Option<String> {
    let environment = environment(pid)?;
    let mut variables = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    variables.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

fn read(path: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(READ_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A line of /proc/PID/stat; the name in it may hold blanks and brackets. Source: `proc_pid_stat(5)`.
pub(super) fn parse(line: &str) -> Option<Entry> {
    let (pid, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse().ok();
    let start = fields.get(19)?.parse().ok()?;
    Some(Entry {
        identity: Identity { pid: pid.parse().ok()?, start },
        parent: number(1)?,
        group: number(2)?,
        standing: match *fields.first()? {
            "D" => Standing::Waits,
            "T" | "t" => Standing::Stopped,
            "Z" | "X" | "x" => Standing::Ended,
            _ => Standing::Goes,
        },
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let line = "17 (a) S 1 (b) S 4 17 16 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 9876 10 11\n";
        let entry = parse(line).unwrap();
        assert_eq!(entry.name, "a) S 1 (b");
        assert_eq!((entry.identity, entry.parent), (Identity { pid: 17, start: 9876 }, 4));
        assert_eq!((entry.group, entry.standing), (17, Standing::Goes));
        assert_eq!(parse(&line.replace(" S 4", " T 4")).unwrap().standing, Standing::Stopped);
        for broken in ["", "17 (a) S", "17 (a", "x (a) S 4 17 16 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 9876"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn this_process_is_among_all() {
        let me = i32::try_from(std::process::id()).unwrap();
        let mine = one(me).unwrap().unwrap();
        assert!(all().unwrap().iter().any(|entry| entry.identity == mine.identity));
        assert_ne!(mine.standing, Standing::Ended);
        assert!(command(me).unwrap().contains("galaxyd"));
        let mine = commands().unwrap().find(|command| command.pid == me).unwrap();
        assert_eq!(mine.arguments, std::env::args().collect::<Vec<_>>());
        assert_eq!(mine.directory, std::env::current_dir().unwrap());
        assert_eq!(variable(me, "PATH"), std::env::var("PATH").ok());
        assert!(environment(me).is_some());
        assert_eq!(one(-1).unwrap(), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some process that is to end")]
    fn one_that_was_killed_is_dying_until_it_is_collected() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(has_begun(me) && !is_dying(me).unwrap());
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id().cast_signed();
        assert_eq!(account(pid), Some(nix::unistd::getuid().as_raw()));
        assert!(!is_dying(pid).unwrap());
        child.kill().unwrap();
        assert!(is_dying(pid).unwrap(), "from the signal on");
        child.wait().unwrap();
        assert!(!is_dying(pid).unwrap(), "it is gone");
        assert_eq!(account(pid), None);
    }

    #[test]
    fn a_process_comes_from_its_parent_and_not_the_other_way_round() {
        let me = i32::try_from(std::process::id()).unwrap();
        let parent = one(me).unwrap().unwrap().parent;
        assert!(descends(me, me) && descends(me, parent));
        assert!(!descends(parent, me) && !descends(me, -1));
    }
}
