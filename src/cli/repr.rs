//! Python's quoted form of a text, which Supervisor's messages show.

use std::fmt::Write as _;

/// `text` as Python's `repr` writes a string: single quotes unless only single ones occur inside,
/// the usual escapes, and what cannot be printed as `\xNN`, `\uNNNN` or `\UNNNNNNNN`.
#[must_use]
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => escape(&mut out, u32::from(c)),
        }
    }
    out.push(quote);
    out
}

/// A list of texts as Python's `str` writes it: `['a', 'b']`.
#[must_use]
pub fn repr_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| repr(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Rust's own judgement of what can be shown stands in for Python's: they differ only for
/// combining marks and characters newer than either's tables.
fn is_printable(c: char) -> bool {
    if c.is_ascii() { !c.is_ascii_control() } else { c.escape_debug().count() == 1 }
}

fn escape(out: &mut String, code: u32) {
    let written = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_python_quotes_them() {
        for (text, expected) in [
            ("zz", "'zz'"),
            ("", "''"),
            ("it's", "\"it's\""),
            ("a'b\"c", "'a\\'b\"c'"),
            ("a\\b\n\t\r", "'a\\\\b\\n\\t\\r'"),
            ("\u{1b}[m\u{7f}", "'\\x1b[m\\x7f'"),
            ("é", "'é'"),
            ("\u{a0}\u{200b}", "'\\xa0\\u200b'"),
        ] {
            assert_eq!(repr(text), expected);
        }
        assert_eq!(repr_list(&["foo".into(), "b'r".into()]), "['foo', \"b'r\"]");
        assert_eq!(repr_list(&[]), "[]");
    }
}
