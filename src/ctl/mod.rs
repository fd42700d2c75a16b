//! The client: commands over a daemon's RPC interface, rendering, and the prompt.

mod action;
mod answer;
mod client;
mod commands;
mod common_cause;
mod complete;
mod console;
mod daemon;
mod deployment;
mod draining;
mod elsewhere;
mod exit;
mod explain;
mod explanation;
mod fact;
#[cfg(test)]
mod fake;
mod handlers;
mod happening;
mod holding;
mod job_report;
mod live;
mod name;
mod operation;
mod operations;
mod prompt;
mod render;
mod run;
mod scalable;
mod selection;
mod settings;
mod shell;
mod staleness;
mod stream;
mod suggest;
mod target;
mod terminal;
mod top;
mod trouble;
mod updating;
mod waiting;

pub use answer::{Changes, ConfigInfo, ProcessInfo, ResultInfo};
pub use daemon::{Call, CallError, Daemon, Follower};
pub use exit::ExitCode;
pub use run::main;
