//! The shell around the engine: one loop that turns the world into inputs and effects into deeds.

mod activity;
mod announcing;
mod answers;
mod calendar;
mod calls;
mod cause;
mod cgroups;
mod children;
mod clients;
mod confinement;
mod describe;
mod directories;
mod ear;
mod effects;
mod ending;
mod environment_file;
mod errands;
mod explanation;
mod file_watch;
mod following;
mod framing;
mod galaxy_rules;
mod hearing;
mod hindrance;
mod history;
mod inheritance;
mod invocation;
mod journal;
mod keeper_events;
mod last_words;
mod launch;
mod ledger;
mod logfiles;
mod master_fifo;
mod memory;
mod missing_sockets;
mod origin;
mod origins;
mod orphan_news;
mod out_of_memory;
mod outbox;
mod outside;
mod overlapping;
mod passed;
mod persistence;
mod pidfile;
mod post_mortem;
mod probing;
mod process_plan;
mod program_socket;
mod program_sockets;
mod reachability;
mod recovery;
mod rehearsal;
mod replacing;
mod reply;
mod report;
mod reread;
mod rollouts;
#[cfg(test)]
mod sample;
mod scarcity;
mod server_names;
mod serving;
mod shortage;
mod socket_watch;
mod spawning;
mod staleness;
mod startup;
mod state_files;
mod stop_post;
mod strays;
mod succession;
mod survey;
mod sweeping;
mod tap;
mod taps;
mod trimming;
mod turns;
mod twiddling;
mod update;
mod update_report;
mod upgrade;
mod usage;
#[expect(clippy::module_inception, reason = "the room is named after what it makes")]
mod worker;

use std::ffi::OsString;

pub use invocation::Invocation;
pub use launch::launch;
pub use rehearsal::{rehearse, understand};
pub use startup::{Ended, run};

/// The environment the daemon was started with.
pub type Environment = Vec<(OsString, OsString)>;

/// The variables whose name and value are text: what a configuration can refer to.
fn as_text(environment: &[(OsString, OsString)]) -> Vec<(String, String)> {
    environment
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())))
        .collect()
}
