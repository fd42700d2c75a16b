//! What a child was made from, small enough to be kept for each: sums instead of texts, marks instead of files.
//!
//! Taken when the child was forked, and compared with what would be taken now ([`super::staleness`]). Files are read: not
//! for the control loop.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::spawning::Wanted;
use crate::config::{ProcessConfig, Source, shlex};
use crate::engine::ProcessId;
use crate::galaxy;
use crate::keeper::checksum;
use crate::sys::plan::{ExecPlan, User};

/// Of a file that is not larger the content counts, in bytes; of a larger one its inode, size and time.
const CONTENT_MAX: u64 = 256 * 1024;

/// So many files that a command line names are looked at.
const NAMED_MAX: usize = 16;

/// What a program reads when it starts ends so. What it writes while it runs (logs, pid files, databases, JSON that it
/// keeps) ends otherwise, and would be older than itself at once.
const READ_ENDINGS: &[&str] =
    &["cfg", "cnf", "conf", "ini", "js", "pl", "properties", "py", "rb", "sh", "toml", "xml", "yaml", "yml"];

/// Sums of what the keeper was told to execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlanSums {
    command: u64,
    environment: u64,
    /// Directory, umask and account.
    surroundings: u64,
}

impl PlanSums {
    /// To be taken before a run gets variables of its own.
    pub(super) fn of(plan: &ExecPlan) -> PlanSums {
        let joined = |texts: &mut dyn Iterator<Item = &CStr>| {
            let mut bytes = Vec::new();
            texts.for_each(|text| bytes.extend_from_slice(text.to_bytes_with_nul()));
            checksum(&bytes)
        };
        let account = match &plan.user {
            User::Become { uid, gid, groups } => format!("{uid} {gid} {groups:?}"),
            User::Keep | User::Unknown { .. } => String::new(),
        };
        PlanSums {
            command: joined(&mut std::iter::once(plan.path.as_c_str()).chain(plan.argv.iter().map(AsRef::as_ref))),
            environment: joined(&mut plan.environment.iter().map(AsRef::as_ref)),
            surroundings: checksum(format!("{:?} {:?} {account}", plan.directory, plan.umask).as_bytes()),
        }
    }
}

/// Tells one content of a file from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Mark {
    Content(u64),
    /// A sum of device, inode, size and the time of the last change.
    Inode(u64),
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MarkedFile {
    path: PathBuf,
    mark: Mark,
}

/// What one run was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OriginRecord {
    pub(super) process: ProcessId,
    pub(super) attempt: u32,
    sums: PlanSums,
    /// Of the file that is executed; its name is in the sum of the command.
    program: Mark,
    files: Vec<MarkedFile>,
    /// Galaxy's release.
    galaxy: Option<String>,
}

/// Marks that were made a moment ago: many programs read the same files.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<PathBuf, Mark>);

impl Marks {
    fn file(&mut self, path: &Path) -> MarkedFile {
        let mark = self.0.entry(path.to_owned()).or_insert_with(|| mark(path));
        MarkedFile { path: path.to_owned(), mark: mark.clone() }
    }
}

/// Only a regular file is opened: anything else could block, and has no content to compare.
fn mark(path: &Path) -> Mark {
    let Ok(status) = std::fs::metadata(path) else { return Mark::Missing };
    if status.is_file()
        && status.len() <= CONTENT_MAX
        && let Ok(content) = std::fs::read(path)
    {
        return Mark::Content(checksum(&content));
    }
    let [seconds, nanoseconds] = [status.mtime(), status.mtime_nsec()].map(i64::cast_unsigned);
    let facts = [status.dev(), status.ino(), status.len(), seconds, nanoseconds];
    Mark::Inode(checksum(&facts.map(u64::to_le_bytes).concat()))
}

impl OriginRecord {
    pub(super) fn take(
        run: Wanted,
        (sums, program): (PlanSums, &Path),
        config: &ProcessConfig,
        source: &dyn Source,
        marks: &mut Marks,
    ) -> OriginRecord {
        let footing = galaxy::footing(config, source);
        let mut paths = footing.files;
        paths.extend(config.extras.environment_files.iter().map(|file| PathBuf::from(&file.path)));
        paths.extend(named_files(config, source));
        let mut files: Vec<MarkedFile> = Vec::with_capacity(paths.len());
        for path in paths {
            if path != program && !files.iter().any(|known| known.path == path) {
                files.push(marks.file(&path));
            }
        }
        files.shrink_to_fit();
        let Wanted { process, attempt } = run;
        OriginRecord { process, attempt, sums, program: marks.file(program).mark, files, galaxy: footing.version }
    }

