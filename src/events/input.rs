//! What goes into the events and what comes out: two closed enums.

use super::line::Line;
use super::spec::GroupSpec;
use crate::engine::{Channel, Event, Pid, ProcessId};

/// Everything that events and listeners depend on. A child is named by the keeper's id for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A group is being created; comes before the engine's event about it.
    Group(GroupSpec),
    /// A known group has other members, or other settings; a group that is not known is passed over.
    Changed(GroupSpec),
    /// The engine announced a change.
    State(Event),
    /// A process has a child: forked, or found alive by a new worker. Said again of a child already known it does nothing.
    Born { process: ProcessId, child: u64, pid: Pid },
    /// A child wrote this. For a listener's standard output `at` is the place of the first byte in all that the child has
    /// written: what was heard before is passed over, see [`super::Events::heard`]. For other output `at` is not looked at.
    Output { child: u64, channel: Channel, at: u64, bytes: Vec<u8> },
    /// A child completed a block between capture tags.
    Captured { child: u64, channel: Channel, bytes: Vec<u8> },
    /// A child was reaped and all its output was handed in.
    Gone { child: u64 },
    /// Answers [`Effect::Write`]: the first bytes are in the child's pipe, the others will follow.
    Written { child: u64, serial: u64 },
    /// Answers [`Effect::Write`], now or later: the child's standard input is closed.
    NotWritten { child: u64, serial: u64 },
    /// `supervisor.sendRemoteCommEvent`.
    Remote { kind: String, data: String },
    /// A new worker has told all children that live, or whose end is not handled yet: others are gone.
    Resume { children: Vec<u64> },
    /// The deadline may have passed.
    Deadline,
    /// The daemon ends (or starts anew): what waits to be logged is logged now.
    Halt,
}

/// What the worker must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// An event for a listener: put `bytes` into its standard input. Answered by `Written` or `NotWritten`.
    Write {
        process: ProcessId,
        child: u64,
        serial: u64,
        bytes: Vec<u8>,
    },
    /// A listener does not answer: stop this child of it and start another one.
    Renew {
        process: ProcessId,
        child: u64,
    },
    Log(Line),
}
