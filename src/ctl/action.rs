//! What start, stop and signal have in common: names in, one result line a process out.

use std::collections::BTreeSet;

use super::answer::{self, ResultInfo};
use super::daemon::{Call, CallError};
use super::exit::ExitCode;
use super::explanation;
use super::fact::{Action, Done, Fact, Outcome};
use super::name;
use super::selection::Selection;
use super::shell::{Shell, Started};
use super::target::Target;
use super::trouble::Trouble;
use crate::rpc::{FaultCode, Value};

/// One of the three, ready to be applied.
pub(super) struct Deed<'a> {
    pub action: Action,
    pub one: &'a str,
    pub group: &'a str,
    pub all: &'a str,
    /// What follows the name in the call: the signal.
    pub extra: Option<&'a str>,
    /// The fault that only says that nothing had to be done.
    pub ignored: Option<FaultCode>,
    /// The exit code for a group that is none.
    pub no_such_group: ExitCode,
}

impl Shell {
    /// Applies the deed to what was selected, in its order.
    ///
    /// # Errors
    /// Failures that have no words of their own; what was done before is shown.
    pub(super) fn perform(&mut self, deed: &Deed, selection: &Selection<'_>) -> Result<(), Trouble> {
        let Some(targets) = self.chosen(selection)? else {
            let value = self.ask(deed, deed.all, None, "all")?;
            return self.show_results(deed, &value);
        };
        for target in targets {
            match target {
                Target::Group(group) => self.perform_on_group(deed, &group)?,
                Target::Process(name) => {
                    let answer = self.ask(deed, deed.one, Some(&name), &name);
                    self.show_answer(deed, &name, answer)?;
                }
                Target::Matched(names) => {
                    let method = format!("supervisor.{}", deed.one);
                    let calls: Vec<_> = names.iter().map(|name| (method.clone(), deed.params(Some(name)))).collect();
                    let words: Vec<&str> = names.iter().map(String::as_str).collect();
                    for (name, answer) in names.iter().zip(self.call_together(deed, &calls, &words)) {
                        self.show_answer(deed, name, answer)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn perform_on_group(&mut self, deed: &Deed, group: &str) -> Result<(), Trouble> {
        match self.ask(deed, deed.group, Some(group), &format!("{group}:*")) {
            Ok(value) => self.show_results(deed, &value),
            Err(CallError::Fault(fault)) if fault.code == FaultCode::BadName as i64 => {
                self.problem(format!("{group}: ERROR (no such group)"), Some(group));
                self.set_exit(deed.no_such_group);
                self.suggest(&format!("{group}:"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// One call for what `word` stands for.
    fn ask(&mut self, deed: &Deed, method: &str, name: Option<&str>, word: &str) -> Result<Value, CallError> {
        let call = (format!("supervisor.{method}"), deed.params(name));
        let answer = self.call_together(deed, &[call], &[word]).pop();
        answer.unwrap_or_else(|| Err(CallError::BadAnswer("there is none".to_owned())))
    }

    /// As galaxyctl, says meanwhile what a start waits for.
    fn call_together(&mut self, deed: &Deed, calls: &[Call], words: &[&str]) -> Vec<Result<Value, CallError>> {
        if deed.action != Action::Start || !self.is_galaxyctl() {
            return self.daemon.call_together(calls);
        }
        let (screen, mut told) = (&mut self.screen, BTreeSet::new());
        self.daemon.call_patiently(calls, &mut |daemon| {
            for line in explanation::held(daemon, words) {
                if told.insert(line.clone()) {
                    screen.hint(&line);
                }
            }
        })
    }

    pub(super) fn show_results(&mut self, deed: &Deed, value: &Value) -> Result<(), Trouble> {
        for result in answer::list(value, ResultInfo::read)? {
            let name = name::join(&result.group, &result.name);
            self.show_result(deed.action, deed.ignored, name, result.status, &result.description)?;
        }
        Ok(())
    }

    /// Shows the answer of a method of galaxyd's own that answers with results; `unknown` is what an older daemon cannot do.
    pub(super) fn show_own(
        &mut self,
        deed: &Deed,
        answer: Result<Value, CallError>,
        unknown: &str,
    ) -> Result<(), Trouble> {
        let fault = match answer {
            Ok(value) => return self.show_results(deed, &value),
            Err(CallError::Fault(fault)) => fault,
            Err(error) => return Err(error.into()),
        };
        let text = if fault.code == FaultCode::BadName as i64 {
            let name = fault.text.split_once(": ").map_or(fault.text.as_str(), |(_, name)| name);
            format!("{name}: ERROR (no such process)")
        } else if fault.code == FaultCode::UnknownMethod as i64 {
            format!("ERROR: this daemon knows no {unknown}")
        } else {
            format!("ERROR: {}", fault.text)
        };
        self.problem(text, None);
        self.set_exit(ExitCode::Generic);
        Ok(())
    }

    fn show_answer(&mut self, deed: &Deed, typed: &str, answer: Result<Value, CallError>) -> Result<(), Trouble> {
        let name::Name { group, process } = name::split(typed);
        let name = name::join(group, process.unwrap_or("None"));
        match answer {
            Ok(_) => self.show_result(deed.action, deed.ignored, name, FaultCode::Success as i64, ""),
            Err(CallError::Fault(fault)) => {
                self.show_result(deed.action, deed.ignored, name, fault.code, &fault.text)?;
                if fault.code == FaultCode::BadName as i64 {
                    self.suggest(typed);
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Shows one result and sets the exit code it stands for.
    ///
    /// # Errors
    /// The action has no words for this code.
    pub(super) fn show_result(
        &mut self,
        action: Action,
        ignored: Option<FaultCode>,
        name: String,
        code: i64,
        description: &str,
    ) -> Result<(), Trouble> {
        let Some(outcome) = judge(action, code, description) else {
            return Err(Trouble::UnknownResult { code, name });
        };
        if action == Action::Start {
            self.started.push(Started { name: name.clone(), code });
        }
        self.screen.show(&Fact::Done(Done { action, name, code, outcome }));
        self.set_exit_from(code, ignored);
        Ok(())
    }
}

impl Deed<'_> {
    fn params(&self, name: Option<&str>) -> Vec<Value> {
        name.into_iter().chain(self.extra).map(Value::from).collect()
    }
}

/// The words for a code. Source: supervisor 4.3.0, `supervisorctl.py`, `_startresult`, `_signalresult`, `_clearresult`.
fn judge(action: Action, code: i64, description: &str) -> Option<Outcome> {
    let is = |fault: FaultCode| fault as i64 == code;
    let error = |what| Some(Outcome::Error(what));
    if is(FaultCode::Success) {
        return Some(Outcome::Success);
    }
    if is(FaultCode::BadName) {
        return error("no such process");
    }
    match action {
        Action::Start if is(FaultCode::NoFile) => error("no such file"),
        Action::Start if is(FaultCode::NotExecutable) => error("file is not executable"),
        Action::Start if is(FaultCode::AlreadyStarted) => error("already started"),
        Action::Start if is(FaultCode::SpawnError) => error("spawn error"),
        Action::Start if is(FaultCode::AbnormalTermination) => error("abnormal termination"),
        Action::Stop | Action::Signal if is(FaultCode::BadSignal) => error("bad signal name"),
        Action::Stop | Action::Signal if is(FaultCode::NotRunning) => error("not running"),
        Action::Stop | Action::Signal if is(FaultCode::Failed) => Some(Outcome::Told(description.to_owned())),
        Action::Clear if is(FaultCode::Failed) => error("failed"),
        Action::Wait(_) => {
            let told = description.strip_prefix("FAILED: ").unwrap_or(description);
            Some(Outcome::Told(told.to_owned()))
        }
        Action::Start | Action::Stop | Action::Signal | Action::Clear => None,
    }
}
