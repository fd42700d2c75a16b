//! Something tried in a copy of this process first, because it may hang in a file system for ever: no signal ends such a
//! wait, and no thread of a process that has one can be left behind.

use std::io::{self, PipeReader};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::fork::fork;
use super::{clock, signals};

/// Does `what` in a child; whether it came to an end within `patience`. A child that does not is killed and left to whom it
/// falls to. To be called while there is one thread.
///
/// # Errors
///
/// No pipe or no process to be had.
pub fn ends_within(patience: Duration, what: impl FnOnce()) -> io::Result<bool> {
    let (lifeline, end) = io::pipe()?;
    // SAFETY: with one thread the child is a complete copy that may do everything.
    match unsafe { fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(lifeline);
            // That it came to an end counts, not how.
            let _ = catch_unwind(AssertUnwindSafe(what));
            // SAFETY: ends the process at once; what is buffered belongs to the parent.
            unsafe { libc::_exit(0) }
        }
        pid => {
            drop(end);
            let ended = is_cut_within(&lifeline, patience);
            if !ended {
                // It is our child and not collected, so the pid is still its own.
                let _ = signals::send(pid, libc::SIGKILL);
                return Ok(false);
            }
            // SAFETY: a child of ours that ends; no status is asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Ok(true)
        }
    }
}

/// Whether the other end is closed in time, which is when its process ends.
fn is_cut_within(lifeline: &PipeReader, patience: Duration) -> bool {
    let until = clock::monotonic() + patience;
    loop {
        let left = until.saturating_sub(clock::monotonic());
        let mut awaited = [PollFd::new(lifeline.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut awaited, timeout) {
            Ok(0) if left.is_zero() => return false,
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}
