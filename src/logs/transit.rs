//! The descriptors by which the next worker finds bytes that were under way.
//!
//! A chunk goes from the child's pipe into a *transit* pipe and from there into the file: when the file hangs, it is
//! the transit that hangs with it and not the pipe the child writes to. As the keeper holds the transits too, a chunk in
//! transit outlives the worker, and the *ledger* (a memory file, held likewise) tells its successor whose it is and how
//! much of it is in the file already.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::plane::SourceId;
use crate::engine::Channel;
use crate::sys::pipe;

/// As many threads can have a transit at the same time. While more files hang than that, other files that can hang are
/// not written, only their children are kept from waiting.
pub const TRANSITS_MAX: usize = 8;

const LEDGER_NAME: &str = "log-ledger";

/// The transit pipes and their ledger. To be held by the keeper *before* they are given to `Plane::start`.
#[derive(Debug)]
pub struct Transits {
    pipes: Vec<OwnedFd>,
    ledger: File,
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

/// One transit pipe with its line of the ledger.
#[derive(Debug)]
pub(super) struct Transit {
    pub(super) pipe: OwnedFd,
    ledger: Arc<File>,
    index: u64,
}

/// What the ledger says about the bytes in a transit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) source: SourceId,
    /// Where in the file the first of these bytes belongs.
    pub(super) offset: u64,
    /// Whether control sequences are removed on the way from transit to file, so that the transit is emptied only after
    /// all of it is written. If not, bytes leave the transit as they enter the file.
    pub(super) stripped: bool,
}

/// A transit in which a former worker left bytes.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) transit: Transit,
    pub(super) entry: Entry,
}

const ENTRY_BYTES: usize = 18;

impl Transit {
    /// Writes down whose bytes come next. To be called while the transit is empty.
    pub(super) fn enter(&self, entry: Entry) -> io::Result<()> {
        self.ledger.write_all_at(&entry.encode(), self.index * ENTRY_BYTES as u64)
    }

    fn entry(&self) -> io::Result<Option<Entry>> {
        let mut bytes = [0; ENTRY_BYTES];
        self.ledger.read_exact_at(&mut bytes, self.index * ENTRY_BYTES as u64)?;
        Ok(Entry::decode(bytes))
    }
}

impl Entry {
    fn encode(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let (child, rest) = bytes.split_at_mut(8);
        let (offset, flags) = rest.split_at_mut(8);
        child.copy_from_slice(&self.source.child.to_le_bytes());
        offset.copy_from_slice(&self.offset.to_le_bytes());
        flags.copy_from_slice(&[u8::from(self.source.channel == Channel::Stderr), u8::from(self.stripped)]);
        bytes
    }

    fn decode(bytes: [u8; ENTRY_BYTES]) -> Option<Entry> {
        let (child, rest) = bytes.split_first_chunk::<8>()?;
        let (offset, flags) = rest.split_first_chunk::<8>()?;
        let &[channel, stripped] = flags else { return None };
        let channel = if channel == 0 { Channel::Stdout } else { Channel::Stderr };
        let source = SourceId { child: u64::from_le_bytes(*child), channel };
        Some(Entry { source, offset: u64::from_le_bytes(*offset), stripped: stripped != 0 })
    }
}

/// Separates transits that are free from those in which a former worker left bytes.
pub(super) fn sort_transits(transits: Transits) -> io::Result<(Vec<Transit>, Vec<Leftover>)> {
    let ledger = Arc::new(transits.ledger);
    let (mut free, mut left) = (Vec::new(), Vec::new());
    for (index, pipe) in (0..).zip(transits.pipes) {
        let transit = Transit { pipe, ledger: Arc::clone(&ledger), index };
        if pipe::unread(&transit.pipe)? == 0 {
            free.push(transit);
        } else if let Some(entry) = transit.entry()? {
            left.push(Leftover { transit, entry });
        }
    }
    Ok((free, left))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_successor_finds_what_was_under_way() {
        let transits = Transits::create().unwrap();
        let mut held: BTreeMap<String, OwnedFd> =
            transits.descriptors().map(|(name, descriptor)| (name, descriptor.try_clone_to_owned().unwrap())).collect();
        held.insert("other".to_owned(), pipe::loop_pipe().unwrap());
        let (free, left) = sort_transits(transits).unwrap();
        assert_eq!((free.len(), left.len()), (TRANSITS_MAX, 0));
        let source = SourceId { child: 1 << 40, channel: Channel::Stderr };
        let entry = Entry { source, offset: 77, stripped: true };
        free[2].enter(entry).unwrap();
        File::from(free[2].pipe.try_clone().unwrap()).write_all(b"under way").unwrap();
        drop(free);

        let again = Transits::from_held(&mut held).unwrap();
        assert_eq!(held.keys().collect::<Vec<_>>(), ["other"]);
        let (free, left) = sort_transits(again).unwrap();
        assert_eq!((free.len(), left.len()), (TRANSITS_MAX - 1, 1));
        assert_eq!(left[0].entry, entry);
        assert!(Transits::from_held(&mut held).is_none());
    }
}
