//! The operations that replace processes: planned, kept, told of. How their deeds are done is in `replacing`.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Ledger;
use super::probing::Task;
use super::replacing::FrontAsked;
use super::reply::Reply;
use super::worker::{Done, Worker, now};
use crate::config::{ProcessConfig, Strategy, Trigger};
use crate::engine::{Engine, Moment, ProcessId, ProcessState, ProcessView, Readiness, RequestId};
use crate::galaxy::{self, Replacement};
use crate::http::Peer;
use crate::logs::{Level, log};
use crate::rollout::{Effect, Kind, Operation, Outlook, Phase, Plan, State, Step, Unit};
use crate::rpc::{Fault, FaultCode, Value};
use crate::sys::side;

/// Operations that are over and still told of.
const REMEMBERED_MAX: usize = 20;

/// Operations under way at once.
const ACTIVE_MAX: usize = 16;

/// What a client wants replaced.
#[derive(Debug, Clone)]
pub(super) struct RollWish {
    /// As of `Worker::named`.
    pub(super) names: Vec<String>,
    /// Restarted one after the other, whatever the strategy is.
    pub(super) rolling: bool,
    /// Zero: as configured.
    pub(super) max_unavailable: u32,
    /// Those too that do not run.
    pub(super) start_stopped: bool,
    pub(super) asker: String,
}

/// One process that is to be replaced.
#[derive(Debug)]
struct Candidate {
    process: ProcessId,
    group: String,
    name: String,
    config: ProcessConfig,
    /// Processes of its group that can stand in for each other, itself included.
    instances: usize,
}

/// What is known once Galaxy's files are read.
pub(super) struct Planned {
    wish: RollWish,
    candidates: Vec<(Candidate, Result<Replacement, String>)>,
    reply: Reply,
}

/// All operations.
#[derive(Debug, Default)]
pub(super) struct Rollouts {
    pub(super) operations: Ledger<u64, Operation>,
    /// The engine's requests under way, each for a process of an operation.
    pub(super) requests: BTreeMap<RequestId, (u64, ProcessId)>,
    /// Who watches the workers of a process being replaced.
    pub(super) reloads: BTreeMap<(u64, ProcessId), Task>,
    /// Whose readiness is awaited, and in which run: another run is none that was begun here.
    pub(super) awaited: BTreeMap<(u64, ProcessId), u32>,
    /// Zerglings that are to leave, and which run of each is.
    pub(super) retired: BTreeMap<(u64, ProcessId), u32>,
    /// Overlaps that a predecessor of this worker began.
    pub(super) unattended: BTreeSet<(u64, ProcessId)>,
    /// Who asks whether somebody answers.
    pub(super) askers: BTreeMap<u64, Vec<Task>>,
}

impl Rollouts {
    /// Goes on with a predecessor's operations.
    pub(super) fn resume(records: Vec<Operation>) -> Rollouts {
        let operations = Ledger::resume(records, |operation| operation.id);
        Rollouts { operations, ..Rollouts::default() }
    }

    pub(super) fn active(&self) -> Vec<u64> {
        self.operations.values().filter(|one| !one.state.is_over()).map(|one| one.id).collect()
    }

    fn find(&self, id: u64) -> Result<&Operation, Fault> {
        let found = if id == 0 { self.operations.values().next_back() } else { self.operations.get(id) };
        found.ok_or_else(|| {
            let text =
                if id == 0 { "there was no operation yet".to_owned() } else { format!("there is no operation {id}") };
            Fault::with(FaultCode::BadName, text)
        })
    }

    /// The answer of `galaxyd.getOperations`.
    pub(super) fn value(&self, now: Moment) -> Value {
        Value::Array(self.operations.values().map(|one| operation_value(one, now)).collect())
    }

    /// The answer of `galaxyd.getOperation`; zero is the latest.
    pub(super) fn value_of(&self, id: u64, now: Moment) -> Result<Value, Fault> {
        self.find(id).map(|operation| operation_value(operation, now))
    }

    /// Forgets the oldest that are over.
    fn forget(&mut self) {
        let over: Vec<u64> = self.operations.values().filter(|one| one.state.is_over()).map(|one| one.id).collect();
        let (forgotten, _) = over.split_at(over.len().saturating_sub(REMEMBERED_MAX));
        self.operations.retain(|id, _| !forgotten.contains(&id));
    }
}

