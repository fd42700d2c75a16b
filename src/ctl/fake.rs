//! A daemon, a person and a screen that follow a script, for the tests of commands.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::answer::ProcessInfo;
use super::console::{Attention, Console, Typing};
use super::daemon::{CallError, Daemon, Follower};
use super::render::{Form, Hints, Screen};
use super::shell::{AddressOrigin, Session, Shell};
use super::trouble::Trouble;
use crate::cli::Personality;
use crate::config::literal;
use crate::rpc::{Fault, Value};

/// A process in this state, of which nothing else is known.
pub(super) fn process(group: &str, name: &str, state: &str) -> ProcessInfo {
    let code = match state {
        "STOPPED" => 0,
        "STARTING" => 10,
        "RUNNING" => 20,
        "BACKOFF" => 30,
        "STOPPING" => 40,
        "EXITED" => 100,
        "FATAL" => 200,
        _ => 1000,
    };
    ProcessInfo {
        group: group.to_owned(),
        name: name.to_owned(),
        description: String::new(),
        state: code,
        statename: state.to_owned(),
        pid: 0,
        start: 0,
        stop: 0,
        now: 0,
        exitstatus: 0,
        spawnerr: String::new(),
        stdout_logfile: String::new(),
        stderr_logfile: String::new(),
        explanation: None,
    }
}

/// The process as it comes over the wire.
pub(super) fn value_of(process: &ProcessInfo) -> Value {
    Value::object([
        ("name", process.name.as_str().into()),
        ("group", process.group.as_str().into()),
        ("description", process.description.as_str().into()),
        ("state", process.state.into()),
        ("statename", process.statename.as_str().into()),
        ("pid", process.pid.into()),
        ("start", process.start.into()),
        ("stop", process.stop.into()),
        ("now", process.now.into()),
        ("exitstatus", process.exitstatus.into()),
        ("spawnerr", process.spawnerr.as_str().into()),
        ("stdout_logfile", process.stdout_logfile.as_str().into()),
        ("stderr_logfile", process.stderr_logfile.as_str().into()),
    ])
}

/// Several processes as they come over the wire.
pub(super) fn values_of(processes: &[ProcessInfo]) -> Value {
    Value::Array(processes.iter().map(value_of).collect())
}

/// One result of a call on several processes.
pub(super) fn result(group: &str, name: &str, status: i64, description: &str) -> Value {
    Value::object([
        ("name", name.into()),
        ("group", group.into()),
        ("status", status.into()),
        ("description", description.into()),
    ])
}

pub(super) fn fault(code: i64, text: &str) -> CallError {
    CallError::Fault(Fault { code, text: text.to_owned() })
}

/// What a command did.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) exit: u8,
    /// Scripted answers that nobody asked for.
    pub(super) unused: Vec<String>,
}

/// A script to run commands against.
pub(super) struct Stage {
    personality: Personality,
    form: Form,
    interactive: bool,
    script: Script,
    person: Person,
}

/// A call as it is written, and its answer.
type Scripted = (String, Result<Value, CallError>);

#[derive(Default, Clone)]
struct Script {
    answers: Rc<RefCell<Vec<Scripted>>>,
    streams: Vec<(String, Result<String, CallError>)>,
    logins: Rc<RefCell<Vec<String>>>,
}

#[derive(Default, Clone)]
struct Person {
    answers: Rc<RefCell<VecDeque<String>>>,
    attention: Rc<RefCell<VecDeque<Attention>>>,
    asked: Arc<Mutex<Vec<u8>>>,
}

impl Stage {
    pub(super) fn supervisorctl() -> Self {
        Self::new(Personality::Supervisorctl, Form::Plain)
    }

    pub(super) fn galaxyctl() -> Self {
        Self::new(Personality::Galaxyctl, Form::Plain)
    }

    pub(super) fn json() -> Self {
        Self::new(Personality::Galaxyctl, Form::Json)
    }

    fn new(personality: Personality, form: Form) -> Self {
        Self { personality, form, interactive: false, script: Script::default(), person: Person::default() }
    }

    pub(super) fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    /// The answer to the next call written like `startProcess('web')`.
    pub(super) fn answer(self, call: &str, answer: Result<Value, CallError>) -> Self {
        self.script.answers.borrow_mut().push((call.to_owned(), answer));
        self
    }

    pub(super) fn stream(mut self, path: &str, content: Result<&str, CallError>) -> Self {
        self.script.streams.push((path.to_owned(), content.map(str::to_owned)));
        self
    }

