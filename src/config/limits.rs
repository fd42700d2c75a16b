//! The keys of a program about what the kernel lets it have: memory, processor time, processes. Enforced by a cgroup v2.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::expansion::Scope;
use super::lookup::Complaint;
use super::reader::{Place, Reader};
use super::value;
use crate::engine::size_text;

/// No limit, in the kernel's word.
const NONE: &str = "max";

/// The period of a limit that is written in percent, microseconds: the kernel's own default.
const PERIOD_MICROS: u64 = 100_000;

/// What the kernel takes for a period, microseconds. Source: `cgroup-v2.rst`, `kernel/sched/core.c`.
const PERIODS: std::ops::RangeInclusive<u64> = 1_000..=1_000_000;

/// The kernel takes no shorter time than this, microseconds.
const QUOTA_MICROS_MIN: u64 = 1_000;

/// More percent than a machine has processors times 100: nobody means that.
const PERCENT_MAX: u64 = 1_000_000;

/// What a program and all its children may have together; `None`: no limit of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes; who wants more is ended by the kernel's OOM killer.
    pub memory_max: Option<u64>,
    /// Bytes; who has more is slowed down and has to give some back.
    pub memory_high: Option<u64>,
    pub cpu_max: Option<CpuMax>,
    /// Processes and threads.
    pub pids_max: Option<u64>,
}

/// So much processor time in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuMax {
    pub quota_micros: u64,
    pub period_micros: u64,
}

/// As the kernel has it: `50000 100000`.
impl fmt::Display for CpuMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.quota_micros, self.period_micros)
    }
}

impl Limits {
    /// The keys, which are the names of the kernel's files but for the dot.
    pub const KEYS: [&'static str; 4] = ["memory_max", "memory_high", "cpu_max", "pids_max"];

    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }

    /// Each key with its value as the kernel has it.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, Option<String>); 4] {
        let text = |number: Option<u64>| number.map(|number| number.to_string());
        let values = [
            text(self.memory_max),
            text(self.memory_high),
            self.cpu_max.map(|cpu| cpu.to_string()),
            text(self.pids_max),
        ];
        let mut values = values.into_iter();
        Self::KEYS.map(|key| (key, values.next().flatten()))
    }

    /// Each key that is set, with its value as a configuration spells it.
    pub fn written(&self) -> impl Iterator<Item = (&'static str, String)> {
        let sizes = [("memory_max", self.memory_max), ("memory_high", self.memory_high)];
        let sizes = sizes.into_iter().filter_map(|(key, bytes)| Some((key, size_text(bytes?))));
        let cpu = self.cpu_max.map(|cpu| ("cpu_max", cpu.to_string()));
        sizes.chain(cpu).chain(self.pids_max.map(|count| ("pids_max", count.to_string())))
    }
}

/// `memory_max=512MB, pids_max=100`.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written: Vec<String> = self.written().map(|(key, value)| format!("{key}={value}")).collect();
        f.write_str(&written.join(", "))
    }
}

/// Reads them for all processes of a section.
pub(super) fn limits(reader: &mut Reader<'_>, place: Place<'_>, scope: &Scope) -> Limits {
    Limits {
        memory_max: reader.typed(place, "memory_max", scope, |text, _| unless_none(text, bytes)).flatten(),
        memory_high: reader.typed(place, "memory_high", scope, |text, _| unless_none(text, bytes)).flatten(),
        cpu_max: reader.typed(place, "cpu_max", scope, |text, _| unless_none(text, cpu)).flatten(),
        pids_max: reader.typed(place, "pids_max", scope, |text, _| unless_none(text, count)).flatten(),
    }
}

fn unless_none<T>(text: &str, read: impl Fn(&str) -> Result<T, Complaint>) -> Result<Option<T>, Complaint> {
    if text.trim() == NONE { Ok(None) } else { read(text.trim()).map(Some) }
}

fn bytes(text: &str) -> Result<u64, Complaint> {
    let bytes = value::byte_size(text)?;
    let fits = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
    fits.ok_or_else(|| Complaint::new(format!("{bytes} bytes are no limit"), "write a size such as 512MB, or max"))
}