/// Automatic starts in a row after which nobody waits for what becomes of the next one.
const CRASH_LOOP: u32 = 2;

/// How a process stands, for an operation.
fn outlook(engine: &Engine, process: ProcessId) -> Outlook {
    let Some(view) = engine.process(process) else { return Outlook::Gone };
    match (view.state, view.readiness) {
        (ProcessState::Running, None | Some(Readiness::Ready { .. })) => Outlook::Up,
        (ProcessState::Running, Some(Readiness::Late)) => Outlook::Late,
        (ProcessState::Running | ProcessState::Starting, _) if view.restarts_in_a_row >= CRASH_LOOP => Outlook::Late,
        (ProcessState::Running, Some(_)) | (ProcessState::Starting | ProcessState::Stopping, _) => Outlook::Pending,
        _ => Outlook::Down,
    }
}

impl Worker {
    /// `galaxyd.roll`: what is to be replaced is known here, how is read by a side thread.
    pub(super) fn plan_operation(&mut self, wish: RollWish, reply: Reply) {
        let candidates = match self.candidates(&wish) {
            Ok(candidates) => candidates,
            Err(fault) => return reply.send(Err(fault)),
        };
        let source = self.call.source.clone();
        let done = self.done_sender.clone();
        side::run(move || {
            let asked = candidates.iter();
            let asked = asked.map(|one| galaxy::Candidate { process: &one.config, instances: one.instances });
            let replacements = galaxy::replacements(&asked.collect::<Vec<_>>(), wish.rolling, &source);
            let candidates = candidates.into_iter().zip(replacements).collect();
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::OperationPlanned(Box::new(Planned { wish, candidates, reply })));
        });
    }

    fn candidates(&self, wish: &RollWish) -> Result<Vec<Candidate>, Fault> {
        let mut candidates = Vec::new();
        for process in self.named(&wish.names)? {
            let (Some(view), Some(config)) = (self.engine.process(process), self.process_config(process)) else {
                continue;
            };
            let family = galaxy::family(config);
            let members = self.engine.group_members(view.group).unwrap_or_default();
            let alike = members.iter().filter_map(|member| self.process_config(*member));
            candidates.push(Candidate {
                process,
                group: view.group.to_owned(),
                name: view.namespec(),
                config: config.clone(),
                instances: alike.filter(|config| galaxy::family(config) == family).count(),
            });
        }
        Ok(candidates)
    }

    /// Begins, unless something speaks against it.
    pub(super) fn begin_operation(&mut self, planned: Planned) {
        let Planned { wish, candidates, reply } = planned;
        match self.plan(wish, candidates) {
            Ok(plan) => {
                let id = self.rollouts.operations.values().next_back().map_or(1, |last| last.id + 1);
                let operation = Operation::new(id, now(), plan);
                let names: Vec<&str> = operation.steps().map(|step| step.name.as_str()).collect();
                let text = format!("operation {id} begins: {} {}", operation.kind.word(), names.join(" "));
                log(Level::Info, &text);
                self.record_operation("", &format!("{text} by {}", operation.asker));
                let value = operation_value(&operation, now().mono);
                self.rollouts.operations.put(id, operation);
                self.rollouts.forget();
                self.ask_fronts(id);
                reply.send(Ok(value));
            }
            Err(fault) => reply.send(Err(fault)),
        }
    }

    fn plan(&self, wish: RollWish, candidates: Vec<(Candidate, Result<Replacement, String>)>) -> Result<Plan, Fault> {
        if self.rollouts.active().len() >= ACTIVE_MAX {
            let text = format!("{ACTIVE_MAX} operations are under way; wait for one of them, or cancel it");
            return Err(Fault::with(FaultCode::Failed, text));
        }
        let mut units: Vec<(String, Unit)> = Vec::new();
        let mut has_front = false;
        for (candidate, replacement) in candidates {
            let Some(view) = self.engine.process(candidate.process) else { continue };
            let busy = self.rollouts.operations.values().find(|one| one.concerns(candidate.process));
            if let Some(busy) = busy {
                let text = format!("{} is in operation {} already", candidate.name, busy.id);
                return Err(Fault::with(FaultCode::Failed, text));
            }
            let replacement = replacement.map_err(|text| Fault::with(FaultCode::Failed, text))?;
            has_front |= candidate.config.extras.rollout.front.is_some();
            let step = step(&view, &candidate, &replacement, wish.start_stopped);
            let key = match &replacement.zergling {
                Some(zergling) => format!("zerg {}", zergling.pool),
                None => format!("{}:{}", candidate.group, galaxy::family(&candidate.config)),
            };
            let at = units.iter().position(|(known, unit)| *known == key && unit.strategy == replacement.strategy);
            let at = at.unwrap_or_else(|| {
                let own = candidate.config.extras.rollout.max_unavailable.unwrap_or(1);
                units.push((
                    key,
                    Unit {
                        program: candidate.config.section.clone(),
                        strategy: replacement.strategy,
                        reason: replacement.reason,
                        triggers: Vec::new(),
                        zerglings: Vec::new(),
                        max_unavailable: if wish.max_unavailable == 0 { own } else { wish.max_unavailable },
                        steps: Vec::new(),
                    },
                ));
                units.len() - 1
            });
            if let Some((_, unit)) = units.get_mut(at) {
                unit.steps.push(step);
                unit.triggers.push(replacement.trigger.unwrap_or(Trigger::Signal(libc::SIGHUP)));
                unit.zerglings.extend(replacement.zergling);
            }
        }
        let kind = if wish.rolling { Kind::RollingRestart } else { Kind::Graceful };
        let units = units.into_iter().map(|(_, unit)| unit).collect();
        Ok(Plan { kind, asker: wish.asker, units, has_front })
    }

    /// After a take-over: goes on with what a predecessor had under way.
    pub(super) fn resume_operations(&mut self) {
        for id in self.rollouts.active() {
            log(Level::Info, &format!("operation {id} goes on"));
            let mut effects = Vec::new();
            if let Some(operation) = self.rollouts.operations.get(id) {
                operation.resume(&mut effects);
            }
            self.ask_fronts(id);
            self.replace(id, effects);
        }
    }

    /// Goes on with every operation as far as it can; whether anything was done.
    pub(super) fn advance_operations(&mut self) -> bool {
        let mut has_acted = false;
        self.attend_overlaps();
        self.attend_starts();
        self.attend_retired();
        for id in self.rollouts.active() {
            let engine = &self.engine;
            let Some(operation) = self.rollouts.operations.get_mut(id) else { continue };
            let (revision, mut effects) = (operation.revision, Vec::new());
            operation.advance(now().mono, &|process| outlook(engine, process), &mut effects);
            if operation.revision != revision {
                self.rollouts.operations.changed(id);
                has_acted = true;
            }
            self.replace(id, effects);
            self.conclude_operation(id);
        }
        has_acted
    }

    /// One that is over: nobody is asked for it any more, and what came of it is told.
    fn conclude_operation(&mut self, id: u64) {
        let Some(operation) = self.rollouts.operations.get(id).filter(|one| one.state.is_over()) else { return };
        let text = format!("operation {id} is {}: {}", operation.state.word(), operation.verdict(now().mono));
        log(if operation.state == State::Failed { Level::Warn } else { Level::Info }, &text);
        self.record_operation("", &text);
        self.rollouts.askers.remove(&id);
        self.rollouts.reloads.retain(|(of, _), _| *of != id);
        self.rollouts.unattended.retain(|(of, _)| *of != id);
        self.rollouts.awaited.retain(|(of, _), _| *of != id);
        self.rollouts.retired.retain(|(of, _), _| *of != id);
    }

    /// A deed was done, or was not.
    pub(super) fn step_finished(&mut self, id: u64, process: ProcessId, result: Result<(), String>) {
        self.rollouts.reloads.remove(&(id, process));
        self.rollouts.awaited.remove(&(id, process));
        self.rollouts.retired.remove(&(id, process));
        // What was asked of the engine for this deed is not meant by its answer to the next one.
        self.rollouts.requests.retain(|_, of| *of != (id, process));
        let mut effects: Vec<Effect> = Vec::new();
        let engine = &self.engine;
        let Some(operation) = self.rollouts.operations.get_mut(id) else { return };
        if !operation.steps().any(|step| step.process == process && step.phase.is_active()) {
            return;
        }
        operation.finished(now().mono, process, result, &|process| outlook(engine, process), &mut effects);
        let step = operation.steps().find(|step| step.process == process && step.phase.is_over());
        let news = step.map(|step| (step.name.clone(), step.phase, step.note.clone()));
        self.rollouts.operations.changed(id);
        if let Some((name, phase, note)) = news {
            let colon = if note.is_empty() { "" } else { ": " };
            let text = format!("operation {id}: {name} is {}{colon}{note}", phase.word());
            log(if phase == Phase::Failed { Level::Warn } else { Level::Info }, &text);
            self.record_operation(&name, &text);
        }
        self.replace(id, effects);
    }

    /// Somebody was asked for an operation.
    pub(super) fn front_asked(&mut self, news: &FrontAsked) {
        if let Some(operation) = self.rollouts.operations.get_mut(news.id) {
            operation.asked(now().mono, news.whom, &news.asked);
        }
    }

    /// `galaxyd.cancelOperation`.
    pub(super) fn cancel_operation(&mut self, id: u64, peer: &Peer, reply: Reply) {
        let active = self.rollouts.active();
        let meant = match (id, active.as_slice()) {
            (0, [one]) => Ok(*one),
            (0, []) => Err("no operation is under way".to_owned()),
            (0, several) => Err(format!("{} operations are under way: name one of them", several.len())),
            (id, _) if active.contains(&id) => Ok(id),
            (id, _) => match self.rollouts.find(id) {
                Ok(operation) => Err(format!("operation {id} is {} already", operation.state.word())),
                Err(fault) => return reply.send(Err(fault)),
            },
        };
        let id = match meant {
            Ok(id) => id,
            Err(text) => return reply.send(Err(Fault::with(FaultCode::Failed, text))),
        };
        let Some(operation) = self.rollouts.operations.get_mut(id) else { return };
        operation.cancel();
        let value = operation_value(operation, now().mono);
        self.rollouts.operations.changed(id);
        let text = format!("operation {id} is cancelled by {peer}");
        log(Level::Info, &text);
        self.record_operation("", &text);
        self.write_journal();
        reply.send(Ok(value));
    }
}

