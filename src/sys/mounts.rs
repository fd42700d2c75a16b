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

/// Something that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub point: PathBuf,
    /// Its type: `nfs4`.
    pub kind: String,
}

/// The beginnings of the types whose operations wait for somebody else's answer: a server's, or a process'.
const CAN_HANG: [&str; 13] =
    ["nfs", "cifs", "smb", "fuse", "ceph", "9p", "lustre", "afs", "gfs2", "ocfs2", "glusterfs", "beegfs", "gpfs"];

/// The mounts of this process that can hang; empty without /proc.
#[must_use]
pub fn that_can_hang() -> Vec<Mount> {
    fs::read("/proc/self/mountinfo").map(|table| remote(&table)).unwrap_or_default()
}

/// The type is the first word behind a dash that stands alone.
fn remote(table: &[u8]) -> Vec<Mount> {
    let mount = |line: &[u8]| {
        let mut words = line.split(|byte| *byte == b' ');
        let point = PathBuf::from(OsString::from_vec(unescaped(words.nth(4)?)));
        words.find(|word| *word == b"-")?;
        Some(Mount { point, kind: String::from_utf8_lossy(words.next()?).into_owned() })
    };
    // What the kernel itself answers for has that name, too.
    let can_hang = |mount: &Mount| CAN_HANG.iter().any(|kind| mount.kind.starts_with(kind)) && mount.kind != "fusectl";
    table.split(|byte| *byte == b'\n').filter_map(mount).filter(can_hang).collect()
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
    fn those_that_wait_for_somebody_else_can_hang() {
        let table = b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /srv/a\\040b rw shared:1 master:2 - nfs4 h:/x rw\n\
                      3 1 0:6 / /c rw - fusectl fusectl rw\n4 1 0:7 / /f rw - fuse.sshfs h: rw\nnonsense - nfs\n";
        let found: Vec<_> = remote(table).into_iter().map(|mount| (mount.point, mount.kind)).collect();
        assert_eq!(found, [("/srv/a b".into(), "nfs4".to_owned()), ("/f".into(), "fuse.sshfs".to_owned())]);
    }

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
