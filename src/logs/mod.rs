//! The log plane: output from pipe to file on threads of its own, rotation, tail; and the activity log.

mod activity;
mod activity_sink;
mod allotment;
mod auto;
mod board;
mod forwarding;
mod lane;
mod level;
mod logfile;
mod loss;
mod marker;
mod notices;
mod outflow;
mod place;
mod plane;
#[cfg(test)]
mod plane_tests;
#[cfg(test)]
mod process_tests;
mod rotate;
mod scratch;
mod source;
mod strip;
mod syslog;
mod tail;
mod tally;
mod target;
mod transit;
#[cfg(test)]
mod trouble_tests;
mod watch;

pub use activity::{
    Activity, ActivityLayer, ActivitySettings, ActivityTarget, WAITING_BYTES_MAX, WAITING_LINES_MAX, log,
};
pub use auto::{clear_auto_logs, create_auto_log};
pub use board::LOST_MAX;
pub use level::Level;
pub use notices::{Notices, OUTPUT_BYTES_MAX};
pub use place::{Place, Planted, Use, open_file};
pub use plane::{Command, Notice, Options, Plane, Sink, SourceId};
pub use strip::AnsiStripper;
pub use tail::{SLICE_BYTES_MAX, SliceError, Tail, read_slice, tail};
pub use tally::Tally;
pub use target::{CHUNK_BYTES_MAX, DRAIN_WAIT, RETRY_EVERY};
pub use transit::{TRANSITS_MAX, Transits};
pub use watch::STUCK_AFTER;
