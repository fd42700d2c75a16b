//! What is made of a program's output on its way to the log: capture tags are taken out, events are told.

use serde::{Deserialize, Serialize};

use crate::config::LogConfig;
use crate::engine::Channel;
use crate::events::{CaptureBuffer, Piece, Recogniser};
use crate::logs::{AnsiStripper, SourceId};

/// A captured block may have been heard in pieces of up to this size, and the buffer keeps whole pieces.
const PIECE_BYTES_MAX: u64 = super::tap::CHUNK_BYTES_MAX as u64;

/// How a program's output is listened to.
#[derive(Debug)]
pub(super) struct ProgramEar {
    /// Output is told as `PROCESS_LOG`.
    log: bool,
    capture: Option<Capture>,
    stripper: AnsiStripper,
}

#[derive(Debug)]
struct Capture {
    recogniser: Recogniser,
    buffer: CaptureBuffer,
    maxbytes: u64,
    /// Where the bytes of the block begin that may still be in the buffer.
    begin: Option<u64>,
}

/// What was made of it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// For the log file, control sequences and all.
    Text(Vec<u8>),
    /// For `PROCESS_LOG`.
    Output(Vec<u8>),
    /// For `PROCESS_COMMUNICATION`.
    Captured(Vec<u8>),
}

/// What a successor must know of a program's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TapRecord {
    child: u64,
    stderr: bool,
    pub(super) heard: u64,
    recogniser: Option<Recogniser>,
    begin: Option<u64>,
}

impl TapRecord {
    pub(super) fn source(&self) -> SourceId {
        let channel = if self.stderr { Channel::Stderr } else { Channel::Stdout };
        SourceId { child: self.child, channel }
    }
}

impl ProgramEar {
    /// `None` if nothing is made of the output.
    pub(super) fn of(config: &LogConfig) -> Option<ProgramEar> {
        let maxbytes = u64::try_from(config.capture_maxbytes).ok().filter(|maxbytes| *maxbytes > 0);
        let capture = maxbytes.map(|maxbytes| Capture {
            recogniser: Recogniser::new(),
            buffer: CaptureBuffer::new(usize::try_from(maxbytes).unwrap_or(usize::MAX)),
            maxbytes,
            begin: None,
        });
        let ear = ProgramEar { log: config.events_enabled, capture, stripper: AnsiStripper::default() };
        (ear.log || ear.capture.is_some()).then_some(ear)
    }

    /// Goes on where a predecessor was; `reread` gives the bytes between two places again.
    pub(super) fn resume(&mut self, record: TapRecord, strip: bool, reread: impl Fn(u64, u64) -> Vec<u8>) {
        let TapRecord { heard, recogniser, begin, .. } = record;
        let (Some(capture), Some(recogniser)) = (&mut self.capture, recogniser) else { return };
        let decided = heard.saturating_sub(recogniser.held_bytes() as u64);
        if let Some(begin) = begin {
            let block = reread(begin, decided);
            capture.buffer.push(&if strip { stripped(&mut self.stripper, &block) } else { block });
        }
        capture.begin = begin;
        capture.recogniser = recogniser;
    }

    /// `heard` is the place after `bytes`.
    pub(super) fn hear(&mut self, heard: u64, bytes: &[u8], strip: bool) -> Vec<Said> {
        let mut pieces = Vec::new();
        match &mut self.capture {
            None => pieces.push(Piece::Text(bytes.to_vec())),
            Some(capture) => {
                capture.recogniser.feed(bytes, &mut pieces);
                capture.follow(heard, &pieces);
            }
        }
        self.say(pieces, strip)
    }

    /// The output has ended.
    pub(super) fn finish(&mut self, strip: bool) -> Vec<Said> {
        let mut pieces = Vec::new();
        if let Some(capture) = &mut self.capture {
            capture.recogniser.finish(&mut pieces);
        }
        self.say(pieces, strip)
    }

    fn say(&mut self, pieces: Vec<Piece>, strip: bool) -> Vec<Said> {
        let mut said = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(bytes) => {
                    if self.log {
                        let told = if strip { stripped(&mut self.stripper, &bytes) } else { bytes.clone() };
                        said.push(Said::Output(told));
                    }
                    said.push(Said::Text(bytes));
                }
                Piece::Inside(bytes) => {
                    let bytes = if strip { stripped(&mut self.stripper, &bytes) } else { bytes };
                    if let Some(capture) = &mut self.capture {
                        capture.buffer.push(&bytes);
                    }
                    if self.log {
                        said.push(Said::Output(bytes));
                    }
                }
                Piece::End => said.extend(self.capture.as_mut().map(|capture| Said::Captured(capture.buffer.take()))),
                Piece::Unfinished => {
                    said.extend(self.capture.as_mut().map(|capture| Said::Text(capture.buffer.take())));
                }
            }
        }
        said
    }

    /// Bytes that were heard and may yet turn out to be text.
    pub(super) fn held_back(&self) -> usize {
        self.capture.as_ref().map_or(0, |capture| capture.recogniser.held_bytes())
    }

    /// Bytes before this place, all of which were heard, are not needed any more.
    pub(super) fn needed_from(&self, heard: u64) -> u64 {
        self.capture.as_ref().and_then(|capture| capture.begin).unwrap_or(heard)
    }

    pub(super) fn record(&self, source: SourceId, heard: u64) -> TapRecord {
        TapRecord {
            child: source.child,
            stderr: source.channel == Channel::Stderr,
            heard,
            recogniser: self.capture.as_ref().map(|capture| capture.recogniser.clone()),
            begin: self.capture.as_ref().and_then(|capture| capture.begin),
        }
    }
}

