//! Automatic starts of one process: when the next one comes, when there is none any more, and what the last end means to
//! the daemon.

use std::fmt;
use std::time::Duration;

use super::input::{Exit, LogLine, Mood};
use super::pacing::{Limit, OnEnd};
use super::process::{Context, Extra, Process, log, retry_delay};
use super::record::{State, StopCause};
use super::signal::SIGKILL;
use super::time::Moment;

/// Between two tries while something is missing that the program cannot help.
pub(super) const STARVED_WAIT: Duration = Duration::from_secs(1);

/// So many tries in a row make the wait that many seconds long, no more.
const STARVED_WAITS_MAX: u32 = 5;

/// A run of this length ends a row of automatic starts, where no `restart_delay_max` says otherwise.
const LASTING: Duration = Duration::from_secs(10);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.starts == 1 { "once" } else { "times" };
        let count = if self.starts == 1 { String::new() } else { format!("{} ", self.starts) };
        write!(f, "started again {count}{times} in {} seconds (restart_limit)", self.window.as_secs())
    }
}

impl Process {
    /// Somebody starts it: what was before does not count.
    pub(super) fn begin_anew(&mut self) {
        self.record.in_a_row = 0;
        self.record.starved = 0;
        self.record.counted.clear();
        self.record.automatic = false;
        self.record.ends_daemon = None;
    }

    /// An automatic start. The first in a row is free, the others are started at the rate that all share.
    pub(super) fn start_in_turn(&mut self, cx: &mut Context<'_>) {
        if self.record.in_a_row > 0 && !self.record.booked {
            let turn = cx.throttle.book(cx.now.mono);
            if turn > cx.now.mono {
                self.record.booked = true;
                self.record.state = match self.record.state {
                    State::Backoff { .. } => State::Backoff { retry_at: turn },
                    _ => State::Exited { restart_at: Some(turn) },
                };
                return;
            }
        }
        self.record.in_a_row = self.record.in_a_row.saturating_add(1);
        self.record.automatic = true;
        if let Some(limit) = self.policy.restarts.limit {
            let counted = &mut self.record.counted;
            counted.push(cx.now.mono);
            let surplus = counted.len().saturating_sub(limit.starts as usize);
            counted.drain(..surplus);
        }
        self.spawn(cx);
    }

    /// The present start was none: it does not count among the automatic ones.
    pub(super) fn uncount(&mut self) {
        if std::mem::take(&mut self.record.automatic) {
            self.record.in_a_row = self.record.in_a_row.saturating_sub(1);
            self.record.counted.pop();
        }
    }

    /// A run is over. One that lasted ends the row of automatic starts.
    pub(super) fn note_run(&mut self, lived: Duration) {
        let lasting = self.policy.restarts.delay.map_or(LASTING, |delay| delay.ceiling.max(self.policy.startsecs));
        if lived >= lasting {
            self.record.in_a_row = 0;
        }
    }

    /// The limit, if another automatic start at `next` were beyond it.
    pub(super) fn limit_reached(&self, next: Moment) -> Option<Limit> {
        let limit = self.policy.restarts.limit?;
        let within = self.record.counted.iter().filter(|at| next.since(**at) < limit.window).count();
        (within >= limit.starts as usize).then_some(limit)
    }

    /// FATAL for its limit.
    pub(super) fn give_up_at(&mut self, cx: &mut Context<'_>, limit: Limit) {
        let why = self.record.spawnerr.take();
        self.record.spawnerr = Some(why.map_or_else(|| limit.to_string(), |why| format!("{why}; {limit}")));
        self.give_up(cx, StopCause::Limited);
        log(cx, LogLine::limited(&self.record.name, limit));
    }

    /// How long the next automatic start waits, by the program's own keys or by Supervisor's rule.
    pub(super) fn wait_after_failure(&self, cx: &Context<'_>) -> Duration {
        let nanos = u64::try_from(cx.now.mono.0.as_nanos()).unwrap_or(u64::MAX);
        let seed = nanos ^ self.record.process.0.rotate_left(32) ^ u64::from(self.record.attempt).rotate_left(48);
        self.policy
            .restarts
            .delay
            .map_or_else(|| retry_delay(self.record.backoff), |delay| delay.wait(self.record.in_a_row, seed))
    }

    /// STARTING -> BACKOFF for want of something that the program cannot help: `startretries` and limits are not touched.
    pub(super) fn wait_for_resources(&mut self, cx: &mut Context<'_>, failed_at: Moment) {
        self.uncount();
        self.record.starved = self.record.starved.saturating_add(1);
        let retry_at = failed_at + STARVED_WAIT * self.record.starved.min(STARVED_WAITS_MAX);
        self.enter(cx, State::Backoff { retry_at }, Extra::tries(self.record.backoff));
    }

    /// It is FATAL for its own failures.
    pub(super) fn note_fatal(&mut self, mood: Mood, cause: StopCause) {
        // One that ends for somebody else keeps to that one's code.
        if mood != Mood::Running {
            return;
        }
        if matches!(cause, StopCause::GaveUp | StopCause::Limited) && self.policy.restarts.on_fatal == OnEnd::Shutdown {
            // Whatever it said: it has failed.
            self.record.ends_daemon = Some(self.code_of_end().max(1));
        }
    }

    /// It has ended by itself and is not started again.
    pub(super) fn note_finished(&mut self) {
        if self.policy.restarts.on_exit == OnEnd::Shutdown {
            self.record.ends_daemon = Some(self.code_of_end());
        }
    }

    /// As a shell has it: 128 and the signal's number for a death by signal; 0 where there was no child, 1 where nobody knows.
    fn code_of_end(&self) -> u8 {
        let (started, stopped) = (self.record.started, self.record.stopped);
        let ended = started.zip(stopped).is_some_and(|(started, stopped)| stopped.mono >= started.mono);
        let last = self.record.last_exit.filter(|_| ended);
        let code = last.map_or(0, |last| match last.exit {
            Exit::Code(code) => code,
            Exit::Signal { number, .. } => 128 + number,
            Exit::OutOfMemory { .. } => 128 + SIGKILL,
            // Nobody knows; that it was well must not be claimed.
            Exit::Unknown => 1,
        });
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}
