//! Decides. A pure value: an [`Input`] and the time go in, [`Effect`]s come out.
//!
//! No system calls, no clock, no files, no logging: the worker performs what the
//! engine asks for, and a simulation can stand in for the world.

mod input;
mod policy;
mod state;
mod time;

pub use input::{
    Answer, Effect, Event, Exit, Input, Kill, LogLevel, LogLine, Mood, Outcome, Pid, ProcessId, Refusal, Request,
    RequestId, SpawnError, Target,
};
pub use policy::{AutoRestart, GroupSpec, MemberSpec, Policy};
pub use state::ProcessState;
pub use time::{Moment, Now};
