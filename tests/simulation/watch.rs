//! What must hold in every history: the promises, checked whenever the worker performs an effect and after each turn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use galaxyd::engine::{
    AutoRestart, Condition, Engine, Event, Input, Limit, LogLine, Moment, Mood, ProcessId, ProcessState, ProcessView,
    Readiness, Request, RequestId, Then,
};

use crate::needs::{dependents, needed_by};

/// `Err` says which promise was broken.
pub(crate) type Kept<T = ()> = Result<T, String>;

/// Nothing that was told to stop may take longer: late answers, a dying worker and the children's own slowness are
/// all well below.
const STOPPING_MAX: Duration = Duration::from_secs(60);

/// Restarts of a crash loop: of three in a row, the last is at least this long after the first.
const RESTART_SPACING: Duration = Duration::from_secs(1);

/// What set off a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Start,
    Update,
    /// A client's own signal.
    Signal,
    /// Groups were made, or taken up by a new worker: autostart is due.
    Begin,
    Deadline,
    Exit {
        at: Duration,
    },
    /// An exit that was told before counts now.
    Swept,
    Other,
}

impl Cause {
    pub(crate) fn of(input: &Input) -> Cause {
        match input {
            Input::Request {
                request: Request::Start { .. } | Request::Retry { .. } | Request::Succeed { .. }, ..
            } => Cause::Start,
            Input::Request { request: Request::Update { .. }, .. } => Cause::Update,
            Input::Request { request: Request::Signal { .. }, .. } => Cause::Signal,
            Input::Request { request: Request::AddGroup(_), .. } | Input::Begin { .. } => Cause::Begin,
            Input::Deadline => Cause::Deadline,
            Input::Swept { .. } => Cause::Swept,
            Input::Exited { at, .. } => Cause::Exit { at: at.mono.0 },
            _ => Cause::Other,
        }
    }
}

/// What a client waits for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) request: Request,
}

/// How often what was seen, over all histories: a simulation that never sees a thing proves nothing about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) turns: u64,
    pub(crate) deaths: u64,
    pub(crate) transitions: BTreeMap<(ProcessState, ProcessState), u64>,
    pub(crate) results: BTreeMap<String, u64>,
    pub(crate) things: BTreeMap<&'static str, u64>,
}

impl Seen {
    pub(crate) fn saw(&mut self, thing: &'static str) {
        *self.things.entry(thing).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Seen) {
        self.turns += other.turns;
        self.deaths += other.deaths;
        for (key, count) in &other.transitions {
            *self.transitions.entry(*key).or_default() += count;
        }
        for (key, count) in &other.results {
            *self.results.entry(key.clone()).or_default() += count;
        }
        for (key, count) in &other.things {
            *self.things.entry(key).or_default() += count;
        }
    }
}

pub(crate) struct Watch<'a> {
    allowed: &'a BTreeSet<(ProcessState, ProcessState)>,
    /// The state last announced.
    pub(crate) shown: BTreeMap<ProcessId, ProcessState>,
    pub(crate) outstanding: BTreeMap<RequestId, Asked>,
    /// Announced in this turn.
    pub(crate) entered: Vec<(ProcessId, ProcessState)>,
    stopping_since: BTreeMap<ProcessId, Duration>,
    failed: BTreeMap<ProcessId, (Duration, u32)>,
    restarts: BTreeMap<ProcessId, Vec<Duration>>,
    /// The automatic starts that count for the limit they are under.
    counted: BTreeMap<ProcessId, (Limit, Vec<Duration>)>,
    /// An update starts them anew when they are stopped.
    renewing: BTreeSet<ProcessId>,
    /// The attempts whose children are ready.
    ready: BTreeMap<ProcessId, u32>,
    /// The attempts whose start does not wait any more.
    pub(crate) released: BTreeSet<(ProcessId, u32)>,
    /// Whose stop was asked for before the daemon ended, and waits for others.
    pub(crate) parting: BTreeSet<ProcessId>,
    /// The most retries that a process ever had.
    retries: BTreeMap<ProcessId, i64>,
    pub(crate) seen: Seen,
}

