//! galaxyd beside a running Supervisor: each transition that is observed is held against what the engine decides, told the same
//! causes.
//!
//! Only causes are told to the engine: that a process appeared with a pid, that it ended with a code, that it is being stopped
//! (which only a client can want). What follows from them (RUNNING, a restart, BACKOFF, FATAL) the engine decides by itself. The
//! original acts at the passes of its loop and tells whole seconds, so the two may disagree for a while, [`GRACE`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::twin::{Twin, at};
use crate::engine::{Exit, GroupSpec, Kind, Moment, Needs, Now, Policy, ProcessState, Restarts};

/// How long the two may disagree before it is a difference: Supervisor's loop turns once a second, and a look takes its time.
const GRACE: Duration = Duration::from_secs(3);

/// How far a time told in whole seconds can be off.
const ROUNDING: Duration = Duration::from_secs(1);

/// A process as `getProcessInfo` shows it. Times are seconds since 1970, 0 for never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    pub group: String,
    pub name: String,
    pub state: ProcessState,
    /// 0: does not run.
    pub pid: i32,
    pub start: i64,
    pub stop: i64,
    pub exitstatus: i32,
    pub spawnerr: String,
}

/// What galaxyd thinks of a transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Same,
    /// It would be in this state.
    Different(ProcessState),
    /// Nothing can be said, and why.
    Untold(&'static str),
}

/// One observed transition, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// `group:name`.
    pub process: String,
    pub from: ProcessState,
    pub to: ProcessState,
    pub verdict: Verdict,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}: ", self.process, self.from.name(), self.to.name())?;
        match &self.verdict {
            Verdict::Same => f.write_str("galaxyd does the same"),
            Verdict::Different(state) => write!(f, "DIFFERENT, under galaxyd it would be {}", state.name()),
            Verdict::Untold(why) => write!(f, "cannot be told: {why}"),
        }
    }
}

/// All processes of a configuration, shadowed.
#[derive(Debug, Clone)]
pub struct Shadow {
    policies: BTreeMap<(String, String), Policy>,
    subjects: BTreeMap<(String, String), Subject>,
    strangers: BTreeSet<String>,
}

/// One process under observation.
#[derive(Debug, Clone)]
struct Subject {
    twin: Twin,
    last: Observed,
    /// Not so while the number of failed starts is not known.
    is_certain: bool,
    /// Transitions that the twin has not agreed to yet.
    open: Vec<(ProcessState, ProcessState)>,
    /// Since when the states differ.
    apart_since: Option<Moment>,
}

impl Shadow {
    /// A shadow that has seen nothing yet.
    #[must_use]
    pub fn new(groups: &[GroupSpec]) -> Self {
        // The observed Supervisor does not know what is ours.
        let supervisors = |policy: &Policy| Policy {
            kind: Kind::Service,
            killtree: false,
            restarts: Restarts::default(),
            ready: None,
            needs: Needs::default(),
            ..policy.clone()
        };
        let members = groups.iter().flat_map(|group| {
            group.members.iter().map(|member| ((group.name.clone(), member.name.clone()), supervisors(&member.policy)))
        });
        Self { policies: members.collect(), subjects: BTreeMap::new(), strangers: BTreeSet::new() }
    }

    /// Processes that were observed and are not in the configuration, in order.
    pub fn strangers(&self) -> impl Iterator<Item = &str> {
        self.strangers.iter().map(String::as_str)
    }

    /// Takes one look at all processes, made at `now` (time since 1970), and judges what can be judged by now.
    pub fn observe(&mut self, now: Duration, all: &[Observed]) -> Vec<Transition> {
        let now = Now { mono: Moment(now), wall: i64::try_from(now.as_secs()).unwrap_or(i64::MAX) };
        let mut judged = Vec::new();
        for observed in all {
            let key = (observed.group.clone(), observed.name.clone());
            let Some(policy) = self.policies.get(&key) else {
                self.strangers.insert(crate::engine::namespec(&observed.group, &observed.name));
                continue;
            };
            match self.subjects.get_mut(&key) {
                Some(subject) => subject.look(now, observed, &mut judged),
                None => {
                    if let Some(subject) = Subject::new(policy, now, observed) {
                        self.subjects.insert(key, subject);
                    }
                }
            }
        }
        judged
    }
}

