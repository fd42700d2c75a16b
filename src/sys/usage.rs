//! What processes use, as /proc tells it: processor time and memory.

use std::fs;
use std::io;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use super::proc_table::{self, Entry};

/// What one process uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub entry: Entry,
    /// Processor time of all its threads, and of children that it has collected.
    pub cpu: Duration,
    /// Bytes of memory that are its own or shared with others.
    pub resident: u64,
}

/// Of every process that can be seen. One that ends meanwhile is left out.
///
/// # Errors
/// As [`proc_table::all`].
pub fn all() -> io::Result<Vec<Usage>> {
    let unit = |name: SysconfVar, usual: u64| {
        let told = sysconf(name).ok().flatten().and_then(|value| u64::try_from(value).ok());
        told.filter(|value| *value > 0).unwrap_or(usual)
    };
    let (ticks, page) = (unit(SysconfVar::CLK_TCK, 100), unit(SysconfVar::PAGE_SIZE, 4096));
    proc_table::each(|line| parse(line, ticks, page))
}

/// Bytes of memory in which a page that n processes share counts as an n-th of one; `None` if that may not be known.
#[must_use]
pub fn proportional(pid: i32) -> Option<u64> {
    let sums = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = sums.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// A line of /proc/PID/stat. Source: `proc_pid_stat(5)`: utime, stime, cutime, cstime, rss.
fn parse(line: &str, ticks: u64, page: u64) -> Option<Usage> {
    let entry = proc_table::parse(line)?;
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let spent = (11..=14).filter_map(number).sum::<u64>();
    let cpu = Duration::from_millis(spent.saturating_mul(1000) / ticks);
    Some(Usage { entry, cpu, resident: number(21)?.saturating_mul(page) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_kernel_writes_it() {
        let line = "17 (a b) S 4 17 16 0 -1 4194304 1 2 3 4 50 60 7 8 20 0 1 0 9876 10000 11 12\n";
        let usage = parse(line, 100, 4096).unwrap();
        assert_eq!((usage.entry.identity.pid, usage.entry.parent), (17, 4));
        assert_eq!((usage.cpu, usage.resident), (Duration::from_millis(1250), 11 * 4096));
        assert_eq!(parse("17 (a", 100, 4096), None);
    }

    #[test]
    fn this_process_uses_something() {
        let me = i32::try_from(std::process::id()).unwrap();
        let mine = all().unwrap().into_iter().find(|usage| usage.entry.identity.pid == me).unwrap();
        assert!(mine.resident > 0);
        assert!(proportional(me).is_none_or(|shared| shared > 0));
    }
}
