//! Children that end: some go on in the background as another process.

use std::time::Duration;

use galaxyd::engine::{Exit, Heir, Input, Pid, ProcessState};

use crate::keeper::{ChildId, ToKeeper};
use crate::watch::Kept;
use crate::world::{Turn, World};

impl World<'_> {
    /// The keeper told a child's end.
    pub(crate) fn child_ended(&mut self, child: ChildId, exit: Exit, at: Duration) -> Kept {
        if !self.goes_on(child, exit) {
            self.tell_exit(child, exit, at)?;
        }
        Ok(())
    }

    /// Whether it has left something behind that goes on as it, if it may; then the keeper is told.
    pub(crate) fn goes_on(&mut self, child: ChildId, exit: Exit) -> bool {
        let (process, attempt) = child;
        let Some(worker) = &mut self.worker else { return false };
        let known = worker.known.get(&process).copied().filter(|(current, _)| *current == attempt);
        let window = worker.engine.process(process).and_then(|view| view.deadline);
        let heir = known.and_then(|(_, pid)| worker.engine.seek(process, pid, exit));
        if heir.is_some() {
            worker.windows.insert(process, window);
        }
        let goes_on = heir.is_some() && self.dice.chance(70);
        if goes_on {
            self.watch.seen.saw(match heir {
                Some(Heir::First) => "a program in the background",
                _ => "a program in the background that gives its place to another process",
            });
            self.send(ToKeeper::Follow(child));
        }
        goes_on
    }

    /// The keeper has taken another one for the child, or there is none any more.
    pub(crate) fn followed(&mut self, child: ChildId, heir: Option<Pid>) -> Kept {
        let (process, attempt) = child;
        let ended = self.keeper.children.get(&child).and_then(|child| child.ended);
        let now = self.time(self.now);
        let Some(worker) = &mut self.worker else { return Ok(()) };
        let Some((_, pid)) = worker.known.get(&process).copied().filter(|(current, _)| *current == attempt) else {
            return Ok(());
        };
        match (heir, ended) {
            (Some(heir), _) => {
                worker.known.insert(process, (attempt, heir));
                self.turn(Turn::Input(Input::Followed { process, pid, heir, at: now }))?;
            }
            (None, Some((exit, at))) => {
                self.tell_exit(child, exit, at)?;
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// False if the worker died on the way.
    pub(crate) fn tell_exit(&mut self, child: ChildId, exit: Exit, at: Duration) -> Kept<bool> {
        let (process, attempt) = child;
        let Some(worker) = &mut self.worker else { return Ok(false) };
        let known = worker.known.get(&process).copied().filter(|(current, _)| *current == attempt);
        if let Some((_, pid)) = known {
            let is_swept = worker
                .engine
                .process(process)
                .is_some_and(|view| view.sweeping || (view.rules.killtree && view.state != ProcessState::Unknown));
            if !is_swept {
                worker.known.remove(&process);
            }
            let at = self.time(at);
            if !self.turn(Turn::Input(Input::Exited { process, pid, exit, at }))? {
                return Ok(false);
            }
        }
        self.send(ToKeeper::Forget(child));
        Ok(true)
    }
}
