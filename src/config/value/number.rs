//! Numbers: plain, sizes, octal, ports, exit codes.

use super::ValueError;

/// What Python's `int` gives for a text, without knowledge of digits beyond ASCII.
enum Number {
    Is(i64),
    /// A number, but beyond 64 bits.
    TooLarge,
    Not,
}

/// Blanks around, one sign, digits with single underscores between them; octal may begin `0o`.
fn read(text: &str, radix: u32) -> Number {
    let text = trimmed(text);
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => ("-", text.get(1..)),
        Some(b'+') => ("", text.get(1..)),
        _ => ("", Some(text)),
    };
    let digits = digits.unwrap_or_default();
    let is_marked = |rest: &str| radix == 8 && rest.len() > 2 && (rest.starts_with("0o") || rest.starts_with("0O"));
    let digits = match digits.get(2..) {
        Some(rest) if is_marked(digits) => rest.strip_prefix('_').unwrap_or(rest),
        _ => digits,
    };
    if !digits.split('_').all(|run| !run.is_empty() && run.chars().all(|c| c.is_digit(radix))) {
        return Number::Not;
    }
    let digits = digits.replace('_', "");
    match i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        Ok(number) => Number::Is(number),
        Err(_) => Number::TooLarge,
    }
}

/// Python drops fewer kinds of blanks from a text that is all ASCII.
fn trimmed(text: &str) -> &str {
    if text.is_ascii() { text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']) } else { text.trim() }
}

/// A whole number.
///
/// # Errors
/// If it is none, or does not fit 64 bits.
pub fn integer(text: &str) -> Result<i64, ValueError> {
    match read(text, 10) {
        Number::Is(number) => Ok(number),
        Number::TooLarge => Err(ValueError::TooLarge { found: text.to_owned() }),
        Number::Not => Err(ValueError::NotInteger { found: text.to_owned() }),
    }
}

/// A number of bytes; `KB`, `MB` and `GB` in any case multiply by powers of 1024.
///
/// # Errors
/// If it is none, or does not fit 64 bits.
pub fn byte_size(text: &str) -> Result<i64, ValueError> {
    let lower = text.to_lowercase();
    let (number, factor) = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1_i64 << 30)]
        .into_iter()
        .find_map(|(suffix, factor)| Some((lower.strip_suffix(suffix)?, factor)))
        .unwrap_or((&lower, 1));
    let too_large = || ValueError::TooLarge { found: text.to_owned() };
    match read(number, 10) {
        Number::Is(number) => number.checked_mul(factor).ok_or_else(too_large),
        Number::TooLarge => Err(too_large()),
        Number::Not => Err(ValueError::NotByteSize { found: number.to_owned() }),
    }
}

/// Permission bits, written in octal with or without `0o`.
///
/// # Errors
/// If it is no octal number; and, which Supervisor lets pass, if it is negative or beyond 32 bits.
pub fn octal(text: &str) -> Result<u32, ValueError> {
    let out_of_range = || ValueError::ModeOutOfRange { found: text.to_owned() };
    match read(text, 8) {
        Number::Is(number) => u32::try_from(number).map_err(|_| out_of_range()),
        Number::TooLarge => Err(out_of_range()),
        Number::Not => Err(ValueError::NotOctal { found: text.to_owned() }),
    }
}

/// A TCP port.
///
/// # Errors
/// If it is no number between 1 and 65535.
pub fn port_number(text: &str) -> Result<u16, ValueError> {
    let number = match read(text, 10) {
        Number::Is(number) => number,
        Number::TooLarge if trimmed(text).starts_with('-') => i64::MIN,
        Number::TooLarge => i64::MAX,
        Number::Not => return Err(ValueError::NotInteger { found: text.to_owned() }),
    };
    match u16::try_from(number) {
        Ok(port @ 1..) => Ok(port),
        _ if number < 1 => Err(ValueError::BelowBound { found: normalised(text), bound: 1 }),
        _ => Err(ValueError::AboveBound { found: normalised(text), bound: 65535 }),
    }
}

/// A number of any size as Python writes it back.
fn normalised(text: &str) -> String {
    let digits: String = trimmed(text).chars().filter(char::is_ascii_digit).collect();
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits if trimmed(text).starts_with('-') => format!("-{digits}"),
        digits => digits.to_owned(),
    }
}

