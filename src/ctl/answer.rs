//! The daemon's answers, read into types. What is missing or of another type makes the whole
//! answer bad: nothing is guessed.

use super::daemon::CallError;
use super::explanation::Explanation;
use super::name;
use crate::rpc::Value;

/// One process as `getProcessInfo` describes it. Times are seconds since 1970, 0 for never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    pub group: String,
    pub name: String,
    pub description: String,
    /// Supervisor's number of the state.
    pub state: i64,
    pub statename: String,
    /// 0: does not run.
    pub pid: i64,
    pub start: i64,
    pub stop: i64,
    pub now: i64,
    pub exitstatus: i64,
    pub spawnerr: String,
    pub stdout_logfile: String,
    pub stderr_logfile: String,
    /// Why it is in its state, where that was asked for and the daemon knows.
    pub explanation: Option<Explanation>,
}

/// A pool of event listeners as `galaxyd.getListenerPools` describes it. Counts are of all time but for `waiting`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListenerPool {
    pub(super) name: String,
    pub(super) buffer_size: i64,
    pub(super) waiting: i64,
    pub(super) dropped: i64,
    pub(super) processed: i64,
    pub(super) requeued: i64,
    pub(super) renewed: i64,
}

impl ListenerPool {
    /// Reads one struct.
    ///
    /// # Errors
    /// A member is missing or of another type.
    pub(super) fn read(value: &Value) -> Result<Self, CallError> {
        Ok(Self {
            name: text(value, "name")?,
            buffer_size: int(value, "buffer_size")?,
            waiting: int(value, "waiting")?,
            dropped: int(value, "dropped")?,
            processed: int(value, "processed")?,
            requeued: int(value, "requeued")?,
            renewed: int(value, "renewed")?,
        })
    }
}

/// The number of the state RUNNING.
pub(super) const RUNNING: i64 = 20;

impl ProcessInfo {
    /// `group:process`, or just the name.
    #[must_use]
    pub fn namespec(&self) -> String {
        name::join(&self.group, &self.name)
    }

    /// STOPPED, EXITED, FATAL or UNKNOWN.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 0 | 100 | 200 | 1000)
    }

    /// BACKOFF or FATAL.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(self.state, 30 | 200)
    }

    /// Reads one struct.
    ///
    /// # Errors
    /// A member is missing or of another type.
    pub fn read(value: &Value) -> Result<Self, CallError> {
        Ok(Self {
            group: text(value, "group")?,
            name: text(value, "name")?,
            description: text(value, "description")?,
            state: int(value, "state")?,
            statename: text(value, "statename")?,
            pid: int(value, "pid")?,
            start: int(value, "start")?,
            stop: int(value, "stop")?,
            now: int(value, "now")?,
            exitstatus: int(value, "exitstatus")?,
            spawnerr: text(value, "spawnerr")?,
            stdout_logfile: text(value, "stdout_logfile")?,
            stderr_logfile: text(value, "stderr_logfile")?,
            explanation: None,
        })
    }
}

/// One result of a call that does something to several processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultInfo {
    pub group: String,
    pub name: String,
    /// A fault's code; 80 for success.
    pub status: i64,
    pub description: String,
}

impl ResultInfo {
    /// Reads one struct.
    ///
    /// # Errors
    /// A member is missing or of another type.
    pub fn read(value: &Value) -> Result<Self, CallError> {
        Ok(Self {
            group: text(value, "group")?,
            name: text(value, "name")?,
            status: int(value, "status")?,
            description: text(value, "description")?,
        })
    }
}

/// One process of the pending configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigInfo {
    pub group: String,
    pub name: String,
    pub inuse: bool,
    pub autostart: bool,
    pub group_prio: i64,
    pub process_prio: i64,
}

impl ConfigInfo {
    /// Reads one struct.
    ///
    /// # Errors
    /// A member is missing or of another type.
    pub fn read(value: &Value) -> Result<Self, CallError> {
        Ok(Self {
            group: text(value, "group")?,
            name: text(value, "name")?,
            inuse: member(value, "inuse")?.is_truthy(),
            autostart: member(value, "autostart")?.is_truthy(),
            group_prio: int(value, "group_prio")?,
            process_prio: int(value, "process_prio")?,
        })
    }
}

/// The groups that `reloadConfig` found different, in the daemon's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

impl Changes {
    /// Reads `[[added, changed, removed]]`.
    ///
    /// # Errors
    /// The answer has another shape.
    pub fn read(value: &Value) -> Result<Self, CallError> {
        let bad = || CallError::BadAnswer(format!("reloadConfig answered {value:?}"));
        let [Value::Array(three)] = value.as_array().ok_or_else(bad)? else { return Err(bad()) };
        let [added, changed, removed] = three.as_slice() else { return Err(bad()) };
        let names = |value: &Value| -> Result<Vec<String>, CallError> {
            value
                .as_array()
                .ok_or_else(bad)?
                .iter()
                .map(|one| one.as_str().map(str::to_owned).ok_or_else(bad))
                .collect()
        };
        Ok(Self { added: names(added)?, changed: names(changed)?, removed: names(removed)? })
    }
}

/// Reads every element of an array.
///
/// # Errors
/// It is none, or an element is not as it should be.
pub(super) fn list<T>(value: &Value, read: impl Fn(&Value) -> Result<T, CallError>) -> Result<Vec<T>, CallError> {
    value
        .as_array()
        .ok_or_else(|| CallError::BadAnswer(format!("a {} instead of a list", value.type_name())))?
        .iter()
        .map(read)
        .collect()
}

pub(super) fn member<'a>(value: &'a Value, name: &str) -> Result<&'a Value, CallError> {
    value.get(name).ok_or_else(|| CallError::BadAnswer(format!("`{name}` is missing")))
}

pub(super) fn text(value: &Value, name: &str) -> Result<String, CallError> {
    let member = member(value, name)?;
    let text = member.as_str().ok_or_else(|| wrong_type(name, "string", member))?;
    Ok(text.to_owned())
}

pub(super) fn int(value: &Value, name: &str) -> Result<i64, CallError> {
    let member = member(value, name)?;
    member.as_int().ok_or_else(|| wrong_type(name, "int", member))
}

fn wrong_type(name: &str, wanted: &str, found: &Value) -> CallError {
    CallError::BadAnswer(format!("`{name}` is a {} instead of a {wanted}", found.type_name()))
}
