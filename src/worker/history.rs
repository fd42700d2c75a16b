//! What the worker tells the event history, and what it tells of it.

use std::path::Path;

use tokio::sync::oneshot;

use super::cause;
use super::reply::Reply;
use super::worker::Worker;
use crate::config::Config;
use crate::engine::{self, Channel, Effect, ProcessView};
use crate::history::{Entry, History, Kind};
use crate::logs::{Level, log};
use crate::rpc::{Fault, FaultCode, Value};

/// Entries in one answer.
const ANSWER_MAX: usize = 1000;

/// Begins the history that the configuration asks for.
pub(super) fn start(config: &Config) -> Option<History> {
    let path = config.daemon.history_file.as_ref()?;
    let bytes_max = u64::try_from(config.daemon.history_maxbytes).unwrap_or(0);
    History::start(path, bytes_max)
        .inspect_err(|error| log(Level::Warn, &format!("there will be no history: {error}")))
        .ok()
}

/// So many names are looked for in one question; each is compared with every entry.
const NAMES_MAX: usize = 100;

impl Worker {
    /// The daemon itself did or met something.
    pub(super) fn record_daemon(&self, text: &str) {
        self.record(Kind::Daemon, "", text);
    }

    /// A client asked for something. `argument` begins with a process or a group, or names several or none.
    pub(super) fn record_request(&self, argument: &str, audit: &str) {
        let name = argument.split(' ').next().unwrap_or_default();
        let process = self.process_of(name).and_then(|process| self.engine.process(process));
        let subject = match process {
            Some(view) => view.namespec(),
            None if self.engine.group(name).is_some() => name.to_owned(),
            None => String::new(),
        };
        self.record(Kind::Request, &subject, audit);
    }

    /// A process changed its state.
    pub(super) fn record_state(&self, effect: &Effect) {
        let Effect::Event(event @ engine::Event::ProcessState { process, .. }) = effect else { return };
        let Some(view) = self.engine.process(*process) else { return };
        let last_signal = |pid| self.children.last_signal(*process, pid);
        if let Some(text) = cause::of_change(event, &view, last_signal) {
            self.record(Kind::State, &view.namespec(), &text);
        }
    }

    /// Something hinders a program, or does so no longer.
    pub(super) fn record_trouble(&self, subject: &str, text: &str) {
        self.record(Kind::Trouble, subject, text);
    }

    /// The same, of a log file: its program is whose it is.
    pub(super) fn record_log_trouble(&self, file: &Path, text: &str) {
        let is_its = |view: &ProcessView<'_>| {
            let channels = [Channel::Stdout, Channel::Stderr];
            channels.iter().any(|channel| self.log_path(view.process, *channel).as_deref() == Some(file))
        };
        let subject = self.engine.processes().find(is_its).map(|view| view.namespec()).unwrap_or_default();
        self.record_trouble(&subject, &format!("its log {} {text}", file.display()));
    }

    /// An operation goes on.
    pub(super) fn record_operation(&self, subject: &str, text: &str) {
        self.record(Kind::Operation, subject, text);
    }

    /// Somebody asks by a signal.
    pub(super) fn record_signal(&self, asked: &str, signal: &str, sender: &str) {
        self.record(Kind::Request, "", &format!("{asked} by {signal}{sender}"));
    }

    fn record(&self, kind: Kind, subject: &str, text: &str) {
        if let Some(history) = &self.history {
            history.record(kind, subject, text);
        }
    }

    /// `galaxyd.getHistory`: the file is read by the thread that writes it.
    pub(super) fn tell_history(&self, names: Vec<String>, since: i64, limit: i64, reply: Reply) {
        let Some(history) = &self.history else {
            let text =
                "this daemon keeps no history: history_file in section [supervisord] says so, or could not be placed";
            return reply.send(Err(Fault::with(FaultCode::NoFile, text)));
        };
        if names.len() > NAMES_MAX {
            let text = format!("at most {NAMES_MAX} names can be asked for at once");
            return reply.send(Err(Fault::with(FaultCode::IncorrectParameters, text)));
        }
        let limit = usize::try_from(limit).unwrap_or(0).min(ANSWER_MAX);
        let (sender, answer) = oneshot::channel();
        let asked = history.ask(Box::new(move |entries| {
            // Who asked may be gone.
            let _ = sender.send(entries.map(|entries| Entry::choose(entries, &names, since, limit)));
        }));
        if asked.is_err() {
            return reply.send(Err(Fault::with(FaultCode::Failed, "too many ask for the history at once; try again")));
        }
        tokio::spawn(async move {
            reply.send(match answer.await {
                Ok(Ok(entries)) => Ok(Value::Array(entries.iter().map(value).collect())),
                Ok(Err(error)) => Err(Fault::with(FaultCode::Failed, format!("the history cannot be read: {error}"))),
                Err(_) => Err(Fault::with(FaultCode::Failed, "the history has ended")),
            });
        });
    }
}

fn value(entry: &Entry) -> Value {
    Value::object([
        ("first", (entry.first / 1000).into()),
        ("last", (entry.last / 1000).into()),
        ("count", i64::try_from(entry.count).unwrap_or(i64::MAX).into()),
        ("subject", entry.subject.as_str().into()),
        ("kind", entry.kind.word().into()),
        ("text", entry.text.as_str().into()),
    ])
}
