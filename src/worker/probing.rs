//! Whose readiness is asked for: a task for each child that is to be asked, and what is kept for it.
//!
//! Which children those are, the engine says. Tasks never touch the control loop but by telling that a child is ready, or,
//! where that changes, why it is not.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::explanation::seconds;
use super::ledger::Ledger;
use super::reply::Reply;
use super::spawning::Wanted;
use super::worker::{Done, Shape, Waiting, Worker, now};
use crate::config::{Ready, ReadyCheck, pattern};
use crate::engine::{Channel, Condition, Input, ProcessId, ProcessState, Readiness, Request};
use crate::keeper::ToKeeper;
use crate::logs::{Level, log};
use crate::probe::{self, LogMark, LogReader};
use crate::rpc::{Fault, Value};
use crate::sys::mailbox;

/// The keeper holds the socket of a run's messages under this and the run's tag.
pub(super) const HELD_PREFIX: &str = "notify:";

/// How long a program's log files were when it was started: for a successor, which reads on from there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ProbeRecord {
    process: ProcessId,
    attempt: u32,
    marks: Vec<LogMark>,
}

/// A child that is asked.
#[derive(Debug)]
struct Asked {
    attempt: u32,
    ready: Ready,
    _task: Task,
    /// Why it is not ready, as far as is known.
    failure: String,
}

/// Ends with its value.
#[derive(Debug)]
pub(super) struct Task(AbortHandle);

impl Task {
    /// Begins one.
    pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(tokio::spawn(work).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a run was started with that shows its readiness.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    pub(super) marks: Vec<LogMark>,
    pub(super) mailbox: Option<OwnedFd>,
}

/// All that is asked.
#[derive(Debug, Default)]
pub(super) struct Probes {
    asked: BTreeMap<ProcessId, Asked>,
    /// The latest run's of each.
    pub(super) records: Ledger<ProcessId, ProbeRecord>,
    mailboxes: BTreeMap<ProcessId, (u32, OwnedFd)>,
}

impl Probes {
    /// Goes on with a predecessor's records.
    pub(super) fn resume(records: Vec<ProbeRecord>) -> Probes {
        let records = Ledger::resume(records, |record| record.process);
        Probes { records, ..Probes::default() }
    }

    /// Why this run is not ready, as far as is known.
    pub(super) fn failure(&self, process: ProcessId) -> Option<&str> {
        self.asked.get(&process).map(|asked| asked.failure.as_str()).filter(|failure| !failure.is_empty())
    }

    fn marks(&self, process: ProcessId, attempt: u32) -> Option<Vec<LogMark>> {
        self.records.get(process).filter(|record| record.attempt == attempt).map(|record| record.marks.clone())
    }
}

/// What a side thread is to prepare for a run, by how its readiness shows.
pub(super) fn prepare(ready: Option<&Ready>, logs: Vec<PathBuf>) -> io::Result<(Tracks, Option<String>)> {
    match ready.map(|ready| &ready.check) {
        Some(ReadyCheck::Log(_)) => {
            let marks = logs.into_iter().map(LogMark::of).collect();
            Ok((Tracks { marks, mailbox: None }, None))
        }
        Some(ReadyCheck::Notify) => {
            let (mailbox, address) = mailbox::open()?;
            Ok((Tracks { marks: Vec::new(), mailbox: Some(mailbox) }, Some(address)))
        }
        _ => Ok((Tracks::default(), None)),
    }
}

impl Worker {
    /// The log files in which a line may show that a process is ready.
    pub(super) fn telling_logs(&self, process: ProcessId) -> Vec<PathBuf> {
        [Channel::Stdout, Channel::Stderr].into_iter().filter_map(|channel| self.log_path(process, channel)).collect()
    }

    /// Keeps what shows a run's readiness, before the run is asked for.
    ///
    /// # Errors
    /// The keeper is gone.
    pub(super) fn keep_tracks(&mut self, wanted: Wanted, tracks: Tracks) -> io::Result<()> {
        let Wanted { process, attempt } = wanted;
        let Tracks { marks, mailbox } = tracks;
        if !marks.is_empty() {
            self.probes.records.put(process, ProbeRecord { process, attempt, marks });
            self.write_journal();
        }
        if let Some(mailbox) = mailbox {
            let hold = ToKeeper::Hold { name: format!("{HELD_PREFIX}{wanted}") };
            self.keeper.send(&hold, vec![mailbox.try_clone()?]).map_err(io::Error::other)?;
            self.put_mailbox(wanted, mailbox);
        }
        Ok(())
    }

    fn put_mailbox(&mut self, wanted: Wanted, mailbox: OwnedFd) {
        let Wanted { process, attempt } = wanted;
        if let Some((former, _)) = self.probes.mailboxes.insert(process, (attempt, mailbox)) {
            self.release_mailbox(Wanted { process, attempt: former });
        }
    }

