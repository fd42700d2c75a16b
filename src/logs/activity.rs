//! The activity log: the daemon's own lines, in Supervisor's format, to its file (or syslog) and to the terminal.
//!
//! Lines come in as `tracing` events and are written by tracing-appender's workers, one for the file and one for the
//! terminal, so that neither a hung file system nor a stopped terminal holds the caller or the other. What may wait
//! for them is bounded; beyond it, lines are dropped and counted.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use jiff::Zoned;
use tokio::sync::oneshot;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::activity_sink::{ActivitySink, EchoSink};
use super::level::Level;
use super::logfile::{Bounds, OpenGate};
use super::rotate::RotatingFile;
use super::syslog::{self, Syslog};
use super::tail::SliceError;

/// Lines that may wait for a writer.
pub const WAITING_LINES_MAX: usize = 4096;

/// Bytes that may wait for a writer.
pub const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long `Activity::clear` waits for a file system.
const CLEAR_WAIT: Duration = Duration::from_secs(10);

/// Lets a sink follow one of its controls. No line begins like this: lines begin with a year.
pub(super) const CONTROL_MARK: &[u8] = b"\0";

/// As many requests to reopen or clear may wait; at the limit another one is not queued.
const CONTROLS_MAX: usize = 64;

const TARGET: &str = "galaxyd";

/// Where the activity log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivityTarget {
    Syslog,
    /// `maxbytes` in bytes, zero or less: never rotate.
    File {
        path: PathBuf,
        maxbytes: i64,
        backups: i64,
    },
}

/// What an activity log needs to start.
#[derive(Debug, Clone)]
pub struct ActivitySettings {
    pub target: ActivityTarget,
    /// Lines less important than this are not written.
    pub level: Level,
    /// Whether lines go to standard output as well (nodaemon and not silent).
    pub echo: bool,
    /// The tag of syslog messages: the program's name.
    pub syslog_tag: String,
}

/// The handle of the activity log. Dropping it writes what waits, for about a second at most.
#[derive(Debug)]
pub struct Activity {
    main: Outlet,
    echo: Option<Outlet>,
    controls: Controls,
    trouble: Trouble,
    _guards: Vec<WorkerGuard>,
}

/// The `tracing` layer of an activity log.
#[derive(Debug)]
pub struct ActivityLayer {
    level: Level,
    /// Each line of a message becomes a message of its own, with time and level.
    to_syslog: bool,
    main: Outlet,
    echo: Option<Outlet>,
}

/// What a sink is asked, in order with the lines.
#[derive(Debug)]
pub(super) enum Control {
    Reopen,
    Clear(mpsc::SyncSender<io::Result<()>>),
    /// Everything before this is written, or cannot be.
    Written(oneshot::Sender<()>),
}

pub(super) type Controls = Arc<Mutex<VecDeque<Control>>>;

/// Why the log cannot be written at present.
pub(super) type Trouble = Arc<Mutex<Option<String>>>;

/// Never poisoned in a way that matters: what is inside is whole between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts what waits for a writer.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    lines: AtomicUsize,
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Backlog {
    fn admit(&self, bytes: usize) -> bool {
        let full = self.lines.load(Ordering::Acquire) >= WAITING_LINES_MAX
            || self.bytes.load(Ordering::Acquire) >= WAITING_BYTES_MAX;
        if full {
            self.dropped.fetch_add(1, Ordering::AcqRel);
            return false;
        }
        self.admit_always(bytes);
        true
    }

    fn admit_always(&self, bytes: usize) {
        self.lines.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Whether every line admitted so far has been dealt with.
    fn is_empty(&self) -> bool {
        self.lines.load(Ordering::Acquire) == 0
    }

    /// A line was dealt with.
    pub(super) fn taken(&self, bytes: usize) {
        self.lines.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// How many lines were dropped since this was last asked.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::AcqRel)
    }
}

/// One way out: a worker of tracing-appender, never waited for.
#[derive(Debug, Clone)]
struct Outlet {
    writer: NonBlocking,
    backlog: Arc<Backlog>,
}

impl Outlet {
    fn start<W: Write + Send + 'static>(name: &str, make: impl FnOnce(Arc<Backlog>) -> W) -> (Outlet, WorkerGuard) {
        let backlog = Arc::new(Backlog::default());
        let sink = make(Arc::clone(&backlog));
        let (writer, guard) = NonBlockingBuilder::default()
            // Not lossy, and never full: the backlog is bounded below the worker's own limit, and says what it dropped.
            .lossy(false)
            .buffered_lines_limit(WAITING_LINES_MAX * 2)
            .thread_name(name)
            .finish(sink);
        (Outlet { writer, backlog }, guard)
    }

    fn write(&self, line: &[u8]) {
        if self.backlog.admit(line.len()) {
            // It fails only after the worker has ended, which is after the last line.
            let _written = self.writer.clone().write_all(line);
        }
    }
}