/// Exit codes with commas. An empty text is an empty list.
///
/// # Errors
/// If one of them is no number between 0 and 255.
pub fn exit_codes(text: &str) -> Result<Vec<i32>, ValueError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let code = |part| match read(part, 10) {
        Number::Is(code @ 0..=255) => i32::try_from(code).ok(),
        Number::Is(_) | Number::TooLarge | Number::Not => None,
    };
    let codes: Option<Vec<_>> = text.split(',').map(code).collect();
    codes.ok_or_else(|| ValueError::NotExitCodes { found: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, ValueError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn integers_are_pythons() {
        for (text, expected) in [
            ("10", 10),
            (" \t-5\n", -5),
            ("+5", 5),
            ("007", 7),
            ("-0", 0),
            ("1_000", 1000),
            ("\u{a0}1\u{85}", 1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integer(text), Ok(expected), "{text:?}");
        }
        for text in ["", " ", "x", "1.5", "0x1", "1__0", "_1", "1_", "+ 1", "--1", "+", "\x1c1", "1\0", "1 2"] {
            let expected = format!("invalid literal for int() with base 10: {}", crate::config::literal(text));
            assert_eq!(refused(integer(text)), expected);
        }
        assert_eq!(refused(integer("9223372036854775808")), "9223372036854775808 is too large a number");
        let long = "a".repeat(300);
        assert_eq!(refused(integer(&long)), format!("invalid literal for int() with base 10: '{}", "a".repeat(199)));
    }

    #[test]
    fn sizes_have_suffixes() {
        for (text, expected) in
            [("0", 0), ("50MB", 52_428_800), ("1kb", 1024), ("2 Gb", 2 << 30), ("-1KB", -1024), ("1_0kB", 10240)]
        {
            assert_eq!(byte_size(text), Ok(expected), "{text:?}");
        }
        assert_eq!(refused(byte_size("10X")), "invalid literal for int() with base 10: '10x'");
        assert_eq!(refused(byte_size("MB")), "invalid literal for int() with base 10: ''");
        assert_eq!(refused(byte_size("1.5MB")), "invalid literal for int() with base 10: '1.5'");
        assert_eq!(refused(byte_size("50MB ")), "invalid literal for int() with base 10: '50mb '");
        assert_eq!(refused(byte_size("9999999999GB")), "9999999999GB is too large a number");
    }

    #[test]
    fn modes_are_octal() {
        for (text, expected) in [("022", 0o22), ("0o700", 0o700), ("0O7", 7), ("0o_22", 0o22), (" 7_5 ", 0o75)] {
            assert_eq!(octal(text), Ok(expected), "{text:?}");
        }
        for text in ["", "8", "0x1", "0o", "0o__2", "o22", "rwx"] {
            assert_eq!(refused(octal(text)), format!("{text} can not be converted to an octal type"));
        }
        assert_eq!(refused(octal("-22")), "-22 is no file mode");
    }

    #[test]
    fn ports_have_bounds() {
        assert_eq!(port_number("9001"), Ok(9001));
        assert_eq!(refused(port_number("0")), "0 is below lower bound (1)");
        assert_eq!(refused(port_number("-1")), "-1 is below lower bound (1)");
        assert_eq!(refused(port_number("-0")), "0 is below lower bound (1)");
        let huge = refused(port_number(" +0_99999999999999999999 "));
        assert_eq!(huge, "99999999999999999999 is above upper bound (65535)");
        assert_eq!(refused(port_number("65536")), "65536 is above upper bound (65535)");
    }

    #[test]
    fn exit_codes_are_bytes() {
        assert_eq!(exit_codes(""), Ok(vec![]));
        assert_eq!(exit_codes("0, 2,255"), Ok(vec![0, 2, 255]));
        for text in ["256", "-1", "0,", ",", " ", "x", "0;1", "99999999999999999999"] {
            assert_eq!(refused(exit_codes(text)), format!("not a valid list of exit codes: '{text}'"));
        }
    }

    proptest! {
        #[test]
        fn every_number_is_read_back(number: i64) {
            prop_assert_eq!(integer(&number.to_string()), Ok(number));
            prop_assert_eq!(byte_size(&number.to_string()), Ok(number));
        }

        #[test]
        fn nothing_panics(text in "[ _+\\-0-9oOkKmMbB,é]{0,8}") {
            let _ = (integer(&text), byte_size(&text), octal(&text), port_number(&text), exit_codes(&text));
        }
    }
}