impl Subject {
    fn new(policy: &Policy, now: Now, observed: &Observed) -> Option<Self> {
        let mut twin = Twin::new(policy, at(observed.start.max(1)))?;
        let start = at(observed.start);
        match observed.state {
            ProcessState::Starting | ProcessState::Running | ProcessState::Stopping => {
                twin.ask_start(start);
                twin.spawned(start, observed.pid, start);
                if observed.state == ProcessState::Running {
                    twin.pass(Now { mono: start.mono + policy.startsecs, ..now });
                }
                if observed.state == ProcessState::Stopping {
                    twin.ask_stop(now);
                }
            }
            ProcessState::Backoff => {
                twin.ask_start(start);
                twin.spawn_failed(start, &observed.spawnerr);
            }
            ProcessState::Stopped | ProcessState::Exited | ProcessState::Fatal | ProcessState::Unknown => {}
        }
        let is_certain = observed.state != ProcessState::Backoff;
        Some(Self { twin, last: observed.clone(), is_certain, open: Vec::new(), apart_since: None })
    }

    fn look(&mut self, now: Now, seen: &Observed, judged: &mut Vec<Transition>) {
        let is_new = (seen.state, seen.pid, seen.start) != (self.last.state, self.last.pid, self.last.start);
        if is_new {
            self.tell(now, seen);
            self.open.push((self.last.state, seen.state));
            self.last = seen.clone();
        }
        self.pass(now, seen);
        if self.agrees(seen.state) {
            self.apart_since = None;
            self.conclude(&Verdict::Same, judged);
        } else if now.mono.since(*self.apart_since.get_or_insert(now.mono)) > GRACE {
            if self.open.is_empty() {
                // The original stays where the twin has moved on.
                self.open.push((seen.state, seen.state));
            }
            self.conclude(&Verdict::Different(self.twin.state()), judged);
            self.begin_anew(now, seen);
        }
        if !self.is_certain && !matches!(seen.state, ProcessState::Backoff | ProcessState::Starting) {
            self.conclude(&Verdict::Same, judged);
            self.begin_anew(now, seen);
        }
    }

    /// A process that was at rest at the first look is at rest in the twin, whatever the rest is called.
    fn agrees(&self, seen: ProcessState) -> bool {
        let state = self.twin.state();
        state == seen || (state == ProcessState::Stopped && seen.is_stopped())
    }

    fn conclude(&mut self, verdict: &Verdict, judged: &mut Vec<Transition>) {
        let verdict = match (self.is_certain, self.last.state) {
            (true, state) if state != ProcessState::Unknown => verdict.clone(),
            (true, _) => Verdict::Untold("Supervisor itself does not know the state"),
            (false, _) => Verdict::Untold("how often the start had failed before is not known"),
        };
        let process = crate::engine::namespec(&self.last.group, &self.last.name);
        judged.extend(self.open.drain(..).map(|(from, to)| Transition {
            process: process.clone(),
            from,
            to,
            verdict: verdict.clone(),
        }));
    }

    fn begin_anew(&mut self, now: Now, seen: &Observed) {
        if let Some(anew) = Self::new(self.twin.policy(), now, seen) {
            *self = anew;
        }
    }

    /// Tells the twin what must have happened since the last look.
    fn tell(&mut self, now: Now, seen: &Observed) {
        let gone = self.twin.pid().is_some_and(|pid| pid != seen.pid);
        let is_stop = matches!(seen.state, ProcessState::Stopping | ProcessState::Stopped)
            || self.last.state == ProcessState::Stopping;
        if is_stop && self.twin.state().is_running() {
            self.twin.ask_stop(now);
        }
        if gone {
            let (exit, end) = self.end(seen);
            self.twin.exited(now, exit, end);
        }
        let begun = seen.start != self.last.start;
        if seen.pid != 0 && self.twin.pid() != Some(seen.pid) {
            self.want_spawn(now);
            self.twin.spawned(now, seen.pid, at(seen.start));
        } else if seen.pid == 0 && begun && matches!(seen.state, ProcessState::Backoff | ProcessState::Fatal) {
            // It failed to start, or came and went between two looks; both count alike.
            self.want_spawn(now);
            self.twin.spawn_failed(now, &seen.spawnerr);
        }
    }

