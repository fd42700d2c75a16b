//! The pipes between a child and us.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;

use super::descriptors::set_nonblocking;
use super::plan::{PlanView, Stderr, Stdin};

/// What a pipe of root's can hold: output that waits while no worker reads.
const PIPE_BYTES_PRIVILEGED: i32 = 1024 * 1024;

/// For other users all pipes together count towards `pipe-user-pages-soft` (64 MiB by default), and
/// beyond it every new pipe of that user, whoever makes it, shrinks to a page or two. So take little.
const PIPE_BYTES_OTHERWISE: i32 = 128 * 1024;

/// Our ends. None of them ever makes us wait.
#[derive(Debug)]
pub struct Pipes {
    /// Write end; `None` if the child was given a descriptor.
    pub stdin: Option<OwnedFd>,
    /// Read end.
    pub stdout: OwnedFd,
    /// Read end; `None` if the child's standard error goes to its standard output.
    pub stderr: Option<OwnedFd>,
}

/// The child's ends, close-on-exec as all descriptors of ours.
#[derive(Debug)]
pub(super) struct ChildEnds {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: Option<OwnedFd>,
}

/// Makes the pipes that a plan wants. `given` becomes the child's standard input if the plan says so.
///
/// # Errors
///
/// EMFILE, ENFILE; EBADF if the plan wants a descriptor and none is given.
pub(super) fn open_for(plan: &PlanView<'_>, given: Option<OwnedFd>) -> io::Result<(Pipes, ChildEnds)> {
    let (child_stdin, stdin) = match (plan.stdin, given) {
        (Stdin::Given, Some(descriptor)) => (descriptor, None),
        (Stdin::Given, None) => return Err(io::Error::from_raw_os_error(libc::EBADF)),
        (Stdin::Pipe, _) => {
            let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
            set_nonblocking(&write)?;
            // Should all of us die, it waits for the next daemon's bytes, and takes none of us for the end.
            (reopen_both_ways(&read).unwrap_or(read), Some(write))
        }
    };
    let (stdout, child_stdout) = output()?;
    let (stderr, child_stderr) = match plan.stderr {
        Stderr::Stdout => (None, None),
        Stderr::Pipe => {
            let (read, write) = output()?;
            (Some(read), Some(write))
        }
    };
    let ends = ChildEnds { stdin: child_stdin, stdout: child_stdout, stderr: child_stderr };
    Ok((Pipes { stdin, stdout, stderr }, ends))
}

/// A pipe for output: our read end, and the child's end, which can be read as well, so that the child is
/// a reader of its own pipe: should all of us die, it sees neither SIGPIPE nor EPIPE.
fn output() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(&read)?;
    let wanted = if nix::unistd::geteuid().is_root() { PIPE_BYTES_PRIVILEGED } else { PIPE_BYTES_OTHERWISE };
    // A smaller pipe serves too; the kernel refuses when the user's share is used up.
    let _ = fcntl(&read, FcntlArg::F_SETPIPE_SZ(wanted));
    let both_ways = reopen_both_ways(&write).unwrap_or(write);
    Ok((read, both_ways))
}

/// Without /proc, or when it forbids this, there is none; the plain end serves too.
fn reopen_both_ways(end: impl AsFd) -> Option<OwnedFd> {
    let mut path = [0u8; 32];
    io::Write::write_fmt(&mut &mut path[..], format_args!("/proc/self/fd/{}\0", end.as_fd().as_raw_fd())).ok()?;
    let path = std::ffi::CStr::from_bytes_until_nul(&path).ok()?;
    open(path, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_output_survives_all_our_readers() {
        let (read, child) = output().unwrap();
        drop(read);
        assert_eq!(nix::unistd::write(&child, b"still here").unwrap(), 10);
    }

    #[test]
    fn our_end_sees_the_end_when_the_child_has_closed_its_own() {
        let (read, child) = output().unwrap();
        assert_eq!(nix::unistd::read(&read, &mut [0; 4]).unwrap_err(), nix::errno::Errno::EAGAIN);
        nix::unistd::write(&child, b"abc").unwrap();
        drop(child);
        assert_eq!(nix::unistd::read(&read, &mut [0; 4]).unwrap(), 3);
        assert_eq!(nix::unistd::read(&read, &mut [0; 4]).unwrap(), 0);
    }
}