    fn release_mailbox(&mut self, wanted: Wanted) {
        self.tell_keeper(&ToKeeper::Release { name: format!("{HELD_PREFIX}{wanted}") });
    }

    /// After a take-over: the sockets that the keeper holds, each for the run it was made for.
    pub(super) fn take_mailboxes(&mut self) {
        let names: Vec<String> = self.held.keys().filter(|name| name.starts_with(HELD_PREFIX)).cloned().collect();
        for name in names {
            let wanted = name.strip_prefix(HELD_PREFIX).and_then(|tag| tag.parse::<Wanted>().ok());
            let Some((wanted, mailbox)) = wanted.zip(self.held.remove(&name)) else { continue };
            self.put_mailbox(wanted, mailbox);
        }
    }

    /// Asks those whom the engine wants to be asked, and nobody else.
    pub(super) fn ask_around(&mut self) {
        let wanted: Vec<Wanted> =
            self.engine.to_be_asked().map(|view| Wanted { process: view.process, attempt: view.attempt }).collect();
        self.probes
            .asked
            .retain(|process, asked| wanted.iter().any(|one| one.process == *process && one.attempt == asked.attempt));
        for one in wanted {
            self.ask(one);
        }
        let idle = |(process, (attempt, _)): (&ProcessId, &(u32, OwnedFd))| {
            let view = self.engine.process(*process);
            let awaited = view.is_some_and(|view| {
                let is_forking = view.state == ProcessState::Starting && view.pid.is_none();
                view.attempt == *attempt && (is_forking || self.probes.asked.contains_key(process))
            });
            (!awaited).then_some(Wanted { process: *process, attempt: *attempt })
        };
        let idle: Vec<Wanted> = self.probes.mailboxes.iter().filter_map(idle).collect();
        for one in idle {
            self.probes.mailboxes.remove(&one.process);
            self.release_mailbox(one);
        }
    }

    fn ask(&mut self, wanted: Wanted) {
        let Wanted { process, attempt } = wanted;
        let Some(ready) = self.process_config(process).and_then(|config| config.extras.ready.clone()) else { return };
        if self.probes.asked.get(&process).is_some_and(|asked| asked.ready == ready) {
            return;
        }
        let asking = Asking { wanted, done: self.done_sender.clone(), said: String::new() };
        let task = match &ready.check {
            ReadyCheck::Log(text) => {
                let Ok(pattern) = pattern(text) else { return };
                // A predecessor that died too early has left no marks: from the present end on.
                let marks = self.probes.marks(process, attempt);
                let logs = self.telling_logs(process);
                tokio::spawn(asking.read(ready.clone(), pattern, marks, logs))
            }
            ReadyCheck::Notify => {
                let mailbox = self.probes.mailboxes.get(&process).filter(|(of, _)| *of == attempt);
                let mailbox = mailbox.and_then(|(_, mailbox)| mailbox.try_clone().ok());
                let uid = self.process_config(process).and_then(|config| config.user.as_ref()).map(|user| user.uid);
                tokio::spawn(asking.listen(mailbox, uid))
            }
            ReadyCheck::Http(_) | ReadyCheck::Connect(_) | ReadyCheck::UwsgiStats(_) => {
                let check = Arc::new(ready.check.clone());
                let question = move || {
                    let check = Arc::clone(&check);
                    async move { probe::ask(&check).await }
                };
                tokio::spawn(asking.ask(ready.clone(), question))
            }
            ReadyCheck::Command(command) => {
                let Some(question) = self.command_question(process, command) else { return };
                tokio::spawn(asking.ask(ready.clone(), question))
            }
            ReadyCheck::WorkerProcess => {
                let Some(question) = self.row_question(process) else { return };
                tokio::spawn(asking.ask(ready.clone(), question))
            }
        };
        let asked = Asked { attempt, ready, _task: Task(task.abort_handle()), failure: String::new() };
        self.probes.asked.insert(process, asked);
    }

    /// A task has something to tell.
    pub(super) fn answered(&mut self, process: ProcessId, attempt: u32, answer: Result<(), String>) {
        let name = self.bare_name(process);
        let Some(asked) = self.probes.asked.get_mut(&process).filter(|asked| asked.attempt == attempt) else { return };
        match answer {
            Ok(()) => self.feed(Input::Answered { process, attempt }),
            Err(failure) => {
                log(Level::Debug, &format!("not ready yet: {name}: {failure}"));
                asked.failure = failure;
            }
        }
    }
}

impl Worker {
    /// How ready a child is, in words for a person.
    pub(super) fn readiness_text(&self, process: ProcessId, readiness: Readiness) -> String {
        let failure = self.probes.failure(process).map(|failure| format!(" ({failure})")).unwrap_or_default();
        match readiness {
            Readiness::Awaited { until } => {
                format!("not ready yet{failure}; late in {}", seconds(until, now().mono))
            }
            Readiness::Late => format!("not ready{failure}, and late by ready_timeout"),
            Readiness::Settling { until } => {
                format!("it has answered and counts as ready in {}", seconds(until, now().mono))
            }
            Readiness::Ready { since } => match now().mono.since(since.mono).as_secs() {
                1 => "ready for 1 second".to_owned(),
                past => format!("ready for {past} seconds"),
            },
        }
    }

