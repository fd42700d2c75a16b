//! The made-up world: time, the worker with its queue to and from the keeper, clients, and deaths.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use galaxyd::engine::{
    Effect, Engine, ExecError, GroupSpec, Input, Moment, Mood, Now, Pid, ProcessId, ProcessState, Request, RequestId,
    SpawnError, Target,
};

use crate::dice::Dice;
use crate::journal::Journal;
use crate::keeper::{ChildId, FromKeeper, Keeper, ToKeeper};
use crate::plan::{self, Action, Death, Plan, Whom, group_name, member_name};
use crate::watch::{Cause, Kept, Seen, Watch, promise};

const SIGKILL: i32 = 9;

/// A history that takes more turns has a busy loop.
const TURNS_MAX: u64 = 20_000;

/// The daemon ends at the latest this long after it was told to.
const ENDING_MAX: Duration = Duration::from_secs(300);

/// One call of the engine.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    Input(Input),
    ResumeSignalled(ProcessId, i32),
    Resume,
}

pub(crate) struct Worker {
    pub(crate) engine: Engine,
    /// The children it was told of, and not yet told that they ended.
    pub(crate) known: BTreeMap<ProcessId, (u32, Pid)>,
    /// Spawns whose plans are being prepared.
    pub(crate) preparing: Vec<(Duration, ChildId)>,
    /// Whom it sent the stop signal to.
    pub(crate) told_to_stop: BTreeSet<(ProcessId, Pid)>,
    /// When the start window ends of those for whom it does not count while what goes on as them is looked for.
    pub(crate) windows: BTreeMap<ProcessId, Option<Moment>>,
    /// When what is left of a child's tree will have ended.
    pub(crate) sweeping: BTreeMap<(ProcessId, Pid), Duration>,
    /// When children that are asked whether they are ready will have answered; `None`: never.
    pub(crate) answering: BTreeMap<(ProcessId, u32), Option<Duration>>,
    /// When what held starts wait for outside will be there; `None`: never.
    pub(crate) reaching: BTreeMap<(ProcessId, u32), Option<Duration>>,
    /// How late it wakes for the next deadline.
    pub(crate) slip: Duration,
}

impl Worker {
    pub(crate) fn new(engine: Engine) -> Worker {
        Worker {
            engine,
            known: BTreeMap::new(),
            preparing: Vec::new(),
            told_to_stop: BTreeSet::new(),
            windows: BTreeMap::new(),
            sweeping: BTreeMap::new(),
            answering: BTreeMap::new(),
            reaching: BTreeMap::new(),
            slip: Duration::ZERO,
        }
    }
}

pub(crate) struct World<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) dice: Dice,
    pub(crate) now: Duration,
    clock_offset: i64,
    pub(crate) keeper: Keeper,
    pub(crate) to_keeper: VecDeque<(Duration, ToKeeper)>,
    pub(crate) from_keeper: VecDeque<(Duration, FromKeeper)>,
    /// TERM or HUP, told to every worker until taken.
    pub(crate) daemon_signals: VecDeque<Input>,
    pub(crate) journal: Journal,
    pub(crate) worker: Option<Worker>,
    /// When a worker whose keeper is dead makes room.
    pub(crate) leaves_at: Option<Duration>,
    /// When the keeper starts the next worker.
    pub(crate) revive_at: Option<Duration>,
    next_action: usize,
    pub(crate) next_death: usize,
    /// The last death that came.
    pub(crate) struck: Option<Death>,
    pub(crate) next_request: RequestId,
    pub(crate) told_to_end: bool,
    halted: Option<Mood>,
    pub(crate) watch: Watch<'a>,
    /// How many effects each turn had.
    effects: Vec<usize>,
    /// What was told to the engine, if someone wants to know.
    pub(crate) trace: Option<Vec<String>>,
}

/// What happened when a plan was let happen.
pub(crate) struct History {
    pub(crate) seen: Seen,
    /// How many effects the engine listed in each turn of a worker.
    pub(crate) effects: Vec<usize>,
}

