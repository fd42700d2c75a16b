//! An operation as the daemon tells of it, and as it is shown.

use jiff::tz::TimeZone;
use serde_json::json;

use super::answer;
use super::daemon::CallError;
use super::happening::local;
use crate::rpc::{Value, printable};

/// One process of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StepInfo {
    pub(super) name: String,
    pub(super) program: String,
    pub(super) strategy: String,
    /// Why this strategy; empty: it was asked for.
    pub(super) reason: String,
    pub(super) phase: String,
    pub(super) note: String,
    pub(super) seconds: f64,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OperationInfo {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) asker: String,
    /// Seconds since 1970.
    pub(super) began: i64,
    pub(super) seconds: f64,
    pub(super) state: String,
    pub(super) verdict: String,
    pub(super) requests: i64,
    pub(super) failed_requests: i64,
    pub(super) steps: Vec<StepInfo>,
}

impl OperationInfo {
    /// Reads one struct.
    ///
    /// # Errors
    /// A member is missing or of another type.
    pub(super) fn read(value: &Value) -> Result<OperationInfo, CallError> {
        Ok(OperationInfo {
            id: answer::int(value, "id")?,
            kind: answer::text(value, "kind")?,
            asker: answer::text(value, "asker")?,
            began: answer::int(value, "began")?,
            seconds: seconds(value)?,
            state: answer::text(value, "state")?,
            verdict: answer::text(value, "verdict")?,
            requests: answer::int(value, "requests")?,
            failed_requests: answer::int(value, "failed_requests")?,
            steps: answer::list(answer::member(value, "steps")?, StepInfo::read)?,
        })
    }

    /// Whether nothing comes any more.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.state.as_str(), "active" | "cancelling")
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == "done"
    }

    pub(super) fn json(&self) -> serde_json::Value {
        json!({
            "id": self.id,
            "kind": self.kind,
            "asker": self.asker,
            "began": self.began,
            "seconds": self.seconds,
            "state": self.state,
            "verdict": self.verdict,
            "requests": self.requests,
            "failed_requests": self.failed_requests,
            "steps": self.steps.iter().map(StepInfo::json).collect::<Vec<_>>(),
        })
    }

    /// One line: `3  done  graceful  2026-11-30 13:00:00  Rolled 3 of 3 in 41 s, 0 of 812 requests failed`.
    pub(super) fn line(&self, zone: &TimeZone) -> String {
        let OperationInfo { id, state, kind, verdict, .. } = self;
        printable(&format!("{id}  {state}  {kind}  {}  {verdict}", local(self.began, zone)))
    }
}

impl StepInfo {
    fn read(value: &Value) -> Result<StepInfo, CallError> {
        Ok(StepInfo {
            name: answer::text(value, "name")?,
            program: answer::text(value, "program")?,
            strategy: answer::text(value, "strategy")?,
            reason: answer::text(value, "reason")?,
            phase: answer::text(value, "phase")?,
            note: answer::text(value, "note")?,
            seconds: seconds(value)?,
        })
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "program": self.program,
            "strategy": self.strategy,
            "reason": self.reason,
            "phase": self.phase,
            "note": self.note,
            "seconds": self.seconds,
        })
    }

    /// Whether nothing is done to it any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase.as_str(), "done" | "failed" | "left alone" | "not reached")
    }

    pub(super) fn has_failed(&self) -> bool {
        self.phase == "failed"
    }

    /// One line: `galaxy:web_0: done by rolling in 12.3 s`.
    pub(super) fn line(&self) -> String {
        let StepInfo { name, phase, strategy, note, seconds, .. } = self;
        let time = if *seconds > 0.0 { format!(" by {strategy} in {seconds:.1} s") } else { String::new() };
        let note = if note.is_empty() { String::new() } else { format!(": {note}") };
        printable(&format!("{name}: {phase}{time}{note}"))
    }
}

fn seconds(value: &Value) -> Result<f64, CallError> {
    match answer::member(value, "seconds")? {
        Value::Double(seconds) => Ok(*seconds),
        _ => Err(CallError::BadAnswer("`seconds` is no number".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_line() {
        let step = |phase: &str, seconds, note: &str| StepInfo {
            name: "galaxy:web_0".to_owned(),
            program: "program:web".to_owned(),
            strategy: "rolling".to_owned(),
            reason: String::new(),
            phase: phase.to_owned(),
            note: note.to_owned(),
            seconds,
        };
        assert_eq!(step("done", 12.34, "").line(), "galaxy:web_0: done by rolling in 12.3 s");
        assert_eq!(
            step("failed", 2.0, "it\u{1b}ended").line(),
            "galaxy:web_0: failed by rolling in 2.0 s: it\\u{1b}ended"
        );
        assert_eq!(step("left alone", 0.0, "it does not run").line(), "galaxy:web_0: left alone: it does not run");
    }
}
