//! The pidfile, and the lock on it that keeps a second daemon away from the same configuration.
//!
//! The lock belongs to an open file that the keeper holds: it ends with the keeper, however that ends, and a pidfile
//! that was left behind stops nobody. What is locked is one byte far behind the text, whose place follows from what is
//! run: daemons that share a pidfile but run something else, which Supervisor allows, do not meet.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::invocation::Call;
use super::worker::Worker;
use crate::config::{Config, Loaded, NotFound, Source};
use crate::keeper::ToKeeper;
use crate::logs::{Level, Planted, Use, log, open_file};

/// The name under which the keeper holds the locked pidfile.
pub(super) const HELD_NAME: &str = "pidfile-lock";

/// No pidfile is longer, in bytes: a number and a line end.
const PIDFILE_MAX_BYTES: u64 = 64;

/// What a daemon runs, as far as two that run the same would do everything twice: the configuration file, the
/// identifier, and what the file takes from the environment. On another host or in another container it is something
/// else, even if both see the same files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// The configuration file, links followed.
    file: PathBuf,
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
        let identifier = loaded.config.as_ref().map_or("", |config| config.daemon.identifier.as_str());
        let file = call.file()?;
        let file = fs::canonicalize(&file).unwrap_or(file);
        let mut text = format!("{}\n{identifier}\n{}", file.display(), host());
        for (name, value) in call.source.environment() {
            let mention = format!("ENV_{name})");
            if loaded.files.iter().any(|(_, text)| text.contains(&mention)) {
                // Writing into a text cannot fail.
                let _ = writeln!(text, "{name}={value}");
            }
        }
        Ok(Claim { file, text })
    }

    /// The byte to lock: FNV-1a of the text, below the largest offset of a file and beyond any pidfile's end.
    fn offset(&self) -> i64 {
        let hash = self
            .text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        i64::try_from((hash >> 2) | (1 << 32)).unwrap_or(i64::MAX - 1)
    }

    fn lock(&self, file: &File) -> Lock {
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Lock::Impossible(io::Error::other("it is no regular file")),
            Err(error) => return Lock::Impossible(error),
        }
        #[expect(clippy::cast_possible_truncation, reason = "small constants of C, in the type of its structure")]
        let wanted = libc::flock {
            l_type: libc::F_WRLCK as _,
            l_whence: libc::SEEK_SET as _,
            l_start: self.offset(),
            l_len: 1,
            l_pid: 0,
        };
        match fcntl(file, FcntlArg::F_OFD_SETLK(&wanted)) {
            Ok(_) => Lock::Taken,
            Err(Errno::EAGAIN | Errno::EACCES) => Lock::Busy(pid_in(file)),
            Err(errno) => Lock::Impossible(errno.into()),
        }
    }

    /// Whether another daemon runs the same; then the text says so, and what to do.
    pub(super) fn is_taken(&self, config: &Config) -> Option<String> {
        let pidfile = &config.daemon.pidfile;
        // Without a pidfile there is no other, and one that cannot be written is not locked.
        let file = OpenOptions::new().read(true).write(true).open(pidfile).ok()?;
        match self.lock(&file) {
            Lock::Busy(pid) => Some(self.refusal(pidfile, pid)),
            Lock::Taken | Lock::Impossible(_) => None,
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

/// This boot of this host, seen from this container: pids of others mean nothing here.
fn host() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let pids = fs::metadata("/proc/self/ns/pid").map(|metadata| metadata.ino()).unwrap_or_default();
    format!("{boot}{pids}\n")
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
        Claim { file: "/etc/s.conf".into(), text: text.to_owned() }
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
