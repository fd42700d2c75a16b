//! The log plane: output from pipe to file on threads of its own, rotation, tail.

mod notices;
mod plane;
mod transit;

pub use notices::Notices;
pub use plane::{Channel, Command, Notice, Options, Plane, Sink, SourceId};
pub use transit::Transits;
