//! Signals: received as messages, ignored, sent, and their names.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

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

/// All signals get their default action in this process, none is blocked in this thread: what a program
/// expects of whoever starts it.
pub fn restore_defaults() {
    super::child::default_dispositions();
    super::child::unblock_signals();
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

/// The name Supervisor prints: `SIGTERM`; `signal 35` for a number without a name.
#[must_use]
pub fn name(number: i32) -> String {
    match NAMES.iter().rev().find(|(_, known)| *known == number) {
        Some((name, _)) => format!("SIG{name}"),
        None if number == libc::SIGRTMIN() => "SIGRTMIN".to_owned(),
        None if number == libc::SIGRTMAX() => "SIGRTMAX".to_owned(),
        None => format!("signal {number}"),
    }
}

/// The number of a signal that Supervisor accepts by number or by name, with or without `SIG`, in any
/// case; `None` if it would not. Like Supervisor's, numbers without a name are refused.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i32>() {
        let named = NAMES.iter().any(|(_, known)| *known == number);
        return (named || number == 0 || number == libc::SIGRTMIN() || number == libc::SIGRTMAX()).then_some(number);
    }
    let name = text.to_ascii_uppercase();
    match name.strip_prefix("SIG").unwrap_or(&name) {
        "RTMIN" => Some(libc::SIGRTMIN()),
        "RTMAX" => Some(libc::SIGRTMAX()),
        name => NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number),
    }
}

/// As Python knows them. Of several names for one number the last is the one that is printed.
const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("IOT", libc::SIGIOT),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CLD", libc::SIGCHLD),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGPOLL),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_supervisor_prints() {
        let expected = [
            (1, "SIGHUP"),
            (6, "SIGABRT"),
            (15, "SIGTERM"),
            (16, "SIGSTKFLT"),
            (17, "SIGCHLD"),
            (29, "SIGPOLL"),
            (34, "SIGRTMIN"),
            (35, "signal 35"),
            (64, "SIGRTMAX"),
            (0, "signal 0"),
            (-3, "signal -3"),
        ];
        for (signal, text) in expected {
            assert_eq!(name(signal), text);
        }
    }

    #[test]
    fn numbers_are_those_supervisor_accepts() {
        let accepted = [
            ("TERM", 15),
            ("term", 15),
            (" SIGKILL ", 9),
            ("9", 9),
            ("0", 0),
            ("IO", 29),
            ("SIGCLD", 17),
            ("iot", 6),
            ("RTMIN", 34),
            ("SIGRTMAX", 64),
            ("64", 64),
        ];
        for (text, signal) in accepted {
            assert_eq!(number(text), Some(signal), "{text}");
        }
        for text in ["", "SIG", "SIGSIGTERM", "35", "65", "-1", "RTMIN+1", "NOPE"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

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
