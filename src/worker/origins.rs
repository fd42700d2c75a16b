//! What the present children were made from: taken by a side thread after each fork, kept in the journal for successors.
//!
//! One thread takes them, a few at a time: one that hangs in a file system costs no more than that what started since is
//! never called stale.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::ledger::Ledger;
use super::origin::{Marks, OriginRecord, PlanSums};
use super::spawning::Wanted;
use super::worker::{Done, Worker};
use crate::config::find_command;
use crate::engine::ProcessId;
use crate::sys::side;

/// So many are taken by one task.
const TOGETHER_MAX: usize = 64;

/// The origins of all children.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The latest run's of each.
    pub(super) records: Ledger<ProcessId, OriginRecord>,
    /// To be taken.
    seeds: BTreeMap<ProcessId, (u32, PlanSums)>,
    is_taking: bool,
    /// Held by the one look at all of them that is under way.
    pub(super) look: Arc<Mutex<()>>,
}

impl Origins {
    /// Goes on with a predecessor's records.
    pub(super) fn resume(records: Vec<OriginRecord>) -> Origins {
        let records = Ledger::resume(records, |record| record.process);
        Origins { records, ..Origins::default() }
    }

    /// What this run was made from; `None`: nobody could tell.
    pub(super) fn of(&self, process: ProcessId, attempt: u32) -> Option<&OriginRecord> {
        self.records.get(process).filter(|record| record.attempt == attempt)
    }
}

impl Worker {
    /// A run was handed to the keeper.
    pub(super) fn seed_origin(&mut self, run: Wanted, sums: PlanSums) {
        self.origins.seeds.insert(run.process, (run.attempt, sums));
        self.take_origins();
    }

    fn take_origins(&mut self) {
        if self.origins.is_taking || self.origins.seeds.is_empty() {
            return;
        }
        let mut batch = Vec::new();
        while batch.len() < TOGETHER_MAX
            && let Some((process, (attempt, sums))) = self.origins.seeds.pop_first()
        {
            let config = self.process_config(process).cloned();
            batch.extend(config.map(|config| (Wanted { process, attempt }, sums, config)));
        }
        self.origins.is_taking = true;
        let (source, heritage) = (self.call.source.clone(), self.heritage.clone());
        let done = self.done_sender.clone();
        side::run(move || {
            let mut marks = Marks::default();
            let taken = batch.into_iter().filter_map(|(run, sums, config)| {
                let program = find_command(&config, heritage.path()).ok()?.file;
                Some(OriginRecord::take(run, (sums, Path::new(&program)), &config, &source, &mut marks))
            });
            let taken = taken.collect();
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::OriginsTaken(taken));
        });
    }

    pub(super) fn origins_taken(&mut self, taken: Vec<OriginRecord>) {
        for record in taken {
            let process = record.process;
            if self.engine.process(process).is_some_and(|view| view.attempt == record.attempt) {
                self.origins.records.put(process, record);
            }
        }
        self.origins.is_taking = false;
        self.take_origins();
    }

    /// For a whole journal: of those that still exist.
    pub(super) fn origin_records(&mut self) -> Vec<OriginRecord> {
        let Worker { origins, engine, .. } = self;
        origins.records.retain(|process, _| engine.process(process).is_some());
        origins.records.all()
    }
}
