//! An engine, a clock that is moved by hand, and the words to say things to it briefly.

use std::time::Duration;

use galaxyd::engine::{
    Answer, AutoRestart, Effect, Engine, Event, Exit, GroupSpec, Input, Kill, Kind, MemberSpec, Moment, Now, Pid,
    Policy, ProcessId, ProcessState, ProcessView, Refusal, Request, RequestId, Restarts, SpawnError, Target,
};

pub(crate) const SIGHUP: i32 = 1;
pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;

/// Wall clock seconds at the stage's zero.
const EPOCH: i64 = 1_700_000_000;

/// Supervisor's defaults, but no autostart and no autorestart.
pub(crate) fn policy() -> Policy {
    Policy {
        autostart: false,
        autorestart: AutoRestart::Never,
        startsecs: Duration::from_secs(1),
        startretries: 3,
        exitcodes: vec![0],
        stopsignal: SIGTERM,
        stopwaitsecs: Duration::from_secs(10),
        stopasgroup: false,
        killasgroup: false,
        priority: 999,
        kind: Kind::Service,
        killtree: false,
        restarts: Restarts::default(),
        ready: None,
    }
}

pub(crate) fn group(name: &str, priority: i64, members: &[(&str, Policy)]) -> GroupSpec {
    let members =
        members.iter().map(|(name, policy)| MemberSpec { name: (*name).to_owned(), policy: policy.clone() }).collect();
    GroupSpec { name: name.to_owned(), priority, members, listens: false }
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn code(code: i32) -> Exit {
    Exit::Code(code)
}

pub(crate) const TERMINATED: Exit = Exit::Signal { number: SIGTERM, core_dumped: false };

pub(crate) fn auto(restart: AutoRestart) -> Policy {
    Policy { autostart: true, autorestart: restart, ..policy() }
}

/// The time when the stage has been up for so long.
pub(crate) fn time_at(elapsed: Duration) -> Now {
    let seconds = i64::try_from(elapsed.as_secs()).expect("a stage does not play for that long");
    Now { mono: Moment(elapsed), wall: EPOCH + seconds }
}

pub(crate) struct Stage {
    pub(crate) engine: Engine,
    elapsed: Duration,
    next_request: RequestId,
    next_pid: Pid,
    /// What the last input led to.
    pub(crate) effects: Vec<Effect>,
}

impl Stage {
    pub(crate) fn new(groups: Vec<GroupSpec>) -> Stage {
        let mut stage =
            Stage { engine: Engine::new(), elapsed: millis(0), next_request: 1, next_pid: 100, effects: Vec::new() };
        stage.tell(Input::Begin { groups });
        stage
    }

    /// One process `p` in a group of its own.
    pub(crate) fn with_one(policy: Policy) -> (Stage, ProcessId) {
        let stage = Stage::new(vec![group("p", 999, &[("p", policy)])]);
        let process = stage.find("p", "p");
        (stage, process)
    }

    pub(crate) fn now(&self) -> Now {
        time_at(self.elapsed)
    }

    pub(crate) fn tell(&mut self, input: Input) {
        let now = self.now();
        self.effects.clear();
        self.engine.handle(now, input, &mut self.effects);
    }

    pub(crate) fn request(&mut self, request: Request) -> RequestId {
        let id = self.next_request;
        self.next_request += 1;
        self.tell(Input::Request { id, request });
        id
    }

    pub(crate) fn start(&mut self, target: Target, wait: bool) -> RequestId {
        self.request(Request::Start { target, wait, checked: Vec::new() })
    }

    pub(crate) fn stop(&mut self, target: Target, wait: bool) -> RequestId {
        self.request(Request::Stop { target, wait })
    }

    /// Forks now.
    pub(crate) fn forked(&mut self, process: ProcessId) -> Pid {
        let pid = self.next_pid;
        self.next_pid += 1;
        let at = self.now();
        self.tell(Input::Spawned { process, pid, at });
        pid
    }

    pub(crate) fn not_forked(&mut self, process: ProcessId) {
        let error = SpawnError::NotFound("/nowhere".to_owned());
        self.tell(Input::SpawnFailed { process, error });
    }

    /// The child is reaped now.
    pub(crate) fn exit(&mut self, process: ProcessId, exit: Exit) {
        let at = self.now();
        self.exit_at(process, exit, at);
    }

    pub(crate) fn exit_at(&mut self, process: ProcessId, exit: Exit, at: Now) {
        let pid = self.pid(process);
        self.tell(Input::Exited { process, pid, exit, at });
    }

    /// The child has ended, and its program goes on as another one.
    pub(crate) fn followed(&mut self, process: ProcessId) -> Pid {
        let (pid, heir) = (self.pid(process), self.next_pid);
        self.next_pid += 1;
        let at = self.now();
        self.tell(Input::Followed { process, pid, heir, at });
        heir
    }

    /// Nothing is left of the ended child's tree.
    pub(crate) fn swept(&mut self, process: ProcessId) {
        let pid = self.pid(process);
        self.tell(Input::Swept { process, pid });
    }

    pub(crate) fn signalled(&mut self, process: ProcessId, signal: i32) {
        let pid = self.pid(process);
        self.tell(Input::Signalled { process, pid, signal });
    }

    pub(crate) fn kill_failed(&mut self, process: ProcessId, signal: i32) {
        let pid = self.pid(process);
        self.tell(Input::KillFailed { process, pid, signal, text: "not permitted".to_owned() });
    }

    /// Time passes; nobody tells the engine.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.elapsed += time;
    }

    /// Time passes, then the engine is woken.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.pass(time);
        self.tell(Input::Deadline);
    }

    /// Sleeps until the engine wants to be woken.
    pub(crate) fn wait_for_deadline(&mut self) {
        let Moment(at) = self.engine.deadline().expect("the engine waits for something");
        self.wait(at.saturating_sub(self.elapsed));
    }

    pub(crate) fn find(&self, group: &str, name: &str) -> ProcessId {
        self.engine.find(group, name).unwrap_or_else(|| panic!("there is a {group}:{name}"))
    }

    pub(crate) fn view(&self, process: ProcessId) -> ProcessView<'_> {
        self.engine.process(process).expect("the process exists")
    }

    pub(crate) fn state(&self, process: ProcessId) -> ProcessState {
        self.view(process).state
    }

    /// The process' child, or a pid that is nobody's.
    pub(crate) fn pid(&self, process: ProcessId) -> Pid {
        self.view(process).pid.unwrap_or(77)
    }

    /// States announced by the last input, in order.
    pub(crate) fn announced(&self) -> Vec<ProcessState> {
        let states = self.effects.iter().filter_map(|effect| match effect {
            Effect::Event(Event::ProcessState { to, .. }) => Some(*to),
            _ => None,
        });
        states.collect()
    }

    pub(crate) fn spawns(&self) -> Vec<ProcessId> {
        let spawns = self.effects.iter().filter_map(|effect| match effect {
            Effect::Spawn { process, .. } => Some(*process),
            _ => None,
        });
        spawns.collect()
    }

    pub(crate) fn kills(&self) -> Vec<Kill> {
        let kills = self.effects.iter().filter_map(|effect| match effect {
            Effect::Kill { kill, .. } => Some(*kill),
            _ => None,
        });
        kills.collect()
    }

    /// Processes signalled by the last input, in order.
    pub(crate) fn killed(&self) -> Vec<String> {
        let kills = self.effects.iter().filter_map(|effect| match effect {
            Effect::Kill { process, .. } => Some(self.view(*process).name.to_owned()),
            _ => None,
        });
        kills.collect()
    }

    pub(crate) fn answers(&self) -> Vec<(RequestId, Answer)> {
        let answers = self.effects.iter().filter_map(|effect| match effect {
            Effect::Answer { id, answer } => Some((*id, answer.clone())),
            _ => None,
        });
        answers.collect()
    }

    pub(crate) fn log(&self) -> Vec<&str> {
        let lines = self.effects.iter().filter_map(|effect| match effect {
            Effect::Log(line) => Some(line.text.as_str()),
            _ => None,
        });
        lines.collect()
    }
}

