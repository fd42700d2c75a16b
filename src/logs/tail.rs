//! Slices of log files by offset: what `readLog`, `readProcessStdoutLog` and `tailProcessStdoutLog` answer.
//!
//! These functions touch files and may wait for a hung file system: not for the control loop's thread.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::place::{Use, open_file};
use crate::sys::heap;

/// The longest slice that is given. A longer one is cut to it where the caller named a length, and refused
/// where the caller asked for "all".
pub const SLICE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why no slice can be given; the names are those of the RPC faults.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// Nothing has this name (or it cannot be looked up).
    #[error("no such file")]
    NoFile,
    /// A combination of offset and length that has no meaning.
    #[error("a negative offset wants length 0, and a length below 0 means nothing")]
    BadArguments,
    /// It exists and cannot be read: no permission, a pipe, a terminal, or more than [`SLICE_BYTES_MAX`].
    #[error("it cannot be read")]
    Failed(#[source] io::Error),
}

/// The answer of `tailProcessStdoutLog`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    pub text: String,
    /// The file's size, to be asked from next time.
    pub offset: i64,
    /// Whether more than `length` bytes followed the asked offset.
    pub overflow: bool,
}

/// A slice in bytes, as text. Bytes that are not UTF-8, and characters cut at the edges, become U+FFFD.
///
/// `offset < 0` gives the last `|offset|` bytes; `length == 0` everything from `offset`; else at most `length` bytes.
/// Source: supervisor 4.3, options.py, `readFile()`. Differs: undecodable bytes are replaced where it fails.
///
/// # Errors
///
/// See [`SliceError`].
pub fn read_slice(path: &Path, offset: i64, length: i64) -> Result<String, SliceError> {
    if !path.exists() {
        return Err(SliceError::NoFile);
    }
    let mut file = open(path).map_err(SliceError::Failed)?;
    if (offset < 0 && length != 0) || length < 0 {
        return Err(SliceError::BadArguments);
    }
    let size = file.seek(SeekFrom::End(0)).map_err(SliceError::Failed)?;
    let (start, wanted) = if offset < 0 {
        let back = offset.unsigned_abs().min(SLICE_BYTES_MAX);
        (size.saturating_sub(back), back)
    } else {
        // No farther than the end: file systems refuse positions that no file of theirs can have.
        let start = offset.unsigned_abs().min(size);
        let rest = size - start;
        if length == 0 && rest > SLICE_BYTES_MAX {
            return Err(SliceError::Failed(io::ErrorKind::FileTooLarge.into()));
        }
        (start, if length == 0 { SLICE_BYTES_MAX } else { length.unsigned_abs().min(SLICE_BYTES_MAX) })
    };
    read(&mut file, start, wanted).map_err(SliceError::Failed)
}

/// The newest bytes of a file that someone follows by offset. Never fails: what cannot be read is empty.
///
/// Source: supervisor 4.3, options.py, `tailFile()`; a negative length counts as none.
#[must_use]
pub fn tail(path: &Path, offset: i64, length: i64) -> Tail {
    if !path.exists() {
        return Tail { text: String::new(), offset: 0, overflow: false };
    }
    let answer = || -> io::Result<Tail> {
        let mut file = open(path)?;
        let size = i64::try_from(file.seek(SeekFrom::End(0))?).unwrap_or(i64::MAX);
        let window = tail_window(size, offset, length);
        let text = if window.length == 0 { String::new() } else { read(&mut file, window.start, window.length)? };
        Ok(Tail { text, offset: size, overflow: window.overflow })
    };
    answer().unwrap_or(Tail { text: String::new(), offset, overflow: false })
}

#[derive(Debug, PartialEq, Eq)]
struct Window {
    start: u64,
    length: u64,
    overflow: bool,
}

/// Which bytes of a file of `size` bytes are asked for.
fn tail_window(size: i64, offset: i64, length: i64) -> Window {
    let end = offset.saturating_add(length);
    let overflow = size > end;
    let (start, length) = if overflow {
        // The last `length` bytes; a single one is where the original's arithmetic ends up, too.
        (size.saturating_sub(length), length)
    } else if end > size {
        let length = if offset > size.saturating_sub(1) { 0 } else { length };
        (size.saturating_sub(length), length)
    } else {
        (offset, length)
    };
    Window {
        start: u64::try_from(start).unwrap_or(0),
        length: u64::try_from(length).unwrap_or(0).min(SLICE_BYTES_MAX),
        overflow,
    }
}

/// What somebody else may have put in the log's place is not shown: it may be a link to what he cannot read.
fn open(path: &Path) -> io::Result<File> {
    open_file(path, Use::Read)
}

/// An answer is held so many times while it is made: as bytes, as text, and written out for the client.
const COPIES: usize = 4;

