//! Children of a keeper that was killed: found by the roll, held by descriptor, their ends learnt from the kernel.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::holdings::pipe_name;
use super::keeper::{Keeper, now};
use super::protocol::Ended;
use super::roll::Entry;
use super::table::{Child, Table};
use crate::engine::Exit;
use crate::sys::child_pipes::Pipes;
use crate::sys::pipe::{self, End};
use crate::sys::proc_table::{self, Identity, Standing};
use crate::sys::waiter::Interest;
use crate::sys::{clock, pidfd, process, reap};

/// Set in the tokens of the wait that name adopted children; the rest is the child's id.
pub(super) const WATCH: u64 = 1 << 63;

/// So long the end of an adopted child waits for its new parent to collect it, which is when the kernel tells how it ended.
/// Process 1 of some containers takes more than a second; what it does not collect at all is not waited for.
const COLLECTION_WAIT: Duration = Duration::from_secs(3);

/// How a child is watched that is not ours.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) process: OwnedFd,
    /// It has ended; its exit is unknown if the kernel does not tell it by then.
    pub(super) until: Option<Duration>,
}

impl Keeper {
    /// Takes over the child of an entry: it lives and is the one meant, or it is known to have ended.
    ///
    /// # Errors
    /// Whether it lives cannot be found out: ENOSYS before Linux 5.3, EMFILE, ENFILE, ENOMEM.
    pub(super) fn adopt(&mut self, entry: Entry) -> io::Result<()> {
        let Entry { program, start, pipes: inodes } = entry;
        // After an upgrade it is our child as before, and not reaped: the pid is still its own.
        let is_ours = program.ended.is_none() && is_own_child(Identity { pid: program.pid, start })?;
        let process = match program.ended {
            Some(_) => None,
            None if is_ours => None,
            None => match pidfd::open(Identity { pid: program.pid, start }) {
                Ok(process) => Some(process),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => None,
                Err(error) => return Err(error),
            },
        };
        let pid = (is_ours || process.is_some()).then_some(program.pid);
        let pipes = find_pipes(&mut self.table, program.id, pid, inodes, program.has_stderr)?;
        let is_known = pid.is_some() || program.ended.is_some();
        let ended = program.ended.or((!is_known).then(|| Ended { exit: Exit::Unknown, at: now() }));
        if let Some(process) = &process {
            self.waiter.add(process, WATCH | program.id, Interest::READABLE)?;
        }
        self.table.children.push(Child {
            id: program.id,
            tag: program.tag.into_boxed_str(),
            pid: program.pid,
            start,
            started: program.started,
            last_signal: program.last_signal,
            pipes,
            watch: process.map(|process| Watch { process, until: None }),
            status: None,
            ended,
            exec_failed: program.exec_failed,
            in_inventory: false,
        });
        Ok(())
    }

    /// The child has ended and its program goes on as `heir`, which is the child from now on.
    ///
    /// # Errors
    /// ESRCH when it is gone; EINVAL for a child that lives or is none, EEXIST for an heir that is another child; as `adopt`.
    pub(super) fn follow(&mut self, id: u64, heir: Identity) -> io::Result<()> {
        let refuse = |errno| Err(io::Error::from_raw_os_error(errno));
        if self.table.child(id).is_none_or(|child| child.ended.is_none()) {
            return refuse(libc::EINVAL);
        }
        let is_worker = self.worker.as_ref().is_some_and(|worker| worker.pid == heir.pid);
        let has_it = |child: &Child| child.pid == heir.pid && child.ended.is_none();
        if is_worker || self.stuck.contains(&heir.pid) || self.table.children.iter().any(has_it) {
            return refuse(libc::EEXIST);
        }
        // One that is ours is reaped by us, whether it has ended by now or not.
        let process = if is_own_child(heir)? { None } else { Some(pidfd::open(heir)?) };
        if let Some(process) = &process {
            self.waiter.add(process, WATCH | id, Interest::READABLE)?;
        }
        if let Some(child) = self.table.child_mut(id) {
            (child.pid, child.start, child.last_signal, child.ended) = (heir.pid, heir.start, 0, None);
            child.watch = process.map(|process| Watch { process, until: None });
        }
        self.enter(id);
        Ok(())
    }

    /// An adopted child has ended, or was collected.
    pub(super) fn look_at(&mut self, id: u64) {
        let Some(child) = self.table.child_mut(id) else { return };
        let identity = Identity { pid: child.pid, start: child.start };
        let Some(watch) = &mut child.watch else { return };
        let told = pidfd::exit(&watch.process).or_else(|| {
            let status = proc_table::unreaped_status(identity)?;
            reap::Exit::of_status(status)
        });
        match (told, watch.until) {
            (Some(exit), _) => self.conclude(id, exit.into()),
            // Collected, and the kernel has nothing to tell.
            (None, Some(_)) => self.conclude(id, Exit::Unknown),
            (None, None) => {
                watch.until = Some(clock::monotonic() + COLLECTION_WAIT);
                // Its being collected is told even so.
                let _ = self.waiter.change(&watch.process, WATCH | id, Interest::NONE);
            }
        }
    }

