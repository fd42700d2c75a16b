//! The event history: what happened to programs and to the daemon, and who asked for it, in a file of bounded size that
//! survives the death of the worker, of the daemon and of the machine.

mod entry;
mod file;
mod fold;
mod record;
mod recorder;

pub use entry::{Entry, Kind};
pub use file::read;
pub use recorder::{Asker, Busy, History};
