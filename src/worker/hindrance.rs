//! What keeps a process that has a child from going on: a log that cannot be written, a stop by a signal, a wait in the
//! kernel that no signal ends.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::worker::{Worker, now};
use crate::engine::{Channel, Moment, ProcessState, ProcessView};
use crate::logs::{Level, log};
use crate::sys::proc_table::{self, Standing};

/// The activity log tells of further losses of one file at most this often.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What is wrong with one log file.
#[derive(Debug)]
struct Trouble {
    what: String,
    since: Moment,
    /// Bytes of output that are in no log.
    lost: u64,
    warn_at: Moment,
}

/// Log files that cannot be written at present.
#[derive(Debug, Default)]
pub(super) struct Troubles(BTreeMap<PathBuf, Trouble>);

impl Troubles {
    /// It cannot be opened, written or rotated.
    pub(super) fn begin(&mut self, file: PathBuf, doing: &str, error: &io::Error) {
        let text = format!("cannot {doing} {}: {error}; trying again until it works", file.display());
        log(Level::Critical, &text);
        self.note(file, format!("cannot {doing}: {error}"));
    }

    /// An operation on it does not return.
    pub(super) fn hang(&mut self, file: PathBuf) {
        let text = format!("{} does not answer (hung file system?); other logs go on", file.display());
        log(Level::Critical, &text);
        self.note(file, "does not answer".to_owned());
    }

    fn note(&mut self, file: PathBuf, what: String) {
        let since = now().mono;
        let trouble = self.0.entry(file).or_insert(Trouble { what: String::new(), since, lost: 0, warn_at: since });
        trouble.what = what;
    }

    /// So many bytes of output were thrown away since it began.
    pub(super) fn lose(&mut self, file: &Path, lost: u64) {
        let now = now().mono;
        let Some(trouble) = self.0.get_mut(file) else { return };
        trouble.lost = lost;
        if now >= trouble.warn_at {
            trouble.warn_at = now + WARN_EVERY;
            let path = file.display();
            log(Level::Warn, &format!("{path} {}; {lost} bytes of output are lost so far", trouble.what));
        }
    }

    /// It is written again.
    pub(super) fn end(&mut self, file: &Path, lost: u64) {
        self.0.remove(file);
        let path = file.display();
        if lost == 0 {
            log(Level::Info, &format!("{path} can be written again, nothing was lost"));
        } else {
            log(Level::Warn, &format!("{path} can be written again, {lost} bytes were lost"));
        }
    }

    fn told(&self, file: &Path, now: Moment) -> Option<String> {
        let Trouble { what, since, lost, .. } = self.0.get(file)?;
        let seconds = now.since(*since).as_secs();
        Some(format!("its log {} {what}, for {seconds} s; {lost} bytes lost so far", file.display()))
    }
}

impl Worker {
    /// What hinders a process, in words for a person.
    pub(super) fn hindrances(&self, view: &ProcessView<'_>) -> Vec<String> {
        let Some(pid) = view.pid else { return Vec::new() };
        let mut found = Vec::new();
        match proc_table::one(pid).map(|entry| entry.standing) {
            Some(Standing::Stopped) => {
                let stop = self.children.last_stop(view.process, pid).map_or_else(
                    || "a signal".to_owned(),
                    |(signal, since)| format!("signal {signal} for {} s", now().mono.since(since).as_secs()),
                );
                found.push(format!("stopped by {stop}; `galaxyctl signal CONT {}` lets it go on", view.namespec()));
            }
            Some(Standing::Waits) if view.state == ProcessState::Stopping => {
                let place = proc_table::waits_in(pid).unwrap_or_else(|| "the kernel".to_owned());
                found.push(format!("no signal reaches it while it waits in {place}"));
            }
            _ => {}
        }
        let now = now().mono;
        for channel in [Channel::Stdout, Channel::Stderr] {
            let file = self.log_path(view.process, channel);
            found.extend(file.and_then(|file| self.troubles.told(&file, now)));
        }
        found
    }

    /// Whether a child was stopped by a signal, so that it hears no other but SIGKILL until it goes on.
    pub(super) fn is_stopped(pid: i32) -> bool {
        proc_table::one(pid).is_some_and(|entry| entry.standing == Standing::Stopped)
    }
}
