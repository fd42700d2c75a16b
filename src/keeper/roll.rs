//! The roll: who the children are, in a file that outlives keeper and worker.
//!
//! Records of one size, the first of them a header. A child is entered before it may do anything, so no program runs that
//! the roll does not know; its end is entered before anybody is told. Each record is written by one call within one page of
//! memory, which no death of ours can cut in two; so a record that does not bear its checksum was damaged by somebody else,
//! and the roll is refused whole. Nothing is synced: a roll of before the last boot is of no use.
//!
//! A record is its checksum (`u64`), the length of its contents (`u32`) and the contents in the keeper's encoding, padded
//! by zeros. A free one is all zeros.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::fcntl::posix_fallocate;

use super::checksum::checksum;
use super::codec::{CodecError, Reader, Writer};
use super::protocol::HeldProgram;
use crate::sys::host;

/// Rolls of other versions are not understood.
pub const ROLL_VERSION: u32 = 1;

const RECORD_BYTES: usize = 256;

/// What a record's contents may take.
const CONTENTS_BYTES_MAX: usize = RECORD_BYTES - CHECKSUM_BYTES - LENGTH_BYTES;

/// No tag of a child is longer, in bytes, so that its record always has room.
pub(super) const TAG_BYTES_MAX: usize = 64;

const CHECKSUM_BYTES: usize = 8;

const LENGTH_BYTES: usize = 4;

/// Room is reserved for so many records at first, and doubled, so that a full disk is noticed when a child is entered
/// and never when its end is.
const RECORDS_AT_FIRST: usize = 64;

/// Larger than any roll, in records: more are not read.
const RECORDS_MAX: u64 = 1 << 20;

const MAGIC: u64 = u64::from_le_bytes(*b"galaxyd\n");

/// What the next keeper has to know of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub program: HeldProgram,
    /// When the kernel started it, in clock ticks after boot: tells it from others with its pid.
    pub start: u64,
    /// The inodes of the pipes of its standard input, output and error; zero for one that it does not have.
    pub pipes: [u64; 3],
}

/// Why a roll cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RollError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is of version {0}, this program knows version {ROLL_VERSION}")]
    Version(u32),
    #[error("record {0} is damaged")]
    Damaged(u64),
    #[error("its daemon could not write it to the end, so it does not know all programs")]
    Incomplete,
}

/// The roll being written.
#[derive(Debug)]
pub(super) struct Roll {
    file: File,
    /// The child in each record behind the header.
    slots: Vec<Option<u64>>,
    /// Records there is room for, the header included.
    reserved: usize,
}

impl Roll {
    /// Begins anew in this file.
    ///
    /// # Errors
    /// ENOSPC, EDQUOT, EIO; E2BIG for a tag that does not fit.
    pub(super) fn begin(file: File, entries: &[Entry]) -> io::Result<Roll> {
        if entries.is_empty() {
            file.set_len(0)?;
        } else {
            // Until it is whole it says that it is not.
            file.write_all_at(&header(true), 0)?;
            file.set_len(RECORD_BYTES as u64)?;
        }
        let mut roll = Roll { file, slots: Vec::new(), reserved: 0 };
        roll.reserve(RECORDS_AT_FIRST)?;
        for entry in entries {
            roll.write(entry)?;
        }
        roll.file.write_all_at(&header(false), 0)?;
        Ok(roll)
    }

    /// Goes on with one that was read.
    pub(super) fn resume(file: File, found: &[(usize, Entry)]) -> io::Result<Roll> {
        let reserved = usize::try_from(file.metadata()?.len()).unwrap_or(0) / RECORD_BYTES;
        let mut slots = Vec::new();
        for (slot, entry) in found {
            slots.resize(*slot, None);
            slots.push(Some(entry.program.id));
        }
        Ok(Roll { file, slots, reserved })
    }

    /// Enters a child, or what is new of it.
    ///
    /// # Errors
    /// As [`Roll::begin`]; then it says that it does not know everybody. For a child that was entered before there are none
    /// that a healthy file system has.
    pub(super) fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let written = self.try_write(entry);
        if written.is_err() {
            self.give_up();
        }
        written
    }

    fn try_write(&mut self, entry: &Entry) -> io::Result<()> {
        let record = encode(entry).ok_or_else(|| io::Error::from_raw_os_error(libc::E2BIG))?;
        let id = Some(entry.program.id);
        let place = |wanted| self.slots.iter().position(|slot| *slot == wanted);
        let slot = place(id).or_else(|| place(None)).unwrap_or(self.slots.len());
        if slot + 1 >= self.reserved {
            self.reserve(self.reserved * 2)?;
        }
        self.file.write_all_at(&record, offset(slot))?;
        match self.slots.get_mut(slot) {
            Some(free) => *free = id,
            None => self.slots.push(id),
        }
        Ok(())
    }

    /// Strikes a child off, if it is there.
    pub(super) fn strike(&mut self, id: u64) {
        let Some(slot) = self.slots.iter().position(|slot| *slot == Some(id)) else { return };
        // Overwriting what is there needs no room. Were it to fail, a keeper to come would tell of an end that is known.
        let _ = self.file.write_all_at(&[0; RECORD_BYTES], offset(slot));
        self.slots.iter_mut().skip(slot).take(1).for_each(|slot| *slot = None);
    }

    /// Says that it does not know everybody any more.
    fn give_up(&self) {
        let _ = self.file.write_all_at(&header(true), 0);
    }

    fn reserve(&mut self, records: usize) -> io::Result<()> {
        let length = i64::try_from(records * RECORD_BYTES).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        posix_fallocate(&self.file, 0, length)?;
        self.reserved = records;
        Ok(())
    }
}