    /// The answer of `galaxyd.getReadiness`.
    pub(super) fn readiness(&self, names: &[String]) -> Result<Value, Fault> {
        let processes = self.named(names)?;
        let views = processes.iter().filter_map(|process| self.engine.process(*process));
        let asked = views.filter(|view| view.policy.ready.is_some());
        let structs = asked.map(|view| {
            let detail = view.readiness.map(|readiness| self.readiness_text(view.process, readiness));
            Value::object([
                ("name", view.name.into()),
                ("group", view.group.into()),
                ("readiness", view.readiness.map_or("none", Readiness::word).into()),
                ("detail", detail.unwrap_or_default().into()),
            ])
        });
        Ok(Value::Array(structs.collect()))
    }

    /// Names as for `galaxyd.update`. Zero seconds: for as long as it takes.
    pub(super) fn wait_for(&mut self, names: &[String], condition: Condition, timeout: u32, reply: Reply) {
        match self.named(names) {
            Ok(processes) => {
                let within = (timeout > 0).then(|| Duration::from_secs(timeout.into()));
                let request = Request::Await { processes, condition, within };
                self.request_for(request, Waiting { reply, shape: Shape::List });
            }
            Err(fault) => reply.send(Err(fault)),
        }
    }
}

/// One task's half.
struct Asking {
    wanted: Wanted,
    done: mpsc::UnboundedSender<Done>,
    /// What was told last.
    said: String,
}

impl Asking {
    fn tell(&mut self, answer: Result<(), String>) {
        match &answer {
            Err(failure) if *failure == self.said => return,
            Err(failure) => self.said.clone_from(failure),
            Ok(()) => self.said.clear(),
        }
        let Wanted { process, attempt } = self.wanted;
        // The receiver is gone only when the worker ends.
        let _ = self.done.send(Done::Asked { process, attempt, answer });
    }

    async fn ask<A: Future<Output = Result<(), String>> + Send>(
        mut self,
        ready: Ready,
        mut question: impl FnMut() -> A + Send,
    ) {
        let mut good = 0;
        loop {
            match question().await {
                Ok(()) => good += 1,
                Err(failure) => {
                    good = 0;
                    self.tell(Err(failure));
                }
            }
            if good >= ready.successes {
                return self.tell(Ok(()));
            }
            tokio::time::sleep(ready.interval).await;
        }
    }

    /// One line is enough, however many successes are wanted: it does not come again.
    async fn read(
        mut self,
        ready: Ready,
        pattern: regex::bytes::Regex,
        marks: Option<Vec<LogMark>>,
        logs: Vec<PathBuf>,
    ) {
        let marks = marks.unwrap_or_else(|| logs.into_iter().map(LogMark::of).collect());
        let mut reader = LogReader::new(pattern, marks);
        loop {
            let (next, found) = reader.look().await;
            reader = next;
            let is_over = found.is_ok();
            self.tell(found);
            if is_over {
                return;
            }
            tokio::time::sleep(ready.interval).await;
        }
    }

    async fn listen(mut self, mailbox: Option<OwnedFd>, uid: Option<u32>) {
        const NO_SOCKET: &str = "it was started without NOTIFY_SOCKET: `ready` said something else then";
        self.tell(Err("it has not said READY=1".to_owned()));
        let Some(mailbox) = mailbox else { return self.tell(Err(NO_SOCKET.to_owned())) };
        let socket = tokio::net::UnixDatagram::from_std(mailbox.into());
        let Ok(socket) = socket else { return self.tell(Err("its messages cannot be waited for".to_owned())) };
        let trusted = [0, nix::unistd::geteuid().as_raw(), uid.unwrap_or(0)];
        loop {
            if socket.readable().await.is_err() {
                return;
            }
            let message = socket.try_io(Interest::READABLE, || mailbox::receive(&socket));
            match message {
                Ok(message) if !trusted.contains(&message.uid) => {}
                Ok(message) => {
                    if message.text.split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                        return self.tell(Ok(()));
                    }
                }
                // None is there, or one that says nothing.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::InvalidData) => {}
                // The next one can be read perhaps.
                Err(_) => tokio::time::sleep(LISTEN_AGAIN).await,
            }
        }
    }
}

/// After a failure of the system.
const LISTEN_AGAIN: Duration = Duration::from_millis(100);
