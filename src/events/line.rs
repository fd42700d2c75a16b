//! The lines that events and listeners leave in the activity log, worded as Supervisor's.
//!
//! A line is data until someone wants its text: most are debug lines that nobody reads.

use std::fmt;

use super::listener::ListenerState;
use super::literal::{bytes_literal, decoded};
use crate::config::literal;
use crate::engine::Channel;

/// How important a line is, in the activity log's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warn,
    Debug,
}

/// One line; `Display` gives the text. Listeners are named by their bare process names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A listener wrote to its standard output.
    Output {
        listener: String,
        bytes: Vec<u8>,
    },
    Moved {
        listener: String,
        from: ListenerState,
        to: ListenerState,
    },
    /// It entered UNKNOWN.
    Lost {
        listener: String,
    },
    BadResult {
        listener: String,
        line: Vec<u8>,
    },
    Processed {
        listener: String,
    },
    Rejected {
        listener: String,
    },
    Sent {
        serial: u64,
        listener: String,
    },
    /// The listener's standard input is closed.
    NotSent {
        serial: u64,
        listener: String,
    },
    /// An event goes back to the head of its queue, where `waiting` others were.
    Requeued {
        serial: u64,
        pool: String,
        waiting: usize,
        buffer_size: usize,
    },
    Dropped {
        serial: u64,
        pool: String,
    },
    /// Ours: what Supervisor says with a line for each event. `first` and `last` are serials.
    DroppedMore {
        pool: String,
        count: u64,
        first: u64,
        last: u64,
        seconds: u64,
    },
    /// A block between capture tags was complete.
    Communicated {
        process: String,
        channel: Channel,
    },
    /// Ours: a worker died between deciding to send an event and knowing that it was sent.
    Doubtful {
        serial: u64,
        listener: String,
    },
    /// Ours: it owed an answer for longer than `answer_timeout`, `serial` being the event in its hand.
    Late {
        listener: String,
        state: ListenerState,
        serial: Option<u64>,
        seconds: u64,
    },
    /// Ours: output of a listener was lost on its way to us; what follows is heard as if nothing was missing.
    Missing {
        listener: String,
        bytes: u64,
    },
}

impl Line {
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Line::Dropped { .. } | Line::DroppedMore { .. } => Severity::Error,
            Line::Lost { .. }
            | Line::BadResult { .. }
            | Line::Rejected { .. }
            | Line::Doubtful { .. }
            | Line::Late { .. }
            | Line::Missing { .. } => Severity::Warn,
            Line::Output { .. }
            | Line::Moved { .. }
            | Line::Processed { .. }
            | Line::Sent { .. }
            | Line::NotSent { .. }
            | Line::Requeued { .. }
            | Line::Communicated { .. } => Severity::Debug,
        }
    }
}

