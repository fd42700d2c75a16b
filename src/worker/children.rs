//! The children the keeper holds for us: which process each belongs to, its standard input, its pipes still draining.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::engine::{Pid, ProcessId};
use crate::logs::{Channel, SourceId};

/// Bytes that may wait for a program that does not read its standard input; more is refused.
pub(super) const STDIN_QUEUE_MAX_BYTES: usize = 1 << 20;

/// One child, from the keeper's `Spawned` until we told it to forget.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) process: ProcessId,
    pub(super) pid: Pid,
    stdin: Stdin,
    /// Channels whose last bytes are not in their log yet.
    open: Vec<Channel>,
    reaped: bool,
}

/// A child's standard input: idle until someone writes to it.
#[derive(Debug)]
enum Stdin {
    /// The child has none of ours (a listening socket was passed instead).
    None,
    Idle(OwnedFd),
    /// A task writes what is sent here; it ends when the child closes its end.
    Writing { queue: mpsc::Sender<Vec<u8>> },
}

/// Why bytes cannot be sent to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StdinError {
    /// The child closed its end, or has no such pipe.
    Closed,
    /// More than [`STDIN_QUEUE_MAX_BYTES`] wait already.
    Full,
}

impl Child {
    pub(super) fn new(process: ProcessId, pid: Pid, stdin: Option<OwnedFd>, open: Vec<Channel>) -> Child {
        Child { process, pid, stdin: stdin.map_or(Stdin::None, Stdin::Idle), open, reaped: false }
    }

    /// Queues `bytes` for the child's standard input.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StdinError> {
        if let Stdin::Idle(_) = &self.stdin {
            let Stdin::Idle(descriptor) = std::mem::replace(&mut self.stdin, Stdin::None) else {
                return Err(StdinError::Closed);
            };
            let sender = pipe::Sender::from_owned_fd(descriptor).map_err(|_| StdinError::Closed)?;
            self.stdin = Stdin::Writing { queue: feed(sender) };
        }
        let Stdin::Writing { queue } = &self.stdin else {
            return Err(StdinError::Closed);
        };
        let pieces = bytes.chunks(PIECE_BYTES);
        if queue.is_closed() {
            return Err(StdinError::Closed);
        }
        if queue.capacity() < pieces.len() {
            return Err(StdinError::Full);
        }
        for piece in pieces {
            queue.try_send(piece.to_vec()).map_err(|_| StdinError::Closed)?;
        }
        Ok(())
    }
}

/// The queue of a child's standard input holds pieces of this size.
const PIECE_BYTES: usize = 4096;

/// Writes what is queued until the child closes its end; it sees end of file only when it is gone, because the keeper
/// holds the pipe as well.
fn feed(mut sender: pipe::Sender) -> mpsc::Sender<Vec<u8>> {
    let (queue, mut pieces) = mpsc::channel::<Vec<u8>>(STDIN_QUEUE_MAX_BYTES / PIECE_BYTES);
    tokio::spawn(async move {
        while let Some(piece) = pieces.recv().await {
            if sender.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    queue
}

/// All children, by the keeper's id.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_id: BTreeMap<u64, Child>,
    by_process: BTreeMap<ProcessId, u64>,
}

impl Children {
    pub(super) fn insert(&mut self, id: u64, child: Child) {
        self.by_process.insert(child.process, id);
        self.by_id.insert(id, child);
    }

    pub(super) fn get(&self, id: u64) -> Option<&Child> {
        self.by_id.get(&id)
    }

    /// The newest child of a process, with its id.
    pub(super) fn of_process(&mut self, process: ProcessId) -> Option<(u64, &mut Child)> {
        let id = *self.by_process.get(&process)?;
        self.by_id.get_mut(&id).map(|child| (id, child))
    }

    /// The child was reaped; returns the pipes that must be drained now.
    pub(super) fn reaped(&mut self, id: u64) -> Vec<SourceId> {
        let Some(child) = self.by_id.get_mut(&id) else { return Vec::new() };
        child.reaped = true;
        child.open.iter().map(|&channel| SourceId { child: id, channel }).collect()
    }

    /// A pipe's last bytes are in its log.
    pub(super) fn drained(&mut self, source: SourceId) {
        if let Some(child) = self.by_id.get_mut(&source.child) {
            child.open.retain(|&channel| channel != source.channel);
        }
    }

    /// Removes the child if it was reaped and its pipes are drained: the keeper may forget it.
    pub(super) fn remove_finished(&mut self, id: u64) -> bool {
        let finished = self.by_id.get(&id).is_some_and(|child| child.reaped && child.open.is_empty());
        if finished
            && let Some(child) = self.by_id.remove(&id)
            && self.by_process.get(&child.process) == Some(&id)
        {
            self.by_process.remove(&child.process);
        }
        finished
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
