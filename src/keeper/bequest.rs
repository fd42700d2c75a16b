//! Signals that nobody has dealt with when the keeper is killed, as the worker leaves them to the next keeper.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;

use crate::sys::descriptors;
use crate::sys::signals::Received;

/// The name under which they are handed over.
pub(super) const SIGNALS_HELD_NAME: &str = "signals";

/// Number, sender and his user id of each.
const ENTRY_BYTES: usize = 12;

/// A descriptor from which [`read_signals`] reads them.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub(super) fn write_signals(signals: &[Received]) -> io::Result<OwnedFd> {
    let entry = |received: &Received| {
        [received.signal.to_ne_bytes(), received.pid.to_ne_bytes(), received.uid.to_ne_bytes()].concat()
    };
    descriptors::sealed_memory(c"galaxyd-signals", &signals.iter().flat_map(entry).collect::<Vec<u8>>())
}

/// To be called once. What cannot be read is nothing.
pub(super) fn read_signals(memory: OwnedFd) -> Vec<Received> {
    let mut bytes = Vec::new();
    let mut file = File::from(memory);
    if file.rewind().and_then(|()| file.read_to_end(&mut bytes)).is_err() {
        return Vec::new();
    }
    let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
    entries.iter().filter_map(received).collect()
}

fn received(entry: &[u8; ENTRY_BYTES]) -> Option<Received> {
    let (signal, rest) = entry.split_first_chunk()?;
    let (pid, rest) = rest.split_first_chunk()?;
    let (uid, _) = rest.split_first_chunk()?;
    let (signal, pid) = (i32::from_ne_bytes(*signal), i32::from_ne_bytes(*pid));
    Some(Received { signal, pid, uid: u32::from_ne_bytes(*uid) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_found() {
        let signals = [(15, 0, 0), (1, 4711, 1000)].map(|(signal, pid, uid)| Received { signal, pid, uid });
        assert_eq!(read_signals(write_signals(&signals).unwrap()), signals);
        assert_eq!(read_signals(write_signals(&[]).unwrap()), []);
        assert_eq!(read_signals(descriptors::sealed_memory(c"test", b"short").unwrap()), []);
    }
}
