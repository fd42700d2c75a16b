//! The last lines of a log, for those who ask why a program ended. Reads files: not for the control loop.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::rpc::printable;

/// Lines shown; a traceback's last ones say what it was.
const LINES_MAX: usize = 3;

/// How much of the end of a file is looked at.
const BYTES_MAX: u64 = 2048;

/// What of a log is of the child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// So many of the last bytes: all that it said.
    Bytes(u64),
    /// Nobody counted. Everything, if anything was written since then, seconds after the epoch.
    Time(i64),
}

/// The last lines of `log`, each bounded and safe for a terminal, that are of this child: what is older says nothing
/// about its end. Where several processes have one log, they are the last ones of any.
///
/// # Errors
///
/// As opening and reading have them.
pub(super) fn read(log: &Path, since: Since) -> io::Result<Vec<String>> {
    // A FIFO would wait for a writer.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(log)?;
    let status = file.metadata()?;
    let own = match since {
        Since::Bytes(count) => count,
        Since::Time(time) if status.mtime() < time => 0,
        Since::Time(_) => u64::MAX,
    };
    if !status.is_file() || own == 0 {
        return Ok(Vec::new());
    }
    let wanted = own.min(BYTES_MAX);
    let start = status.len().saturating_sub(wanted);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(wanted).read_to_end(&mut bytes)?;
    Ok(last_lines(&bytes, start > 0 && own > BYTES_MAX))
}

/// `cut`: the first line has no beginning.
fn last_lines(bytes: &[u8], cut: bool) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().skip(usize::from(cut)).filter(|line| !line.trim().is_empty()).collect();
    let first = lines.len().saturating_sub(LINES_MAX);
    lines.into_iter().skip(first).map(|line| printable(line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_few_and_harmless() {
        assert_eq!(last_lines(b"", false), [""; 0]);
        assert_eq!(last_lines(b"a\nb\n\nc\nd", false), ["b", "c", "d"]);
        assert_eq!(last_lines(b"tail of a line\nb\n", true), ["b"]);
        assert_eq!(last_lines(b"\x1b[31mred\xff\r\n", false), ["\\u{1b}[31mred\u{fffd}"]);
        assert!(last_lines(&[b'x'; 2000], false).iter().all(|line| line.chars().count() <= 201));
    }

    #[test]
    fn only_what_was_written_since_counts() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert!(read(&log, Since::Time(0)).is_err());
        std::fs::write(&log, "Traceback\nValueError\n").unwrap();
        assert_eq!(read(&log, Since::Time(0)).unwrap(), ["Traceback", "ValueError"]);
        assert_eq!(read(&log, Since::Time(i64::MAX)).unwrap(), [""; 0]);
        assert_eq!(read(folder.path(), Since::Time(0)).unwrap(), [""; 0]);
        assert_eq!(read(&log, Since::Bytes(11)).unwrap(), ["ValueError"]);
        assert_eq!(read(&log, Since::Bytes(0)).unwrap(), [""; 0]);
        // It was turned over meanwhile: all that is left is this child's.
        assert_eq!(read(&log, Since::Bytes(9000)).unwrap(), ["Traceback", "ValueError"]);
        std::fs::write(&log, "a long line ".repeat(1000) + "\nlast\n").unwrap();
        assert_eq!(read(&log, Since::Bytes(9000)).unwrap(), ["last"]);
    }
}
