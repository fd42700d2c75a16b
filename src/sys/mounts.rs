//! Which mount a path is on, by its name alone: no file system is asked, so that none can hang.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The mount point that a path lies below, links in it not followed; `None` for a relative path, or without /proc.
#[must_use]
pub fn of(path: &Path) -> Option<PathBuf> {
    deepest(&fs::read("/proc/self/mountinfo").ok()?, path)
}

/// Of two mounts on one point the later one counts, and both have its name. Source: `proc_pid_mountinfo(5)`.
fn deepest(table: &[u8], path: &Path) -> Option<PathBuf> {
    let points = table.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let points = points.map(|point| PathBuf::from(OsString::from_vec(unescaped(point))));
    points.filter(|point| path.starts_with(point)).max_by_key(|point| point.components().count())
}

/// Blanks, tabulators, line feeds and backslashes are written as a backslash and three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        let meant = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(meant.unwrap_or(byte));
        rest = if meant.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_above_a_path_is_meant() {
        let table = b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /srv rw - ext4 /dev/b rw\n\
                      3 2 8:3 / /srv/a\\040b rw - tmpfs tmpfs rw\nnonsense\n";
        for (path, wanted) in [
            ("/etc/x", Some("/")),
            ("/srv", Some("/srv")),
            ("/srv/log/x", Some("/srv")),
            ("/srvs/x", Some("/")),
            ("/srv/a b/x", Some("/srv/a b")),
            ("x", None),
        ] {
            assert_eq!(deepest(table, Path::new(path)), wanted.map(PathBuf::from), "{path}");
        }
        assert_eq!(of(Path::new("/proc/self/stat")), Some(PathBuf::from("/proc")));
    }
}
