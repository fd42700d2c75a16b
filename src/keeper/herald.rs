//! What the service manager hears of the daemon: the worker's news, passed on, and signs of life, which are given only
//! when the worker's loop has just answered.
//!
//! Without a service manager, or without a watchdog, nothing here is ever due.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
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
    waiting: VecDeque<Message>,
    /// When to try again.
    again: Option<Duration>,
    pulse: Option<Pulse>,
}

#[derive(Debug)]
struct Message {
    lines: String,
    /// For the store.
    descriptor: Option<OwnedFd>,
    /// A later one about the same makes this one outdated.
    about: String,
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
        let about = lines.split('=').next().unwrap_or_default().to_owned();
        self.outdate(&about);
        self.waiting.push_back(Message { lines, descriptor: None, about });
        self.send(now);
    }

    /// Has the service manager keep a descriptor under this name, and no other, for the daemon after this one.
    pub(super) fn store(&mut self, name: &str, descriptor: impl AsFd, now: Duration) {
        // Without a second descriptor it is not stored: the next daemon makes a new socket.
        let Ok(copy) = descriptor.as_fd().try_clone_to_owned() else { return };
        let Some(lines) = notify::store(name) else { return };
        self.forget_stored(name, now);
        if self.manager.is_some() {
            self.waiting.push_back(Message { lines, descriptor: Some(copy), about: about_stored(name) });
            self.send(now);
        }
    }

    /// The service manager need not keep what has this name any longer.
    pub(super) fn forget_stored(&mut self, name: &str, now: Duration) {
        let Some(lines) = notify::forget_stored(name).filter(|_| self.manager.is_some()) else { return };
        let about = about_stored(name);
        self.outdate(&about);
        self.waiting.push_back(Message { lines, descriptor: None, about });
        self.send(now);
    }

    fn outdate(&mut self, about: &str) {
        self.waiting.retain(|older| older.about != about);
    }

    fn send(&mut self, now: Duration) {
        self.again = None;
        let Some(manager) = &self.manager else { return };
        while let Some(Message { lines, descriptor, .. }) = self.waiting.front() {
            let carried: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
            match manager.tell(lines, &carried) {
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

/// What messages about the store have in common with those that they outdate.
fn about_stored(name: &str) -> String {
    format!("FDSTORE {name}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::sys::descriptors;

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
    fn a_descriptor_is_stored_alone_under_its_name_and_forgotten() {
        let (receiver, mut herald) = pair(None);
        let file = tempfile::tempfile().unwrap();
        herald.store("listener:a", &file, at(0));
        assert_eq!(heard(&receiver).as_deref(), Some("FDSTOREREMOVE=1\nFDNAME=galaxyd-listener%3Aa"));
        let mut buffer = [0; 1000];
        let (length, carried) = descriptors::receive(&receiver, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"FDSTORE=1\nFDNAME=galaxyd-listener%3Aa\nFDPOLL=0");
        assert!(descriptors::are_same(&carried[0], &file));
        herald.forget_stored("listener:a", at(0));
        assert_eq!(heard(&receiver).as_deref(), Some("FDSTOREREMOVE=1\nFDNAME=galaxyd-listener%3Aa"));
        assert_eq!((heard(&receiver), herald.deadline()), (None, None));
        Herald::new(None, None).store("listener:a", &file, at(0));
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
