//! The Python process that knows the right answers.

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::notice::tell;

/// The version whose behaviour and texts are the contract; later ones changed both.
const VERSION: &str = "3.11.";

/// What Python made of a text, or its message.
pub(crate) type Answer = Result<Value, String>;

pub(crate) struct Oracle {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    /// The process; `None`, with the reason on stderr, where there cannot be one.
    pub(crate) fn start() -> Option<Self> {
        match crate::venv::supervisor_venv().and_then(|venv| Self::start_in(&venv)) {
            Ok(oracle) => Some(oracle),
            Err(reason) => {
                assert!(std::env::var_os("DIALECT_REQUIRED").is_none(), "NOT COMPARED: {reason}");
                tell(&format!("NOT COMPARED with Python and Supervisor: {reason}"));
                None
            }
        }
    }

    fn start_in(venv: &Path) -> Result<Self, String> {
        let mut child = Command::new(venv.join("bin/python"))
            .args(["-c", include_str!("oracle.py")])
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", venv.join("bin/python").display()))?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe from Python")?);
        let mut oracle = Oracle { child, questions, answers };
        let version = oracle.read_line();
        if version.starts_with(VERSION) {
            return Ok(oracle);
        }
        Err(format!("the reference is Python {VERSION}x, this is {version:?}"))
    }

    /// All answers. The questions go in from a thread, as the pipes hold only so much.
    pub(crate) fn ask(&mut self, questions: &[Value]) -> Vec<Answer> {
        let mut pipe = self.questions.take().expect("asked before");
        let lines = questions.iter().map(|question| format!("{question}\n")).collect::<Vec<_>>().concat();
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || pipe.write_all(lines.as_bytes()));
            let answers = questions.iter().map(|_| self.read_answer()).collect();
            writer.join().unwrap().expect("Python closed its input");
            answers
        })
    }

    fn read_answer(&mut self) -> Answer {
        let line = self.read_line();
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["value"].take()),
        }
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("reading from Python");
        line.truncate(line.trim_end_matches('\n').len());
        line
    }
}

impl Drop for Oracle {
    /// The end of its input ends the process.
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

/// Differences between the original and us, and what was compared.
pub(crate) struct Tally {
    what: &'static str,
    seed: u64,
    accepted: usize,
    refused: usize,
    documented: usize,
    different: Vec<String>,
}

impl Tally {
    pub(crate) fn new(what: &'static str, seed: u64) -> Self {
        Tally { what, seed, accepted: 0, refused: 0, documented: 0, different: Vec::new() }
    }

    pub(crate) fn compare<T: Debug>(
        &mut self,
        input: &str,
        ours: Result<Value, T>,
        text: impl Fn(&T) -> String,
        original: &Answer,
    ) {
        let ours = ours.map_err(|error| text(&error));
        if ours != *original {
            let difference = format!("input    {input:?}\noriginal {original:?}\nours     {ours:?}");
            return self.different.push(difference);
        }
        match original {
            Ok(_) => self.accepted += 1,
            Err(_) => self.refused += 1,
        }
    }

    /// A difference that is meant to be.
    pub(crate) fn count_documented(&mut self) {
        self.documented += 1;
    }

    pub(crate) fn finish(self) {
        let Tally { what, seed, accepted, refused, documented, different } = self;
        let few = different.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
        assert!(different.is_empty(), "{what}: {} differ with DIALECT_SEED={seed}\n{few}", different.len());
        report(format_args!(
            "{what}: both accept {accepted}, both refuse {refused}, documented differences {documented}, seed {seed}"
        ));
    }
}

#[expect(clippy::print_stderr, reason = "what a comparison covered belongs into the test's output")]
fn report(text: std::fmt::Arguments<'_>) {
    eprintln!("{text}");
}
