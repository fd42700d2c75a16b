//! What the page lets do, as the methods of the RPC interface, and the texts it answers with.
//!
//! Source: supervisor 4.3, web.py, `make_callback()`; starting all, and actions on groups, are ours.

use super::form::Form;
use super::percent;
use crate::rpc::{Fault, FaultCode, Method, Value};

/// Members of a group that a message names before it only counts.
const NAMED_MAX: usize = 5;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Refresh,
    All(Verb),
    /// A process, as the client named it.
    Process(Verb, String),
    Group(Verb, String),
}

/// What is done to one or more processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Start,
    Stop,
    Restart,
    /// Never of a group or of all.
    ClearLog,
}

/// The request names no action that there is, or an action on a process without a process. Supervisor answers HTTP 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownAction;

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub text: String,
    pub failed: bool,
}

impl Action {
    /// The action that a request asks for; `None` if it only wants to see the page.
    ///
    /// # Errors
    /// If it asks for one that cannot be.
    pub fn of(form: &Form) -> Result<Option<Action>, UnknownAction> {
        let Some(word) = form.get("action") else { return Ok(None) };
        let process = || form.get("processname").map(str::to_owned).ok_or(UnknownAction);
        let group = || form.get("groupname").map(str::to_owned).ok_or(UnknownAction);
        Ok(Some(match word {
            "refresh" => Action::Refresh,
            "startall" => Action::All(Verb::Start),
            "stopall" => Action::All(Verb::Stop),
            "restartall" => Action::All(Verb::Restart),
            "start" => Action::Process(Verb::Start, process()?),
            "stop" => Action::Process(Verb::Stop, process()?),
            "restart" => Action::Process(Verb::Restart, process()?),
            "clearlog" => Action::Process(Verb::ClearLog, process()?),
            "startgroup" => Action::Group(Verb::Start, group()?),
            "stopgroup" => Action::Group(Verb::Stop, group()?),
            "restartgroup" => Action::Group(Verb::Restart, group()?),
            _ => return Err(UnknownAction),
        }))
    }

    /// The URL that asks for it, relative to the page.
    #[must_use]
    pub fn url(&self) -> String {
        let word = match self {
            Action::Refresh => "refresh",
            Action::All(verb) | Action::Process(verb, _) | Action::Group(verb, _) => verb.word(),
        };
        match self {
            Action::Refresh => "index.html?action=refresh".to_owned(),
            Action::All(_) => format!("index.html?action={word}all"),
            Action::Process(_, name) => format!("index.html?processname={}&action={word}", percent::quote(name)),
            Action::Group(_, name) => format!("index.html?groupname={}&action={word}group", percent::quote(name)),
        }
    }

    /// For a button that stands alone: `Stop galaxy:web`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Action::Refresh => "Refresh".to_owned(),
            Action::All(verb) => format!("{} All", verb.label()),
            Action::Process(verb, name) => format!("{} {name}", verb.label()),
            Action::Group(verb, name) => format!("{} group {name}", verb.label()),
        }
    }

    /// The calls to make, one after the other. None for a name that cannot be a process's.
    #[must_use]
    pub fn calls(&self) -> Vec<Method> {
        let (verb, calls): (Verb, fn(&str) -> [Method; 2]) = match self {
            Action::Refresh => return Vec::new(),
            Action::Process(_, name) if names_a_group(name) => return Vec::new(),
            Action::Process(Verb::ClearLog, name) => return vec![Method::ClearProcessLogs { name: name.clone() }],
            Action::All(verb) => {
                (*verb, |_| [Method::StopAllProcesses { wait: true }, Method::StartAllProcesses { wait: true }])
            }
            Action::Process(verb, _) => (*verb, |name| {
                [
                    Method::StopProcess { name: name.to_owned(), wait: true },
                    Method::StartProcess { name: name.to_owned(), wait: true },
                ]
            }),
            Action::Group(verb, _) => (*verb, |name| {
                [
                    Method::StopProcessGroup { name: name.to_owned(), wait: true },
                    Method::StartProcessGroup { name: name.to_owned(), wait: true },
                ]
            }),
        };
        let name = match self {
            Action::Process(_, name) | Action::Group(_, name) => name.as_str(),
            Action::Refresh | Action::All(_) => "",
        };
        let [stop, start] = calls(name);
        match verb {
            Verb::Stop => vec![stop],
            Verb::Start => vec![start],
            Verb::Restart => vec![stop, start],
            Verb::ClearLog => Vec::new(),
        }
    }

    /// What to tell of the answers to [`Action::calls`]. `time` is the present one as C's `ctime` writes it.
    #[must_use]
    pub fn outcome(&self, answers: &[Result<Value, Fault>], time: &str) -> Outcome {
        match self {
            Action::Refresh => Outcome::good(format!("Page refreshed at {time}")),
            Action::Process(_, name) if answers.is_empty() => Outcome::bad(no_such_process(name)),
            Action::Process(verb, name) => of_process(*verb, name, answers),
            Action::All(Verb::Start) => of_several(answers, "", || format!("All started at {time}")),
            // As Supervisor's, whatever came of it: the table says.
            Action::All(Verb::Stop) => Outcome::good(format!("All stopped at {time}")),
            Action::All(_) => Outcome::good(format!("All restarted at {time}")),
            Action::Group(verb, name) => {
                of_several(answers, &format!("Group {name}: "), || format!("Group {name} {}", verb.past()))
            }
        }
    }
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
            Verb::ClearLog => "clearlog",
        }
    }

    /// The text of Supervisor's link.
    pub(super) fn label(self) -> &'static str {
        match self {
            Verb::Start => "Start",
            Verb::Stop => "Stop",
            Verb::Restart => "Restart",
            Verb::ClearLog => "Clear Log",
        }
    }

    fn past(self) -> &'static str {
        match self {
            Verb::Start => "started",
            Verb::Stop => "stopped",
            Verb::Restart => "restarted",
            Verb::ClearLog => "cleared",
        }
    }
}

