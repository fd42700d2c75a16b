//! One process' lifecycle: the state rules of `supervisor.md` sections 7 and 20.
//!
//! Knows nothing of groups, requests or who waits: a [`Step`] and the time go in, effects and [`Turn`]s come out.
//! `docs/states.md` tells the same rules as prose and a table; a test walks that table against `handle`.

use std::time::Duration;

use super::input::{Effect, Event, ExecError, Exit, Kill, LogLine, Mood, Pid, SpawnError};
use super::pacing::Throttle;
use super::policy::{Kind, Policy};
use super::readiness::Readiness;
use super::record::{ProcessRecord, State, StopCause, Then};
use super::signal::SIGKILL;
use super::state::ProcessState;
use super::time::{Moment, Now};
use super::wait::Turn;

/// SIGKILL is repeated no more often than this, also with `stopwaitsecs=0`.
const KILL_SPACING_MIN: Duration = Duration::from_secs(1);

/// What can happen to one process.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Start,
    Stop,
    /// The daemon ends: as `Stop`, but BACKOFF gives up.
    Halt,
    Signal(i32),
    Spawned {
        pid: Pid,
        at: Now,
    },
    SpawnFailed(SpawnError),
    /// After the worker's death: the keeper never heard of the spawn.
    NeverSpawned,
    /// After the worker's death: the last signal that the keeper sent to the child, zero if none.
    LastSignal(i32),
    ExecFailed {
        pid: Pid,
        error: ExecError,
    },
    Exited {
        pid: Pid,
        exit: Exit,
        at: Now,
    },
    /// The child has ended, and the program goes on as another one.
    Followed {
        pid: Pid,
        heir: Pid,
        at: Now,
    },
    /// Nothing is left of the ended child's tree, or nothing that can be ended.
    Swept {
        pid: Pid,
    },
    /// After the worker's death: what is left of an ended child's tree is to be ended again.
    SweepAgain,
    KillFailed {
        pid: Pid,
        signal: i32,
        text: String,
    },
    /// The child of this attempt has shown that it is ready.
    Answered {
        attempt: u32,
    },
    /// What a held start waits for is there.
    Release,
    /// Its deadline may have passed.
    Due,
}

/// What surrounds a step.
pub(super) struct Context<'a> {
    pub(super) now: Now,
    pub(super) mood: Mood,
    pub(super) group: &'a str,
    pub(super) throttle: &'a mut Throttle,
    pub(super) effects: &'a mut Vec<Effect>,
    /// What those who wait for this process want to know, in order.
    pub(super) turns: &'a mut Vec<Turn>,
}

/// One process: its rules and what happened to it so far.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) policy: Policy,
    pub(super) record: ProcessRecord,
    /// Its child has ended, and what goes on as it in the background is looked for.
    pub(super) seeking: bool,
}

/// What the announcement of a state says beside the names.
#[derive(Clone, Copy, Default)]
pub(super) struct Extra {
    pub(super) tries: Option<u32>,
    pub(super) pid: Option<Pid>,
    pub(super) expected: Option<bool>,
}

impl Extra {
    pub(super) fn pid(pid: Pid) -> Extra {
        Extra { pid: Some(pid), ..Extra::default() }
    }

    pub(super) fn tries(tries: u32) -> Extra {
        Extra { tries: Some(tries), ..Extra::default() }
    }
}

impl Process {
    pub(super) fn new(policy: Policy, record: ProcessRecord) -> Process {
        Process { policy, record, seeking: false }
    }

    pub(super) fn state(&self) -> ProcessState {
        self.record.state.shown()
    }

    /// The rules that the present child is stopped and judged by: while an update waits for its end, its former ones.
    pub(super) fn rules(&self) -> &Policy {
        self.record.change.as_ref().map_or(&self.policy, |change| &change.former)
    }

    /// Who is behind a stop that is not the daemon's end.
    pub(super) fn stop_cause(&self) -> StopCause {
        match &self.record.change {
            Some(change) if change.then != Then::Stay => StopCause::Update,
            _ => StopCause::Request,
        }
    }

