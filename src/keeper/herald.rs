//! What the service manager hears of the daemon: the worker's news, passed on, and signs of life, which are given only
//! when the worker's loop has just answered.
//!
//! Without a service manager, or without a watchdog, nothing here is ever due.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crate::sys::notify::{self, ServiceManager};

/// After the service manager had no room for more.
const PAUSE: Duration = Duration::from_millis(20);

const ALIVE: &str = "WATCHDOG=1";

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Ask the worker whether its loop turns.
    Ask,
    /// It was asked and did not answer.
    Unanswered,
}

#[derive(Debug)]
pub(super) struct Herald {
    manager: Option<ServiceManager>,
    /// What there was no room for, oldest first.
    waiting: VecDeque<String>,
    /// When to try again.
    again: Option<Duration>,
    pulse: Option<Pulse>,
}

/// The watchdog's rhythm: a third of its interval until the worker is asked, a third for the answer, and a third for a
/// successor.
#[derive(Debug)]
struct Pulse {
    third: Duration,
    next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// There is no worker that could be asked.
    Rest,
    Ask(Duration),
    Answer(Duration),
}

impl Herald {
    /// To the service manager that the environment names.
    pub(super) fn of_environment() -> Self {
        Self::new(ServiceManager::of_environment(), notify::watchdog_interval())
    }

    fn new(manager: Option<ServiceManager>, interval: Option<Duration>) -> Self {
        let pulse = interval.filter(|_| manager.is_some()).map(|all| Pulse { third: all / 3, next: Next::Rest });
        Self { manager, waiting: VecDeque::new(), again: None, pulse }
    }

    /// Says these lines of `sd_notify(3)`. Older ones of the same kind that still wait are outdated.
    pub(super) fn say(&mut self, lines: String, now: Duration) {
        if self.manager.is_none() {
            return;
        }
        let kind = |lines: &str| lines.split('=').next().map(str::to_owned);
        self.waiting.retain(|older| kind(older) != kind(&lines));
        self.waiting.push_back(lines);
        self.send(now);
    }

    fn send(&mut self, now: Duration) {
        self.again = None;
        let Some(manager) = &self.manager else { return };
        while let Some(lines) = self.waiting.front() {
            match manager.tell(lines, &[]) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    self.again = Some(now + PAUSE);
                    return;
                }
                // Nobody hears it any more, and nothing depends on that.
                Ok(()) | Err(_) => drop(self.waiting.pop_front()),
            }
        }
    }

    /// The worker can be asked from now on.
    pub(super) fn watch(&mut self, now: Duration) {
        self.then(Next::Ask(now));
    }

    /// There is no worker, or one that is about to end.
    pub(super) fn rest(&mut self) {
        self.then(Next::Rest);
    }

    /// The worker's loop turns.
    pub(super) fn answered(&mut self, now: Duration) {
        let Some(Pulse { third, next: Next::Answer(_) }) = &self.pulse else { return };
        let next = now + *third;
        self.say(ALIVE.to_owned(), now);
        self.then(Next::Ask(next));
    }

    fn then(&mut self, next: Next) {
        self.pulse.iter_mut().for_each(|pulse| pulse.next = next);
    }

    /// When [`turn`](Self::turn) has something to do; `None`: never.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let pulse = self.pulse.as_ref().and_then(|pulse| match pulse.next {
            Next::Rest => None,
            Next::Ask(at) | Next::Answer(at) => Some(at),
        });
        [pulse, self.again].into_iter().flatten().min()
    }

    /// Does what is due, and says what the keeper has to do.
    pub(super) fn turn(&mut self, now: Duration) -> Due {
        if self.again.is_some_and(|again| now >= again) {
            self.send(now);
        }
        let Some(pulse) = &mut self.pulse else { return Due::Nothing };
        match pulse.next {
            Next::Ask(at) if now >= at => {
                pulse.next = Next::Answer(now + pulse.third);
                Due::Ask
            }
            Next::Answer(by) if now >= by => {
                pulse.next = Next::Rest;
                Due::Unanswered
            }
            Next::Rest | Next::Ask(_) | Next::Answer(_) => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pair(interval: Option<Duration>) -> (UnixDatagram, Herald) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let receiver = UnixDatagram::bind(&path).unwrap();
        receiver.set_nonblocking(true).unwrap();
        (receiver, Herald::new(Some(ServiceManager::at(path.as_os_str()).unwrap()), interval))
    }

    fn heard(receiver: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 1000];
        let length = receiver.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    #[test]
    fn life_is_told_only_after_an_answer() {
        let (receiver, mut herald) = pair(Some(at(900)));
        assert_eq!((herald.deadline(), herald.turn(at(0))), (None, Due::Nothing));
        herald.watch(at(0));
        assert_eq!(herald.turn(at(0)), Due::Ask);
        assert_eq!((heard(&receiver), herald.deadline()), (None, Some(at(300))));
        herald.answered(at(100));
        assert_eq!((heard(&receiver), herald.deadline()), (Some(ALIVE.to_owned()), Some(at(400))));
        herald.answered(at(150));
        assert_eq!(heard(&receiver), None, "not asked, so no sign of life");
        assert_eq!((herald.turn(at(399)), herald.turn(at(400))), (Due::Nothing, Due::Ask));
        assert_eq!((herald.turn(at(699)), herald.turn(at(700))), (Due::Nothing, Due::Unanswered));
        assert_eq!((herald.deadline(), herald.turn(at(9999)), heard(&receiver)), (None, Due::Nothing, None));
    }

    #[test]
    fn without_watchdog_or_manager_nothing_is_ever_due() {
        let (_receiver, without_watchdog) = pair(None);
        for mut herald in [without_watchdog, Herald::new(None, Some(at(900)))] {
            herald.watch(at(0));
            herald.answered(at(0));
            herald.say("READY=1".to_owned(), at(0));
            assert_eq!((herald.deadline(), herald.turn(at(9999))), (None, Due::Nothing));
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_said_later_in_order_and_at_its_latest() {
        let (receiver, mut herald) = pair(None);
        while herald.deadline().is_none() {
            herald.say("FILL=1".to_owned(), at(0));
        }
        for lines in ["STATUS=1", "READY=1\nSTATUS=2", "STATUS=3", "STATUS=4"] {
            herald.say(lines.to_owned(), at(5));
        }
        let waited = herald.deadline().unwrap();
        while heard(&receiver).is_some() {}
        assert_eq!(herald.turn(waited), Due::Nothing);
        let all: Vec<String> = std::iter::from_fn(|| heard(&receiver)).filter(|lines| lines != "FILL=1").collect();
        assert_eq!(all, ["READY=1\nSTATUS=2", "STATUS=4"]);
        assert_eq!(herald.deadline(), None);
    }
}