    /// What the person answers to the next question.
    pub(super) fn typed(self, text: &str) -> Self {
        self.person.answers.borrow_mut().push_back(text.to_owned());
        self
    }

    pub(super) fn attention(self, attention: Attention) -> Self {
        self.person.attention.borrow_mut().push_back(attention);
        self
    }

    pub(super) fn run(self, line: &str) -> Shown {
        let out = Arc::new(Mutex::new(Vec::new()));
        let err = Arc::new(Mutex::new(Vec::new()));
        let hints = if self.personality == Personality::Galaxyctl { Hints::Shown } else { Hints::Hidden };
        let person = Person { asked: Arc::clone(&out), ..self.person };
        let session = Session {
            personality: self.personality,
            serverurl: "unix:///run/s.sock".to_owned(),
            address_origin: AddressOrigin::CommandLine,
            interactive: self.interactive,
            prompt: "supervisor".to_owned(),
            configuration: None,
            format: "ini".to_owned(),
            migration: crate::cli::galaxyctl::Migration::default(),
            beside: crate::cli::galaxyctl::Beside::default(),
            plugins: crate::config::Plugins::Refused,
        };
        let screen = Screen::new(self.form, hints, out.clone(), err.clone());
        let mut shell = Shell::new(session, Box::new(self.script.clone()), screen, Box::new(person));
        shell.run_line(line);
        let text = |bytes: &Mutex<Vec<u8>>| String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        let unused = self.script.answers.borrow().iter().map(|(call, _)| call.clone()).collect();
        Shown { out: text(&out), err: text(&err), exit: shell.exit().code(), unused }
    }
}

impl Daemon for Script {
    fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let params: Vec<String> = params
            .iter()
            .map(|value| match value {
                Value::String(text) => literal(text),
                Value::Int(number) => number.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        let method = method.strip_prefix("supervisor.").unwrap_or(method);
        let call = format!("{method}({})", params.join(", "));
        let mut answers = self.answers.borrow_mut();
        match answers.iter().position(|(scripted, _)| *scripted == call) {
            Some(at) => answers.remove(at).1,
            None if call == "getVersion()" => Ok("3.0".into()),
            None => Err(CallError::BadAnswer(format!("{call} is not in the script"))),
        }
    }

    fn another(&self) -> Box<dyn Daemon> {
        Box::new(self.clone())
    }

    fn follower(&self) -> Box<dyn Follower> {
        Box::new(ScriptedStreams(self.streams.clone()))
    }

    fn turn_to(&mut self, url: &str) {
        self.logins.borrow_mut().push(url.to_owned());
    }

    fn log_in(&mut self, username: String, password: String) {
        self.logins.borrow_mut().push(format!("{username}:{password}"));
    }
}

struct ScriptedStreams(Vec<(String, Result<String, CallError>)>);

impl Follower for ScriptedStreams {
    fn follow(
        self: Box<Self>,
        path: &str,
        on_bytes: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), CallError> {
        match self.0.into_iter().find(|(scripted, _)| scripted == path) {
            Some((_, Ok(text))) => {
                let _ = on_bytes(text.as_bytes());
                Ok(())
            }
            Some((_, Err(error))) => Err(error),
            None => Ok(()),
        }
    }
}

impl Console for Person {
    fn ask(&mut self, prompt: &str) -> Result<String, Trouble> {
        self.asked.lock().unwrap().extend_from_slice(prompt.as_bytes());
        self.answers.borrow_mut().pop_front().ok_or(Trouble::InputEnded)
    }

    fn ask_hidden(&mut self, prompt: &str) -> Result<String, Trouble> {
        self.ask(prompt)
    }

    fn catch_interrupts(&mut self) -> Result<(), Trouble> {
        Ok(())
    }

    fn restore_interrupts(&mut self) {}

    fn attend(&mut self, _typing: Typing, streams: Option<BorrowedFd<'_>>) -> Result<Attention, Trouble> {
        if let Some(attention) = self.attention.borrow_mut().pop_front() {
            return Ok(attention);
        }
        let Some(streams) = streams else { return Ok(Attention::InputEnded) };
        let mut byte = [0];
        match nix::unistd::read(streams, &mut byte) {
            Ok(_) => Ok(Attention::StreamsEnded),
            Err(errno) => Err(io::Error::from(errno).into()),
        }
    }

    /// Ctrl-C once the script has nothing more.
    fn pause(&mut self, _time: Duration) -> Result<Attention, Trouble> {
        Ok(self.attention.borrow_mut().pop_front().unwrap_or(Attention::Interrupted))
    }
}
