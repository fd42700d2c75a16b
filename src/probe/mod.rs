//! Questions to programs and to the world outside: whether somebody answers, asked once and bounded in time.
//!
//! Knows nothing of processes and decides nothing: the worker asks from tasks of its own, off the control loop.

mod command;
mod connect;
mod http;
mod log_lines;
mod presence;
mod side;
mod uwsgi;

use std::time::Duration;

use crate::config::{Door, HttpCheck, Outside, ReadyCheck};
use crate::sys::plan::ExecPlan;

pub use log_lines::{LogMark, LogReader};
pub use uwsgi::{UwsgiStats, UwsgiWorker};

/// An answer that takes longer is none.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Asks once. What the program tells by itself (its output, its messages) is not asked for here, nor is a command run.
///
/// # Errors
/// Why it is not ready, in words that end a sentence.
pub async fn ask(check: &ReadyCheck) -> Result<(), String> {
    ask_within(check, ANSWER_MAX).await
}

/// The same, for somebody with more or less patience.
///
/// # Errors
/// As [`ask`].
pub async fn ask_within(check: &ReadyCheck, patience: Duration) -> Result<(), String> {
    in_time(patience, ask_now(check)).await
}

/// The body of an HTTP answer with the status that is wanted.
///
/// # Errors
/// There is none within `patience`.
pub async fn fetch(wanted: &HttpCheck, patience: Duration) -> Result<Vec<u8>, String> {
    in_time(patience, http::fetch(wanted)).await.map(|body| body.to_vec())
}

/// Runs a command once, which is to end with exit code 0. `plan` makes it, on a side thread, as it may hang. What still runs
/// when time is over, or when nobody waits for this any more, is killed with its process group.
///
/// # Errors
/// As [`ask`], with the last line that the command wrote.
pub async fn run(plan: impl FnOnce() -> Result<ExecPlan, String> + Send + 'static) -> Result<(), String> {
    in_time(ANSWER_MAX, command::run(plan)).await
}

/// What the stats server of a uWSGI tells.
///
/// # Errors
/// Nobody answers within `patience`, or not as a stats server does.
pub async fn uwsgi_stats(door: &Door, patience: Duration) -> Result<UwsgiStats, String> {
    in_time(patience, uwsgi::stats(door)).await
}

/// Looks once for a thing outside.
///
/// # Errors
/// What is missing, in words.
pub async fn look(thing: &Outside) -> Result<(), String> {
    in_time(ANSWER_MAX, presence::look(thing)).await
}

async fn ask_now(check: &ReadyCheck) -> Result<(), String> {
    match check {
        ReadyCheck::Http(wanted) => http::ask(wanted).await,
        ReadyCheck::Connect(door) => connect::open(door).await.map(drop),
        ReadyCheck::UwsgiStats(door) => uwsgi::ask(door).await,
        ReadyCheck::Log(_) | ReadyCheck::Notify | ReadyCheck::Command(_) => Ok(()),
    }
}

async fn in_time<T>(patience: Duration, asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} seconds", patience.as_secs())),
    }
}
