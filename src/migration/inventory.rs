//! Every key of every file, where it stands, and what becomes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::fate::{Fate, fate, fate_by};
use crate::config::{FileId, Problem, ini, line_column};

/// One file's keys, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileKeys {
    pub file: PathBuf,
    pub entries: Vec<Entry>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub section: String,
    pub key: String,
    /// Counted from one.
    pub line: usize,
    #[serde(flatten)]
    pub fate: Fate,
}

/// The keys of these files, the main one first, as the loader read them and with what it found wrong. A file that cannot be read
/// has none: the loader has said why.
#[must_use]
pub(super) fn inventory<'a>(files: &[(PathBuf, String)], problems: impl Iterator<Item = &'a Problem>) -> Vec<FileKeys> {
    let mut all: Vec<FileKeys> = Vec::new();
    for (number, (file, text)) in files.iter().enumerate() {
        let id = FileId(u32::try_from(number).unwrap_or(u32::MAX));
        let document = ini::parse(text, id).unwrap_or_default();
        let mut entries = Vec::new();
        for section in document.sections {
            for entry in section.entries {
                let (line, _) = line_column(text, entry.key_span.start);
                let fate = if number > 0 && section.name == "include" {
                    Fate::Ignored("only the main file includes others".to_owned())
                } else {
                    fate(&section.name, &entry.key)
                };
                entries.push(Entry { section: section.name.clone(), key: entry.key, line, fate });
            }
        }
        entries.sort_by_key(|entry| entry.line);
        all.push(FileKeys { file: file.clone(), entries });
    }
    mark_overridden(&mut all);
    problems.for_each(|problem| mark_found(&mut all, problem));
    all
}

/// What was found wrong with a key decides its fate.
fn mark_found(all: &mut [FileKeys], problem: &Problem) {
    let (Some(place), Some(section), Some(key)) = (&problem.place, &problem.section, &problem.key) else { return };
    let entries = all.iter_mut().filter(|keys| keys.file == place.file).flat_map(|keys| &mut keys.entries);
    // A value of several lines is wrong in one of them.
    let here = |entry: &&mut Entry| entry.section == *section && entry.key == *key && entry.line <= place.line;
    if let Some(entry) = entries.filter(here).last()
        && let Some(fate) = fate_by(problem, section, key)
    {
        entry.fate = fate;
    }
}

/// Of a key that several files set, the last one counts.
fn mark_overridden(all: &mut [FileKeys]) {
    let mut last: BTreeMap<(String, String), (PathBuf, usize)> = BTreeMap::new();
    for keys in all.iter_mut().rev() {
        for entry in keys.entries.iter_mut().filter(|entry| !matches!(entry.fate, Fate::Ignored(_))) {
            let name = (entry.section.clone(), entry.key.clone());
            match last.get(&name) {
                Some((file, line)) => entry.fate = overridden(file, *line),
                None => {
                    last.insert(name, (keys.file.clone(), entry.line));
                }
            }
        }
    }
}

fn overridden(file: &Path, line: usize) -> Fate {
    Fate::Ignored(format!("{}:{line} says it again, and the last one counts", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    fn told(all: &[FileKeys]) -> Vec<String> {
        let entries = all.iter().flat_map(|keys| &keys.entries);
        let line = |entry: &Entry| {
            let fate = match &entry.fate {
                Fate::Same => "same",
                Fate::Better(_) => "better",
                Fate::Ignored(why) => why,
                Fate::Refused(why) => &format!("refused, {why}"),
            };
            format!("{} {} {}: {fate}", entry.line, entry.section, entry.key)
        };
        entries.map(line).collect()
    }

    #[test]
    fn every_key_has_its_place_and_the_last_file_wins() {
        let main = "[supervisord]\nlogfile=/a\n\n[include]\nfiles=b.conf\n[program:x]\ncommand=a\nstartsecs=1\n";
        let more = "[include]\nfiles=c\n[program:x]\ncommand=b\n";
        let all = inventory(&[("/m.conf".into(), main.into()), ("/b.conf".into(), more.into())], std::iter::empty());
        assert_eq!(
            told(&all),
            [
                "2 supervisord logfile: better",
                "5 include files: same",
                "7 program:x command: /b.conf:4 says it again, and the last one counts",
                "8 program:x startsecs: better",
                "2 include files: only the main file includes others",
                "4 program:x command: same",
            ]
        );
    }

    #[test]
    fn what_is_refused_is_not_said_to_be_the_same() {
        let text = "[supervisord]\n[rpcinterface:c]\nsupervisor.rpcinterface_factory=my:make\n\
                    [program:x]\ncommand=/bin/cat\nnumprocs=soon\n[ctlplugin:p]\nsupervisor.ctl_factory=my:ctl\n";
        let source = MadeUp::new().file("/etc/x.conf", text);
        let lines = |overrides: &Overrides| {
            let loaded = load(Path::new("/etc/x.conf"), overrides, &source);
            told(&inventory(&loaded.files, loaded.problems.iter()))
        };
        let refused = lines(&Overrides::default());
        for (line, begin) in refused.iter().zip([
            "3 rpcinterface:c supervisor.rpcinterface_factory: refused, my:make cannot be resolved",
            "5 program:x command: same",
            "6 program:x numprocs: refused, ",
            "8 ctlplugin:p supervisor.ctl_factory: my:ctl cannot be loaded",
        ]) {
            assert!(line.starts_with(begin), "{begin}\n{refused:#?}");
        }
        let ignored = lines(&Overrides { ignore_plugins: true, ..Overrides::default() });
        assert!(ignored[0].contains(": my:make is ignored, as --ignore-plugins says"), "{ignored:#?}");
        assert!(ignored[2].contains("refused"), "{ignored:#?}");
    }
}
