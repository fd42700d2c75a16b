//! Which boot of which host this is, seen from which container: where a pid means something.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// The boot and the pid namespace as one line; processes that get different lines do not mean the same by a pid.
#[must_use]
pub fn identity() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let pids = fs::metadata("/proc/self/ns/pid").map(|metadata| metadata.ino()).unwrap_or_default();
    format!("{} {pids}", boot.trim_end())
}
