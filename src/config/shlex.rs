//! Splits a command line into words as Python's `shlex.split` does: POSIX quoting, no comments.
//!
//! Differs from a shell on purpose, as Python does: inside double quotes the backslash escapes
//! only `"` and itself, and a backslash before a line end keeps the line end.

/// A command line that cannot be split. Offsets are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    #[error("No closing quotation")]
    NoClosingQuotation {
        /// Of the opening quote.
        offset: usize,
    },
    #[error("No escaped character")]
    NoEscapedCharacter {
        /// Of the backslash.
        offset: usize,
    },
}

impl SplitError {
    /// Where the trouble starts, bytes.
    #[must_use]
    pub fn offset(self) -> usize {
        match self {
            SplitError::NoClosingQuotation { offset } | SplitError::NoEscapedCharacter { offset } => offset,
        }
    }
}

/// The words of a command line; quotes make a word even if nothing is in them.
///
/// # Errors
/// On a quote that is not closed, and a backslash at the end.
pub fn split(command: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' | '"' => read_quoted(&mut chars, c, offset, word.get_or_insert_default())?,
            '\\' => {
                let (_, escaped) = chars.next().ok_or(SplitError::NoEscapedCharacter { offset })?;
                word.get_or_insert_default().push(escaped);
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads up to and with the closing quote. `offset` is the opening one's.
fn read_quoted(
    chars: &mut std::str::CharIndices<'_>,
    quote: char,
    offset: usize,
    word: &mut String,
) -> Result<(), SplitError> {
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok(());
        }
        if c == '\\' && quote == '"' {
            let (_, escaped) = chars.next().ok_or(SplitError::NoEscapedCharacter { offset: at })?;
            if !matches!(escaped, '"' | '\\') {
                word.push(c);
            }
            word.push(escaped);
            continue;
        }
        word.push(c);
    }
    Err(SplitError::NoClosingQuotation { offset })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(command: &str, expected: &[&str]) {
        assert_eq!(split(command).unwrap(), expected, "{command:?}");
    }

    #[test]
    fn words_are_separated_by_blanks_and_joined_by_quotes() {
        check("", &[]);
        check(" \t\r\n", &[]);
        check("a b\tc\r\nd", &["a", "b", "c", "d"]);
        check("a'b c'd", &["ab cd"]);
        check("''", &[""]);
        check("a ''", &["a", ""]);
        check("a''", &["a"]);
        check("\u{a0}\u{b}a", &["\u{a0}\u{b}a"]);
    }

    #[test]
    fn a_hash_starts_no_comment() {
        check("run.sh #1 a#b", &["run.sh", "#1", "a#b"]);
    }

    #[test]
    fn the_backslash_depends_on_the_quotes_around_it() {
        check(r"a\ b \'", &["a b", "'"]);
        check(r"'a\b\'", &[r"a\b\"]);
        check(r#""a\"b" "a\\b""#, &["a\"b", r"a\b"]);
        check(r#""\$HOME \`x\` \n""#, &[r"\$HOME \`x\` \n"]);
        check("a\\\nb \"c\\\nd\"", &["a\nb", "c\\\nd"]);
        check(r"\ ", &[" "]);
    }

    #[test]
    fn shell_syntax_is_text() {
        check("a;b && c > $D ~ *", &["a;b", "&&", "c", ">", "$D", "~", "*"]);
    }

    #[test]
    fn errors_point_at_what_was_opened() {
        let cases = [
            ("a 'b", "No closing quotation", 2),
            ("é \"b", "No closing quotation", 3),
            ("a\\", "No escaped character", 1),
            ("\"a\\", "No escaped character", 2),
            ("'a\\", "No closing quotation", 0),
            ("\"a\\\"", "No closing quotation", 0),
        ];
        for (command, text, offset) in cases {
            let error = split(command).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.offset()), (text, offset), "{command:?}");
        }
    }

    proptest! {
        #[test]
        fn quoting_words_and_splitting_gives_the_words_back(words in proptest::collection::vec("\\PC{0,8}", 0..6)) {
            let quoted: Vec<_> = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\"'\"'"))).collect();
            prop_assert_eq!(split(&quoted.join(" ")).unwrap(), words);
        }

        #[test]
        fn never_fails_without_quotes_and_backslashes(command in "[^'\"\\\\]{0,40}") {
            let expected: Vec<_> = command.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(split(&command).unwrap(), expected);
        }
    }
}
