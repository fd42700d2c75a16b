//! How a child's end is judged: too quick, asked for, expected or not, and what follows; with `killtree`, first the end of
//! what is left of its tree.

use std::time::Duration;

use super::input::{Effect, Exit, LogLine, Mood, Pid};
use super::policy::{AutoRestart, Kind};
use super::process::{Context, Extra, Process, Step, is_exhausted, log};
use super::record::{LastExit, State, StopCause, Sweeping};
use super::restart::STARVED_WAIT;
use super::time::{Moment, Now};
use super::wait::Turn;

/// A process that ends within this time of its start was quick; from the second quick end in a row on, its automatic
/// restarts are this far apart at least, start to start.
const RESTART_SPACING: Duration = Duration::from_secs(1);

const EXITED_TOO_QUICKLY: &str = "Exited too quickly (process log may have details)";

impl Process {
    /// The child is gone and what is left of its tree is being ended: signals would reach nobody, time means nothing,
    /// and a stop only changes what comes after.
    pub(super) fn handle_sweeping(&mut self, cx: &mut Context<'_>, sweeping: Sweeping, step: Step) -> bool {
        use State as S;
        match (self.record.state, step) {
            (state, Step::Swept { pid }) if state.pid() == Some(pid) => {
                self.record.sweeping = None;
                self.reaped(cx, pid, sweeping.exit, sweeping.at);
            }
            (state, Step::SweepAgain) => {
                if let Some(pid) = state.pid() {
                    self.ask_to_sweep(cx, pid, sweeping.insist_at);
                }
            }
            (S::Starting { pid, .. } | S::Running { pid }, Step::Stop) => self.stop(cx, pid, self.stop_cause()),
            (S::Starting { pid, .. } | S::Running { pid }, Step::Halt) => self.stop(cx, pid, StopCause::Shutdown),
            (S::Stopping { .. }, Step::Start) => log(cx, LogLine::already_running(&self.record.name)),
            (state, Step::Spawned { pid, .. }) if state.pid() != Some(pid) => self.refuse_child(cx, pid),
            _ => return false,
        }
        true
    }

    /// The child was reaped; its exit counts when nothing is left of its tree. Processes that obey get as long as the
    /// child itself would have got.
    pub(super) fn sweep(&mut self, cx: &mut Context<'_>, pid: Pid, exit: Exit, at: Now) {
        let insist_at = match self.record.state {
            State::Stopping { insisting: true, .. } => cx.now.mono,
            State::Stopping { kill_at, .. } => kill_at,
            _ => cx.now.mono + self.rules().stopwaitsecs,
        };
        self.record.sweeping = Some(Sweeping { exit, at, insist_at });
        self.record.readiness = None;
        self.ask_to_sweep(cx, pid, insist_at);
    }

    fn ask_to_sweep(&self, cx: &mut Context<'_>, pid: Pid, insist_at: Moment) {
        let signal = self.rules().stopsignal;
        cx.effects.push(Effect::Sweep { process: self.record.process, pid, signal, insist_at });
    }

    pub(super) fn reaped(&mut self, cx: &mut Context<'_>, pid: Pid, exit: Exit, at: Now) {
        self.record.stopped = Some(at);
        let expected = exit != Exit::Unknown && self.rules().exitcodes.contains(&exit.status());
        let lived = self.record.started.map_or(Duration::ZERO, |started| at.mono.since(started.mono));
        let too_quickly = matches!(self.record.state, State::Starting { up_at, .. } if at.mono < up_at);
        self.record.last_exit = Some(LastExit { pid, exit, lived, too_quickly });
        self.note_run(lived);
        match self.record.state {
            State::Stopping { .. } => {
                self.record.exitstatus = Some(exit.status());
                self.enter(cx, State::Stopped, Extra::pid(pid));
                log(cx, LogLine::stopped(&self.record.name, exit, expected));
            }
            State::Starting { up_at, .. } if at.mono < up_at => {
                self.fell_short(cx, exit, at);
            }
            State::Starting { .. } => {
                // It did stay up, only the deadline was not handled yet.
                self.succeed(cx, pid);
                self.exited(cx, pid, exit, expected, at);
            }
            State::Running { .. } => self.exited(cx, pid, exit, expected, at),
            State::Unknown { .. } => {
                self.record.exitstatus = Some(exit.status());
                self.record.state = State::Unknown { pid: None };
                log(cx, LogLine::exited(&self.record.name, exit, expected));
            }
            State::Stopped
            | State::Spawning
            | State::Backoff { .. }
            | State::Cancelled
            | State::Exited { .. }
            | State::Fatal => {}
        }
        cx.turns.push(Turn::Reaped);
    }

