//! The keeper was killed and this worker was not: it sees to a new keeper, and gives up its place.

use std::os::fd::AsFd;
use std::process::ExitCode;

use super::launch::{self, LaunchRecord};
use super::memory;
use super::startup::Ended;
use super::worker::Worker;
use crate::config::LogLevelName;
use crate::keeper::{self, FromKeeper, LinkError, ROLL_HELD_NAME};
use crate::logs::{Level, log};
use crate::sys::signals::Received;

/// Set by systemd, which starts the unit again: a second daemon beside it would be in its way.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

impl Worker {
    /// Programs run on whatever happens here, and their output waits in their pipes. Nothing is removed.
    pub(super) fn succeed_keeper(&mut self, error: &LinkError) -> Ended {
        let pid = self.pid;
        let text = format!("the keeper (process {pid}) is gone: {error}; the programs run on");
        log(Level::Critical, &text);
        self.record_daemon(&text);
        if self.call.alone {
            return Ended::Exit(ExitCode::FAILURE);
        }
        if std::env::var_os(NOTIFY_SOCKET).is_some() {
            log(Level::Warn, "the service manager starts this daemon again, which then takes the programs over");
            return Ended::Exit(ExitCode::FAILURE);
        }
        match self.start_keeper() {
            Ok(new) => {
                log(Level::Warn, &format!("a new keeper was started (process {new}), which takes the programs over"));
                Ended::Exit(ExitCode::SUCCESS)
            }
            Err(error) => {
                let text =
                    format!("no new keeper can be started: {error}; start the daemon again to take the programs over");
                log(Level::Critical, &text);
                Ended::Exit(ExitCode::FAILURE)
            }
        }
    }

    fn start_keeper(&mut self) -> std::io::Result<i32> {
        let signals = self.pending_signals();
        let text = format!("this keeper takes the place of process {}, which was killed", self.pid);
        let launch = LaunchRecord { messages: vec![(LogLevelName::Warn, text)], ..self.launch.clone() };
        let launch = memory::document(c"galaxyd-launch", &launch)?;
        let (roll, others): (Vec<_>, Vec<_>) = self
            .keeper
            .holdings()
            .filter(|(name, _)| *name != launch::HELD_NAME)
            .partition(|(name, _)| *name == ROLL_HELD_NAME);
        // Should this worker be killed before the roll is handed over, the next start finds it; and without the record
        // nobody begins afresh.
        keeper::start_keeper(others.into_iter().chain(roll).chain([(launch::HELD_NAME, launch.as_fd())]), &signals)
    }

    /// Those that were not dealt with, and those of which this worker has not even read.
    fn pending_signals(&mut self) -> Vec<Received> {
        let unread = self.keeper.last_words().into_iter().filter_map(|message| match message {
            FromKeeper::Signal { signal, pid, uid } => Some(Received { signal, pid, uid }),
            _ => None,
        });
        std::mem::take(&mut self.signals).into_iter().chain(unread).collect()
    }
}
