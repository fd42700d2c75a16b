//! Leaving the terminal.

use std::io;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::fork::fork;

/// Forks once; the parent ends at once with code 0, the child goes on in a session of its own, with
/// /dev/null as its three standard descriptors. To be called while there is one thread.
///
/// # Errors
///
/// When there is no fork or no /dev/null; then nothing has changed.
pub fn daemonize() -> io::Result<()> {
    let null = open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    // SAFETY: with one thread the child is a complete copy that may do everything.
    match unsafe { fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        // SAFETY: ends the process at once; what is buffered belongs to the child.
        _ => unsafe { libc::_exit(0) },
    }
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    setsid()?;
    Ok(())
}
