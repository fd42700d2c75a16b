//! Following an operation: a live list on a terminal, a line for each process that is over elsewhere.

use std::time::Duration;

use super::console::Attention;
use super::daemon::CallError;
use super::exit::ExitCode;
use super::fact::Fact;
use super::operation::{OperationInfo, StepInfo};
use super::render::Form;
use super::shell::Shell;
use super::trouble::Trouble;
use crate::rpc::{FaultCode, Value};

/// How often the daemon is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// A list with more lines does not fit the smallest usual terminal: then there is a line for each process as elsewhere.
const LIVE_LINES_MAX: usize = 20;

/// A line that is longer would take two on the smallest usual terminal.
const LIVE_LETTERS_MAX: usize = 79;

/// Goes up so many lines, and forgets everything from there.
fn back_by(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
}

impl Shell {
    /// One operation; zero is the latest.
    ///
    /// # Errors
    /// The daemon could not be asked, or there is no such operation.
    pub(super) fn operation(&mut self, id: i64) -> Result<OperationInfo, CallError> {
        let value = self.daemon.call("galaxyd.getOperation", &[id.into()])?;
        OperationInfo::read(&value)
    }

    /// Calls something about operations; `None`: it was refused, which was told.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn call_operations(&mut self, method: &str, params: &[Value]) -> Result<Option<Value>, Trouble> {
        match self.daemon.call(method, params) {
            Ok(value) => Ok(Some(value)),
            Err(CallError::Fault(fault)) => {
                let text = if fault.code == FaultCode::UnknownMethod as i64 {
                    "this daemon replaces no processes; use restart".to_owned()
                } else {
                    // Without the fault's own name, which is for programs.
                    fault.text.split_once(": ").map_or(fault.text.as_str(), |(_, text)| text).to_owned()
                };
                self.problem(format!("ERROR: {text}"), None);
                self.set_exit(ExitCode::Generic);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Shows how an operation goes on until it is over; Ctrl-C only ends the showing.
    ///
    /// # Errors
    /// The daemon or the terminal could not be used.
    pub(super) fn follow_operation(&mut self, operation: OperationInfo) -> Result<(), Trouble> {
        self.console.catch_interrupts()?;
        let followed = self.follow_on(operation);
        self.console.restore_interrupts();
        let Some(operation) = followed? else { return Ok(()) };
        if !operation.is_done() {
            self.set_exit(ExitCode::Generic);
        }
        if self.screen.form() == Form::Json {
            self.screen.show(&Fact::Detail { list: "operations", value: operation.json(), text: String::new() });
        }
        let failed = operation.steps.iter().filter(|step| step.has_failed());
        for name in failed.map(|step| step.name.clone()).collect::<Vec<_>>() {
            self.show_last_words(&name);
        }
        Ok(())
    }

    /// The operation as it ended; `None` when nobody wanted to see that.
    fn follow_on(&mut self, mut operation: OperationInfo) -> Result<Option<OperationInfo>, Trouble> {
        let mut view = View::of(self.screen.form(), &operation);
        let mut lost = false;
        loop {
            let text = view.next(&operation);
            if self.screen.form() != Form::Json {
                self.screen.write(text.as_bytes());
            }
            if operation.is_over() {
                return Ok(Some(operation));
            }
            if self.console.pause(ASK_EVERY)? == Attention::Interrupted || self.screen.is_broken() {
                let id = operation.id;
                self.screen.hint(&format!(
                    "galaxyctl: operation {id} goes on; `galaxyctl watch {id}` follows it, `galaxyctl cancel {id}` ends it"
                ));
                return Ok(None);
            }
            match self.operation(operation.id) {
                Ok(newer) => {
                    operation = newer;
                    lost = false;
                }
                // Its worker may be another by now; the operation goes on with it.
                Err(error) if error.is_about_the_connection() => {
                    if !std::mem::replace(&mut lost, true) {
                        self.screen.hint(&format!("galaxyctl: the daemon cannot be reached: {error}; trying again"));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What is on the screen already.
#[derive(Debug)]
struct View {
    /// The list is drawn over itself.
    is_live: bool,
    /// Lines of the list.
    drawn: usize,
    /// Names of processes of which it is told that they are over.
    told: Vec<String>,
}

impl View {
    fn of(form: Form, operation: &OperationInfo) -> View {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let is_live = matches!(form, Form::Table(_)) && !is_dumb && operation.steps.len() < LIVE_LINES_MAX;
        View { is_live, drawn: 0, told: Vec::new() }
    }

    /// What is to be written so that the screen shows this.
    fn next(&mut self, operation: &OperationInfo) -> String {
        if self.is_live { self.redrawn(operation) } else { self.added(operation) }
    }

    fn redrawn(&mut self, operation: &OperationInfo) -> String {
        let mut text = back_by(self.drawn);
        let width = operation.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        for step in &operation.steps {
            let StepInfo { strategy, phase, note, seconds, .. } = step;
            let time = if *seconds > 0.0 { format!("{seconds:.1} s") } else { String::new() };
            let line = format!("{:width$}  {strategy:8}  {phase:13}  {time:>8}  {note}", step.name);
            text.push_str(&shortened(&line));
        }
        text.push_str(&shortened(&operation.verdict));
        self.drawn = operation.steps.len() + 1;
        text
    }

    fn added(&mut self, operation: &OperationInfo) -> String {
        let mut text = String::new();
        for step in operation.steps.iter().filter(|step| step.is_over()) {
            if !self.told.contains(&step.name) {
                self.told.push(step.name.clone());
                text.push_str(&step.line());
                text.push('\n');
            }
        }
        if operation.is_over() {
            text.push_str(&crate::rpc::printable(&operation.verdict));
            text.push('\n');
        }
        text
    }
}

/// One line of a terminal.
fn shortened(line: &str) -> String {
    let line = crate::rpc::printable(line);
    let mut text: String = line.trim_end().chars().take(LIVE_LETTERS_MAX).collect();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::render::Colour;

    fn operation(phases: &[&str], state: &str) -> OperationInfo {
        let step = |(at, phase): (usize, &&str)| StepInfo {
            name: format!("web_{at}"),
            program: "program:web".to_owned(),
            strategy: "rolling".to_owned(),
            reason: String::new(),
            phase: (*phase).to_owned(),
            note: String::new(),
            seconds: if *phase == "waiting" { 0.0 } else { 1.0 },
        };
        OperationInfo {
            id: 3,
            kind: "graceful".to_owned(),
            asker: "root".to_owned(),
            began: 0,
            seconds: 2.0,
            state: state.to_owned(),
            verdict: "Rolled 1 of 2 in 2.0 s, 0 of 8 requests failed".to_owned(),
            requests: 8,
            failed_requests: 0,
            steps: phases.iter().enumerate().map(step).collect(),
        }
    }

    #[test]
    fn in_a_pipe_each_process_has_one_line_when_it_is_over() {
        let mut view = View::of(Form::Plain, &operation(&["waiting", "waiting"], "active"));
        assert_eq!(view.next(&operation(&["stopping", "waiting"], "active")), "");
        assert_eq!(view.next(&operation(&["done", "starting"], "active")), "web_0: done by rolling in 1.0 s\n");
        let last = view.next(&operation(&["done", "failed"], "failed"));
        assert_eq!(last, "web_1: failed by rolling in 1.0 s\nRolled 1 of 2 in 2.0 s, 0 of 8 requests failed\n");
    }

    #[test]
    fn on_a_terminal_the_list_is_drawn_over_itself() {
        let mut view = View { is_live: true, ..View::of(Form::Table(Colour::Off), &operation(&[], "active")) };
        let first = view.next(&operation(&["stopping", "waiting"], "active"));
        assert!(first.starts_with("web_0  rolling   stopping          1.0 s\nweb_1  rolling   waiting\n"), "{first:?}");
        let second = view.next(&operation(&["done", "stopping"], "active"));
        assert!(second.starts_with("\x1b[3A\x1b[Jweb_0  rolling   done              1.0 s\n"), "{second:?}");
        assert!(second.lines().all(|line| line.chars().count() <= LIVE_LETTERS_MAX + 8));
    }
}
