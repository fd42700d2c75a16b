//! How a new worker takes over from a dead one: the order of things that `Engine::restore` asks for.

use galaxyd::engine::{Engine, ExecError, Input, ProcessId, ProcessState, Request};

use crate::keeper::{Child, ToKeeper};
use crate::watch::{Kept, promise};
use crate::world::{Turn, Worker, World};

impl World<'_> {
    /// A new worker takes over.
    pub(crate) fn revive(&mut self) -> Kept {
        if self.keeper.is_dead {
            self.keeper_succeeds();
        }
        // The keeper reads what the dead one had sent before it answers the new one.
        while !self.to_keeper.is_empty() {
            self.keeper_receives()?;
        }
        self.keeper.outbox.clear();
        self.revive_at = None;
        if !self.journal.begun {
            self.worker = Some(Worker::new(Engine::new()));
            self.turn(Turn::Input(Input::Begin { groups: self.plan.groups.clone() }))?;
            return Ok(());
        }
        let engine = self.journal.read()?;
        self.watch.restored(&engine);
        self.worker = Some(Worker::new(engine));
        if self.take_over_children()? && self.turn(Turn::Resume)? {
            self.nothing_is_lost()?;
            self.ordered_stops_go_on()?;
        }
        Ok(())
    }

    /// Asks for what is left of the ordered stops that were under way. Of those whom they had not stopped, each is
    /// stopped, or waited for, or its turn comes.
    fn ordered_stops_go_on(&mut self) -> Kept {
        let Some(worker) = &self.worker else { return Ok(()) };
        for processes in worker.engine.interrupted_stops() {
            let request = Request::StopOrdered { processes: processes.clone() };
            let id = self.next_request;
            self.next_request += 1;
            self.watch.asked(id, &request);
            if !self.turn(Turn::Input(Input::Request { id, request }))? {
                return Ok(());
            }
            let Some(worker) = &self.worker else { return Ok(()) };
            let left = worker.engine.interrupted_stops().concat();
            for process in processes {
                let view = worker.engine.process(process);
                let is_down = view.is_none_or(|view| view.state.is_stopped());
                promise!(is_down || left.contains(&process), "{process:?} runs on, and nobody stops it any more");
            }
            self.watch.seen.saw("an ordered stop that goes on");
        }
        Ok(())
    }

    /// Tells the engine what the keeper knows; false if the worker died again.
    fn take_over_children(&mut self) -> Kept<bool> {
        let children: Vec<_> = self.keeper.children.iter().map(|(id, child)| (*id, child.clone())).collect();
        // First all that the journal knows too: what follows may already want to signal any of them.
        if let Some(worker) = &mut self.worker {
            for ((process, attempt), _) in &children {
                let record = worker.engine.record(*process).filter(|record| record.attempt() == *attempt);
                // Of one that was followed into the background since, the one before.
                if let Some(pid) = record.and_then(|record| record.pid()) {
                    worker.known.insert(*process, (*attempt, pid));
                }
            }
        }
        for ((process, attempt), child) in &children {
            let Some(worker) = &mut self.worker else { return Ok(false) };
            let record = worker.engine.record(*process).filter(|record| record.attempt() == *attempt);
            let pid = child.pid;
            let current = match record {
                Some(record) if record.pid() == Some(pid) => true,
                Some(record) if record.pid().is_none() && !record.state().is_stopped() => {
                    let asked = matches!(record.state(), ProcessState::Starting | ProcessState::Stopping);
                    if asked {
                        worker.known.insert(*process, (*attempt, pid));
                        let at = self.time(child.started);
                        if !self.turn(Turn::Input(Input::Spawned { process: *process, pid, at }))? {
                            return Ok(false);
                        }
                    }
                    asked
                }
                // The dead worker had the keeper follow it into the background.
                Some(record) if record.pid().is_some() && !record.is_sweeping() => {
                    let former = record.pid().unwrap_or_default();
                    worker.known.insert(*process, (*attempt, pid));
                    let at = self.time(self.now);
                    let input = Input::Followed { process: *process, pid: former, heir: pid, at };
                    if !self.turn(Turn::Input(input))? {
                        return Ok(false);
                    }
                    true
                }
                _ => false,
            };
            if !current {
                let orphan = self.worker.as_ref().is_some_and(|worker| worker.engine.process(*process).is_none());
                promise!(!child.is_alive() || orphan, "a living child of {process:?} is not known any more");
                if !child.is_alive() {
                    self.send(ToKeeper::Forget((*process, *attempt)));
                }
                continue;
            }
            if !self.take_over(*process, *attempt, child)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take_over(&mut self, process: ProcessId, attempt: u32, child: &Child) -> Kept<bool> {
        let pid = child.pid;
        if child.exec_failed {
            let error = ExecError::Failed("couldn't exec".to_owned());
            if !self.turn(Turn::Input(Input::ExecFailed { process, pid, error }))? {
                return Ok(false);
            }
        }
        let Some((exit, at)) = child.ended else {
            return self.turn(Turn::ResumeSignalled(process, child.last_signal));
        };
        if self.goes_on((process, attempt), exit) {
            return Ok(true);
        }
        if let Some(worker) = &mut self.worker {
            worker.known.remove(&process);
        }
        let at = self.time(at);
        let whole = self.turn(Turn::Input(Input::Exited { process, pid, exit, at }))?;
        if whole {
            self.send(ToKeeper::Forget((process, attempt)));
        }
        Ok(whole)
    }

    /// After a take-over every living child has its process, and every process its child.
    fn nothing_is_lost(&mut self) -> Kept {
        let Some(worker) = &self.worker else { return Ok(()) };
        for ((process, attempt), child) in &self.keeper.children {
            if let Some(view) = worker.engine.process(*process)
                && child.is_alive()
            {
                promise!(view.pid == Some(child.pid), "{process:?} has lost its child {}: {view:?}", child.pid);
                promise!(view.attempt == *attempt, "{process:?} has another child's number");
                let started = view.started.map(|started| started.mono.0);
                promise!(started == Some(child.started), "{process:?} has lost its uptime");
            }
        }
        self.watch.seen.saw("a take-over");
        Ok(())
    }
}