/// Lets a plan happen; the error names the broken promise, and the trace what the engine was told.
pub(crate) fn run(
    plan: &Plan,
    allowed: &BTreeSet<(ProcessState, ProcessState)>,
    traced: bool,
) -> Result<History, (String, Vec<String>)> {
    let mut world = World {
        plan,
        dice: Dice::new(plan.seed ^ 0x5EED),
        now: Duration::ZERO,
        clock_offset: 1_700_000_000,
        keeper: Keeper::default(),
        to_keeper: VecDeque::new(),
        from_keeper: VecDeque::new(),
        daemon_signals: VecDeque::new(),
        journal: Journal::new(),
        worker: None,
        leaves_at: None,
        revive_at: Some(Duration::ZERO),
        next_action: 0,
        next_death: 0,
        struck: None,
        next_request: 1,
        told_to_end: false,
        halted: None,
        watch: Watch::new(allowed),
        effects: Vec::new(),
        trace: traced.then(Vec::new),
    };
    let kept = world.live().and_then(|()| world.after_the_end());
    kept.map_err(|text| (text, world.trace.take().unwrap_or_default()))?;
    Ok(History { seen: world.watch.seen, effects: world.effects })
}

impl World<'_> {
    fn live(&mut self) -> Kept {
        while self.halted.is_none() {
            promise!(self.watch.seen.turns < TURNS_MAX, "the worker is busy without end");
            promise!(self.now <= self.plan.end + ENDING_MAX, "the daemon does not end");
            let next = self.next_time().ok_or("everyone waits for ever")?;
            self.now = self.now.max(next);
            self.one_thing()?;
        }
        Ok(())
    }

    fn next_time(&self) -> Option<Duration> {
        let mut times =
            vec![self.keeper.next_end(), self.to_keeper.front().map(|(at, _)| *at), self.next_action_time()];
        if let Some(worker) = &self.worker {
            times.push(self.leaves_at);
            times.push(self.from_keeper.front().map(|(at, _)| *at));
            times.push(worker.preparing.iter().map(|(at, _)| *at).min());
            times.push(worker.sweeping.values().copied().min());
            times.push(worker.answering.values().flatten().copied().min());
            times.push(worker.reaching.values().flatten().copied().min());
            times.push(worker.engine.deadline().map(|Moment(at)| at + worker.slip));
            times.push((!self.daemon_signals.is_empty()).then_some(self.now));
        } else {
            times.push(self.revive_at);
        }
        times.into_iter().flatten().min()
    }

    fn next_action_time(&self) -> Option<Duration> {
        match self.plan.actions.get(self.next_action) {
            Some((at, _)) => Some(*at),
            None => (!self.told_to_end).then_some(self.plan.end),
        }
    }

    /// Does the first thing that is due. What the keeper told comes before a deadline, as the worker promises.
    fn one_thing(&mut self) -> Kept {
        if self.keeper.next_end().is_some_and(|at| at <= self.now) {
            self.keeper.reap(self.now, &mut self.dice);
            self.post();
        } else if self.to_keeper.front().is_some_and(|(at, _)| *at <= self.now) {
            self.keeper_receives()?;
            self.post();
        } else if self.worker.is_some() && self.leaves_at.is_some_and(|at| at <= self.now) {
            self.leave();
        } else if self.worker.is_none() && self.revive_at.is_some_and(|at| at <= self.now) {
            self.revive()?;
        } else if self.worker.is_some() && self.from_keeper.front().is_some_and(|(at, _)| *at <= self.now) {
            if let Some((_, message)) = self.from_keeper.pop_front() {
                self.worker_receives(message)?;
            }
        } else if let Some(child) = self.prepared() {
            self.hand_over(child)?;
        } else if let Some((process, pid)) = self.swept() {
            self.turn(Turn::Input(Input::Swept { process, pid }))?;
        } else if let Some((process, attempt)) = self.answers() {
            self.turn(Turn::Input(Input::Answered { process, attempt }))?;
        } else if let Some((process, attempt)) = self.reached() {
            self.turn(Turn::Input(Input::Reached { process, attempt }))?;
        } else if self.worker.is_some() && !self.daemon_signals.is_empty() {
            if let Some(signal) = self.daemon_signals.front().cloned() {
                // Taken in hand once it is journalled and acted upon; a worker that dies before leaves it to the next.
                if self.turn(Turn::Input(signal))? {
                    self.daemon_signals.pop_front();
                }
            }
        } else if self.next_action_time().is_some_and(|at| at <= self.now) {
            self.act()?;
        } else {
            if let Some(worker) = &mut self.worker {
                worker.slip = self.dice.delay(300);
            }
            self.turn(Turn::Input(Input::Deadline))?;
        }
        Ok(())
    }

    pub(crate) fn keeper_receives(&mut self) -> Kept {
        let Some((_, message)) = self.to_keeper.pop_front() else { return Ok(()) };
        let busy: Vec<Duration> =
            self.plan.actions.get(self.next_action..).unwrap_or_default().iter().map(|(at, _)| *at).collect();
        self.keeper.receive(self.now, message, &busy, &mut self.dice)
    }

    /// Puts what the keeper says on its way.
    fn post(&mut self) {
        while let Some(message) = self.keeper.outbox.pop_front() {
            let at = self.now + self.dice.delay(1000);
            let at = self.from_keeper.back().map_or(at, |(last, _)| at.max(*last));
            if self.worker.is_some() {
                self.from_keeper.push_back((at, message));
            }
        }
    }

    pub(crate) fn send(&mut self, message: ToKeeper) {
        if self.keeper.is_dead {
            return;
        }
        let at = self.now + self.dice.delay(500);
        let at = self.to_keeper.back().map_or(at, |(last, _)| at.max(*last));
        self.to_keeper.push_back((at, message));
    }

    fn hand_over(&mut self, child: ChildId) -> Kept {
        if self.dice.chance(6) {
            let error = SpawnError::NotFound("nowhere".to_owned());
            self.turn(Turn::Input(Input::SpawnFailed { process: child.0, error }))?;
        } else {
            self.send(ToKeeper::Spawn(child));
        }
        Ok(())
    }

    pub(crate) fn time(&self, at: Duration) -> Now {
        Now { mono: Moment(at), wall: self.clock_offset + i64::try_from(at.as_secs()).unwrap_or(0) }
    }

    fn worker_receives(&mut self, message: FromKeeper) -> Kept {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        match message {
            FromKeeper::Spawned { child: (process, attempt), pid, at } => {
                worker.known.insert(process, (attempt, pid));
                let at = self.time(at);
                self.turn(Turn::Input(Input::Spawned { process, pid, at }))?;
            }
            FromKeeper::SpawnFailed((process, _)) => {
                let text = "unknown error during fork".to_owned();
                let starved = self.dice.chance(50);
                let error = if starved { SpawnError::Starved(text) } else { SpawnError::Failed(text) };
                self.turn(Turn::Input(Input::SpawnFailed { process, error }))?;
                let ends = self.worker.as_ref().is_none_or(|worker| worker.engine.mood() != Mood::Running);
                if starved {
                    self.watch.starved(process, ends)?;
                }
            }
            FromKeeper::ExecFailed((process, _)) => {
                if let Some((_, pid)) = worker.known.get(&process).copied() {
                    let error = ExecError::Failed("couldn't exec".to_owned());
                    self.turn(Turn::Input(Input::ExecFailed { process, pid, error }))?;
                }
            }
            FromKeeper::Exited { child, exit, at } => self.child_ended(child, exit, at)?,
            FromKeeper::Followed { child, heir } => self.followed(child, heir)?,
            FromKeeper::Signalled { child: (process, attempt), signal, refused } => {
                let known = worker.known.get(&process).copied().filter(|(current, _)| *current == attempt);
                if let Some((_, pid)) = known {
                    let input = if refused {
                        Input::KillFailed { process, pid, signal, text: "not permitted".to_owned() }
                    } else {
                        Input::Signalled { process, pid, signal }
                    };
                    self.turn(Turn::Input(input))?;
                }
            }
        }
        Ok(())
    }

    fn act(&mut self) -> Kept {
        let Some((_, action)) = self.plan.actions.get(self.next_action) else {
            self.told_to_end = true;
            self.daemon_signals.push_back(Input::Shutdown);
            return Ok(());
        };
        self.next_action += 1;
        let Some(worker) = &self.worker else {
            // Nobody listens; but the keeper takes signals for the next worker.
            match action {
                _ if self.keeper.is_dead => {}
                Action::Term => self.daemon_signals.push_back(Input::Shutdown),
                Action::Hup => self.daemon_signals.push_back(Input::Restart),
                _ => {}
            }
            return Ok(());
        };
        let engine = &worker.engine;
        let request = match action.clone() {
            Action::Start { whom, wait, found_wanting } => {
                let Some(target) = target(engine, whom) else { return Ok(()) };
                let first = first_of(engine, &target).filter(|_| found_wanting);
                let checked = first.map(|process| (process, SpawnError::NotFound("nowhere".to_owned())));
                Request::Start { target, wait, checked: checked.into_iter().collect() }
            }
            Action::Stop { whom, wait } => {
                let Some(target) = target(engine, whom) else { return Ok(()) };
                Request::Stop { target, wait }
            }
            Action::Signal { whom, signal } => {
                let Some(target) = target(engine, whom) else { return Ok(()) };
                Request::Signal { target, signal }
            }
            Action::StopOrdered(whom) => {
                let Some(target) = target(engine, whom) else { return Ok(()) };
                Request::StopOrdered { processes: all_of(engine, &target) }
            }
            Action::Retry { whom, wait } => {
                let Some(target) = target(engine, whom) else { return Ok(()) };
                Request::Retry { processes: all_of(engine, &target), wait }
            }
            Action::Await { whom, condition, within } => {
                let Some(target) = target(engine, whom) else { return Ok(()) };
                Request::Await { processes: all_of(engine, &target), condition, within }
            }
            Action::Succeed(whom) => {
                let Some(Target::One(process)) = target(engine, whom) else { return Ok(()) };
                Request::Succeed { process }
            }
            Action::Add(spec) => Request::AddGroup(spec),
            Action::Remove(place) => Request::RemoveGroup(group_name(place)),
            Action::Update { changes, wait } => Request::Update { changes, wait },
            Action::AskShutdown => Request::Shutdown,
            Action::AskRestart => Request::Restart,
            Action::Term | Action::Hup if self.keeper.is_dead => return Ok(()),
            Action::Term => {
                self.daemon_signals.push_back(Input::Shutdown);
                return Ok(());
            }
            Action::Hup => {
                self.daemon_signals.push_back(Input::Restart);
                return Ok(());
            }
            Action::HangUp => {
                if let Some(id) = self.watch.hang_up() {
                    self.turn(Turn::Input(Input::Forget { id }))?;
                }
                return Ok(());
            }
            Action::SetClock(step) => {
                self.clock_offset += step;
                return Ok(());
            }
        };
        let id = self.next_request;
        self.next_request += 1;
        self.watch.asked(id, &request);
        self.turn(Turn::Input(Input::Request { id, request }))?;
        Ok(())
    }

    /// Lets the engine decide, journals, performs. False if the worker died on the way.
    pub(crate) fn turn(&mut self, turn: Turn) -> Kept<bool> {
        let now = self.time(self.now);
        self.watch.seen.turns += 1;
        self.watch.entered.clear();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12?}  {turn:?}", self.now));
        }
        let death = self.death_due();
        if self.strike(death, plan::Moment::BeforeDeciding) {
            return Ok(false);
        }
        let judged = self.expected_judgement(&turn);
        let Some(worker) = &mut self.worker else { return Ok(false) };
        let mut effects = Vec::new();
        let (cause, specs) = decide(&mut worker.engine, now, turn, &mut effects);
        if cause == Cause::Deadline {
            let next = worker.engine.deadline();
            // With `stopwaitsecs=0`, who was told to stop is due at once.
            let told = effects.iter().any(|effect| matches!(effect, Effect::Kill { .. }));
            let passed = next.is_some_and(|at| at < now.mono || (at == now.mono && !told));
            promise!(!passed, "the next deadline has passed: {next:?}");
        }
        if self.strike(death, plan::Moment::BeforeJournalling) {
            return Ok(false);
        }
        let Some(worker) = &mut self.worker else { return Ok(false) };
        self.journal.write(&mut worker.engine, &effects, &specs)?;
        self.effects.push(effects.len());
        for (count, effect) in effects.into_iter().enumerate() {
            if self.strike(death, plan::Moment::Performing(count)) {
                return Ok(false);
            }
            self.perform(cause, effect)?;
        }
        self.ask_around()?;
        self.look_outside();
        let Some(worker) = &self.worker else { return Ok(false) };
        self.watch.settled(self.now, &worker.engine)?;
        for view in worker.engine.everybody() {
            let known = worker.known.get(&view.process).map(|(_, pid)| *pid);
            promise!(
                view.sweeping || view.pid == known,
                "{:?} has pid {:?}, the keeper says {known:?}",
                view.process,
                view.pid
            );
        }
        if let Some((process, state)) = judged {
            let first = self.watch.entered.iter().find(|(other, _)| *other == process).map(|(_, to)| *to);
            promise!(first == Some(state), "{process:?} became {first:?}, by its times it should be {state:?}");
        }
        Ok(!self.strike(death, plan::Moment::AfterPerforming))
    }

    /// For a child that ends while STARTING: BACKOFF or RUNNING, by its own times.
    fn expected_judgement(&self, turn: &Turn) -> Option<(ProcessId, ProcessState)> {
        let Turn::Input(Input::Exited { process, at, .. }) = turn else { return None };
        let worker = self.worker.as_ref()?;
        let view = worker.engine.process(*process)?;
        // What is being swept has ended already, and is told to a successor again: the sweep decides.
        if view.state != ProcessState::Starting || view.rules.killtree || view.sweeping {
            return None;
        }
        let child = self.keeper.children.get(&(*process, view.attempt))?;
        // The rules may have changed since it was forked.
        let window = view.deadline.or_else(|| worker.windows.get(process).copied().flatten());
        let quick = window.map_or(at.mono.0 < child.started + view.policy.startsecs, |up_at| at.mono < up_at);
        Some((*process, if quick { ProcessState::Backoff } else { ProcessState::Running }))
    }

    fn perform(&mut self, cause: Cause, effect: Effect) -> Kept {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        match effect {
            Effect::Spawn { process, attempt } => {
                let twice = worker.preparing.iter().any(|(_, (other, _))| *other == process);
                promise!(!twice, "{process:?} is asked to be spawned twice");
                self.watch.spawned(&worker.engine, process, attempt)?;
                let at = self.now + self.dice.delay(4000);
                worker.preparing.push((at, (process, attempt)));
            }
            Effect::Kill { process, kill } => {
                let known = worker.known.get(&process).copied();
                let Some((attempt, _)) = known.filter(|(_, pid)| *pid == kill.pid) else {
                    return Err(format!("a signal to {kill:?} of {process:?}, which has {known:?}"));
                };
                if cause != Cause::Signal && kill.signal != SIGKILL {
                    let first = worker.told_to_stop.insert((process, kill.pid));
                    promise!(first, "the stop signal is sent twice to {kill:?} of {process:?}");
                    self.watch.seen.saw("a stop signal");
                }
                self.send(ToKeeper::Signal { child: (process, attempt), signal: kill.signal });
            }
            Effect::Sweep { process, pid, insist_at, .. } => {
                self.watch.seen.saw("a sweep");
                let obeyed = self.now + self.dice.delay(2000);
                let insisted = insist_at.0.max(self.now) + self.dice.delay(300);
                worker.sweeping.insert((process, pid), obeyed.min(insisted));
            }
            Effect::Event(event) => self.watch.event(self.now, cause, &worker.engine, &event)?,
            Effect::Log(line) => self.watch.log(&line)?,
            Effect::Answer { id, answer } => self.watch.answer(&worker.engine, id, &answer)?,
            Effect::GroupAdded { .. } => {}
            Effect::GroupChanged { removed: processes, .. } | Effect::GroupRemoved { processes, .. } => {
                for process in processes {
                    let unknown = self.watch.shown.get(&process) == Some(&ProcessState::Unknown);
                    let alive = self.keeper.children.iter().any(|((p, _), child)| *p == process && child.is_alive());
                    promise!(unknown || !alive, "{process:?} is removed alive");
                    worker.known.remove(&process);
                    self.watch.gone(process);
                }
            }
            Effect::Halted { mood } => {
                promise!(self.halted.is_none(), "halted twice");
                self.halted = Some(mood);
            }
        }
        Ok(())
    }

    /// The daemon said that it is done.
    fn after_the_end(&mut self) -> Kept {
        self.watch.halted()?;
        let now = self.time(self.now);
        let Some(worker) = &mut self.worker else { return Ok(()) };
        let engine = &mut worker.engine;
        for ((process, _), child) in &self.keeper.children {
            let unknown = engine.process(*process).is_none_or(|view| view.state == ProcessState::Unknown);
            promise!(unknown || !child.is_alive(), "{process:?} outlives the daemon");
        }
        promise!(engine.deadline().is_none(), "something is still due");
        promise!(engine.everybody().all(|view| view.state.is_stopped()), "someone is not stopped");
        let mut effects = Vec::new();
        for input in [Input::Deadline, Input::Shutdown, Input::Restart] {
            engine.handle(now, input, &mut effects);
        }
        engine.resume(now, &mut effects);
        promise!(effects.is_empty(), "after the end: {effects:?}");
        Ok(())
    }
}

