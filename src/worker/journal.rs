//! What a worker remembers for its successor: a file in the runtime directory, or in memory where that is not to be had,
//! which the keeper holds.
//!
//! A document of values (see `framing`), the first of which is a full [`Snapshot`]; each later one is a [`Change`]. It is
//! written before the effects of the change are performed, so that a worker killed at any instant leaves either the old or
//! the new truth; a last value cut short by the kill is dropped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::ear::TapRecord;
use super::framing::{self, Values};
use super::launch::LaunchRecord;
use super::origin::OriginRecord;
use super::probing::ProbeRecord;
use super::state_files::StateFiles;
use super::update::Growth;
use crate::config::{Config, GroupConfig, ProcessConfig};
use crate::engine::{GroupSpec, Mood, ProcessId, ProcessRecord};
use crate::events;
use crate::logs::{Level, log};
use crate::rollout::Operation;
use crate::sys::heap;

/// The name under which the keeper holds the journal.
pub(super) const HELD_NAME: &str = "journal";

const FORMAT: &str = "galaxyd journal";

const VERSION: u32 = 1;

/// The journal is written anew when its changes exceed this and the snapshot's own size.
const LINES_MAX_BYTES: u64 = 1 << 20;

/// Everything a successor needs that the keeper does not know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) mood: Mood,
    pub(super) next_process: u64,
    pub(super) next_child: u64,
    pub(super) launch: LaunchRecord,
    /// The cgroup in which programs have theirs.
    #[serde(default)]
    pub(super) cgroups: Option<PathBuf>,
    /// The daemon's settings in force, without groups.
    pub(super) config: Config,
    /// What the last reread found, if it differs from the active groups.
    pub(super) pending: Option<Vec<GroupConfig>>,
    /// The active groups.
    pub(super) active: IndexMap<String, GroupConfig>,
    /// What the present children were made from, of processes that an update stops.
    #[serde(default)]
    pub(super) leaving: BTreeMap<ProcessId, ProcessConfig>,
    /// What an update adds when everything that it removes is gone.
    #[serde(default)]
    pub(super) growing: Vec<Growth>,
    pub(super) engine: Vec<(GroupSpec, Vec<ProcessRecord>)>,
    pub(super) events: Vec<events::Record>,
    /// How far the output was heard that events depend on.
    pub(super) taps: Vec<TapRecord>,
    /// Where the logs of programs ended when they were started.
    #[serde(default)]
    pub(super) probes: Vec<ProbeRecord>,
    /// Operations, those too that are over.
    #[serde(default)]
    pub(super) operations: Vec<Operation>,
    /// What the present children were made from, as far as anybody looked.
    #[serde(default)]
    pub(super) origins: Vec<OriginRecord>,
}

/// What changed together: a successor knows all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) processes: Vec<ProcessRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) events: Vec<events::Record>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) taps: Vec<TapRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) probes: Vec<ProbeRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) operations: Vec<Operation>,
    pub(super) origins: Vec<OriginRecord>,
}

impl Change {
    pub(super) fn is_empty(&self) -> bool {
        self.processes.is_empty()
            && self.events.is_empty()
            && self.taps.is_empty()
            && self.probes.is_empty()
            && self.operations.is_empty()
            && self.origins.is_empty()
    }
}

/// The journal being written.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// What the snapshot says; only a new one can say otherwise.
    mood: Mood,
    snapshot_bytes: u64,
    bytes: u64,
    /// It is in the runtime directory.
    pub(super) is_on_disk: bool,
}

impl Journal {
    /// Starts a journal with a full snapshot, in memory.
    ///
    /// # Errors
    /// When memory for it cannot be had.
    pub(super) fn begin(snapshot: &Snapshot) -> io::Result<Journal> {
        let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
        let file = File::from(nix::sys::memfd::memfd_create(c"galaxyd-journal", flags)?);
        Journal::write(file, snapshot, false)
    }

    /// Starts a journal with a full snapshot that replaces the one in the runtime directory.
    ///
    /// # Errors
    /// ENOSPC, EROFS, EACCES, EIO; then the former one is still there.
    pub(super) fn begin_in(files: &StateFiles, snapshot: &Snapshot) -> io::Result<Journal> {
        let begun = files.new_journal().and_then(|file| {
            let journal = Journal::write(file, snapshot, true)?;
            files.publish_journal()?;
            Ok(journal)
        });
        if begun.is_err() {
            files.discard_journal();
        }
        begun
    }

