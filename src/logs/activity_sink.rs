//! The writing ends of the activity log, on the threads of tracing-appender's workers.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::activity::{Backlog, CONTROL_MARK, Control, Controls, Trouble, format_line, lock};
use super::level::Level;
use super::rotate::{RotatingFile, write_when_ready};
use super::syslog::{SOCKET, Syslog};
use crate::sys::clock;

/// Bytes that are kept while the file cannot be written; lines beyond it are dropped and counted.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// While the file cannot be written it is tried at most this often, and only when there is something to write.
const RETRY_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Place {
    File { file: RotatingFile, path: PathBuf },
    Syslog(Syslog),
}

/// Writes lines to the activity log's file or to syslog.
#[derive(Debug)]
pub(super) struct ActivitySink {
    place: Place,
    backlog: Arc<Backlog>,
    controls: Controls,
    trouble: Trouble,
    /// Lines not yet written; empty unless there is trouble.
    held: Vec<u8>,
    /// Lines dropped since the trouble began.
    lost: u64,
    /// Set while there is trouble.
    retry_at: Option<Duration>,
}

impl ActivitySink {
    pub(super) fn to_file(
        file: RotatingFile,
        path: PathBuf,
        backlog: Arc<Backlog>,
        controls: Controls,
        trouble: Trouble,
    ) -> ActivitySink {
        ActivitySink::new(Place::File { file, path }, backlog, controls, trouble)
    }

    pub(super) fn to_syslog(
        syslog: Syslog,
        backlog: Arc<Backlog>,
        controls: Controls,
        trouble: Trouble,
    ) -> ActivitySink {
        ActivitySink::new(Place::Syslog(syslog), backlog, controls, trouble)
    }

    fn new(place: Place, backlog: Arc<Backlog>, controls: Controls, trouble: Trouble) -> ActivitySink {
        ActivitySink { place, backlog, controls, trouble, held: Vec::new(), lost: 0, retry_at: None }
    }

    fn take_line(&mut self, line: &[u8]) {
        if self.held.len() + line.len() > HELD_BYTES_MAX && !self.held.is_empty() {
            self.lost += 1;
        } else {
            self.held.extend_from_slice(line);
        }
        self.write_held();
    }

    /// Writes what is held, if it is time to try.
    fn write_held(&mut self) {
        let now = clock::monotonic();
        if self.held.is_empty() || self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        match self.try_write_held() {
            Ok(()) => self.recovered(),
            Err(error) => self.troubled(&error, now),
        }
    }

    fn try_write_held(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::File { file, .. } => {
                while !self.held.is_empty() {
                    let written = file.write(&self.held)?;
                    if written == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    self.held.drain(..written.min(self.held.len()));
                }
            }
            Place::Syslog(syslog) => {
                while let Some(end) = self.held.iter().position(|&byte| byte == b'\n') {
                    syslog.send("", self.held.get(..end).unwrap_or_default())?;
                    self.held.drain(..=end);
                }
            }
        }
        Ok(())
    }

    fn recovered(&mut self) {
        if self.retry_at.take().is_some() {
            *lock(&self.trouble) = None;
        }
        let lost = std::mem::take(&mut self.lost) + self.backlog.take_dropped();
        if lost > 0 {
            let line = format_line(
                Level::Warn,
                &format!("galaxyd: {lost} lines of this log were lost: it could not be written"),
            );
            self.held.extend_from_slice(line.as_bytes());
            // If this fails, the line is held like any other.
            if let Err(error) = self.try_write_held() {
                self.troubled(&error, clock::monotonic());
            }
        }
    }

    fn troubled(&mut self, error: &io::Error, now: Duration) {
        if let Place::File { file, .. } = &mut self.place {
            file.close();
        }
        if self.retry_at.replace(now + RETRY_EVERY).is_none() {
            let place = match &self.place {
                Place::File { path, .. } => path.display().to_string(),
                Place::Syslog(_) => SOCKET.to_owned(),
            };
            let text = format!("cannot write the activity log {place}: {error}");
            // If standard error is closed as well, there is nobody left to tell but those who ask `trouble()`.
            let _told = writeln!(io::stderr(), "galaxyd: {text}; the daemon goes on and keeps trying");
            *lock(&self.trouble) = Some(text);
        }
    }

    fn follow_control(&mut self) {
        let Some(control) = lock(&self.controls).pop_front() else { return };
        match (control, &mut self.place) {
            (Control::Reopen, Place::File { file, .. }) => {
                if let Err(error) = file.reopen() {
                    self.troubled(&error, clock::monotonic());
                } else {
                    // What is behind the name now may be writable.
                    self.retry_at = self.retry_at.map(|_| Duration::ZERO);
                }
            }
            (Control::Reopen, Place::Syslog(_)) => {}
            (Control::Clear(answer), Place::File { file, path }) => {
                let result = std::fs::metadata(path).and_then(|_| file.clear());
                // Who asked may have stopped waiting.
                let _answered = answer.send(result);
            }
            (Control::Written(teller), _) => {
                // Who asked may have stopped waiting.
                let _told = teller.send(());
            }
            (Control::Clear(answer), Place::Syslog(_)) => {
                let _answered = answer.send(Err(io::ErrorKind::NotFound.into()));
            }
        }
    }
}

impl Write for ActivitySink {
    /// Takes one line. Never fails: the worker that calls has nobody to tell.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line == CONTROL_MARK {
            self.follow_control();
        } else {
            self.take_line(line);
        }
        self.backlog.taken(line.len());
        Ok(line.len())
    }

    /// Called when no line waits.
    fn flush(&mut self) -> io::Result<()> {
        self.write_held();
        if self.retry_at.is_none() {
            self.recovered();
        }
        Ok(())
    }
}

/// Writes lines to standard output.
#[derive(Debug)]
pub(super) struct EchoSink {
    backlog: Arc<Backlog>,
}

impl EchoSink {
    pub(super) fn new(backlog: Arc<Backlog>) -> EchoSink {
        EchoSink { backlog }
    }

    fn write_line(line: &[u8]) -> io::Result<()> {
        let mut terminal = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let mut rest = line;
        while !rest.is_empty() {
            match write_when_ready(&mut terminal, rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                // A stopped terminal holds this thread only.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Write for EchoSink {
    /// A terminal that is gone is no trouble of the log: the file has the line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.backlog.taken(line.len());
        let _echoed = EchoSink::write_line(line);
        let dropped = self.backlog.take_dropped();
        if dropped > 0 {
            let text = format!("{dropped} lines were not shown here: this terminal is too slow");
            let _echoed = EchoSink::write_line(format_line(Level::Warn, &text).as_bytes());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
