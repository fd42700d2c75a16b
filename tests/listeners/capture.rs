//! Capture tags, recognised by ours and by Supervisor's own dispatcher.

use galaxyd::events::{CaptureBuffer, Piece, Recogniser};
use serde_json::{Value, json};

use crate::history::Random;
use crate::oracle::{ask, report, seed_and_cases};

/// What comes of some output: the log file's text, and the blocks.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    text: Vec<u8>,
    blocks: Vec<Vec<u8>>,
}

/// Output in pieces as they are read. The last piece makes the original hand out what it held back; what it would lose without
/// that is in the unit tests.
fn reads(random: &mut Random) -> Vec<Vec<u8>> {
    let begin = b"<!--XSUPERVISOR:BEGIN-->";
    let end = b"<!--XSUPERVISOR:END-->";
    let mut output = Vec::new();
    for _ in 0..random.below(12) {
        match random.below(8) {
            0..=1 => output.extend_from_slice(begin),
            2..=3 => output.extend_from_slice(end),
            4 => output.extend_from_slice(&begin[..random.below(begin.len())]),
            5 => output.extend_from_slice(&end[..random.below(end.len())]),
            _ => (0..random.below(40)).for_each(|_| output.push(b"ab<!-\n"[random.below(6)])),
        }
    }
    let mut reads = Vec::new();
    while !output.is_empty() {
        let rest = output.split_off((1 + random.below(50)).min(output.len()));
        reads.push(std::mem::replace(&mut output, rest));
    }
    reads.push(vec![b'.'; 30]);
    reads
}

fn ours(maxbytes: usize, reads: &[Vec<u8>]) -> Outcome {
    let (mut recogniser, mut buffer, mut pieces) = (Recogniser::new(), CaptureBuffer::new(maxbytes), Vec::new());
    for read in reads {
        recogniser.feed(read, &mut pieces);
    }
    let mut outcome = Outcome { text: Vec::new(), blocks: Vec::new() };
    for piece in pieces {
        match piece {
            Piece::Text(text) => outcome.text.extend(text),
            Piece::Inside(bytes) => buffer.push(&bytes),
            Piece::End => outcome.blocks.push(buffer.take()),
            Piece::Unfinished => unreachable!("the output has not ended"),
        }
    }
    outcome
}

fn bytes(value: &Value) -> Vec<u8> {
    value.as_array().unwrap().iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()).collect()
}

#[test]
fn blocks_are_captured_as_by_the_original() {
    let (seed, cases) = seed_and_cases(500);
    let mut random = Random(seed);
    let outputs: Vec<_> = (0..cases).map(|_| (1 + random.below(80), reads(&mut random))).collect();
    let question = |(maxbytes, reads): &(usize, Vec<Vec<u8>>)| json!({ "maxbytes": maxbytes, "reads": reads });
    let Some(answers) = ask(outputs.iter().map(question)) else { return };
    let mut blocks = 0;
    for ((maxbytes, reads), answer) in outputs.iter().zip(&answers) {
        let captured = answer["blocks"].as_array().unwrap();
        let theirs = Outcome { text: bytes(&answer["text"]), blocks: captured.iter().map(bytes).collect() };
        assert_eq!(ours(*maxbytes, reads), theirs, "LISTENERS_SEED={seed} maxbytes {maxbytes} {reads:?}");
        blocks += captured.len();
    }
    report(format_args!("{cases} outputs: {blocks} blocks alike, seed {seed}"));
}