    /// The twin is to have asked for a spawn: by itself at its deadline, or because a client wants it.
    fn want_spawn(&mut self, now: Now) {
        if self.twin.spawn_wanted {
            return;
        }
        if let Some(deadline) = self.twin.deadline().filter(|deadline| deadline.since(now.mono) <= ROUNDING) {
            self.twin.pass(Now { mono: deadline.max(now.mono), ..now });
        }
        if !self.twin.spawn_wanted {
            self.twin.ask_start(now);
        }
    }

    /// How and when the process that was there ended. Within the rounding of the times told, the end that fits what was
    /// observed is taken.
    fn end(&self, seen: &Observed) -> (Exit, Now) {
        let exit = match seen.exitstatus {
            // The code of a process that has a successor is not told; that it has one speaks for a failure.
            _ if seen.pid != 0 => Exit::Code(256),
            code if code >= 0 => Exit::Code(code),
            _ => Exit::Signal { number: 15, core_dumped: false },
        };
        let was_too_quick = matches!(seen.state, ProcessState::Backoff | ProcessState::Fatal);
        let told = at(seen.stop.max(self.last.start));
        let start = at(self.last.start).mono;
        let mono =
            if was_too_quick { Moment(told.mono.0.saturating_sub(ROUNDING)).max(start) } else { told.mono + ROUNDING };
        (exit, Now { mono, ..told })
    }

