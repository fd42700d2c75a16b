//! What an event says: its type and the text of its payload.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::event::EventType;
use super::literal::decoded;
use crate::engine::{Channel, Event, Pid, ProcessState};

/// An event as it will be told, to whichever pool asked for its type. The text is made when the event happens, so
/// that what changes later does not show in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// A concrete type.
    pub event: EventType,
    pub payload: String,
}

/// The process an output event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer<'a> {
    pub group: &'a str,
    pub name: &'a str,
    pub pid: Pid,
}

impl Notification {
    /// A change that the engine announced.
    #[must_use]
    pub fn of(event: &Event) -> Notification {
        match event {
            Event::ProcessState { group, name, from, to, tries, pid, expected, .. } => {
                let mut payload = format!("processname:{name} groupname:{group} from_state:{}", from.name());
                let mut add = |key: &str, value: i64| {
                    // Writing to a string cannot fail.
                    let _ = write!(payload, " {key}:{value}");
                };
                match to {
                    ProcessState::Starting | ProcessState::Backoff => add("tries", tries.unwrap_or(0).into()),
                    ProcessState::Running | ProcessState::Stopping | ProcessState::Stopped => {
                        add("pid", pid.unwrap_or(0).into());
                    }
                    ProcessState::Exited => {
                        add("expected", expected.unwrap_or(false).into());
                        add("pid", pid.unwrap_or(0).into());
                    }
                    ProcessState::Fatal | ProcessState::Unknown => {}
                }
                Notification { event: state_event(*to), payload }
            }
            Event::GroupAdded { group } => group_event(EventType::ProcessGroupAdded, group),
            Event::GroupRemoved { group } => group_event(EventType::ProcessGroupRemoved, group),
            Event::SupervisorRunning => {
                Notification { event: EventType::SupervisorStateChangeRunning, payload: String::new() }
            }
            Event::SupervisorStopping => {
                Notification { event: EventType::SupervisorStateChangeStopping, payload: String::new() }
            }
        }
    }

    /// A piece of output, as it was read.
    #[must_use]
    pub fn log(writer: Writer<'_>, channel: Channel, bytes: &[u8]) -> Notification {
        let event = match channel {
            Channel::Stdout => EventType::ProcessLogStdout,
            Channel::Stderr => EventType::ProcessLogStderr,
        };
        let Writer { group, name, pid } = writer;
        let text = decoded(bytes);
        let payload = format!("processname:{name} groupname:{group} pid:{pid} channel:{}\n{text}", channel.name());
        Notification { event, payload }
    }

    /// What was written between capture tags.
    #[must_use]
    pub fn communication(writer: Writer<'_>, channel: Channel, bytes: &[u8]) -> Notification {
        let event = match channel {
            Channel::Stdout => EventType::ProcessCommunicationStdout,
            Channel::Stderr => EventType::ProcessCommunicationStderr,
        };
        let Writer { group, name, pid } = writer;
        let payload = format!("processname:{name} groupname:{group} pid:{pid}\n{}", decoded(bytes));
        Notification { event, payload }
    }

    /// `supervisor.sendRemoteCommEvent`. Nothing in the two texts is escaped or refused.
    #[must_use]
    pub fn remote(kind: &str, data: &str) -> Notification {
        Notification { event: EventType::RemoteCommunication, payload: format!("type:{kind}\n{data}") }
    }

    /// The slice of time that began at `when`, seconds since the epoch.
    #[must_use]
    pub(super) fn tick(event: EventType, when: i64) -> Notification {
        Notification { event, payload: format!("when:{when}") }
    }
}

fn state_event(state: ProcessState) -> EventType {
    match state {
        ProcessState::Stopped => EventType::ProcessStateStopped,
        ProcessState::Starting => EventType::ProcessStateStarting,
        ProcessState::Running => EventType::ProcessStateRunning,
        ProcessState::Backoff => EventType::ProcessStateBackoff,
        ProcessState::Stopping => EventType::ProcessStateStopping,
        ProcessState::Exited => EventType::ProcessStateExited,
        ProcessState::Fatal => EventType::ProcessStateFatal,
        ProcessState::Unknown => EventType::ProcessStateUnknown,
    }
}

/// The only payloads that end with a line feed.
fn group_event(event: EventType, group: &str) -> Notification {
    Notification { event, payload: format!("groupname:{group}\n") }
}

#[cfg(test)]
mod tests {
    use ProcessState as S;

    use super::*;
    use crate::engine::ProcessId;

    fn check(notification: &Notification, name: &str, payload: &str) {
        assert_eq!((notification.event.name(), notification.payload.as_str()), (name, payload));
        assert!(!notification.event.is_abstract());
    }