    /// When `Step::Due` is due; `None` while only events can move the process. Nothing is started while the daemon
    /// ends, so BACKOFF and a held back restart have no deadline then.
    pub(super) fn deadline(&self, mood: Mood) -> Option<Moment> {
        if self.record.sweeping.is_some() || self.seeking {
            return None;
        }
        match self.record.state {
            State::Starting { up_at: at, .. } | State::Stopping { kill_at: at, .. } => Some(at),
            State::Backoff { retry_at: at } | State::Exited { restart_at: Some(at) } => {
                (mood == Mood::Running).then_some(at)
            }
            State::Stopped
            | State::Spawning
            | State::Running { .. }
            | State::Cancelled
            | State::Exited { restart_at: None }
            | State::Fatal
            | State::Unknown { .. } => None,
        }
    }

    /// Supervisor's rule for the first start: never started, `autostart`, and the daemon is running.
    pub(super) fn wants_autostart(&self, mood: Mood) -> bool {
        mood == Mood::Running
            && self.policy.autostart
            && self.record.state == State::Stopped
            && self.record.started.is_none()
            && self.record.change.is_none()
    }

    /// Applies `step`. Deterministic and never fails: exits, timeouts and requests race by nature, so a step that no
    /// longer fits the state is dropped; then the result is false and nothing has changed.
    pub(super) fn handle(&mut self, cx: &mut Context<'_>, step: Step) -> bool {
        use State as S;
        if let Some(sweeping) = self.record.sweeping {
            return self.handle_sweeping(cx, sweeping, step);
        }
        if self.record.held.is_some() {
            return self.handle_held(cx, &step);
        }
        let is_readier = self.readier(cx, &step);
        match step {
            Step::Due if self.seeking => return is_readier,
            Step::Followed { pid, .. } | Step::Exited { pid, .. } if self.record.state.pid() == Some(pid) => {
                self.seeking = false;
            }
            _ => {}
        }
        match (self.record.state, step) {
            (S::Stopped | S::Exited { .. } | S::Fatal, Step::Start) => {
                self.record.restarted_at_once = false;
                self.begin_anew();
                if self.policy.kind == Kind::Oneshot {
                    self.record.backoff = 0;
                }
                self.spawn(cx);
            }
            (S::Stopping { .. } | S::Cancelled, Step::Start) => log(cx, LogLine::already_running(&self.record.name)),
            (S::Starting { pid, .. } | S::Running { pid }, Step::Stop) => self.stop(cx, pid, self.stop_cause()),
            (S::Starting { pid, .. } | S::Running { pid }, Step::Halt) => self.stop(cx, pid, StopCause::Shutdown),
            (S::Spawning, Step::Stop) => self.cancel(cx, self.stop_cause()),
            (S::Spawning, Step::Halt) => self.cancel(cx, StopCause::Shutdown),
            (S::Backoff { .. }, Step::Stop) => self.stop_in_backoff(cx),
            (S::Backoff { .. }, Step::Halt) => self.give_up(cx, StopCause::Shutdown),
            (S::Exited { restart_at: Some(_) }, Step::Stop) => self.record.state = S::Exited { restart_at: None },
            (S::Starting { pid, .. } | S::Running { pid } | S::Stopping { pid, .. }, Step::Signal(signal)) => {
                self.signal(cx, pid, signal);
            }
            (S::Spawning, Step::Spawned { pid, at }) => self.forked(cx, pid, at),
            (S::Cancelled, Step::Spawned { pid, at }) => self.forked_late(cx, pid, at),
            (S::Spawning, Step::SpawnFailed(error)) => self.not_forked(cx, &error),
            (S::Cancelled, Step::SpawnFailed(error)) => self.cancelled_not_forked(cx, &error),
            (S::Spawning, Step::NeverSpawned) => self.ask_to_spawn(cx),
            (S::Cancelled, Step::NeverSpawned) => self.enter(cx, S::Stopped, Extra::pid(0)),
            (S::Stopping { pid, insisting, .. }, Step::LastSignal(last)) => {
                self.repeat_lost_signal(cx, pid, insisting, last);
            }
            (state, Step::ExecFailed { pid, error }) if state.pid() == Some(pid) => self.exec_failed(cx, pid, &error),
            (state, Step::Followed { pid, heir, at }) if state.pid() == Some(pid) => self.followed(cx, heir, at),
            (
                S::Starting { pid: child, .. } | S::Running { pid: child } | S::Stopping { pid: child, .. },
                Step::Exited { pid, exit, at },
            ) if pid == child && self.rules().killtree => {
                self.sweep(cx, pid, exit, at);
            }
            (state, Step::Exited { pid, exit, at }) if state.pid() == Some(pid) => self.reaped(cx, pid, exit, at),
            (
                S::Starting { pid: child, .. } | S::Running { pid: child } | S::Stopping { pid: child, .. },
                Step::KillFailed { pid, signal, text },
            ) if pid == child => self.kill_failed(cx, pid, signal, &text),
            (S::Starting { pid, up_at }, Step::Due) if cx.now.mono >= up_at => self.succeed(cx, pid),
            (S::Stopping { pid, kill_at, .. }, Step::Due) if cx.now.mono >= kill_at => self.insist(cx, pid),
            (S::Backoff { retry_at: at } | S::Exited { restart_at: Some(at) }, Step::Due)
                if cx.mood == Mood::Running && cx.now.mono >= at =>
            {
                self.start_in_turn(cx);
            }
            (state, Step::Spawned { pid, .. }) if state.pid() != Some(pid) => self.refuse_child(cx, pid),
            #[rustfmt::skip]
            (
                S::Stopped | S::Spawning | S::Starting { .. } | S::Running { .. } | S::Backoff { .. } | S::Cancelled
                | S::Stopping { .. } | S::Exited { .. } | S::Fatal | S::Unknown { .. },
                Step::Start | Step::Stop | Step::Halt | Step::Signal(_) | Step::Spawned { .. } | Step::SpawnFailed(_)
                | Step::NeverSpawned | Step::LastSignal(_) | Step::ExecFailed { .. } | Step::Exited { .. }
                | Step::Followed { .. } | Step::Swept { .. } | Step::SweepAgain | Step::KillFailed { .. }
                | Step::Answered { .. } | Step::Release | Step::Due,
            ) => return is_readier,
        }
        true
    }

