//! What held starts wait for outside of the daemon: a task for each of them, and what it has found out.
//!
//! Whose start waits for nothing else, the engine says, as with readiness ([`super::probing`]).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use super::probing::Task;
use super::spawning::Wanted;
use super::worker::{Done, Worker};
use crate::config::WaitFor;
use crate::engine::{Input, Lack, ProcessId, ProcessView};
use crate::logs::{Level, log};
use crate::probe;

/// From one look to the next.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A held start whose things are looked for.
#[derive(Debug)]
pub(super) struct Search {
    attempt: u32,
    things: Vec<WaitFor>,
    _task: Task,
    /// What is missing, as far as is known.
    missing: String,
}

/// All held starts whose things are looked for.
pub(super) type Searches = BTreeMap<ProcessId, Search>;

impl Worker {
    /// Looks for the things of those that wait for nothing else, and for nobody else's.
    pub(super) fn look_outside(&mut self) {
        let wanted: Vec<Wanted> =
            self.engine.waiting_outside().map(|view| Wanted { process: view.process, attempt: view.attempt }).collect();
        self.searches.retain(|process, search| {
            wanted.iter().any(|one| one.process == *process && one.attempt == search.attempt)
        });
        for one in wanted {
            self.search(one);
        }
    }

    fn search(&mut self, wanted: Wanted) {
        let Wanted { process, attempt } = wanted;
        let things = self.process_config(process).map(|config| config.extras.wait_for.clone()).unwrap_or_default();
        if self.searches.get(&process).is_some_and(|search| search.things == things) {
            return;
        }
        let task = Task::spawn(look(wanted, things.clone(), self.done_sender.clone()));
        let search = Search { attempt, things, _task: task, missing: String::new() };
        self.searches.insert(process, search);
    }

    /// A task has something to tell.
    pub(super) fn looked_outside(&mut self, process: ProcessId, attempt: u32, answer: Result<(), String>) {
        let name = self.bare_name(process);
        let Some(search) = self.searches.get_mut(&process).filter(|search| search.attempt == attempt) else { return };
        match answer {
            Ok(()) => self.feed(Input::Reached { process, attempt }),
            Err(missing) => {
                // Once is enough for whoever reads the log.
                let level = if search.missing.is_empty() { Level::Info } else { Level::Debug };
                log(level, &format!("held: {name} waits: {missing}"));
                search.missing = missing;
            }
        }
    }

    /// What a held start waits for, in words for a person; `None` if it is not held.
    pub(super) fn held_for(&self, view: &ProcessView<'_>) -> Option<String> {
        view.held?;
        let lacks = self.engine.lacks(view.process);
        if !lacks.is_empty() {
            return Some(lacks.iter().map(Lack::to_string).collect::<Vec<_>>().join(", "));
        }
        let search = self.searches.get(&view.process);
        let things = self.process_config(view.process).map(|config| config.extras.wait_for.as_slice());
        let things = things.unwrap_or_default().iter().map(|thing| thing.text.as_str()).collect::<Vec<_>>().join(", ");
        Some(match search.filter(|search| !search.missing.is_empty()) {
            Some(search) => format!("{things} ({})", search.missing),
            None => things,
        })
    }
}

/// Looks until everything is there at the same time. Tells what is missing whenever that changes.
async fn look(wanted: Wanted, things: Vec<WaitFor>, done: mpsc::UnboundedSender<Done>) {
    let Wanted { process, attempt } = wanted;
    let mut said = String::new();
    loop {
        let answer = all_there(&things).await;
        let is_over = answer.is_ok();
        let is_news = answer.as_ref().err() != Some(&said);
        if let Err(missing) = &answer {
            said.clone_from(missing);
        }
        if is_news {
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::LookedOutside { process, attempt, answer });
        }
        if is_over {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn all_there(things: &[WaitFor]) -> Result<(), String> {
    for thing in things {
        probe::look(&thing.thing).await?;
    }
    Ok(())
}
