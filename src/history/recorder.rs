//! Writes the history on a thread of its own, so that no disk can hold up the control loop.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::entry::{Entry, Kind};
use super::file::Store;
use super::fold::Folding;
use crate::logs::{Level, log};
use crate::sys::clock;

/// Entries that wait for the disk; more are counted and lost.
const WAITING_MAX: usize = 1024;

/// A file that cannot be written is tried again at most this often, and only when there is something to write.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// How long the end of the daemon waits for the last entries.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// Takes what happens and sees to it that it is written.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    sender: Option<SyncSender<Entry>>,
    lost: Arc<AtomicU64>,
    ended: Receiver<()>,
}

impl History {
    /// Begins to write to `path` and its former file, together at most `bytes_max` large. The file is opened on the
    /// thread: what is wrong with it is told in the activity log.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(path: &Path, bytes_max: u64) -> io::Result<History> {
        let (sender, entries) = sync_channel(WAITING_MAX);
        let (ending, ended) = channel();
        let lost = Arc::new(AtomicU64::new(0));
        let mut writer = Writer {
            path: path.to_owned(),
            bytes_max,
            store: None,
            folding: Folding::default(),
            lost: Arc::clone(&lost),
            retry_at: None,
        };
        thread::Builder::new().name("history".to_owned()).spawn(move || {
            for entry in entries {
                writer.take(entry);
            }
            writer.finish();
            // Who waited may have given up.
            let _told = ending.send(());
        })?;
        Ok(History { path: path.to_owned(), sender: Some(sender), lost, ended })
    }

    /// Never waits.
    pub fn record(&self, kind: Kind, subject: &str, text: &str) {
        let sent = self.sender.as_ref().map(|sender| sender.try_send(Entry::now(kind, subject, text)));
        if !matches!(sent, Some(Ok(()))) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for History {
    /// Gives what waits a moment to be written.
    fn drop(&mut self) {
        self.sender = None;
        let _ended = self.ended.recv_timeout(FAREWELL_MAX);
    }
}

struct Writer {
    path: PathBuf,
    bytes_max: u64,
    store: Option<Store>,
    folding: Folding,
    lost: Arc<AtomicU64>,
    /// Set while there is trouble.
    retry_at: Option<Duration>,
}

impl Writer {
    fn take(&mut self, entry: Entry) {
        for record in self.folding.add(entry) {
            self.write(&record);
        }
    }

    fn finish(&mut self) {
        for record in self.folding.finish() {
            self.write(&record);
        }
    }

    fn write(&mut self, entry: &Entry) {
        let now = clock::monotonic();
        if self.retry_at.is_some_and(|at| now < at) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Err(error) = self.try_write(entry) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            self.troubled(&error, now);
            return;
        }
        if self.retry_at.take().is_some() {
            log(Level::Info, &format!("the history {} can be written again", self.path.display()));
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let gap = Entry::now(Kind::Daemon, "", &format!("{lost} entries before this one could not be written"));
            if self.try_write(&gap).is_err() {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }

    fn try_write(&mut self, entry: &Entry) -> io::Result<()> {
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(Store::open(&self.path, self.bytes_max)?),
        };
        store.append(entry)
    }

    fn troubled(&mut self, error: &io::Error, now: Duration) {
        self.store = None;
        if self.retry_at.replace(now + RETRY_EVERY).is_none() {
            let text = format!(
                "cannot write the history {}: {error}; entries are lost and counted until it works",
                self.path.display()
            );
            log(Level::Warn, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::read;

    #[test]
    fn what_is_recorded_is_there_when_it_ends_and_goes_on_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        for text in ["one", "two"] {
            let history = History::start(&path, 1 << 20).unwrap();
            history.record(Kind::Daemon, "", text);
        }
        let texts: Vec<String> = read(&path).unwrap().into_iter().map(|entry| entry.text).collect();
        assert_eq!(texts, ["one", "two"]);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_told_when_it_can_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/history");
        let lost = Arc::new(AtomicU64::new(0));
        let mut writer = Writer {
            path: path.clone(),
            bytes_max: 0,
            store: None,
            folding: Folding::default(),
            lost: Arc::clone(&lost),
            retry_at: None,
        };
        for text in ["a", "b", "c"] {
            writer.take(Entry::now(Kind::Daemon, "", text));
        }
        assert_eq!(lost.load(Ordering::Relaxed), 3);
        std::fs::create_dir(dir.path().join("missing")).unwrap();
        writer.retry_at = Some(Duration::ZERO);
        writer.take(Entry::now(Kind::Daemon, "", "d"));
        let texts: Vec<String> = read(&path).unwrap().into_iter().map(|entry| entry.text).collect();
        assert_eq!(texts, ["d", "3 entries before this one could not be written"]);
    }
}
