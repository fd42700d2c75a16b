//! Decides. A pure value: an [`Input`] and the time go in, [`Effect`]s come out.
//!
//! No system calls, no clock, no files, no logging: the worker performs what the
//! engine asks for, and a simulation can stand in for the world.

mod channel;
#[expect(clippy::module_inception, reason = "the engine is what this room is about")]
mod engine;
mod exit;
mod following;
mod group;
mod input;
mod logline;
mod members;
mod needs;
mod ordered;
mod overlap;
mod pacing;
mod parting;
mod policy;
mod process;
mod readiness;
mod record;
mod recovery;
mod request;
mod restart;
mod shutdown;
mod signal;
mod size;
mod state;
mod time;
mod update;
mod view;
mod wait;

pub use channel::Channel;
pub use engine::Engine;
pub use following::Heir;
pub use input::{
    Answer, Effect, Event, ExecError, Exit, Input, Kill, LogLevel, LogLine, Mood, OomScope, Outcome, Pid, ProcessId,
    Refusal, Request, RequestId, SpawnError, Target,
};
pub use needs::{Lack, Need, Needs};
pub use pacing::{Delay, Limit, OnEnd, Restarts};
pub use policy::{AutoRestart, GroupSpec, Kind, MemberSpec, Policy, UNLIMITED};
pub use readiness::{Condition, Readiness, ReadyRule};
pub use record::{LastExit, ProcessRecord, StopCause, Then};
pub use signal::signal_name;
pub use size::size_text;
pub use state::ProcessState;
pub use time::{Moment, Now};
pub use update::GroupChange;
pub use view::{Description, GroupView, ProcessView, namespec, uptime_text};