    /// It ended before it was up.
    fn fell_short(&mut self, cx: &mut Context<'_>, exit: Exit, at: Now) {
        if self.record.exec_starved {
            self.record.spawnerr.clone_from(&self.record.exec_error);
            return self.wait_for_resources(cx, at.mono);
        }
        self.record.spawnerr = Some(EXITED_TOO_QUICKLY.to_owned());
        self.back_off(cx, at.mono);
        log(cx, LogLine::exited(&self.record.name, exit, false));
        self.give_up_if_exhausted(cx);
    }

    /// RUNNING -> EXITED, and on to STARTING if `autorestart` says so: at once, unless it is a crash loop.
    fn exited(&mut self, cx: &mut Context<'_>, pid: Pid, exit: Exit, expected: bool, at: Now) {
        self.record.exitstatus = Some(exit.status());
        if !expected {
            self.record.spawnerr = Some(match exit {
                Exit::Unknown => exit.to_string(),
                _ => format!("Bad exit code {}", exit.status()),
            });
        }
        let extra = Extra { pid: Some(pid), expected: Some(expected), ..Extra::default() };
        self.enter(cx, State::Exited { restart_at: None }, extra);
        log(cx, LogLine::exited(&self.record.name, exit, expected));
        if expected {
            // Such ends are how it works; only failures are started again at the rate that all share.
            self.record.in_a_row = 0;
        }
        let restart = match self.policy.autorestart {
            AutoRestart::Never => false,
            AutoRestart::Unexpected => !expected,
            AutoRestart::Always => true,
        };
        if self.policy.kind == Kind::Oneshot {
            return self.oneshot_ended(cx, expected, restart, at);
        }
        if cx.mood != Mood::Running || self.is_parting() {
            return;
        }
        if self.record.exec_starved {
            return self.try_for_resources(at);
        }
        if !restart {
            return self.note_finished();
        }
        let own_wait = self.policy.restarts.delay.map(|_| at.mono + self.wait_after_failure(cx));
        let restart_at = own_wait.max(self.hold_back(at.mono)).map_or(cx.now.mono, |at| at.max(cx.now.mono));
        if let Some(limit) = self.limit_reached(restart_at) {
            return self.give_up_at(cx, limit);
        }
        if restart_at > cx.now.mono {
            self.record.state = State::Exited { restart_at: Some(restart_at) };
        } else {
            self.start_in_turn(cx);
        }
    }

    /// A oneshot that ended well is done. Otherwise it is tried again, after a wait as BACKOFF has them, until it has
    /// failed more than `startretries` times in a row.
    fn oneshot_ended(&mut self, cx: &mut Context<'_>, expected: bool, restart: bool, at: Now) {
        if expected {
            self.record.backoff = 0;
        }
        if cx.mood != Mood::Running || self.is_parting() {
            return;
        }
        if self.record.exec_starved {
            return self.try_for_resources(at);
        }
        if expected || !restart {
            return self.note_finished();
        }
        self.record.backoff = self.record.backoff.saturating_add(1);
        if is_exhausted(self.record.backoff, self.policy.startretries) {
            self.give_up(cx, StopCause::GaveUp);
            log(cx, LogLine::gave_up(&self.record.name));
            return;
        }
        let restart_at = at.mono + self.wait_after_failure(cx);
        if let Some(limit) = self.limit_reached(restart_at.max(cx.now.mono)) {
            return self.give_up_at(cx, limit);
        }
        self.record.state = State::Exited { restart_at: Some(restart_at) };
    }

    /// It was no run at all: something was missing that the program cannot help.
    fn try_for_resources(&mut self, at: Now) {
        self.uncount();
        self.record.state = State::Exited { restart_at: Some(at.mono + STARVED_WAIT) };
    }

    /// Until when an automatic restart is held back: not at all for a process that stayed up for a second, or the
    /// first time it did not. Differs from Supervisor, which restarts once per pass of its loop, about a second.
    fn hold_back(&mut self, ended: Moment) -> Option<Moment> {
        let started = self.record.started?.mono;
        if ended.since(started) >= RESTART_SPACING {
            self.record.restarted_at_once = false;
            return None;
        }
        if !self.record.restarted_at_once {
            self.record.restarted_at_once = true;
            return None;
        }
        Some(started + RESTART_SPACING)
    }
}
