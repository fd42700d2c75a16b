//! Reads the value of `environment=`: `KEY=value` pairs with commas.
//!
//! Supervisor takes the tokens of Python's old, non-POSIX shell lexer in groups of four: key,
//! `=`, value, and one that nobody looks at, normally the comma.
//! Source: Supervisor 4.3.0, datatypes.py, `dict_of_key_value_pairs`.

use std::iter::Peekable;
use std::str::CharIndices;

use indexmap::IndexMap;

/// What an `environment=` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// In order of first appearance; of a repeated key the last value.
    pub pairs: IndexMap<String, String>,
    /// Offset and text of tokens that stood where a comma belongs and were skipped.
    pub skipped: Vec<(usize, String)>,
}

/// A value that cannot be read. Offsets are bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    #[error("Unexpected end of key/value pairs in value '{value}'")]
    UnexpectedEnd {
        value: String,
        /// Of the token that should begin `KEY=value`.
        offset: usize,
    },
    #[error("No closing quotation")]
    NoClosingQuotation {
        /// Of the opening quote.
        offset: usize,
    },
}

impl EnvironmentError {
    /// Where the trouble starts, bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        match self {
            EnvironmentError::UnexpectedEnd { offset, .. } | EnvironmentError::NoClosingQuotation { offset } => *offset,
        }
    }
}

/// Reads a value after expansion.
///
/// # Errors
/// If a group of tokens does not begin `KEY=value`, or a quote is not closed.
pub fn parse(value: &str) -> Result<Parsed, EnvironmentError> {
    let tokens = Lexer { chars: value.char_indices().peekable() }.tokens()?;
    let mut parsed = Parsed::default();
    for group in tokens.chunks(4) {
        let (key, text, separator) = match group {
            [key, equals, text] if equals.text == "=" => (key, text, None),
            [key, equals, text, separator] if equals.text == "=" => (key, text, Some(separator)),
            _ => {
                let offset = group.first().map_or(value.len(), |token| token.offset);
                return Err(EnvironmentError::UnexpectedEnd { value: value.to_owned(), offset });
            }
        };
        parsed.pairs.insert(key.text.clone(), text.text.trim_matches(['\'', '"']).to_owned());
        if let Some(token) = separator.filter(|token| token.text != ",") {
            parsed.skipped.push((token.offset, token.text.clone()));
        }
    }
    Ok(parsed)
}

#[derive(Debug)]
struct Token {
    offset: usize,
    text: String,
}

