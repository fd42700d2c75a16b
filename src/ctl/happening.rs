//! An entry of the history as it is shown.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, fmt::strtime};
use serde_json::json;

use super::answer;
use super::daemon::CallError;
use crate::history::Entry;
use crate::rpc::{Value, printable};

/// What happened once, or several times in the same way. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Happening {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) count: i64,
    pub(super) subject: String,
    pub(super) kind: String,
    pub(super) text: String,
}

impl Happening {
    /// Reads one struct.
    ///
    /// # Errors
    /// A member is missing or of another type.
    pub(super) fn read(value: &Value) -> Result<Happening, CallError> {
        Ok(Happening {
            first: answer::int(value, "first")?,
            last: answer::int(value, "last")?,
            count: answer::int(value, "count")?,
            subject: answer::text(value, "subject")?,
            kind: answer::text(value, "kind")?,
            text: answer::text(value, "text")?,
        })
    }

    pub(super) fn of(entry: Entry) -> Happening {
        Happening {
            first: entry.first / 1000,
            last: entry.last / 1000,
            count: i64::try_from(entry.count).unwrap_or(i64::MAX),
            subject: entry.subject,
            kind: entry.kind.word().to_owned(),
            text: entry.text,
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        json!({
            "first": self.first,
            "last": self.last,
            "count": self.count,
            "subject": self.subject,
            "kind": self.kind,
            "text": self.text,
        })
    }

    /// As a person reads it: `2026-11-30 10:00:00  web  BACKOFF: exit status 1 (37 times since 2026-11-30 09:00:00)`.
    pub(super) fn text(&self, zone: &TimeZone) -> String {
        let subject = if self.subject.is_empty() { "galaxyd" } else { &self.subject };
        let mut text = format!("{}  {subject}  {}", local(self.last, zone), self.text);
        if self.count > 1 {
            // Writing to a String cannot fail.
            let _ = write!(text, " ({} times since {})", self.count, local(self.first, zone));
        }
        printable(&text)
    }
}

/// A time as people read it.
pub(super) fn local(seconds: i64, zone: &TimeZone) -> String {
    Timestamp::from_second(seconds)
        .ok()
        .and_then(|time| strtime::format("%Y-%m-%d %H:%M:%S", &time.to_zoned(zone.clone())).ok())
        .unwrap_or_else(|| seconds.to_string())
}
