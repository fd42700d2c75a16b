//! What waits to be told to the worker.
//!
//! Only reminders wait here, some bytes each; the message is made from the table when the socket has
//! room. All but orphans and stops are answers, of which there are never more than questions read, or facts
//! about children, of which there are four each: so the outbox is bounded by the table, as long as
//! the keeper reads no further questions while it [`is_long`](Outbox::is_long).

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::protocol::{FromKeeper, PROTOCOL_VERSION};
use super::table::{Child, Table};
use crate::engine::{Exit, Now, Pid};
use crate::sys::descriptors;

/// From so many reminders on, no further questions are read, and orphans and stops are not mentioned any more.
const LONG: usize = 1024;

/// A fact that the worker has not been told yet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item {
    Welcome { generation: u64, fresh: bool },
    Held { serial: u64 },
    Program { id: u64 },
    InventoryEnd,
    Spawned { id: u64 },
    SpawnFailed { id: u64, forking: bool, errno: i32 },
    ExecFailed { id: u64 },
    NotGrouped { id: u64, errno: i32 },
    Stopped { id: u64, signal: i32, at: Now },
    Exited { id: u64 },
    Followed { id: u64, pid: Pid, errno: i32 },
    Signalled { id: u64, signal: i32, errno: i32 },
    Signal { signal: i32 },
    OrphanReaped { pid: Pid, exit: Exit },
    Unrecorded { errno: i32 },
    Turning,
}

/// How sending went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    All,
    /// The socket is full: go on when it is writable.
    Full,
    /// The kernel has no room at the moment (memory, descriptors under way): go on a little later.
    Later,
    /// The worker is gone.
    Gone,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Item>,
    bytes: Vec<u8>,
}

impl Outbox {
    pub(super) fn push(&mut self, item: Item) {
        if !(matches!(item, Item::OrphanReaped { .. } | Item::Stopped { .. }) && self.is_long()) {
            self.queue.push_back(item);
        }
    }

    /// Whatever was to be told to the last worker, the next one learns from its inventory.
    pub(super) fn clear(&mut self) {
        self.queue = VecDeque::new();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn is_long(&self) -> bool {
        self.queue.len() >= LONG
    }

    /// Sends as much as the socket takes.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, table: &mut Table) -> Sent {
        while let Some(item) = self.queue.front().copied() {
            if let Some((message, carried)) = compose(item, table) {
                // Texts were checked when they came in, and no worker could do with less than the rest.
                if message.encode(&mut self.bytes).is_ok() {
                    let mut borrowed = [socket; 3];
                    let mut count = 0;
                    for (place, descriptor) in borrowed.iter_mut().zip(carried.into_iter().flatten()) {
                        *place = descriptor.as_fd();
                        count += 1;
                    }
                    match descriptors::send(socket, &self.bytes, borrowed.get(..count).unwrap_or_default()) {
                        Ok(()) => {}
                        Err(error) => match verdict(&error) {
                            None => continue,
                            Some(verdict) => return verdict,
                        },
                    }
                }
            }
            self.queue.pop_front();
            if let Item::Program { id } = item {
                table.child_mut(id).into_iter().for_each(|child| child.in_inventory = false);
            }
        }
        // A queue that was long once does not stay so.
        self.queue.shrink_to(64);
        Sent::All
    }
}

/// `None`: try again at once.
fn verdict(error: &io::Error) -> Option<Sent> {
    match error.raw_os_error() {
        Some(libc::EINTR) => None,
        Some(libc::EAGAIN) => Some(Sent::Full),
        Some(libc::ENOMEM | libc::ENOBUFS | libc::ETOOMANYREFS) => Some(Sent::Later),
        _ => Some(Sent::Gone),
    }
}

type Carried<'a> = [Option<&'a OwnedFd>; 3];

/// The message for a reminder, from what the table says now; `None` if it is no longer true.
fn compose(item: Item, table: &Table) -> Option<(FromKeeper, Carried<'_>)> {
    let mut carried: Carried<'_> = [None; 3];
    let message = match item {
        Item::Welcome { generation, fresh } => FromKeeper::Welcome { version: PROTOCOL_VERSION, generation, fresh },
        Item::Held { serial } => {
            let held = table.held.iter().find(|held| held.serial == serial)?;
            carried = [Some(&held.descriptor), None, None];
            FromKeeper::Held { name: held.name.as_ref().to_owned() }
        }
        Item::Program { id } => {
            let child = table.child(id)?;
            carried = pipes(child);
            FromKeeper::Program(child.told())
        }
        Item::InventoryEnd => FromKeeper::InventoryEnd,
        Item::Spawned { id } => {
            let child = table.child(id)?;
            carried = pipes(child);
            FromKeeper::Spawned {
                id,
                pid: child.pid,
                at: child.started,
                has_stdin: child.pipes.stdin.is_some(),
                has_stderr: child.pipes.stderr.is_some(),
            }
        }
        Item::SpawnFailed { id, forking, errno } => FromKeeper::SpawnFailed { id, forking, errno },
        Item::ExecFailed { id } => {
            let (stage, errno) = table.child(id)?.exec_failed?;
            FromKeeper::ExecFailed { id, stage, errno }
        }
        Item::NotGrouped { id, errno } => FromKeeper::NotGrouped { id, errno },
        Item::Stopped { id, signal, at } => FromKeeper::Stopped { id, signal, at },
        Item::Exited { id } => FromKeeper::Exited { id, ended: table.child(id)?.ended? },
        Item::Followed { id, pid, errno } => FromKeeper::Followed { id, pid, errno },
        Item::Signalled { id, signal, errno } => FromKeeper::Signalled { id, signal, errno },
        Item::Signal { signal } => {
            let received = table.signal(signal)?.received;
            FromKeeper::Signal { signal, pid: received.pid, uid: received.uid }
        }
        Item::OrphanReaped { pid, exit } => FromKeeper::OrphanReaped { pid, exit },
        Item::Unrecorded { errno } => FromKeeper::Unrecorded { errno },
        Item::Turning => FromKeeper::Turning,
    };
    Some((message, carried))
}

fn pipes(child: &Child) -> Carried<'_> {
    [child.pipes.stdin.as_ref(), Some(&child.pipes.stdout), child.pipes.stderr.as_ref()]
}
