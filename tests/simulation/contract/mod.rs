//! The contract for requests, order and timing, one sentence a test: Supervisor's, and ours for what it does not have.

mod ending;
mod extras;
mod groups;
mod needs;
mod ordered;
mod overlap;
mod pacing;
mod readiness;
mod recovery;
mod starting;
mod stopping;
mod update;
