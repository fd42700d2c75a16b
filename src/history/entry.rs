//! One thing that happened, and the question for some of them.

use serde::{Deserialize, Serialize};

use crate::sys::clock;

/// A longer text is cut: the reasons of the system and the names of clients are much shorter.
const TEXT_BYTES_MAX: usize = 1024;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// The daemon itself.
    Daemon,
    /// Somebody asked for something.
    Request,
    /// A process came into another state.
    State,
    /// Something hinders a program, or does so no longer.
    Trouble,
    /// An operation goes on: processes are being replaced.
    Operation,
}

impl Kind {
    /// The word for people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Daemon => "daemon",
            Kind::Request => "request",
            Kind::State => "state",
            Kind::Trouble => "trouble",
            Kind::Operation => "operation",
        }
    }
}

/// What happened, once or several times in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since 1970 of the first time; with subject, kind and text it names the series.
    pub first: i64,
    /// The same of the last time.
    pub last: i64,
    /// How often, at least 1.
    pub count: u64,
    /// `group:process`, a group, or empty for the daemon.
    pub subject: String,
    pub kind: Kind,
    /// Without control characters.
    pub text: String,
}

impl Entry {
    /// What happens now. Control characters become escapes, so that no program can write to somebody's terminal.
    #[must_use]
    pub fn now(kind: Kind, subject: &str, text: &str) -> Entry {
        let now = i64::try_from(clock::wall().as_millis()).unwrap_or(i64::MAX);
        Entry { first: now, last: now, count: 1, subject: harmless(subject), kind, text: harmless(text) }
    }

    /// The newest `limit` of those that happened since then (seconds since 1970) and concern one of `names`, or all when
    /// there are no names.
    #[must_use]
    pub fn choose(entries: Vec<Entry>, names: &[String], since: i64, limit: usize) -> Vec<Entry> {
        let wanted: Vec<Named> = names.iter().map(|name| Named::of(name)).collect();
        let is_wanted = |entry: &Entry| {
            entry.last >= since.saturating_mul(1000)
                && (wanted.is_empty() || wanted.iter().any(|name| name.means(&entry.subject)))
        };
        let mut chosen: Vec<Entry> = entries.into_iter().filter(is_wanted).collect();
        chosen.drain(..chosen.len().saturating_sub(limit));
        chosen
    }
}

/// What somebody asks for: a process, a group (`galaxy`, `galaxy:`, `galaxy:*`) or a pattern.
struct Named {
    /// `None`: a bare name, which is a group's or that of a process in a group of the same name.
    process: Option<glob::Pattern>,
    group: glob::Pattern,
}

impl Named {
    fn of(name: &str) -> Named {
        let (group, process) = name.split_once(':').map_or((name, None), |(group, process)| (group, Some(process)));
        let pattern = |text: &str| {
            // What is no pattern is taken by the letter.
            let by_letter = || glob::Pattern::new(&glob::Pattern::escape(text)).unwrap_or_default();
            glob::Pattern::new(text).unwrap_or_else(|_| by_letter())
        };
        let process = process.map(|process| pattern(if process.is_empty() { "*" } else { process }));
        Named { process, group: pattern(group) }
    }

    /// Whether what is about `subject` is meant. What concerns a group concerns each member.
    fn means(&self, subject: &str) -> bool {
        if subject.is_empty() {
            return false;
        }
        let (group, process) =
            subject.split_once(':').map_or((subject, None), |(group, process)| (group, Some(process)));
        self.group.matches(group)
            && match (&self.process, process) {
                (None, _) => true,
                (Some(wanted), Some(process)) => wanted.matches(process),
                (Some(wanted), None) => self.group.as_str() == group || wanted.matches(group),
            }
    }
}

fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if safe.len() >= TEXT_BYTES_MAX {
            safe.push('…');
            break;
        }
        if letter.is_control() {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_harmless_and_short() {
        let entry = Entry::now(Kind::State, "a\n", &format!("\u{1b}]52;c;x\u{7}{}", "y".repeat(9000)));
        assert_eq!(entry.subject, "a\\n");
        assert!(!entry.text.chars().any(char::is_control) && entry.text.len() < TEXT_BYTES_MAX + 16);
    }

    #[test]
    fn names_choose_processes_groups_and_patterns() {
        for (subject, name, wanted) in [
            ("web", "web", true),
            ("galaxy:web", "galaxy:web", true),
            ("galaxy:web", "galaxy", true),
            ("galaxy:web", "galaxy:*", true),
            ("galaxy:web", "galaxy:", true),
            ("galaxy:web", "gal*", true),
            ("galaxy:web", "*:web", true),
            ("galaxy:web", "[galaxy:web", false),
            ("web", "web:web", true),
            ("galaxy", "galaxy:web", true),
            ("galaxy:web", "web", false),
            ("galaxy:web", "galaxy:w", false),
            ("web", "*:web", true),
            ("web", "*:other", false),
            ("", "web", false),
            ("", "*", false),
        ] {
            assert_eq!(Named::of(name).means(subject), wanted, "{subject} {name}");
        }
    }
}
