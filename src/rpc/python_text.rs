//! The text that Python's `str` makes of a value: what Supervisor's listeners are told when a client sends a remote event
//! whose type or data is no string.

use std::fmt::Write as _;

use super::value::Value;

/// `str(value)`.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::DateTime(sent) => date_time(sent).map_or_else(
            || sent.clone(),
            |[year, month, day, hour, minute, second]| {
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
            },
        ),
        other => representation(other),
    }
}

/// `repr(value)`: how a value stands in a list.
fn representation(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Double(number) => float(*number),
        Value::String(text) => quoted(text),
        Value::DateTime(sent) => date_time(sent).map_or_else(
            || quoted(sent),
            |fields| {
                // Python leaves out seconds that are zero, and nothing else.
                let shown = if fields[5] == 0 { &fields[..5] } else { &fields[..] };
                format!("datetime.datetime({})", joined(shown.iter().map(u32::to_string)))
            },
        ),
        Value::Array(elements) => format!("[{}]", joined(elements.iter().map(representation))),
        Value::Struct(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", quoted(name), representation(value)));
            format!("{{{}}}", joined(members))
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// The fields of `20240102T03:04:05`, year to second.
fn date_time(sent: &str) -> Option<[u32; 6]> {
    let number = |range: std::ops::Range<usize>| sent.get(range)?.parse().ok();
    Some([number(0..4)?, number(4..6)?, number(6..8)?, number(9..11)?, number(12..14)?, number(15..17)?])
}

/// The shortest digits that mean this number, with an exponent below 1e-4 and from 1e16 on.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// In single quotes, or in double ones if only single ones are inside.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            character if character == quote => out.extend(['\\', quote]),
            character if is_printable(character) => out.push(character),
            character => {
                let code = u32::from(character);
                let (letter, digits) = match code {
                    ..=0xff => ('x', 2),
                    0x100..=0xffff => ('u', 4),
                    _ => ('U', 8),
                };
                // A String takes everything.
                let _ = write!(out, "\\{letter}{code:0digits$x}");
            }
        }
    }
    out.push(quote);
    out
}

/// Rust's idea of what can be shown as it is, which is Python's but for the newest characters. A combining mark is shown
/// behind another character.
fn is_printable(character: char) -> bool {
    let behind: String = ['x', character].iter().collect();
    matches!(character, '"' | '\'') || behind.escape_debug().eq(behind.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    /// Each said by Python.
    #[test]
    fn values_are_told_as_python_tells_them() {
        let moment = || Value::DateTime("20240102T03:04:05".to_owned());
        for (value, expected) in [
            (string("it's"), "it's"),
            (Value::Int(-5), "-5"),
            (Value::Bool(true), "True"),
            (Value::Bool(false), "False"),
            (Value::Double(1.5), "1.5"),
            (Value::Double(2.0), "2.0"),
            (Value::Double(0.1), "0.1"),
            (Value::Double(-0.0), "-0.0"),
            (Value::Double(1e20), "1e+20"),
            (Value::Double(1e16), "1e+16"),
            (Value::Double(123_456_789_012_345.0), "123456789012345.0"),
            (Value::Double(0.0001), "0.0001"),
            (Value::Double(1e-5), "1e-05"),
            (Value::Double(1.25e-7), "1.25e-07"),
            (Value::Double(1e300), "1e+300"),
            (Value::Double(f64::NAN), "nan"),
            (Value::Double(f64::NEG_INFINITY), "-inf"),
            (moment(), "2024-01-02 03:04:05"),
            (Value::DateTime("tomorrow".to_owned()), "tomorrow"),
            (
                Value::Array(vec![moment(), Value::DateTime("20240102T03:04:00".to_owned())]),
                "[datetime.datetime(2024, 1, 2, 3, 4, 5), datetime.datetime(2024, 1, 2, 3, 4)]",
            ),
            (Value::Array(vec![Value::Int(1), string("a"), Value::Bool(true)]), "[1, 'a', True]"),
            (Value::object([("a", Value::Int(1)), ("b", Value::Array(Vec::new()))]), "{'a': 1, 'b': []}"),
            (Value::Array(vec![string("it's"), string("a\"'b")]), "[\"it's\", 'a\"\\'b']"),
            (Value::Array(vec![string("\n\\é\u{7f}\u{200b}\u{1f600}e\u{301}")]), "['\\n\\\\é\\x7f\\u200b😀e\u{301}']"),
        ] {
            assert_eq!(text(&value), expected, "{value:?}");
        }
    }
}