/// Python's `shlex.shlex` in its default mode, with the word characters Supervisor adds.
struct Lexer<'a> {
    chars: Peekable<CharIndices<'a>>,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Result<Vec<Token>, EnvironmentError> {
        let mut tokens = Vec::new();
        while let Some((offset, c)) = self.chars.next() {
            match c {
                ' ' | '\t' | '\r' | '\n' => {}
                '#' => self.skip_line(),
                '\'' | '"' => tokens.push(self.quoted(offset, c)?),
                c if is_word(c) => tokens.push(self.word(offset, c)),
                c => tokens.push(Token { offset, text: c.to_string() }),
            }
        }
        Ok(tokens)
    }

    fn skip_line(&mut self) {
        self.chars.by_ref().find(|(_, c)| *c == '\n');
    }

    /// Up to the closing quote, quotes included. What follows is the next token.
    fn quoted(&mut self, offset: usize, quote: char) -> Result<Token, EnvironmentError> {
        let mut text = String::from(quote);
        for (_, c) in self.chars.by_ref() {
            text.push(c);
            if c == quote {
                return Ok(Token { offset, text });
            }
        }
        Err(EnvironmentError::NoClosingQuotation { offset })
    }

    /// A quote inside a word belongs to it. A comment does not end it: the word goes on with
    /// the next line.
    fn word(&mut self, offset: usize, first: char) -> Token {
        let mut text = String::from(first);
        while let Some((_, c)) = self.chars.next_if(|(_, c)| is_word(*c) || matches!(c, '\'' | '"' | '#')) {
            match c {
                '#' => self.skip_line(),
                c => text.push(c),
            }
        }
        Token { offset, text }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '+' | '-' | '(' | ')' | ':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: &str, expected: &[(&str, &str)]) {
        let parsed = parse(value).unwrap();
        let found: Vec<_> = parsed.pairs.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        assert_eq!(found, expected, "{value:?}");
    }

    #[test]
    fn the_table_of_the_reference() {
        check("", &[]);
        check("A=\"1\",B=2", &[("A", "1"), ("B", "2")]);
        check("A=1, B=2", &[("A", "1"), ("B", "2")]);
        check("A=1,\nB=2,\n", &[("A", "1"), ("B", "2")]);
        check("A='x y'", &[("A", "x y")]);
        check("A=\"a,b\"", &[("A", "a,b")]);
        check("A=\"it's\"", &[("A", "it's")]);
        check("A=\"x=y\"", &[("A", "x=y")]);
        check("A=\"\"", &[("A", "")]);
        check("A=1,", &[("A", "1")]);
        check("A=\"x\"y", &[("A", "x")]);
        check("A=$HOME", &[("A", "$")]);
        check("A=~/x", &[("A", "~")]);
        check("A=*", &[("A", "*")]);
        check("A=a#b", &[("A", "a")]);
        check("A=\"a#b\"", &[("A", "a#b")]);
        check("A=a'b", &[("A", "a'b")]);
        check("\"A\"=1", &[("\"A\"", "1")]);
        check("A=1,A=2", &[("A", "2")]);
        check("A=1,B=2,A=3", &[("A", "3"), ("B", "2")]);
        check("A=\"multi\nline\"", &[("A", "multi\nline")]);
        check("PATH=/a/b:/c,U=http://h:1/x_(y)-z+w.q", &[("PATH", "/a/b:/c"), ("U", "http://h:1/x_(y)-z+w.q")]);
    }

    #[test]
    fn odd_corners_of_the_lexer() {
        check("A=a#b\nc,B=1", &[("A", "ac"), ("B", "1")]);
        check("# nothing\nA=1", &[("A", "1")]);
        check("A=''''", &[("A", "")]);
        check("A=a\"", &[("A", "a")]);
        check("A=é", &[("A", "é")]);
        check("===", &[("=", "=")]);
        check("A=\"'x'\"", &[("A", "x")]);
        check("A=\u{b}", &[("A", "\u{b}")]);
    }

    #[test]
    fn what_stands_where_a_comma_belongs_is_reported() {
        let skipped = |value| parse(value).unwrap().skipped;
        assert_eq!(skipped("A=1,B=2,"), []);
        assert_eq!(skipped("A=a b"), [(4, "b".to_owned())]);
        assert_eq!(skipped("A=\"a\\\"b\""), [(6, "b\"".to_owned())]);
        assert_eq!(skipped("A=$HOME"), [(3, "HOME".to_owned())]);
        assert_eq!(skipped("É=é;B=2"), [(5, ";".to_owned())]);
    }

    #[test]
    fn errors_are_supervisors() {
        for value in ["A", "A=", "A=1,,B=2", "A=1 B=2", "A=a@b", "A=a;b", "A=x=y", "A={x}", "A=1\nB=2", ",A=1"] {
            let text = parse(value).unwrap_err().to_string();
            assert_eq!(text, format!("Unexpected end of key/value pairs in value '{value}'"));
        }
        assert_eq!(parse("A=1,B=\"a").unwrap_err().to_string(), "No closing quotation");
        assert_eq!(parse("A=1,B=\"a").unwrap_err().offset(), 6);
        assert_eq!(parse("A=1, B").unwrap_err().offset(), 5);
    }

    proptest! {
        #[test]
        fn quoted_pairs_come_back(pairs in proptest::collection::vec(("[A-Za-z_][A-Za-z0-9_]{0,5}", "[^\"']{0,12}"), 0..5)) {
            let value: Vec<_> = pairs.iter().map(|(key, text)| format!("{key}=\"{text}\"")).collect();
            let parsed = parse(&value.join(",")).unwrap();
            let expected: IndexMap<String, String> = pairs.into_iter().collect();
            prop_assert_eq!(parsed.pairs, expected);
            prop_assert_eq!(parsed.skipped, []);
        }
    }
}
