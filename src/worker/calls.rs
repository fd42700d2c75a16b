//! The methods of `supervisor-rpc.tsv`, performed.

use std::sync::Arc;

use super::answers::outcome_struct;
use super::children::StdinError;
use super::describe;
use super::logfiles::ClearingFor;
use super::reply::Reply;
use super::rollouts::RollWish;
use super::spawning::{LOOKUP_MAX, LOOKUP_TOO_LONG};
use super::update::Wish;
use super::worker::{Asker, Done, Purpose, Shape, Waiting, Worker, now};
use crate::config::{ProcessConfig, find_command, value};
use crate::engine::{Channel, Mood, ProcessId, ProcessState, ProcessView, Refusal, Request, SpawnError, Target};
use crate::events;
use crate::http::{Incoming, NO_MEMORY, Peer};
use crate::logs::{Level, SliceError, log, read_slice, tail};
use crate::rpc::{Fault, FaultCode, Method, Output, OwnMethod, Value};
use crate::sys::side;

/// Version of the XML-RPC interface.
const API_VERSION: &str = "3.0";

impl Worker {
    pub(super) fn on_request(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Call { peer, method, reply } => {
                let reply = Reply::new(reply, Arc::clone(&self.activity));
                let audit = method.is_audited().then(|| audit(&method, &peer));
                match audit {
                    // In the new log: in the old one nobody would read it.
                    Some(audit) if method == Method::ClearLog => return self.clear_activity_log(audit, reply),
                    Some(audit) => {
                        log(Level::Info, &audit);
                        self.record_request(method.argument().as_ref(), audit.trim_start_matches("audit: "));
                    }
                    None => {}
                }
                self.call(method, &peer, reply);
            }
            // The loop has turned, which is all that was wanted.
            Incoming::Refused => {}
            Incoming::Follow { process: None, reply } => {
                let _ = reply.send(self.activity_file());
            }
            Incoming::Follow { process: Some((name, channel)), reply } => {
                let file = self.process_of(&name).and_then(|process| self.log_path(process, channel));
                let _ = reply.send(file);
            }
        }
    }

    fn call(&mut self, method: Method, peer: &Peer, reply: Reply) {
        if self.engine.mood() != Mood::Running && !matches!(method, Method::SendRemoteCommEvent { .. }) {
            reply.send(Err(Fault::new(FaultCode::ShutdownState)));
            return;
        }
        if !self.has_memory_for(&method) {
            reply.send(Err(Fault::with(FaultCode::Failed, NO_MEMORY)));
            return;
        }
        match method {
            Method::StartProcess { name, wait } => self.start(name, wait, reply),
            Method::StartProcessGroup { name, wait } => {
                self.start_target(Target::Group(name.clone()), name, wait, reply);
            }
            Method::StartAllProcesses { wait } => self.start_target(Target::All, String::new(), wait, reply),
            Method::StopProcess { name, wait } => self.on_named(name, reply, |target| Request::Stop { target, wait }),
            Method::StopProcessGroup { name, wait } => {
                self.on_target(Target::Group(name.clone()), name, reply, |target| Request::Stop { target, wait });
            }
            Method::StopAllProcesses { wait } => {
                self.on_target(Target::All, String::new(), reply, |target| Request::Stop { target, wait });
            }
            Method::SignalProcess { name, signal } => self.signal(Named::Process(name), &signal, reply),
            Method::SignalProcessGroup { name, signal } => self.signal(Named::Group(name), &signal, reply),
            Method::SignalAllProcesses { signal } => self.signal(Named::All, &signal, reply),
            Method::AddProcessGroup { name } => self.add_group(&name, reply),
            Method::RemoveProcessGroup { name } => {
                let waiting = Waiting { reply, shape: Shape::Single { name: name.clone() } };
                self.request_for(Request::RemoveGroup(name), waiting);
            }
            Method::Shutdown => {
                self.request_for(Request::Shutdown, Waiting { reply, shape: Shape::List });
            }
            Method::Restart => self.read_configuration(Purpose::Restart(Asker::Client(reply))),
            Method::Own(OwnMethod::StopOrdered { names }) => self.stop_ordered(&names, reply),
            Method::Own(OwnMethod::Succeed { name }) => self.succeed(name, reply),
            Method::Own(OwnMethod::Retry { names, wait }) => self.retry(&names, wait, reply),
            Method::Own(OwnMethod::WaitFor { names, condition, timeout }) => {
                self.wait_for(&names, condition, timeout, reply);
            }
            Method::Own(OwnMethod::PlanUpdate { names, restart }) => {
                let wish = Wish { names, restart, wait: false, rehearsal: true };
                self.read_configuration(Purpose::Update(wish, reply));
            }
            Method::Own(OwnMethod::Update { names, restart, wait }) => {
                let wish = Wish { names, restart, wait, rehearsal: false };
                self.read_configuration(Purpose::Update(wish, reply));
            }
            Method::Own(OwnMethod::Roll { names, rolling, max_unavailable, start_stopped }) => {
                let wish = RollWish { names, rolling, max_unavailable, start_stopped, asker: peer.to_string() };
                self.plan_operation(wish, reply);
            }
            Method::Own(OwnMethod::CancelOperation { id }) => self.cancel_operation(id, peer, reply),
            Method::ReloadConfig => self.read_configuration(Purpose::Reread(reply)),
            Method::ReadLog { offset, length } => {
                let path = self.activity_file();
                read(path, offset, length, reply);
            }
            Method::ReadProcessLog { name, output, offset, length } => match self.member(&name) {
                Ok(process) => read(self.log_path(process, channel(output)), offset, length, reply),
                Err(fault) => reply.send(Err(fault)),
            },
            Method::TailProcessLog { name, output, offset, length } => match self.member(&name) {
                Ok(process) => tail_log(self.log_path(process, channel(output)), offset, length, reply),
                Err(fault) => reply.send(Err(fault)),
            },
            Method::ClearProcessLogs { name } => match self.member(&name) {
                Ok(process) => self.clear_logs(vec![process], ClearingFor::One { name }, reply),
                Err(fault) => reply.send(Err(fault)),
            },
            Method::ClearAllProcessLogs => {
                let processes = self.engine.processes_by_priority().map(|view| view.process).collect();
                self.clear_logs(processes, ClearingFor::All, reply);
            }
            Method::Own(OwnMethod::GetProcessPlan { name, redacted }) => self.process_plan(&name, redacted, reply),
            Method::Own(OwnMethod::GetStaleness { names }) => self.staleness(&names, reply),
            Method::Own(OwnMethod::GetUsage { names }) => self.usage(&names, reply),
            Method::Own(OwnMethod::Upgrade { path }) => self.upgrade(&path, reply),
            Method::Own(OwnMethod::GetUpgrade) => self.tell_of_upgrade(reply),
            Method::Own(OwnMethod::GetHistory { names, since, limit }) => self.tell_history(names, since, limit, reply),
            Method::Twiddler(call) => self.twiddle(call, reply),
            immediate => reply.send(self.answer(immediate)),
        }
    }

    /// Methods that are answered at once.
    fn answer(&mut self, method: Method) -> Result<Value, Fault> {
        match method {
            Method::GetApiVersion => Ok(API_VERSION.into()),
            Method::GetSupervisorVersion => Ok(crate::SUPERVISOR_VERSION.into()),
            Method::GetIdentification => Ok(self.config.daemon.identifier.as_str().into()),
            Method::GetState => Ok(Value::object([
                ("statecode", (self.engine.mood() as i64).into()),
                ("statename", mood_name(self.engine.mood()).into()),
            ])),
            Method::GetPid => Ok(i64::from(self.pid).into()),
            Method::GetProcessInfo { name } => self.member(&name).and_then(|process| {
                let view = self.engine.process(process).ok_or_else(|| Fault::with(FaultCode::BadName, &name))?;
                Ok(self.process_info(&view))
            }),
            Method::GetAllProcessInfo => {
                Ok(Value::Array(self.engine.processes().map(|view| self.process_info(&view)).collect()))
            }
            Method::GetAllConfigInfo => Ok(self.config_infos()),
            Method::Own(OwnMethod::ExplainProcess { name }) => self.member(&name).and_then(|process| {
                let view = self.engine.process(process).ok_or_else(|| Fault::with(FaultCode::BadName, &name))?;
                Ok(self.explanation(&view))
            }),
            Method::Own(OwnMethod::ExplainAllProcesses) => {
                Ok(Value::Array(self.engine.processes().map(|view| self.explanation(&view)).collect()))
            }
            Method::Own(OwnMethod::GetReadiness { names }) => self.readiness(&names),
            Method::Own(OwnMethod::GetOperation { id }) => self.rollouts.value_of(id, now().mono),
            Method::Own(OwnMethod::GetOperations) => Ok(self.rollouts.value(now().mono)),
            Method::SendProcessStdin { name, chars } => self.send_stdin(&name, chars.as_bytes()),
            Method::Own(OwnMethod::GetListenerPools) => {
                Ok(Value::Array(self.events.pools().map(|pool| describe::listener_pool(&pool)).collect()))
            }
            Method::Own(OwnMethod::GetNotices) => {
                Ok(Value::Array(self.notices().into_iter().map(Value::from).collect()))
            }
            Method::SendRemoteCommEvent { kind, data } => {
                self.hear(events::Input::Remote { kind, data });
                Ok(true.into())
            }
            other => Err(Fault::with(FaultCode::Failed, format!("bug: {} was not answered", other.name()))),
        }
    }

    fn process_info(&self, view: &ProcessView<'_>) -> Value {
        let path =
            |channel| self.log_path(view.process, channel).map(|path| path.display().to_string()).unwrap_or_default();
        let description = self.held_for(view).map(|what| format!("waits for {what}"));
        describe::process_info(view, [&path(Channel::Stdout), &path(Channel::Stderr)], description, now())
    }

    fn config_infos(&self) -> Value {
        let mut infos: Vec<(&str, Value)> = self
            .pending_groups()
            .flat_map(|group| {
                let inuse = self.active.contains_key(&group.name);
                group
                    .processes
                    .iter()
                    .map(move |process| (process.name.as_str(), describe::config_info(group, process, inuse)))
            })
            .collect();
        infos.sort_by_key(|(name, _)| *name);
        Value::Array(infos.into_iter().map(|(_, info)| info).collect())
    }

    /// The one process that `name` means; a whole group (`group:*`) is no answer here.
    pub(super) fn member(&self, name: &str) -> Result<ProcessId, Fault> {
        self.process_of(name).ok_or_else(|| Fault::with(FaultCode::BadName, name))
    }

    /// The process or group that `name` means: `process`, `group:process`, `group:*`, `group:`.
    pub(super) fn target(&self, name: &str) -> Result<Target, Fault> {
        match name.split_once(':') {
            Some((group, "" | "*")) if self.engine.group(group).is_some() => Ok(Target::Group(group.to_owned())),
            Some((_, "" | "*")) => Err(Fault::with(FaultCode::BadName, name)),
            _ => self.member(name).map(Target::One),
        }
    }

    fn on_named(&mut self, name: String, reply: Reply, request: impl FnOnce(Target) -> Request) {
        match self.target(&name) {
            Ok(target) => self.on_target(target, name, reply, request),
            Err(fault) => reply.send(Err(fault)),
        }
    }

    fn on_target(&mut self, target: Target, name: String, reply: Reply, request: impl FnOnce(Target) -> Request) {
        if let Target::Group(group) = &target
            && self.engine.group(group).is_none()
        {
            reply.send(Err(Fault::with(FaultCode::BadName, name)));
            return;
        }
        let shape = shape(&target, name);
        self.request_for(request(target), Waiting { reply, shape });
    }

    /// Names of processes and groups; none: all.
    fn stop_ordered(&mut self, names: &[String], reply: Reply) {
        match self.named(names) {
            Ok(processes) => {
                self.request_for(Request::StopOrdered { processes }, Waiting { reply, shape: Shape::List });
            }
            Err(fault) => reply.send(Err(fault)),
        }
    }

    /// Names as for [`Worker::stop_ordered`]. Those that are not FATAL are not looked at, commands neither: what is wrong
    /// with one shows when it is tried.
    fn retry(&mut self, names: &[String], wait: bool, reply: Reply) {
        match self.named(names) {
            Ok(processes) => {
                self.request_for(Request::Retry { processes, wait }, Waiting { reply, shape: Shape::List });
            }
            Err(fault) => reply.send(Err(fault)),
        }
    }

    /// The processes that are named, each once.
    pub(super) fn named(&self, names: &[String]) -> Result<Vec<ProcessId>, Fault> {
        let targets: Result<Vec<Target>, Fault> = names.iter().map(|name| self.target(name)).collect();
        let targets = match targets? {
            none if none.is_empty() => vec![Target::All],
            targets => targets,
        };
        let mut processes = Vec::new();
        for target in targets {
            let meant = match target {
                Target::One(process) => vec![process],
                Target::Group(group) => self.members(&group),
                Target::All => self.engine.processes_by_priority().map(|view| view.process).collect(),
            };
            processes.extend(meant.into_iter().filter(|one| !processes.contains(one)).collect::<Vec<_>>());
        }
        Ok(processes)
    }

    fn start(&mut self, name: String, wait: bool, reply: Reply) {
        match self.target(&name) {
            Ok(target) => self.start_target(target, name, wait, reply),
            Err(fault) => reply.send(Err(fault)),
        }
    }

    /// Looks the commands up on a side thread, then asks the engine.
    fn start_target(&mut self, target: Target, name: String, wait: bool, reply: Reply) {
        let processes = match &target {
            Target::One(process) => vec![*process],
            Target::Group(group) if self.engine.group(group).is_none() => {
                reply.send(Err(Fault::with(FaultCode::BadName, name)));
                return;
            }
            Target::Group(group) => self.members(group),
            Target::All => self.engine.processes().map(|view| view.process).collect(),
        };
        let commands: Vec<_> = processes
            .into_iter()
            .filter_map(|process| self.process_config(process).map(|config| (process, config.clone())))
            .collect();
        let heritage = self.heritage.clone();
        let shape = shape(&target, name);
        let done = self.done_sender.clone();
        tokio::spawn(async move {
            let look_up = side::run(move || -> Vec<(ProcessId, SpawnError)> {
                let wanting = |(process, config): &(ProcessId, ProcessConfig)| {
                    Some((*process, find_command(config, heritage.path()).err()?))
                };
                commands.iter().filter_map(wanting).collect()
            });
            let Ok(Ok(checked)) = tokio::time::timeout(LOOKUP_MAX, look_up).await else {
                return reply.send(Err(Fault::with(FaultCode::Failed, LOOKUP_TOO_LONG)));
            };
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::Checked { request: Request::Start { target, wait, checked }, reply, shape });
        });
    }

    fn signal(&mut self, whom: Named, signal: &str, reply: Reply) {
        let target = match &whom {
            Named::Process(name) => self.target(name),
            Named::Group(group) if self.engine.group(group).is_some() => Ok(Target::Group(group.clone())),
            Named::Group(group) => Err(Fault::with(FaultCode::BadName, group)),
            Named::All => Ok(Target::All),
        };
        let number = value::signal(signal);
        match (target, number) {
            (Err(fault), _) => reply.send(Err(fault)),
            (Ok(target), Ok(signal)) => {
                let shape = shape(&target, whom.text());
                self.request_for(Request::Signal { target, signal }, Waiting { reply, shape });
            }
            (Ok(Target::One(_)), Err(_)) => reply.send(Err(Fault::with(FaultCode::BadSignal, signal))),
            (Ok(target), Err(_)) => reply.send(Ok(self.bad_signal(&target, signal))),
        }
    }

    /// A bad signal for several processes is a fault for each that could have got one.
    fn bad_signal(&self, target: &Target, signal: &str) -> Value {
        let processes = match target {
            Target::One(process) => vec![*process],
            Target::Group(group) => self.members(group),
            Target::All => self.engine.processes_by_priority().map(|view| view.process).collect(),
        };
        let fault = Fault::with(FaultCode::BadSignal, signal);
        let views = processes.into_iter().filter_map(|process| self.engine.process(process));
        Value::Array(
            views
                .filter(|view| view.state.is_signallable())
                .map(|view| outcome_struct(view.name, view.group, fault.code, &fault.text))
                .collect(),
        )
    }

    fn send_stdin(&mut self, name: &str, bytes: &[u8]) -> Result<Value, Fault> {
        let process = self.member(name)?;
        let stopping = self.engine.process(process).is_none_or(|view| view.state == ProcessState::Stopping);
        let child = self.children.of_process(process).filter(|_| !stopping).map(|(id, _)| id);
        let Some(id) = child.filter(|&id| !self.children.is_reaped(id)) else {
            return Err(Fault::refused(Refusal::NotRunning, name));
        };
        match self.write_stdin(id, bytes) {
            Ok(()) => Ok(true.into()),
            Err(StdinError::Closed) => Err(Fault::with(FaultCode::NoFile, name)),
            Err(StdinError::Full) => {
                Err(Fault::with(FaultCode::Failed, format!("{name} does not read its standard input")))
            }
        }
    }

    fn members(&self, group: &str) -> Vec<ProcessId> {
        self.engine.group_members(group).unwrap_or_default().to_vec()
    }
}

