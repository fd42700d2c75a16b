//! Supervisor's contract for requests, order and timing, one sentence a test.

mod ending;
mod groups;
mod recovery;
mod starting;
mod stopping;