macro_rules! promise {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
pub(crate) use promise;

impl<'a> Watch<'a> {
    pub(crate) fn new(allowed: &'a BTreeSet<(ProcessState, ProcessState)>) -> Watch<'a> {
        Watch {
            allowed,
            shown: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            entered: Vec::new(),
            stopping_since: BTreeMap::new(),
            failed: BTreeMap::new(),
            restarts: BTreeMap::new(),
            counted: BTreeMap::new(),
            renewing: BTreeSet::new(),
            ready: BTreeMap::new(),
            released: BTreeSet::new(),
            parting: BTreeSet::new(),
            retries: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    pub(crate) fn asked(&mut self, id: RequestId, request: &Request) {
        self.outstanding.insert(id, Asked { request: request.clone() });
    }

    /// The oldest request nobody has answered; it is not to be answered any more.
    pub(crate) fn hang_up(&mut self) -> Option<RequestId> {
        self.outstanding.pop_first().map(|(id, _)| id)
    }

    /// Connections end with the worker; what was announced and not performed is not announced again.
    pub(crate) fn restored(&mut self, engine: &Engine) {
        self.outstanding.clear();
        self.failed.clear();
        self.restarts.clear();
        // A start that somebody asked for begins a new count, also if it was not announced any more.
        self.counted.clear();
        self.shown = engine.everybody().map(|view| (view.process, view.state)).collect();
        self.released.clear();
        self.note_released(engine);
        self.note_rules(engine);
        self.stopping_since.retain(|process, _| self.shown.get(process) == Some(&ProcessState::Stopping));
    }

    pub(crate) fn log(&mut self, line: &LogLine) -> Kept {
        promise!(!line.text.starts_with("bug:"), "the engine thinks the world is wrong: {}", line.text);
        if line.text.starts_with("waiting for ") {
            self.seen.saw("a waiting line");
        }
        Ok(())
    }

    pub(crate) fn event(&mut self, now: Duration, cause: Cause, engine: &Engine, event: &Event) -> Kept {
        let Event::ProcessState { process, from, to, tries, .. } = event else { return Ok(()) };
        let (process, from, to) = (*process, *from, *to);
        let shown = self.shown.get(&process).copied().unwrap_or(ProcessState::Stopped);
        promise!(shown == from, "{process:?} was announced {shown:?}, now {to:?} from {from:?}");
        promise!(self.allowed.contains(&(from, to)), "{process:?}: {from:?} to {to:?} is not in the table");
        *self.seen.transitions.entry((from, to)).or_default() += 1;
        match to {
            ProcessState::Starting => self.starts(now, cause, engine, process, from, *tries)?,
            ProcessState::Backoff => {
                let at = match cause {
                    Cause::Exit { at } => at,
                    // The wait is counted from the exit.
                    Cause::Swept => Duration::ZERO,
                    _ => now,
                };
                let tries = tries.ok_or("BACKOFF without tries")?;
                let retries = self.retries.get(&process).copied().unwrap_or(i64::MAX - 1);
                promise!(i64::from(tries) <= retries.max(0) + 1, "{process:?}: {tries} failures, {retries} retries");
                // A wait of its own is judged by the rules it began under; they may change while it lasts.
                let own = engine.process(process).is_some_and(|view| view.policy.restarts.delay.is_some());
                let wait = if own { 0 } else { u64::from(tries) };
                self.failed.insert(process, (at + Duration::from_secs(wait), tries));
            }
            ProcessState::Stopping => {
                // A stop that was asked for before the daemon ended goes on in its own order, for those too that need who stops.
                let is_parting = |one: ProcessId| self.parting.contains(&one);
                let member = member_of(engine, process);
                let was_asked = is_parting(member) || needed_by(engine, member).into_iter().any(is_parting);
                if engine.mood() != Mood::Running && !was_asked {
                    self.leaves_in_order(engine, process)?;
                }
                let by_update =
                    cause == Cause::Update || engine.process(process).is_some_and(|view| view.then.is_some());
                if !by_update && engine.process(process).is_some_and(|view| view.pid.is_some()) {
                    self.stops_after_those_that_need_it(engine, process)?;
                }
                self.stopping_since.insert(process, now);
                self.keeps_its_name(engine, process, from)?;
            }
            _ => {}
        }
        if from == ProcessState::Stopping {
            self.stopping_since.remove(&process);
        }
        self.shown.insert(process, to);
        self.entered.push((process, to));
        Ok(())
    }

    /// Whoever gives its place up while it runs has somebody ready in it.
    fn keeps_its_name(&mut self, engine: &Engine, process: ProcessId, from: ProcessState) -> Kept {
        let Some(view) = engine.process(process).filter(|view| view.role == Some("retired")) else { return Ok(()) };
        let other = engine.find(view.group, view.name).and_then(|other| engine.process(other));
        let is_up = other.is_some_and(|other| is_so(engine, other.process, Condition::Ready));
        promise!(from != ProcessState::Running || is_up, "{process:?} is stopped, and {other:?} is not ready");
        self.seen.saw("a succession");
        Ok(())
    }

    /// Nothing starts that nobody asked to start, and nothing sooner than it may.
    fn starts(
        &mut self,
        now: Duration,
        cause: Cause,
        engine: &Engine,
        process: ProcessId,
        from: ProcessState,
        tries: Option<u32>,
    ) -> Kept {
        promise!(engine.mood() == Mood::Running, "{process:?} starts while the daemon ends");
        let renewed = cause == Cause::Update || self.renewing.contains(&process) || self.is_pulled_in(engine, process);
        if cause == Cause::Start || renewed {
            self.restarts.remove(&process);
            self.counted.remove(&process);
        } else if matches!(from, ProcessState::Exited | ProcessState::Backoff) {
            self.within_limit(now, engine, process)?;
        }
        match from {
            ProcessState::Stopped | ProcessState::Fatal => {
                promise!(
                    renewed || cause == Cause::Start || (cause == Cause::Begin && from == ProcessState::Stopped),
                    "{process:?} starts by itself from {from:?}"
                );
            }
            ProcessState::Exited if cause != Cause::Start && !renewed => {
                let restart = engine.process(process).map(|view| view.policy.autorestart);
                promise!(restart != Some(AutoRestart::Never), "{process:?} restarts against its rules");
                let restarts = self.restarts.entry(process).or_default();
                // A wait of its own may be as short as its administrator wants it.
                if engine.process(process).is_some_and(|view| view.policy.restarts.delay.is_some()) {
                    restarts.clear();
                }
                restarts.push(now);
                if let [.., first, _, last] = restarts.as_slice() {
                    promise!(*last >= *first + RESTART_SPACING, "{process:?} restarts in a hot loop: {restarts:?}");
                }
            }
            ProcessState::Backoff => {
                promise!(cause == Cause::Deadline, "{process:?} retries because of {cause:?}");
                if let Some((due, failures)) = self.failed.get(&process) {
                    promise!(tries == Some(*failures), "{process:?} tells {tries:?} tries after {failures} failures");
                    promise!(now >= *due, "{process:?} retries at {now:?}, due at {due:?}");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn within_limit(&mut self, now: Duration, engine: &Engine, process: ProcessId) -> Kept {
        let limit = engine.process(process).and_then(|view| view.policy.restarts.limit);
        let Some(limit) = limit else {
            self.counted.remove(&process);
            return Ok(());
        };
        let (under, starts) = self.counted.entry(process).or_insert((limit, Vec::new()));
        if *under != limit {
            (*under, *starts) = (limit, Vec::new());
        }
        starts.push(now);
        let within = starts.iter().filter(|at| now.saturating_sub(**at) < limit.window).count();
        promise!(within <= limit.starts as usize, "{process:?} started again {starts:?}, limit {limit:?}");
        self.seen.saw("a start under a limit");
        Ok(())
    }

    /// A start failed for want of resources: that counts for nothing, unless the daemon ends, which gives up everybody who
    /// waits.
    pub(crate) fn starved(&mut self, process: ProcessId, ends: bool) -> Kept {
        let given_up = self.entered.contains(&(process, ProcessState::Fatal));
        promise!(ends || !given_up, "{process:?} is FATAL for want of resources");
        // The wait is another one, too.
        self.failed.remove(&process);
        if let Some((_, starts)) = self.counted.get_mut(&process) {
            starts.pop();
        }
        self.seen.saw("a start without resources");
        Ok(())
    }

    /// While the daemon ends a group is told to stop only when all groups above it are stopped, and its members from
    /// the top.
    fn leaves_in_order(&mut self, engine: &Engine, process: ProcessId) -> Kept {
        let view = engine.process(process).ok_or("a process that does not exist stops")?;
        let groups: Vec<_> = engine.groups().collect();
        let place = groups.iter().position(|group| group.name == view.group).ok_or("a group that does not exist")?;
        let rank = (groups.get(place).map(|group| group.priority), place);
        let member = member_of(engine, process);
        let rank = needed_by(engine, member)
            .iter()
            .filter_map(|needed| {
                let place = groups.iter().position(|group| group.members.contains(needed))?;
                Some((groups.get(place).map(|group| group.priority), place))
            })
            .fold(rank, Ord::max);
        for (other, group) in groups.iter().enumerate() {
            if (Some(group.priority), other) > rank {
                let living =
                    group.members.iter().find(|member| self.shown.get(member).is_some_and(|state| !state.is_stopped()));
                promise!(
                    living.is_none(),
                    "{} stops while {} of {} lives",
                    view.group,
                    living.map_or(0, |p| p.0),
                    group.name
                );
            }
        }
        let members = groups.get(place).map_or(&[][..], |group| group.members);
        let rank = |process: ProcessId| {
            let place = members.iter().position(|member| *member == process)?;
            Some((engine.process(process)?.policy.priority, place))
        };
        let before = self.entered.iter().filter(|(other, to)| *to == ProcessState::Stopping && members.contains(other));
        // Who needs others, or is needed, keeps to that order.
        let is_free = |one: ProcessId| needed_by(engine, one).is_empty() && dependents(engine, one).is_empty();
        for (other, _) in before.filter(|(other, _)| is_free(*other) && is_free(process)) {
            promise!(rank(*other) > rank(process), "{other:?} is told to stop before {process:?}");
        }
        self.seen.saw("a stop by shutdown");
        Ok(())
    }

    /// After a turn was performed whole.
    pub(crate) fn settled(&mut self, now: Duration, engine: &Engine) -> Kept {
        let mut first: Option<Moment> = None;
        for view in engine.everybody() {
            let shown = self.shown.get(&view.process).copied().unwrap_or(ProcessState::Stopped);
            promise!(shown == view.state, "{:?} is {:?}, but announced {shown:?}", view.process, view.state);
            let settles = view.readiness.and_then(Readiness::deadline);
            first = first.into_iter().chain(view.deadline).chain(settles).min();
            self.stays_ready(&view)?;
        }
        let deadline = engine.deadline();
        let reporting = engine.mood() != Mood::Running
            || self.shown.values().any(|state| *state == ProcessState::Stopping) && !self.outstanding.is_empty()
            || self.outstanding.values().any(|asked| matches!(asked.request, Request::Await { within: Some(_), .. }));
        promise!(
            deadline == first || (reporting && deadline.is_some_and(|at| first.is_none_or(|first| at <= first))),
            "the engine wakes at {deadline:?}, its processes at {first:?}"
        );
        self.note_rules(engine);
        self.note_released(engine);
        if engine.mood() == Mood::Running {
            self.nobody_is_stuck(engine)?;
            self.no_change_is_forgotten(engine)?;
        }
        for (process, since) in &self.stopping_since {
            promise!(now <= *since + STOPPING_MAX, "{process:?} stops since {since:?}, now it is {now:?}");
        }
        Ok(())
    }

    /// Only living children have a readiness, and a ready one keeps it.
    fn stays_ready(&mut self, view: &ProcessView<'_>) -> Kept {
        let lives = matches!(view.state, ProcessState::Starting | ProcessState::Running) && view.pid.is_some();
        promise!(
            view.readiness.is_none() || (lives && !view.sweeping),
            "{:?} is {:?} without a child",
            view.process,
            view.readiness
        );
        let is_ready = matches!(view.readiness, Some(Readiness::Ready { .. }));
        let was_ready = self.ready.get(&view.process) == Some(&view.attempt);
        let stays = lives && !view.sweeping && view.policy.ready.is_some();
        promise!(
            is_ready || !(was_ready && stays),
            "{:?} is not ready any more, but {:?}",
            view.process,
            view.readiness
        );
        if is_ready {
            self.ready.insert(view.process, view.attempt);
        } else {
            self.ready.remove(&view.process);
        }
        self.seen.saw(match view.readiness {
            Some(Readiness::Ready { .. }) => "a ready child",
            Some(Readiness::Late) => "a late child",
            Some(Readiness::Settling { .. }) => "a settling child",
            Some(Readiness::Awaited { .. }) => "an awaited child",
            None => return Ok(()),
        });
        Ok(())
    }

    fn note_rules(&mut self, engine: &Engine) {
        self.renewing.clear();
        for view in engine.everybody() {
            let most = self.retries.entry(view.process).or_insert(view.policy.startretries);
            *most = (*most).max(view.policy.startretries);
            if view.then == Some(Then::Start) {
                self.renewing.insert(view.process);
            }
        }
    }

    /// Whom an update waits for is on its way to stop; a group to be removed has somebody to wait for.
    fn no_change_is_forgotten(&mut self, engine: &Engine) -> Kept {
        for view in engine.processes() {
            let Some(then) = view.then else { continue };
            let group = engine.group(view.group).ok_or("a process without a group")?;
            let stopping =
                |process: &ProcessId| engine.process(*process).is_some_and(|view| view.state == ProcessState::Stopping);
            if then == Then::LeaveWithGroup {
                promise!(
                    group.members.iter().chain(group.beside).any(stopping),
                    "{:?} waits for its group for ever",
                    view.process
                );
            } else {
                let waits = then == Then::Leave && !group.beside.is_empty();
                promise!(
                    waits || stopping(&view.process),
                    "{:?} is {:?} and waits to {then:?}",
                    view.process,
                    view.state
                );
            }
            self.seen.saw(match then {
                Then::Start => "a renewal under way",
                Then::Stay => "a renewal of one that stops",
                Then::Leave => "a process leaving",
                Then::LeaveWithGroup => "a group leaving",
            });
        }
        Ok(())
    }

    pub(crate) fn gone(&mut self, process: ProcessId) {
        self.shown.remove(&process);
        self.stopping_since.remove(&process);
    }

    /// At the very end nobody waits any more.
    pub(crate) fn halted(&self) -> Kept {
        promise!(self.outstanding.is_empty(), "halted, but not answered: {:?}", self.outstanding);
        Ok(())
    }
}

/// The member of a process's name: who stands beside it stops with it, and needs what it needs.
fn member_of(engine: &Engine, process: ProcessId) -> ProcessId {
    let beside = engine.process(process).filter(|view| view.role.is_some());
    beside.and_then(|view| engine.find(view.group, view.name)).unwrap_or(process)
}

/// Whether a process is what somebody waited for.
pub(crate) fn is_so(engine: &Engine, process: ProcessId, condition: Condition) -> bool {
    let Some(view) = engine.process(process) else { return false };
    match condition {
        Condition::Started => {
            matches!(view.state, ProcessState::Starting | ProcessState::Running | ProcessState::Exited)
        }
        Condition::Running => view.state == ProcessState::Running,
        Condition::Ready => match view.readiness {
            Some(readiness) => matches!(readiness, Readiness::Ready { .. }),
            None => view.state == ProcessState::Running,
        },
        Condition::Exited => view.state == ProcessState::Exited,
    }
}
