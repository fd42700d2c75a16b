//! Which processes run what a restart would not give, as the daemon says when it is asked.

use serde_json::json;

use super::answer::{self, ProcessInfo};
use super::daemon::CallError;
use super::explanation::Explanation;
use super::shell::Shell;
use crate::rpc::{FaultCode, Value, printable};

/// One reason why a process is stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    /// `configuration`, `command`, `environment`, `program`, `file` or `galaxy`.
    pub(super) kind: String,
    pub(super) detail: String,
}

/// What is stale of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stale {
    group: String,
    name: String,
    reasons: Vec<Reason>,
    next: String,
}

impl Reason {
    fn read(value: &Value) -> Result<Self, CallError> {
        Ok(Self { kind: answer::text(value, "kind")?, detail: answer::text(value, "detail")? })
    }

    pub(super) fn json(&self) -> serde_json::Value {
        json!({ "kind": self.kind, "detail": self.detail })
    }
}

impl Stale {
    /// The sentence about one kind of reason, if this is about that process.
    pub(super) fn reason(&self, group: &str, name: &str, kind: &str) -> Option<&str> {
        let mut reasons = self.reasons.iter().filter(|_| self.group == group && self.name == name);
        reasons.find(|reason| reason.kind == kind).map(|reason| reason.detail.as_str())
    }

    fn read(value: &Value) -> Result<Self, CallError> {
        Ok(Self {
            group: answer::text(value, "group")?,
            name: answer::text(value, "name")?,
            reasons: answer::list(answer::member(value, "reasons")?, Reason::read)?,
            next: answer::text(value, "next")?,
        })
    }
}

impl Shell {
    /// Those that are stale; nothing from a daemon that does not know the question. That nobody can tell is no failure of
    /// the command, but said.
    pub(super) fn stale(&mut self) -> Vec<Stale> {
        let told = self.daemon.call("galaxyd.getStaleness", &[]).and_then(|value| answer::list(&value, Stale::read));
        match told {
            Ok(stale) => stale,
            Err(CallError::Fault(fault)) if fault.code == FaultCode::Failed as i64 => {
                self.screen.hint(&format!("galaxyctl: nobody knows what is stale: {}", printable(&fault.text)));
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }
}

/// Adds what is stale to the explanations; where nothing else is to be done, the next command is about that.
pub(super) fn attach(explanations: &mut [Explanation], stale: &[Stale]) {
    for one in explanations {
        if let Some(stale) = stale.iter().find(|stale| stale.group == one.group && stale.name == one.name) {
            one.stale.clone_from(&stale.reasons);
            if one.next.is_empty() {
                one.next.clone_from(&stale.next);
            }
        }
    }
}

/// The kinds of reasons of a process, each once, for a column.
pub(super) fn kinds(process: &ProcessInfo) -> String {
    let reasons = process.explanation.iter().flat_map(|explanation| &explanation.stale);
    let mut kinds: Vec<&str> = reasons.map(|reason| reason.kind.as_str()).collect();
    kinds.dedup();
    kinds.join(", ")
}