    fn write(mut file: File, snapshot: &Snapshot, is_on_disk: bool) -> io::Result<Journal> {
        let mut document = framing::begin(FORMAT, VERSION)?;
        framing::append(&mut document, snapshot)?;
        file.write_all(&document)?;
        let bytes = document.len() as u64;
        Ok(Journal { file, mood: snapshot.mood, snapshot_bytes: bytes, bytes, is_on_disk })
    }

    /// Reads what the predecessor wrote and goes on writing after it.
    ///
    /// # Errors
    /// When it cannot be read or is no journal of ours.
    pub(super) fn resume(descriptor: OwnedFd) -> io::Result<(Journal, Snapshot)> {
        let mut file = File::from(descriptor);
        let (snapshot, snapshot_bytes, bytes) = read(&mut file)?;
        file.set_len(bytes)?;
        file.seek(io::SeekFrom::End(0))?;
        // A file in memory has no name to be found by.
        let is_on_disk = std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) > 0;
        Ok((Journal { file, mood: snapshot.mood, snapshot_bytes, bytes, is_on_disk }, snapshot))
    }

    /// Adds what changed, in one write.
    ///
    /// # Errors
    /// When there is no room for it.
    pub(super) fn append(&mut self, change: &Change) -> io::Result<()> {
        let mut bytes = Vec::new();
        framing::append(&mut bytes, change)?;
        self.file.write_all(&bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// A descriptor of the journal for the keeper.
    ///
    /// # Errors
    /// When none is left.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    /// Bytes of memory that a new snapshot is made of, going by the last one: its records, and twice its text as it grows.
    pub(super) fn room_to_begin_anew(&self) -> usize {
        usize::try_from(self.snapshot_bytes).unwrap_or(usize::MAX).saturating_mul(4)
    }

    /// Whether the journal must be begun anew: to say another mood, or, when there is memory for that, to keep it small.
    pub(super) fn is_outdated(&self, mood: Mood) -> bool {
        let is_long = self.bytes - self.snapshot_bytes > LINES_MAX_BYTES.max(self.snapshot_bytes);
        self.mood != mood || (is_long && heap::has_room(self.room_to_begin_anew()))
    }
}

/// Empties a journal, which needs no room: nobody goes on with what is out of date.
pub(super) fn spoil(journal: OwnedFd) {
    if let Err(error) = File::from(journal).set_len(0) {
        log(Level::Critical, &format!("the journal's file is out of date and cannot be emptied: {error}"));
    }
}

/// What a journal says, the bytes of its snapshot, and those of all that is whole.
///
/// # Errors
/// When it cannot be read or is no journal of ours.
pub(super) fn read(file: &mut File) -> io::Result<(Snapshot, u64, u64)> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    parse(&bytes)
}

