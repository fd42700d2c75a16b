//! One program in the place of another: the keeper executes it with everything it has, and the former one again if no worker
//! of the new one becomes ready.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::holdings::pipe_names;
use super::keeper::Keeper;
use super::table::Table;
use crate::engine::Pid;
use crate::sys::exec::Executable;
use crate::sys::{clock, process, signals};

/// The name under which the program is handed on that is to be executed should the next one fail.
const FORMER_HELD_NAME: &str = "former-program";

/// Held under this name, whatever it is: this program was executed in place of another one. The worker takes note and lets
/// go of it.
pub const DONE_HELD_NAME: &str = "upgrade-done";

/// So many workers of a new program may end before one is ready.
const FAILURES_MAX: u32 = 3;

/// So long each worker of a new program may take to get ready.
pub(super) const READY_MAX: Duration = Duration::from_secs(30);

/// So long the keeper waits for children that have not executed their programs yet: how that ends would not be known.
pub(super) const EXEC_WAIT: Duration = Duration::from_secs(1);

/// Programs to execute in place of this one.
#[derive(Debug, Default)]
pub(super) struct Upgrade {
    /// As soon as there is no worker.
    next: Option<Executable>,
    /// Should no worker become ready.
    former: Option<Executable>,
    failures: u32,
    /// The next one is the former one.
    goes_back: bool,
}

impl Upgrade {
    /// What the former program handed over.
    pub(super) fn take_from(table: &mut Table) -> Upgrade {
        Upgrade { former: table.take(FORMER_HELD_NAME).map(Executable::of), ..Upgrade::default() }
    }

    pub(super) fn to(&mut self, program: OwnedFd) {
        self.next = Some(Executable::of(program));
    }

    pub(super) fn is_due(&self) -> bool {
        self.next.is_some()
    }

    /// Whether the former program would be executed again.
    pub(super) fn is_on_trial(&self) -> bool {
        self.former.is_some()
    }

    /// A worker is ready: there is no way back, and no need for one.
    pub(super) fn succeeded(&mut self) {
        self.former = None;
    }
}

impl Keeper {
    /// A worker ended before it was ready.
    pub(super) fn worker_failed(&mut self) {
        self.upgrade.failures += 1;
        if self.upgrade.failures >= FAILURES_MAX
            && let Some(former) = self.upgrade.former.take()
        {
            self.upgrade.next = Some(former);
            self.upgrade.goes_back = true;
        }
    }

    /// Executes the program that is due, unless children are about to execute theirs.
    pub(super) fn become_next(&mut self, images: &mut dyn Images) {
        let is_settled = self.table.children.iter().all(|child| child.status.is_none());
        if !is_settled && clock::monotonic() < self.due {
            return;
        }
        let Some(next) = self.upgrade.next.take() else { return };
        // They stay blocked, and wait for the next image.
        for pending in &self.table.signals {
            let _ = signals::send(process::id(), pending.received.signal);
        }
        if std::mem::take(&mut self.upgrade.goes_back) {
            self.table.release(DONE_HELD_NAME);
            let _ = images.execute(&next, &self.estate(Vec::new()));
        } else {
            let present = Executable::of_this_process();
            let former = present.descriptor().map(|program| (FORMER_HELD_NAME.to_owned(), program));
            // Seen by whoever gets there, and by nobody if nobody does.
            let done = (DONE_HELD_NAME.to_owned(), self.signals.as_fd());
            let _ = images.execute(&next, &self.estate(former.into_iter().chain([done]).collect()));
        }
        // It failed: a worker of this program goes on.
        self.due = clock::monotonic();
    }

    /// The new program cannot even take over what there is: the former one can. Returns if there is none.
    pub(super) fn go_back(&mut self, images: &mut dyn Images) {
        if let Some(former) = self.upgrade.former.take() {
            self.table.release(DONE_HELD_NAME);
            let _ = images.execute(&former, &self.estate(Vec::new()));
        }
    }

    /// Everything that the next image needs beside the roll, which is among it.
    fn estate<'a>(&'a self, further: Vec<(String, BorrowedFd<'a>)>) -> Vec<(String, BorrowedFd<'a>)> {
        let held = self.table.held.iter().map(|held| (held.name.as_ref().to_owned(), held.descriptor.as_fd()));
        let pipes = self.table.children.iter().flat_map(|child| {
            let pipes = [child.pipes.stdin.as_ref(), Some(&child.pipes.stdout), child.pipes.stderr.as_ref()];
            pipe_names(child.id).into_iter().zip(pipes).filter_map(|(name, pipe)| Some((name, pipe?.as_fd())))
        });
        held.chain(pipes).chain(further).collect()
    }
}

/// What a keeper does with images of the daemon's programs.
pub trait Images {
    /// Starts a worker that speaks through the given socket; gives its pid. The socket must reach it over exec; it is
    /// closed here afterwards.
    ///
    /// # Errors
    /// EAGAIN, ENOMEM of fork.
    fn start_worker(&mut self, socket: BorrowedFd<'_>) -> io::Result<Pid>;

    /// Executes a program in place of this one, as a keeper that holds these descriptors under these names and takes
    /// over the children on the roll among them. Returns only if that failed.
    fn execute(&mut self, program: &Executable, held: &[(String, BorrowedFd<'_>)]) -> io::Error;
}
