//! Zerglings that take turns at the socket of a pool: the deeds of an operation that are theirs alone.

use std::time::Duration;

use tokio::sync::mpsc;

use super::master_fifo;
use super::probing::Task;
use super::replacing::{Replacing, on_side};
use super::worker::{Done, Worker};
use crate::config::{Door, Leaving, Zergling};
use crate::engine::{Pid, ProcessId, ProcessState, Request, Target};
use crate::logs::{Level, log};
use crate::probe::{self, UwsgiWorker};
use crate::sys::clock;
use crate::sys::proc_table::{self, Identity, Standing};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a newcomer's stats may take to say that it accepts, once it runs, where it has no `ready_timeout`: a Galaxy boots
/// for up to two minutes.
const ACCEPT_PATIENCE: Duration = Duration::from_secs(300);

/// So long after the newcomer accepts its hook must have ended the other one, or that is told by the daemon too.
const HOOK_PATIENCE: Duration = Duration::from_secs(10);

/// How long a master may take to read at another FIFO.
const FIFO_PATIENCE: Duration = Duration::from_secs(10);

/// One zergling, for a task.
struct Turn {
    id: u64,
    process: ProcessId,
    pid: Option<Pid>,
    zergling: Zergling,
    /// Those of its pool that run beside it.
    others: Vec<(Pid, Zergling)>,
    patience: Duration,
    done: mpsc::UnboundedSender<Done>,
}

/// How it went with one that is to leave.
enum Parting {
    Gone,
    /// It was told, and stays.
    Stays(String),
    /// It could not be told.
    Untold(String),
}

impl Worker {
    /// What a task needs to know of a zergling; `None` if the operation does not know it as one.
    fn turn(&self, id: u64, process: ProcessId) -> Option<Turn> {
        let operation = self.rollouts.operations.get(id)?;
        let unit = operation.units.iter().find(|unit| unit.steps.iter().any(|step| step.process == process))?;
        let all = unit.steps.iter().map(|step| step.process).zip(&unit.zerglings);
        let pid = |process: ProcessId| self.engine.process(process).and_then(|view| view.pid);
        let zergling = all.clone().find(|(one, _)| *one == process).map(|(_, zergling)| zergling.clone())?;
        let others = all.filter(|(one, _)| *one != process);
        Some(Turn {
            id,
            process,
            pid: pid(process),
            zergling,
            others: others.filter_map(|(one, zergling)| Some((pid(one)?, zergling.clone()))).collect(),
            patience: Duration::ZERO,
            done: self.done_sender.clone(),
        })
    }

    /// Before a newcomer starts: the one that serves reads no FIFO whose name the newcomer takes. Whether there was anything
    /// to be asked for.
    pub(super) fn clear_the_way(&mut self, id: u64, process: ProcessId) -> bool {
        let Some(turn) = self.turn(id, process) else { return false };
        let work = async move {
            let Turn { id, process, .. } = turn;
            let result = turn.make_way().await;
            let _ = turn.done.send(Done::Replacing(Replacing::WayMade { id, process, result }));
        };
        self.rollouts.reloads.insert((id, process), Task::spawn(work));
        true
    }

    /// Until a newcomer's own stats say that it accepts.
    pub(super) fn await_acceptance(&mut self, id: u64, process: ProcessId) {
        let Some(mut turn) = self.turn(id, process) else { return };
        let (Some(door), Some(pid)) = (turn.zergling.stats.clone(), turn.pid) else {
            let result = if turn.pid.is_some() { Ok(()) } else { Err("it has ended".to_owned()) };
            return self.step_finished(id, process, result);
        };
        let attempt = self.engine.process(process).map_or(0, |view| view.attempt);
        self.rollouts.awaited.insert((id, process), attempt);
        let ready = self.process_config(process).and_then(|config| config.extras.ready.as_ref());
        turn.patience = ready.map_or(ACCEPT_PATIENCE, |ready| ready.rule.timeout);
        let work = async move {
            let result = turn.accepts(pid, &door).await;
            let Turn { id, process, done, .. } = turn;
            let _ = done.send(Done::Replacing(Replacing::Finished { id, process, result }));
        };
        self.rollouts.reloads.insert((id, process), Task::spawn(work));
    }

