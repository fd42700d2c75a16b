//! galaxyd's own answers about a process: why it is in its state, and how it would be started.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde_json::json;

use super::answer::{self, ProcessInfo};
use super::daemon::{CallError, Daemon};
use super::happening::{Happening, local};
use super::name;
use super::shell::Shell;
use super::staleness::Reason;
use super::target::fits_spec;
use crate::rpc::{FaultCode, Value};

/// Why a process is in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub group: String,
    pub name: String,
    pub statename: String,
    pub reason: String,
    /// `waiting`, `late`, `settling` or `ready`; empty if nobody asks.
    pub readiness: String,
    /// What keeps it from going on: a log that cannot be written, a stop by a signal.
    pub hindrances: Vec<String>,
    /// Who takes its place, or gave it up: the successor or former one of an overlap.
    pub(super) beside: Vec<Other>,
    pub last_words: Vec<String>,
    /// Pids and command lines of processes that it left behind.
    pub left_behind: Vec<(i64, String)>,
    /// What it waits for; empty for nothing.
    pub awaits: String,
    /// Until when, seconds since 1970; 0: nobody knows.
    pub until: i64,
    /// Since when its start waits for what it needs, seconds since 1970; 0: it does not.
    pub held_since: i64,
    /// What to type next; empty for nothing.
    pub next: String,
    /// What led to this, the oldest first; only where somebody asks for one process.
    pub(super) history: Vec<Happening>,
    /// In what it differs from what a restart would give, where somebody asked for that.
    pub(super) stale: Vec<Reason>,
}

/// Another process under the same name, in an overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Other {
    /// `successor`, `failed successor` or `retired`.
    role: String,
    /// 0: it has none.
    pid: i64,
    /// Empty if nobody asks.
    readiness: String,
}

impl Other {
    fn read(value: &Value) -> Result<Self, CallError> {
        let (role, readiness) = (answer::text(value, "role")?, answer::text(value, "readiness")?);
        Ok(Self { role, pid: answer::int(value, "pid")?, readiness })
    }

    fn json(&self) -> serde_json::Value {
        json!({ "role": self.role, "pid": (self.pid != 0).then_some(self.pid), "readiness": some(&self.readiness) })
    }
}

#[cfg(test)]
impl Explanation {
    /// With nothing known but that.
    pub(super) fn bare(statename: &str, reason: &str) -> Self {
        Self {
            group: "g".to_owned(),
            name: "p".to_owned(),
            statename: statename.to_owned(),
            reason: reason.to_owned(),
            readiness: String::new(),
            hindrances: Vec::new(),
            beside: Vec::new(),
            last_words: Vec::new(),
            left_behind: Vec::new(),
            awaits: String::new(),
            until: 0,
            held_since: 0,
            next: String::new(),
            history: Vec::new(),
            stale: Vec::new(),
        }
    }
}

impl Explanation {
    /// Reads one struct.
    ///
    /// # Errors
    /// A member is missing or of another type.
    pub(super) fn read(value: &Value) -> Result<Self, CallError> {
        let list = |name: &str| answer::member(value, name);
        let word = |value: &Value| {
            value.as_str().map(str::to_owned).ok_or_else(|| CallError::BadAnswer("a line is no string".to_owned()))
        };
        let survivor = |value: &Value| Ok((answer::int(value, "pid")?, answer::text(value, "command")?));
        Ok(Self {
            group: answer::text(value, "group")?,
            name: answer::text(value, "name")?,
            statename: answer::text(value, "statename")?,
            reason: answer::text(value, "reason")?,
            // Daemons of before do not know of it.
            readiness: answer::text(value, "readiness").unwrap_or_default(),
            hindrances: answer::list(list("hindrances")?, word)?,
            // Not told by every version.
            beside: list("beside").and_then(|beside| answer::list(beside, Other::read)).unwrap_or_default(),
            last_words: answer::list(list("last_words")?, word)?,
            left_behind: answer::list(list("left_behind")?, survivor)?,
            // Not told by every version.
            awaits: answer::text(value, "awaits").unwrap_or_default(),
            until: answer::int(value, "until").unwrap_or_default(),
            held_since: answer::int(value, "held_since").unwrap_or_default(),
            next: answer::text(value, "next").unwrap_or_default(),
            history: Vec::new(),
            stale: Vec::new(),
        })
    }

