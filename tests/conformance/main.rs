//! The same tests against the original Supervisor 4.3.0 and against galaxyd.
//!
//! A test is a function of a [`subject::Subject`]: a daemon and a client. What
//! it sees goes into a transcript, pids and times taken out, and the transcript
//! must equal the one recorded from the original in `snapshots/`. So a test
//! passes on the original first, by construction and by running it there again.
//!
//! `SUPERVISOR_UNDER_TEST=original` or `=galaxyd` runs one side alone. To record
//! anew: `INSTA_UPDATE=always SUPERVISOR_UNDER_TEST=original cargo test --test conformance`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::disallowed_methods, reason = "tests start programs and wait for conditions")]
#![expect(clippy::print_stderr, clippy::needless_pass_by_value, reason = "test code")]

#[path = "../fixture/notice.rs"]
mod notice;
#[path = "../fixture/venv.rs"]
mod venv;

#[macro_use]
mod subject;
mod daemon;
mod transcript;
mod wait;

mod auth;
mod broken_configs;
mod commands;
mod config_changes;
mod differences;
mod endpoints;
mod examples;
mod fastcgi;
mod interactive;
mod life;
mod lifecycle;
mod listeners;
mod logs;
mod migration;
mod neighbours;
mod options;
mod rpc_faults;
mod rpc_methods;
mod spawning;
mod status_page;
mod twiddler;