    /// Lets time pass for the twin, in favour of what was observed by as much as the times told are rounded.
    fn pass(&mut self, now: Now, seen: &Observed) {
        let starting = self.twin.state() == ProcessState::Starting && self.twin.pid().is_some();
        let mono = match seen.state {
            ProcessState::Starting if starting => Moment(now.mono.0.saturating_sub(ROUNDING)),
            ProcessState::Running if starting => now.mono + ROUNDING,
            _ => now.mono,
        };
        self.twin.pass(Now { mono, ..now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{AutoRestart, MemberSpec};
    use ProcessState::{Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping};

    fn policy() -> Policy {
        Policy {
            autostart: true,
            autorestart: AutoRestart::Unexpected,
            startsecs: Duration::from_secs(1),
            startretries: 1,
            exitcodes: vec![0],
            stopsignal: 15,
            stopwaitsecs: Duration::from_secs(10),
            stopasgroup: false,
            killasgroup: false,
            priority: 999,
            kind: Kind::Service,
            killtree: false,
            restarts: crate::engine::Restarts::default(),
            ready: None,
            needs: Needs::default(),
        }
    }

    /// Plays looks: (tenths of a second, state, pid, start, stop, exit status).
    fn play(policy: Policy, looks: &[(u64, ProcessState, i32, i64, i64, i32)]) -> Vec<(ProcessState, Verdict)> {
        let group = GroupSpec {
            name: "g".into(),
            priority: 1,
            members: vec![MemberSpec { name: "p".into(), policy }],
            listens: false,
        };
        let mut shadow = Shadow::new(&[group]);
        let mut judged = Vec::new();
        let mut rest = looks.iter().peekable();
        let mut seen = None;
        let end = looks.last().map_or(0, |look| look.0) + 100;
        for tenth in 0..end {
            if let Some((_, state, pid, start, stop, exitstatus)) = rest.next_if(|look| look.0 <= tenth) {
                seen = Some(Observed {
                    group: "g".into(),
                    name: "p".into(),
                    state: *state,
                    pid: *pid,
                    start: *start,
                    stop: *stop,
                    exitstatus: *exitstatus,
                    spawnerr: String::new(),
                });
            }
            let now = Duration::from_millis(1_000_000 + tenth * 100);
            judged
                .extend(seen.as_ref().map(|seen| shadow.observe(now, std::slice::from_ref(seen))).unwrap_or_default());
        }
        judged.into_iter().map(|transition| (transition.to, transition.verdict)).collect()
    }

    #[test]
    fn an_unexpected_end_is_restarted_by_both() {
        let looks = [
            (0, Running, 5, 900, 0, 0),
            (20, Exited, 0, 900, 1001, 1),
            (24, Starting, 6, 1002, 1001, 0),
            (36, Running, 6, 1002, 1001, 0),
        ];
        let wanted = [Exited, Starting, Running].map(|state| (state, Verdict::Same));
        assert_eq!(play(policy(), &looks), wanted);
    }

    #[test]
    fn one_that_is_not_restarted_is_a_difference() {
        let looks = [(0, Running, 5, 900, 0, 0), (20, Exited, 0, 900, 1001, 1)];
        assert_eq!(play(policy(), &looks), [(Exited, Verdict::Different(Starting))]);
        // Expected ends rest, also here.
        let looks = [(0, Running, 5, 900, 0, 0), (20, Exited, 0, 900, 1001, 0)];
        assert_eq!(play(policy(), &looks), [(Exited, Verdict::Same)]);
    }

    #[test]
    fn a_success_that_came_too_soon_is_a_difference() {
        let patient = Policy { startsecs: Duration::from_secs(30), ..policy() };
        let looks = [(0, Stopped, 0, 0, 0, 0), (10, Starting, 5, 1001, 0, 0), (30, Running, 5, 1001, 0, 0)];
        let judged = play(patient, &looks);
        assert_eq!(judged, [(Starting, Verdict::Same), (Running, Verdict::Different(Starting))]);
    }

    #[test]
    fn failed_starts_are_counted_to_the_end() {
        let looks = [
            (0, Stopped, 0, 0, 0, 0),
            (10, Starting, 5, 1001, 0, 0),
            (12, Backoff, 0, 1001, 1001, 0),
            (26, Starting, 6, 1002, 1001, 0),
            (28, Backoff, 0, 1002, 1002, 0),
            (38, Fatal, 0, 1002, 1002, 0),
        ];
        let wanted = [Starting, Backoff, Starting, Backoff, Fatal].map(|state| (state, Verdict::Same));
        assert_eq!(play(policy(), &looks), wanted);
        // Given up one failure too early.
        let patient = Policy { startretries: 3, ..policy() };
        let judged = play(patient, &looks);
        assert!(matches!(judged.last(), Some((Fatal, Verdict::Different(_)))), "{judged:?}");
    }

    #[test]
    fn a_stop_is_a_clients_wish() {
        let looks = [(0, Running, 5, 900, 0, 0), (10, Stopping, 5, 900, 0, 0), (30, Stopped, 0, 900, 1003, -1)];
        assert_eq!(play(policy(), &looks), [(Stopping, Verdict::Same), (Stopped, Verdict::Same)]);
        let looks = [(0, Running, 5, 900, 0, 0), (10, Stopped, 0, 900, 1001, -1)];
        assert_eq!(play(policy(), &looks), [(Stopped, Verdict::Same)]);
    }

    #[test]
    fn nothing_is_said_where_the_past_is_not_known() {
        let looks = [(0, Backoff, 0, 999, 999, 0), (30, Fatal, 0, 999, 999, 0)];
        assert!(matches!(play(policy(), &looks).as_slice(), [(Fatal, Verdict::Untold(_)), ..]));
    }

    #[test]
    fn strangers_are_named() {
        let mut shadow = Shadow::new(&[]);
        let seen = Observed {
            group: "a".into(),
            name: "b".into(),
            state: Running,
            pid: 1,
            start: 1,
            stop: 0,
            exitstatus: 0,
            spawnerr: String::new(),
        };
        assert!(shadow.observe(Duration::from_secs(5), &[seen]).is_empty());
        assert_eq!(shadow.strangers().collect::<Vec<_>>(), ["a:b"]);
    }
}
