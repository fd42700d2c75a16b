//! The pidfile, and the lock on it that keeps a second daemon away from the same configuration.
//!
//! The lock belongs to an open file that the keeper holds: it ends with the keeper, however that ends, and a pidfile
//! that was left behind stops nobody. What is locked is one byte far behind the text, whose place follows from what is
//! run: daemons that share a pidfile but run something else, which Supervisor allows, do not meet.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use serde::{Deserialize, Serialize};

use super::invocation::Call;
use super::worker::Worker;
use crate::config::{Loaded, NotFound, Source};
use crate::keeper::{ToKeeper, checksum};
use crate::logs::{Level, Planted, Use, log, open_file};
use crate::sys::{clock, host, proc_table};

/// The name under which the keeper holds the locked pidfile.
pub(super) const HELD_NAME: &str = "pidfile-lock";

/// So long a daemon that starts waits for one that is not there any more but whose worker still is.
pub(super) const LEAVING_WAIT: Duration = Duration::from_secs(10);
const LEAVING_PAUSE: Duration = Duration::from_millis(20);

/// A process that was killed is there until the kernel has closed its files.
const DYING_WAIT: Duration = Duration::from_millis(200);

/// No pidfile is longer, in bytes: a number and a line end.
const PIDFILE_MAX_BYTES: u64 = 64;

/// What a daemon runs, as far as two that run the same would do everything twice: the configuration file, the
/// identifier, and what the file takes from the environment. On another host or in another container it is something
/// else, even if both see the same files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// The configuration file, links followed.
    pub(super) file: PathBuf,
    identifier: String,
    text: String,
}

/// What became of the wish to be the only one.
#[derive(Debug)]
pub(super) enum Lock {
    Taken,
    /// Somebody else has it; `None` if the pidfile does not say who.
    Busy(Option<i32>),
    /// The pidfile is a device or a pipe, or its file system knows no locks.
    Impossible(io::Error),
}

impl Claim {
    /// # Errors
    /// No configuration file.
    pub(super) fn of(call: &Call, loaded: &Loaded) -> Result<Claim, NotFound> {
        let identifier = loaded.daemon.as_ref().map_or("", |daemon| daemon.identifier.as_str());
        let file = call.file()?;
        let file = fs::canonicalize(&file).unwrap_or(file);
        let mut text = format!("{}\n{identifier}\n{}\n", file.display(), host::identity());
        for (name, value) in call.source.environment() {
            let mention = format!("ENV_{name})");
            if loaded.files.iter().any(|(_, text)| text.contains(&mention)) {
                // Writing into a text cannot fail.
                let _ = writeln!(text, "{name}={value}");
            }
        }
        Ok(Claim { file, identifier: identifier.to_owned(), text })
    }

    /// Whether both mean one daemon, even if what it takes from the environment has changed.
    pub(super) fn is_akin(&self, other: &Claim) -> bool {
        (&self.file, &self.identifier) == (&other.file, &other.identifier)
    }

    /// The byte to lock: from the text, below the largest offset of a file and beyond any pidfile's end.
    fn offset(&self) -> i64 {
        i64::try_from((checksum(self.text.as_bytes()) >> 2) | (1 << 32)).unwrap_or(i64::MAX - 1)
    }

