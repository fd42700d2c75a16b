//! Lines on their way to the system's log daemon.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::notices::Teller;
use super::plane::Notice;
use super::syslog::{self, LineSplitter, Syslog};

/// A log daemon that takes nothing for so long is treated as absent.
const WAIT: Duration = Duration::from_secs(2);

/// What of a target's output the log daemon has not taken yet.
#[derive(Debug)]
pub(super) struct Forwarding {
    syslog: Syslog,
    lines: VecDeque<Vec<u8>>,
    waiting_since: Option<Duration>,
    /// Bytes, while the daemon counts as absent.
    lost: Option<u64>,
}

impl Forwarding {
    pub(super) fn new(syslog: Syslog) -> Forwarding {
        Forwarding { syslog, lines: VecDeque::new(), waiting_since: None, lost: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes the whole lines of an output that goes on.
    pub(super) fn add(&mut self, bytes: &[u8], splitter: &mut LineSplitter, prefix: &str) {
        let before = self.lines.len();
        splitter.split(bytes, &mut self.lines);
        self.prefix_since(before, prefix);
    }

    /// Takes what is left of an output that has ended.
    pub(super) fn finish(&mut self, splitter: &mut LineSplitter, prefix: &str) {
        let before = self.lines.len();
        splitter.finish(&mut self.lines);
        self.prefix_since(before, prefix);
    }

    fn prefix_since(&mut self, before: usize, prefix: &str) {
        for line in self.lines.iter_mut().skip(before) {
            line.splice(0..0, prefix.bytes());
        }
    }

    /// Sends lines to the log daemon. One that is absent, or takes nothing for long, is reported and its lines are
    /// lost: the file has them.
    pub(super) fn send(&mut self, now: Duration, teller: &Teller) {
        while let Some(line) = self.lines.front() {
            let lost = line.len() as u64;
            match self.syslog.send("", line) {
                Ok(()) => {
                    self.waiting_since = None;
                    if let Some(lost) = self.lost.take() {
                        teller.tell(Notice::Recovered { file: PathBuf::from(syslog::SOCKET), lost });
                    }
                }
                Err(error) => {
                    let busy = error.kind() == io::ErrorKind::WouldBlock;
                    let since = *self.waiting_since.get_or_insert(now);
                    if busy && self.lost.is_none() && now.saturating_sub(since) < WAIT {
                        return;
                    }
                    if self.lost.is_none() {
                        let file = PathBuf::from(syslog::SOCKET);
                        teller.tell(Notice::Trouble { file, doing: "send", error });
                    }
                    self.lost = Some(self.lost.unwrap_or(0) + lost);
                }
            }
            self.lines.pop_front();
        }
        self.waiting_since = None;
    }
}
