//! A model of the worker's journal: what a dying worker leaves to the next.

use std::collections::BTreeMap;

use galaxyd::engine::{Effect, Engine, GroupSpec, Mood, ProcessId, ProcessRecord};
use serde::{Deserialize, Serialize};

use crate::watch::{Kept, promise};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) begun: bool,
    mood: Mood,
    next_id: u64,
    /// In order of creation.
    groups: Vec<(GroupSpec, Vec<ProcessId>)>,
    records: BTreeMap<ProcessId, ProcessRecord>,
}

impl Journal {
    pub(crate) fn new() -> Journal {
        Journal { begun: false, mood: Mood::Running, next_id: 1, groups: Vec::new(), records: BTreeMap::new() }
    }

    /// One frame: all that a turn changed, before any of its effects is performed. `specs` are the groups that the
    /// turn's input described.
    pub(crate) fn write(&mut self, engine: &mut Engine, effects: &[Effect], specs: &[GroupSpec]) -> Kept {
        for effect in effects {
            match effect {
                Effect::GroupAdded { group } => {
                    let spec = specs.iter().find(|spec| spec.name == *group).ok_or("a group from nowhere")?;
                    let members = engine.group(group).ok_or("an added group is not there")?.members.to_vec();
                    self.groups.push((spec.clone(), members));
                }
                Effect::GroupChanged { group, .. } => {
                    let Some(spec) = engine.spec(group) else { continue };
                    let view = engine.group(group).ok_or("a changed group is not there")?;
                    let members = [view.members, view.beside].concat();
                    for known in self.groups.iter_mut().filter(|(known, _)| known.name == *group) {
                        *known = (spec.clone(), members.clone());
                    }
                }
                Effect::GroupRemoved { group, .. } => self.groups.retain(|(spec, _)| spec.name != *group),
                _ => {}
            }
        }
        for process in engine.take_dirty() {
            match engine.record(process) {
                Some(record) => self.records.insert(process, record),
                None => self.records.remove(&process),
            };
        }
        self.begun = true;
        self.mood = engine.mood();
        self.next_id = engine.next_id();
        Ok(())
    }

    /// A new engine from what was written, by way of the text that a file would hold.
    pub(crate) fn read(&self) -> Kept<Engine> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let journal: Journal = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        promise!(journal == *self, "the journal reads back otherwise: {text}");
        let groups = journal.groups.iter().map(|(spec, members)| {
            let records = members.iter().filter_map(|process| journal.records.get(process).cloned()).collect();
            (spec.clone(), records)
        });
        let engine = Engine::restore(journal.mood, groups.collect(), journal.next_id);
        for (process, record) in &self.records {
            promise!(engine.record(*process).as_ref() == Some(record), "{process:?} is restored otherwise");
        }
        let names: Vec<_> = engine.groups().map(|group| group.name).collect();
        let written: Vec<_> = self.groups.iter().map(|(spec, _)| spec.name.as_str()).collect();
        promise!(names == written, "groups {written:?} are restored as {names:?}");
        promise!(engine.mood() == self.mood, "the mood is lost");
        Ok(engine)
    }
}
