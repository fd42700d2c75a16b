//! The interactive prompt: one command a line until the input or the person has had enough.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use rustyline::completion::{Completer, Pair};
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use super::answer::{self, ProcessInfo};
use super::commands;
use super::complete::candidates;
use super::daemon::Daemon;
use super::shell::{Flow, Shell};
use super::trouble::Trouble;
use crate::cli::Personality;

/// What came instead of a line, or the line.
enum Next {
    Line(String),
    /// The input ended.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// Shows the status, then runs lines until the end. Failures of commands do not leave it.
///
/// # Errors
/// The terminal cannot be used.
pub(super) fn run(shell: &mut Shell, history: Option<&Path>) -> io::Result<()> {
    let mut source = Source::open(history)?;
    let prompt = format!("{}> ", shell.session.prompt);
    let mut flow = shell.run_line("status");
    while flow == Flow::Continue {
        flow = match source.next(&prompt, shell)? {
            Next::Line(line) => shell.run_line(&line),
            Next::End => shell.run_line("EOF"),
            Next::Interrupted => {
                shell.line("");
                Flow::Leave
            }
        };
    }
    source.close(history)
}

/// Lines with editing and history at a terminal, bare lines from anything else.
enum Source {
    Editor(Box<Editor<Knowledge, FileHistory>>),
    Bare,
}

impl Source {
    fn open(history: Option<&Path>) -> io::Result<Self> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Ok(Source::Bare);
        }
        let config = Config::builder().completion_type(CompletionType::List).build();
        let mut editor = Editor::with_config(config).map_err(unreadable)?;
        if let Some(path) = history {
            // A file that is not there yet, or not readable, is an empty history, as for Supervisor.
            let _ = editor.load_history(path);
        }
        Ok(Source::Editor(Box::new(editor)))
    }

    fn next(&mut self, prompt: &str, shell: &mut Shell) -> io::Result<Next> {
        let Source::Editor(editor) = self else {
            // The same reader as for questions: what one of them reads ahead is the other's.
            return match shell.console.ask(prompt) {
                Ok(line) => Ok(Next::Line(line)),
                Err(Trouble::Console(error)) => Err(error),
                Err(_) => Ok(Next::End),
            };
        };
        editor.set_helper(Some(Knowledge::new(shell)));
        match editor.readline(prompt) {
            Ok(line) => {
                if !line.trim().is_empty() {
                    editor.add_history_entry(&line).map_err(unreadable)?;
                }
                Ok(Next::Line(line))
            }
            Err(ReadlineError::Eof) => Ok(Next::End),
            Err(ReadlineError::Interrupted) => Ok(Next::Interrupted),
            Err(error) => Err(unreadable(error)),
        }
    }

    fn close(self, history: Option<&Path>) -> io::Result<()> {
        match (self, history) {
            (Source::Editor(mut editor), Some(path)) => editor.save_history(path).map_err(unreadable),
            _ => Ok(()),
        }
    }
}

fn unreadable(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// What completion knows: the commands, and through a way of its own to the daemon the processes, asked for
/// when they are first wanted on a line.
struct Knowledge {
    personality: Personality,
    daemon: std::cell::RefCell<Box<dyn Daemon>>,
    known: std::cell::OnceCell<Vec<ProcessInfo>>,
}

impl Knowledge {
    fn new(shell: &Shell) -> Self {
        Self {
            personality: shell.session.personality,
            daemon: shell.daemon.another().into(),
            known: std::cell::OnceCell::new(),
        }
    }

    /// Nothing, if the daemon does not say: completion is no place for complaints.
    fn known(&self) -> Vec<ProcessInfo> {
        let ask = || {
            let value = self.daemon.borrow_mut().call("supervisor.getAllProcessInfo", &[]);
            value.and_then(|value| answer::list(&value, ProcessInfo::read)).unwrap_or_default()
        };
        self.known.get_or_init(ask).clone()
    }
}

impl Helper for Knowledge {}
impl Highlighter for Knowledge {}
impl Validator for Knowledge {}

impl Hinter for Knowledge {
    type Hint = String;
}

impl Completer for Knowledge {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..position).unwrap_or(line);
        let start = before.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let word = before.get(start..).unwrap_or_default();
        let found = candidates(before, word, commands::names(self.personality), || self.known());
        let pairs = found.into_iter().map(|name| Pair { display: name.trim_end().to_owned(), replacement: name });
        Ok((start, pairs.collect()))
    }
}
