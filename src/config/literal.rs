//! Text quoted the way Supervisor's messages quote it: as Python's `repr` and `ascii` do.

use std::fmt::Write;

/// `text` as Python's `repr` shows it, quotes included.
#[must_use]
pub fn literal(text: &str) -> String {
    quoted(text, is_printable)
}

/// `text` as Python's `ascii` shows it: like [`literal`], all beyond ASCII escaped.
#[must_use]
pub fn ascii_literal(text: &str) -> String {
    quoted(text, |c| c.is_ascii() && is_printable(c))
}

fn quoted(text: &str, is_plain: fn(char) -> bool) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if is_plain(c) => out.push(c),
            c => push_escaped(&mut out, c),
        }
    }
    out.push(quote);
    out
}

fn push_escaped(out: &mut String, c: char) {
    let code = u32::from(c);
    let written = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

/// Neither control, format, private, unassigned nor a separator other than the blank.
///
/// The standard library keeps that table for `{:?}`, and shows a combining character as it is
/// only behind another character, hence the `a`.
fn is_printable(c: char) -> bool {
    match c {
        '\0'..='\x7f' => c == ' ' || c.is_ascii_graphic(),
        _ => String::from_iter(['a', c]).escape_debug().nth(1) == Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_as_python_does() {
        let cases = [
            ("", "''"),
            ("plain", "'plain'"),
            ("it's", "\"it's\""),
            ("say \"x\"", "'say \"x\"'"),
            ("it's \"x\"", "'it\\'s \"x\"'"),
            ("a\nb\tc\rd\\", "'a\\nb\\tc\\rd\\\\'"),
            ("\0\x1b\x7f", "'\\x00\\x1b\\x7f'"),
            ("é\u{301}", "'é\u{301}'"),
            ("\u{301}", "'\u{301}'"),
            ("\u{a0}\u{ad}", "'\\xa0\\xad'"),
            ("\u{200b}\u{feff}\u{e000}", "'\\u200b\\ufeff\\ue000'"),
            ("😀\u{10ffff}", "'😀\\U0010ffff'"),
        ];
        for (text, expected) in cases {
            assert_eq!(literal(text), expected);
        }
    }

    #[test]
    fn ascii_escapes_what_is_not() {
        assert_eq!(ascii_literal("aé\u{3042}😀\n'"), "\"a\\xe9\\u3042\\U0001f600\\n'\"");
    }
}
