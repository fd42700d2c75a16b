//! The log plane: output from pipe to file on threads of its own, rotation, tail.

mod plane;

pub use plane::{Channel, Command, Notice, Plane, Sink, SourceId};
