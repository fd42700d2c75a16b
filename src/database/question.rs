//! What can be asked, as the side process reads it.

use serde::Serialize;

/// A process whose row in `worker_process` is younger shows life. Source: Galaxy 26.1, which counts control queues so.
pub const FRESH_SECONDS: u64 = 120;

/// So many jobs of a handler are told one by one.
pub const JOBS_MAX: usize = 1000;

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

impl Owner {
    /// Whether `handler`, a value of the column, is one of its names.
    #[must_use]
    pub fn is(&self, handler: &str) -> bool {
        match self {
            Owner::Named(name) => handler == name,
            Owner::Numbered(base) => handler.strip_prefix(base.as_str()).is_some_and(|rest| rest.starts_with('.')),
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
    Reassign {
        old: &'a str,
        new: &'a str,
        job_states: &'a [&'a str],
        invocation_states: &'a [&'a str],
        fresh_seconds: u64,
    },
    Version,
}

impl Question<'_> {
    pub(super) fn owned(owner: &Owner) -> Question<'_> {
        let (exact, pattern) = match owner {
            Owner::Named(name) => (name.as_str(), String::new()),
            // `_` stands for any letter there: the answer is judged once more.
            Owner::Numbered(base) => ("", format!("{base}.%")),
        };
        Question::Owned { job_states: &JOB_STATES, exact, pattern, most: JOBS_MAX }
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
