//! What the worker does beside its turns, and what comes of it: preparing and sweeping children, asking whether they are ready,
//! looking for what is outside.

use std::time::Duration;

use galaxyd::engine::{Pid, ProcessId};

use crate::keeper::ChildId;
use crate::watch::{Kept, promise};
use crate::world::World;

impl World<'_> {
    pub(crate) fn prepared(&mut self) -> Option<ChildId> {
        let now = self.now;
        let preparing = &mut self.worker.as_mut()?.preparing;
        let at = preparing.iter().position(|(at, _)| *at <= now)?;
        Some(preparing.remove(at).1)
    }

    pub(crate) fn swept(&mut self) -> Option<(ProcessId, Pid)> {
        let now = self.now;
        let worker = self.worker.as_mut()?;
        let swept = worker.sweeping.iter().find(|(_, at)| **at <= now).map(|(child, _)| *child)?;
        worker.sweeping.remove(&swept);
        worker.known.remove(&swept.0);
        Some(swept)
    }

    /// A child has answered. What it was asked for may be over by now: the worker cannot know.
    pub(crate) fn answers(&mut self) -> Option<(ProcessId, u32)> {
        let now = self.now;
        let worker = self.worker.as_mut()?;
        let is_due = |at: &Option<Duration>| at.is_some_and(|at| at <= now);
        let answered = worker.answering.iter().find(|(_, at)| is_due(at)).map(|(child, _)| *child)?;
        worker.answering.insert(answered, None);
        Some(answered)
    }

    /// What a start was held for is there. The start may be over by now: the worker cannot know.
    pub(crate) fn reached(&mut self) -> Option<(ProcessId, u32)> {
        let now = self.now;
        let worker = self.worker.as_mut()?;
        let is_due = |at: &Option<Duration>| at.is_some_and(|at| at <= now);
        let reached = worker.reaching.iter().find(|(_, at)| is_due(at)).map(|(start, _)| *start)?;
        worker.reaching.remove(&reached);
        Some(reached)
    }

    /// Looks for what the engine wants to be looked for.
    pub(crate) fn look_outside(&mut self) {
        let Some(worker) = &mut self.worker else { return };
        let held: Vec<_> = worker.engine.waiting_outside().map(|view| (view.process, view.attempt)).collect();
        for start in held {
            let at = self.now + self.dice.millis(3000);
            let at = self.dice.chance(85).then_some(at);
            worker.reaching.entry(start).or_insert(at);
        }
    }

    /// Asks whom the engine wants to be asked.
    pub(crate) fn ask_around(&mut self) -> Kept {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        let asked: Vec<_> = worker.engine.to_be_asked().map(|view| (view.process, view.attempt, view.pid)).collect();
        for (process, attempt, pid) in asked {
            promise!(pid.is_some(), "{process:?} is asked and has no child");
            let at = self.now + self.dice.millis(3000);
            let at = self.dice.chance(80).then_some(at);
            worker.answering.entry((process, attempt)).or_insert(at);
        }
        Ok(())
    }
}
