//! What the service manager is told of the daemon, if there is one: that it is ready, reloads or stops, and a line on how its
//! programs are. The keeper, whose word counts for systemd, passes it on.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::worker::{Worker, now};
use crate::engine::{Mood, ProcessId, ProcessState, ProcessView};
use crate::keeper::ToKeeper;
use crate::sys::notify::ServiceManager;

/// So many programs in trouble are named.
const NAMED_MAX: usize = 6;

/// How much later than the deadline of a stop the next news may come.
const MARGIN: Duration = Duration::from_secs(10);

/// What was announced.
#[derive(Debug, Default)]
pub(super) struct Announced {
    /// Somebody listens; otherwise there is nothing to do.
    listener: bool,
    /// Something may have changed since the last look.
    outdated: bool,
    ready: bool,
    leaving: Option<Mood>,
    status: String,
    /// Stops for which more time was asked. Each gets it once: a program that cannot be killed must not hold up the
    /// service manager for ever.
    extended: BTreeSet<ProcessId>,
}

impl Announced {
    /// Nothing yet.
    pub(super) fn new() -> Announced {
        Announced { listener: ServiceManager::is_named(), outdated: true, ..Announced::default() }
    }

    /// The engine did something.
    pub(super) fn outdate(&mut self) {
        self.outdated = true;
    }
}

impl Worker {
    /// Says what is new. Ready is the daemon once every program that it starts by itself was started, or could not be.
    pub(super) fn announce_news(&mut self) {
        if !self.announced.listener || !self.announced.outdated {
            return;
        }
        let is_starting = !self.spawning.is_empty() || !self.spawns.is_empty();
        self.announced.outdated = is_starting && !self.announced.ready;
        let status = status(self.engine.mood(), self.engine.processes());
        let is_new = status != self.announced.status;
        self.announced.status = status;
        match self.engine.mood() {
            Mood::Running if !self.announced.ready && !is_starting => {
                self.announced.ready = true;
                self.tell_manager("READY=1");
            }
            mood @ (Mood::Shutdown | Mood::Restarting) if self.announced.leaving != Some(mood) => {
                self.announced.leaving = Some(mood);
                let lines = if mood == Mood::Shutdown { "STOPPING=1".to_owned() } else { reloading() };
                self.tell_manager(&lines);
            }
            _ if is_new => self.tell_manager(""),
            _ => {}
        }
        if self.engine.mood() == Mood::Shutdown {
            self.ask_for_time();
        }
    }

    /// A new configuration is in force.
    pub(super) fn announce_update(&mut self) {
        if self.announced.listener && self.announced.ready {
            self.tell_manager(&reloading());
            self.tell_manager("READY=1");
        }
    }

    /// The programs' own patience must not end at that of the service manager.
    fn ask_for_time(&mut self) {
        let now = now().mono;
        let Worker { engine, announced, .. } = self;
        let stopping = engine.everybody().filter(|view| view.state == ProcessState::Stopping);
        let asked = stopping.filter(|view| announced.extended.insert(view.process));
        let Some(latest) = asked.filter_map(|view| view.deadline).max() else { return };
        let time = latest.since(now) + MARGIN;
        self.tell_keeper(&ToKeeper::Announce { lines: format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()) });
    }

    fn tell_manager(&mut self, news: &str) {
        let separator = if news.is_empty() { "" } else { "\n" };
        let lines = format!("{news}{separator}STATUS={}", self.announced.status);
        self.tell_keeper(&ToKeeper::Announce { lines });
    }
}

/// Since 253 systemd wants to know when.
fn reloading() -> String {
    format!("RELOADING=1\nMONOTONIC_USEC={}", now().mono.0.as_micros())
}

/// `12 of 14 programs running; handler1 FATAL`.
fn status<'a>(mood: Mood, processes: impl Iterator<Item = ProcessView<'a>>) -> String {
    let (mut all, mut running, mut troubled) = (0_usize, 0_usize, Vec::new());
    for view in processes {
        all += 1;
        match view.state {
            ProcessState::Running => running += 1,
            ProcessState::Fatal | ProcessState::Backoff | ProcessState::Unknown => {
                troubled.push(format!("{} {}", view.namespec(), view.state.name()));
            }
            ProcessState::Starting | ProcessState::Stopping | ProcessState::Stopped | ProcessState::Exited => {}
        }
    }
    let doing = match mood {
        Mood::Running => "",
        Mood::Restarting => "restarting: ",
        Mood::Shutdown => "stopping: ",
    };
    let mut text = format!("{doing}{running} of {all} programs running");
    let unnamed = troubled.len().saturating_sub(NAMED_MAX);
    troubled.truncate(NAMED_MAX);
    if !troubled.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "; {}", troubled.join(", "));
    }
    if unnamed > 0 {
        let _ = write!(text, " and {unnamed} more");
    }
    text
}
