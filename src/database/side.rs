//! The side process that asks: Galaxy's own Python, with the account, the directory and the variables of Galaxy's program.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::{Census, DatabaseVersion, OwnedJob, Reassignment};
use super::question::{FRESH_SECONDS, INVOCATION_STATES, JOB_STATES, Owner, Question, UNTOUCHED};
use crate::sys::clock;

/// It ends itself after so many seconds, whatever it waits for.
const SECONDS: u64 = 20;

/// It is killed after this: an interpreter that hangs in a file system has no alarm yet.
const PATIENCE: Duration = Duration::from_secs(SECONDS + 5);

/// An answer is read so far, in bytes.
const ANSWER_MAX: usize = 16 << 20;

const PROGRAM: &str = include_str!("ask.py");

/// How a Galaxy's database is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// An address as `SQLAlchemy` has them: `database_connection`.
    pub url: String,
    /// Galaxy's interpreter.
    pub python: PathBuf,
    /// Relative names in the address are meant from here.
    pub directory: Option<PathBuf>,
    /// Number and group of the account to become; `None`: this one.
    pub account: Option<(u32, u32)>,
    /// What Galaxy's program gets, for the drivers: `PGPASSFILE`, `HOME`.
    pub environment: Vec<(String, String)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("{python} cannot be started: {error}")]
    NoPython { python: String, error: io::Error },
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TooLate,
    #[error("the process that asks it broke off: {0}")]
    BrokenOff(String),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Database {
    /// Counts what is not at its end.
    ///
    /// # Errors
    /// There is no answer.
    pub fn census(&self) -> Result<Census, AskError> {
        self.read(&Question::Census { job_states: &JOB_STATES, invocation_states: &INVOCATION_STATES })
    }

    /// The jobs of a handler that are not at their end, by number.
    ///
    /// # Errors
    /// There is no answer.
    pub fn owned(&self, owner: &Owner) -> Result<Vec<OwnedJob>, AskError> {
        let mut jobs: Vec<OwnedJob> = self.read(&Question::owned(owner))?;
        jobs.retain(|job| owner.is(&job.handler));
        Ok(jobs)
    }

    /// What of `old` could be given to `new`: with a tag only what nobody has touched yet.
    ///
    /// # Errors
    /// There is no answer.
    pub fn rehearse(&self, old: &str, new: &str, to_tag: bool) -> Result<Reassignment, AskError> {
        self.read(&reassignment(old, new, to_tag))
    }

    /// Gives it away, unless `old` has shown life lately.
    ///
    /// # Errors
    /// There is no answer; whether it was done is not known then.
    pub fn reassign(&self, old: &str, new: &str, to_tag: bool) -> Result<Reassignment, AskError> {
        self.ask(&reassignment(old, new, to_tag), true)
    }

    /// Which database it is.
    ///
    /// # Errors
    /// There is no answer.
    pub fn version(&self) -> Result<DatabaseVersion, AskError> {
        self.read(&Question::Version)
    }

    fn read<T: DeserializeOwned>(&self, question: &Question<'_>) -> Result<T, AskError> {
        self.ask(question, false)
    }

    fn ask<T: DeserializeOwned>(&self, question: &Question<'_>, writes: bool) -> Result<T, AskError> {
        let broken = |error: serde_json::Error| AskError::BrokenOff(error.to_string());
        let mut document = serde_json::to_value(question).map_err(broken)?;
        if let Some(members) = document.as_object_mut() {
            members.insert("url".to_owned(), json!(self.url));
            members.insert("writes".to_owned(), json!(writes));
            members.insert("seconds".to_owned(), json!(SECONDS));
            members.insert("now".to_owned(), json!(clock::wall().as_secs()));
        }
        let mut child = self.start()?;
        // By standard input, as the address may hold a password and arguments are for all to see.
        let sent = child.stdin.take().map(|mut input| input.write_all(document.to_string().as_bytes()));
        let outcome = Outcome::of(&mut child);
        // Ended or not: after this it is gone, and nothing is left to collect.
        let _ = child.kill();
        let _ = child.wait();
        let outcome = outcome?;
        let Ok(answer) = serde_json::from_slice::<Value>(&outcome.answer) else {
            if let Some(Err(error)) = sent {
                return Err(AskError::BrokenOff(format!("{error}; {}", outcome.last_words())));
            }
            return Err(AskError::BrokenOff(outcome.last_words()));
        };
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(AskError::Refused(error.to_owned())),
            None => serde_json::from_value(answer.get("answer").cloned().unwrap_or_default()).map_err(broken),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the client has no children that somebody else collects")]
    fn start(&self) -> Result<Child, AskError> {
        let mut command = Command::new(&self.python);
        // -I: neither the directory nor PYTHONPATH put modules of their own in place of those that are wanted.
        command.args(["-I", "-c", PROGRAM]).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for the client, which says what becomes of the question.
        command.process_group(0);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        command.spawn().map_err(|error| AskError::NoPython { python: self.python.display().to_string(), error })
    }
}

fn reassignment<'a>(old: &'a str, new: &'a str, to_tag: bool) -> Question<'a> {
    let (job_states, invocation_states): (&[&str], &[&str]) =
        if to_tag { (&UNTOUCHED, &UNTOUCHED) } else { (&JOB_STATES, &INVOCATION_STATES) };
    Question::Reassign { old, new, job_states, invocation_states, fresh_seconds: FRESH_SECONDS }
}

/// What a side process printed.
struct Outcome {
    answer: Vec<u8>,
    complaint: Vec<u8>,
}

impl Outcome {
    /// Reads both streams to their ends.
    fn of(child: &mut Child) -> Result<Outcome, AskError> {
        let until = clock::monotonic() + PATIENCE;
        let mut outcome = Outcome { answer: Vec::new(), complaint: Vec::new() };
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        while out.is_some() || err.is_some() {
            let left = until.saturating_sub(clock::monotonic());
            if left.is_zero() || outcome.answer.len() > ANSWER_MAX {
                return Err(AskError::TooLate);
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let watched = [out.as_ref().map(|out| out.as_fd()), err.as_ref().map(|err| err.as_fd())];
            let mut polled: Vec<PollFd<'_>> =
                watched.iter().flatten().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
            match poll(&mut polled, timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
            let mut ready = polled.iter().map(|one| one.any().unwrap_or(false)).collect::<Vec<_>>().into_iter();
            let is_out = out.is_some() && ready.next().unwrap_or(false);
            let is_err = err.is_some() && ready.next().unwrap_or(false);
            drop(polled);
            if is_out && !more(out.as_mut(), &mut outcome.answer)? {
                out = None;
            }
            if is_err && !more(err.as_mut(), &mut outcome.complaint)? {
                err = None;
            }
        }
        Ok(outcome)
    }

    /// The last line that it complained with.
    fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.complaint);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or_else(|| format!("it ended within {SECONDS} s without an answer"), str::to_owned)
    }
}

/// Reads what is there; `false` at the end.
fn more(stream: Option<&mut impl io::Read>, into: &mut Vec<u8>) -> io::Result<bool> {
    let Some(stream) = stream else { return Ok(false) };
    let mut bytes = [0; 16 << 10];
    let count = stream.read(&mut bytes)?;
    into.extend_from_slice(bytes.get(..count).unwrap_or_default());
    Ok(count > 0)
}
