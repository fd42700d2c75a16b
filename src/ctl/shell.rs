//! One client session: the daemon, the screen, the person, and the exit code so far. Commands are
//! functions over it.

use std::path::PathBuf;

use super::answer::{self, ProcessInfo};
use super::commands;
use super::console::Console;
use super::daemon::{CallError, Daemon};
use super::exit::ExitCode;
use super::explain;
use super::fact::Fact;
use super::render::{Form, Screen};
use super::suggest;
use super::trouble::Trouble;
use crate::cli::Personality;
use crate::cli::commands::{CommandLine, canonical, command as cli_command};
use crate::cli::galaxyctl::{Beside, Migration};
use crate::config;
use crate::rpc::{FaultCode, Value};

/// Supervisor's API version, which must be equal on both sides.
const API_VERSION: &str = "3.0";

/// What a session was told by the command line and the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Whose manners: `Supervisorctl` is exact, `Galaxyctl` knows more names and gives hints.
    pub personality: Personality,
    pub serverurl: String,
    pub address_origin: AddressOrigin,
    /// Ask before shutdown and reload, and for a login.
    pub interactive: bool,
    /// What the prompt shows before `> `.
    pub prompt: String,
    /// The configuration file in use, if one was found.
    pub configuration: Option<PathBuf>,
    /// `config --format`, `check --sarif`.
    pub format: String,
    pub migration: Migration,
    pub beside: Beside,
    /// Whether plug-ins that a configuration names are refused.
    pub plugins: config::Plugins,
}

/// Where the address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AddressOrigin {
    /// `-s`, or `open`.
    CommandLine,
    /// `serverurl` in the client's section of this file.
    File(PathBuf),
    /// The daemon's own server, in this section of the file.
    Server { file: PathBuf, section: String },
    /// Nobody said anything.
    Default,
}

/// Whether the prompt goes on after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Leave,
}

/// Whether the daemon can be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upcheck {
    Up,
    /// The reason was shown and the exit code set.
    Down,
}

/// A process that was to be started, and the code of what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Started {
    pub(super) name: String,
    pub(super) code: i64,
}

/// The session.
pub(super) struct Shell {
    pub session: Session,
    pub daemon: Box<dyn Daemon>,
    pub screen: Screen,
    pub console: Box<dyn Console>,
    exit: ExitCode,
    /// What the command has started, or tried to.
    pub(super) started: Vec<Started>,
    /// What `getAllProcessInfo` said, for names; forgotten with every command.
    known: Option<Vec<ProcessInfo>>,
}

impl Shell {
    #[must_use]
    pub(super) fn new(session: Session, daemon: Box<dyn Daemon>, screen: Screen, console: Box<dyn Console>) -> Self {
        Self { session, daemon, screen, console, exit: ExitCode::Success, started: Vec::new(), known: None }
    }

    /// Talks to this daemon from now on; gives the one before.
    pub(super) fn turn_to(&mut self, session: Session, daemon: Box<dyn Daemon>) -> (Session, Box<dyn Daemon>) {
        self.known = None;
        (std::mem::replace(&mut self.session, session), std::mem::replace(&mut self.daemon, daemon))
    }

    #[must_use]
    pub(super) fn exit(&self) -> ExitCode {
        self.exit
    }

    pub(super) fn set_exit(&mut self, exit: ExitCode) {
        self.exit = exit;
    }

    #[must_use]
    pub(super) fn is_galaxyctl(&self) -> bool {
        self.session.personality == Personality::Galaxyctl
    }