impl Outcome {
    fn good(text: String) -> Outcome {
        Outcome { text, failed: false }
    }

    fn bad(text: String) -> Outcome {
        Outcome { text, failed: true }
    }
}

/// Whether methods would take the name for a whole group, which Supervisor's page does not do.
fn names_a_group(name: &str) -> bool {
    matches!(name.split_once(':'), Some((_, "" | "*")))
}

fn no_such_process(name: &str) -> String {
    format!("No such process named {name}")
}

fn unexpected(fault: &Fault) -> String {
    format!("unexpected rpc fault [{}] {}", fault.code, fault.text)
}

fn of_process(verb: Verb, name: &str, answers: &[Result<Value, Fault>]) -> Outcome {
    // Of a restart the start decides: a process that did not run cannot be stopped, and need not be.
    let fault = answers.last().and_then(|answer| answer.as_ref().err());
    match (fault, verb) {
        (None, Verb::ClearLog) => Outcome::good(format!("Log for {name} cleared")),
        (None, _) => Outcome::good(format!("Process {name} {}", verb.past())),
        (Some(fault), _) if fault.code == FaultCode::BadName.number() => Outcome::bad(no_such_process(name)),
        // Differs: Supervisor says `restarted` even then.
        (Some(fault), Verb::Start | Verb::Restart) => {
            Outcome::bad(format!("ERROR: Process {name}: {}", start_error(fault)))
        }
        (Some(fault), Verb::Stop | Verb::ClearLog) => Outcome::bad(unexpected(fault)),
    }
}

fn start_error(fault: &Fault) -> String {
    match FaultCode::from_number(fault.code) {
        Some(FaultCode::NoFile) => "no such file".to_owned(),
        Some(FaultCode::NotExecutable) => "file not executable".to_owned(),
        Some(FaultCode::AlreadyStarted) => "already started".to_owned(),
        Some(FaultCode::SpawnError) => "spawn error".to_owned(),
        Some(FaultCode::AbnormalTermination) => "abnormal termination".to_owned(),
        _ => unexpected(fault),
    }
}

/// `done`, or an error that names the processes which failed.
fn of_several(answers: &[Result<Value, Fault>], subject: &str, done: impl FnOnce() -> String) -> Outcome {
    let results = match answers.last() {
        Some(Err(fault)) if fault.code == FaultCode::BadName.number() => {
            return Outcome::bad(format!("ERROR: {subject}no such group"));
        }
        Some(Err(fault)) => return Outcome::bad(format!("ERROR: {subject}{}", unexpected(fault))),
        Some(Ok(results)) => results.as_array().unwrap_or_default(),
        None => &[],
    };
    let failed: Vec<String> = results.iter().filter_map(failure).collect();
    if failed.is_empty() {
        return Outcome::good(done());
    }
    let named = failed.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = match failed.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Outcome::bad(format!("ERROR: {subject}{named}{more}"))
}