    /// Has one leave, as another one serves.
    pub(super) fn retire(&mut self, id: u64, process: ProcessId) {
        let Some(mut turn) = self.turn(id, process) else { return };
        let Some(view) = self.engine.process(process) else {
            return self.step_finished(id, process, Err("it was removed".to_owned()));
        };
        let (attempt, state) = (view.attempt, view.state);
        if turn.zergling.leaving == Leaving::ByStop {
            return self.ask_engine(id, process, Request::Stop { target: Target::One(process), wait: true });
        }
        self.rollouts.retired.insert((id, process), attempt);
        let is_down = matches!(state, ProcessState::Exited | ProcessState::Stopped | ProcessState::Fatal);
        if is_down {
            return;
        }
        let Some(pid) = turn.pid else {
            return self.end_turn(id, process, "it ended unexpectedly, and is started again");
        };
        let stopping = self.process_config(process).map_or(0, |config| config.stopwaitsecs);
        turn.patience = Duration::from_secs(u64::try_from(stopping).unwrap_or(0));
        let work = async move {
            let parting = turn.part(pid).await;
            let Turn { id, process, done, .. } = turn;
            let news = match parting {
                // The engine sees it, too, and that finishes the step.
                Parting::Gone => return,
                Parting::Stays(why) => Replacing::Stays { id, process, why },
                Parting::Untold(why) => Replacing::Finished { id, process, result: Err(why) },
            };
            let _ = done.send(Done::Replacing(news));
        };
        self.rollouts.reloads.insert((id, process), Task::spawn(work));
    }

    /// One was told to leave and does not: it is stopped, as it would be by a stop.
    pub(super) fn end_turn(&mut self, id: u64, process: ProcessId, why: &str) {
        if self.rollouts.retired.remove(&(id, process)).is_none() {
            return;
        }
        self.rollouts.reloads.remove(&(id, process));
        log(Level::Warn, &format!("operation {id}: {} is stopped: {why}", self.bare_name(process)));
        self.ask_engine(id, process, Request::Stop { target: Target::One(process), wait: true });
    }

    /// Those that were to leave, and have; one that was started again is stopped, as another one serves.
    pub(super) fn attend_retired(&mut self) {
        for ((id, process), attempt) in self.rollouts.retired.clone() {
            let Some(view) = self.engine.process(process) else {
                self.step_finished(id, process, Err("it was removed".to_owned()));
                continue;
            };
            match view.state {
                ProcessState::Exited | ProcessState::Stopped | ProcessState::Fatal => {
                    self.step_finished(id, process, Ok(()));
                }
                _ if view.attempt != attempt || view.state == ProcessState::Backoff => {
                    self.end_turn(id, process, "it ended unexpectedly, and was started again");
                }
                _ => {}
            }
        }
    }
}

impl Turn {
    async fn make_way(&self) -> Result<(), String> {
        for (pid, other) in self.others.clone().into_iter().filter(|(_, other)| other.leaving == Leaving::ByFifo) {
            let taken = self.zergling.fifos.first().cloned().unwrap_or_default();
            let slot = read_slot(pid, &other.fifos).await?;
            let Some(path) = slot.and_then(|slot| other.fifos.get(slot)) else {
                return Err(format!("nothing could make process {pid} leave: it reads none of its master FIFOs"));
            };
            if *path == taken {
                take_slot_one(pid, &other.fifos).await?;
            }
        }
        Ok(())
    }

