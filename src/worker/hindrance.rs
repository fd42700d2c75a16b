//! What keeps a process that has a child from going on: a log that cannot be written, a stop by a signal, a wait in the
//! kernel that no signal ends.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::worker::{Worker, now};
use crate::engine::{Channel, Moment, ProcessState, ProcessView};
use crate::logs::{Level, SourceId, log};
use crate::sys::mounts;
use crate::sys::proc_table::{self, Standing};

/// The activity log tells of further losses of one file at most this often.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What is wrong with one log file.
#[derive(Debug)]
struct Trouble {
    what: String,
    /// Makes its directory again, where that is ours to do.
    restoring: Option<AbortHandle>,
    since: Moment,
    /// Bytes of output that are in no log.
    lost: u64,
    warn_at: Moment,
}

/// What one child's output has lost to its rate.
#[derive(Debug, Default)]
pub(super) struct Suppressed {
    bytes: BTreeMap<Channel, u64>,
    warn_at: Option<Moment>,
}

impl Suppressed {
    /// Whether the log is to tell of it.
    fn tell(&mut self, channel: Channel, total: u64, now: Moment) -> bool {
        self.bytes.insert(channel, total);
        let is_due = self.warn_at.is_none_or(|at| now >= at);
        if is_due {
            self.warn_at = Some(now + WARN_EVERY);
        }
        is_due
    }

    pub(super) fn total(&self) -> u64 {
        self.bytes.values().sum()
    }
}

/// Log files that cannot be written at present.
#[derive(Debug, Default)]
pub(super) struct Troubles(BTreeMap<PathBuf, Trouble>);

impl Troubles {
    /// It cannot be opened, written or rotated.
    pub(super) fn begin(&mut self, file: PathBuf, doing: &str, error: &io::Error, restoring: Option<AbortHandle>) {
        let place = place_of(&file, error);
        let text = format!("cannot {doing} {}: {error}{place}; trying again until it works", file.display());
        log(Level::Critical, &text);
        self.note(file, format!("cannot {doing}: {error}{place}"), restoring);
    }

    /// An operation on it does not return.
    pub(super) fn hang(&mut self, file: PathBuf) {
        let text = format!("{} does not answer (hung file system?); other logs go on", file.display());
        log(Level::Critical, &text);
        self.note(file, "does not answer".to_owned(), None);
    }

    fn note(&mut self, file: PathBuf, what: String, restoring: Option<AbortHandle>) {
        let since = now().mono;
        let new = Trouble { what: String::new(), restoring: None, since, lost: 0, warn_at: since };
        let trouble = self.0.entry(file).or_insert(new);
        trouble.what = what;
        if let Some(former) = std::mem::replace(&mut trouble.restoring, restoring) {
            former.abort();
        }
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
        if let Some(restoring) = self.0.remove(file).and_then(|trouble| trouble.restoring) {
            restoring.abort();
        }
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

/// Which mount has to be looked at, where one is to blame.
fn place_of(file: &Path, error: &io::Error) -> String {
    let blames_it = matches!(error.raw_os_error(), Some(libc::EROFS | libc::ENOSPC | libc::EDQUOT | libc::EIO));
    let mount = if blames_it { mounts::of(file) } else { None };
    mount.map_or_else(String::new, |mount| format!(" (on {})", mount.display()))
}

impl Worker {
    /// A program writes more than its rate allows: so many bytes of this pipe are in no log.
    pub(super) fn suppressed(&mut self, source: SourceId, total: u64) {
        let now = now().mono;
        let Some(child) = self.children.get_mut(source.child) else { return };
        let is_due = child.suppressed.tell(source.channel, total, now);
        if is_due {
            let process = child.process;
            let name = self.engine.process(process).map_or_else(String::new, |view| view.namespec());
            let channel = source.channel.name();
            let text = format!(
                "'{name}' writes more than output_rate_max allows; {total} bytes of its {channel} are left out so far"
            );
            log(Level::Warn, &text);
        }
    }

    /// What hinders a process, in words for a person.
    pub(super) fn hindrances(&self, view: &ProcessView<'_>) -> Vec<String> {
        let Some(pid) = view.pid else { return Vec::new() };
        let mut found = Vec::new();
        match standing(pid) {
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
        let suppressed = self.children.suppressed(view.process);
        if suppressed > 0 {
            found.push(format!("{suppressed} bytes of its output are left out of its log so far (output_rate_max)"));
        }
        found.extend(self.told_of_missing_socket(view.process));
        found.extend(self.standing_beside(view));
        let now = now().mono;
        for channel in [Channel::Stdout, Channel::Stderr] {
            let file = self.log_path(view.process, channel);
            found.extend(file.and_then(|file| self.troubles.told(&file, now)));
        }
        found
    }

    /// Whether a child was stopped by a signal, so that it hears no other but SIGKILL until it goes on.
    pub(super) fn is_stopped(pid: i32) -> bool {
        standing(pid) == Some(Standing::Stopped)
    }
}

/// `None` also where it cannot be found out: then nothing is told of it.
fn standing(pid: i32) -> Option<Standing> {
    proc_table::one(pid).ok()?.map(|entry| entry.standing)
}
