//! Questions to programs and to the world outside: whether somebody answers, asked once and bounded in time.
//!
//! Knows nothing of processes and decides nothing: the worker asks from tasks of its own, off the control loop.

mod connect;
mod http;
mod log_lines;
mod side;
mod uwsgi;

use std::time::Duration;

use crate::config::{Door, ReadyCheck};

pub use log_lines::{LogMark, LogReader};
pub use uwsgi::UwsgiWorker;

/// An answer that takes longer is none.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Asks once. What the program tells by itself (its output, its messages) is not asked for here.
///
/// # Errors
/// Why it is not ready, in words that end a sentence.
pub async fn ask(check: &ReadyCheck) -> Result<(), String> {
    let asked = async {
        match check {
            ReadyCheck::Http(wanted) => http::ask(wanted).await,
            ReadyCheck::Connect(door) => connect::open(door).await.map(drop),
            ReadyCheck::UwsgiStats(door) => uwsgi::ask(door).await,
            ReadyCheck::Log(_) | ReadyCheck::Notify => Ok(()),
        }
    };
    match tokio::time::timeout(ANSWER_MAX, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} seconds", ANSWER_MAX.as_secs())),
    }
}

/// What is shown once and asked again soon need not be waited for so long.
const GLANCE_MAX: Duration = Duration::from_secs(1);

/// The workers of a uWSGI by its stats server.
///
/// # Errors
/// Why they are not known, in words that end a sentence.
pub async fn uwsgi_workers(stats: &Door) -> Result<Vec<UwsgiWorker>, String> {
    match tokio::time::timeout(GLANCE_MAX, uwsgi::workers(stats)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("{stats}: no answer within {} second", GLANCE_MAX.as_secs())),
    }
}
