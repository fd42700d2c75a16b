//! The bytes a listener reads: header line and payload.

use serde::{Deserialize, Serialize};

use super::payload::Notification;

/// What `len:` counts. Supervisor 4.3.0 counts characters while it sends UTF-8, which suits listeners that read text;
/// its manual says bytes, which suits those that read bytes. For ASCII there is no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthUnit {
    #[default]
    Characters,
    Bytes,
}

/// The two numbers of one event in one pool; the same each time it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Serials {
    /// Of the daemon: the same in every pool.
    pub serial: u64,
    pub pool_serial: u64,
}

/// Header line and payload. `server` is the daemon's identifier.
/// Source: Supervisor 4.3.0, process.py, `_eventEnvelope`.
#[must_use]
pub(super) fn envelope(
    server: &str,
    pool: &str,
    serials: Serials,
    unit: LengthUnit,
    notification: &Notification,
) -> Vec<u8> {
    let Notification { event, payload } = notification;
    let Serials { serial, pool_serial } = serials;
    let len = match unit {
        LengthUnit::Characters => payload.chars().count(),
        LengthUnit::Bytes => payload.len(),
    };
    format!(
        "ver:3.0 server:{server} serial:{serial} pool:{pool} poolserial:{pool_serial} eventname:{event} len:{len}\n\
         {payload}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::event::EventType;

    fn check(unit: LengthUnit, payload: &str, expected: &str) {
        let notification = Notification { event: EventType::Tick5, payload: payload.to_owned() };
        let serials = Serials { serial: 21, pool_serial: 10 };
        let bytes = envelope("supervisor", "listener", serials, unit, &notification);
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn an_envelope_is_a_header_line_and_the_payload_as_it_is() {
        check(
            LengthUnit::Characters,
            "when:1795331985",
            "ver:3.0 server:supervisor serial:21 pool:listener poolserial:10 eventname:TICK_5 len:15\nwhen:1795331985",
        );
        check(
            LengthUnit::Characters,
            "",
            "ver:3.0 server:supervisor serial:21 pool:listener poolserial:10 eventname:TICK_5 len:0\n",
        );
    }

    #[test]
    fn the_length_counts_characters_unless_bytes_are_asked_for() {
        let header = "ver:3.0 server:supervisor serial:21 pool:listener poolserial:10 eventname:TICK_5";
        check(LengthUnit::Characters, "é€😀", &format!("{header} len:3\né€😀"));
        check(LengthUnit::Bytes, "é€😀", &format!("{header} len:9\né€😀"));
    }
}