    /// Runs one line as typed.
    /// Source: supervisor 4.3.0, `supervisorctl.py`, `onecmd`; Python's `cmd.Cmd.parseline`.
    pub(super) fn run_line(&mut self, line: &str) -> Flow {
        let mut line = line.trim().to_owned();
        if line.is_empty() {
            return Flow::Continue;
        }
        if let Some(topic) = line.strip_prefix('?') {
            line = format!("help {topic}");
        }
        let name_end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
        let (name, rest) = line.split_at(name_end);
        let name = if self.is_galaxyctl() { canonical(name) } else { name };
        let mut rest = rest.trim().to_owned();
        let Some(command) = commands::find(name, self.session.personality) else {
            return self.unknown(&line, name);
        };
        let before = self.take_json_word(&mut rest);
        self.screen.begin(name);
        let flow = self.run_command(command, &rest);
        self.screen.finish(self.exit);
        self.known = None;
        self.started.clear();
        if let Some(form) = before {
            self.screen.set_form(form);
        }
        flow
    }

    /// At galaxyctl's prompt `--json` may be a word of any command.
    fn take_json_word(&mut self, rest: &mut String) -> Option<Form> {
        if !self.is_galaxyctl() || !rest.split_whitespace().any(|word| word == "--json") {
            return None;
        }
        let words: Vec<&str> = rest.split_whitespace().filter(|word| *word != "--json").collect();
        *rest = words.join(" ");
        Some(self.screen.set_form(Form::Json))
    }

    fn unknown(&mut self, line: &str, name: &str) -> Flow {
        self.exit = ExitCode::Generic;
        self.screen.begin(name);
        self.problem(format!("*** Unknown syntax: {line}"), None);
        if let Some(nearest) = config::nearest(name, commands::names(self.session.personality)) {
            self.screen.hint(&format!("galaxyctl: there is a command `{nearest}`"));
        }
        self.screen.finish(self.exit);
        Flow::Continue
    }

    fn run_command(&mut self, command: commands::Run, rest: &str) -> Flow {
        loop {
            let trouble = match command(self, rest) {
                Ok(flow) => return flow,
                Err(trouble) => trouble,
            };
            if matches!(trouble, Trouble::Call(CallError::Unauthorized)) {
                self.line("Server requires authentication");
                if self.session.interactive {
                    match self.log_in() {
                        Ok(()) => continue,
                        Err(trouble) => return self.report(&trouble),
                    }
                }
            }
            return self.report(&trouble);
        }
    }

    fn log_in(&mut self) -> Result<(), Trouble> {
        let username = self.console.ask("Username:")?;
        let password = self.console.ask_hidden("Password:")?;
        self.line("");
        self.daemon.log_in(username, password);
        Ok(())
    }

    pub(super) fn report(&mut self, trouble: &Trouble) -> Flow {
        if self.is_galaxyctl() && matches!(trouble, Trouble::Call(CallError::TimedOut)) {
            self.exit = ExitCode::Unanswered;
            self.problem(explain::unanswered(&self.session), None);
        } else {
            self.exit = ExitCode::Generic;
            self.problem(trouble.line(), None);
        }
        if let Trouble::Call(error) = trouble {
            self.explain(error);
        }
        Flow::Continue
    }