/// The same of a journal's bytes.
///
/// # Errors
/// They are no journal of ours.
pub(super) fn parse(bytes: &[u8]) -> io::Result<(Snapshot, u64, u64)> {
    let mut values = Values::of(bytes, FORMAT, VERSION)?;
    let missing = || io::Error::new(io::ErrorKind::InvalidData, "it has no snapshot");
    let mut snapshot: Snapshot = values.next()?.ok_or_else(missing)?;
    let snapshot_bytes = values.read_bytes();
    let mut latest: IndexMap<ProcessId, ProcessRecord> = IndexMap::new();
    while let Some(change) = values.next::<Change>()? {
        latest.extend(change.processes.into_iter().map(|record| (record.process(), record)));
        // Later records replace earlier ones of the same thing; whose they are is their rooms' business.
        snapshot.events.extend(change.events);
        snapshot.taps.extend(change.taps);
        snapshot.probes.extend(change.probes);
        snapshot.operations.extend(change.operations);
        snapshot.origins.extend(change.origins);
    }
    for record in snapshot.engine.iter_mut().flat_map(|(_, records)| records) {
        if let Some(newer) = latest.swap_remove(&record.process()) {
            *record = newer;
        }
    }
    Ok((snapshot, snapshot_bytes, values.read_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Input, Moment, Now};
    use crate::worker::sample;

    fn running(engine: &mut Engine, process: ProcessId, pid: i32) -> ProcessRecord {
        let at = Now { mono: Moment(std::time::Duration::ZERO), wall: 0 };
        engine.handle(at, Input::Spawned { process, pid, at }, &mut Vec::new());
        engine.record(process).unwrap()
    }

    /// A daemon with two programs that were just asked to start, and its snapshot.
    fn begun() -> (Engine, Snapshot) {
        let mut config = sample::config("[program:a]\ncommand=a\n[program:b]\ncommand=b\n");
        let groups = std::mem::take(&mut config.groups);
        let mut engine = Engine::new();
        let at = Now { mono: Moment(std::time::Duration::ZERO), wall: 0 };
        let specs: Vec<_> = groups.iter().map(GroupConfig::spec).collect();
        engine.handle(at, Input::Begin { groups: specs.clone() }, &mut Vec::new());
        let records = |spec: &GroupSpec| {
            let members = engine.group_members(&spec.name).unwrap();
            members.iter().filter_map(|process| engine.record(*process)).collect::<Vec<_>>()
        };
        let snapshot = Snapshot {
            mood: engine.mood(),
            next_process: engine.next_id(),
            next_child: 7,
            launch: sample::launch(),
            cgroups: Some("/sys/fs/cgroup/x".into()),
            config,
            pending: None,
            active: groups.into_iter().map(|group| (group.name.clone(), group)).collect(),
            leaving: BTreeMap::new(),
            growing: Vec::new(),
            engine: specs.iter().map(|spec| (spec.clone(), records(spec))).collect(),
            events: Vec::new(),
            taps: Vec::new(),
            probes: Vec::new(),
            operations: Vec::new(),
            origins: Vec::new(),
        };
        (engine, snapshot)
    }

    fn change(processes: impl IntoIterator<Item = ProcessRecord>) -> Change {
        Change { processes: processes.into_iter().collect(), ..Change::default() }
    }

    fn pids(snapshot: &Snapshot) -> Vec<Option<i32>> {
        snapshot.engine.iter().flat_map(|(_, records)| records).map(ProcessRecord::pid).collect()
    }

    #[test]
    fn a_successor_reads_the_latest_record_of_each_process() {
        let (mut engine, snapshot) = begun();
        let mut journal = Journal::begin(&snapshot).unwrap();
        let (a, b) = (engine.find("a", "a").unwrap(), engine.find("b", "b").unwrap());
        let asked = engine.record(b).unwrap();
        journal.append(&change([running(&mut engine, a, 11), asked])).unwrap();
        journal.append(&change([running(&mut engine, b, 12)])).unwrap();
        let (_, read) = Journal::resume(journal.descriptor().unwrap()).unwrap();
        assert_eq!(pids(&read), [Some(11), Some(12)]);
        assert_eq!((read.next_child, read.active), (7, snapshot.active));
    }

    #[test]
    fn a_line_cut_short_is_dropped_and_written_over() {
        let (mut engine, snapshot) = begun();
        let mut journal = Journal::begin(&snapshot).unwrap();
        let (a, b) = (engine.find("a", "a").unwrap(), engine.find("b", "b").unwrap());
        journal.append(&change([running(&mut engine, a, 11)])).unwrap();
        let mut torn = Vec::new();
        framing::append(&mut torn, &change([running(&mut engine, b, 12)])).unwrap();
        journal.file.write_all(&torn[..torn.len() / 2]).unwrap();
        let (mut resumed, read) = Journal::resume(journal.descriptor().unwrap()).unwrap();
        assert_eq!(pids(&read), [Some(11), None]);
        resumed.append(&change([engine.record(b).unwrap()])).unwrap();
        let (_, read) = Journal::resume(resumed.descriptor().unwrap()).unwrap();
        assert_eq!(pids(&read), [Some(11), Some(12)]);
    }

    #[test]
    fn another_mood_or_many_lines_want_a_new_snapshot() {
        let (engine, snapshot) = begun();
        let mut journal = Journal::begin(&snapshot).unwrap();
        assert!(!journal.is_outdated(Mood::Running));
        assert!(journal.is_outdated(Mood::Shutdown));
        let record = engine.record(engine.find("a", "a").unwrap()).unwrap();
        while journal.bytes <= journal.snapshot_bytes + LINES_MAX_BYTES {
            assert!(!journal.is_outdated(Mood::Running));
            journal.append(&change(std::iter::repeat_n(record.clone(), 1000))).unwrap();
        }
        assert!(journal.is_outdated(Mood::Running));
    }

    #[test]
    fn what_is_no_journal_is_refused() {
        let other = super::super::memory::document(c"test", &"no snapshot").unwrap();
        assert!(Journal::resume(other).is_err());
    }
}
