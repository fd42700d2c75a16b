//! Capture tags in a program's output: what lies between them becomes a `PROCESS_COMMUNICATION` event.
//!
//! [`Recogniser`] takes the output apart, [`CaptureBuffer`] keeps what is between the tags. They are two because
//! `strip_ansi` works on the pieces in between. Both are for the log plane, which knows where a log file is.

use serde::{Deserialize, Serialize};

const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";
const END: &[u8] = b"<!--XSUPERVISOR:END-->";

/// A piece of a program's output, in the order it was written. None of them is empty, the tags are in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// For the log file, and a `PROCESS_LOG` event if those are enabled.
    Text(Vec<u8>),
    /// For the capture buffer instead of the log file; a `PROCESS_LOG` event as well.
    Inside(Vec<u8>),
    /// The end tag: what is in the capture buffer, empty or not, becomes the event.
    End,
    /// The output ended within a block. Nobody will know what it would have been: what is in the capture buffer goes to the
    /// log file.
    Unfinished,
}

/// Finds the tags in a stream that arrives in any pieces.
///
/// Differs: Supervisor holds back everything until more has come than the awaited tag is long, and loses it when the
/// program ends first. Here text outside is held back only where it may be the begin of a tag, and nothing is lost.
/// Inside a block the bytes are handed on in the same pieces as Supervisor's, because the buffer depends on them.
/// Source: Supervisor 4.3.0, dispatchers.py, `record_output`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recogniser {
    inside: bool,
    /// Not yet decided about.
    held: Vec<u8>,
}

impl Recogniser {
    #[must_use]
    pub fn new() -> Recogniser {
        Recogniser::default()
    }

    /// Takes apart what was read.
    pub fn feed(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) {
        if bytes.is_empty() {
            return;
        }
        let mut data = std::mem::take(&mut self.held);
        data.extend_from_slice(bytes);
        while !data.is_empty() {
            let tag = if self.inside { END } else { BEGIN };
            if self.inside && data.len() <= tag.len() && data != tag {
                self.held = data;
                return;
            }
            if let Some(at) = find(&data, tag) {
                let mut text = data;
                let mut rest = text.split_off(at);
                self.push(text, pieces);
                if self.inside {
                    pieces.push(Piece::End);
                }
                self.inside = !self.inside;
                data = rest.split_off(tag.len());
            } else {
                self.held = data.split_off(data.len() - beginnings(&data, tag));
                self.push(data, pieces);
                return;
            }
        }
    }

    /// The output has ended: gives back what was held.
    pub fn finish(&mut self, pieces: &mut Vec<Piece>) {
        let held = std::mem::take(&mut self.held);
        self.push(held, pieces);
        if self.inside {
            self.inside = false;
            pieces.push(Piece::Unfinished);
        }
    }

    /// Whether a begin tag came and its end tag did not.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.inside
    }

    /// How many of the last bytes are not decided about.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    fn push(&self, bytes: Vec<u8>, pieces: &mut Vec<Piece>) {
        if !bytes.is_empty() {
            pieces.push(if self.inside { Piece::Inside(bytes) } else { Piece::Text(bytes) });
        }
    }
}

fn find(bytes: &[u8], tag: &[u8]) -> Option<usize> {
    bytes.windows(tag.len()).position(|window| window == tag)
}

/// How many bytes at the end of `bytes` are the begin of `tag`, but not the whole of it.
fn beginnings(bytes: &[u8], tag: &[u8]) -> usize {
    let longest = bytes.len().min(tag.len().saturating_sub(1));
    (1..=longest).rev().find(|&length| tag.get(..length).is_some_and(|begin| bytes.ends_with(begin))).unwrap_or(0)
}

/// What is between the tags, up to `*_capture_maxbytes`.
///
/// When a piece does not fit, as many of the first bytes as the piece has are dropped, whatever the room; a piece longer than
/// the limit is kept whole. So it holds at most the limit, or one piece.
/// Source: Supervisor 4.3.0, loggers.py, `BoundIO`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureBuffer {
    maxbytes: usize,
    bytes: Vec<u8>,
}

