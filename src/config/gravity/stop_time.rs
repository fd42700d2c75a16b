//! How long a service may take to stop: computed where `stop_timeout` is not set.
//!
//! Gravity's fixed defaults are too short for handlers with several runners, for Celery (10 s: tasks are killed and lost) and for
//! Reports (10 s: shorter than gunicorn's own grace).

use super::instance::Instance;
use super::job_config::JobConfig;
use super::node::Part;
use super::settings::{Section, Sourced};
use crate::config::shlex;
use crate::config::span::Span;
use crate::yaml::Meaning;

/// gunicorn's own: seconds that a worker has for its requests.
const GRACEFUL_TIMEOUT: i64 = 30;

/// What Galaxy and the arbiter need after that, seconds.
const AFTER_GRACEFUL: i64 = 35;

/// Galaxy's `monitor_thread_join_timeout`, seconds.
const JOIN_TIMEOUT: i64 = 30;

/// What a handler needs beside the steps that are bounded by it, seconds.
const HANDLER_MARGIN: i64 = 15;

/// Tasks of Celery have no bound of their own: uploads and metadata take minutes. It ends as soon as they are done.
const CELERY: i64 = 300;

/// What stops at once.
const OTHER: i64 = 10;

/// What is written counts; else what `usual` gives.
fn or_computed(section: &Section, usual: impl FnOnce(Span) -> (i64, String)) -> Sourced<i64> {
    section.optional_int("stop_timeout").unwrap_or_else(|| {
        let (seconds, why) = usual(section.span);
        Sourced::said(seconds, section.span, format!("computed: {why}"))
    })
}

/// Of a gunicorn, whose workers may have their grace to the end.
pub(super) fn gunicorn(section: &Section) -> Sourced<i64> {
    or_computed(section, |_| {
        let grace = graceful_timeout(&section.text("extra_args").value).unwrap_or(GRACEFUL_TIMEOUT);
        let why = format!("{grace} s that gunicorn gives its workers and {AFTER_GRACEFUL} s for Galaxy to shut down");
        (grace.saturating_add(AFTER_GRACEFUL), why)
    })
}

/// `--graceful-timeout` of a command line.
fn graceful_timeout(arguments: &str) -> Option<i64> {
    const OPTION: &str = "--graceful-timeout";
    let words = shlex::split(arguments).ok()?;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let value = match word.strip_prefix(OPTION) {
            Some("") => words.next(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        if let Some(seconds) = value.and_then(|value| value.parse().ok()) {
            return Some(seconds);
        }
    }
    None
}

pub(super) fn celery(section: &Section) -> Sourced<i64> {
    or_computed(section, |_| (CELERY, "tasks that run, uploads among them, are lost if it is killed".to_owned()))
}

pub(super) fn other(section: &Section) -> Sourced<i64> {
    or_computed(section, |_| (OTHER, "it stops at once".to_owned()))
}

/// Of a job handler: the bound of its shutdown, step by step.
pub(super) fn handler(instance: &Instance, jobs: &JobConfig, written: Option<Sourced<i64>>) -> Sourced<i64> {
    if let Some(written) = written {
        return written;
    }
    let runners = jobs.runners();
    let join = join_timeout(&instance.galaxy);
    // The monitors of requests and completions of workflows, those of the job queue and the stop queue; each asynchronous runner has
    // a monitor and workers.
    let steps = 2 * runners.asynchronous + runners.local + 2 + 2;
    let seconds = join.saturating_mul(steps).saturating_add(HANDLER_MARGIN);
    let why = format!(
        "computed: monitor_thread_join_timeout {join} s for each of {steps} steps ({} runners with a monitor, {} local), and {HANDLER_MARGIN} s",
        runners.asynchronous, runners.local
    );
    Sourced::said(seconds, instance.gravity.span, why)
}

fn join_timeout(galaxy: &Part) -> i64 {
    match galaxy.get("monitor_thread_join_timeout").and_then(|part| part.meaning()) {
        Some(Meaning::Integer(seconds)) if seconds >= 0 => seconds,
        _ => JOIN_TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_of_gunicorn_is_read_from_its_arguments() {
        for (arguments, wanted) in [
            ("", None),
            ("--graceful-timeout 60", Some(60)),
            ("--log-level debug --graceful-timeout=5", Some(5)),
            ("--graceful-timeout", None),
            ("--graceful-timeouts=5", None),
            ("'", None),
        ] {
            assert_eq!(graceful_timeout(arguments), wanted, "{arguments}");
        }
    }
}