    /// Enters `state` and announces it if it is another one to the world.
    pub(super) fn enter(&mut self, cx: &mut Context<'_>, state: State, extra: Extra) {
        let from = self.record.state.shown();
        let to = state.shown();
        self.record.state = state;
        if !matches!(state, State::Starting { .. } | State::Running { .. }) {
            self.record.readiness = None;
        }
        if from == to {
            return;
        }
        cx.turns.push(Turn::Entered(to));
        cx.effects.push(Effect::Event(Event::ProcessState {
            process: self.record.process,
            group: cx.group.to_owned(),
            name: self.record.name.clone(),
            from,
            to,
            tries: extra.tries,
            pid: extra.pid,
            expected: extra.expected,
            beside: self.record.beside.is_some(),
        }));
    }

    /// A new attempt: what is known of the last one is forgotten, the backoff counter is kept.
    pub(super) fn spawn(&mut self, cx: &mut Context<'_>) {
        self.record.spawnerr = None;
        self.record.exec_error = None;
        self.record.exitstatus = None;
        self.record.stop_cause = None;
        self.record.exec_starved = false;
        self.record.booked = false;
        self.record.in_background = false;
        self.record.started = Some(cx.now);
        self.record.follows = false;
        self.record.attempt = self.record.attempt.saturating_add(1);
        self.enter(cx, State::Spawning, Extra::tries(self.record.backoff));
        if !self.hold(cx) {
            self.ask_to_spawn(cx);
        }
    }

    /// A start that waits is called off.
    pub(super) fn end_hold(&mut self, cx: &mut Context<'_>, cause: StopCause) {
        self.record.held = None;
        self.cancel(cx, cause);
        self.enter(cx, State::Stopped, Extra::pid(0));
    }

    pub(super) fn ask_to_spawn(&self, cx: &mut Context<'_>) {
        cx.effects.push(Effect::Spawn { process: self.record.process, attempt: self.record.attempt });
    }

    fn note_forked(&mut self, cx: &mut Context<'_>, pid: Pid, at: Now) {
        self.record.started = Some(at);
        log(cx, LogLine::spawned(&self.record.name, pid));
        cx.turns.push(Turn::Forked);
    }

