//! Forking a child that becomes what a plan says.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow};

use super::child;
use super::child_pipes::{self, Pipes};
use super::descriptors::set_nonblocking;
use super::fork::fork;
use super::plan::PlanView;

/// A child that exists, and waits behind its gate.
#[derive(Debug)]
pub struct Forked {
    pub pid: i32,
    pub pipes: Pipes,
    /// Non-blocking. Ends without a byte when the child's `exec` succeeded; else gives a [`Failure`].
    pub status: OwnedFd,
    pub gate: Gate,
}

/// Where a child waits until it is let go. Should this be dropped, or this process die before, the child ends having done
/// nothing.
#[derive(Debug)]
pub struct Gate(OwnedFd);

impl Gate {
    /// Lets it go.
    pub fn open(self) {
        // Fails only if the child was killed meanwhile.
        let _ = nix::unistd::write(&self.0, b"g");
    }
}

/// Nothing was forked.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("no pipes: {0}")]
    Pipes(io::Error),
    #[error("no fork: {0}")]
    Fork(io::Error),
}

/// At which step a child failed on its way to `exec`: the numbers on the status pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    ProcessGroup = 1,
    Stdio,
    Limits,
    User,
    Directory,
    Exec,
    /// The child goes on without its cgroup; another report may follow.
    Cgroup,
    /// The child must not run without its cgroup, and could not enter it.
    Confinement,
}

/// What a failed child reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// A [`Step`].
    pub step: u8,
    pub errno: i32,
}

/// What a status pipe says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing yet.
    Pending,
    /// `exec` succeeded, or the child died before it could say anything.
    Closed,
    Failed(Failure),
    /// It could not enter its cgroup, for this errno, and goes on without; the pipe has more to say.
    NotGrouped(i32),
}

/// Forks and, in the child, once its gate is open, does everything the plan says in this order: its chance in want of memory,
/// cgroup, process group, standard descriptors, limits, groups, group, user, directory, umask, signals, descriptors, `exec`.
///
/// `given` becomes standard input, and `listener` descriptor 3, if the plan wants that; `cgroup` is the door it enters by. Meant
/// for a process with one thread; with more it is still sound, since the child calls nothing that could wait for another thread.
///
/// # Errors
///
/// [`SpawnError`]; then there is no child.
pub fn spawn(
    plan: &PlanView<'_>,
    given: Option<OwnedFd>,
    listener: Option<&OwnedFd>,
    cgroup: Option<&OwnedFd>,
) -> Result<Forked, SpawnError> {
    let (pipes, ends) = child_pipes::open_for(plan, given).map_err(SpawnError::Pipes)?;
    let (status, report) =
        nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| SpawnError::Pipes(io::Error::from(errno)))?;
    set_nonblocking(&status).map_err(SpawnError::Pipes)?;
    let (gate, opener) =
        nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| SpawnError::Pipes(io::Error::from(errno)))?;
    // What somebody sends to the child at once must wait until it is ready to die of it: we ignore signals
    // that it will not ignore. Blocked signals wait, ignored or not.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(|e| SpawnError::Fork(e.into()))?;
    // SAFETY: the child only calls `child::main`, which never returns and keeps to what is allowed
    // after a fork: nothing that allocates, locks or unwinds.
    let pid = unsafe { fork() };
    if pid == 0 {
        child::pass(gate.as_raw_fd(), opener.as_raw_fd());
        let extra = child::Extra { listener: listener.map(AsRawFd::as_raw_fd), cgroup: cgroup.map(AsRawFd::as_raw_fd) };
        child::main(plan, &ends, extra, report.as_raw_fd());
    }
    let error = io::Error::last_os_error();
    // Fails for no mask that was in force before.
    let _ = mask.thread_set_mask();
    match pid {
        -1 => Err(SpawnError::Fork(error)),
        pid => {
            // The child does the same; whoever is first, its group exists before we could signal it.
            // It fails if the child has already called exec, or is gone.
            let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(pid), nix::unistd::Pid::from_raw(pid));
            Ok(Forked { pid, pipes, status, gate: Gate(opener) })
        }
    }
}

/// Reads a status pipe, without waiting.
#[must_use]
pub fn status(pipe: &OwnedFd) -> Status {
    let mut report = [0u8; 5];
    match nix::unistd::read(pipe, &mut report) {
        Ok(5) => {
            let [step, errno @ ..] = report;
            let errno = i32::from_ne_bytes(errno);
            if step == Step::Cgroup as u8 { Status::NotGrouped(errno) } else { Status::Failed(Failure { step, errno }) }
        }
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => Status::Pending,
        // Reports are shorter than PIPE_BUF, so they come whole or not at all.
        Ok(_) | Err(_) => Status::Closed,
    }
}
