//! Waiting until processes are something, and what is said of those that did not become so.

use super::answer::{self, ResultInfo};
use super::daemon::CallError;
use super::explanation::Explanation;
use super::fact::Action;
use super::name;
use super::shell::{Shell, Started};
use super::trouble::Trouble;
use crate::engine::Condition;
use crate::rpc::{FaultCode, Value};

/// So many of the last lines of a log are shown.
const LINES_MAX: usize = 5;

/// They are looked for in so many of its last bytes.
const LINES_BYTES: i64 = 2000;

/// What of a process could not be what was wanted.
const FAILED: [FaultCode; 3] = [FaultCode::SpawnError, FaultCode::AbnormalTermination, FaultCode::Failed];

impl Shell {
    /// Waits, and tells of each process what came of it.
    ///
    /// # Errors
    /// The daemon does not know the call, or cannot be asked.
    pub(super) fn wait_for(&mut self, names: Vec<String>, condition: Condition, seconds: i64) -> Result<(), Trouble> {
        let params = [Value::from(names), condition.word().into(), seconds.into()];
        let value = self.daemon.call("galaxyd.waitFor", &params)?;
        for result in answer::list(&value, ResultInfo::read)? {
            let name = name::join(&result.group, &result.name);
            let action = Action::Wait(condition.word());
            self.show_result(action, None, name.clone(), result.status, &result.description)?;
            if FAILED.iter().any(|code| *code as i64 == result.status) {
                self.show_last_words(&name);
            }
        }
        Ok(())
    }

    /// As galaxyctl, after a start: waits for the readiness of those that have `ready`, and says of those that failed why.
    pub(super) fn follow_up_starts(&mut self) {
        let started = std::mem::take(&mut self.started);
        if !self.is_galaxyctl() {
            return;
        }
        let (up, down): (Vec<Started>, Vec<Started>) =
            started.into_iter().partition(|one| one.code == FaultCode::Success as i64);
        for one in down.iter().filter(|one| FAILED.iter().any(|code| *code as i64 == one.code)) {
            self.show_last_words(&one.name);
        }
        if up.is_empty() {
            return;
        }
        let names: Vec<String> = up.into_iter().map(|one| one.name).collect();
        // A daemon of before asks nobody; and what was started is told already, so a failure here is none of the command.
        let Ok(asked) = self.daemon.call("galaxyd.getReadiness", &[names.into()]) else { return };
        let Ok(asked) =
            answer::list(&asked, |one| Ok(name::join(&answer::text(one, "group")?, &answer::text(one, "name")?)))
        else {
            return;
        };
        if !asked.is_empty()
            && let Err(trouble) = self.wait_for(asked, Condition::Ready, 0)
        {
            self.report(&trouble);
        }
    }

    /// On standard error: why a process is in its state, and what it said last.
    pub(super) fn show_last_words(&mut self, name: &str) {
        let explained: Result<Explanation, CallError> =
            self.daemon.call("galaxyd.explainProcess", &[name.into()]).and_then(|value| Explanation::read(&value));
        let Ok(explanation) = explained else { return };
        let mut lines: Vec<String> = explanation.lines().lines().map(str::to_owned).collect();
        if explanation.last_words.is_empty() {
            for method in ["tailProcessStderrLog", "tailProcessStdoutLog"] {
                lines.extend(self.last_lines(method, name));
            }
        }
        for line in lines {
            self.screen.hint(&line);
        }
    }

    /// The last lines of a log; none if there is no log.
    fn last_lines(&mut self, method: &str, name: &str) -> Vec<String> {
        let Ok(value) = self.call(method, &[name.into(), 0.into(), LINES_BYTES.into()]) else { return Vec::new() };
        let text = value.as_array().and_then(|parts| parts.first()).and_then(Value::as_str).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LINES_MAX));
        last.map(|line| format!("    log: {line}")).collect()
    }
}
