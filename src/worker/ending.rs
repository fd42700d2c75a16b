//! The end of a worker whose programs are all stopped: for good, or to start anew.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use super::hearing::SERIAL_HELD_NAME;
use super::journal;
use super::memory;
use super::startup::Ended;
use super::worker::{Done, Worker};
use crate::engine::Mood;
use crate::events;
use crate::keeper::ToKeeper;
use crate::logs::{Level, log};
use crate::sys::side;

/// How long each may take: the last bytes of logs, the last answers to clients, the removal of files.
pub(super) const FAREWELL_MAX: Duration = Duration::from_secs(2);

impl Worker {
    /// Lets go of everything; the keeper ends or starts a fresh worker.
    pub(super) async fn end(mut self) -> Ended {
        let restart = self.halted == Some(Mood::Restarting);
        if !restart {
            self.release_pidfile();
        }
        // Logs on a hung file system and clients that do not read are left behind.
        let _ = tokio::time::timeout(FAREWELL_MAX, self.finish_logs()).await;
        let _ = tokio::time::timeout(FAREWELL_MAX, self.finish_examinations()).await;
        self.leave_cgroups().await;
        self.stop_socket_watch().await;
        let former = std::mem::take(&mut self.former_endpoints);
        for endpoint in std::mem::take(&mut self.endpoints).into_iter().chain(former) {
            endpoint.close(FAREWELL_MAX).await;
        }
        self.record_daemon(if restart { "begins anew (reload)" } else { "ends" });
        self.hear(events::Input::Halt);
        drop(self.prepare_events());
        if restart {
            self.keep_serial();
            self.tell_keeper(&ToKeeper::Release { name: journal::HELD_NAME.to_owned() });
            self.tell_keeper(&ToKeeper::StartAfresh);
        } else {
            self.persistence.remove();
            self.remove_traces().await;
            self.tell_keeper(&ToKeeper::Exit { code: self.engine.exit_code() });
        }
        while !self.keeper.is_flushed() && self.keeper.receive().await.is_ok() {}
        // Writes what waits for the activity log.
        drop(self);
        if restart { Ended::Restart } else { Ended::Exit(ExitCode::SUCCESS) }
    }

    /// Events are numbered on over a reload, as by Supervisor, whose process stays the same.
    fn keep_serial(&mut self) {
        let held = memory::document(c"galaxyd-serial", &self.events.next_serial());
        let message = ToKeeper::Hold { name: SERIAL_HELD_NAME.to_owned() };
        let kept = held.and_then(|held| self.keeper.send(&message, vec![held]).map_err(std::io::Error::other));
        if let Err(error) = kept {
            log(Level::Warn, &format!("events are numbered anew: {error}"));
        }
    }

    /// The last programs' ends are being looked into: what they left behind is told.
    async fn finish_examinations(&mut self) {
        while !self.morgue.is_idle() {
            match self.done.recv().await {
                Some(Done::Examined(findings)) => self.examined(findings),
                // Everything is stopped; whoever asked for something else is told by the closing connection.
                Some(_) => {}
                None => return,
            }
        }
    }

    async fn finish_logs(&mut self) {
        while !self.children.is_empty() {
            tokio::select! {
                ready = self.taps.ready() => self.on_ready(ready),
                notice = self.notices.recv() => match notice {
                    Some(notice) => self.on_notice(notice),
                    None => return,
                },
            }
            self.settle();
            self.forget_finished();
        }
    }

    /// Removes the socket files and, if it is ours, the pidfile. A file system that hangs keeps them.
    async fn remove_traces(&mut self) {
        let socket_files = std::mem::take(&mut self.socket_files);
        let pidfile = self.config.daemon.pidfile.clone();
        let pid = self.pid;
        let removal = side::run(move || {
            for file in &socket_files {
                if let Err(error) = file.remove() {
                    log(Level::Warn, &format!("could not remove a socket: {error}"));
                }
            }
            let ours = fs::read_to_string(&pidfile).is_ok_and(|text| text.trim() == pid.to_string());
            if ours && let Err(error) = fs::remove_file(&pidfile) {
                log(Level::Warn, &format!("could not remove {}: {error}", pidfile.display()));
            }
        });
        if tokio::time::timeout(FAREWELL_MAX, removal).await.is_err() {
            log(Level::Warn, "the sockets and the pidfile were not removed in time (hung file system?)");
        }
    }
}
