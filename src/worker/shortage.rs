//! What the daemon does while the system gives it no memory: it goes on supervising out of its reserve (`sys/heap.rs`), says
//! so, and begins nothing large. Requests are refused before they come here, by `http`.

use std::time::Duration;

use super::worker::{Worker, now};
use crate::engine::Moment;
use crate::logs::{Level, log};
use crate::rpc::{Method, OwnMethod};
use crate::sys::heap;

/// Between two looks whether there is memory again, where nothing else happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A shortage that comes and goes is told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// For each process, bytes that an answer about all of them is made of, or a configuration that is read.
const PROCESS_BYTES: usize = 16 * 1024;

/// What the administrator should know while it lasts.
const NOTICE: &str = "running without memory: requests are refused until the system gives some; programs run on";

/// Whether there is a shortage, and who was told.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    since: Option<Moment>,
    look_at: Option<Moment>,
    told: Option<Moment>,
    /// The end of this one is told, as its beginning was.
    is_told: bool,
}

impl Shortage {
    /// When to look whether it is over.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.look_at
    }

    pub(super) fn notice(&self) -> Option<String> {
        self.since.map(|_| NOTICE.to_owned())
    }

    /// What is to be said of there being memory or not.
    fn note(&mut self, is_short: bool, now: Moment) -> Option<(Level, String)> {
        self.look_at = is_short.then(|| now + LOOK_EVERY);
        match (self.since, is_short) {
            (None, true) => {
                self.since = Some(now);
                self.is_told = self.told.is_none_or(|told| now.since(told) >= TELL_EVERY);
                self.is_told.then(|| {
                    self.told = Some(now);
                    (Level::Critical, NOTICE.to_owned())
                })
            }
            (Some(since), false) => {
                self.since = None;
                let seconds = now.since(since).as_secs();
                self.is_told.then(|| (Level::Warn, format!("there is memory again, after {seconds} s")))
            }
            (None, false) | (Some(_), true) => None,
        }
    }
}

impl Worker {
    /// Once in each turn.
    pub(super) fn look_at_memory(&mut self) {
        if let Some((level, text)) = self.shortage.note(heap::is_short(), now().mono) {
            log(level, &text);
            self.record_daemon(&text);
        }
    }

    /// Whether there is memory for what may be about all processes at once. What is about one is made of the reserve.
    pub(super) fn has_memory_for(&self, method: &Method) -> bool {
        let may_be_about_all = match method {
            Method::GetAllProcessInfo
            | Method::GetAllConfigInfo
            | Method::StartAllProcesses { .. }
            | Method::StopAllProcesses { .. }
            | Method::SignalAllProcesses { .. }
            | Method::StartProcessGroup { .. }
            | Method::StopProcessGroup { .. }
            | Method::SignalProcessGroup { .. }
            | Method::ClearAllProcessLogs
            | Method::ReloadConfig
            | Method::Restart => true,
            Method::Own(own) => *own != OwnMethod::GetNotices,
            _ => false,
        };
        !may_be_about_all || heap::has_room(PROCESS_BYTES.saturating_mul(self.engine.processes().count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_once_with_its_end_and_one_that_comes_and_goes_once_a_minute() {
        let at = |seconds| Moment(Duration::from_secs(seconds));
        let mut shortage = Shortage::default();
        let mut told = Vec::new();
        for (second, is_short) in
            [(0, false), (1, true), (2, true), (5, false), (6, true), (9, false), (61, true), (62, true), (70, false)]
        {
            told.extend(shortage.note(is_short, at(second)).map(|(level, text)| (second, level, text)));
            assert_eq!(shortage.deadline(), is_short.then(|| at(second + 1)));
            assert_eq!(shortage.notice().is_some(), is_short);
        }
        let over = |seconds| format!("there is memory again, after {seconds} s");
        let notice = || NOTICE.to_owned();
        assert_eq!(
            told,
            [
                (1, Level::Critical, notice()),
                (5, Level::Warn, over(4)),
                (61, Level::Critical, notice()),
                (70, Level::Warn, over(9))
            ]
        );
    }
}
