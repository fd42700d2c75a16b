//! Collecting children that ended.

use std::io;

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
            pid if libc::WIFEXITED(status) => return Some((pid, Exit::Code(libc::WEXITSTATUS(status)))),
            pid if libc::WIFSIGNALED(status) => {
                let exit = Exit::Signal { number: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) };
                return Some((pid, exit));
            }
            // Stopped or continued: not asked for, and no end.
            _ => {}
        }
    }
}
