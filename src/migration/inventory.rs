//! Every key of every file, where it stands, and what becomes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::fate::{Fate, fate};
use crate::config::{FileId, ini, line_column};

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

/// The keys of these files, the main one first, as the loader read them. A file that cannot be read has none: the loader has
/// said why.
#[must_use]
pub(super) fn inventory(files: &[(PathBuf, String)]) -> Vec<FileKeys> {
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
    all
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

    #[test]
    fn every_key_has_its_place_and_the_last_file_wins() {
        let main = "[supervisord]\nlogfile=/a\n\n[include]\nfiles=b.conf\n[program:x]\ncommand=a\nstartsecs=1\n";
        let more = "[include]\nfiles=c\n[program:x]\ncommand=b\n";
        let all = inventory(&[("/m.conf".into(), main.into()), ("/b.conf".into(), more.into())]);
        let told: Vec<_> = all
            .iter()
            .flat_map(|keys| &keys.entries)
            .map(|entry| {
                let fate = match &entry.fate {
                    Fate::Same => "same",
                    Fate::Better(_) => "better",
                    Fate::Ignored(why) => why,
                };
                format!("{} {} {}: {fate}", entry.line, entry.section, entry.key)
            })
            .collect();
        assert_eq!(
            told,
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
}
