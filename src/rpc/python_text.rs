//! The text that Python's `str` makes of a value: what Supervisor's listeners are told when a client sends a remote event
//! whose type or data is no string.

use super::value::Value;
use crate::config::literal;

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
        Value::String(text) => literal(text),
        Value::DateTime(sent) => date_time(sent).map_or_else(
            || literal(sent),
            |[minutes @ .., second]| {
                // Python leaves out seconds that are zero, and nothing else.
                let second = (second != 0).then_some(second);
                format!(
                    "datetime.datetime({})",
                    joined(minutes.into_iter().chain(second).map(|field| field.to_string()))
                )
            },
        ),
        Value::Array(elements) => format!("[{}]", joined(elements.iter().map(representation))),
        Value::Struct(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", literal(name), representation(value)));
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
