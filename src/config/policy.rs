//! What the engine is told of a configuration.

use std::time::Duration;

use super::model::{GroupConfig, GroupKind, ProcessConfig};
use crate::engine::{GroupSpec, Kind, MemberSpec, Needs, Policy};

impl ProcessConfig {
    /// The rules of this process, for the engine. Seconds below zero act like zero.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            autostart: self.autostart,
            autorestart: self.autorestart,
            // A oneshot has no start to survive: it succeeds by ending well.
            startsecs: if self.extras.kind == Kind::Oneshot { Duration::ZERO } else { seconds(self.startsecs) },
            startretries: self.startretries,
            exitcodes: self.exitcodes.clone(),
            stopsignal: self.stopsignal,
            stopwaitsecs: seconds(self.stopwaitsecs),
            stopasgroup: self.stopasgroup,
            killasgroup: self.killasgroup,
            priority: self.priority,
            kind: self.extras.kind,
            killtree: self.extras.killtree,
            restarts: self.extras.restarts,
            ready: self.extras.ready.as_ref().map(|ready| ready.rule),
            needs: Needs { processes: self.extras.depends_on.needs.clone(), outside: !self.extras.wait_for.is_empty() },
        }
    }
}

impl GroupConfig {
    /// The group as the engine knows it.
    #[must_use]
    pub fn spec(&self) -> GroupSpec {
        GroupSpec {
            name: self.name.clone(),
            priority: self.priority,
            members: self
                .processes
                .iter()
                .map(|process| MemberSpec { name: process.name.clone(), policy: process.policy() })
                .collect(),
            listens: matches!(self.kind, GroupKind::EventListener { .. }),
        }
    }
}

fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or(0))
}
