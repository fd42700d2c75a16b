//! What the engine must know of a configuration: names, order and rules, nothing else.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pacing::Restarts;
use super::readiness::ReadyRule;

/// A `startretries` that is never used up.
pub const UNLIMITED: i64 = i64::MAX;

/// autorestart, Supervisor 4.3 `[program:x]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoRestart {
    Never,
    Unexpected,
    Always,
}

/// What kind of program a process is: `type` of `[program:x]`, ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Runs until it is stopped.
    #[default]
    Service,
    /// Does something and ends: an expected exit is its success, another one a failed try.
    Oneshot,
    /// Goes into the background: what its first child leaves behind when it ends well is the program.
    Forking,
}

/// The rules for one process. Sources: the keys of the same name of Supervisor 4.3 `[program:x]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
pub struct Policy {
    pub autostart: bool,
    pub autorestart: AutoRestart,
    /// Must be alive at least this long to become RUNNING; zero means at once.
    pub startsecs: Duration,
    /// Failed starts before FATAL; below zero: FATAL after the first failure; [`UNLIMITED`].
    pub startretries: i64,
    pub exitcodes: Vec<i32>,
    pub stopsignal: i32,
    /// From the stop signal to SIGKILL, and from SIGKILL to the next.
    pub stopwaitsecs: Duration,
    pub stopasgroup: bool,
    pub killasgroup: bool,
    pub priority: i64,
    #[serde(default)]
    pub kind: Kind,
    /// What the main process leaves behind is ended before its exit counts; see `Effect::Sweep`.
    #[serde(default)]
    pub killtree: bool,
    #[serde(default)]
    pub restarts: Restarts,
    /// When it counts as ready; `None`: it is not asked.
    #[serde(default)]
    pub ready: Option<ReadyRule>,
}

/// One process of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSpec {
    pub name: String,
    pub policy: Policy,
}

/// A group, its members in creation order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    pub name: String,
    pub priority: i64,
    pub members: Vec<MemberSpec>,
    /// Its members are event listeners: at the daemon's end they are asked for last words, see `Input::Quiet`.
    #[serde(default)]
    pub listens: bool,
}
