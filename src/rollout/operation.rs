//! One operation: programs one after the other, and of each so many processes at once as may be out of service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::step::{Phase, Step};
use super::tally::{Asked, Tally};
use crate::config::{Strategy, Trigger, Zergling};
use crate::engine::{Moment, Now, ProcessId};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Each program by its strategy.
    Graceful,
    /// A restart, one process after the other.
    RollingRestart,
}

impl Kind {
    /// As it is typed.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Graceful => "graceful",
            Kind::RollingRestart => "restart --rolling",
        }
    }
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Active,
    /// No further process is begun with.
    Cancelling,
    Done,
    Failed,
    Cancelled,
}

impl State {
    /// As people and programs read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Cancelling => "cancelling",
            State::Done => "done",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }

    /// Whether nothing comes any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, State::Done | State::Failed | State::Cancelled)
    }
}

/// Processes that can stand in for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// For people.
    pub program: String,
    pub strategy: Strategy,
    /// Why this strategy; empty: it was asked for.
    pub reason: String,
    /// With `Strategy::Signal` what each is told, in the order of the steps.
    pub triggers: Vec<Trigger>,
    /// With `Strategy::Zerg` what each is, in the order of the steps.
    #[serde(default)]
    pub zerglings: Vec<Zergling>,
    pub max_unavailable: u32,
    pub steps: Vec<Step>,
}

/// What an operation is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub kind: Kind,
    /// Who asked.
    pub asker: String,
    pub units: Vec<Unit>,
    /// Users' way to the programs is asked, so that what their processes answer does not count.
    pub has_front: bool,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// From 1; never given to another one while the daemon lives.
    pub id: u64,
    pub kind: Kind,
    pub asker: String,
    pub began: Now,
    pub ended: Option<Moment>,
    pub state: State,
    pub units: Vec<Unit>,
    pub has_front: bool,
    pub tally: Tally,
    /// Grows with everything that a successor has to know.
    pub revision: u64,
}

/// What an operation needs to know of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// It does its work.
    Up,
    /// It runs, but has not become ready in time, or ends again and again before it does.
    Late,
    /// It will, or turns out not to.
    Pending,
    /// It does not, and nothing will come of it by itself.
    Down,
    /// There is no such process any more.
    Gone,
}

/// What is to be done to one process. Each is answered by [`Operation::finished`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Until it has stopped; one that is stopped already is no failure.
    Stop,
    /// Until it runs; one that does already is no failure. With `Strategy::Zerg` whoever serves makes way first.
    Start,
    /// Until it is ready; without a question, until it runs.
    AwaitReady,
    /// Until its workers are others, and answer.
    Reload(Trigger),
    /// Until a successor has its name and it has ended; a failure is that it goes on as it was.
    Succeed,
    /// Until its own stats say that it accepts requests.
    Accept,
    /// Until it has left, as another one serves.
    Retire,
}

/// A deed, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub process: ProcessId,
    pub deed: Deed,
}

impl Operation {
    #[must_use]
    pub fn new(id: u64, now: Now, plan: Plan) -> Operation {
        let Plan { kind, asker, units, has_front } = plan;
        let tally = Tally::default();
        Operation {
            id,
            kind,
            asker,
            began: now,
            ended: None,
            state: State::Active,
            units,
            has_front,
            tally,
            revision: 1,
        }
    }