    fn change(from: S, to: S, tries: Option<u32>, pid: Option<Pid>, expected: Option<bool>) -> Notification {
        let (group, name) = ("g".to_owned(), "p".to_owned());
        let (process, beside) = (ProcessId(1), false);
        Notification::of(&Event::ProcessState { process, group, name, from, to, tries, pid, expected, beside })
    }

    /// Recorded from supervisord 4.3.0, names apart.
    #[test]
    fn state_changes_say_what_supervisor_says() {
        check(
            &change(S::Stopped, S::Starting, Some(0), None, None),
            "PROCESS_STATE_STARTING",
            "processname:p groupname:g from_state:STOPPED tries:0",
        );
        check(
            &change(S::Starting, S::Running, None, Some(22934), None),
            "PROCESS_STATE_RUNNING",
            "processname:p groupname:g from_state:STARTING pid:22934",
        );
        check(
            &change(S::Starting, S::Backoff, Some(1), None, None),
            "PROCESS_STATE_BACKOFF",
            "processname:p groupname:g from_state:STARTING tries:1",
        );
        check(
            &change(S::Running, S::Stopping, None, Some(7), None),
            "PROCESS_STATE_STOPPING",
            "processname:p groupname:g from_state:RUNNING pid:7",
        );
        check(
            &change(S::Running, S::Exited, None, Some(7), Some(false)),
            "PROCESS_STATE_EXITED",
            "processname:p groupname:g from_state:RUNNING expected:0 pid:7",
        );
        check(
            &change(S::Running, S::Exited, None, Some(7), Some(true)),
            "PROCESS_STATE_EXITED",
            "processname:p groupname:g from_state:RUNNING expected:1 pid:7",
        );
        check(
            &change(S::Stopping, S::Stopped, None, Some(7), None),
            "PROCESS_STATE_STOPPED",
            "processname:p groupname:g from_state:STOPPING pid:7",
        );
        check(
            &change(S::Backoff, S::Stopped, None, Some(0), None),
            "PROCESS_STATE_STOPPED",
            "processname:p groupname:g from_state:BACKOFF pid:0",
        );
        check(
            &change(S::Backoff, S::Fatal, None, None, None),
            "PROCESS_STATE_FATAL",
            "processname:p groupname:g from_state:BACKOFF",
        );
        check(
            &change(S::Stopping, S::Unknown, None, None, None),
            "PROCESS_STATE_UNKNOWN",
            "processname:p groupname:g from_state:STOPPING",
        );
    }

    #[test]
    fn groups_and_the_daemon_say_what_supervisor_says() {
        check(&Notification::of(&Event::GroupAdded { group: "cat".into() }), "PROCESS_GROUP_ADDED", "groupname:cat\n");
        check(&Notification::of(&Event::GroupRemoved { group: "é".into() }), "PROCESS_GROUP_REMOVED", "groupname:é\n");
        check(&Notification::of(&Event::SupervisorRunning), "SUPERVISOR_STATE_CHANGE_RUNNING", "");
        check(&Notification::of(&Event::SupervisorStopping), "SUPERVISOR_STATE_CHANGE_STOPPING", "");
        check(&Notification::tick(EventType::Tick5, 1_795_331_985), "TICK_5", "when:1795331985");
    }

    #[test]
    fn output_and_messages_say_what_supervisor_says() {
        let writer = Writer { group: "cap", name: "cap", pid: 30 };
        check(
            &Notification::log(writer, Channel::Stdout, b"abc\n"),
            "PROCESS_LOG_STDOUT",
            "processname:cap groupname:cap pid:30 channel:stdout\nabc\n",
        );
        check(
            &Notification::log(writer, Channel::Stderr, b"\xff"),
            "PROCESS_LOG_STDERR",
            "processname:cap groupname:cap pid:30 channel:stderr\nUndecodable: b'\\xff'",
        );
        check(
            &Notification::communication(writer, Channel::Stdout, b"Hello"),
            "PROCESS_COMMUNICATION_STDOUT",
            "processname:cap groupname:cap pid:30\nHello",
        );
        check(
            &Notification::communication(writer, Channel::Stderr, b""),
            "PROCESS_COMMUNICATION_STDERR",
            "processname:cap groupname:cap pid:30\n",
        );
        check(&Notification::remote("té", "héllo\nw"), "REMOTE_COMMUNICATION", "type:té\nhéllo\nw");
        check(&Notification::remote("", ""), "REMOTE_COMMUNICATION", "type:\n");
    }
}
