//! `strip_ansi`: removes terminal control sequences from a stream of bytes.

/// What ends a sequence. Source: supervisor 4.3, dispatchers.py, `ANSI_TERMINATORS`.
const TERMINATORS: &[u8] = b"HfABCDRsuJKhlpm";

const ESCAPE: u8 = 0x1b;

/// Removes everything from `ESC [` up to and including the next terminator.
///
/// Differs: a sequence that is split over two pieces is recognised; Supervisor forgets at the end of each
/// read where it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnsiStripper {
    #[default]
    Text,
    /// The last byte was ESC; it is withheld until the next one says whether it begins a sequence.
    Escape,
    Sequence,
}

impl AnsiStripper {
    /// Appends to `output` what is left of `input`.
    pub fn strip(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let mut rest = input;
        while let Some((&first, after)) = rest.split_first() {
            match self {
                AnsiStripper::Text => {
                    let end = rest.iter().position(|&byte| byte == ESCAPE).unwrap_or(rest.len());
                    let (text, from_escape) = rest.split_at(end);
                    output.extend_from_slice(text);
                    if let Some((_, following)) = from_escape.split_first() {
                        *self = AnsiStripper::Escape;
                        rest = following;
                    } else {
                        rest = from_escape;
                    }
                }
                AnsiStripper::Escape if first == b'[' => {
                    *self = AnsiStripper::Sequence;
                    rest = after;
                }
                AnsiStripper::Escape => {
                    // Looked at again as text: it may be an ESC itself.
                    output.push(ESCAPE);
                    *self = AnsiStripper::Text;
                }
                AnsiStripper::Sequence => {
                    if TERMINATORS.contains(&first) {
                        *self = AnsiStripper::Text;
                    }
                    rest = after;
                }
            }
        }
    }

    /// The stream has ended: gives back an ESC that was withheld.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        if *self == AnsiStripper::Escape {
            output.push(ESCAPE);
        }
        *self = AnsiStripper::Text;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pieces: &[&[u8]], expected: &[u8]) {
        let mut stripper = AnsiStripper::default();
        let mut output = Vec::new();
        for piece in pieces {
            stripper.strip(piece, &mut output);
        }
        stripper.finish(&mut output);
        assert_eq!(output, expected, "{pieces:?}");
    }

    #[test]
    fn sequences_are_removed() {
        check(&[b"plain"], b"plain");
        check(&[b"\x1b[34mHello\x1b[0m"], b"Hello");
        check(&[b"a\x1b[2J\x1b[Hb"], b"ab");
        check(&[b"\x1b[?25lx\x1b[?25h"], b"x");
        check(&[b"\x1b]0;title\x07"], b"\x1b]0;title\x07");
        check(&[b"\x1b\x1b[0mx"], b"\x1bx");
        check(&[b"x\x1b[3"], b"x");
        check(&[b"end\x1b"], b"end\x1b");
    }

    #[test]
    fn a_split_sequence_is_recognised() {
        check(&[b"a\x1b", b"[0", b"mb"], b"ab");
        check(&[b"a\x1b", b"b"], b"a\x1bb");
        check(&[b"a\x1b", b"\x1b", b"[mb"], b"a\x1bb");
    }

    /// The original, which sees the whole text at once.
    fn original(text: &[u8]) -> Vec<u8> {
        let (mut result, mut at) = (Vec::new(), 0);
        while let Some(start) = text[at..].windows(2).position(|window| window == b"\x1b[") {
            result.extend_from_slice(&text[at..at + start]);
            match text[at + start + 1..].iter().position(|byte| TERMINATORS.contains(byte)) {
                Some(end) => at = at + start + 1 + end + 1,
                None => return result,
            }
        }
        result.extend_from_slice(&text[at..]);
        result
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[\x1b\\[0m x]{0,40}", cuts in prop::collection::vec(0usize..40, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut stripper = AnsiStripper::default();
            let mut output = Vec::new();
            for pair in cuts.windows(2) {
                stripper.strip(&bytes[pair[0]..pair[1]], &mut output);
            }
            stripper.finish(&mut output);
            prop_assert_eq!(output, original(bytes));
        }
    }
}