impl Activity {
    /// Opens the log and starts its writers.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn start(settings: &ActivitySettings) -> io::Result<(Activity, ActivityLayer)> {
        let controls = Controls::default();
        let trouble = Trouble::default();
        let (sink_controls, sink_trouble) = (Arc::clone(&controls), Arc::clone(&trouble));
        let (main, guard) = match &settings.target {
            ActivityTarget::Syslog => {
                let syslog = Syslog::new(settings.syslog_tag.as_str().into(), Path::new(syslog::SOCKET).into());
                Outlet::start("activity", |backlog| {
                    ActivitySink::to_syslog(syslog, backlog, sink_controls, sink_trouble)
                })
            }
            ActivityTarget::File { path, maxbytes, backups } => {
                let bounds = Bounds { maxbytes: *maxbytes, backups: *backups };
                let file = RotatingFile::open(path.clone(), bounds, Arc::new(OpenGate))?;
                let path = path.clone();
                Outlet::start("activity", |backlog| {
                    ActivitySink::to_file(file, path, backlog, sink_controls, sink_trouble)
                })
            }
        };
        let mut guards = vec![guard];
        let echo = settings.echo.then(|| {
            let (echo, guard) = Outlet::start("activity-echo", EchoSink::new);
            guards.push(guard);
            echo
        });
        let to_syslog = settings.target == ActivityTarget::Syslog;
        let layer = ActivityLayer { level: settings.level, to_syslog, main: main.clone(), echo: echo.clone() };
        Ok((Activity { main, echo, controls, trouble, _guards: guards }, layer))
    }

    /// SIGUSR2: after the lines logged so far, closes the file and opens what has its name then. Never waits.
    pub fn reopen(&self) {
        self.control(Control::Reopen);
    }

    /// clearLog: deletes the file and starts a new one. Waits for the file system, ten seconds at most: not for the
    /// control loop's thread.
    ///
    /// # Errors
    ///
    /// `NoFile` if there is none (or the log goes to syslog), `Failed` if it cannot be deleted.
    pub fn clear(&self) -> Result<(), SliceError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.control(Control::Clear(sender));
        let answer = receiver.recv_timeout(CLEAR_WAIT).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match answer {
            Ok(()) => {
                // For the file this line would belong to the part that was just deleted.
                if let Some(echo) = &self.echo {
                    echo.write(format_line(Level::Info, "reopening log file").as_bytes());
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SliceError::NoFile),
            Err(error) => Err(SliceError::Failed(error)),
        }
    }

    /// Resolves when the lines logged so far are in the file (or cannot be written at present); `None` if they are
    /// already.
    #[must_use]
    pub fn written(&self) -> Option<oneshot::Receiver<()>> {
        if self.main.backlog.is_empty() {
            return None;
        }
        let (teller, told) = oneshot::channel();
        self.control(Control::Written(teller));
        Some(told)
    }

    /// Why the log cannot be written at present, if it cannot.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    fn control(&self, control: Control) {
        let mut controls = lock(&self.controls);
        if controls.len() >= CONTROLS_MAX {
            // A reopen is among those that wait; who asked to clear is answered by the closed channel.
            return;
        }
        controls.push_back(control);
        drop(controls);
        // Marks are few, so the worker's queue, which is longer than the backlog, has room for them.
        self.main.backlog.admit_always(CONTROL_MARK.len());
        let _written = self.main.writer.clone().write_all(CONTROL_MARK);
    }
}

impl ActivityLayer {
    /// Makes this the log of the whole process.
    ///
    /// # Errors
    ///
    /// There is one already.
    pub fn install(self) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(self))
    }
}

impl<S: Subscriber> Layer<S> for ActivityLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        metadata.target().starts_with(TARGET) && *metadata.level() <= self.level.to_tracing()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.level.to_tracing()))
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut words = Words { level: None, message: String::new(), fields: String::new() };
        event.record(&mut words);
        let level = words.level.unwrap_or_else(|| Level::of_tracing(*event.metadata().level()));
        if level > self.level {
            return;
        }
        words.message.push_str(&words.fields);
        let line = format_line(level, &words.message);
        if self.to_syslog {
            for text in words.message.trim_end_matches('\n').split('\n') {
                self.main.write(format_line(level, text).as_bytes());
            }
        } else {
            self.main.write(line.as_bytes());
        }
        if let Some(echo) = &self.echo {
            echo.write(line.as_bytes());
        }
    }
}