/// That there is memory for a slice of so many bytes and the answer made of it is found out before, so that an answer too
/// large ends with a refusal and not with the process.
fn refuse_without_room(length: u64) -> io::Result<()> {
    let bytes = usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(COPIES);
    if heap::has_room(bytes) { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

fn read(file: &mut File, start: u64, length: u64) -> io::Result<String> {
    let size = file.metadata()?.len();
    refuse_without_room(length.min(size.saturating_sub(start)))?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(content: &[u8], check: impl FnOnce(&Path)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, content).unwrap();
        check(&path);
    }

    fn slice(path: &Path, offset: i64, length: i64) -> String {
        match read_slice(path, offset, length) {
            Ok(text) => text,
            Err(SliceError::NoFile) => "!NO_FILE".to_owned(),
            Err(SliceError::BadArguments) => "!BAD_ARGUMENTS".to_owned(),
            Err(SliceError::Failed(_)) => "!FAILED".to_owned(),
        }
    }

    #[test]
    fn slices_follow_the_table_of_read_log() {
        with_file(b"abcdefghi", |path| {
            for (offset, length, expected) in [
                (0, 0, "abcdefghi"),
                (0, 4, "abcd"),
                (4, 0, "efghi"),
                (4, 2, "ef"),
                (4, 100, "efghi"),
                (9, 0, ""),
                (9, 5, ""),
                (100, 0, ""),
                (100, 5, ""),
                (-4, 0, "fghi"),
                (-9, 0, "abcdefghi"),
                (-100, 0, "abcdefghi"),
                (i64::MIN, 0, "abcdefghi"),
                (i64::MAX, 0, ""),
                (-1, 1, "!BAD_ARGUMENTS"),
                (-1, -1, "!BAD_ARGUMENTS"),
                (0, -1, "!BAD_ARGUMENTS"),
            ] {
                assert_eq!(slice(path, offset, length), expected, "({offset}, {length})");
            }
        });
    }

    #[test]
    fn what_cannot_be_sliced_says_why() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(slice(&dir.path().join("none"), -1, -1), "!NO_FILE");
        assert_eq!(slice(dir.path(), 0, 0), "!FAILED");
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(slice(&fifo, 0, 0), "!FAILED");
        assert_eq!(slice(Path::new("/dev/null"), 0, 0), "");
    }

    #[test]
    fn undecodable_and_cut_characters_are_replaced() {
        with_file("aäb\u{ff}€".as_bytes(), |path| {
            assert_eq!(slice(path, 2, 2), "\u{fffd}b");
            assert_eq!(slice(path, -2, 0), "\u{fffd}\u{fffd}");
            assert_eq!(slice(path, 0, 2), "a\u{fffd}");
        });
        with_file(b"ok\xff\xfe.", |path| assert_eq!(slice(path, 0, 0), "ok\u{fffd}\u{fffd}."));
    }

    #[test]
    fn tails_follow_the_table() {
        with_file(b"abcdefghi", |path| {
            for (offset, length, text, overflow) in [
                (0, 4, "fghi", true),
                (0, 100, "abcdefghi", false),
                (0, 9, "abcdefghi", false),
                (9, 3, "", false),
                (9, 0, "", false),
                (5, 0, "", true),
                (5, 4, "fghi", false),
                (6, 5, "efghi", false),
                (7, 1, "i", true),
                (8, 1, "i", false),
                (20, 5, "", false),
                (0, -3, "", true),
                (-5, 3, "ghi", true),
                (i64::MAX, i64::MAX, "", false),
            ] {
                let expected = Tail { text: text.to_owned(), offset: 9, overflow };
                assert_eq!(tail(path, offset, length), expected, "({offset}, {length})");
            }
        });
    }

    /// Line by line what the original computes, for comparison with the closed form.
    fn original(size: i64, mut offset: i64, mut length: i64) -> Window {
        let mut overflow = false;
        if size > offset + length {
            overflow = true;
            offset = size - 1;
        }
        if offset + length > size {
            if offset > size - 1 {
                length = 0;
            }
            offset = size - length;
        }
        Window { start: offset.max(0).unsigned_abs(), length: length.max(0).unsigned_abs(), overflow }
    }

    #[test]
    fn the_window_is_the_originals() {
        for size in 0..12 {
            for offset in -5..20 {
                for length in -5..20 {
                    let (ours, theirs) = (tail_window(size, offset, length), original(size, offset, length));
                    assert_eq!(ours.overflow, theirs.overflow, "{size} {offset} {length}");
                    assert_eq!(ours.length, theirs.length, "{size} {offset} {length}");
                    if ours.length > 0 {
                        assert_eq!(ours.start, theirs.start, "{size} {offset} {length}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_tail_of_nothing_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let none = Tail { text: String::new(), offset: 0, overflow: false };
        assert_eq!(tail(&dir.path().join("none"), 7, 7), none);
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(tail(&fifo, 7, 7), Tail { offset: 7, ..none });
    }
}
