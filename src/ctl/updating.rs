//! What `galaxyd.planUpdate` and `galaxyd.update` answer, read into types.

use super::daemon::CallError;
use super::name;
use crate::rpc::{FaultCode, Value};

/// One key's change; secrets are hidden by the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChangedKey {
    pub key: String,
    pub old: Option<String>,
    pub new: Option<String>,
    /// `live`, `restart` or `reload`.
    pub consequence: String,
}

/// One process of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UpdatedProcess {
    pub group: String,
    pub name: String,
    /// `add`, `remove`, `restart`, `start`, `live` or `next start`.
    pub consequence: String,
    pub keys: Vec<ChangedKey>,
    /// 80, or the fault.
    pub status: i64,
    pub description: String,
}

/// One group of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UpdatedGroup {
    pub group: String,
    /// `added`, `removed`, `changed`, `replaced` or `waits`.
    pub change: String,
    pub keys: Vec<ChangedKey>,
    pub processes: Vec<UpdatedProcess>,
}

impl UpdatedProcess {
    #[must_use]
    pub(super) fn namespec(&self) -> String {
        name::join(&self.group, &self.name)
    }

    #[must_use]
    pub(super) fn has_failed(&self) -> bool {
        self.status != FaultCode::Success as i64
    }
}

/// Reads the whole answer.
///
/// # Errors
/// Something is missing or of another type.
pub(super) fn read(value: &Value) -> Result<Vec<UpdatedGroup>, CallError> {
    list(value, "groups", |group| {
        Ok(UpdatedGroup {
            group: text(group, "group")?,
            change: text(group, "change")?,
            keys: list(group, "keys", key)?,
            processes: list(group, "processes", process)?,
        })
    })
}

fn process(value: &Value) -> Result<UpdatedProcess, CallError> {
    Ok(UpdatedProcess {
        group: text(value, "group")?,
        name: text(value, "name")?,
        consequence: text(value, "consequence")?,
        keys: list(value, "keys", key)?,
        status: value.get("status").and_then(Value::as_int).ok_or_else(|| missing("status"))?,
        description: text(value, "description")?,
    })
}

fn key(value: &Value) -> Result<ChangedKey, CallError> {
    let optional = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(ChangedKey {
        key: text(value, "key")?,
        old: optional("old"),
        new: optional("new"),
        consequence: text(value, "consequence")?,
    })
}

fn list<T>(value: &Value, name: &str, read: impl Fn(&Value) -> Result<T, CallError>) -> Result<Vec<T>, CallError> {
    let all = value.get(name).and_then(Value::as_array).ok_or_else(|| missing(name))?;
    all.iter().map(read).collect()
}

fn text(value: &Value, name: &str) -> Result<String, CallError> {
    value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> CallError {
    CallError::BadAnswer(format!("`{name}` is missing in what an update is said to do"))
}
