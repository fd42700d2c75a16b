//! Lines of a program's log files, from where they ended when it was started.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::side::on_a_side_thread;

/// So much of a file is read at one look, in bytes; the next look goes on from there.
const LOOK_MAX: u64 = 4 << 20;

/// Of a line that does not end, so much is matched, in bytes.
const LINE_MAX: usize = 64 * 1024;

/// How long a log file was when a program was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    pub path: PathBuf,
    /// Zero: it was not there.
    inode: u64,
    offset: u64,
}

impl LogMark {
    /// The present end of the file. Blocks for as long as the file system does.
    #[must_use]
    pub fn of(path: PathBuf) -> LogMark {
        let status = std::fs::metadata(&path).map(|status| (status.ino(), status.len()));
        let (inode, offset) = status.unwrap_or_default();
        LogMark { path, inode, offset }
    }
}

/// Looks for a line.
#[derive(Debug)]
pub struct LogReader {
    pattern: Regex,
    files: Vec<Place>,
}

/// Where reading a file goes on.
#[derive(Debug)]
struct Place {
    mark: LogMark,
    /// The beginning of a line that has not ended.
    rest: Vec<u8>,
}

impl LogReader {
    /// Reads on from these marks.
    #[must_use]
    pub fn new(pattern: Regex, marks: Vec<LogMark>) -> LogReader {
        LogReader { pattern, files: marks.into_iter().map(|mark| Place { mark, rest: Vec::new() }).collect() }
    }

    /// Whether a line has come by now that matches.
    ///
    /// # Errors
    /// None has.
    pub async fn look(mut self) -> (LogReader, Result<(), String>) {
        let pattern = self.pattern.clone();
        let looked = on_a_side_thread(move || {
            let found = self.search();
            (self, found)
        });
        match looked.await {
            Some((reader, true)) => (reader, Ok(())),
            Some((reader, false)) => {
                let missing = format!("no line of its output matches {pattern}");
                (reader, Err(missing))
            }
            None => (LogReader { pattern, files: Vec::new() }, Err("its log cannot be read".to_owned())),
        }
    }

    fn search(&mut self) -> bool {
        let LogReader { pattern, files } = self;
        files.iter_mut().any(|place| place.search(pattern).unwrap_or(false))
    }
}

impl Place {
    fn search(&mut self, pattern: &Regex) -> io::Result<bool> {
        let path = self.mark.path.clone();
        let file = File::open(&path)?;
        let status = file.metadata()?;
        if status.ino() != self.mark.inode {
            // What was written before it was rotated.
            if self.mark.inode != 0
                && let Some(former) = rotated(&path).filter(|file| inode_of(file) == Some(self.mark.inode))
                && self.read_on(former, pattern)?
            {
                return Ok(true);
            }
            self.mark = LogMark { inode: status.ino(), offset: 0, path };
            self.rest.clear();
        } else if status.len() < self.mark.offset {
            // It was emptied.
            self.mark.offset = 0;
            self.rest.clear();
        }
        self.read_on(file, pattern)
    }

    fn read_on(&mut self, mut file: File, pattern: &Regex) -> io::Result<bool> {
        file.seek(SeekFrom::Start(self.mark.offset))?;
        let read = file.take(LOOK_MAX).read_to_end(&mut self.rest)?;
        self.mark.offset += read as u64;
        let found = self.rest.split(|byte| *byte == b'\n').any(|line| pattern.is_match(line));
        let begin = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.rest.drain(..begin);
        self.rest.truncate(LINE_MAX);
        Ok(found)
    }
}

/// The file as rotation names it.
fn rotated(path: &Path) -> Option<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    File::open(name).ok()
}

fn inode_of(file: &File) -> Option<u64> {
    file.metadata().ok().map(|status| status.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn append(path: &Path, text: &str) {
        fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn reader(path: &Path) -> LogReader {
        LogReader::new(Regex::new("^app (ready|up)").unwrap(), vec![LogMark::of(path.to_owned())])
    }

    #[test]
    fn only_lines_after_the_mark_count_and_those_cut_in_two_too() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        append(&log, "app ready\n");
        let mut reader = reader(&log);
        assert!(!reader.search());
        append(&log, "loading\nap");
        assert!(!reader.search());
        append(&log, "p re");
        assert!(!reader.search());
        append(&log, "ady\n");
        assert!(reader.search());
    }

    #[test]
    fn files_that_come_go_and_are_rotated_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let mut missing = reader(&log);
        assert!(!missing.search());
        append(&log, "app ready\n");
        assert!(missing.search());

        let mut emptied = reader(&log);
        fs::write(&log, "x\napp up\n").unwrap();
        assert!(emptied.search());

        let mut moved = reader(&log);
        append(&log, "app up\n");
        fs::rename(&log, folder.path().join("a.log.1")).unwrap();
        append(&log, "other\n");
        assert!(moved.search());
        let mut moved = reader(&log);
        fs::rename(&log, folder.path().join("a.log.1")).unwrap();
        append(&log, "app up\n");
        assert!(moved.search());
    }

    #[test]
    fn a_line_without_end_takes_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let mut reader = reader(&log);
        append(&log, &"x".repeat(3 * LINE_MAX));
        assert!(!reader.search());
        assert_eq!(reader.files[0].rest.len(), LINE_MAX);
    }
}