    fn lock(&self, file: &File) -> Lock {
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Lock::Impossible(io::Error::other("it is no regular file")),
            Err(error) => return Lock::Impossible(error),
        }
        let wanted = libc::flock { l_start: self.offset(), l_len: 1, ..whole_file(libc::F_WRLCK) };
        match fcntl(file, FcntlArg::F_OFD_SETLK(&wanted)) {
            Ok(_) => Lock::Taken,
            Err(Errno::EAGAIN | Errno::EACCES) => Lock::Busy(pid_in(file)),
            Err(errno) => Lock::Impossible(errno.into()),
        }
    }

    /// Whether another daemon runs the same; then the text says so, and what to do.
    pub(super) fn is_taken(&self, pidfile: &Path) -> Option<String> {
        // Without a pidfile there is no other, and one that cannot be written is not locked.
        let file = OpenOptions::new().read(true).write(true).open(pidfile).ok()?;
        let begin = clock::monotonic();
        loop {
            match self.lock(&file) {
                // A worker whose keeper was killed makes room, or has the number of the next one written.
                Lock::Busy(pid) if clock::monotonic().saturating_sub(begin) < patience(pid) => {
                    pause();
                }
                Lock::Busy(pid) => return Some(self.refusal(pidfile, pid)),
                Lock::Taken | Lock::Impossible(_) => return None,
            }
        }
    }

    fn refusal(&self, pidfile: &Path, pid: Option<i32>) -> String {
        let (file, pidfile) = (self.file.display(), pidfile.display());
        let (who, kill) = match pid {
            Some(pid) => (format!(" (process {pid})"), format!(" or `kill {pid}`")),
            None => (String::new(), String::new()),
        };
        format!(
            "Another daemon{who} is already running the configuration {file}; it holds the lock on its pidfile {pidfile}.  \
             Shut it down first, with `supervisorctl -c {file} shutdown`{kill}, or give this one a pidfile (-j) or an \
             identifier (-i) of its own."
        )
    }
}

/// All bytes of a file.
#[expect(clippy::cast_possible_truncation, reason = "small constants of C, in the type of its structure")]
pub(super) fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock { l_type: kind as _, l_whence: libc::SEEK_SET as _, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Before a lock is tried again.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel tells of the end of a lock only those who wait without bound"
)]
pub(super) fn pause() {
    std::thread::sleep(LEAVING_PAUSE);
}

/// How long to wait for the lock of the daemon with this pid.
fn patience(pid: Option<i32>) -> Duration {
    match pid.map(|pid| (proc_table::one(pid), proc_table::is_dying(pid))) {
        Some((Ok(None), _) | (_, Ok(true))) => LEAVING_WAIT,
        _ => DYING_WAIT,
    }
}

/// What is known of the daemon that may have had our sockets before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Former {
    Unknown,
    Killed,
}

impl Former {
    /// How long to wait for a socket that the process with this pid began to listen at: the kernel closes what a process has open
    /// after it has told of its end.
    pub(super) fn patience(self, pid: Option<i32>) -> Duration {
        let is_there = |pid| proc_table::one(pid).is_ok_and(|found| found.is_some());
        let is_dying = pid.is_some_and(|pid| proc_table::is_dying(pid).unwrap_or(false));
        let is_its = self == Former::Killed && !pid.is_some_and(is_there);
        if is_dying || is_its { LEAVING_WAIT } else { DYING_WAIT }
    }
}

/// The number in a program's pidfile, if there is one. What is no regular file is not read. Not for the control loop.
pub(super) fn named_in(pidfile: &Path) -> Option<i32> {
    // A FIFO would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(pidfile).ok()?;
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    pid_in(&file).filter(|pid| *pid > 0)
}

