//! The descriptors by which the next worker finds bytes that were under way.
//!
//! On file systems that can hang (network, FUSE) a chunk goes from the child's pipe into a *transit* pipe and from
//! there into the file: an operation that hangs then holds the transit and not the pipe the child writes to. As
//! the keeper holds the transits too, a chunk in transit outlives the worker, and the *ledger* (a memory file, held
//! likewise) tells its successor whose it is and how much of it is in the file already.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::sys::pipe;

/// As many lanes can have a transit at the same time; a further one (which exists only while as many files hang)
/// works without.
pub const TRANSITS_MAX: usize = 4;

const LEDGER_NAME: &str = "log-ledger";

/// The transit pipes and their ledger. To be held by the keeper *before* they are given to `Plane::start`.
#[derive(Debug)]
pub struct Transits {
    pub(super) pipes: Vec<OwnedFd>,
    pub(super) ledger: File,
}

impl Transits {
    /// A fresh, empty set.
    ///
    /// # Errors
    ///
    /// EMFILE, ENFILE, ENOMEM, or ENOENT where `/proc` is not mounted.
    pub fn create() -> io::Result<Transits> {
        let pipes = (0..TRANSITS_MAX).map(|_| pipe::loop_pipe()).collect::<io::Result<Vec<_>>>()?;
        let ledger = File::from(memfd_create(LEDGER_NAME, MFdFlags::MFD_CLOEXEC)?);
        Ok(Transits { pipes, ledger })
    }

    /// The names to hold them under (`ToKeeper::Hold`), with what to hold.
    pub fn descriptors(&self) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        let pipes = self.pipes.iter().enumerate().map(|(index, pipe)| (pipe_name(index), pipe.as_fd()));
        pipes.chain(std::iter::once((LEDGER_NAME.to_owned(), self.ledger.as_fd())))
    }

    /// Takes a former worker's set out of what the keeper held; `None` (and nothing taken) if it is not complete.
    pub fn from_held(held: &mut BTreeMap<String, OwnedFd>) -> Option<Transits> {
        let names: Vec<String> = (0..TRANSITS_MAX).map(pipe_name).collect();
        if !held.contains_key(LEDGER_NAME) || !names.iter().all(|name| held.contains_key(name)) {
            return None;
        }
        let ledger = File::from(held.remove(LEDGER_NAME)?);
        let pipes = names.iter().filter_map(|name| held.remove(name)).collect();
        Some(Transits { pipes, ledger })
    }
}

fn pipe_name(index: usize) -> String {
    format!("log-transit-{index}")
}