/// `name: why` of one process's result; `None` if it is good.
fn failure(result: &Value) -> Option<String> {
    let text = |member: &str| result.get(member).and_then(Value::as_str).unwrap_or_default();
    let code = result.get("status").and_then(Value::as_int).filter(|code| *code != FaultCode::Success.number())?;
    let (group, name) = (text("group"), text("name"));
    let namespec = if group == name { name.to_owned() } else { format!("{group}:{name}") };
    Some(format!("{namespec}: {}", start_error(&Fault { code, text: text("description").to_owned() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(query: &str) -> Result<Option<Action>, UnknownAction> {
        Action::of(&Form::parse(query, b""))
    }

    fn told(query: &str, answers: &[Result<Value, Fault>]) -> String {
        action(query).unwrap().unwrap().outcome(answers, "NOW").text
    }

    fn fault(code: FaultCode) -> Result<Value, Fault> {
        Err(Fault::with(code, "web"))
    }

    fn result(name: &str, code: FaultCode) -> Value {
        Value::object([
            ("group", "g".into()),
            ("name", name.into()),
            ("status", code.number().into()),
            ("description", code.name().into()),
        ])
    }

    #[test]
    fn requests_become_actions_and_actions_urls() {
        assert_eq!(action(""), Ok(None));
        assert_eq!(action("processname=x"), Ok(None));
        for query in [
            "action=refresh",
            "action=startall",
            "action=stopall",
            "action=restartall",
            "processname=a%3Ab&action=start",
            "processname=a&action=stop",
            "processname=a&action=restart",
            "processname=a&action=clearlog",
            "groupname=g&action=startgroup",
            "groupname=g&action=stopgroup",
            "groupname=g&action=restartgroup",
        ] {
            let action = action(query).unwrap().unwrap();
            assert_eq!(action.url(), format!("index.html?{query}"));
        }
        for query in [
            "action=foo",
            "action=start",
            "action=foo&processname=a",
            "action=stopgroup&processname=a",
            "action=START&processname=a",
        ] {
            assert_eq!(action(query), Err(UnknownAction), "{query}");
        }
    }

    #[test]
    fn actions_are_the_methods_that_clients_call() {
        for (query, names) in [
            ("action=refresh", &[][..]),
            ("action=stopall", &["supervisor.stopAllProcesses"]),
            ("action=restartall", &["supervisor.stopAllProcesses", "supervisor.startAllProcesses"]),
            ("action=startall", &["supervisor.startAllProcesses"]),
            ("action=start&processname=a", &["supervisor.startProcess"]),
            ("action=restart&processname=a", &["supervisor.stopProcess", "supervisor.startProcess"]),
            ("action=clearlog&processname=a", &["supervisor.clearProcessLogs"]),
            ("action=stopgroup&groupname=g", &["supervisor.stopProcessGroup"]),
            ("action=start&processname=g:*", &[]),
            ("action=clearlog&processname=g:", &[]),
        ] {
            let calls: Vec<_> = action(query).unwrap().unwrap().calls().iter().map(Method::name).collect();
            assert_eq!(calls, names, "{query}");
        }
    }

    #[test]
    fn the_texts_are_supervisors() {
        use FaultCode as F;
        let good = || Ok(Value::Bool(true));
        for (query, answers, text) in [
            ("action=refresh", vec![], "Page refreshed at NOW"),
            ("action=stopall", vec![good()], "All stopped at NOW"),
            ("action=restartall", vec![good(), good()], "All restarted at NOW"),
            ("action=start&processname=web", vec![good()], "Process web started"),
            ("action=start&processname=web", vec![fault(F::NoFile)], "ERROR: Process web: no such file"),
            ("action=start&processname=web", vec![fault(F::NotExecutable)], "ERROR: Process web: file not executable"),
            ("action=start&processname=web", vec![fault(F::AlreadyStarted)], "ERROR: Process web: already started"),
            ("action=start&processname=web", vec![fault(F::SpawnError)], "ERROR: Process web: spawn error"),
            (
                "action=start&processname=web",
                vec![fault(F::AbnormalTermination)],
                "ERROR: Process web: abnormal termination",
            ),
            (
                "action=start&processname=web",
                vec![fault(F::Failed)],
                "ERROR: Process web: unexpected rpc fault [30] FAILED: web",
            ),
            ("action=start&processname=web", vec![fault(F::BadName)], "No such process named web"),
            ("action=start&processname=web:*", vec![], "No such process named web:*"),
            ("action=stop&processname=web", vec![good()], "Process web stopped"),
            ("action=stop&processname=web", vec![fault(F::NotRunning)], "unexpected rpc fault [70] NOT_RUNNING: web"),
            ("action=restart&processname=web", vec![fault(F::NotRunning), good()], "Process web restarted"),
            ("action=clearlog&processname=web", vec![good()], "Log for web cleared"),
            ("action=clearlog&processname=web", vec![fault(F::Failed)], "unexpected rpc fault [30] FAILED: web"),
        ] {
            assert_eq!(told(query, &answers), text, "{query}");
        }
    }

    #[test]
    fn a_restart_that_failed_says_so() {
        let answers = [Ok(Value::Bool(true)), fault(FaultCode::SpawnError)];
        assert_eq!(told("action=restart&processname=web", &answers), "ERROR: Process web: spawn error");
    }

    #[test]
    fn of_a_group_those_are_named_that_failed() {
        let all = |results: Vec<Value>| [Ok(Value::Array(results))];
        let good = all(vec![result("a", FaultCode::Success)]);
        assert_eq!(told("action=startgroup&groupname=g", &good), "Group g started");
        let mixed = all(vec![result("a", FaultCode::Success), result("b", FaultCode::SpawnError)]);
        assert_eq!(told("action=startgroup&groupname=g", &mixed), "ERROR: Group g: g:b: spawn error");
        assert_eq!(told("action=startall", &mixed), "ERROR: g:b: spawn error");
        let many = all((0..7).map(|number| result(&number.to_string(), FaultCode::SpawnError)).collect());
        assert!(told("action=startgroup&groupname=g", &many).ends_with("g:4: spawn error; and 2 more"));
        assert_eq!(told("action=stopgroup&groupname=g", &[fault(FaultCode::BadName)]), "ERROR: Group g: no such group");
    }
}
