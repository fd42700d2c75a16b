//! Python's way of showing bytes, which Supervisor's texts contain.

use std::fmt::Write;

/// `bytes` as Python's `repr` shows them: `b'READY\n'`.
#[must_use]
pub(super) fn bytes_literal(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    let mut out = String::with_capacity(bytes.len() + 3);
    out.push('b');
    out.push(char::from(quote));
    for &byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            byte if byte == quote => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            byte => drop(write!(out, "\\x{byte:02x}")),
        }
    }
    out.push(char::from(quote));
    out
}

/// Output as texts show it: as it is, or, where it is not UTF-8, `Undecodable: ` and the literal.
/// Source: Supervisor 4.3.0, events.py, `payload`; dispatchers.py, `_log`.
#[must_use]
pub fn decoded(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("Undecodable: {}", bytes_literal(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_python_does() {
        // Each right-hand side is what CPython 3.11 printed.
        for (bytes, shown) in [
            (b"".as_slice(), "b''"),
            (b"READY\n", r"b'READY\n'"),
            (b"a'b", r#"b"a'b""#),
            (b"a'b\"c", r#"b'a\'b"c'"#),
            (b"a\"b", r#"b'a"b'"#),
            (b"\\ \t\r\n\x00\x1f\x7f\x80\xff~", r"b'\\ \t\r\n\x00\x1f\x7f\x80\xff~'"),
            ("é".as_bytes(), r"b'\xc3\xa9'"),
        ] {
            assert_eq!(bytes_literal(bytes), shown);
        }
    }

    #[test]
    fn only_what_is_no_text_becomes_a_literal() {
        assert_eq!(decoded("hé\nllo".as_bytes()), "hé\nllo");
        assert_eq!(decoded(b"\xffbad it's"), r#"Undecodable: b"\xffbad it's""#);
        // A surrogate, an overlong form, a character cut short.
        assert_eq!(decoded(b"\xed\xa0\x80"), r"Undecodable: b'\xed\xa0\x80'");
        assert_eq!(decoded(b"\xc0\x80"), r"Undecodable: b'\xc0\x80'");
        assert_eq!(decoded(b"h\xc3"), r"Undecodable: b'h\xc3'");
    }
}