/// The children in a roll with their places; `None` if it is blank, or not of this boot and container.
///
/// # Errors
/// [`RollError`]: there may be children, and nobody knows all of them.
pub(super) fn read(file: &File) -> Result<Option<Vec<(usize, Entry)>>, RollError> {
    let records = (file.metadata()?.len() / RECORD_BYTES as u64).min(RECORDS_MAX);
    let mut record = [0; RECORD_BYTES];
    if records == 0 {
        return Ok(None);
    }
    file.read_exact_at(&mut record, 0)?;
    match contents(&record).map_err(|()| RollError::Damaged(0))? {
        Some(contents) if is_of_this_boot(contents)? => {}
        // All zeros: it was being begun, or a crash of the machine ate it.
        _ => return Ok(None),
    }
    let mut found = Vec::new();
    for slot in 0..records - 1 {
        file.read_exact_at(&mut record, (slot + 1) * RECORD_BYTES as u64)?;
        let damaged = RollError::Damaged(slot + 1);
        match contents(&record) {
            Ok(None) => {}
            Ok(Some(contents)) => match (decode(contents), usize::try_from(slot)) {
                (Ok(entry), Ok(slot)) => found.push((slot, entry)),
                _ => return Err(damaged),
            },
            Err(()) => return Err(damaged),
        }
    }
    Ok(Some(found))
}

/// The children in a roll, for whoever decides whether to become their keeper; `None` if it is blank, or not of this boot
/// and container.
///
/// # Errors
/// As for the keeper.
pub fn read_roll(file: &File) -> Result<Option<Vec<Entry>>, RollError> {
    Ok(read(file)?.map(|found| found.into_iter().map(|(_, entry)| entry).collect()))
}

fn offset(slot: usize) -> u64 {
    ((slot + 1) * RECORD_BYTES) as u64
}

fn header(incomplete: bool) -> [u8; RECORD_BYTES] {
    let mut contents = Vec::new();
    // The line is far shorter than a record.
    let _ = Writer::new(&mut contents).u64(MAGIC).u32(ROLL_VERSION).truth(incomplete).text(&host::identity());
    pack(&contents).unwrap_or([0; RECORD_BYTES])
}

fn is_of_this_boot(contents: &[u8]) -> Result<bool, RollError> {
    let mut reader = Reader(contents);
    let damaged = |_: CodecError| RollError::Damaged(0);
    if reader.u64().map_err(damaged)? != MAGIC {
        return Err(RollError::Damaged(0));
    }
    let version = reader.u32().map_err(damaged)?;
    if version != ROLL_VERSION {
        return Err(RollError::Version(version));
    }
    let incomplete = reader.truth().map_err(damaged)?;
    if reader.text().map_err(damaged)? != host::identity() {
        return Ok(false);
    }
    if incomplete { Err(RollError::Incomplete) } else { Ok(true) }
}

fn encode(entry: &Entry) -> Option<[u8; RECORD_BYTES]> {
    let mut contents = Vec::new();
    let [stdin, stdout, stderr] = entry.pipes;
    Writer::new(&mut contents).program(&entry.program).ok()?.u64(entry.start).u64(stdin).u64(stdout).u64(stderr);
    pack(&contents)
}

fn decode(contents: &[u8]) -> Result<Entry, CodecError> {
    let mut reader = Reader(contents);
    let program = reader.program()?;
    let entry = Entry { program, start: reader.u64()?, pipes: [reader.u64()?, reader.u64()?, reader.u64()?] };
    reader.finish()?;
    Ok(entry)
}

/// `None` if the contents do not fit.
fn pack(contents: &[u8]) -> Option<[u8; RECORD_BYTES]> {
    let mut record = [0; RECORD_BYTES];
    let (sum, rest) = record.split_at_mut(CHECKSUM_BYTES);
    let (length, place) = rest.split_at_mut(LENGTH_BYTES);
    length.copy_from_slice(&u32::try_from(contents.len()).ok()?.to_le_bytes());
    place.get_mut(..contents.len())?.copy_from_slice(contents);
    sum.copy_from_slice(&checksum(rest).to_le_bytes());
    Some(record)
}