    fn forked(&mut self, cx: &mut Context<'_>, pid: Pid, at: Now) {
        self.note_forked(cx, pid, at);
        let up_at = at.mono + self.policy.startsecs;
        self.enter(cx, State::Starting { pid, up_at }, Extra::default());
        self.record.readiness = self.policy.ready.map(|rule| Readiness::Awaited { until: at.mono + rule.timeout });
        // Any other start window is judged by its deadline, even when that has passed already: an exit that came
        // before it may be the next input.
        if self.policy.startsecs.is_zero() {
            self.succeed(cx, pid);
        }
    }

    /// The child of a start that was taken back while it was being forked.
    fn forked_late(&mut self, cx: &mut Context<'_>, pid: Pid, at: Now) {
        self.note_forked(cx, pid, at);
        self.send_stop_signal(cx, pid);
    }

    fn not_forked(&mut self, cx: &mut Context<'_>, error: &SpawnError) {
        self.note_not_forked(cx, error);
        if self.is_want(error) {
            return self.wait_for_resources(cx, cx.now.mono);
        }
        self.back_off(cx, cx.now.mono);
        self.give_up_if_exhausted(cx);
    }

    /// A stop was asked for while the fork failed. It counts as a failed start, as it does in Supervisor, where the
    /// failure always comes first; one that would have meant giving up leaves the count that giving up leaves.
    fn cancelled_not_forked(&mut self, cx: &mut Context<'_>, error: &SpawnError) {
        self.note_not_forked(cx, error);
        let failures = self.record.backoff.saturating_add(u32::from(!self.is_want(error)));
        self.record.backoff = if is_exhausted(failures, self.policy.startretries) { 0 } else { failures };
        self.enter(cx, State::Stopped, Extra::pid(0));
    }

    /// Whether it failed for want of something that the program cannot help, and that is to be waited for.
    fn is_want(&self, error: &SpawnError) -> bool {
        matches!(error, SpawnError::Starved(_)) && !self.policy.restarts.counts_want
    }

    fn note_not_forked(&mut self, cx: &mut Context<'_>, error: &SpawnError) {
        // What is missing is said once, not at every try.
        let is_known = self.is_want(error) && self.record.starved > 0;
        if !is_known {
            log(cx, LogLine::spawn_failed(error));
        }
        self.record.spawnerr = Some(error.to_string());
        cx.turns.push(Turn::NotForked);
    }

    /// The child could not become the program; that it ends is told separately.
    fn exec_failed(&mut self, cx: &mut Context<'_>, pid: Pid, error: &ExecError) {
        self.record.exec_starved = matches!(error, ExecError::Starved(_)) && !self.policy.restarts.counts_want;
        if !self.record.exec_starved || self.record.starved == 0 {
            log(cx, LogLine::exec_failed(&self.record.name, pid, error));
        }
        self.record.exec_error = Some(error.to_string());
    }

    /// STARTING -> RUNNING.
    pub(super) fn succeed(&mut self, cx: &mut Context<'_>, pid: Pid) {
        // A oneshot has succeeded when it has ended well.
        if self.policy.kind != Kind::Oneshot {
            self.record.backoff = 0;
        }
        if !self.record.exec_starved {
            self.record.starved = 0;
        }
        self.enter(cx, State::Running { pid }, Extra::pid(pid));
        log(cx, LogLine::success(&self.record.name, self.policy.startsecs));
    }

    /// STARTING -> BACKOFF; the retry is counted from `failed_at`.
    pub(super) fn back_off(&mut self, cx: &mut Context<'_>, failed_at: Moment) {
        self.record.backoff = self.record.backoff.saturating_add(1);
        let retry_at = failed_at + self.wait_after_failure(cx);
        self.enter(cx, State::Backoff { retry_at }, Extra::tries(self.record.backoff));
    }

    pub(super) fn give_up_if_exhausted(&mut self, cx: &mut Context<'_>) {
        let State::Backoff { retry_at } = self.record.state else { return };
        if is_exhausted(self.record.backoff, self.policy.startretries) {
            self.give_up(cx, StopCause::GaveUp);
            log(cx, LogLine::gave_up(&self.record.name));
        } else if let Some(limit) = self.limit_reached(retry_at.max(cx.now.mono)) {
            self.give_up_at(cx, limit);
        }
    }

