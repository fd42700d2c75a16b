//! The line in a log that says how many bytes it misses.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A line that says how much is missing, and why if that is not trouble, on a line of its own.
pub(super) fn marker(path: &Path, lost: u64, why: &str) -> Vec<u8> {
    let begins_line = last_byte(path).is_ok_and(|last| last.is_none_or(|byte| byte == b'\n'));
    let start = if begins_line { "" } else { "\n" };
    format!("{start}galaxyd: {lost} bytes lost{why}\n").into_bytes()
}

fn last_byte(path: &Path) -> io::Result<Option<u8>> {
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}
