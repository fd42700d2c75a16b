//! The deeds of operations: requests to the engine, signals and what follows from them, questions to those who are to answer.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::master_fifo;
use super::probing::Task;
use super::worker::{Done, Worker, now};
use crate::config::{Door, ReadyCheck, Strategy, Trigger};
use crate::engine::{Answer, Condition, Pid, ProcessId, Refusal, Request, RequestId, Target};
use crate::probe::{self, UwsgiWorker};
use crate::rollout::{Asked, Deed, Effect, Phase};
use crate::sys::proc_table::{self, Identity, Standing};
use crate::sys::side;

/// How often the users' way is asked.
const FRONT_EVERY: Duration = Duration::from_millis(100);

/// How often a process is asked, where there is no such way.
const PROCESS_EVERY: Duration = Duration::from_millis(500);

/// A user waits so long for an answer: the time after which the usual proxies give up.
const USERS_PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at workers that are being replaced.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long workers may take to be ready where the program has no `ready_timeout`.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// How far a process is with being succeeded.
enum Succession {
    None,
    UnderWay,
    /// Another one has its name.
    Taken,
}

/// What tasks of operations bring back.
pub(super) enum Replacing {
    FrontAsked(FrontAsked),
    /// What is there before is known: now the process may be told.
    Trigger {
        id: u64,
        process: ProcessId,
        trigger: Trigger,
        told: oneshot::Sender<()>,
    },
    /// A task has done a deed, or has failed.
    Finished {
        id: u64,
        process: ProcessId,
        result: Result<(), String>,
    },
    /// A newcomer may start, or must not.
    WayMade {
        id: u64,
        process: ProcessId,
        result: Result<(), String>,
    },
    /// It was told to leave, and does not.
    Stays {
        id: u64,
        process: ProcessId,
        why: String,
    },
}

/// Somebody was asked for an operation.
pub(super) struct FrontAsked {
    pub(super) id: u64,
    /// `None`: the users' way to the programs.
    pub(super) whom: Option<ProcessId>,
    pub(super) asked: Asked,
}

impl Worker {
    /// Does what an operation wants.
    pub(super) fn replace(&mut self, id: u64, effects: Vec<Effect>) {
        for Effect { process, deed } in effects {
            let target = Target::One(process);
            let request = match deed {
                Deed::Stop => Request::Stop { target, wait: true },
                Deed::Start => {
                    if !self.clear_the_way(id, process) {
                        self.start_for(id, process);
                    }
                    continue;
                }
                Deed::AwaitReady => {
                    let attempt = self.engine.process(process).map_or(0, |view| view.attempt);
                    self.rollouts.awaited.insert((id, process), attempt);
                    Request::Await { processes: vec![process], condition: Condition::Ready, within: None }
                }
                Deed::Reload(trigger) => {
                    self.reload(id, process, trigger);
                    continue;
                }
                Deed::Succeed => {
                    self.overlap(id, process);
                    continue;
                }
                Deed::Accept => {
                    self.await_acceptance(id, process);
                    continue;
                }
                Deed::Retire => {
                    self.retire(id, process);
                    continue;
                }
            };
            self.ask_engine(id, process, request);
        }
    }

    fn start_for(&mut self, id: u64, process: ProcessId) {
        let request = Request::Start { target: Target::One(process), wait: true, checked: Vec::new() };
        self.ask_engine(id, process, request);
    }

    pub(super) fn ask_engine(&mut self, id: u64, process: ProcessId, request: Request) {
        self.tell_exits_of(|one| one == process);
        let request = self.request_of_ours(request);
        self.rollouts.requests.insert(request, (id, process));
    }

    /// The engine has answered a request that was no client's.
    pub(super) fn operation_answered(&mut self, request: RequestId, answer: &Answer) {
        let Some((id, process)) = self.rollouts.requests.remove(&request) else { return };
        let refusal = match answer {
            Answer::Refused(refusal) => Some(refusal.clone()),
            Answer::Processes(outcomes) => match outcomes.first() {
                Some(outcome) => outcome.result.clone().err(),
                None => Some(Refusal::BadName),
            },
            Answer::Done => None,
        };
        let is_overlap = self.is_in_phase(id, process, Phase::Overlapping);
        let result = match refusal {
            // What was wanted was so already.
            None => Ok(()),
            Some(Refusal::NotRunning | Refusal::AlreadyStarted) if !is_overlap => Ok(()),
            Some(refusal) => Err(self.failure(process, refusal)),
        };
        if self.rollouts.reloads.contains_key(&(id, process)) && result.is_ok() {
            // It was signalled; whether that helps is watched.
            return;
        }
        self.step_finished(id, process, result);
    }