    /// BACKOFF -> FATAL.
    pub(super) fn give_up(&mut self, cx: &mut Context<'_>, cause: StopCause) {
        self.record.backoff = 0;
        self.record.stop_cause = Some(cause);
        self.note_fatal(cx.mood, cause);
        self.enter(cx, State::Fatal, Extra::default());
    }

    fn stop_in_backoff(&mut self, cx: &mut Context<'_>) {
        log(cx, LogLine::stop_in_backoff(&self.record.name));
        self.record.stop_cause = Some(self.stop_cause());
        self.enter(cx, State::Stopped, Extra::pid(0));
    }

    fn cancel(&mut self, cx: &mut Context<'_>, cause: StopCause) {
        self.record.stop_cause = Some(cause);
        self.enter(cx, State::Cancelled, Extra::pid(0));
    }

    pub(super) fn stop(&mut self, cx: &mut Context<'_>, pid: Pid, cause: StopCause) {
        self.record.stop_cause = Some(cause);
        self.send_stop_signal(cx, pid);
    }

    pub(super) fn send_stop_signal(&mut self, cx: &mut Context<'_>, pid: Pid) {
        let (signal, group) = (self.rules().stopsignal, self.rules().stopasgroup);
        if self.record.sweeping.is_some() {
            // The child is gone, and its tree has been told.
            let state = State::Stopping { pid, kill_at: cx.now.mono + self.rules().stopwaitsecs, insisting: false };
            return self.enter(cx, state, Extra::pid(pid));
        }
        log(cx, LogLine::killing(&self.record.name, pid, signal, group));
        let kill_at = cx.now.mono + self.rules().stopwaitsecs;
        self.enter(cx, State::Stopping { pid, kill_at, insisting: false }, Extra::pid(pid));
        self.kill(cx, Kill { pid, signal, group });
    }

    /// STOPPING for too long: SIGKILL, and again after another `stopwaitsecs`.
    pub(super) fn insist(&mut self, cx: &mut Context<'_>, pid: Pid) {
        let group = self.rules().killasgroup;
        log(cx, LogLine::insisting(&self.record.name, pid));
        log(cx, LogLine::killing(&self.record.name, pid, SIGKILL, group));
        let kill_at = cx.now.mono + self.rules().stopwaitsecs.max(KILL_SPACING_MIN);
        self.record.state = State::Stopping { pid, kill_at, insisting: true };
        self.kill(cx, Kill { pid, signal: SIGKILL, group });
    }

    /// The worker died around the sending of a stop signal. When the keeper's last signal is neither the stop signal
    /// nor SIGKILL, ours was not sent (or another followed it; twice is better than never).
    fn repeat_lost_signal(&mut self, cx: &mut Context<'_>, pid: Pid, insisting: bool, last: i32) {
        if last == SIGKILL {
            return;
        }
        if insisting {
            self.insist(cx, pid);
        } else if last != self.rules().stopsignal {
            self.send_stop_signal(cx, pid);
        }
    }

    /// A client's own signal; never to the group.
    fn signal(&self, cx: &mut Context<'_>, pid: Pid, signal: i32) {
        log(cx, LogLine::sending(&self.record.name, pid, signal));
        self.kill(cx, Kill { pid, signal, group: false });
    }

    fn kill(&self, cx: &mut Context<'_>, kill: Kill) {
        cx.effects.push(Effect::Kill { process: self.record.process, kill });
    }

    /// The system refuses signals to the child. There is no way out of UNKNOWN but the group's removal.
    fn kill_failed(&mut self, cx: &mut Context<'_>, pid: Pid, signal: i32, text: &str) {
        let ours = matches!(self.record.state, State::Stopping { .. })
            && (signal == SIGKILL || signal == self.rules().stopsignal);
        let doing = if ours {
            format!("unknown problem killing {} ({pid}):{text}", self.record.name)
        } else {
            format!("unknown problem sending sig {} ({pid}):{text}", self.record.name)
        };
        log(cx, LogLine::undeliverable(doing.clone()));
        cx.turns.push(Turn::Undelivered { text: doing });
        self.enter(cx, State::Unknown { pid: Some(pid) }, Extra::default());
    }