    /// All processes.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.units.iter().flat_map(|unit| &unit.steps)
    }

    /// Whether it may still touch this process.
    #[must_use]
    pub fn concerns(&self, process: ProcessId) -> bool {
        !self.state.is_over() && self.steps().any(|step| step.process == process && step.phase != Phase::LeftAlone)
    }

    /// Goes on as far as it can. `outlook` says how each process stands now.
    pub fn advance(&mut self, now: Moment, outlook: &impl Fn(ProcessId) -> Outlook, effects: &mut Vec<Effect>) {
        if self.state.is_over() {
            return;
        }
        let before = effects.len();
        let is_cancelled = self.state == State::Cancelling;
        let mut has_failed = self.steps().any(|step| step.phase == Phase::Failed);
        for unit in &mut self.units {
            if !has_failed && (!is_cancelled || unit.is_turn_owed()) {
                unit.begin(now, outlook, effects);
            }
            has_failed |= unit.steps.iter().any(|step| step.phase == Phase::Failed);
            if unit.steps.iter().any(|step| !step.phase.is_over()) {
                break;
            }
        }
        if effects.len() > before {
            self.revision += 1;
        }
        if self.steps().any(|step| step.phase.is_active()) {
            return;
        }
        let is_finished = self.steps().all(|step| step.phase.is_over());
        if has_failed || is_cancelled || is_finished {
            self.end(now, has_failed, is_finished);
        }
    }

    fn end(&mut self, now: Moment, has_failed: bool, is_finished: bool) {
        self.state = match (has_failed, is_finished) {
            (true, _) => State::Failed,
            (false, true) => State::Done,
            (false, false) => State::Cancelled,
        };
        for step in self.units.iter_mut().flat_map(|unit| &mut unit.steps) {
            if step.phase == Phase::Waiting {
                step.enter(now, Phase::NotReached);
            }
        }
        self.ended = Some(now);
        self.revision += 1;
    }

    /// A deed was done, or failed with these words. What it leads to comes out of [`Operation::advance`], but for what is
    /// next with this process.
    pub fn finished(
        &mut self,
        now: Moment,
        process: ProcessId,
        result: Result<(), String>,
        outlook: &impl Fn(ProcessId) -> Outlook,
        effects: &mut Vec<Effect>,
    ) {
        let is_it = |step: &Step| step.process == process && step.phase.is_active();
        let place = self.units.iter_mut().find_map(|unit| {
            let at = unit.steps.iter().position(is_it)?;
            Some((unit, at))
        });
        let Some((unit, at)) = place else { return };
        self.revision += 1;
        if unit.strategy == Strategy::Zerg {
            return unit.turn_finished(now, at, result, outlook, effects);
        }
        let Some(step) = unit.steps.get_mut(at) else { return };
        if let Err(why) = result {
            return step.fail(now, &why);
        }
        let (phase, deed) = match step.phase {
            Phase::Stopping => (Phase::Starting, Some(Deed::Start)),
            Phase::Starting => (Phase::Readying, Some(Deed::AwaitReady)),
            _ => (Phase::Done, None),
        };
        step.enter(now, phase);
        effects.extend(deed.map(|deed| Effect { process, deed }));
    }

    /// After a successor took over: what is under way is asked for again. All of it can be: who is stopped is stopped, who
    /// runs is started, and workers that are replaced twice are new as well.
    pub fn resume(&self, effects: &mut Vec<Effect>) {
        for unit in &self.units {
            for (at, step) in unit.steps.iter().enumerate() {
                let deed = match step.phase {
                    Phase::Stopping | Phase::Withdrawing => Some(Deed::Stop),
                    Phase::Starting => Some(Deed::Start),
                    Phase::Readying => Some(Deed::AwaitReady),
                    Phase::Overlapping => Some(Deed::Succeed),
                    Phase::Accepting => Some(Deed::Accept),
                    Phase::Retiring => Some(Deed::Retire),
                    Phase::Reloading => unit.triggers.get(at).cloned().map(Deed::Reload),
                    _ => None,
                };
                effects.extend(deed.map(|deed| Effect { process: step.process, deed }));
            }
        }
    }

    /// Begins with no further process; what is begun is brought to its end. Takes effect with [`Operation::advance`].
    pub fn cancel(&mut self) {
        if self.state == State::Active {
            self.state = State::Cancelling;
            self.revision += 1;
        }
    }

    /// Somebody was asked: this process, or for `None` the users' way to the programs.
    pub fn asked(&mut self, now: Moment, whom: Option<ProcessId>, asked: &Asked) {
        let since = Moment(now.0.saturating_sub(asked.took));
        let counts = match whom {
            None => true,
            Some(process) => {
                let step = self.steps().find(|step| step.process == process);
                !self.has_front && step.is_some_and(|step| step.was_in_service(since))
            }
        };
        if counts && !self.state.is_over() {
            self.tally.count(asked);
        }
    }

    /// How many processes are done, and how many are meant.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        let meant = self.steps().filter(|step| step.phase != Phase::LeftAlone);
        (self.steps().filter(|step| step.phase == Phase::Done).count(), meant.count())
    }

    /// What came of it, in a sentence without a full stop: `Rolled 3 of 3 in 41 s, 0 of 812 requests failed`.
    #[must_use]
    pub fn verdict(&self, now: Moment) -> String {
        let (done, meant) = self.progress();
        let took = duration_text(self.ended.unwrap_or(now).since(self.began.mono));
        let Tally { asked, failed, slowest, first_failure } = &self.tally;
        let done = match self.state {
            State::Cancelled => format!("Cancelled after {done} of {meant} in {took}"),
            _ if meant == 0 => return "Rolled nothing".to_owned(),
            _ => format!("Rolled {done} of {meant} in {took}"),
        };
        if *asked == 0 {
            return format!("{done}, nobody was asked meanwhile");
        }
        let slow =
            if *slowest >= SLOW { format!(", the slowest took {}", duration_text(*slowest)) } else { String::new() };
        let why = if first_failure.is_empty() { String::new() } else { format!(" (the first: {first_failure})") };
        format!("{done}, {failed} of {asked} requests failed{slow}{why}")
    }
}

