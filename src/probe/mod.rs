//! Questions to programs and to the world outside: whether somebody answers, asked once and bounded in time.
//!
//! Knows nothing of processes and decides nothing: the worker asks from tasks of its own, off the control loop.

mod connect;
mod http;
mod log_lines;
mod presence;
mod side;
mod uwsgi;

use std::time::Duration;

use crate::config::{Outside, ReadyCheck};

pub use log_lines::{LogMark, LogReader};

/// An answer that takes longer is none.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Asks once. What the program tells by itself (its output, its messages) is not asked for here.
///
/// # Errors
/// Why it is not ready, in words that end a sentence.
pub async fn ask(check: &ReadyCheck) -> Result<(), String> {
    in_time(ask_now(check)).await
}

/// Looks once for a thing outside.
///
/// # Errors
/// What is missing, in words.
pub async fn look(thing: &Outside) -> Result<(), String> {
    in_time(presence::look(thing)).await
}

async fn ask_now(check: &ReadyCheck) -> Result<(), String> {
    match check {
        ReadyCheck::Http(wanted) => http::ask(wanted).await,
        ReadyCheck::Connect(door) => connect::open(door).await.map(drop),
        ReadyCheck::UwsgiStats(door) => uwsgi::ask(door).await,
        ReadyCheck::Log(_) | ReadyCheck::Notify => Ok(()),
    }
}

async fn in_time(asked: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    match tokio::time::timeout(ANSWER_MAX, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} seconds", ANSWER_MAX.as_secs())),
    }
}