impl Capture {
    /// Keeps in mind where the open block began.
    fn follow(&mut self, heard: u64, pieces: &[Piece]) {
        if !self.recogniser.is_inside() {
            self.begin = None;
            return;
        }
        let open = pieces.iter().rev().map_while(|piece| match piece {
            Piece::Inside(bytes) => Some(bytes.len() as u64),
            Piece::Text(_) | Piece::End | Piece::Unfinished => None,
        });
        let undecided = self.recogniser.held_bytes() as u64;
        let begins_here = heard.saturating_sub(undecided + open.sum::<u64>());
        let is_new = pieces.iter().any(|piece| !matches!(piece, Piece::Inside(_)));
        let begin = self.begin.filter(|_| !is_new).unwrap_or(begins_here);
        // Of a block that is too long, only the end is of use.
        self.begin = Some(begin.max(heard.saturating_sub(self.maxbytes + PIECE_BYTES_MAX)));
    }
}

fn stripped(stripper: &mut AnsiStripper, bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(bytes.len());
    stripper.strip(bytes, &mut output);
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::sample;

    const SOURCE: SourceId = SourceId { child: 7, channel: Channel::Stderr };

    fn ear(keys: &str) -> ProgramEar {
        ProgramEar::of(&sample::process(&format!("command=x\n{keys}")).stdout).unwrap()
    }

    fn text(said: &[Said]) -> String {
        let show = |said: &Said| match said {
            Said::Text(bytes) => format!("log {}", String::from_utf8_lossy(bytes)),
            Said::Output(bytes) => format!("event {}", String::from_utf8_lossy(bytes)),
            Said::Captured(bytes) => format!("captured {}", String::from_utf8_lossy(bytes)),
        };
        said.iter().map(show).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn output_without_these_keys_is_not_listened_to() {
        assert!(ProgramEar::of(&sample::process("command=x").stdout).is_none());
    }

    #[test]
    fn the_log_gets_what_is_outside_and_events_what_is_left_of_it() {
        let mut plain = ear("stdout_events_enabled=true");
        assert_eq!(text(&plain.hear(9, b"a\x1b[1mb", true)), "event ab; log a\u{1b}[1mb");
        let mut both = ear("stdout_events_enabled=true\nstdout_capture_maxbytes=1MB");
        let said = both.hear(60, b"x<!--XSUPERVISOR:BEGIN-->\x1b[1min<!--XSUPERVISOR:END-->y", true);
        assert_eq!(text(&said), "event x; log x; event in; captured in; event y; log y");
        both.hear(90, b"<!--XSUPERVISOR:BEGIN-->unfinished and long enough", false);
        assert_eq!(text(&both.finish(false)), "log unfinished and long enough");
    }

    /// All bytes so far, and an ear that heard them in these pieces; a successor that starts after each piece says the same.
    #[test]
    fn a_successor_goes_on_within_a_block() {
        let pieces: [&[u8]; 5] = [
            b"before <!--XSUPERVISOR:BEGIN-->first part, ",
            b"second part which is longer than a tag, ",
            b"third<!--XSUPERV",
            b"ISOR:END--> after <!--XSUPERVISOR:BEGIN-->more of it, longer than a tag",
            b" and its end<!--XSUPERVISOR:END-->",
        ];
        let hear = |killed_after: Option<usize>| {
            let (mut all, mut said) = (Vec::new(), Vec::new());
            let mut listening = ear("stdout_capture_maxbytes=1MB");
            for (number, piece) in pieces.iter().enumerate() {
                all.extend_from_slice(piece);
                said.extend(listening.hear(all.len() as u64, piece, false));
                if killed_after == Some(number) {
                    let record = listening.record(SOURCE, all.len() as u64);
                    assert_eq!(record.source(), SOURCE);
                    let record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
                    listening = ear("stdout_capture_maxbytes=1MB");
                    listening.resume(record, false, |from, to| {
                        all[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].to_vec()
                    });
                }
            }
            text(&said)
        };
        let whole = hear(None);
        assert!(whole.contains("captured first part, second part which is longer than a tag, third;"), "{whole}");
        for killed_after in 0..pieces.len() {
            assert_eq!(hear(Some(killed_after)), whole, "{killed_after}");
        }
    }

    #[test]
    fn a_block_that_never_ends_needs_no_more_memory_than_its_buffer() {
        let mut listening = ear("stdout_capture_maxbytes=1000");
        listening.hear(24, b"<!--XSUPERVISOR:BEGIN-->", false);
        for round in 1..=100 {
            listening.hear(24 + 10_000 * round, &[b'x'; 10_000], false);
        }
        assert_eq!(listening.needed_from(1_000_024), 1_000_024 - 1000 - PIECE_BYTES_MAX);
    }
}