/// One line about a request that changes something: what, whom, and who asked.
fn audit(method: &Method, peer: &Peer) -> String {
    let argument = method.argument();
    let space = if argument.is_empty() { "" } else { " " };
    format!("audit: {}{space}{argument} by {peer}", method.name())
}

/// Whom a signal is for, as the client named it.
enum Named {
    Process(String),
    Group(String),
    All,
}

impl Named {
    fn text(self) -> String {
        match self {
            Named::Process(name) | Named::Group(name) => name,
            Named::All => String::new(),
        }
    }
}

fn shape(target: &Target, name: String) -> Shape {
    match target {
        Target::One(_) => Shape::Single { name },
        Target::Group(_) | Target::All => Shape::List,
    }
}

fn mood_name(mood: Mood) -> &'static str {
    match mood {
        Mood::Running => "RUNNING",
        Mood::Restarting => "RESTARTING",
        Mood::Shutdown => "SHUTDOWN",
    }
}

/// `readLog`, `readProcess*Log`: the file is read on a side thread.
fn read(path: Option<std::path::PathBuf>, offset: i64, length: i64, reply: Reply) {
    side::run(move || {
        reply.send(match path {
            None => Err(Fault::new(FaultCode::NoFile)),
            Some(path) => read_slice(&path, offset, length).map(Value::from).map_err(|error| match error {
                SliceError::NoFile => Fault::with(FaultCode::NoFile, path.display().to_string()),
                SliceError::BadArguments => Fault::new(FaultCode::BadArguments),
                SliceError::Failed(_) => Fault::new(FaultCode::Failed),
            }),
        });
    });
}

/// `tailProcess*Log`.
fn tail_log(path: Option<std::path::PathBuf>, offset: i64, length: i64, reply: Reply) {
    side::run(move || {
        let (text, end, overflow) = path.map_or((String::new(), 0, false), |path| {
            let tail = tail(&path, offset, length);
            (tail.text, tail.offset, tail.overflow)
        });
        reply.send(Ok(Value::Array(vec![text.into(), end.into(), overflow.into()])));
    });
}

fn channel(output: Output) -> Channel {
    match output {
        Output::Stdout => Channel::Stdout,
        Output::Stderr => Channel::Stderr,
    }
}
