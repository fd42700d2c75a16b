//! Keeps this program's own code in memory. A machine that is short of memory drops pages of files first, and a supervisor whose
//! every step waits for its code to be read again does not supervise.

use std::fs;
use std::io;
use std::ops::Range;

/// Locks the code and the constants of this program and its libraries, as far as they are in memory, and each further page
/// once it is used. Not inherited, and not for data: pages that the allocator gives back must be free to go.
///
/// # Errors
///
/// EPERM, ENOMEM: `RLIMIT_MEMLOCK` does not allow all of it. Nothing depends on it.
pub fn lock_code() -> io::Result<()> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut parts: Vec<Part> = maps.lines().filter_map(Part::of).collect();
    // What is executed comes first where not all may be locked.
    parts.sort_by_key(|part| !part.is_executed);
    parts.into_iter().try_for_each(|part| {
        // SAFETY: locks pages, of whatever; nothing is read or written.
        let code =
            unsafe { libc::mlock2(part.range.start as *const libc::c_void, part.range.len(), libc::MLOCK_ONFAULT) };
        if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    })
}

/// A part of a file that is mapped and never written to.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    range: Range<usize>,
    is_executed: bool,
}

impl Part {
    /// Of a line of `proc_pid_maps(5)`: `BEGIN-END PERMISSIONS OFFSET DEVICE INODE PATH`.
    fn of(line: &str) -> Option<Part> {
        let mut fields = line.split_ascii_whitespace();
        let (begin, end) = fields.next()?.split_once('-')?;
        let is_executed = match fields.next()? {
            "r-xp" => true,
            "r--p" => false,
            _ => return None,
        };
        let is_of_a_file = fields.nth(2)? != "0";
        let address = |text| usize::from_str_radix(text, 16).ok();
        is_of_a_file.then_some(Part { range: address(begin)?..address(end)?, is_executed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_constants_of_files_are_parts() {
        let part = |line: &str| Part::of(line).map(|part| (part.range, part.is_executed));
        let file = "00:1f 77 /usr/bin/galaxyd (deleted)";
        assert_eq!(part(&format!("1000-3000 r-xp 00000000 {file}")), Some((0x1000..0x3000, true)));
        assert_eq!(part(&format!("1000-3000 r--p 00002000 {file}")), Some((0x1000..0x3000, false)));
        for other in [
            "",
            "1000-3000",
            "1000-3000 rw-p 00000000 00:1f 77 /usr/bin/galaxyd",
            "1000-3000 r--s 00000000 00:1f 77 /srv/log",
            "1000-3000 r-xp 00000000 00:00 0 [vdso]",
            "x-3000 r-xp 00000000 00:1f 77 /usr/bin/galaxyd",
        ] {
            assert_eq!(part(other), None, "{other}");
        }
    }
}