/// Source of the texts: Supervisor 4.3.0, dispatchers.py and process.py.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Output { listener, bytes } => {
                write!(f, "{} stdout output:\n{}", literal(listener), bytes_literal(bytes))
            }
            Line::Moved { listener, from, to } => write!(f, "{listener}: {} -> {}", from.name(), to.name()),
            Line::Lost { listener } => write!(
                f,
                "{listener}: has entered the UNKNOWN state and will no longer receive events, this usually indicates \
                 the process violated the eventlistener protocol"
            ),
            Line::BadResult { listener, line } => write!(f, "{listener}: bad result line: '{}'", decoded(line)),
            Line::Processed { listener } => write!(f, "{listener}: event was processed"),
            Line::Rejected { listener } => write!(f, "{listener}: event was rejected"),
            Line::Sent { serial, listener } => write!(f, "event {serial} sent to listener {listener}"),
            Line::NotSent { serial, listener } => write!(
                f,
                "epipe occurred while sending event {serial} to listener {listener}, listener state unchanged"
            ),
            Line::Requeued { serial, pool, waiting, buffer_size } => {
                write!(f, "rebuffering event {serial} for pool {pool} (buf size={waiting}, max={buffer_size})")
            }
            Line::Dropped { serial, pool } => {
                write!(f, "pool {pool} event buffer overflowed, discarding event {serial}")
            }
            Line::DroppedMore { pool, count, first, last, seconds } => write!(
                f,
                "pool {pool} event buffer overflowed, discarded {count} more events in the last {seconds} seconds \
                 (serials {first} to {last}); its listeners are too slow, or buffer_size is too small"
            ),
            Line::Communicated { process, channel } => {
                write!(f, "{} {} emitted a comm event", literal(process), channel.name())
            }
            Line::Doubtful { serial, listener } => write!(
                f,
                "{listener}: a worker ended while it sent event {serial}; waiting for an answer to it, restart the \
                 listener if none comes"
            ),
            Line::Late { listener, state, serial, seconds } => {
                write!(f, "{listener}: has been {} for {seconds} seconds", state.name())?;
                if let Some(serial) = serial {
                    write!(f, ", with event {serial} in its hands")?;
                }
                f.write_str("; it is started anew (answer_timeout)")
            }
            Line::Missing { listener, bytes } => {
                write!(f, "{listener}: {bytes} bytes of its output were lost on the way, its answers may be misread")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &Line, severity: Severity, text: &str) {
        assert_eq!((line.severity(), line.to_string().as_str()), (severity, text));
    }

    /// Recorded from supervisord 4.3.0 at loglevel debug, but for those that are ours.
    #[test]
    fn lines_are_worded_as_supervisors() {
        use Severity::{Debug, Error, Warn};
        let name = || "bad".to_owned();
        let (pool, listener, line) = (name(), name(), "OKé'".as_bytes().to_vec());
        check(
            &Line::Output { listener: name(), bytes: b"OK\xc3\xa9'\nREADY\n".to_vec() },
            Debug,
            "'bad' stdout output:\nb\"OK\\xc3\\xa9'\\nREADY\\n\"",
        );
        check(
            &Line::Moved { listener: name(), from: ListenerState::Busy, to: ListenerState::Unknown },
            Debug,
            "bad: BUSY -> UNKNOWN",
        );
        check(
            &Line::Lost { listener: name() },
            Warn,
            "bad: has entered the UNKNOWN state and will no longer receive events, this usually indicates the process \
             violated the eventlistener protocol",
        );
        check(&Line::BadResult { listener: name(), line }, Warn, "bad: bad result line: 'OKé''");
        check(
            &Line::BadResult { listener: name(), line: b"\xff".to_vec() },
            Warn,
            r"bad: bad result line: 'Undecodable: b'\xff''",
        );
        check(&Line::Processed { listener: name() }, Debug, "bad: event was processed");
        check(&Line::Rejected { listener: name() }, Warn, "bad: event was rejected");
        check(&Line::Sent { serial: 5, listener: name() }, Debug, "event 5 sent to listener bad");
        check(
            &Line::NotSent { serial: 5, listener },
            Debug,
            "epipe occurred while sending event 5 to listener bad, listener state unchanged",
        );
        check(
            &Line::Requeued { serial: 5, pool: name(), waiting: 10, buffer_size: 10 },
            Debug,
            "rebuffering event 5 for pool bad (buf size=10, max=10)",
        );
        check(&Line::Dropped { serial: 7, pool }, Error, "pool bad event buffer overflowed, discarding event 7");
        check(
            &Line::DroppedMore { pool: name(), count: 12, first: 8, last: 30, seconds: 10 },
            Error,
            "pool bad event buffer overflowed, discarded 12 more events in the last 10 seconds (serials 8 to 30); its \
             listeners are too slow, or buffer_size is too small",
        );
        check(
            &Line::Communicated { process: "cap".to_owned(), channel: Channel::Stdout },
            Debug,
            "'cap' stdout emitted a comm event",
        );
    }
}
