//! One line of a file: where it ends, what is a comment, what is a header.

use std::ops::Range;

/// A line without its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    /// Offset in the file, bytes.
    pub(super) start: usize,
    /// Whether a line end follows; the last line may have none.
    is_ended: bool,
}

impl Line<'_> {
    pub(super) fn as_python_sees_it(&self) -> String {
        format!("{}{}", self.text, if self.is_ended { "\n" } else { "" })
    }
}

/// The lines of a text: LF, CRLF and a lone CR end one, a byte-order mark is no part of the first.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, end) = rest.split_at(length);
        let end_length = if end.starts_with("\r\n") { 2 } else { end.len().min(1) };
        let found = Line { text: line, start, is_ended: end_length > 0 };
        start += length + end_length;
        Some(found)
    })
}

/// What Python's `str.isspace` is true for.
pub(in crate::config) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// A part of a file's text with its offset in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
}

impl Part<'_> {
    pub(super) fn trimmed(self) -> Self {
        let text = self.text.trim_start_matches(is_space);
        let start = self.start + (self.text.len() - text.len());
        Part { text: text.trim_end_matches(is_space), start }
    }

    pub(super) fn split_at(self, at: usize) -> (Self, Self) {
        let (before, after) = self.text.split_at(at);
        (Part { text: before, start: self.start }, Part { text: after, start: self.start + at })
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// Where the comment of a line starts.
///
/// Python looks in rounds: the n-th `;` and the n-th `#` of the line in round n, and the first
/// round with a mark that opens a comment decides. That is not always the leftmost such mark.
pub(super) fn comment_start(line: &str) -> Option<usize> {
    if line.trim_start_matches(is_space).starts_with([';', '#']) {
        return Some(0);
    }
    let opens = |at: &usize| line.get(..*at).and_then(|before| before.chars().next_back()).is_some_and(is_space);
    let mut semicolons = line.match_indices(';').map(|(at, _)| at);
    let mut hashes = line.match_indices('#').map(|(at, _)| at);
    loop {
        let round = (semicolons.next(), hashes.next());
        if round == (None, None) {
            return None;
        }
        let found = [round.0, round.1].into_iter().flatten().filter(opens).min();
        if found.is_some() {
            return found;
        }
    }
}

/// `[name]`, from the first character to the last bracket.
pub(super) fn header(part: Part<'_>) -> Option<(&str, Range<usize>)> {
    let (name, _) = part.text.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then(|| (name, part.start..part.start + name.len() + 2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_kinds_of_line_ends() {
        let found = |text| lines(text).map(|line| (line.start, line.as_python_sees_it())).collect::<Vec<_>>();
        let expected = |of: &[(usize, &str)]| of.iter().map(|(at, text)| (*at, (*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(found(""), expected(&[]));
        assert_eq!(found("a\nb\r\nc\rd"), expected(&[(0, "a\n"), (2, "b\n"), (5, "c\n"), (7, "d")]));
        assert_eq!(found("\r\n\n\r"), expected(&[(0, "\n"), (2, "\n"), (3, "\n")]));
        assert_eq!(found("\u{feff}a\n\u{feff}b"), expected(&[(3, "a\n"), (5, "\u{feff}b")]));
    }

    #[test]
    fn comments_stand_first_or_behind_a_blank() {
        let cases = [
            ("a=1", None),
            ("; x", Some(0)),
            ("  # x", Some(0)),
            ("a=1 ; x", Some(4)),
            ("a=1\t#x", Some(4)),
            ("a=1;x#y", None),
            ("a=1\u{a0};x", Some(5)),
            ("bash -c 'a ; b'", Some(11)),
            ("a;b # c ; d", Some(4)),
        ];
        for (line, expected) in cases {
            assert_eq!(comment_start(line), expected, "{line:?}");
        }
    }

    #[test]
    fn the_first_round_with_a_hit_wins_over_the_leftmost_mark() {
        // The first `#` opens a comment in round one; the `;` before it is only seen in round two.
        assert_eq!(comment_start("a;b ;c #d"), Some(7));
        assert_eq!(comment_start("a;b ;c d"), Some(4));
        assert_eq!(comment_start("a;b;c ;d#e #f"), Some(11));
    }

    #[test]
    fn headers_reach_to_the_last_bracket() {
        let name = |text| header(Part { text, start: 10 });
        assert_eq!(name("[a]"), Some(("a", 10..13)));
        assert_eq!(name("[ a ] x"), Some((" a ", 10..15)));
        assert_eq!(name("[a]b]"), Some(("a]b", 10..15)));
        assert_eq!(name("[]]"), Some(("]", 10..13)));
        assert_eq!((name("[]"), name("[a"), name("a]"), name("x[a]")), (None, None, None, None));
    }

    proptest! {
        #[test]
        fn lines_lose_nothing(text in "[a\r\né]{0,20}") {
            let joined: String = lines(&text).map(|line| line.as_python_sees_it()).collect();
            prop_assert_eq!(joined, text.replace("\r\n", "\n").replace('\r', "\n"));
        }
    }
}