/// `YYYY-MM-DD HH:MM:SS,mmm LEVL MESSAGE` and a line feed, in local time; a message of several lines as it is.
pub(super) fn format_line(level: Level, message: &str) -> String {
    format!("{} {} {message}\n", Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f"), level.mark())
}

/// Writes a line into the activity log.
pub fn log(level: Level, text: &str) {
    let number = level.number();
    // An event's level belongs to its place in the source: hence five places.
    match level.to_tracing() {
        tracing::Level::ERROR => tracing::event!(target: TARGET, tracing::Level::ERROR, number, "{text}"),
        tracing::Level::WARN => tracing::event!(target: TARGET, tracing::Level::WARN, number, "{text}"),
        tracing::Level::INFO => tracing::event!(target: TARGET, tracing::Level::INFO, number, "{text}"),
        tracing::Level::DEBUG => tracing::event!(target: TARGET, tracing::Level::DEBUG, number, "{text}"),
        tracing::Level::TRACE => tracing::event!(target: TARGET, tracing::Level::TRACE, number, "{text}"),
    }
}

/// Collects an event's message, and the fields of events that do not come from [`log`].
struct Words {
    level: Option<Level>,
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match Level::from_number(value) {
            Some(level) if field.name() == "number" => self.level = Some(level),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(path: &Path, level: Level, maxbytes: i64) -> ActivitySettings {
        let target = ActivityTarget::File { path: path.to_owned(), maxbytes, backups: 3 };
        ActivitySettings { target, level, echo: false, syslog_tag: "galaxyd".to_owned() }
    }

    /// Runs `write` under an activity log and gives what then is in the file, without the times.
    fn logged(level: Level, write: impl FnOnce(&Activity, &Path)) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("activity.log");
        let (activity, layer) = Activity::start(&settings(&path, level, 0)).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || write(&activity, &path));
        drop(activity);
        let text = std::fs::read_to_string(&path).unwrap();
        text.split_inclusive('\n').map(|line| line.get(24..).unwrap_or(line)).collect()
    }

    fn until(condition: impl Fn() -> bool) {
        let deadline = crate::sys::clock::monotonic() + Duration::from_secs(10);
        while !condition() {
            assert!(crate::sys::clock::monotonic() < deadline, "it does not happen");
            std::thread::yield_now();
        }
    }

    #[test]
    fn lines_have_time_level_and_message() {
        let line = format_line(Level::Warn, "a\nb");
        let shape: String = line.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(shape, "9999-99-99 99:99:99,999 WARN a\nb\n");
    }

    #[test]
    fn all_levels_have_their_marks_and_the_threshold_cuts() {
        let all = [Level::Critical, Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace, Level::Blather];
        for (kept, threshold) in all.iter().enumerate() {
            let text = logged(*threshold, |_, _| all.iter().for_each(|level| log(*level, "x")));
            let expected = all.iter().take(kept + 1).map(|level| format!("{} x", level.mark()));
            assert!(text.lines().eq(expected), "{threshold:?}: {text}");
        }
    }

    #[test]
    fn plain_events_are_mapped_and_foreign_ones_ignored() {
        let text = logged(Level::Trace, |_, _| {
            tracing::error!(target: "galaxyd::x", pid = 7, "bad");
            tracing::trace!(target: "galaxyd", "fine {}", 1);
            tracing::error!(target: "hyper", "no");
        });
        assert_eq!(text, "ERRO bad pid=7\nTRAC fine 1\n");
    }

    #[test]
    fn reopening_happens_between_the_lines() {
        let mut old = PathBuf::new();
        let dir = tempfile::tempdir().unwrap();
        let text = logged(Level::Info, |activity, path| {
            old = dir.path().join("old");
            log(Level::Info, "before");
            // Renamed while open, as logrotate does it.
            until(|| std::fs::metadata(path).unwrap().len() > 0);
            std::fs::rename(path, &old).unwrap();
            log(Level::Info, "reopen follows");
            activity.reopen();
            log(Level::Info, "after");
        });
        assert_eq!(text, "INFO after\n");
        let old: Vec<String> =
            std::fs::read_to_string(&old).unwrap().lines().map(|line| line[24..].to_owned()).collect();
        assert_eq!(old, ["INFO before", "INFO reopen follows"]);
    }

    #[test]
    fn clearing_starts_a_new_file_and_says_when_there_is_none() {
        let text = logged(Level::Info, |activity, path| {
            log(Level::Info, "before");
            activity.clear().unwrap();
            assert_eq!(std::fs::read_to_string(path).unwrap(), "");
            std::fs::remove_file(path).unwrap();
            assert!(matches!(activity.clear(), Err(SliceError::NoFile)));
            activity.reopen();
            log(Level::Info, "after");
        });
        assert_eq!(text, "INFO after\n");
    }

    #[test]
    fn the_log_rotates_by_size_and_loses_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("activity.log");
        let mut settings = settings(&path, Level::Info, 5000);
        if let ActivityTarget::File { backups, .. } = &mut settings.target {
            *backups = 100;
        }
        let (activity, layer) = Activity::start(&settings).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            (0..1000).for_each(|number| log(Level::Info, &format!("line {number}")));
        });
        drop(activity);
        let mut text = String::new();
        for number in (1..=100).rev() {
            text += &std::fs::read_to_string(dir.path().join(format!("activity.log.{number}"))).unwrap_or_default();
        }
        text += &std::fs::read_to_string(&path).unwrap();
        let numbers: Vec<usize> = text.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(numbers.into_iter().eq(0..1000));
    }

    #[test]
    fn a_full_disk_does_not_stop_anyone_and_is_told() {
        let settings = settings(Path::new("/dev/full"), Level::Info, 0);
        let (activity, layer) = Activity::start(&settings).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            (0..20_000).for_each(|number| log(Level::Info, &format!("line {number}")));
        });
        until(|| activity.trouble().is_some());
        assert!(activity.trouble().unwrap().contains("/dev/full"));
    }
}