    /// When patience with a parent that does not collect ends.
    pub(super) fn collection_due(&self) -> Option<Duration> {
        self.table.children.iter().filter_map(|child| child.watch.as_ref()?.until).min()
    }

    /// Those that were not collected in time.
    pub(super) fn end_patience(&mut self) {
        let now = clock::monotonic();
        let is_late =
            |child: &&Child| child.watch.as_ref().and_then(|watch| watch.until).is_some_and(|until| now >= until);
        let late: Vec<u64> = self.table.children.iter().filter(is_late).map(|child| child.id).collect();
        for id in late {
            self.look_at(id);
        }
    }

    /// A child has ended: it is entered first, so that a keeper to come knows it too.
    pub(super) fn conclude(&mut self, id: u64, exit: Exit) {
        let Some(child) = self.table.child_mut(id) else { return };
        if let Some(watch) = child.watch.take() {
            self.waiter.remove(&watch.process);
        }
        if let Some(status) = child.status.take() {
            // The pipe is closed with the child's end, but copies may live in children that are being forked.
            self.waiter.remove(&status);
        }
        child.ended = Some(Ended { exit, at: now() });
        self.enter(id);
        self.tell_unless_in_inventory(id);
    }
}

fn is_own_child(identity: Identity) -> io::Result<bool> {
    let found = proc_table::one(identity.pid)?;
    Ok(found.is_some_and(|entry| entry.identity == identity && entry.parent == process::id()))
}

impl Table {
    /// Whether a child can still do anything, as one that only waits to be collected cannot. One of which nothing can be
    /// found out may.
    pub(super) fn may_run(&self) -> bool {
        let can = |child: &Child| {
            let identity = Identity { pid: child.pid, start: child.start };
            let is_it = |found: proc_table::Entry| found.identity == identity && found.standing != Standing::Ended;
            proc_table::one(child.pid).map_or(true, |found| found.is_some_and(is_it))
        };
        self.children.iter().filter(|child| child.ended.is_none()).any(can)
    }
}

impl From<reap::Exit> for Exit {
    fn from(exit: reap::Exit) -> Exit {
        match exit {
            reap::Exit::Code(code) => Exit::Code(code),
            reap::Exit::Signal { number, core_dumped } => Exit::Signal { number, core_dumped },
        }
    }
}

/// Our ends of a child's pipes: those that were handed over, else those that the living child has open.
fn find_pipes(
    table: &mut Table,
    child: u64,
    pid: Option<i32>,
    [stdin, stdout, stderr]: [u64; 3],
    has_stderr: bool,
) -> io::Result<Pipes> {
    let mut find = |stream: u8, inode: u64, end: End| {
        table.take(&pipe_name(child, stream)).or_else(|| pipe::reopen(pid?, inode, end).filter(|_| inode != 0))
    };
    let stdin = find(0, stdin, End::Write);
    let stdout = find(1, stdout, End::Read);
    let stderr = find(2, stderr, End::Read);
    Ok(Pipes {
        stdin,
        stdout: stdout.map_or_else(pipe::ended, Ok)?,
        stderr: if has_stderr { Some(stderr.map_or_else(pipe::ended, Ok)?) } else { None },
    })
}

/// The inodes of a child's pipes, zero for one it does not have: what it has open itself has the same.
pub(super) fn inodes(pipes: &Pipes) -> [u64; 3] {
    [pipes.stdin.as_ref(), Some(&pipes.stdout), pipes.stderr.as_ref()]
        .map(|pipe| pipe.and_then(|pipe| pipe::inode(pipe.as_fd()).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(identity: Identity) -> Child {
        Child {
            id: 1,
            tag: "1.1".into(),
            pid: identity.pid,
            start: identity.start,
            started: now(),
            last_signal: 0,
            pipes: Pipes { stdin: None, stdout: pipe::ended().unwrap(), stderr: None },
            watch: None,
            status: None,
            ended: None,
            exec_failed: None,
            in_inventory: false,
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some process that is to end")]
    fn only_one_that_is_not_waiting_to_be_collected_may_run() {
        let mut other = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let identity = proc_table::one(other.id().cast_signed()).unwrap().unwrap().identity;
        let mut table = Table::default();
        assert!(!table.may_run());
        table.children.push(child(Identity { start: identity.start + 1, ..identity }));
        assert!(!table.may_run(), "another one has its number");
        table.children.push(child(identity));
        assert!(table.may_run());
        drop(other.stdin.take());
        let held = pidfd::open(identity).unwrap();
        let mut awaited = [nix::poll::PollFd::new(held.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut awaited, nix::poll::PollTimeout::NONE).unwrap();
        assert!(!table.may_run(), "it has ended, and nobody has collected it");
        other.wait().unwrap();
        assert!(!table.may_run());
    }
}