/// The results of the only answer, as `name: result`.
pub(crate) fn results(stage: &Stage) -> Vec<String> {
    match stage.answers().as_slice() {
        [(_, Answer::Processes(outcomes))] => {
            outcomes.iter().map(|outcome| format!("{}: {:?}", outcome.name, outcome.result)).collect()
        }
        answers => panic!("one answer was expected: {answers:?}"),
    }
}

pub(crate) fn result(stage: &Stage) -> Result<(), Refusal> {
    match stage.answers().as_slice() {
        [(_, Answer::Processes(outcomes))] => match outcomes.as_slice() {
            [outcome] => outcome.result.clone(),
            _ => panic!("one outcome was expected: {outcomes:?}"),
        },
        answers => panic!("one answer was expected: {answers:?}"),
    }
}

pub(crate) fn refusal(stage: &Stage) -> Refusal {
    match stage.answers().as_slice() {
        [(_, Answer::Refused(refusal))] => refusal.clone(),
        answers => panic!("one refusal was expected: {answers:?}"),
    }
}

/// A process that is RUNNING for a second.
pub(crate) fn running(rules: Policy) -> (Stage, ProcessId) {
    let (mut stage, process) = Stage::with_one(rules);
    stage.start(Target::One(process), false);
    stage.forked(process);
    stage.wait(millis(1000));
    assert_eq!(stage.state(process), ProcessState::Running);
    (stage, process)
}

/// Three processes RUNNING in group `g`; priorities descend from `a` to `c`.
pub(crate) fn three() -> (Stage, [ProcessId; 3]) {
    let rules = |priority| Policy { priority, startsecs: Duration::ZERO, ..policy() };
    let mut stage = Stage::new(vec![group("g", 1, &[("a", rules(3)), ("b", rules(2)), ("c", rules(1))])]);
    let all = ["a", "b", "c"].map(|name| stage.find("g", name));
    stage.start(Target::All, false);
    for process in all {
        stage.forked(process);
    }
    (stage, all)
}