fn decide(engine: &mut Engine, now: Now, turn: Turn, effects: &mut Vec<Effect>) -> (Cause, Vec<GroupSpec>) {
    match turn {
        Turn::Input(input) => {
            let specs = match &input {
                Input::Begin { groups } => groups.clone(),
                Input::Request { request: Request::AddGroup(spec), .. } => vec![spec.clone()],
                _ => Vec::new(),
            };
            let cause = Cause::of(&input);
            engine.handle(now, input, effects);
            (cause, specs)
        }
        Turn::ResumeSignalled(process, last) => {
            engine.resume_signalled(now, process, last, effects);
            (Cause::Other, Vec::new())
        }
        Turn::Resume => {
            engine.resume(now, effects);
            (Cause::Begin, Vec::new())
        }
    }
}

fn target(engine: &Engine, whom: Whom) -> Option<Target> {
    match whom {
        Whom::One(group, member) => engine.find(&group_name(group), &member_name(member)).map(Target::One),
        Whom::Group(group) => Some(Target::Group(group_name(group))),
        Whom::All => Some(Target::All),
    }
}

fn all_of(engine: &Engine, target: &Target) -> Vec<ProcessId> {
    match target {
        Target::One(process) => vec![*process],
        Target::Group(group) => engine.group_members(group).unwrap_or_default().to_vec(),
        Target::All => engine.processes_by_priority().map(|view| view.process).collect(),
    }
}

fn first_of(engine: &Engine, target: &Target) -> Option<ProcessId> {
    match target {
        Target::One(process) => Some(*process),
        Target::Group(group) => engine.group_members(group)?.first().copied(),
        Target::All => engine.processes_by_priority().next().map(|view| view.process),
    }
}
