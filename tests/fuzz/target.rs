//! What is fed, with what, for how long, and what a failure says.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::dice::Dice;

/// Inputs do not grow beyond this, bytes.
const INPUT_MAX: usize = 64 * 1024;

/// No input takes longer, on however busy a machine.
const INPUT_BOUND: Duration = Duration::from_secs(20);

/// One reader of bytes from outside.
pub(crate) struct Target {
    /// Also the folder of its corpus.
    pub(crate) name: &'static str,
    /// What means something to the reader.
    pub(crate) words: &'static [&'static [u8]],
    /// Inputs that are made, not kept as files: what is not text.
    pub(crate) made: fn() -> Vec<Vec<u8>>,
    /// Panics where the reader does wrong.
    pub(crate) oracle: fn(&[u8]),
}

pub(crate) fn nothing_made() -> Vec<Vec<u8>> {
    Vec::new()
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

impl Target {
    /// The corpus as it is, then damaged inputs until the time is over.
    pub(crate) fn feed(&self) {
        let corpus = self.corpus();
        for input in &corpus {
            self.judge(input, "as it is in the corpus");
        }
        let seed = number("GALAXYD_SEED", 1);
        let bound = Duration::from_secs(number("GALAXYD_FUZZ_SECONDS", 1));
        let begin = Instant::now();
        let mut executions = 0;
        while begin.elapsed() < bound {
            let seed = seed.wrapping_add(executions);
            let input = self.input(&corpus, &mut Dice::new(seed));
            self.judge(&input, &format!("GALAXYD_SEED={seed}"));
            executions += 1;
        }
        eprintln!("{}: {executions} executions from GALAXYD_SEED={seed}", self.name);
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(self.name);
        let mut corpus = (self.made)();
        let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
        files.sort();
        corpus.extend(files.iter().map(|file| fs::read(file).unwrap()));
        assert!(!corpus.is_empty(), "{} has no corpus", self.name);
        corpus
    }

    /// One of the corpus, or the begin of one and the end of another; damaged.
    fn input(&self, corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
        let mut input = corpus[dice.throw(corpus.len())].clone();
        if dice.one_in(3) {
            let other = &corpus[dice.throw(corpus.len())];
            input.truncate(dice.throw(input.len() + 1));
            input.extend_from_slice(&other[dice.throw(other.len() + 1)..]);
        }
        for _ in 0..dice.throw(4) {
            dice.damage(&mut input, self.words);
        }
        input.truncate(INPUT_MAX);
        input
    }

    fn judge(&self, input: &[u8], origin: &str) {
        let begin = Instant::now();
        let judged = catch_unwind(AssertUnwindSafe(|| (self.oracle)(input)));
        let took = begin.elapsed();
        if let Err(panic) = judged {
            eprintln!("{}: {origin}: \"{}\"", self.name, input.escape_ascii());
            resume_unwind(panic);
        }
        assert!(took < INPUT_BOUND, "{}: {origin} took {took:?}: \"{}\"", self.name, input.escape_ascii());
    }
}