    fn is_in_phase(&self, id: u64, process: ProcessId, phase: Phase) -> bool {
        let operation = self.rollouts.operations.get(id);
        operation.is_some_and(|operation| operation.steps().any(|step| step.process == process && step.phase == phase))
    }

    /// Has a successor take a process's place, unless that is under way for a predecessor of this worker.
    fn overlap(&mut self, id: u64, process: ProcessId) {
        match self.succession(id, process) {
            Succession::Taken => self.step_finished(id, process, Ok(())),
            Succession::UnderWay => _ = self.rollouts.unattended.insert((id, process)),
            Succession::None => self.ask_engine(id, process, Request::Succeed { process }),
        }
    }

    /// Overlaps whose end nobody tells, as their request was a predecessor's: looks for it.
    pub(super) fn attend_overlaps(&mut self) {
        for (id, process) in self.rollouts.unattended.clone() {
            let result = match self.succession(id, process) {
                Succession::UnderWay => continue,
                Succession::Taken => Ok(()),
                Succession::None => Err("its successor did not take over; the log says why".to_owned()),
            };
            self.rollouts.unattended.remove(&(id, process));
            self.step_finished(id, process, result);
        }
    }

    /// Processes that have ended while their readiness was awaited: that they are started anew, as often as they end, makes
    /// none of them ready.
    pub(super) fn attend_starts(&mut self) {
        for ((id, process), attempt) in self.rollouts.awaited.clone() {
            let view = self.engine.process(process).filter(|view| view.attempt != attempt);
            let Some(last) = view.map(|view| view.last_exit) else { continue };
            let how = last.map_or_else(String::new, |last| format!(": {}", last.exit));
            self.step_finished(id, process, Err(format!("it ended before it was ready{how}")));
        }
    }

    fn succession(&self, id: u64, process: ProcessId) -> Succession {
        let operation = self.rollouts.operations.get(id);
        let step = operation.and_then(|operation| operation.steps().find(|step| step.process == process));
        let Some(member) = step.and_then(|step| self.process_of(&step.name)) else { return Succession::None };
        if member != process {
            return Succession::Taken;
        }
        let Some(view) = self.engine.process(process) else { return Succession::None };
        let beside = self.engine.group(view.group).map(|group| group.beside).unwrap_or_default();
        let is_its = |other: &ProcessId| self.engine.process(*other).is_some_and(|other| other.name == view.name);
        if beside.iter().any(is_its) { Succession::UnderWay } else { Succession::None }
    }

    fn failure(&self, process: ProcessId, refusal: Refusal) -> String {
        match refusal {
            Refusal::Failed(text) => text,
            Refusal::ShutdownState => "the daemon shuts down".to_owned(),
            Refusal::BadName => "it was removed".to_owned(),
            _ => {
                let view = self.engine.process(process);
                let explained = view.map(|view| self.explanation(&view));
                let reason = explained.as_ref().and_then(|explained| explained.get("reason")?.as_str());
                reason.unwrap_or("it could not be started").to_owned()
            }
        }
    }

    /// Has a process replace its workers.
    fn reload(&mut self, id: u64, process: ProcessId, trigger: Trigger) {
        let (view, config) = (self.engine.process(process), self.process_config(process));
        let (Some(pid), Some(config)) = (view.and_then(|view| view.pid), config) else {
            return self.step_finished(id, process, Err("it does not run".to_owned()));
        };
        let ready = config.extras.ready.as_ref();
        let stopping = Duration::from_secs(u64::try_from(config.stopwaitsecs).unwrap_or(0));
        let reload = Reload {
            id,
            process,
            pid,
            check: ready.map(|ready| ready.check.clone()),
            patience: stopping + ready.map_or(READY_PATIENCE, |ready| ready.rule.timeout),
            done: self.done_sender.clone(),
        };
        self.rollouts.reloads.insert((id, process), Task::spawn(reload.run(trigger)));
    }

