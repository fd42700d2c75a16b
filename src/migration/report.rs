//! Everything that can be said about a change to galaxyd before it is made.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::differences::{self, Difference};
use super::fate::Fate;
use super::host::{self, Check, Finding};
use super::inventory::{Entry, FileKeys, inventory};
use crate::config::{Loaded, Problem};

/// The report.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What galaxyd refuses or warns about, as one line each; an error means that the rest could not be looked at.
    pub problems: Vec<String>,
    pub refused: bool,
    pub files: Vec<FileKeys>,
    /// What will differ, of what can be told from the configuration.
    pub differences: Vec<Difference>,
    /// How many more there are, most of them seen only when something goes wrong.
    pub other_differences: usize,
    pub host: Vec<Check>,
}

/// Looks at what was loaded. `path` is the daemon's `PATH`.
#[must_use]
pub fn report(loaded: &Loaded, path: Option<&str>) -> Report {
    let differences = differences::concerning(loaded);
    Report {
        problems: loaded.problems.iter().map(Problem::to_string).collect(),
        refused: loaded.config.is_none(),
        files: inventory(&loaded.files, loaded.problems.iter()),
        other_differences: differences::all().len() - differences.len(),
        differences,
        host: loaded.config.as_ref().map(|config| host::checks(config, path)).unwrap_or_default(),
    }
}

impl Report {
    /// Whether nothing stands in the way of a change.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        !self.refused && self.host.iter().all(|check| check.finding != Finding::Bad)
    }

    /// For a person. `file` is the configuration's main file.
    #[must_use]
    pub fn text(&self, file: &Path) -> String {
        let mut text = String::new();
        let mut told = BTreeSet::new();
        for keys in &self.files {
            file_text(&mut text, keys, &mut told);
        }
        section(&mut text, "Problems", self.problems.iter().map(String::as_str));
        let differences: Vec<String> = self
            .differences
            .iter()
            .map(|row| format!("{}: {}; with Supervisor: {}", row.what, row.galaxyd, row.supervisor))
            .collect();
        section(&mut text, "What will differ", differences.iter().map(String::as_str));
        let other = format!(
            "{} more are in docs/compatibility.md; they show, if at all, when something goes wrong",
            self.other_differences
        );
        section(&mut text, "", std::iter::once(other.as_str()).filter(|_| !self.refused));
        let host: Vec<String> = self
            .host
            .iter()
            .map(|check| match check.finding {
                Finding::Good => format!("ok    {}", check.text),
                Finding::Note => format!("note  {}", check.text),
                Finding::Bad => format!("BAD   {}", check.text),
            })
            .collect();
        section(&mut text, "This host", host.iter().map(String::as_str));
        let verdict = match (self.refused, self.is_clear()) {
            (true, _) => "galaxyd refuses this configuration: see the problems above.".to_owned(),
            (false, false) => {
                "galaxyd accepts this configuration; what is BAD above should be put right first.".to_owned()
            }
            (false, true) => format!(
                "galaxyd takes this configuration as it is. The systemd unit for it:\n  galaxyctl migrate --unit {}",
                file.display()
            ),
        };
        let _ = writeln!(text, "\n{verdict}");
        text
    }
}

fn section<'a>(text: &mut String, heading: &str, lines: impl Iterator<Item = &'a str>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    if !heading.is_empty() {
        let _ = writeln!(text, "\n{heading}");
    }
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

/// One file: a line for each section's keys that stay the same, and one for each other key. What is better about a key is
/// told once.
fn file_text(text: &mut String, keys: &FileKeys, told: &mut BTreeSet<String>) {
    let _ = writeln!(text, "{}", keys.file.display());
    let mut sections: Vec<&str> = Vec::new();
    for entry in &keys.entries {
        if !sections.contains(&entry.section.as_str()) {
            sections.push(&entry.section);
        }
    }
    for name in sections {
        let entries: Vec<&Entry> = keys.entries.iter().filter(|entry| entry.section == name).collect();
        let _ = writeln!(text, "  [{name}]");
        let mut same = Vec::new();
        let mut lines = Vec::new();
        for entry in entries {
            match &entry.fate {
                Fate::Same => same.push(entry.key.as_str()),
                Fate::Better(why) if told.insert(format!("{} {why}", entry.key)) => {
                    lines.push(format!("better   {}: {why}", entry.key));
                }
                Fate::Better(_) => lines.push(format!("better   {} (as above)", entry.key)),
                Fate::Ignored(why) => lines.push(format!("ignored  {} (line {}): {why}", entry.key, entry.line)),
                Fate::Refused(why) => lines.push(format!("REFUSED  {} (line {}): {why}", entry.key, entry.line)),
            }
        }
        if !same.is_empty() {
            let _ = writeln!(text, "    same     {}", same.join(", "));
        }
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    }
}