/// What is in a record, `None` if it is free.
fn contents(record: &[u8; RECORD_BYTES]) -> Result<Option<&[u8]>, ()> {
    if record.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let (sum, rest) = record.split_first_chunk::<CHECKSUM_BYTES>().ok_or(())?;
    if u64::from_le_bytes(*sum) != checksum(rest) {
        return Err(());
    }
    let (length, place) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or(())?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| ())?;
    place.get(..length).filter(|_| length <= CONTENTS_BYTES_MAX).map(Some).ok_or(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::{Exit, Moment, Now};
    use crate::keeper::{Ended, Stage};

    fn entry(id: u64) -> Entry {
        let at = Now { mono: Moment(Duration::from_millis(id)), wall: 17 };
        let program = HeldProgram {
            id,
            tag: format!("{id}.1"),
            pid: 100,
            started: at,
            last_signal: 15,
            has_stdin: true,
            has_stderr: false,
            ended: id.is_multiple_of(2).then_some(Ended { exit: Exit::Code(3), at }),
            exec_failed: id.is_multiple_of(3).then_some((Stage::Exec, 2)),
        };
        Entry { program, start: id * 7, pipes: [1, 2, 0] }
    }

    fn file() -> File {
        tempfile::tempfile().unwrap()
    }

    fn ids(file: &File) -> Vec<u64> {
        let mut ids: Vec<u64> = read_roll(file).unwrap().unwrap().iter().map(|entry| entry.program.id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_was_entered_is_read_and_what_was_struck_off_is_not() {
        let file = file();
        let mut roll = Roll::begin(file.try_clone().unwrap(), &[entry(1)]).unwrap();
        for id in 2..=200 {
            roll.write(&entry(id)).unwrap();
        }
        assert_eq!(ids(&file), (1..=200).collect::<Vec<_>>());
        assert!(read_roll(&file).unwrap().unwrap().iter().all(|found| *found == entry(found.program.id)));
        for id in 1..=198 {
            roll.strike(id);
        }
        assert_eq!(ids(&file), [199, 200]);
        let length = file.metadata().unwrap().len();
        // Another keeper goes on with it, and uses what is free.
        let mut roll = Roll::resume(file.try_clone().unwrap(), &read(&file).unwrap().unwrap()).unwrap();
        roll.write(&entry(201)).unwrap();
        roll.write(&entry(200)).unwrap();
        roll.strike(199);
        assert_eq!((ids(&file), file.metadata().unwrap().len()), (vec![200, 201], length));
    }

    #[test]
    fn a_roll_of_another_boot_or_none_has_nobody() {
        let file = file();
        assert_eq!(read_roll(&file).unwrap(), None);
        Roll::begin(file.try_clone().unwrap(), &[entry(1)]).unwrap();
        let mut contents = Vec::new();
        Writer::new(&mut contents).u64(MAGIC).u32(ROLL_VERSION).truth(false).text("another boot").unwrap();
        file.write_all_at(&pack(&contents).unwrap(), 0).unwrap();
        assert_eq!(read_roll(&file).unwrap(), None);
        file.write_all_at(&[0; RECORD_BYTES], 0).unwrap();
        assert_eq!(read_roll(&file).unwrap(), None);
    }

    #[test]
    fn one_that_is_incomplete_or_of_another_version_is_refused() {
        let file = file();
        let roll = Roll::begin(file.try_clone().unwrap(), &[entry(1)]).unwrap();
        roll.give_up();
        assert!(matches!(read_roll(&file), Err(RollError::Incomplete)));
        let mut contents = Vec::new();
        Writer::new(&mut contents).u64(MAGIC).u32(ROLL_VERSION + 1);
        file.write_all_at(&pack(&contents).unwrap(), 0).unwrap();
        assert!(matches!(read_roll(&file), Err(RollError::Version(_))));
    }

    #[test]
    fn a_tag_that_does_not_fit_is_an_error() {
        let mut long = entry(1);
        long.program.tag = "x".repeat(RECORD_BYTES);
        let error = Roll::begin(file(), &[long]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::E2BIG));
    }

    proptest! {
        #[test]
        fn damage_is_noticed(place in RECORD_BYTES..3 * RECORD_BYTES, flip in 1..=255_u8) {
            let file = file();
            Roll::begin(file.try_clone().unwrap(), &[entry(1), entry(2)]).unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, place as u64).unwrap();
            file.write_all_at(&[byte[0] ^ flip], place as u64).unwrap();
            prop_assert!(matches!(read_roll(&file), Err(RollError::Damaged(_))));
        }

        #[test]
        fn no_file_makes_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let file = file();
            file.write_all_at(&bytes, 0).unwrap();
            let _ = read_roll(&file);
        }
    }
}
