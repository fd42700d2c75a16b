//! What an update does, as clients are told: the same before (`galaxyd.planUpdate`) and afterwards.

use super::answers::outcome;
use crate::config::{Consequence, GroupFate, KeyChange};
use crate::engine::Outcome;
use crate::rpc::{FaultCode, Value};

/// What happens to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlook {
    Add,
    Remove,
    /// It is stopped and started.
    Restart,
    /// It did not run and is started.
    Start,
    /// The new values hold from now on, the child goes on.
    Live,
    /// It does not run; the new values wait for its next start.
    NextStart,
}

impl Outlook {
    pub(super) fn word(self) -> &'static str {
        match self {
            Outlook::Add => "add",
            Outlook::Remove => "remove",
            Outlook::Restart => "restart",
            Outlook::Start => "start",
            Outlook::Live => "live",
            Outlook::NextStart => "next start",
        }
    }
}

/// One process.
#[derive(Debug, Clone)]
pub(super) struct ProcessReport {
    pub(super) name: String,
    pub(super) outlook: Outlook,
    pub(super) keys: Vec<KeyChange>,
}

/// One group.
#[derive(Debug, Clone)]
pub(super) struct GroupReport {
    pub(super) group: String,
    pub(super) fate: GroupFate,
    pub(super) keys: Vec<KeyChange>,
    pub(super) processes: Vec<ProcessReport>,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(super) struct UpdateReport {
    pub(super) groups: Vec<GroupReport>,
}

impl UpdateReport {
    /// The struct of both methods. `outcomes` are of the processes that had to stop; of the others there is nothing
    /// that could have failed.
    pub(super) fn value(&self, outcomes: &[Outcome]) -> Value {
        let groups = self.groups.iter().map(|group| {
            let processes = group.processes.iter().map(|process| {
                let told = outcomes.iter().find(|one| one.group == group.group && one.name == process.name);
                let (status, description) = told.map_or((FaultCode::Success as i64, "OK".to_owned()), |one| {
                    outcome(&one.group, &one.name, &one.result)
                });
                Value::object([
                    ("name", process.name.as_str().into()),
                    ("group", group.group.as_str().into()),
                    ("consequence", process.outlook.word().into()),
                    ("keys", keys(&process.keys)),
                    ("status", status.into()),
                    ("description", description.into()),
                ])
            });
            Value::object([
                ("group", group.group.as_str().into()),
                ("change", fate(group.fate).into()),
                ("keys", keys(&group.keys)),
                ("processes", Value::Array(processes.collect())),
            ])
        });
        Value::object([("groups", Value::Array(groups.collect()))])
    }
}

fn fate(fate: GroupFate) -> &'static str {
    match fate {
        GroupFate::Added => "added",
        GroupFate::Removed => "removed",
        GroupFate::Changed => "changed",
        GroupFate::Replaced => "replaced",
        GroupFate::Waits => "waits",
    }
}

/// `{key, consequence}` with `old` and `new` where they are set.
fn keys(keys: &[KeyChange]) -> Value {
    let key = |key: &KeyChange| {
        let consequence = match key.consequence {
            Consequence::Live => "live",
            Consequence::Reload => "reload",
            Consequence::Spawn | Consequence::Membership | Consequence::Group => "restart",
        };
        let mut members = vec![("key", Value::from(key.key.as_str())), ("consequence", consequence.into())];
        members.extend(key.old.as_ref().map(|old| ("old", old.as_str().into())));
        members.extend(key.new.as_ref().map(|new| ("new", new.as_str().into())));
        Value::object(members)
    };
    Value::Array(keys.iter().map(key).collect())
}
