//! The types of events: their names and which name includes which.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Every name that `events=` of an `[eventlistener:x]` may hold. Abstract ones are subscribed to, never sent.
/// Source: Supervisor 4.3.0, events.py, `EventTypes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum EventType {
    Event,
    ProcessState,
    ProcessStateStopped,
    ProcessStateExited,
    ProcessStateStarting,
    ProcessStateStopping,
    ProcessStateBackoff,
    ProcessStateFatal,
    ProcessStateRunning,
    ProcessStateUnknown,
    ProcessCommunication,
    ProcessCommunicationStdout,
    ProcessCommunicationStderr,
    ProcessLog,
    ProcessLogStdout,
    ProcessLogStderr,
    RemoteCommunication,
    SupervisorStateChange,
    SupervisorStateChangeRunning,
    SupervisorStateChangeStopping,
    Tick,
    Tick5,
    Tick60,
    Tick3600,
    ProcessGroup,
    ProcessGroupAdded,
    ProcessGroupRemoved,
}

impl EventType {
    pub const ALL: [EventType; 27] = [
        EventType::Event,
        EventType::ProcessState,
        EventType::ProcessStateStopped,
        EventType::ProcessStateExited,
        EventType::ProcessStateStarting,
        EventType::ProcessStateStopping,
        EventType::ProcessStateBackoff,
        EventType::ProcessStateFatal,
        EventType::ProcessStateRunning,
        EventType::ProcessStateUnknown,
        EventType::ProcessCommunication,
        EventType::ProcessCommunicationStdout,
        EventType::ProcessCommunicationStderr,
        EventType::ProcessLog,
        EventType::ProcessLogStdout,
        EventType::ProcessLogStderr,
        EventType::RemoteCommunication,
        EventType::SupervisorStateChange,
        EventType::SupervisorStateChangeRunning,
        EventType::SupervisorStateChangeStopping,
        EventType::Tick,
        EventType::Tick5,
        EventType::Tick60,
        EventType::Tick3600,
        EventType::ProcessGroup,
        EventType::ProcessGroupAdded,
        EventType::ProcessGroupRemoved,
    ];

    /// As configurations and headers spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EventType::Event => "EVENT",
            EventType::ProcessState => "PROCESS_STATE",
            EventType::ProcessStateStopped => "PROCESS_STATE_STOPPED",
            EventType::ProcessStateExited => "PROCESS_STATE_EXITED",
            EventType::ProcessStateStarting => "PROCESS_STATE_STARTING",
            EventType::ProcessStateStopping => "PROCESS_STATE_STOPPING",
            EventType::ProcessStateBackoff => "PROCESS_STATE_BACKOFF",
            EventType::ProcessStateFatal => "PROCESS_STATE_FATAL",
            EventType::ProcessStateRunning => "PROCESS_STATE_RUNNING",
            EventType::ProcessStateUnknown => "PROCESS_STATE_UNKNOWN",
            EventType::ProcessCommunication => "PROCESS_COMMUNICATION",
            EventType::ProcessCommunicationStdout => "PROCESS_COMMUNICATION_STDOUT",
            EventType::ProcessCommunicationStderr => "PROCESS_COMMUNICATION_STDERR",
            EventType::ProcessLog => "PROCESS_LOG",
            EventType::ProcessLogStdout => "PROCESS_LOG_STDOUT",
            EventType::ProcessLogStderr => "PROCESS_LOG_STDERR",
            EventType::RemoteCommunication => "REMOTE_COMMUNICATION",
            EventType::SupervisorStateChange => "SUPERVISOR_STATE_CHANGE",
            EventType::SupervisorStateChangeRunning => "SUPERVISOR_STATE_CHANGE_RUNNING",
            EventType::SupervisorStateChangeStopping => "SUPERVISOR_STATE_CHANGE_STOPPING",
            EventType::Tick => "TICK",
            EventType::Tick5 => "TICK_5",
            EventType::Tick60 => "TICK_60",
            EventType::Tick3600 => "TICK_3600",
            EventType::ProcessGroup => "PROCESS_GROUP",
            EventType::ProcessGroupAdded => "PROCESS_GROUP_ADDED",
            EventType::ProcessGroupRemoved => "PROCESS_GROUP_REMOVED",
        }
    }

    /// The type of this exact name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<EventType> {
        EventType::ALL.into_iter().find(|event| event.name() == name)
    }

    /// The abstract type directly above; `None` for `EVENT` itself.
    #[must_use]
    pub fn parent(self) -> Option<EventType> {
        match self {
            EventType::Event => None,
            EventType::ProcessState
            | EventType::ProcessCommunication
            | EventType::ProcessLog
            | EventType::RemoteCommunication
            | EventType::SupervisorStateChange
            | EventType::Tick
            | EventType::ProcessGroup => Some(EventType::Event),
            EventType::ProcessStateStopped
            | EventType::ProcessStateExited
            | EventType::ProcessStateStarting
            | EventType::ProcessStateStopping
            | EventType::ProcessStateBackoff
            | EventType::ProcessStateFatal
            | EventType::ProcessStateRunning
            | EventType::ProcessStateUnknown => Some(EventType::ProcessState),
            EventType::ProcessCommunicationStdout | EventType::ProcessCommunicationStderr => {
                Some(EventType::ProcessCommunication)
            }
            EventType::ProcessLogStdout | EventType::ProcessLogStderr => Some(EventType::ProcessLog),
            EventType::SupervisorStateChangeRunning | EventType::SupervisorStateChangeStopping => {
                Some(EventType::SupervisorStateChange)
            }
            EventType::Tick5 | EventType::Tick60 | EventType::Tick3600 => Some(EventType::Tick),
            EventType::ProcessGroupAdded | EventType::ProcessGroupRemoved => Some(EventType::ProcessGroup),
        }
    }

    /// Whether a subscription to `self` is one to `other` too: itself, and everything below it.
    #[must_use]
    pub fn includes(self, other: EventType) -> bool {
        let mut at = Some(other);
        while let Some(event) = at {
            if event == self {
                return true;
            }
            at = event.parent();
        }
        false
    }

    /// Whether there are other types below it: such a type is never sent itself.
    #[must_use]
    pub fn is_abstract(self) -> bool {
        EventType::ALL.into_iter().any(|event| event.parent() == Some(self))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<EventType> for &'static str {
    fn from(event: EventType) -> &'static str {
        event.name()
    }
}

