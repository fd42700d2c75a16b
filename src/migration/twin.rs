//! One process as galaxyd would keep it, in the place of one that a Supervisor keeps: the engine, told what was observed.
//!
//! Nothing is started: what the engine asks for is only remembered.

use std::time::Duration;

use crate::engine::{
    Effect, Engine, Exit, GroupSpec, Input, MemberSpec, Moment, Now, Policy, ProcessId, ProcessState, Request, Target,
};

/// The twin of one process.
#[derive(Debug, Clone)]
pub(super) struct Twin {
    engine: Engine,
    process: ProcessId,
    policy: Policy,
    /// A spawn that the engine asked for and nobody has seen yet.
    pub(super) spawn_wanted: bool,
    requests: u64,
}

impl Twin {
    /// At rest, as after a first look at a daemon: what was observed is told next. `None`: the engine knows no such process,
    /// which cannot be.
    pub(super) fn new(policy: &Policy, now: Now) -> Option<Self> {
        let mut engine = Engine::new();
        // The daemon observed has long decided what to start.
        let member = MemberSpec { name: "x".to_owned(), policy: Policy { autostart: false, ..policy.clone() } };
        let group = GroupSpec { name: "x".to_owned(), priority: 999, members: vec![member], listens: false };
        engine.handle(now, Input::Begin { groups: vec![group] }, &mut Vec::new());
        let process = engine.find("x", "x")?;
        Some(Self { engine, process, policy: policy.clone(), spawn_wanted: false, requests: 0 })
    }

    pub(super) fn state(&self) -> ProcessState {
        self.engine.process(self.process).map_or(ProcessState::Unknown, |view| view.state)
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.engine.process(self.process).and_then(|view| view.pid)
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Until when the engine waits.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.engine.deadline()
    }

    /// A client asked for a start.
    pub(super) fn ask_start(&mut self, now: Now) {
        let target = Target::One(self.process);
        self.ask(now, Request::Start { target, wait: false, checked: Vec::new() });
    }

    /// A client asked for a stop.
    pub(super) fn ask_stop(&mut self, now: Now) {
        let target = Target::One(self.process);
        self.ask(now, Request::Stop { target, wait: false });
    }

    fn ask(&mut self, now: Now, request: Request) {
        self.requests += 1;
        self.feed(now, Input::Request { id: self.requests, request });
    }

    /// The process was seen with this pid, forked at `at`.
    pub(super) fn spawned(&mut self, now: Now, pid: i32, at: Now) {
        self.spawn_wanted = false;
        self.feed(now, Input::Spawned { process: self.process, pid, at });
    }

    /// The start failed before there was a process.
    pub(super) fn spawn_failed(&mut self, now: Now, text: &str) {
        self.spawn_wanted = false;
        let error = crate::engine::SpawnError::Failed(text.to_owned());
        self.feed(now, Input::SpawnFailed { process: self.process, error });
    }

    /// The process ended at `at`.
    pub(super) fn exited(&mut self, now: Now, exit: Exit, at: Now) {
        if let Some(pid) = self.pid() {
            self.feed(now, Input::Exited { process: self.process, pid, exit, at });
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, now: Now) {
        self.feed(now, Input::Deadline);
    }

    fn feed(&mut self, now: Now, input: Input) {
        let mut effects = Vec::new();
        self.engine.handle(now, input, &mut effects);
        self.spawn_wanted |= effects.iter().any(|effect| matches!(effect, Effect::Spawn { .. }));
    }
}

/// Seconds since the epoch as the engine's time.
pub(super) fn at(wall: i64) -> Now {
    Now { mono: Moment(Duration::from_secs(u64::try_from(wall).unwrap_or(0))), wall }
}