    /// What tasks of operations have to tell.
    pub(super) fn replacing(&mut self, what: Replacing) {
        match what {
            Replacing::FrontAsked(news) => self.front_asked(&news),
            Replacing::Trigger { id, process, trigger, told } => {
                // A successor must know of it.
                self.write_journal();
                if let Trigger::Signal(signal) = trigger {
                    self.ask_engine(id, process, Request::Signal { target: Target::One(process), signal });
                }
                // The task ends with the operation.
                let _ = told.send(());
            }
            Replacing::Finished { id, process, result } => self.step_finished(id, process, result),
            Replacing::WayMade { id, process, result } => {
                self.rollouts.reloads.remove(&(id, process));
                match result {
                    Ok(()) => self.start_for(id, process),
                    Err(why) => self.step_finished(id, process, Err(why)),
                }
            }
            Replacing::Stays { id, process, why } => self.end_turn(id, process, &why),
        }
    }

    /// Has those asked who are to answer all the time.
    pub(super) fn ask_fronts(&mut self, id: u64) {
        let Some(operation) = self.rollouts.operations.get(id) else { return };
        let mut fronts: Vec<ReadyCheck> = Vec::new();
        let mut own: Vec<(ProcessId, ReadyCheck)> = Vec::new();
        let steps = operation.units.iter().flat_map(|unit| unit.steps.iter().map(move |step| (unit, step)));
        for (unit, step) in steps {
            let Some(extras) = self.process_config(step.process).map(|config| &config.extras) else { continue };
            if let Some(front) = &extras.rollout.front {
                let check = ReadyCheck::Http(front.check.clone());
                if !fronts.contains(&check) {
                    fronts.push(check);
                }
            }
            let check = extras.ready.as_ref().map(|ready| ready.check.clone());
            // No user asks a stats server, which is away while its master replaces itself.
            let is_asked = |check: &ReadyCheck| {
                // Of zerglings one is to answer, whichever it is.
                unit.strategy != Strategy::Zerg && matches!(check, ReadyCheck::Http(_) | ReadyCheck::Connect(_))
            };
            own.extend(check.filter(is_asked).map(|check| (step.process, check)));
        }
        let whom: Vec<(Option<ProcessId>, ReadyCheck)> = if fronts.is_empty() {
            own.into_iter().map(|(process, check)| (Some(process), check)).collect()
        } else {
            fronts.into_iter().map(|check| (None, check)).collect()
        };
        let ask = |(whom, check)| Task::spawn(ask(id, whom, check, self.done_sender.clone()));
        let tasks = whom.into_iter().map(ask).collect();
        self.rollouts.askers.insert(id, tasks);
    }
}

/// Asks until the task is ended.
async fn ask(id: u64, whom: Option<ProcessId>, check: ReadyCheck, done: mpsc::UnboundedSender<Done>) {
    let pause = if whom.is_none() { FRONT_EVERY } else { PROCESS_EVERY };
    loop {
        let began = now().mono;
        let result = probe::ask_within(&check, USERS_PATIENCE).await;
        let asked = Asked { took: now().mono.since(began), result };
        // The receiver is gone only when the worker ends.
        let _ = done.send(Done::Replacing(Replacing::FrontAsked(FrontAsked { id, whom, asked })));
        tokio::time::sleep(pause).await;
    }
}

/// One process whose workers are replaced.
struct Reload {
    id: u64,
    process: ProcessId,
    pid: Pid,
    check: Option<ReadyCheck>,
    /// From the signal to the last worker's being another.
    patience: Duration,
    done: mpsc::UnboundedSender<Done>,
}

/// The workers of a process.
#[derive(Debug, PartialEq, Eq)]
struct Workers {
    known: BTreeSet<i64>,
    /// Each of them does its work, as far as that is known.
    are_ready: bool,
}

