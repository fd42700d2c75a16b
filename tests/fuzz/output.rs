//! What programs write: capture tags, the listeners' protocol, terminal sequences; and logs as they are read.

use std::cell::OnceCell;
use std::fs;

use galaxyd::events::{Piece, Recogniser};
use galaxyd::logs::{AnsiStripper, SLICE_BYTES_MAX, read_slice, tail};
use tempfile::NamedTempFile;

use crate::stage::{Stage, pool};
use crate::target::{Target, nothing_made};

/// The pieces, those of the same kind in a row joined.
fn pieces<'a>(parts: impl Iterator<Item = &'a [u8]>) -> (Vec<Piece>, usize) {
    let mut recogniser = Recogniser::new();
    let (mut all, mut held) = (Vec::new(), 0);
    for part in parts {
        recogniser.feed(part, &mut all);
        held = held.max(recogniser.held_bytes());
    }
    recogniser.finish(&mut all);
    let mut joined: Vec<Piece> = Vec::new();
    for piece in all {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(text)), Piece::Text(more)) | (Some(Piece::Inside(text)), Piece::Inside(more)) => {
                text.extend(more);
            }
            (_, piece) => joined.push(piece),
        }
    }
    (joined, held)
}

/// The longest tag is 24 bytes.
const TAG_MAX: usize = 24;

fn judge_capture(input: &[u8]) {
    let (whole, _) = pieces(std::iter::once(input));
    let (single, held) = pieces(input.chunks(1));
    assert_eq!(whole, single, "how the output comes in makes no difference");
    assert!(held <= TAG_MAX, "{held} bytes were held back");
    // Put together again it is what was written.
    let mut written = Vec::new();
    let mut inside = false;
    for piece in whole {
        let begins = matches!(piece, Piece::Inside(_) | Piece::End | Piece::Unfinished) && !inside;
        if begins {
            written.extend_from_slice(b"<!--XSUPERVISOR:BEGIN-->");
            inside = true;
        }
        match piece {
            Piece::Text(bytes) | Piece::Inside(bytes) => written.extend(bytes),
            Piece::End => {
                written.extend_from_slice(b"<!--XSUPERVISOR:END-->");
                inside = false;
            }
            Piece::Unfinished => inside = false,
        }
    }
    assert_eq!(written, input);
}

fn judge_ansi(input: &[u8]) {
    let strip = |size: usize| {
        let (mut stripper, mut output) = (AnsiStripper::default(), Vec::new());
        input.chunks(size).for_each(|part| stripper.strip(part, &mut output));
        stripper.finish(&mut output);
        output
    };
    let whole = strip(input.len().max(1));
    assert_eq!(whole, strip(1));
    assert!(whole.len() <= input.len());
    assert!(input.contains(&0x1b) || whole == input);
}

/// A line is what the listener says at once; after some of them the worker dies.
fn judge_listener(input: &[u8]) {
    let mut plain = Stage::new();
    let mut killed = Stage::new();
    for stage in [&mut plain, &mut killed] {
        stage.group(pool("p", &["REMOTE_COMMUNICATION"], 3, &[(1, "p")]));
        let child = stage.run(1);
        for (number, said) in input.split_inclusive(|byte| *byte == b'|').enumerate() {
            stage.remote("a");
            stage.say(child, said.strip_suffix(b"|").unwrap_or(said));
            if number % 3 == 2 {
                stage.pass(5);
            }
        }
    }
    let events: Vec<_> = plain.events.pools().collect();
    assert!(events[0].waiting <= 3, "{events:?}");
    killed.die();
    killed.trace();
    plain.trace();
    for stage in [&mut plain, &mut killed] {
        stage.remote("b");
        stage.pass(60);
    }
    assert_eq!(
        format!("{:?}", plain.events.pools().collect::<Vec<_>>()),
        format!("{:?}", killed.events.pools().collect::<Vec<_>>())
    );
    assert_eq!(plain.trace(), killed.trace(), "a successor goes on as its predecessor would have");
}

thread_local! {
    static LOG: OnceCell<NamedTempFile> = const { OnceCell::new() };
}

/// The first line has offset and length, the rest is the log.
fn judge_log(input: &[u8]) {
    let (line, log) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len()));
    let line = String::from_utf8_lossy(line);
    let mut numbers = line.split(' ').map(|word| word.parse::<i64>().unwrap_or(0));
    let (offset, length) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let path = LOG.with(|file| file.get_or_init(|| NamedTempFile::new().unwrap()).path().to_owned());
    fs::write(&path, log).unwrap();
    let size = i64::try_from(log.len()).unwrap();
    let end = usize::try_from(offset.saturating_add(if length == 0 { size } else { length }).clamp(0, size)).unwrap();
    let expected = match (offset, length) {
        (..0, 0) => Some(&log[log.len() - usize::try_from(offset.saturating_neg().min(size)).unwrap()..]),
        (0.., 0..) => Some(&log[usize::try_from(offset.min(size)).unwrap()..end]),
        _ => None,
    };
    let slice = read_slice(&path, offset, length).ok();
    assert_eq!(slice, expected.map(|bytes| String::from_utf8_lossy(bytes).into_owned()), "{offset} {length}");
    let tail = tail(&path, offset, length);
    assert!(tail.offset == size || tail.text.is_empty(), "{tail:?}");
    let bytes_max = usize::try_from(length.clamp(0, i64::try_from(SLICE_BYTES_MAX).unwrap())).unwrap();
    assert!(tail.text.len() <= 3 * bytes_max.min(log.len()), "{tail:?}");
    assert!(String::from_utf8_lossy(log).len() >= tail.text.len() || !log.is_ascii());
}

#[test]
fn captured_output_is_the_same_in_any_pieces_and_nothing_is_lost() {
    let words: &[&[u8]] =
        &[b"<!--XSUPERVISOR:BEGIN-->", b"<!--XSUPERVISOR:END-->", b"<!--XSUPERVISOR:", b"<", b"<!--", b"-->", b"\n"];
    Target { name: "capture", words, made: nothing_made, oracle: judge_capture }.feed();
}

#[test]
fn stripped_output_is_the_same_in_any_pieces() {
    let words: &[&[u8]] = &[b"\x1b[", b"\x1b", b"[", b"m", b"0;31", b"\x1b]0;t\x07", b"K"];
    Target { name: "ansi", words, made: nothing_made, oracle: judge_ansi }.feed();
}

#[test]
fn listeners_mean_the_same_to_a_successor_of_the_worker() {
    let words: &[&[u8]] = &[
        b"READY\n",
        b"RESULT 2\nOK",
        b"RESULT 4\nFAIL",
        b"|",
        b"RESULT ",
        b"99999999999999999999",
        b"-1",
        b"\n",
        b"\0",
    ];
    Target { name: "listener", words, made: nothing_made, oracle: judge_listener }.feed();
}

#[test]
fn slices_of_logs_are_the_bytes_that_were_asked_for() {
    let words: &[&[u8]] =
        &[b"-", b"9223372036854775807", b"-9223372036854775808", b" 0\n", b"1 1\n", b"\xe2\x82\xac", b"\xff", b"\n"];
    Target { name: "log", words, made: nothing_made, oracle: judge_log }.feed();
}
