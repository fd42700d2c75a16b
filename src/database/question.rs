//! What can be asked, as the side process reads it.

use serde::Serialize;

use crate::galaxy::ServerName;

/// A process whose row in `worker_process` is younger shows life. Source: Galaxy 26.1, which counts control queues so.
pub const FRESH_SECONDS: u64 = 120;

/// So many jobs of a handler are told one by one.
pub const JOBS_MAX: usize = 1000;

/// So many signs of life are told, the newest.
const BEATS_MAX: usize = 100;

/// Jobs that are not at their end, those that a person paused too.
pub(super) const JOB_STATES: [&str; 10] =
    ["new", "resubmitted", "upload", "waiting", "queued", "running", "stop", "stopped", "deleting", "paused"];

/// Invocations that want their scheduler.
pub(super) const INVOCATION_STATES: [&str; 4] = ["new", "requires_materialization", "ready", "cancelling"];

/// Of both, what has not been touched yet, and what any handler of a tag may therefore grab.
pub(super) const UNTOUCHED: [&str; 1] = ["new"];

/// Whose jobs are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The process with this server name.
    Named(String),
    /// The workers of a web server: this name, a dot and more.
    Numbered(String),
}

impl From<&ServerName> for Owner {
    fn from(name: &ServerName) -> Self {
        match name {
            ServerName::One(name) => Owner::Named(name.clone()),
            ServerName::Numbered(base) => Owner::Numbered(base.clone()),
        }
    }
}

impl Owner {
    /// Whether `handler`, a value of the column, is one of its names.
    #[must_use]
    pub fn is(&self, handler: &str) -> bool {
        match self {
            Owner::Named(name) => handler == name,
            Owner::Numbered(base) => handler.strip_prefix(base.as_str()).is_some_and(|rest| rest.starts_with('.')),
        }
    }

    /// What a column is compared with: the whole of it, and a pattern. `_` stands for any letter there, so the answer is to
    /// be judged once more.
    pub(super) fn columns(&self) -> (&str, String) {
        match self {
            Owner::Named(name) => (name, String::new()),
            Owner::Numbered(base) => ("", format!("{base}.%")),
        }
    }
}

/// One question; the members are the side process's.
#[derive(Debug, Serialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub(super) enum Question<'a> {
    Census {
        job_states: &'a [&'a str],
        invocation_states: &'a [&'a str],
    },
    Owned {
        job_states: &'a [&'a str],
        exact: &'a str,
        pattern: String,
        most: usize,
    },
    Beats {
        names: &'a [&'a str],
        pattern: String,
        most: usize,
    },
    Reassign {
        old: &'a str,
        new: &'a str,
        job_states: &'a [&'a str],
        invocation_states: &'a [&'a str],
        fresh_seconds: u64,
    },
    Version,
    /// A control task for one process instead of a question; `patience`: seconds for its answer.
    Lock {
        server_name: &'a str,
        job_lock: bool,
        patience: u64,
    },
}

impl Question<'_> {
    pub(super) fn owned(owner: &Owner) -> Question<'_> {
        let (exact, pattern) = owner.columns();
        Question::Owned { job_states: &JOB_STATES, exact, pattern, most: JOBS_MAX }
    }

    pub(super) fn beats<'a>(names: &'a [&'a str], pattern: String) -> Question<'a> {
        Question::Beats { names, pattern, most: BEATS_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_a_web_server_are_told_from_other_processes() {
        let web = Owner::Numbered("main".to_owned());
        assert!(web.is("main.1") && web.is("main.job-handlers.2") && !web.is("main") && !web.is("mainly.1"));
        let handler = Owner::Named("handler1".to_owned());
        assert!(handler.is("handler1") && !handler.is("handler10") && !handler.is("handler1.1"));
    }
}