    /// Calls a method of the `supervisor` namespace.
    ///
    /// # Errors
    /// As [`Daemon::call`].
    pub(super) fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        self.daemon.call(&format!("supervisor.{method}"), params)
    }

    /// Asks the daemon for its API version, which shows that it is there and speaks the same language.
    ///
    /// # Errors
    /// Failures that have no words of their own.
    pub(super) fn upcheck(&mut self) -> Result<Upcheck, Trouble> {
        let url = self.session.serverurl.clone();
        let (text, exit) = match self.call("getVersion", &[]) {
            Ok(version) if version.as_str() == Some(API_VERSION) => return Ok(Upcheck::Up),
            Ok(version) => {
                let version = version.as_str().map_or_else(|| format!("{version:?}"), str::to_owned);
                (
                    format!(
                        "Sorry, this version of supervisorctl expects to talk to a server with API version {API_VERSION}, \
                         but the remote version is {version}."
                    ),
                    ExitCode::ApiMismatch,
                )
            }
            Err(CallError::Fault(fault)) if fault.code == FaultCode::UnknownMethod as i64 => (
                "Sorry, supervisord responded but did not recognize the supervisor namespace commands that \
                 supervisorctl uses to control it.  Please check that the [rpcinterface:supervisor] section is enabled \
                 in the configuration file (see sample.conf)."
                    .to_owned(),
                ExitCode::NoNamespace,
            ),
            Err(error @ CallError::Refused) => {
                return Ok(self.unreachable(format!("{url} refused connection"), ExitCode::Refused, &error));
            }
            Err(error @ CallError::NoSuchFile) => {
                return Ok(self.unreachable(format!("{url} no such file"), ExitCode::NotRunning, &error));
            }
            Err(error) => return Err(error.into()),
        };
        self.problem(text, None);
        self.exit = exit;
        Ok(Upcheck::Down)
    }

    fn unreachable(&mut self, text: String, exit: ExitCode, error: &CallError) -> Upcheck {
        self.problem(text, None);
        self.exit = exit;
        self.explain(error);
        Upcheck::Down
    }

    /// On standard error, and only as galaxyctl: what is known of the socket, the daemon and the address.
    pub(super) fn explain(&mut self, error: &CallError) {
        if self.is_galaxyctl() && error.is_about_the_connection() {
            for line in explain::connection(error, &self.session) {
                self.screen.hint(&line);
            }
        }
    }

    /// Shows something that went wrong; `name` is what it went wrong with.
    pub(super) fn problem(&mut self, text: impl Into<String>, name: Option<&str>) {
        self.screen.show(&Fact::Problem { text: text.into(), name: name.map(str::to_owned) });
    }

    /// Shows a line for people.
    pub(super) fn line(&mut self, text: impl Into<String>) {
        self.screen.show(&Fact::Line(text.into()));
    }

    /// A mistake in the words of a command: the line, then how it is used.
    pub(super) fn usage(&mut self, text: &str, command: &str, exit: ExitCode) {
        self.problem(text, None);
        self.exit = exit;
        for line in cli_command(command).into_iter().flat_map(CommandLine::help_lines) {
            self.line(line);
        }
    }

    /// Every process, asked once a command.
    ///
    /// # Errors
    /// As [`Daemon::call`].
    pub(super) fn known(&mut self) -> Result<Vec<ProcessInfo>, CallError> {
        if self.known.is_none() {
            let value = self.call("getAllProcessInfo", &[])?;
            self.known = Some(answer::list(&value, ProcessInfo::read)?);
        }
        Ok(self.known.clone().unwrap_or_default())
    }

    /// Makes [`Shell::known`] ask again.
    pub(super) fn forget_known(&mut self) {
        self.known = None;
    }

    /// As galaxyctl: on standard error, what an unknown process or group might have been meant to be.
    pub(super) fn suggest(&mut self, name: &str) {
        if !self.is_galaxyctl() {
            return;
        }
        // The daemon may be gone or busy; then there is no hint, and the line above has said what counts.
        let Ok(known) = self.known() else { return };
        if let Some(nearest) = suggest::process(name, &known) {
            self.screen.hint(&format!("galaxyctl: did you mean {nearest}?"));
        }
    }

    /// Sets the exit code that a fault stands for; `ignored` and success leave it as it is.
    /// Source: supervisor 4.3.0, `supervisorctl.py`, `set_exitstatus_from_xmlrpc_fault`.
    pub(super) fn set_exit_from(&mut self, code: i64, ignored: Option<FaultCode>) {
        const DEAD: [FaultCode; 3] = [FaultCode::SpawnError, FaultCode::AbnormalTermination, FaultCode::NotRunning];
        if code == FaultCode::Success as i64 || ignored.is_some_and(|ignored| ignored as i64 == code) {
            return;
        }
        let dead = DEAD.iter().any(|dead| *dead as i64 == code);
        self.exit = if dead { ExitCode::NotRunning } else { ExitCode::Generic };
    }
}
