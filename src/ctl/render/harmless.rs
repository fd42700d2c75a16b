//! What programs printed, on its way to a terminal: everything that a terminal would obey becomes visible.
//!
//! A program, or whoever writes into its log, could otherwise change the title, fill the clipboard (OSC 52), erase lines,
//! answer queries as if typed, or turn the direction of writing. Text stays text; so that other tools can read it,
//! `--raw` passes everything on.

use std::io::{self, Write};

use super::screen::Colour;

/// Bytes of a colour sequence; a longer one is none.
const COLOUR_MAX: usize = 32;

/// Combining marks on one letter that are shown as they are: more than any script uses.
const MARKS_MAX: usize = 8;

/// A stream to a person.
#[derive(Debug)]
pub(crate) struct Harmless<W> {
    inner: W,
    colour: Colour,
    /// The beginning of a letter, of a line end or of a colour sequence, to be judged with what follows.
    pending: Vec<u8>,
    /// Combining marks since the last letter.
    marks: usize,
}

impl<W: Write> Harmless<W> {
    /// With [`Colour::On`] colours pass: they are what our own tables are painted with, and change nothing that stays.
    pub(crate) fn new(inner: W, colour: Colour) -> Harmless<W> {
        Harmless { inner, colour, pending: Vec::new(), marks: 0 }
    }

    fn show(&mut self, bytes: &[u8]) -> String {
        let mut rest = std::mem::take(&mut self.pending);
        rest.extend_from_slice(bytes);
        let mut shown = String::with_capacity(rest.len());
        let mut rest = rest.as_slice();
        while let Some((&first, after)) = rest.split_first() {
            let taken = match (first, after) {
                (b'\r' | 0x1b, []) => None,
                (b'\r', [b'\n', ..]) => {
                    shown.push('\n');
                    Some(2)
                }
                (0x1b, _) if self.colour == Colour::On => self.colours(rest, &mut shown),
                _ => self.letter(rest, &mut shown),
            };
            let Some(taken) = taken else {
                self.pending = rest.to_vec();
                break;
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        shown
    }

    /// Passes `ESC [ 1;31 m` on, or shows the escape; `None` if more is needed to tell.
    fn colours(&mut self, rest: &[u8], shown: &mut String) -> Option<usize> {
        let is_parameter = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b';' | b':');
        let body = rest.get(1..).unwrap_or_default();
        let parameters = body.iter().skip(1).take_while(|byte| is_parameter(byte)).count();
        match (body.first(), body.get(parameters + 1)) {
            (Some(b'['), Some(b'm')) if parameters < COLOUR_MAX => {
                let length = parameters + 3;
                shown.push_str(&String::from_utf8_lossy(rest.get(..length).unwrap_or_default()));
                Some(length)
            }
            (Some(b'['), None) if parameters < COLOUR_MAX => None,
            _ => self.letter(rest, shown),
        }
    }

    /// Shows one letter, or one byte that is none; `None` if the letter is not complete.
    fn letter(&mut self, rest: &[u8], shown: &mut String) -> Option<usize> {
        let start = rest.get(..rest.len().min(4)).unwrap_or_default();
        let valid = match std::str::from_utf8(start) {
            Ok(text) => text,
            Err(error) => {
                let valid = start.get(..error.valid_up_to()).unwrap_or_default();
                if valid.is_empty() {
                    let length = error.error_len()?;
                    for byte in start.get(..length).unwrap_or_default() {
                        push_byte(shown, u32::from(*byte));
                    }
                    return Some(length);
                }
                std::str::from_utf8(valid).unwrap_or_default()
            }
        };
        let letter = valid.chars().next()?;
        self.marks = if is_mark(letter) { self.marks + 1 } else { 0 };
        match letter {
            '\n' | '\t' => shown.push(letter),
            '\0'..='\u{1f}' | '\u{7f}' => push_byte(shown, u32::from(letter)),
            _ if acts(letter) || self.marks > MARKS_MAX => shown.extend(letter.escape_unicode()),
            _ => shown.push(letter),
        }
        Some(letter.len_utf8())
    }
}

/// `\x1b`
fn push_byte(shown: &mut String, byte: u32) {
    shown.push_str("\\x");
    shown.extend([byte >> 4, byte & 0xf].into_iter().filter_map(|half| char::from_digit(half, 16)));
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown = self.show(bytes);
        self.inner.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Letters beyond the first 128 that act instead of being seen: C1 controls, what ends lines, what turns or hides text.
pub(super) fn acts(letter: char) -> bool {
    matches!(letter,
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Marks that are drawn over the letter before them.
pub(super) fn is_mark(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{36f}'
        | '\u{483}'..='\u{489}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(pieces: &[&[u8]], colour: Colour) -> String {
        let mut stream = Harmless::new(Vec::new(), colour);
        for piece in pieces {
            stream.write_all(piece).unwrap();
        }
        String::from_utf8(stream.inner).unwrap()
    }

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        for (bytes, wanted) in [
            ("plain é 漢\t1\n".as_bytes(), "plain é 漢\t1\n"),
            (b"\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            (b"\x1b]52;c;aGk=\x1b\\", "\\x1b]52;c;aGk=\\x1b\\"),
            (b"\x1b[2J\x1b[1;1H$ ", "\\x1b[2J\\x1b[1;1H$ "),
            (b"a\rb\r\nc\x08\x7f\0", "a\\x0db\nc\\x08\\x7f\\x00"),
            ("\u{9b}2J\u{202e}txt\u{2066}\u{e0041}".as_bytes(), "\\u{9b}2J\\u{202e}txt\\u{2066}\\u{e0041}"),
            (b"\x9b2J\xff\xc3(", "\\x9b2J\\xff\\xc3("),
            (b"\x1b[31mred", "\\x1b[31mred"),
        ] {
            assert_eq!(shown(&[bytes], Colour::Off), wanted);
        }
    }

    #[test]
    fn colours_pass_where_they_are_wanted_and_nothing_like_them_does() {
        for (text, wanted) in [
            ("\u{1b}[1;31mred\u{1b}[0m\u{1b}[m", "\u{1b}[1;31mred\u{1b}[0m\u{1b}[m"),
            ("\u{1b}[2Kx", "\\x1b[2Kx"),
            ("\u{1b}[>4;1mx", "\\x1b[>4;1mx"),
            ("\u{1b}]8;;x", "\\x1b]8;;x"),
        ] {
            assert_eq!(shown(&[text.as_bytes()], Colour::On), wanted);
        }
        let long = format!("\u{1b}[{}m", "1;".repeat(40));
        assert!(shown(&[long.as_bytes()], Colour::On).starts_with("\\x1b[1;"));
    }

    #[test]
    fn marks_do_not_pile_up() {
        let pile = format!("a{}b", "\u{301}".repeat(100));
        let shown = shown(&[pile.as_bytes()], Colour::Off);
        assert_eq!((shown.matches('\u{301}').count(), shown.matches("\\u{301}").count()), (MARKS_MAX, 92));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference_and_nothing_acts(bytes in proptest::collection::vec(any::<u8>(), 0..80), cut in 0usize..80) {
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            for colour in [Colour::On, Colour::Off] {
                // What is still pending is made complete.
                let whole = shown(&[&bytes, b" end"], colour);
                prop_assert_eq!(&shown(&[one, two, b" end"], colour), &whole);
                if colour == Colour::Off {
                    prop_assert!(whole.chars().all(|letter| !acts(letter) && (letter >= ' ' || "\n\t".contains(letter))));
                }
            }
        }
    }
}