fn count(text: &str) -> Result<u64, Complaint> {
    let number = value::integer(text)?;
    let fits = u64::try_from(number).ok().filter(|number| *number > 0);
    fits.ok_or_else(|| Complaint::new(format!("{number} processes are no limit"), "write a number such as 100, or max"))
}

/// Percent of one processor, or a time and a period in microseconds.
fn cpu(text: &str) -> Result<CpuMax, Complaint> {
    let help =
        "write percent of one processor such as 150%, a time and a period in microseconds such as 50000 100000, or max";
    let refused = || Complaint::new(format!("'{text}' is no limit of processor time"), help);
    let cpu = if let Some(percent) = text.strip_suffix('%') {
        let percent: u64 = percent.trim_end().parse().map_err(|_| refused())?;
        let percent = Some(percent).filter(|percent| *percent <= PERCENT_MAX).ok_or_else(refused)?;
        CpuMax { quota_micros: percent * (PERIOD_MICROS / 100), period_micros: PERIOD_MICROS }
    } else {
        let (quota, period) = text.split_once(char::is_whitespace).ok_or_else(refused)?;
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| refused());
        CpuMax { quota_micros: number(quota)?, period_micros: number(period)? }
    };
    let fits = cpu.quota_micros >= QUOTA_MICROS_MIN && PERIODS.contains(&cpu.period_micros);
    fits.then_some(cpu).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Loaded, Overrides, load};

    fn loaded(keys: &str) -> Loaded {
        let text = format!("[supervisord]\n[program:a]\ncommand=a\n{keys}\n");
        load(Path::new("/etc/a.conf"), &Overrides::default(), &MadeUp::new().file("/etc/a.conf", &text))
    }

    fn read(keys: &str) -> Limits {
        let loaded = loaded(keys);
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        config.groups[0].processes[0].extras.limits
    }

    #[test]
    fn each_is_read_and_written_as_it_reads_back() {
        for keys in ["", "memory_max=max\nmemory_high= max \ncpu_max=max\npids_max=max"] {
            assert!(read(keys).is_none(), "{keys}");
        }
        for (keys, written, settings) in [
            ("memory_max=512MB", "memory_max=512MB", "536870912 - - -"),
            ("memory_high=1000", "memory_high=1000", "- 1000 - -"),
            ("cpu_max=150%%", "cpu_max=150000 100000", "- - 150000 100000 -"),
            ("cpu_max=1 %%", "cpu_max=1000 100000", "- - 1000 100000 -"),
            ("cpu_max=5000  20000", "cpu_max=5000 20000", "- - 5000 20000 -"),
            ("pids_max=100\nmemory_max=1gb", "memory_max=1GB, pids_max=100", "1073741824 - - 100"),
        ] {
            let limits = read(keys);
            assert_eq!(limits.to_string(), written);
            assert_eq!(read(&written.replace(", ", "\n")), limits);
            let shown = limits.settings().map(|(_, value)| value.unwrap_or_else(|| "-".to_owned()));
            assert_eq!(shown.join(" "), settings);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (keys, wanted) in [
            ("memory_max=0", "0 bytes are no limit"),
            ("memory_max=-1MB", "-1048576 bytes are no limit"),
            ("memory_high=much", "invalid literal for int() with base 10: 'much'"),
            ("cpu_max=0%%", "'0%' is no limit of processor time"),
            ("cpu_max=half", "'half' is no limit of processor time"),
            ("cpu_max=50", "'50' is no limit of processor time"),
            ("cpu_max=1000 10", "'1000 10' is no limit of processor time"),
            ("cpu_max=999 1000", "'999 1000' is no limit of processor time"),
            ("cpu_max=99999999999999999999%%", "is no limit of processor time"),
            ("pids_max=0", "0 processes are no limit"),
            ("pids_max=1.5", "invalid literal for int() with base 10: '1.5'"),
        ] {
            let loaded = loaded(keys);
            assert!(loaded.config.is_none(), "{keys}");
            assert!(format!("{:?}", loaded.problems).contains(wanted), "{keys}: {:?}", loaded.problems);
        }
    }
}
