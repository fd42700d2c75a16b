//! The Python process that loads with Supervisor's own loader.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::notice::tell;

/// What the original made of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Accepted(Value),
    /// The text after `Error: `.
    Refused(String),
    /// An error that the original does not expect: it ends with a traceback.
    Crashed(String),
}

pub(crate) struct Oracle {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    /// The process with exactly this environment, in this directory; `None`, with the reason on stderr, where there
    /// cannot be one.
    pub(crate) fn start(directory: &Path, environment: &[(String, String)]) -> Option<Self> {
        match crate::venv::supervisor_venv().and_then(|venv| Self::start_in(&venv, directory, environment)) {
            Ok(oracle) => Some(oracle),
            Err(reason) => {
                assert!(std::env::var_os("LOADER_REQUIRED").is_none(), "NOT COMPARED: {reason}");
                tell(&format!("NOT COMPARED with Supervisor: {reason}"));
                None
            }
        }
    }

    fn start_in(venv: &Path, directory: &Path, environment: &[(String, String)]) -> Result<Self, String> {
        let mut child = Command::new(venv.join("bin/python"))
            .args(["-W", "ignore", "-c", include_str!("oracle.py")])
            .env_clear()
            .envs(environment.iter().cloned())
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", venv.join("bin/python").display()))?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe from Python")?);
        let mut oracle = Oracle { child, questions, answers };
        let version = oracle.read_line();
        if version.starts_with('3') { Ok(oracle) } else { Err(format!("this is no Python 3: {version:?}")) }
    }

    /// What the daemon's loader makes of these arguments.
    pub(crate) fn load(&mut self, arguments: &[String]) -> Answer {
        self.ask(&json!({"client": false, "arguments": arguments}))
    }

    /// What the client's loader makes of these arguments.
    pub(crate) fn load_client(&mut self, arguments: &[String]) -> Answer {
        self.ask(&json!({"client": true, "arguments": arguments}))
    }

    fn ask(&mut self, question: &Value) -> Answer {
        let pipe = self.questions.as_mut().expect("the process is not asked after its end");
        writeln!(pipe, "{question}").expect("writing to Python");
        let line = self.read_line();
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
        let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
        match (text("refused"), text("crashed")) {
            (Some(refused), _) => Answer::Refused(refused),
            (_, Some(crashed)) => Answer::Crashed(crashed),
            (None, None) => Answer::Accepted(answer["value"].take()),
        }
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("reading from Python");
        line.truncate(line.trim_end_matches('\n').len());
        line
    }
}

impl Drop for Oracle {
    /// The end of its input ends the process.
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}
