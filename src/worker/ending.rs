//! The end of a worker whose programs are all stopped: for good, or to start anew.

use std::fs;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use super::journal;
use super::worker::Worker;
use crate::config::ServerConfig;
use crate::engine::Mood;
use crate::keeper::ToKeeper;
use crate::logs::Level;

/// How long the last bytes of logs and the last answers to clients may take.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

impl Worker {
    /// Writes the keeper's pid where the configuration wants it.
    pub(super) fn write_pidfile(&mut self) {
        let pidfile = &self.config.daemon.pidfile;
        if fs::write(pidfile, format!("{}\n", self.pid)).is_err() {
            self.activity.log(Level::Critical, &format!("could not write pidfile {}", pidfile.display()));
        }
    }

    /// Lets go of everything; the keeper ends or starts a fresh worker.
    pub(super) async fn end(mut self) -> ExitCode {
        // Logs on a hung file system and clients that do not read are left behind.
        let _ = tokio::time::timeout(FAREWELL_MAX, self.finish_logs()).await;
        for server in std::mem::take(&mut self.servers) {
            let _ = tokio::time::timeout(FAREWELL_MAX, server.close()).await;
        }
        if self.halted == Some(Mood::Restarting) {
            self.tell_keeper(&ToKeeper::Release { name: journal::HELD_NAME.to_owned() });
            self.activity.flush();
            self.tell_keeper(&ToKeeper::StartAfresh);
        } else {
            self.remove_traces();
            self.activity.flush();
            self.tell_keeper(&ToKeeper::Exit { code: 0 });
        }
        // The keeper closes its end when it has read the last word.
        while self.keeper.receive().await.is_ok() {}
        ExitCode::SUCCESS
    }

    async fn finish_logs(&mut self) {
        while !self.children.is_empty() {
            match self.notices.recv().await {
                Some(notice) => self.on_notice(notice),
                None => return,
            }
        }
    }

    /// Removes the socket files and, if it is ours, the pidfile.
    fn remove_traces(&self) {
        let sockets = self.config.servers.iter().filter_map(|server| match server {
            ServerConfig::Unix(server) => Some(&server.file),
            ServerConfig::Inet(_) => None,
        });
        let pidfile = &self.config.daemon.pidfile;
        let ours = fs::read_to_string(pidfile).is_ok_and(|text| text.trim() == self.pid.to_string());
        for file in sockets.chain(ours.then_some(pidfile)) {
            if let Err(error) = fs::remove_file(file)
                && error.kind() != io::ErrorKind::NotFound
            {
                self.activity.log(Level::Warn, &format!("could not remove {}: {error}", file.display()));
            }
        }
    }
}
