//! What a scalar means: YAML 1.1 as `PyYAML` resolves it.

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Without quotes, escapes resolved, folded lines joined.
    pub text: String,
    /// Quoted, a block (`|`, `>`) or tagged `!!str`: it is text whatever it looks like.
    pub is_quoted: bool,
}

/// What `PyYAML` makes of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    Null,
    Boolean(bool),
    /// Beyond 64 bits a number is a [`Meaning::Float`].
    Integer(i64),
    Float(f64),
    /// Dates, too: no option of Galaxy is one.
    Text(String),
}

impl Scalar {
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        if self.is_quoted {
            return Meaning::Text(self.text.clone());
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Meaning::Boolean(true),
            "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Meaning::Boolean(false),
            text => integer(text).or_else(|| float(text)).unwrap_or_else(|| Meaning::Text(text.to_owned())),
        }
    }
}

/// Sign and the rest.
fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Decimal, octal with a leading zero, hexadecimal, binary, and base sixty (`1:30` is 90); underscores are skipped.
fn integer(text: &str) -> Option<Meaning> {
    let (is_negative, body) = signed(text);
    let (base, digits) = match body.as_bytes() {
        [b'0'] => (10, body),
        [b'0', b'b', ..] => (2, body.get(2..)?),
        [b'0', b'x', ..] => (16, body.get(2..)?),
        [b'0', ..] => (8, body.get(1..)?),
        [b'1'..=b'9', ..] if body.contains(':') => return base_sixty(body).map(|value| number(value, is_negative)),
        [b'1'..=b'9', ..] => (10, body),
        _ => return None,
    };
    let plain: String = digits.chars().filter(|letter| *letter != '_').collect();
    if plain.is_empty() || !plain.chars().all(|letter| letter.is_digit(base)) {
        return None;
    }
    let value = plain
        .chars()
        .filter_map(|letter| letter.to_digit(base))
        .try_fold(0i128, |value, digit| value.checked_mul(i128::from(base))?.checked_add(i128::from(digit)));
    Some(value.map_or(Meaning::Float(f64::INFINITY), |value| number(value, is_negative)))
}

fn number(value: i128, is_negative: bool) -> Meaning {
    let value = if is_negative { -value } else { value };
    #[expect(clippy::cast_precision_loss, reason = "a number that large is only compared")]
    i64::try_from(value).map_or(Meaning::Float(value as f64), Meaning::Integer)
}

fn base_sixty(body: &str) -> Option<i128> {
    let mut parts = body.split(':');
    let first: String = parts.next()?.chars().filter(|letter| *letter != '_').collect();
    let mut value = first.chars().all(|letter| letter.is_ascii_digit()).then(|| first.parse::<i128>().ok())??;
    for part in parts {
        let is_digits = matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
        let digit = part.parse::<i128>().ok().filter(|digit| is_digits && *digit < 60)?;
        value = value.checked_mul(60)?.checked_add(digit)?;
    }
    Some(value)
}

/// With a point; an exponent needs a sign, as in `PyYAML`. Base sixty with a point is text here: no option is one.
fn float(text: &str) -> Option<Meaning> {
    let (is_negative, body) = signed(text);
    let sign = if is_negative { -1.0 } else { 1.0 };
    if matches!(body, ".inf" | ".Inf" | ".INF") {
        return Some(Meaning::Float(sign * f64::INFINITY));
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Meaning::Float(f64::NAN));
    }
    let (mantissa, exponent) =
        body.split_once(['e', 'E']).map_or((body, None), |(before, after)| (before, Some(after)));
    let (whole, fraction) = mantissa.split_once('.')?;
    let is_written = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let is_begun = if whole.is_empty() {
        text == body && fraction.as_bytes().first().is_some_and(u8::is_ascii_digit)
    } else {
        whole.as_bytes().first().is_some_and(u8::is_ascii_digit)
    };
    let is_raised = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !(is_begun && is_written(whole) && is_written(fraction) && is_raised) {
        return None;
    }
    let plain: String = body.chars().filter(|letter| *letter != '_').collect();
    plain.parse::<f64>().ok().map(|value| Meaning::Float(sign * value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &Meaning) {
        let scalar = Scalar { text: text.to_owned(), is_quoted: false };
        assert_eq!(&scalar.meaning(), expected, "{text:?}");
    }

    /// Each was asked of `PyYAML` 6.
    #[test]
    fn plain_scalars_mean_what_pyyaml_says() {
        for text in ["", "~", "null", "NULL"] {
            check(text, &Meaning::Null);
        }
        for (text, value) in [("yes", true), ("On", true), ("FALSE", false), ("off", false)] {
            check(text, &Meaning::Boolean(value));
        }
        let integers = [
            ("0", 0),
            ("-0", 0),
            ("022", 18),
            ("+12", 12),
            ("1_000", 1000),
            ("0x1F", 31),
            ("0b101", 5),
            ("1:30", 90),
            ("-1:00:00", -3600),
            ("9223372036854775807", i64::MAX),
        ];
        for (text, value) in integers {
            check(text, &Meaning::Integer(value));
        }
        for (text, value) in [("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1.5e+3", 1500.0), ("-.inf", f64::NEG_INFINITY)]
        {
            check(text, &Meaning::Float(value));
        }
        for text in ["y", "tRUE", "1e3", "1.5e3", "089", "0o17", "1:99", "127.0.0.1", "localhost:8080", "-", "-.5", "x"]
        {
            check(text, &Meaning::Text(text.to_owned()));
        }
    }

    #[test]
    fn quoted_scalars_are_text() {
        let scalar = Scalar { text: "022".to_owned(), is_quoted: true };
        assert_eq!(scalar.meaning(), Meaning::Text("022".to_owned()));
    }
}