impl CaptureBuffer {
    /// `maxbytes` above zero.
    #[must_use]
    pub fn new(maxbytes: usize) -> CaptureBuffer {
        CaptureBuffer { maxbytes, bytes: Vec::new() }
    }

    /// Adds a piece.
    pub fn push(&mut self, piece: &[u8]) {
        if self.bytes.len().saturating_add(piece.len()) > self.maxbytes {
            self.bytes.drain(..piece.len().min(self.bytes.len()));
        }
        self.bytes.extend_from_slice(piece);
    }

    /// What is in it; it is empty then.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One read each, then the end; `[` and `]` stand for the tags, in the expected pieces `T:`, `I:`, `E`, `U` for the kinds.
    fn check(reads: &[&str], expected: &[&str]) {
        let mut recogniser = Recogniser::new();
        let mut pieces = Vec::new();
        for read in reads {
            recogniser.feed(&spelled(read), &mut pieces);
        }
        recogniser.finish(&mut pieces);
        assert_eq!(shown(&pieces), expected, "{reads:?}");
        assert_eq!(recogniser, Recogniser::new());
    }

    fn spelled(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for byte in text.bytes() {
            match byte {
                b'[' => bytes.extend_from_slice(BEGIN),
                b']' => bytes.extend_from_slice(END),
                byte => bytes.push(byte),
            }
        }
        bytes
    }

