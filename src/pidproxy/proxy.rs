//! The command, the signals, the pidfile.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys::signals::{self, Signals};

/// What is handed on.
const HANDED_ON: [i32; 6] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];

/// Those after which nothing is left to do.
const LAST: [i32; 3] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Bytes of a pidfile that are looked at: more is no number.
const PIDFILE_BYTES_MAX: u64 = 64;

/// A command that runs, and whom signals are for.
pub(super) struct Proxy {
    pidfile: PathBuf,
    child: Child,
    signals: Signals,
}

impl Proxy {
    /// Runs the command. As in the original its file is taken from the current directory, not from the PATH, and its own
    /// name is what was typed.
    pub(super) fn start(pidfile: PathBuf, command: &str, arguments: &[String]) -> io::Result<Proxy> {
        let wanted: Vec<i32> = HANDED_ON.into_iter().chain([libc::SIGCHLD]).collect();
        // Ignored, as it may be inherited, it would not tell of the child's end.
        signals::restore_default(libc::SIGCHLD);
        // Before the child: none of its signals, nor its end, can be missed.
        let signals = Signals::receive(&wanted)?;
        #[expect(clippy::disallowed_methods, reason = "this process is no keeper: it has this one child")]
        let mut wanted = Command::new(std::path::absolute(command)?);
        signals::block_none(&mut wanted);
        let child = wanted.arg0(command).args(arguments).spawn()?;
        Ok(Proxy { pidfile, child, signals })
    }

    /// Hands signals on until the command ends, or one of the last ones came; gives the exit code.
    pub(super) fn wait(mut self) -> io::Result<u8> {
        loop {
            let mut wanted = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wanted, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            while let Some(received) = self.signals.next() {
                if received.signal == libc::SIGCHLD {
                    if let Some(status) = self.child.try_wait()? {
                        return Ok(code(status));
                    }
                } else if let Some(code) = self.hand_on(received.signal) {
                    return Ok(code);
                }
            }
        }
    }

    /// Signals the process of the pidfile; the exit code if that was all.
    fn hand_on(&self, signal: i32) -> Option<u8> {
        let is_last = LAST.contains(&signal);
        let Some(pid) = read(&self.pidfile) else {
            // Nobody is left to tell when the output is gone.
            let _ = writeln!(io::stdout(), "Can't read child pidfile {}!", self.pidfile.display());
            return None;
        };
        match signals::send(pid, signal) {
            Ok(()) => is_last.then_some(0),
            Err(error) => {
                let text = format!("cannot signal process {pid} of {}: {error}", self.pidfile.display());
                let code = super::complain(&text, super::FAILED);
                is_last.then_some(code)
            }
        }
    }
}

/// The number in a pidfile, if it is that of one process.
fn read(pidfile: &Path) -> Option<i32> {
    let mut text = String::new();
    File::open(pidfile).ok()?.take(PIDFILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

/// As a shell has it: the code, or 128 and the number of the signal.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(super::FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pidfile_names_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        assert_eq!(read(&path), None);
        for (text, wanted) in [
            ("12\n", Some(12)),
            (" 7 ", Some(7)),
            ("", None),
            ("0", None),
            ("-1", None),
            ("x", None),
            ("99999999999", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path), wanted, "{text:?}");
        }
    }

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(libc::SIGTERM)), 143);
    }
}
