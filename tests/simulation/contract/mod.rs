//! Supervisor's contract for requests, order and timing, one sentence a test.

mod ending;
mod extras;
mod groups;
mod recovery;
mod starting;
mod stopping;