    fn shown(pieces: &[Piece]) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let show = |piece: &Piece| match piece {
            Piece::Text(bytes) => format!("T:{}", text(bytes)),
            Piece::Inside(bytes) => format!("I:{}", text(bytes)),
            Piece::End => "E".to_owned(),
            Piece::Unfinished => "U".to_owned(),
        };
        pieces.iter().map(show).collect()
    }

    #[test]
    fn output_is_taken_apart_at_the_tags() {
        check(&["x[inside]y"], &["T:x", "I:inside", "E", "T:y"]);
        check(&["[]"], &["E"]);
        check(&["[]", "[]"], &["E", "E"]);
        check(&["[a]b[c]"], &["I:a", "E", "T:b", "I:c", "E"]);
        check(&["a]b"], &["T:a<!--XSUPERVISOR:END-->b"]);
        check(&["[a[b]"], &["I:a<!--XSUPERVISOR:BEGIN-->b", "E"]);
    }

    #[test]
    fn the_end_of_the_output_loses_nothing() {
        check(&["short"], &["T:short"]);
        check(&["a", "b"], &["T:a", "T:b"]);
        check(&["a<!--XSUPERV"], &["T:a", "T:<!--XSUPERV"]);
        check(&["["], &["U"]);
        check(&["[abc"], &["I:abc", "U"]);
    }

    #[test]
    fn only_what_may_be_a_tag_waits() {
        let mut recogniser = Recogniser::new();
        let mut pieces = Vec::new();
        recogniser.feed(b"one line\n<!--XSUPERVISOR:BEG", &mut pieces);
        assert_eq!(shown(&pieces), ["T:one line\n"]);
        recogniser.feed(b"INNING", &mut pieces);
        assert_eq!(shown(&pieces), ["T:one line\n", "T:<!--XSUPERVISOR:BEGINNING"]);
    }

    #[test]
    fn a_buffer_forgets_as_much_as_it_learns() {
        let fill = |maxbytes: usize, pieces: &[&str]| {
            let mut buffer = CaptureBuffer::new(maxbytes);
            for piece in pieces {
                buffer.push(piece.as_bytes());
            }
            String::from_utf8(buffer.take()).unwrap()
        };
        // Each right-hand side is what Supervisor's BoundIO holds.
        assert_eq!(fill(10, &["aaaaaaaa", "bb"]), "aaaaaaaabb");
        assert_eq!(fill(10, &["aaaaaaaa", "bbbb"]), "aaaabbbb");
        assert_eq!(fill(10, &["aaaaaaaa", "bbbb", "cc"]), "aaaabbbbcc");
        assert_eq!(fill(10, &["aaaaaaaa", "bbbb", "ccc"]), "abbbbccc");
        assert_eq!(fill(4, &["aa", "bbbbbbbb", "c"]), "bbbbbbbc");
        assert_eq!(fill(4, &[]), "");
    }

    /// The original's algorithm, tails included: what it logs, what it captures, and what it would lose.
    #[derive(Default)]
    struct Original {
        inside: bool,
        held: Vec<u8>,
        pieces: Vec<Piece>,
    }

    impl Original {
        fn read(&mut self, bytes: &[u8]) {
            self.held.extend_from_slice(bytes);
            loop {
                let tag = if self.inside { END } else { BEGIN };
                if self.held.len() <= tag.len() {
                    return;
                }
                let data = std::mem::take(&mut self.held);
                let Some(at) = find(&data, tag) else {
                    let (text, held) = data.split_at(data.len() - beginnings(&data, tag));
                    self.held = held.to_vec();
                    return self.log(text);
                };
                self.log(&data[..at]);
                if self.inside {
                    self.pieces.push(Piece::End);
                }
                self.inside = !self.inside;
                self.held = data[at + tag.len()..].to_vec();
                if self.held.is_empty() {
                    return;
                }
            }
        }

        fn log(&mut self, text: &[u8]) {
            if !text.is_empty() {
                let text = text.to_vec();
                self.pieces.push(if self.inside { Piece::Inside(text) } else { Piece::Text(text) });
            }
        }
    }

    /// Neighbouring texts joined: where text outside is cut does not matter.
    fn joined(pieces: &[Piece]) -> Vec<Piece> {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Text(text)), Piece::Text(more)) => text.extend_from_slice(more),
                _ => joined.push(piece.clone()),
            }
        }
        joined
    }

    fn reads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let word = prop_oneof![
            3 => Just(BEGIN.to_vec()),
            3 => Just(END.to_vec()),
            2 => "[a-c<!-]{0,30}".prop_map(String::into_bytes),
            1 => (0..BEGIN.len()).prop_map(|at| BEGIN[..at].to_vec()),
            1 => (0..END.len()).prop_map(|at| END[..at].to_vec()),
        ];
        let output = prop::collection::vec(word, 0..10).prop_map(|words| words.concat());
        (output, prop::collection::vec(0_usize..200, 0..12)).prop_map(|(output, cuts)| {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(output.len())).collect();
            cuts.extend([0, output.len()]);
            cuts.sort_unstable();
            cuts.windows(2).map(|pair| output[pair[0]..pair[1]].to_vec()).collect()
        })
    }

    proptest! {
        #[test]
        fn the_same_reads_give_what_the_original_gives_and_its_tail(reads in reads()) {
            let (mut ours, mut pieces, mut original) = (Recogniser::new(), Vec::new(), Original::default());
            for read in &reads {
                ours.feed(read, &mut pieces);
                original.read(read);
            }
            ours.finish(&mut pieces);
            // What the original would lose now.
            let tail = std::mem::take(&mut original.held);
            if tail == (if original.inside { END } else { BEGIN }) {
                if original.inside { original.pieces.push(Piece::End) } else { original.pieces.push(Piece::Unfinished) }
            } else {
                original.log(&tail);
                if original.inside { original.pieces.push(Piece::Unfinished) }
            }
            prop_assert_eq!(joined(&pieces), joined(&original.pieces));
        }

        #[test]
        fn pieces_make_no_difference_but_to_where_a_block_is_cut(reads in reads()) {
            let flat = |reads: &[Vec<u8>]| {
                let (mut recogniser, mut pieces) = (Recogniser::new(), Vec::new());
                for read in reads {
                    recogniser.feed(read, &mut pieces);
                }
                recogniser.finish(&mut pieces);
                let mut flat: Vec<(char, Vec<u8>)> = Vec::new();
                for piece in pieces {
                    let (kind, bytes) = match piece {
                        Piece::Text(bytes) => ('T', bytes),
                        Piece::Inside(bytes) => ('I', bytes),
                        Piece::End => ('E', Vec::new()),
                        Piece::Unfinished => ('U', Vec::new()),
                    };
                    match flat.last_mut() {
                        Some((last, text)) if *last == kind && kind != 'E' => text.extend(bytes),
                        _ => flat.push((kind, bytes)),
                    }
                }
                flat
            };
            prop_assert_eq!(flat(&reads), flat(&[reads.concat()]));
        }
    }
}