    /// Asks until it accepts, and it is the process itself that says so.
    async fn accepts(&self, pid: Pid, door: &Door) -> Result<(), String> {
        let main = identity(pid).await.ok_or("it has ended")?;
        let mut why = "it was not asked yet".to_owned();
        let accepted = async {
            loop {
                if has_ended(main).await {
                    return Err("it has ended".to_owned());
                }
                match asked(pid, door).await {
                    Ok(()) => return Ok(()),
                    Err(error) => why = error,
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(self.patience, accepted).await {
            Ok(result) => result,
            Err(_) => Err(format!("it does not accept after {} seconds: {why}", self.patience.as_secs())),
        }
    }

    async fn part(&self, pid: Pid) -> Parting {
        let Some(main) = identity(pid).await else { return Parting::Gone };
        let is_hooked = self.zergling.leaving == Leaving::ByHook;
        if is_hooked && has_ended_within(main, HOOK_PATIENCE.min(self.patience)).await {
            return Parting::Gone;
        }
        // One that ends already does not read it.
        let told = tell_to_end(pid, &self.zergling.fifos).await;
        if let (Err(why), false) = (&told, is_hooked) {
            return if has_ended(main).await { Parting::Gone } else { Parting::Untold(why.clone()) };
        }
        if !has_ended_within(main, self.patience).await {
            let late = format!("it has not left after {} seconds", self.patience.as_secs());
            return match told {
                Ok(()) => Parting::Stays(late),
                Err(why) => Parting::Untold(format!("{late}, and cannot be told to: {why}")),
            };
        }
        if !is_hooked {
            self.settle_others().await;
        }
        Parting::Gone
    }

    /// The newcomer reads where the one that serves reads, as it would by the hook. Where that fails the next hand-over does it.
    async fn settle_others(&self) {
        for (pid, other) in self.others.clone() {
            let settled = match read_slot(pid, &other.fifos).await {
                Ok(Some(0)) if other.fifos.len() > 1 => take_slot_one(pid, &other.fifos).await,
                Ok(_) => Ok(()),
                Err(why) => Err(why),
            };
            if let Err(why) = settled {
                log(Level::Warn, &format!("operation {}: {why}", self.id));
            }
        }
    }
}

/// One question to a stats server, which counts if it is this process, or comes from it.
async fn asked(pid: Pid, door: &Door) -> Result<(), String> {
    let stats = probe::uwsgi_stats(door, probe::ANSWER_MAX).await?;
    let master = i32::try_from(stats.master).unwrap_or(0);
    if on_side((master, pid), |(master, pid)| proc_table::descends(master, pid)).await != Some(true) {
        return Err(format!("the stats server at {door} is another process's ({master})"));
    }
    let is_spare = |worker: &UwsgiWorker| worker.status == "cheap";
    let ready = stats.workers.iter().filter(|worker| worker.is_ready()).count();
    if ready > 0 && stats.workers.iter().all(|worker| worker.is_ready() || is_spare(worker)) {
        return Ok(());
    }
    Err(format!("{ready} of {} uWSGI workers accept requests", stats.workers.len()))
}

async fn identity(pid: Pid) -> Option<Identity> {
    let entry = on_side(pid, |pid| proc_table::one(pid).ok().flatten()).await.flatten()?;
    (entry.standing != Standing::Ended).then_some(entry.identity)
}

async fn has_ended(main: Identity) -> bool {
    identity(main.pid).await != Some(main)
}

async fn has_ended_within(main: Identity, patience: Duration) -> bool {
    let until = clock::monotonic() + patience;
    while !has_ended(main).await {
        if clock::monotonic() >= until {
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    true
}

async fn read_slot(pid: Pid, fifos: &[String]) -> Result<Option<usize>, String> {
    let asked = on_side(fifos.to_vec(), move |fifos| master_fifo::slot(pid, &fifos)).await;
    asked.unwrap_or_else(|| Err("/proc cannot be read".to_owned()))
}

async fn tell(pid: Pid, path: String, commands: &'static str) -> Result<(), String> {
    let told = on_side(path, move |path| master_fifo::write_to_reader(pid, &path, commands)).await;
    told.unwrap_or_else(|| Err("the master FIFO cannot be written to".to_owned()))
}

/// A graceful end; before that it leaves the place of the one that serves, which the newcomer takes.
async fn tell_to_end(pid: Pid, fifos: &[String]) -> Result<(), String> {
    let slot = read_slot(pid, fifos).await?;
    let Some((slot, path)) = slot.and_then(|slot| Some((slot, fifos.get(slot)?.clone()))) else {
        return Err("it reads none of its master FIFOs".to_owned());
    };
    let commands = if slot == 1 && fifos.len() > 2 { "2q" } else { "q" };
    tell(pid, path, commands).await
}

/// Has a master read at the second of its FIFOs, where the one that serves reads.
async fn take_slot_one(pid: Pid, fifos: &[String]) -> Result<(), String> {
    let [first, _, ..] = fifos else {
        let text = "the newcomer takes the name of its only master FIFO";
        return Err(format!("nothing could make process {pid} leave: {text}; give each its own, or write three"));
    };
    tell(pid, first.clone(), "1").await?;
    let until = clock::monotonic() + FIFO_PATIENCE;
    while read_slot(pid, fifos).await? != Some(1) {
        if clock::monotonic() >= until {
            return Err(format!("process {pid} does not read another master FIFO"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_runs_has_not_ended() {
        let me = identity(i32::try_from(std::process::id()).unwrap()).await.unwrap();
        assert!(!has_ended(me).await && !has_ended_within(me, Duration::ZERO).await);
        let former = Identity { start: me.start + 1, ..me };
        assert!(has_ended_within(former, Duration::ZERO).await);
    }
}