/// An answer that takes longer is worth a word.
const SLOW: Duration = Duration::from_secs(1);

fn duration_text(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} s", time.as_secs())
    }
}

impl Unit {
    /// Begins with as many processes as may be out of service.
    fn begin(&mut self, now: Moment, outlook: &impl Fn(ProcessId) -> Outlook, effects: &mut Vec<Effect>) {
        if self.strategy == Strategy::Zerg {
            return self.begin_turn(now, outlook, effects);
        }
        while let Some(at) = self.next(outlook) {
            let missing = self.missing(at, outlook);
            let allowed = match self.strategy {
                Strategy::Restart | Strategy::Keep => usize::MAX,
                Strategy::Overlap | Strategy::Zerg | Strategy::Rolling | Strategy::Signal => {
                    usize::try_from(self.max_unavailable).unwrap_or(usize::MAX)
                }
            };
            let Some(step) = self.steps.get(at) else { return };
            let own = outlook(step.process);
            if own == Outlook::Pending && self.strategy != Strategy::Keep {
                // What can be done to it depends on what becomes of it.
                return;
            }
            let is_up = own == Outlook::Up;
            if is_up && missing.len() >= allowed {
                let is_hopeless = missing.iter().all(|one| {
                    let is_active = self.steps.get(*one).is_some_and(|step| step.phase.is_active());
                    let outlook = self.steps.get(*one).map_or(Outlook::Gone, |step| outlook(step.process));
                    !is_active && outlook != Outlook::Pending
                });
                if is_hopeless {
                    self.give_up(now, at, &missing);
                }
                return;
            }
            self.enter(now, at, outlook, effects);
        }
    }

    /// Whose turn it is: those first that are down, which takes nothing out of service.
    fn next(&self, outlook: &impl Fn(ProcessId) -> Outlook) -> Option<usize> {
        let waiting = self.steps.iter().enumerate().filter(|(_, step)| step.phase == Phase::Waiting);
        let rank = |step: &Step| match outlook(step.process) {
            Outlook::Down | Outlook::Late | Outlook::Gone => 0,
            Outlook::Pending => 1,
            Outlook::Up => 2,
        };
        waiting.min_by_key(|(at, step)| (rank(step), *at)).map(|(at, _)| at)
    }

    /// The others that are out of service.
    fn missing(&self, at: usize, outlook: &impl Fn(ProcessId) -> Outlook) -> Vec<usize> {
        let is_missing = |(other, step): &(usize, &Step)| {
            *other != at
                && step.phase != Phase::LeftAlone
                && (step.phase.is_active()
                    || matches!(outlook(step.process), Outlook::Pending | Outlook::Late | Outlook::Down))
        };
        self.steps.iter().enumerate().filter(is_missing).map(|(other, _)| other).collect()
    }

    fn give_up(&mut self, now: Moment, at: usize, missing: &[usize]) {
        let names: Vec<&str> =
            missing.iter().filter_map(|one| self.steps.get(*one)).map(|step| step.name.as_str()).collect();
        let are = if names.len() == 1 { "is" } else { "are" };
        let why = format!("not begun with: {} {are} out of service already", names.join(", "));
        if let Some(step) = self.steps.get_mut(at) {
            step.fail(now, &why);
        }
    }

    fn enter(&mut self, now: Moment, at: usize, outlook: &impl Fn(ProcessId) -> Outlook, effects: &mut Vec<Effect>) {
        let trigger = self.triggers.get(at).cloned();
        let strategy = self.strategy;
        let Some(step) = self.steps.get_mut(at) else { return };
        let process = step.process;
        let (phase, deed) = match (outlook(process), strategy, trigger) {
            (Outlook::Gone, ..) => return step.fail(now, "it was removed"),
            (Outlook::Up | Outlook::Pending, Strategy::Keep, _) => {
                "it runs and is kept".clone_into(&mut step.note);
                return step.enter(now, Phase::LeftAlone);
            }
            (Outlook::Up, Strategy::Overlap, _) => (Phase::Overlapping, Deed::Succeed),
            (Outlook::Up, Strategy::Signal, Some(trigger)) => (Phase::Reloading, Deed::Reload(trigger)),
            (Outlook::Late | Outlook::Down, Strategy::Keep, _) => (Phase::Starting, Deed::Start),
            // Who is down has nothing to reload, and is restarted.
            _ => (Phase::Stopping, Deed::Stop),
        };
        step.enter(now, phase);
        effects.push(Effect { process, deed });
    }
}
