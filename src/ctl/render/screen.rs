//! Where facts go: the chosen form, and the two streams.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::json::Document;
use super::{plain, table};
use crate::ctl::exit::ExitCode;
use crate::ctl::fact::Fact;

/// A stream that threads may share.
pub(crate) type Sink = Arc<Mutex<dyn Write + Send>>;

/// How facts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Supervisor's lines.
    Plain,
    /// For a person at a terminal.
    Table(Colour),
    /// One document a command.
    Json,
}

/// Whether escape sequences may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    On,
    Off,
}

/// The form for standard output as it is: a table on a terminal, lines elsewhere. `NO_COLOR` (set and
/// not empty) and `TERM=dumb` turn colours off.
#[must_use]
pub(crate) fn form_for(stdout: &io::Stdout) -> Form {
    if stdout.is_terminal() { Form::Table(colour_for(stdout)) } else { Form::Plain }
}

/// Whether what is written to standard output may be coloured.
#[must_use]
pub(crate) fn colour_for(stdout: &io::Stdout) -> Colour {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if no_color || dumb || !stdout.is_terminal() { Colour::Off } else { Colour::On }
}

/// Shows facts.
pub(crate) struct Screen {
    form: Form,
    /// Whether hints that Supervisor does not know go to standard error.
    hints: Hints,
    out: Sink,
    err: Sink,
    document: Option<Document>,
    /// The first failure to write to standard output; nothing is written after it.
    broken: Option<io::Error>,
}

/// Whether there are hints on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hints {
    Shown,
    Hidden,
}

impl Screen {
    #[must_use]
    pub(crate) fn new(form: Form, hints: Hints, out: Sink, err: Sink) -> Self {
        Self { form, hints, out, err, document: None, broken: None }
    }

    #[must_use]
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Changes the form for what comes; gives back the one before.
    pub(crate) fn set_form(&mut self, form: Form) -> Form {
        std::mem::replace(&mut self.form, form)
    }

    /// A command begins.
    pub(crate) fn begin(&mut self, command: &str) {
        self.document = (self.form == Form::Json).then(|| Document::begin(command));
    }

    /// Shows a fact at once; in a document, at the end.
    pub(crate) fn show(&mut self, fact: &Fact) {
        match (&mut self.document, self.form) {
            (Some(document), _) => document.add(fact),
            (None, Form::Table(colour)) => self.write(table::text(fact, colour).as_bytes()),
            (None, Form::Plain | Form::Json) => self.write(plain::lines(fact).as_bytes()),
        }
    }

    /// The command ended.
    pub(crate) fn finish(&mut self, exit: ExitCode) {
        if let Some(document) = self.document.take() {
            self.write(document.finish(exit).as_bytes());
        }
    }

    /// Writes to standard output as it is, in place of the command's document.
    pub(crate) fn write_instead(&mut self, bytes: &[u8]) {
        self.document = None;
        self.write(bytes);
    }

    /// Writes a text that is the command's whole result: as it is, or as `text` of the command's document.
    pub(crate) fn write_text(&mut self, bytes: &[u8]) {
        match &mut self.document {
            Some(document) => document.set_text(&String::from_utf8_lossy(bytes)),
            None => self.write(bytes),
        }
    }

    /// Writes to standard output as it is.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            self.broken = out.write_all(bytes).and_then(|()| out.flush()).err();
        }
    }

    /// A hint for people, on standard error, one line.
    pub(crate) fn hint(&mut self, text: &str) {
        if self.hints == Hints::Shown {
            self.complain(text);
        }
    }

    /// A line on standard error.
    pub(crate) fn complain(&mut self, text: &str) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        // There is no third place to tell that the second is gone.
        let _ = writeln!(err, "{text}");
    }

    /// The streams, for threads that copy to them.
    #[must_use]
    pub(crate) fn sinks(&self) -> (Sink, Sink) {
        (Arc::clone(&self.out), Arc::clone(&self.err))
    }

    /// Whether nobody reads standard output any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// The failure that ended all output, if there was one.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.broken.take()
    }
}
