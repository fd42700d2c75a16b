//! Collecting children that ended.

use std::io;

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    /// Any number up to 64: real-time signals too.
    Signal {
        number: i32,
        core_dumped: bool,
    },
}

impl Exit {
    /// What a status of `wait(2)` says; `None` for one that is no end (stopped, continued).
    #[must_use]
    pub fn of_status(status: i32) -> Option<Exit> {
        if libc::WIFEXITED(status) {
            return Some(Exit::Code(libc::WEXITSTATUS(status)));
        }
        libc::WIFSIGNALED(status)
            .then(|| Exit::Signal { number: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) })
    }
}

/// One child of this process that has ended, its own or adopted; `None` if there is none at the moment.
///
/// To be called until `None` after each SIGCHLD: signals coalesce.
#[must_use]
pub fn next() -> Option<(i32, Exit)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` outlives the call. (Nix' wrapper refuses deaths by real-time signals.)
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match pid {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            // ECHILD: there are no children at all.
            -1 | 0 => return None,
            // Else it was stopped or continued: not asked for, and no end.
            pid => {
                if let Some(exit) = Exit::of_status(status) {
                    return Some((pid, exit));
                }
            }
        }
    }
}

/// One child of this process that was stopped by a signal since it was last asked for, and that signal; `None` if there is
/// none. One that goes on again before it is asked for was never stopped.
#[must_use]
pub fn next_stopped() -> Option<(i32, i32)> {
    match waitid(Id::All, WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG) {
        Ok(WaitStatus::Stopped(pid, signal)) => Some((pid.as_raw(), signal as i32)),
        // The others are not asked for; an error says that there are no children.
        Ok(_) | Err(_) => None,
    }
}
