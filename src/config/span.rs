//! Where a piece of configuration was written.

/// A file of a configuration, by its place in the loader's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A stretch of one file's text. Offsets are bytes; `end` is the first byte after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub file: FileId,
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// Where the main file begins: for what it lacks as a whole.
    pub const BEGINNING: Span = Span { file: FileId(0), start: 0, end: 0 };
}

/// Line and column of `offset` in `text`, both counted from one, the column in characters.
///
/// LF, CRLF and a lone CR end a line, as for the ini reader. An offset behind the text, or
/// inside a character, counts as the nearest character start before it. A byte-order mark has
/// no column.
#[must_use]
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let (mut line, mut column) = (1, 1);
    let mut after_cr = false;
    for (at, c) in text.char_indices() {
        if at + c.len_utf8() > offset {
            break;
        }
        match c {
            '\n' if after_cr => {}
            '\u{feff}' if at == 0 => {}
            '\n' | '\r' => (line, column) = (line + 1, 1),
            _ => column += 1,
        }
        after_cr = c == '\r';
    }
    (line, column)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_from_one_and_in_characters() {
        let cases = [
            ("", 0, (1, 1)),
            ("abc", 0, (1, 1)),
            ("abc", 2, (1, 3)),
            ("abc", 99, (1, 4)),
            ("a\nbc", 1, (1, 2)),
            ("a\nbc", 2, (2, 1)),
            ("a\r\nbc", 3, (2, 1)),
            ("a\rbc", 2, (2, 1)),
            ("a\n\nb", 3, (3, 1)),
            ("é=1", 2, (1, 2)),
            ("é=1", 1, (1, 1)),
            ("\u{feff}[a]", 3, (1, 1)),
        ];
        for (text, offset, expected) in cases {
            assert_eq!(line_column(text, offset), expected, "{text:?} at {offset}");
        }
    }

    proptest! {
        #[test]
        fn column_points_at_the_character(lines in proptest::collection::vec("[a-zé ]{0,8}", 1..6), pick in any::<prop::sample::Index>()) {
            let text = lines.join("\n");
            let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            prop_assume!(!starts.is_empty());
            let at = starts[pick.index(starts.len())];
            let (line, column) = line_column(&text, at);
            let found = text.split('\n').nth(line - 1).unwrap().chars().nth(column - 1);
            prop_assert_eq!(found.unwrap_or('\n'), text[at..].chars().next().unwrap());
        }
    }
}
