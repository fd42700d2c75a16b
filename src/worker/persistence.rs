//! Whether a daemon that is killed with its worker can be gone on with: the roll and the journal are in their files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::inheritance;
use super::invocation::Call;
use super::journal::{Journal, Snapshot};
use super::state_files::{self, StateFiles};
use super::worker::{Worker, now};
use crate::config::Config;
use crate::engine::Moment;
use crate::keeper::{KeeperLink, ROLL_FILE_HELD_NAME, ROLL_HELD_NAME, ToKeeper};
use crate::logs::{Level, log};
use crate::sys::errno;

/// What is said while one of the files cannot be written.
pub(super) const NONE: &str =
    "running without persistence: should the daemon be killed, its programs would not be found";

const BACK: &str = "persistence is back: should the daemon be killed, its programs are found";

/// How long after a failure the files are tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The files, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Persistence {
    is_wanted: bool,
    /// `None`: they have not been to be had yet.
    files: Option<StateFiles>,
    /// Why the journal is in memory.
    journal: Option<String>,
    /// Why the roll is in the keeper's memory.
    roll: Option<String>,
    retry_at: Option<Moment>,
    /// What has changed and nobody was told yet.
    news: Option<(Level, String)>,
}

impl Persistence {
    /// Without a keeper there is nobody to go on, and nothing is wanted.
    pub(super) fn of(call: &Call, files: Option<StateFiles>) -> Persistence {
        Persistence { files, is_wanted: !call.alone, ..Persistence::default() }
    }

    /// When to try the files again.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.retry_at
    }

    /// A journal in its file, else in memory.
    pub(super) fn begin_journal(&mut self, snapshot: &Snapshot) -> io::Result<Journal> {
        self.retry_at = None;
        if let Some(files) = &self.files {
            match Journal::begin_in(files, snapshot) {
                Ok(journal) => {
                    self.journal_is(None);
                    return Ok(journal);
                }
                Err(error) => {
                    let path = files.journal_path();
                    self.journal_is(Some(format!("{}: {error}", path.display())));
                    self.retry_at = Some(now().mono + RETRY_AFTER);
                }
            }
        } else if self.is_wanted {
            self.retry_at = Some(now().mono + RETRY_AFTER);
        }
        Journal::begin(snapshot)
    }

    /// There are files where there were none.
    fn found(&mut self, files: StateFiles) {
        self.files = Some(files);
        self.announce(true);
    }

    fn journal_is(&mut self, problem: Option<String>) {
        let before = self.problem().is_some();
        self.journal = problem;
        self.announce(before);
    }

    /// The keeper says how it stands with the roll.
    pub(super) fn roll_is(&mut self, errno: i32) {
        let before = self.problem().is_some();
        let name = errno::name(errno).map_or_else(|| format!("errno {errno}"), str::to_owned);
        let path = self.files.as_ref().map(|files| files.roll_path().display().to_string()).unwrap_or_default();
        self.roll = (errno != 0).then(|| format!("{path}: {name}"));
        self.announce(before);
    }

    /// What an administrator should know.
    pub(super) fn notice(&self) -> Option<String> {
        match self.problem() {
            _ if !self.is_wanted => None,
            Some(problem) => Some(format!("{NONE} ({problem})")),
            None => self.files.is_none().then(|| NONE.to_owned()),
        }
    }

    fn problem(&self) -> Option<&str> {
        self.roll.as_deref().or(self.journal.as_deref())
    }

    fn announce(&mut self, before: bool) {
        match self.problem() {
            Some(problem) if !before => self.news = Some((Level::Critical, format!("{NONE} ({problem})"))),
            None if before => self.news = Some((Level::Warn, BACK.to_owned())),
            Some(_) | None => {}
        }
    }

    /// Everything is stopped.
    pub(super) fn remove(&self) {
        if let Some(Err(error)) = self.files.as_ref().map(StateFiles::remove) {
            log(Level::Warn, &format!("could not remove the state files: {error}"));
        }
    }
}

/// The files of a daemon that starts, or starts anew: those that the keeper holds if they are still the ones that the
/// configuration means, else new ones in their place.
pub(super) fn renew(
    config: &Config,
    held: &mut BTreeMap<String, OwnedFd>,
    keeper: &mut KeeperLink,
) -> Option<StateFiles> {
    let (directory, roll) = take_from(held);
    let wanted = StateFiles::open(&config.daemon);
    if let (Some(roll), Ok(files), true) = (&roll, &wanted, directory.is_some())
        && files.has(roll)
    {
        return wanted.ok();
    }
    // The first time, the launcher has said why there are none.
    directory?;
    match make(config, keeper) {
        Ok(files) => {
            roll.iter().for_each(state_files::remove_moved);
            Some(files)
        }
        Err(problem) => {
            log(Level::Critical, &format!("{NONE} ({problem})"));
            None
        }
    }
}

/// New files, which the keeper holds from now on.
fn make(config: &Config, keeper: &mut KeeperLink) -> Result<StateFiles, String> {
    let held = inheritance::found(&config.daemon)?;
    for (name, descriptor) in held {
        if let Err(error) = keeper.send(&ToKeeper::Hold { name }, vec![descriptor]) {
            log(Level::Warn, &format!("cannot hand the state files to the keeper: {error}"));
        }
    }
    StateFiles::open(&config.daemon).map_err(|error| error.to_string())
}

/// Those that a predecessor had, or a daemon that was killed.
pub(super) fn resume(config: &Config, held: &mut BTreeMap<String, OwnedFd>) -> Option<StateFiles> {
    let (directory, roll) = take_from(held);
    let files = StateFiles::of_held(directory?, &config.daemon);
    files.has(&roll?).then_some(files)
}

/// The runtime directory and the roll's file, as the keeper holds them; the roll itself may be in memory for a while.
fn take_from(held: &mut BTreeMap<String, OwnedFd>) -> (Option<OwnedFd>, Option<File>) {
    let [directory, file, roll] =
        [state_files::HELD_NAME, ROLL_FILE_HELD_NAME, ROLL_HELD_NAME].map(|name| held.remove(name));
    (directory, file.or(roll).map(File::from))
}

impl Worker {
    /// Tries to bring roll and journal to their files if that is due.
    pub(super) fn retry_persistence(&mut self) {
        if self.persistence.deadline().is_some_and(|at| at <= now().mono) {
            // Why not was said at the start.
            if self.persistence.files.is_none()
                && let Ok(files) = make(&self.config, &mut self.keeper)
            {
                self.persistence.found(files);
            }
            self.restructured = true;
            self.write_journal();
        }
    }

    pub(super) fn roll_is(&mut self, errno: i32) {
        self.persistence.roll_is(errno);
        self.tell_of_persistence();
    }

    pub(super) fn tell_of_persistence(&mut self) {
        if let Some((level, text)) = self.persistence.news.take() {
            log(level, &text);
            self.record_daemon(&text);
        }
    }

    /// What an administrator should know of the daemon itself.
    pub(super) fn notices(&self) -> Vec<String> {
        let persistence = self.persistence.notice();
        let log = self.activity.trouble().map(|trouble| format!("running without its own log: {trouble}"));
        let memory = self.shortage.notice();
        persistence.into_iter().chain(log).chain(memory).chain(self.strays_notice()).collect()
    }
}