    /// In what a run that were made `now` would differ from this one: the kind of difference, and a sentence.
    pub(super) fn differences(&self, now: &OriginRecord, program: &Path) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.sums.command != now.sums.command {
            found.push(("command", "a restart would run another command line".to_owned()));
        }
        if self.sums.environment != now.sums.environment {
            found.push(("environment", "a restart would give it another environment".to_owned()));
        }
        if self.sums.surroundings != now.sums.surroundings {
            found.push(("command", "a restart would give it another directory, umask or account".to_owned()));
        }
        // Another command may mean another program.
        if self.sums.command == now.sums.command && self.program != now.program {
            found.push(("program", format!("{} was replaced after its start", program.display())));
        }
        found.extend(self.changed_files(now).map(|text| ("file", text)));
        if let (Some(former), Some(latter)) = (&self.galaxy, &now.galaxy)
            && former != latter
        {
            found.push(("galaxy", format!("it runs Galaxy {former}, a restart would run {latter}")));
        }
        found
    }

    fn changed_files<'a>(&'a self, now: &'a OriginRecord) -> impl Iterator<Item = String> + 'a {
        let known = |path: &Path| self.files.iter().any(|file| file.path == path);
        let changed = self.files.iter().filter_map(move |old| {
            let name = old.path.display();
            match now.files.iter().find(|new| new.path == old.path).map_or(&Mark::Missing, |new| &new.mark) {
                mark if *mark == old.mark => None,
                Mark::Missing => Some(format!("{name} was removed after its start")),
                _ => Some(format!("{name} was changed after its start")),
            }
        });
        let added = now.files.iter().filter(move |new| new.mark != Mark::Missing && !known(&new.path));
        changed.chain(added.map(|new| format!("{} was made after its start", new.path.display())))
    }
}

/// The files that a command line names and that are read at the start, as far as their names show it.
fn named_files(config: &ProcessConfig, source: &dyn Source) -> Vec<PathBuf> {
    let words = shlex::split(&config.command).unwrap_or_default();
    let directory = Path::new(&source.current_dir()).join(config.directory.as_deref().unwrap_or_default());
    let named = words.iter().map(|word| word.split_once('=').map_or(word.as_str(), |(_, value)| value));
    let read = named.filter(|word| {
        let ending = Path::new(word).extension().and_then(OsStr::to_str).unwrap_or_default();
        READ_ENDINGS.contains(&ending)
    });
    let paths = read.map(|word| directory.join(word).components().collect::<PathBuf>());
    paths.filter(|path| path.is_file()).take(NAMED_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, mark: Mark) -> MarkedFile {
        MarkedFile { path: PathBuf::from(path), mark }
    }

    fn record() -> OriginRecord {
        OriginRecord {
            process: ProcessId(1),
            attempt: 1,
            sums: PlanSums { command: 1, environment: 2, surroundings: 3 },
            program: Mark::Inode(1),
            files: vec![file("/a.yml", Mark::Content(1)), file("/b.yml", Mark::Content(2))],
            galaxy: Some("26.1.1".to_owned()),
        }
    }

    #[test]
    fn every_difference_is_told_and_none_where_nothing_changed() {
        type Edit = fn(&mut OriginRecord);
        let cases: &[(Edit, &[&str])] = &[
            (|_| {}, &[]),
            (|now| now.attempt = 9, &[]),
            (|now| now.sums.command = 9, &["command: a restart would run another command line"]),
            (|now| now.sums.environment = 9, &["environment: a restart would give it another environment"]),
            (
                |now| now.sums.surroundings = 9,
                &["command: a restart would give it another directory, umask or account"],
            ),
            (|now| now.program = Mark::Missing, &["program: /bin/x was replaced after its start"]),
            (|now| now.files[0].mark = Mark::Content(9), &["file: /a.yml was changed after its start"]),
            (|now| now.files[0].mark = Mark::Missing, &["file: /a.yml was removed after its start"]),
            (|now| now.files.truncate(1), &["file: /b.yml was removed after its start"]),
            (|now| now.files.push(file("/c.yml", Mark::Content(1))), &["file: /c.yml was made after its start"]),
            (|now| now.files.push(file("/c.yml", Mark::Missing)), &[]),
            (
                |now| now.galaxy = Some("26.1.2".to_owned()),
                &["galaxy: it runs Galaxy 26.1.1, a restart would run 26.1.2"],
            ),
            (|now| now.galaxy = None, &[]),
        ];
        for (edit, wanted) in cases {
            let mut now = record();
            edit(&mut now);
            let found: Vec<String> = record()
                .differences(&now, Path::new("/bin/x"))
                .into_iter()
                .map(|(kind, text)| format!("{kind}: {text}"))
                .collect();
            assert_eq!(found, *wanted);
        }
    }

    #[test]
    fn content_counts_and_not_when_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.yml");
        std::fs::write(&path, "one").unwrap();
        let before = mark(&path);
        let other = directory.path().join("b.yml");
        std::fs::write(&other, "one").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(mark(&path), before);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(mark(&path), before);
        assert_eq!(mark(&directory.path().join("none")), Mark::Missing);
        assert!(matches!(mark(directory.path()), Mark::Inode(..)));
    }
}
