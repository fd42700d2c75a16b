//! The methods of `supervisor_twiddler`: programs that come and go at run time.
//!
//! What is added is part of the active configuration, and so of the journal: it outlives the worker. It is not part of the
//! file, so a reread finds its group changed.

use std::collections::BTreeSet;
use std::path::Path;

use super::logfiles::make_auto_logs;
use super::reply::Reply;
use super::worker::{Done, Shape, Waiting, Worker};
use crate::config::{self, Config, GroupConfig, GroupKind, InterfaceKind, ProcessConfig};
use crate::engine::{Mood, Refusal, Request};
use crate::logs::{Level, log};
use crate::rpc::{Fault, FaultCode, Interface, Interfaces, TWIDDLER_VERSION, Twiddle, Value};
use crate::sys::side;

/// Processes that one group may have once some are added: as many as one section of a file may make.
const MEMBERS_MAX: usize = 10_000;

/// The interfaces that the configuration enables.
pub(super) fn interfaces(config: &Config) -> Interfaces {
    let named = config.rpcinterfaces.iter().filter_map(|interface| {
        let made = match InterfaceKind::of(&interface.factory)? {
            InterfaceKind::Main => Interface::Main,
            InterfaceKind::Twiddler => Interface::Twiddler { whitelist: interface.whitelist.clone() },
        };
        Some((interface.name.clone(), made))
    });
    Interfaces::new(named.collect())
}

/// What a side thread made of a program's options.
pub(super) struct ReadProgram {
    group: String,
    /// The processes, their AUTO logs made, or why there are none.
    processes: Result<Vec<ProcessConfig>, Fault>,
    /// About the logs.
    problems: Vec<String>,
    reply: Reply,
}

impl Worker {
    pub(super) fn twiddle(&mut self, call: Twiddle, reply: Reply) {
        match call {
            Twiddle::GetApiVersion => reply.send(Ok(TWIDDLER_VERSION.into())),
            Twiddle::GetGroupNames => {
                reply.send(Ok(Value::Array(self.engine.groups().map(|group| group.name.into()).collect())));
            }
            Twiddle::Log { message, level } => {
                log(level_of(level), &message);
                reply.send(Ok(true.into()));
            }
            Twiddle::AddProgramToGroup { group, program, options } => match self.twiddled_group(&group) {
                Ok(()) => self.read_program(group, program, options, reply),
                Err(fault) => reply.send(Err(fault)),
            },
            Twiddle::RemoveProcessFromGroup { group, process } => self.remove_process(&group, &process, reply),
        }
    }

    /// Whether programs can be added to a group.
    fn twiddled_group(&self, name: &str) -> Result<(), Fault> {
        let group = self.engine.group(name).and_then(|_| self.active.get(name));
        let group = group.ok_or_else(|| Fault::with(FaultCode::BadName, format_args!("group: {name}")))?;
        match group.kind {
            GroupKind::Program => Ok(()),
            GroupKind::EventListener { .. } | GroupKind::FastCgi { .. } => Err(Fault::with(
                FaultCode::Failed,
                format_args!("{name} is a pool of event listeners or FastCGI processes: a program has no place in it"),
            )),
        }
    }

    /// Reads the options on a side thread, as accounts are looked up and logs are made; [`Worker::add_read`] goes on.
    fn read_program(&self, group: String, program: String, options: Vec<(String, String)>, reply: Reply) {
        let call = self.call.clone();
        let daemon = self.config.daemon.clone();
        let known = self.names_in(&group);
        let done = self.done_sender.clone();
        side::run(move || {
            let file = call.file().unwrap_or_default();
            let main: (&Path, _) = (&file, &daemon.environment);
            let read = config::processes_of(&program, &options, &group, main, &call.source);
            let read = read.map_err(|error| Fault::with(FaultCode::IncorrectParameters, error));
            let mut problems = Vec::new();
            let processes = read.and_then(|processes| {
                may_join(&known, &processes)?;
                let mut made = GroupConfig { name: group.clone(), priority: 0, kind: GroupKind::Program, processes };
                problems = make_auto_logs(&mut made, &daemon);
                Ok(made.processes)
            });
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::ProgramRead(ReadProgram { group, processes, problems, reply }));
        });
    }

    fn names_in(&self, group: &str) -> BTreeSet<String> {
        let processes = self.active.get(group).map(|group| group.processes.iter());
        processes.into_iter().flatten().map(|process| process.name.clone()).collect()
    }

    /// Processes whose logs are made become members, if the group still is as it was.
    pub(super) fn add_read(&mut self, read: ReadProgram) {
        let ReadProgram { group, processes, problems, reply } = read;
        for problem in problems {
            log(Level::Warn, &problem);
        }
        let processes = processes.and_then(|processes| {
            self.twiddled_group(&group)?;
            may_join(&self.names_in(&group), &processes)?;
            Ok(processes)
        });
        let processes = match processes {
            Ok(processes) => processes,
            Err(fault) => return reply.send(Err(fault)),
        };
        if self.engine.mood() != Mood::Running {
            return reply.send(Err(Fault::refused(Refusal::ShutdownState, &group)));
        }
        let Some(active) = self.active.get_mut(&group) else { return };
        let known = active.processes.len();
        active.processes.extend(processes);
        let members = active.spec().members.split_off(known);
        self.restructured = true;
        let waiting = Waiting { reply, shape: Shape::Single { name: group.clone() } };
        self.request_for(Request::AddMembers { group: group.clone(), members }, waiting);
        let taken = self.names_in(&group).iter().all(|name| self.engine.find(&group, name).is_some());
        if !taken && let Some(active) = self.active.get_mut(&group) {
            // The engine has the last word, and the client got it.
            active.processes.truncate(known);
        }
    }

    fn remove_process(&mut self, group: &str, name: &str, reply: Reply) {
        if self.engine.group(group).is_none() {
            return reply.send(Err(Fault::with(FaultCode::BadName, format_args!("group: {group}"))));
        }
        let Some(process) = self.engine.find(group, name) else {
            return reply.send(Err(Fault::with(FaultCode::BadName, name)));
        };
        let waiting = Waiting { reply, shape: Shape::Single { name: name.to_owned() } };
        self.request_for(Request::RemoveMember(process), waiting);
        if self.engine.find(group, name).is_none()
            && let Some(active) = self.active.get_mut(group)
        {
            active.processes.retain(|process| process.name != name);
            self.restructured = true;
        }
    }
}

/// Whether the names are new and the group does not get too large.
fn may_join(known: &BTreeSet<String>, processes: &[ProcessConfig]) -> Result<(), Fault> {
    if let Some(process) = processes.iter().find(|process| known.contains(&process.name)) {
        return Err(Fault::with(FaultCode::BadName, &process.name));
    }
    if known.len() + processes.len() > MEMBERS_MAX {
        let text = format_args!("a group cannot have more than {MEMBERS_MAX} processes");
        return Err(Fault::with(FaultCode::Failed, text));
    }
    Ok(())
}

fn level_of(number: u64) -> Level {
    match number {
        50 => Level::Critical,
        40 => Level::Error,
        30 => Level::Warn,
        10 => Level::Debug,
        5 => Level::Trace,
        3 => Level::Blather,
        _ => Level::Info,
    }
}
