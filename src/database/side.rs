//! The side process that asks: Galaxy's own Python, with the account, the directory and the variables of Galaxy's program.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::de::DeserializeOwned;

use super::answer::{Beat, Census, DatabaseVersion, Obedience, OwnedJob, Reassignment};
use super::question::{FRESH_SECONDS, INVOCATION_STATES, JOB_STATES, Owner, Question, UNTOUCHED};
use super::script::{self, SECONDS, Unanswered};
use crate::sys::clock;

/// It is killed after this: an interpreter that hangs in a file system has no alarm yet.
const PATIENCE: Duration = Duration::from_secs(SECONDS + 5);

/// An answer is read so far, in bytes.
const ANSWER_MAX: usize = 16 << 20;

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
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl AskError {
    /// Whether the side process itself refused, before it did anything.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, AskError::NoPython { .. } | AskError::Unanswered(Unanswered::Refused(_)))
    }
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

    /// The signs of life under these server names, the newest first.
    ///
    /// # Errors
    /// There is no answer.
    pub fn beats(&self, names: &[&str]) -> Result<Vec<Beat>, AskError> {
        self.read(&Question::beats(names, String::new()))
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

    /// Tells one process of this host by Galaxy's control queue to begin no job, or to begin jobs again, and waits so long
    /// for its answer. `broker`: `amqp_internal_connection`.
    ///
    /// # Errors
    /// It was not told; where the side process was killed or broke off, nobody knows.
    pub fn lock(
        &self,
        broker: &str,
        server_name: &str,
        is_locked: bool,
        patience: Duration,
    ) -> Result<Obedience, AskError> {
        let question = Question::Lock { server_name, job_lock: is_locked, patience: patience.as_secs() };
        let doubt: Option<String> = self.ask_at(broker, &question, false)?;
        Ok(doubt.map_or(Obedience::Answered, Obedience::Doubtful))
    }

    fn read<T: DeserializeOwned>(&self, question: &Question<'_>) -> Result<T, AskError> {
        self.ask(question, false)
    }

    fn ask<T: DeserializeOwned>(&self, question: &Question<'_>, writes: bool) -> Result<T, AskError> {
        self.ask_at(&self.url, question, writes)
    }

    fn ask_at<T: DeserializeOwned>(&self, url: &str, question: &Question<'_>, writes: bool) -> Result<T, AskError> {
        let document = script::document(question, url, writes, clock::wall().as_secs())?;
        let mut child = self.start()?;
        // By standard input, as the address may hold a password and arguments are for all to see.
        let sent = child.stdin.take().map(|mut input| input.write_all(document.as_bytes()));
        let outcome = Outcome::of(&mut child);
        // Ended or not: after this it is gone, and nothing is left to collect.
        let _ = child.kill();
        let _ = child.wait();
        let outcome = outcome?;
        match (script::answer(&outcome.answer), sent) {
            (Some(answer), _) => Ok(answer?),
            (None, Some(Err(error))) => Err(Unanswered::BrokenOff(format!("{error}; {}", outcome.last_words())).into()),
            (None, _) => Err(Unanswered::BrokenOff(outcome.last_words()).into()),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the client has no children that somebody else collects")]
    fn start(&self) -> Result<Child, AskError> {
        let mut command = Command::new(&self.python);
        command.args(script::ARGUMENTS).envs(self.environment.iter().map(|(name, value)| (name, value)));
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
        script::last_words(&self.complaint)
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
