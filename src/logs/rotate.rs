//! A log file that is written from memory and rotates by size: the activity log's.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::logfile::{Bounds, Failure, Gate, LogFile};
use crate::sys::clock;

/// At most this often an open file is asked whether it still has a name.
const UNLINKED_CHECK_EVERY: Duration = Duration::from_secs(1);

/// How long a full pipe or terminal is waited for before the write counts as failed, in milliseconds.
const FULL_WAIT_MILLISECONDS: u16 = 1000;

/// Writes to the end of a file and rotates after each write that reaches the bound. Opens, and opens again
/// after an error, when it is written to. A write never crosses a rotation.
#[derive(Debug)]
pub(super) struct RotatingFile {
    log: LogFile,
    checked_at: Duration,
}

impl RotatingFile {
    /// Opens the file.
    pub(super) fn open(path: PathBuf, bounds: Bounds, gate: Arc<dyn Gate>) -> io::Result<RotatingFile> {
        let mut log = LogFile::new(path.into(), bounds, gate);
        log.open().map_err(|failure| failure.error)?;
        Ok(RotatingFile { log, checked_at: clock::monotonic() })
    }

    /// Forgets the open file; the next write opens what then has its name.
    pub(super) fn close(&mut self) {
        self.log.open = None;
    }

    /// Opens at once what has the name now.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.log.reopen().map_err(|failure| failure.error)
    }

    /// Deletes the file, or empties it where that is not ours to do, and starts a new one.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.log.clear().map_err(|failure| failure.error)
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let now = clock::monotonic();
        if now.saturating_sub(self.checked_at) >= UNLINKED_CHECK_EVERY {
            self.checked_at = now;
            if self.log.is_unlinked() {
                self.close();
            }
        }
        self.log.open()?;
        self.log.pass("write")?;
        let end = self.log.seek_to_end()?;
        let Some(open) = &mut self.log.open else { return Ok(0) };
        let written = write_when_ready(&mut open.file, bytes).map_err(Failure::doing("write"))?;
        if written == bytes.len() {
            self.log.rotate_if_due(end.map(|end| end + written as u64))?;
        }
        Ok(written)
    }
}

/// Writes once, waiting a moment if the other end of a pipe is slow.
pub(super) fn write_when_ready(file: &mut (impl Write + AsFd), bytes: &[u8]) -> io::Result<usize> {
    match file.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let mut wanted = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
            poll(&mut wanted, PollTimeout::from(FULL_WAIT_MILLISECONDS))?;
            file.write(bytes)
        }
        answer => answer,
    }
}

impl Write for RotatingFile {
    /// A rotation that fails does not fail the write: the bytes are in the file, which goes on growing.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.try_write(bytes) {
            Ok(written) => Ok(written),
            Err(failure) if failure.doing == "rotate" => Ok(bytes.len()),
            Err(failure) => Err(failure.error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::logs::logfile::OpenGate;

    fn open(path: PathBuf, maxbytes: i64) -> RotatingFile {
        RotatingFile::open(path, Bounds { maxbytes, backups: 2 }, Arc::new(OpenGate)).unwrap()
    }

    #[test]
    fn each_write_stays_in_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = open(path.clone(), 10);
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(dir.path().join("log.1")).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
    }

    #[test]
    fn what_others_truncated_is_continued_from_its_new_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = open(path.clone(), 0);
        file.write_all(b"before").unwrap();
        fs::write(&path, "x").unwrap();
        file.write_all(b"after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "xafter");
    }

    #[test]
    fn a_full_device_is_an_error_each_time() {
        let mut file = open(PathBuf::from("/dev/full"), 10);
        assert_eq!(file.write(b"x").unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(file.write(b"x").unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    }

    #[test]
    fn a_rotation_that_fails_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(dir.path().join("log.1"), "").unwrap();
        fs::create_dir(dir.path().join("log.2")).unwrap();
        let mut file = open(path.clone(), 2);
        file.write_all(b"one").unwrap();
        file.write_all(b"two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "onetwo");
    }
}
