//! Signals: received as messages, ignored, sent, and their names.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::child;

/// Receives signals one by one, with their senders.
#[derive(Debug)]
pub struct Signals(SignalFd);

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub signal: i32,
    /// Zero if the kernel sent it, or the sender lives in another pid namespace.
    pub pid: i32,
    pub uid: u32,
}

impl Signals {
    /// Blocks these signals in the calling thread, and in those it starts from now on, and receives them
    /// instead. To be called before there are other threads.
    ///
    /// # Errors
    ///
    /// EMFILE, ENFILE, ENOMEM; EINVAL for a number that is no signal, or a real-time one.
    pub fn receive(wanted: &[i32]) -> io::Result<Self> {
        let set = wanted.iter().map(|signal| Signal::try_from(*signal)).collect::<Result<SigSet, _>>()?;
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The next signal; `None` if none waits. Equal signals that came together are one.
    #[must_use]
    pub fn next(&self) -> Option<Received> {
        let information = self.0.read_signal().ok().flatten()?;
        Some(Received {
            signal: i32::try_from(information.ssi_signo).unwrap_or(0),
            pid: i32::try_from(information.ssi_pid).unwrap_or(0),
            uid: information.ssi_uid,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Ignores a signal, real-time ones included. SIGKILL, SIGSTOP and unknown numbers stay as they are.
pub fn ignore(signal: i32) {
    // SAFETY: no handler is installed, so none can be wrong; a bad number is an error without effect.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// A signal gets its default action. Whoever started us may have ignored it, and that is inherited.
pub fn restore_default(signal: i32) {
    // SAFETY: as for `ignore`.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// The command starts with no signal blocked, whatever the calling thread blocks: that would be inherited.
pub fn block_none(command: &mut Command) {
    let unblock = || {
        child::unblock_signals();
        Ok(())
    };
    // SAFETY: the closure captures nothing and calls what is async-signal-safe only.
    unsafe { command.pre_exec(unblock) };
}

/// Sends `signal` to a process.
///
/// # Errors
///
/// ESRCH, EPERM, EINVAL; EINVAL for a `pid` below 1, which would mean other processes.
pub fn send(pid: i32, signal: i32) -> io::Result<()> {
    if pid < 1 { Err(io::ErrorKind::InvalidInput.into()) } else { kill(pid, signal) }
}

/// Sends `signal` to all members of a process group.
///
/// # Errors
///
/// As [`send`]; EINVAL for a `group` below 2, which would mean everybody.
pub fn send_to_group(group: i32, signal: i32) -> io::Result<()> {
    if group < 2 { Err(io::ErrorKind::InvalidInput.into()) } else { kill(-group, signal) }
}

fn kill(target: i32, signal: i32) -> io::Result<()> {
    // SAFETY: a system call on numbers. (Nix' wrapper knows no real-time signals.)
    if unsafe { libc::kill(target, signal) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_processes_cannot_be_meant_by_accident() {
        for target in [0, -1, -5] {
            assert!(send(target, 0).is_err());
            assert!(send_to_group(target, 0).is_err());
        }
        assert!(send_to_group(1, 0).is_err());
        send(std::process::id().cast_signed(), 0).unwrap();
    }
}
