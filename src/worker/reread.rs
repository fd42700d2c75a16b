//! Reading the configuration again: reread, add, reload. A bad one changes nothing.

use super::directories;
use super::logfiles::make_auto_logs;
use super::program_sockets::test_sockets;
use super::reply::Reply;
use super::report;
use super::worker::{Asker, Done, Purpose, Shape, Waiting, Worker};
use crate::config::{self, Config, DaemonConfig, GroupConfig, Loaded, NotFound};
use crate::engine::{Input, Refusal, Request};
use crate::logs::{Command, Level, log};
use crate::rpc::{Fault, FaultCode, Value};
use crate::sys::side;

impl Worker {
    /// Reads the configuration on a side thread; [`Worker::on_done`] goes on from there.
    pub(super) fn read_configuration(&mut self, purpose: Purpose) {
        let call = self.call.clone();
        let former = self.config.included.clone();
        let done = self.done_sender.clone();
        side::run(move || {
            let loaded = call.load_again(&former).map(Box::new);
            if let Ok(Loaded { config: Some(config), .. }) = loaded.as_deref() {
                // What misses them says so: logs that cannot be opened are told and tried again.
                directories::make(&config.daemon).unwrap_or_else(|error| log(Level::Warn, &error.to_string()));
            }
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::Loaded { purpose, loaded });
        });
    }

    pub(super) fn on_done(&mut self, done: Done) {
        match done {
            Done::Checked { request, reply, shape } => self.request_for(request, Waiting { reply, shape }),
            Done::Loaded { purpose: Purpose::Reread(reply), loaded } => {
                let answer = self.accept(loaded).map(|config| self.reread(config));
                self.write_journal();
                reply.send(answer);
            }
            Done::Loaded { purpose: Purpose::Restart(asker), loaded } => {
                let answer = self.accept(loaded).map(|_| Value::Bool(true));
                let restart = answer.is_ok();
                match asker {
                    Asker::Client(reply) => reply.send(answer),
                    // Until now a successor would have been told of the signal.
                    Asker::Signal => self.signal_taken(libc::SIGHUP),
                }
                if restart {
                    self.tell_exits_of(|_| true);
                    self.feed(Input::Restart);
                }
            }
            Done::Examined(findings) => self.examined(findings),
            Done::Stirred => self.look_for_strays(),
            Done::Asked { process, attempt, answer } => self.answered(process, attempt, answer),
            Done::LookedOutside { process, attempt, answer } => self.looked_outside(process, attempt, answer),
            Done::OriginsTaken(taken) => self.origins_taken(taken),
            Done::Sought { id, ended, heir } => self.sought(id, ended, heir),
            Done::MemoryCounted => self.look_for_kills(),
            Done::Swept { process, pid } => self.swept(process, pid),
            Done::Tidied(gone) => self.tidied(&gone),
            Done::Loaded { purpose: Purpose::Update(wish, reply), loaded } => self.plan_update(wish, loaded, reply),
            Done::UpdateReady { prospect, problems, reply } => {
                for problem in problems {
                    log(Level::Warn, &problem);
                }
                self.begin_update(*prospect, reply);
            }
            Done::ProgramRead(read) => self.add_read(read),
            Done::OperationPlanned(planned) => self.begin_operation(*planned),
            Done::Replacing(what) => self.replacing(what),
            Done::ProgramOpened { opened, reply } => self.program_opened(opened, reply),
            Done::LogsMade { group, problems, reply } => {
                for problem in problems {
                    log(Level::Warn, &problem);
                }
                self.add_made(*group, reply);
            }
            Done::SocketFile(sight) => self.socket_file_seen(sight),
            Done::SocketBack(restored) => self.serve_again(*restored),
        }
    }

    /// The configuration, or the fault that says everything that is wrong with it.
    pub(super) fn accept(&mut self, loaded: Result<Box<Loaded>, NotFound>) -> Result<Config, Fault> {
        let loaded = loaded.map_err(|error| Fault::with(FaultCode::CantReread, error.to_string()))?;
        for line in report::log_lines(&loaded) {
            log(Level::Warn, &line);
        }
        if let Some(config) = loaded.config {
            return Ok(config);
        }
        let exact = loaded.problems.first_told().filter(|_| self.call.is_supervisord);
        let text = exact.unwrap_or_else(|| report::plain(&loaded));
        log(Level::Warn, "the new configuration is not used; nothing was changed");
        let first = text.lines().next().unwrap_or_default();
        self.record_daemon(&format!("the new configuration is refused, nothing was changed: {first}"));
        Err(Fault::with(FaultCode::CantReread, text.trim_end()))
    }

    /// Makes `config` the pending one and says what differs from the active groups.
    fn reread(&mut self, config: Config) -> Value {
        let active: Vec<_> = self.active.values().cloned().collect();
        let difference = config::difference(&active, &config.groups);
        self.make_pending(config);
        let names = |names: Vec<String>| Value::Array(names.into_iter().map(Value::from).collect());
        Value::Array(vec![Value::Array(vec![
            names(difference.added),
            names(difference.changed),
            names(difference.removed),
        ])])
    }

    /// Takes over what a reread takes over, and keeps the groups for `add`.
    pub(super) fn make_pending(&mut self, config: Config) {
        let active: Vec<_> = self.active.values().cloned().collect();
        let strip_ansi = config.daemon.strip_ansi;
        self.pending = (config.groups != active).then_some(config.groups);
        take_over(&mut self.config.daemon, config.daemon);
        self.config.included = config.included;
        self.directories.learn(&self.config.daemon.make_directories);
        self.events.rename(&self.config.daemon.identifier);
        self.plane.send(Command::StripAnsi(strip_ansi));
        self.restructured = true;
    }

    /// `addProcessGroup`: the pending group becomes active.
    pub(super) fn add_group(&mut self, name: &str, reply: Reply) {
        if self.engine.group(name).is_some() {
            reply.send(Err(Fault::refused(Refusal::AlreadyAdded, name)));
            return;
        }
        let Some(group) = self.pending_groups().find(|group| group.name == name) else {
            reply.send(Err(Fault::with(FaultCode::BadName, name)));
            return;
        };
        let mut group = Box::new(group.clone());
        let daemon = self.config.daemon.clone();
        let done = self.done_sender.clone();
        let open = self.sockets.urls();
        side::run(move || {
            if let Err(failed) = test_sockets(&group, &open) {
                return reply.send(Err(Fault::with(FaultCode::Failed, failed)));
            }
            let problems = make_auto_logs(&mut group, &daemon);
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::LogsMade { group, problems, reply });
        });
    }

    /// A group whose logs are made becomes active, if the engine still takes it.
    fn add_made(&mut self, group: GroupConfig, reply: Reply) {
        let waiting = Waiting { reply, shape: Shape::Single { name: group.name.clone() } };
        if self.engine.group(&group.name).is_some() {
            // Another client was quicker.
            waiting.reply.send(Err(Fault::refused(Refusal::AlreadyAdded, &group.name)));
            return;
        }
        self.request_for(Request::AddGroup(group.spec()), waiting);
        if self.engine.group(&group.name).is_none() {
            return;
        }
        if let Some(pending) = self.pending.iter_mut().flatten().find(|pending| pending.name == group.name) {
            pending.clone_from(&group);
        }
        self.active.insert(group.name.clone(), group);
    }
}

/// What a reread changes of the daemon's own settings; the rest waits for a reload.
///
/// Source: `supervisor-config.tsv`, column `on_reread_update`; the activity log keeps its file, as a path that is read
/// must be the one that is written.
fn take_over(current: &mut DaemonConfig, new: DaemonConfig) {
    let DaemonConfig { childlogdir, strip_ansi, environment, identifier, loglevel, minfds, make_directories, .. } = new;
    current.childlogdir = childlogdir;
    current.strip_ansi = strip_ansi;
    current.environment = environment;
    current.identifier = identifier;
    current.loglevel = loglevel;
    current.minfds = minfds;
    current.make_directories = make_directories;
}