impl Reload {
    async fn run(self, trigger: Trigger) {
        let result = self.watch(trigger).await;
        let Reload { id, process, done, .. } = self;
        // The receiver is gone only when the worker ends.
        let _ = done.send(Done::Replacing(Replacing::Finished { id, process, result }));
    }

    async fn watch(&self, trigger: Trigger) -> Result<(), String> {
        let main = on_side(self.pid, |pid| proc_table::one(pid).ok().flatten().map(|entry| entry.identity)).await;
        let Some(main) = main.flatten() else { return Err("it has ended".to_owned()) };
        let former = self.workers().await?.known;
        let (told, is_told) = oneshot::channel();
        let (id, process) = (self.id, self.process);
        let message = Replacing::Trigger { id, process, trigger: trigger.clone(), told };
        let _ = self.done.send(Done::Replacing(message));
        if is_told.await.is_err() {
            return Err("the daemon ends".to_owned());
        }
        let mut patience = self.patience;
        if let Trigger::Fifo { path, command } = trigger {
            on_side((path, command), |(path, command)| master_fifo::write_to(&path, &command.to_string()))
                .await
                .unwrap_or(Ok(()))?;
            if command == 'c' {
                // One after the other.
                patience *= u32::try_from(former.len()).unwrap_or(u32::MAX).max(1);
            }
        }
        let mut why = "nothing has happened yet".to_owned();
        let replaced = async {
            while !self.are_others(main, &former, &mut why).await? {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        match tokio::time::timeout(patience, replaced).await {
            Ok(result) => result,
            Err(_) => Err(format!("its workers are not replaced after {} seconds: {why}", patience.as_secs())),
        }
    }

    /// Whether none of the former workers is left, and those that are there answer.
    async fn are_others(&self, main: Identity, former: &BTreeSet<i64>, why: &mut String) -> Result<bool, String> {
        let present = on_side(main, |main| {
            proc_table::one(main.pid).is_ok_and(|entry| {
                entry.is_some_and(|entry| entry.identity == main && entry.standing != Standing::Ended)
            })
        });
        if present.await == Some(false) {
            return Err("it has ended".to_owned());
        }
        let workers = match self.workers().await {
            Ok(workers) => workers,
            // A stats server comes back with its master.
            Err(error) => {
                *why = error;
                return Ok(false);
            }
        };
        let left = workers.known.intersection(former).count();
        if left > 0 || !workers.are_ready || (workers.known.is_empty() && !former.is_empty()) {
            *why = format!("{left} of {} former workers are left, {} are there", former.len(), workers.known.len());
            return Ok(false);
        }
        match &self.check {
            Some(check) => match probe::ask(check).await {
                Ok(()) => Ok(true),
                Err(error) => {
                    *why = error;
                    Ok(false)
                }
            },
            None => Ok(true),
        }
    }

    /// By uWSGI's stats where they are configured, else the children of the process.
    async fn workers(&self) -> Result<Workers, String> {
        if let Some(ReadyCheck::UwsgiStats(door)) = &self.check {
            return stats_workers(door).await;
        }
        let children = on_side(self.pid, |pid| {
            let table = proc_table::all().map_err(|error| format!("/proc cannot be read: {error}"))?;
            let is_child = |entry: &&proc_table::Entry| entry.parent == pid && entry.standing != Standing::Ended;
            Ok(table.iter().filter(is_child).map(|entry| i64::from(entry.identity.pid)).collect())
        });
        let known = children.await.unwrap_or_else(|| Err("/proc cannot be read".to_owned()))?;
        Ok(Workers { known, are_ready: true })
    }
}

async fn stats_workers(door: &Door) -> Result<Workers, String> {
    let workers = probe::uwsgi_stats(door, probe::ANSWER_MAX).await?.workers;
    let known = workers.iter().map(|worker| worker.pid).filter(|pid| *pid > 0).collect();
    Ok(Workers { known, are_ready: workers.iter().all(UwsgiWorker::is_ready) })
}

/// What reads /proc or a FIFO; `None` if it panicked.
pub(super) async fn on_side<A: Send + 'static, T: Send + 'static>(
    what: A,
    work: impl FnOnce(A) -> T + Send + 'static,
) -> Option<T> {
    side::run(move || work(what)).await.ok()
}