/// Whether a process is meant, by how it stands.
fn step(view: &ProcessView<'_>, candidate: &Candidate, replacement: &Replacement, start_stopped: bool) -> Step {
    let does_not_run = match view.state {
        ProcessState::Stopped | ProcessState::Exited | ProcessState::Unknown => true,
        ProcessState::Starting
        | ProcessState::Running
        | ProcessState::Backoff
        | ProcessState::Stopping
        | ProcessState::Fatal => false,
    };
    let was_never_wanted = !candidate.config.autostart && view.started.is_none();
    let is_started = match replacement.strategy {
        // Who is down is the one that takes over.
        Strategy::Zerg => true,
        Strategy::Keep => start_stopped || !was_never_wanted,
        Strategy::Overlap | Strategy::Rolling | Strategy::Restart | Strategy::Signal => start_stopped,
    };
    if does_not_run && !is_started {
        Step::left_alone(view.process, candidate.name.clone(), "it does not run")
    } else {
        Step::new(view.process, candidate.name.clone())
    }
}

fn operation_value(operation: &Operation, now: Moment) -> Value {
    let seconds = |from: Moment, to: Option<Moment>| Value::Double(to.unwrap_or(now).since(from).as_secs_f64());
    let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    let steps = operation.units.iter().flat_map(|unit| unit.steps.iter().map(move |step| (unit, step)));
    let steps = steps.map(|(unit, step)| {
        Value::object([
            ("name", step.name.as_str().into()),
            ("program", unit.program.as_str().into()),
            ("strategy", unit.strategy.word().into()),
            ("reason", unit.reason.as_str().into()),
            ("phase", step.phase.word().into()),
            ("note", step.note.as_str().into()),
            ("seconds", step.began.map_or(Value::Double(0.0), |began| seconds(began, step.ended))),
        ])
    });
    Value::object([
        ("id", number(operation.id)),
        ("kind", operation.kind.word().into()),
        ("asker", operation.asker.as_str().into()),
        ("began", operation.began.wall.into()),
        ("seconds", seconds(operation.began.mono, operation.ended)),
        ("state", operation.state.word().into()),
        ("verdict", operation.verdict(now).into()),
        ("requests", number(operation.tally.asked)),
        ("failed_requests", number(operation.tally.failed)),
        ("steps", Value::Array(steps.collect())),
    ])
}