    /// `group:process`, or just the name.
    pub(super) fn namespec(&self) -> String {
        name::join(&self.group, &self.name)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let left_behind: Vec<_> =
            self.left_behind.iter().map(|(pid, command)| json!({ "pid": pid, "command": command })).collect();
        json!({
            "name": self.namespec(),
            "group": self.group,
            "process": self.name,
            "state": self.statename,
            "reason": self.reason,
            "readiness": Some(&self.readiness).filter(|word| !word.is_empty()),
            "hindrances": self.hindrances,
            "beside": self.beside.iter().map(Other::json).collect::<Vec<_>>(),
            "last_words": self.last_words,
            "left_behind": left_behind,
            "awaits": some(&self.awaits),
            "until": (self.until != 0).then_some(self.until),
            "held_since": (self.held_since != 0).then_some(self.held_since),
            "next": some(&self.next),
            "stale": self.stale.iter().map(Reason::json).collect::<Vec<_>>(),
            "history": self.history.iter().map(Happening::json).collect::<Vec<_>>(),
        })
    }

    /// As a person reads it.
    pub(super) fn lines(&self) -> String {
        let mut text = format!("{} ({}): {}", self.namespec(), self.statename, self.reason);
        for hindrance in &self.hindrances {
            text.push_str("; ");
            text.push_str(hindrance);
        }
        for line in &self.last_words {
            text.push_str("\n    log: ");
            text.push_str(line);
        }
        for (pid, command) in &self.left_behind {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n    left behind: {pid} {command}");
        }
        for reason in &self.stale {
            let _ = write!(text, "\n    stale: {}", reason.detail);
        }
        for happening in &self.history {
            let _ = write!(text, "\n    before: {}", happening.text(&TimeZone::system()));
        }
        if !self.awaits.is_empty() {
            let _ = write!(text, "\n    waits for: {}", self.awaits);
            if self.until != 0 {
                let _ = write!(text, ", until {}", local(self.until, &TimeZone::system()));
            }
        }
        if !self.next.is_empty() {
            let _ = write!(text, "\n    next: {}", self.next);
        }
        text
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

impl Shell {
    /// Asks about every process; `None` from a daemon that does not know the question.
    ///
    /// # Errors
    /// As [`super::daemon::Daemon::call`].
    pub(super) fn explanations(&mut self) -> Result<Option<Vec<Explanation>>, CallError> {
        match self.daemon.call("galaxyd.explainAllProcesses", &[]) {
            Ok(value) => answer::list(&value, Explanation::read).map(Some),
            Err(CallError::Fault(fault)) if fault.code == FaultCode::UnknownMethod as i64 => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A line for each process of these words whose start is held, with what it waits for.
pub(super) fn held(daemon: &mut dyn Daemon, words: &[&str]) -> Vec<String> {
    // Whoever asks has something else to do, too: without an answer there is nothing to say.
    let explained = daemon.call("galaxyd.explainAllProcesses", &[]);
    let explained = explained.and_then(|value| answer::list(&value, Explanation::read)).unwrap_or_default();
    let is_meant = |one: &&Explanation| {
        let name = one.namespec();
        one.held_since != 0 && words.iter().any(|word| *word == "all" || fits_spec(word, &name))
    };
    explained.iter().filter(is_meant).map(|one| format!("{}: waits for {}", one.namespec(), one.awaits)).collect()
}

/// Gives each process its explanation.
pub(super) fn attach(processes: &mut [ProcessInfo], explanations: &[Explanation]) {
    for process in processes {
        let own = explanations.iter().find(|one| one.group == process.group && one.name == process.name);
        process.explanation = own.cloned();
    }
}