fn pid_in(mut file: &File) -> Option<i32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(PIDFILE_MAX_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn is_same(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().ok().map(identity) == fs::metadata(path).ok().map(identity)
}

impl Worker {
    /// Writes the keeper's pid where the configuration wants it, and locks the file for as long as the keeper lives.
    /// `held` is the file of before a reload.
    ///
    /// # Errors
    /// Another daemon runs the same configuration, or somebody has put something else in the pidfile's place.
    pub(super) fn take_pidfile(&mut self, claim: &Claim, held: Option<OwnedFd>) -> Result<(), String> {
        let pidfile = self.config.daemon.pidfile.clone();
        if let Some(file) = held.map(File::from).filter(|file| is_same(file, &pidfile)) {
            self.write_pid(&file);
            return Ok(());
        }
        let file = match open_file(&pidfile, Use::ReadWrite(0o666)) {
            Ok(file) => file,
            Err(error) if Planted::is_behind(&error) => {
                return Err(format!("the pidfile {error}"));
            }
            Err(_) => {
                log(Level::Critical, &format!("could not write pidfile {}", pidfile.display()));
                return Ok(());
            }
        };
        match claim.lock(&file) {
            Lock::Busy(pid) => return Err(claim.refusal(&pidfile, pid)),
            Lock::Taken => {
                self.write_pid(&file);
                self.tell_keeper_to_hold(HELD_NAME, file.into());
            }
            Lock::Impossible(error) => {
                self.write_pid(&file);
                let shown = pidfile.display();
                let text = format!("pidfile {shown} cannot be locked ({error}): a second daemon would not be refused");
                log(Level::Info, &text);
            }
        }
        Ok(())
    }

    /// Where a keeper took the place of another one: its pid is another. `held` is the file if that one had locked it.
    pub(super) fn renew_pidfile(&mut self, held: Option<OwnedFd>) {
        match (held.map(File::from), self.launch.claim.clone()) {
            (Some(file), _) if pid_in(&file).and_then(|pid| u32::try_from(pid).ok()) == Some(self.pid) => {}
            (Some(file), _) => self.write_pid(&file),
            // Not locked, or by a daemon that was killed.
            (None, Some(claim)) => {
                if let Err(refusal) = self.take_pidfile(&claim, None) {
                    log(Level::Critical, &refusal);
                }
            }
            (None, None) => {}
        }
    }

    fn write_pid(&self, mut file: &File) {
        let text = format!("{}\n", self.pid);
        // A device has no length to change.
        let emptied = if file.metadata().is_ok_and(|metadata| metadata.is_file()) { file.set_len(0) } else { Ok(()) };
        // Pipes cannot be rewound, and need not be.
        let _ = file.rewind();
        if emptied.and_then(|()| file.write_all(text.as_bytes())).is_err() {
            log(Level::Critical, &format!("could not write pidfile {}", self.config.daemon.pidfile.display()));
        }
    }

    /// Everything is stopped: whoever starts the next daemon need not wait until our files are removed.
    pub(super) fn release_pidfile(&mut self) {
        // For all who have a copy: a predecessor may still hang in a file system.
        for (_, file) in self.keeper.holdings().filter(|(name, _)| *name == HELD_NAME) {
            // What cannot be unlocked ends with its holders.
            let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_UNLCK)));
        }
        self.tell_keeper(&ToKeeper::Release { name: HELD_NAME.to_owned() });
    }

    pub(super) fn tell_keeper_to_hold(&mut self, name: &str, descriptor: OwnedFd) {
        if let Err(error) = self.keeper.send(&ToKeeper::Hold { name: name.to_owned() }, vec![descriptor]) {
            log(Level::Warn, &format!("cannot hand {name} to the keeper: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(text: &str) -> Claim {
        Claim { file: "/etc/s.conf".into(), identifier: String::new(), text: text.to_owned() }
    }

    fn open(path: &Path) -> File {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    #[test]
    fn a_claim_is_held_until_its_file_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        fs::write(&path, "123\n").unwrap();
        let first = open(&path);
        assert!(matches!(claim("a").lock(&first), Lock::Taken));
        assert!(matches!(claim("a").lock(&open(&path)), Lock::Busy(Some(123))));
        assert!(matches!(claim("b").lock(&open(&path)), Lock::Taken), "another claim on the same pidfile");
        // Writing and closing the file elsewhere does not end it, closing every copy of the first does.
        fs::write(&path, "x").unwrap();
        let copy = first.try_clone().unwrap();
        drop(first);
        assert!(matches!(claim("a").lock(&open(&path)), Lock::Busy(None)));
        drop(copy);
        assert!(matches!(claim("a").lock(&open(&path)), Lock::Taken));
    }

    #[test]
    fn what_is_no_regular_file_is_not_locked() {
        assert!(matches!(claim("a").lock(&open(Path::new("/dev/null"))), Lock::Impossible(_)));
    }

    #[test]
    fn the_locked_byte_lies_behind_every_pidfile() {
        for text in ["", "a", "b", "/etc/supervisord.conf"] {
            let offset = claim(text).offset();
            assert!((1 << 32..i64::MAX).contains(&offset), "{offset}");
        }
        assert_ne!(claim("a").offset(), claim("b").offset());
    }
}
