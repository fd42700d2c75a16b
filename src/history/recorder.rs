//! Writes the history on a thread of its own, so that no disk can hold up the control loop.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::entry::{Entry, Kind};
use super::file::{Store, read_with};
use super::fold::Folding;
use crate::logs::{Level, log};
use crate::sys::clock;

/// Entries that wait for the disk; more are counted and lost.
const WAITING_MAX: usize = 1024;

/// Questions that wait for the file to be read; more are refused, so that they take no room from entries.
const QUESTIONS_MAX: usize = 8;

/// A file that cannot be written is tried again at most this often, and only when there is something to write.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// How long the end of the daemon waits for the last entries.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// Takes what happens and sees to it that it is written.
#[derive(Debug)]
pub struct History {
    sender: Option<SyncSender<News>>,
    lost: Arc<AtomicU64>,
    questions: Arc<AtomicUsize>,
    ended: Receiver<()>,
}

/// Called with everything that is known.
pub type Asker = Box<dyn FnOnce(io::Result<Vec<Entry>>) + Send>;

/// Too many questions wait already, or the history has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

/// What the thread is woken by.
enum News {
    Entry(Entry),
    Question(Asker),
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            News::Entry(entry) => entry.fmt(f),
            News::Question(_) => f.write_str("Question"),
        }
    }
}

impl History {
    /// Begins to write to `path` and its former file, together at most `bytes_max` large. The file is opened on the
    /// thread: what is wrong with it is told in the activity log.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(path: &Path, bytes_max: u64) -> io::Result<History> {
        let (sender, news) = sync_channel(WAITING_MAX + QUESTIONS_MAX);
        let (ending, ended) = channel();
        let lost = Arc::new(AtomicU64::new(0));
        let questions = Arc::new(AtomicUsize::new(0));
        let mut writer = Writer {
            path: path.to_owned(),
            bytes_max,
            store: None,
            folding: Folding::default(),
            lost: Arc::clone(&lost),
            retry_at: None,
        };
        let waiting = Arc::clone(&questions);
        thread::Builder::new().name("history".to_owned()).spawn(move || {
            for news in news {
                match news {
                    News::Entry(entry) => writer.take(entry),
                    News::Question(asker) => {
                        waiting.fetch_sub(1, Ordering::Relaxed);
                        asker(writer.read());
                    }
                }
            }
            writer.finish();
            // Who waited may have given up.
            let _told = ending.send(());
        })?;
        Ok(History { sender: Some(sender), lost, questions, ended })
    }

    /// Never waits.
    pub fn record(&self, kind: Kind, subject: &str, text: &str) {
        if self.send(News::Entry(Entry::now(kind, subject, text))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets the thread read everything, with counts as they are by now. Questions are answered one after the other, on
    /// the thread: no disk holds up anybody else.
    ///
    /// # Errors
    /// [`Busy`]: nobody is called.
    pub fn ask(&self, asker: Asker) -> Result<(), Busy> {
        let enough = self.questions.fetch_add(1, Ordering::Relaxed) >= QUESTIONS_MAX;
        let sent = if enough { Err(Busy) } else { self.send(News::Question(asker)) };
        if sent.is_err() {
            self.questions.fetch_sub(1, Ordering::Relaxed);
        }
        sent
    }

    fn send(&self, news: News) -> Result<(), Busy> {
        self.sender.as_ref().ok_or(Busy)?.try_send(news).map_err(|_| Busy)
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

    fn read(&self) -> io::Result<Vec<Entry>> {
        read_with(&self.path, self.folding.unwritten())
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
        if self.store.as_ref().is_some_and(Store::is_removed) {
            self.store = None;
        }
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
    fn whoever_asks_hears_counts_that_are_not_written_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let history = History::start(&path, 1 << 20).unwrap();
        (0..7).for_each(|_| history.record(Kind::State, "p", "EXITED"));
        let (sender, answer) = channel();
        history.ask(Box::new(move |entries| sender.send(entries.unwrap()).unwrap())).unwrap();
        let told: Vec<u64> = answer.recv().unwrap().iter().map(|entry| entry.count).collect();
        assert_eq!(told, [7]);
        assert_eq!(read(&path).unwrap()[0].count, 4);
    }

    #[test]
    fn too_many_questions_are_refused_and_take_no_room_from_entries() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::start(&dir.path().join("history"), 1 << 20).unwrap();
        history.record(Kind::Daemon, "", "one");
        let (release, gate) = channel::<()>();
        let (arrival, arrived) = channel();
        let held: Asker = Box::new(move |_| {
            arrival.send(()).unwrap();
            gate.recv().unwrap();
        });
        history.ask(held).unwrap();
        arrived.recv().unwrap();
        (0..QUESTIONS_MAX).for_each(|_| history.ask(Box::new(|_| ())).unwrap());
        assert_eq!(history.ask(Box::new(|_| ())), Err(Busy));
        history.record(Kind::Daemon, "", "two");
        assert_eq!(history.lost.load(Ordering::Relaxed), 0);
        release.send(()).unwrap();
    }

    #[test]
    fn a_file_that_was_removed_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let history = History::start(&path, 1 << 20).unwrap();
        let told = || {
            let (sender, answer) = channel();
            history.ask(Box::new(move |entries| sender.send(entries).unwrap())).unwrap();
            answer.recv().unwrap().map(|entries| entries.into_iter().map(|entry| entry.text).collect::<Vec<_>>())
        };
        history.record(Kind::Daemon, "", "one");
        assert_eq!(told().unwrap(), ["one"]);
        std::fs::remove_file(&path).unwrap();
        history.record(Kind::Daemon, "", "two");
        assert_eq!(told().unwrap(), ["two"]);
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
