//! What galaxyd promises beyond Supervisor's contract, held against real processes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests start programs and tell what they measured"
)]
#![expect(dead_code, reason = "the harness is shared with the conformance tests, which use all of it")]

#[path = "../conformance/daemon.rs"]
mod daemon;
#[path = "../conformance/wait.rs"]
mod wait;

mod automatic_starts;
mod bad_configuration;
mod cgroups;
mod container;
mod daemon_death;
mod dependencies;
mod directories;
mod forking;
mod galaxy_database;
mod handlers;
mod history;
mod holding;
mod household;
mod idleness;
mod late_output;
mod left_behind;
mod limits;
#[path = "../fixture/line.rs"]
mod line;
mod listeners;
mod listening;
#[path = "../fixture/notice.rs"]
mod notice;
mod one_daemon;
mod overlap;
#[path = "../galaxy/postgres.rs"]
mod postgres;
mod program_sockets;
mod readiness;
mod registration;
mod rolling;
#[path = "../fixture/seat.rs"]
mod seat;
mod server_names;
mod socket_file;
mod staleness;
mod subject;
mod thousand_programs;
mod update;
mod upgrade;
mod usage;
#[path = "../fixture/venv.rs"]
mod venv;
mod worker_death;