    /// A child nobody asked for: two of one program must never run, so it does not stay.
    pub(super) fn refuse_child(&self, cx: &mut Context<'_>, pid: Pid) {
        let name = &self.record.name;
        let state = self.state().name();
        log(cx, LogLine::bug(&format!("'{name}' was forked with pid {pid} while {state}; killing that child")));
        self.kill(cx, Kill { pid, signal: SIGKILL, group: true });
    }
}

pub(super) fn log(cx: &mut Context<'_>, line: LogLine) {
    cx.effects.push(Effect::Log(line));
}

/// The wait before the next try after `failures` failed starts in a row: 1, 2, 3 ... seconds.
pub(super) fn retry_delay(failures: u32) -> Duration {
    Duration::from_secs(u64::from(failures))
}

/// Whether `failures` failed starts in a row were one too many: there are `startretries` + 1 attempts, and at least one.
pub(super) fn is_exhausted(failures: u32, startretries: i64) -> bool {
    i64::from(failures) > startretries
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::input::ProcessId;
    use crate::engine::policy::AutoRestart;
    use crate::engine::{Needs, Restarts};

    fn policy(startretries: i64) -> Policy {
        Policy {
            autostart: true,
            autorestart: AutoRestart::Never,
            startsecs: Duration::from_secs(1),
            startretries,
            exitcodes: vec![0],
            stopsignal: 15,
            stopwaitsecs: Duration::from_secs(10),
            stopasgroup: false,
            killasgroup: false,
            priority: 999,
            kind: Kind::Service,
            killtree: false,
            restarts: Restarts::default(),
            ready: None,
            needs: Needs::default(),
        }
    }

    /// Lets a process fail to start until it gives up, handling each deadline `late` after it is due, and tells when
    /// it was tried.
    fn attempts(startretries: i64, late: Duration) -> Vec<Duration> {
        let mut process = Process::new(policy(startretries), ProcessRecord::new(ProcessId(1), "p".to_owned()));
        let mut now = Now { mono: Moment(Duration::ZERO), wall: 0 };
        let mut tried = Vec::new();
        let mut step = Step::Start;
        loop {
            let (mut effects, mut turns) = (Vec::new(), Vec::new());
            let throttle = &mut Throttle::default();
            let mut cx =
                Context { now, mood: Mood::Running, group: "p", throttle, effects: &mut effects, turns: &mut turns };
            process.handle(&mut cx, step);
            if effects.iter().any(|effect| matches!(effect, Effect::Spawn { .. })) {
                tried.push(now.mono.0);
                step = Step::SpawnFailed(SpawnError::NotFound("x".to_owned()));
            } else if let Some(at) = process.deadline(Mood::Running) {
                now.mono = at + late;
                step = Step::Due;
            } else {
                assert_eq!(process.state(), ProcessState::Fatal);
                return tried;
            }
        }
    }

    proptest! {
        #[test]
        fn there_is_one_attempt_more_than_startretries_and_at_least_one(retries in -3..40_i64) {
            let expected = usize::try_from(retries.max(0)).unwrap_or(0) + 1;
            prop_assert_eq!(attempts(retries, Duration::ZERO).len(), expected);
        }

        #[test]
        fn the_waits_between_attempts_are_one_two_three_seconds(retries in 0..40_i64, late_ms in 0..3000_u64) {
            let late = Duration::from_millis(late_ms);
            let tried = attempts(retries, late);
            for (failures, pair) in (1..).zip(tried.windows(2)) {
                if let [before, after] = pair {
                    prop_assert_eq!(*after, *before + Duration::from_secs(failures) + late);
                }
            }
        }

        #[test]
        fn giving_up_needs_more_failures_than_retries(failures in any::<u32>(), retries in any::<i64>()) {
            prop_assert_eq!(is_exhausted(failures, retries), i128::from(failures) > i128::from(retries));
            prop_assert_eq!(retry_delay(failures).as_secs(), u64::from(failures));
        }
    }
}
