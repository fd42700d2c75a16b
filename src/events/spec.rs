//! What must be known of a group: which pool it is, and whose output makes events.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::envelope::LengthUnit;
use super::event::EventType;
use crate::config::{GroupConfig, GroupKind, LogConfig};
use crate::engine::{Channel, ProcessId};

/// A group, told once, before its members are started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    pub name: String,
    /// `None`: an ordinary group.
    pub pool: Option<PoolSpec>,
    /// In creation order, which is the order in which a pool's listeners are offered events.
    pub members: Vec<MemberSpec>,
}

/// An `[eventlistener:x]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    pub events: Vec<EventType>,
    /// Events that wait; one more drops the oldest. At least 1.
    pub buffer_size: usize,
    pub length: LengthUnit,
    /// A listener that owes an answer for longer is started anew; `None`: never.
    #[serde(default)]
    pub answer_timeout: Option<Duration>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSpec {
    pub process: ProcessId,
    pub name: String,
    pub stdout: OutputSpec,
    pub stderr: OutputSpec,
}

/// Which events a channel's output makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutputSpec {
    /// `PROCESS_LOG`: `*_events_enabled`.
    pub log: bool,
    /// `PROCESS_COMMUNICATION`: `*_capture_maxbytes` above zero.
    pub capture: bool,
}

impl GroupSpec {
    /// What a group's configuration says; `process` names the engine's process for a member.
    ///
    /// A listener's standard output speaks the protocol and makes no events, whatever its keys say. Event names are those
    /// that the configuration's reader accepts; others are passed over.
    #[must_use]
    pub fn of(group: &GroupConfig, process: impl Fn(&str) -> Option<ProcessId>) -> GroupSpec {
        let pool = match &group.kind {
            GroupKind::EventListener { buffer_size, events, len_in_bytes, answer_timeout, .. } => Some(PoolSpec {
                events: events.iter().filter_map(|name| EventType::from_name(name)).collect(),
                buffer_size: usize::try_from(*buffer_size).unwrap_or(0).max(1),
                length: if *len_in_bytes { LengthUnit::Bytes } else { LengthUnit::Characters },
                answer_timeout: *answer_timeout,
            }),
            GroupKind::Program | GroupKind::FastCgi { .. } => None,
        };
        let members = group.processes.iter().filter_map(|member| {
            let stdout = if pool.is_some() { OutputSpec::default() } else { OutputSpec::of(&member.stdout) };
            let stderr = if member.redirect_stderr { OutputSpec::default() } else { OutputSpec::of(&member.stderr) };
            Some(MemberSpec { process: process(&member.name)?, name: member.name.clone(), stdout, stderr })
        });
        let members = members.collect();
        GroupSpec { name: group.name.clone(), pool, members }
    }
}

impl OutputSpec {
    fn of(channel: &LogConfig) -> OutputSpec {
        OutputSpec { log: channel.events_enabled, capture: channel.capture_maxbytes > 0 }
    }

    /// Whether the output makes any events.
    #[must_use]
    pub fn is_heard(self) -> bool {
        self.log || self.capture
    }
}

impl MemberSpec {
    #[must_use]
    pub fn output(&self, channel: Channel) -> OutputSpec {
        match channel {
            Channel::Stdout => self.stdout,
            Channel::Stderr => self.stderr,
        }
    }
}