/// A name that no event has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown event type {0}")]
pub struct UnknownEventType(pub String);

impl TryFrom<String> for EventType {
    type Error = UnknownEventType;
    fn try_from(name: String) -> Result<EventType, UnknownEventType> {
        EventType::from_name(&name).ok_or(UnknownEventType(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python's classes inherit, as `issubclass` tells it: each type with all that a subscription to it delivers
    /// (Supervisor 4.3.0).
    const DELIVERED: [(&str, &[&str]); 9] = [
        ("PROCESS_STATE", &["STOPPED", "EXITED", "STARTING", "STOPPING", "BACKOFF", "FATAL", "RUNNING", "UNKNOWN"]),
        ("PROCESS_COMMUNICATION", &["STDOUT", "STDERR"]),
        ("PROCESS_LOG", &["STDOUT", "STDERR"]),
        ("SUPERVISOR_STATE_CHANGE", &["RUNNING", "STOPPING"]),
        ("TICK", &["5", "60", "3600"]),
        ("PROCESS_GROUP", &["ADDED", "REMOVED"]),
        ("REMOTE_COMMUNICATION", &[]),
        ("TICK_5", &[]),
        ("PROCESS_STATE_FATAL", &[]),
    ];

    #[test]
    fn a_subscription_includes_what_is_below_it_and_nothing_else() {
        for (name, below) in DELIVERED {
            let subscribed = EventType::from_name(name).unwrap();
            for event in EventType::ALL {
                let expected =
                    event.name() == name || below.iter().any(|suffix| event.name() == format!("{name}_{suffix}"));
                assert_eq!(subscribed.includes(event), expected, "{name} {event}");
            }
            assert_eq!(subscribed.is_abstract(), !below.is_empty(), "{name}");
        }
    }

    #[test]
    fn event_includes_everything() {
        assert!(EventType::ALL.into_iter().all(|event| EventType::Event.includes(event)));
        assert_eq!(EventType::ALL.into_iter().filter(|event| event.is_abstract()).count(), 7);
    }

    #[test]
    fn names_are_those_that_configurations_may_hold_and_survive_a_journal() {
        for event in EventType::ALL {
            assert!(crate::config::value::EVENT_TYPES.contains(&event.name()), "{event}");
            assert_eq!(EventType::from_name(event.name()), Some(event));
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(text, format!("\"{event}\""));
            assert_eq!(serde_json::from_str::<EventType>(&text).unwrap(), event);
        }
        assert_eq!(crate::config::value::EVENT_TYPES.len(), EventType::ALL.len());
        assert_eq!(EventType::from_name("tick_5"), None);
        assert!(serde_json::from_str::<EventType>("\"NOPE\"").is_err());
    }
}
