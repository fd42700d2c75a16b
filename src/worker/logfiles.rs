//! Which file each channel of each process writes to: AUTO names, sinks, clearing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::answers::outcome_struct;
use super::reply::Reply;
use super::worker::Worker;
use crate::config::{DaemonConfig, DaemonLog, GroupConfig, LogConfig, LogFile, LogLevelName, ProcessConfig};
use crate::engine::{Channel, ProcessId};
use crate::logs::{Command, Level, Notice, Sink, SliceError, Tally, create_auto_log, log};
use crate::rpc::{Fault, FaultCode, Value};
use crate::sys::side;

/// Clear requests under way, by the ticket their files were given.
#[derive(Debug, Default)]
pub(super) struct Clearing {
    next_ticket: u64,
    jobs: BTreeMap<u64, Job>,
}

/// One request, which may be about many files.
#[derive(Debug)]
struct Job {
    reply: Reply,
    what: ClearingFor,
    /// Files not yet answered for.
    left: usize,
    /// Processes with whether all their files were cleared.
    processes: Vec<(ProcessId, bool)>,
    /// Which process each file's ticket is for.
    tickets: BTreeMap<u64, ProcessId>,
}

/// Whom the answer is for.
#[derive(Debug)]
pub(super) enum ClearingFor {
    One { name: String },
    All,
}

impl Worker {
    pub(super) fn process_config(&self, process: ProcessId) -> Option<&ProcessConfig> {
        if let Some(config) = self.leaving.get(&process) {
            return Some(config);
        }
        let view = self.engine.process(process)?;
        self.active.get(view.group)?.processes.iter().find(|config| config.name == view.name)
    }

    /// The log file of a channel, absolute.
    pub(super) fn log_path(&self, process: ProcessId, channel: Channel) -> Option<PathBuf> {
        let config = self.process_config(process)?;
        if channel == Channel::Stderr && config.redirect_stderr {
            return None;
        }
        match &channel_config(config, channel).file {
            LogFile::Path(path) if !path.is_empty() => Some(self.launch.directory.join(path)),
            LogFile::Path(_) | LogFile::None | LogFile::Auto => None,
        }
    }

    /// What the log plane is to do with a channel's bytes.
    pub(super) fn sink(&self, process: ProcessId, channel: Channel) -> Sink {
        let file = self.log_path(process, channel).map(Arc::from);
        let Some(config) = self.process_config(process) else {
            return Sink {
                process: String::new(),
                file,
                rate_max: None,
                maxbytes: 0,
                backups: 0,
                syslog: false,
                strip_ansi: false,
                copy: false,
                tally: Tally::default(),
            };
        };
        let log = channel_config(config, channel);
        Sink {
            process: config.name.clone(),
            file,
            rate_max: config.extras.output_rate_max,
            maxbytes: log.maxbytes,
            backups: log.backups,
            syslog: log.syslog,
            strip_ansi: self.config.daemon.strip_ansi,
            copy: self.config.daemon.loglevel >= LogLevelName::Debug,
            tally: self.children.tally(process, channel),
        }
    }

    pub(super) fn activity_file(&self) -> Option<PathBuf> {
        match &self.config.daemon.logfile {
            DaemonLog::File(path) => Some(path.clone()),
            DaemonLog::Syslog => None,
        }
    }

    /// Clears the logs of processes; answered when the log plane has done it.
    pub(super) fn clear_logs(&mut self, processes: Vec<ProcessId>, what: ClearingFor, reply: Reply) {
        let mut files: Vec<(ProcessId, PathBuf)> = Vec::new();
        for &process in &processes {
            for channel in [Channel::Stdout, Channel::Stderr] {
                files.extend(self.log_path(process, channel).map(|path| (process, path)));
            }
        }
        // A file system that hangs clears nothing; its clients must not add up.
        self.clearing.jobs.retain(|_, job| !job.reply.is_unwanted());
        let id = self.clearing.next_ticket;
        let mut tickets = BTreeMap::new();
        for (process, file) in files {
            let ticket = self.clearing.next_ticket;
            self.clearing.next_ticket += 1;
            tickets.insert(ticket, process);
            self.plane.send(Command::Clear { ticket, file: file.into() });
        }
        let processes = processes.into_iter().map(|process| (process, true)).collect();
        let job = Job { reply, what, left: tickets.len(), processes, tickets };
        if job.left == 0 {
            self.answer_clearing(job);
        } else {
            self.clearing.jobs.insert(id, job);
        }
    }

    fn cleared(&mut self, ticket: u64, result: Result<(), std::io::Error>) {
        let Some((&id, job)) = self.clearing.jobs.range_mut(..=ticket).next_back() else { return };
        let Some(&process) = job.tickets.get(&ticket) else { return };
        let name = self.engine.process(process).map_or_else(String::new, |view| view.namespec());
        job.left -= 1;
        if let Err(error) = result {
            if let Some((_, cleared)) = job.processes.iter_mut().find(|(candidate, _)| *candidate == process) {
                *cleared = false;
            }
            log(Level::Warn, &format!("could not clear a log of '{name}': {error}"));
        }
        if self.clearing.jobs.get(&id).is_some_and(|job| job.left == 0)
            && let Some(job) = self.clearing.jobs.remove(&id)
        {
            self.answer_clearing(job);
        }
    }

    fn answer_clearing(&self, job: Job) {
        let answer = match job.what {
            ClearingFor::One { .. } if job.processes.iter().all(|(_, cleared)| *cleared) => Ok(true.into()),
            ClearingFor::One { name } => Err(Fault::with(FaultCode::Failed, name)),
            ClearingFor::All => Ok(Value::Array(
                job.processes
                    .iter()
                    .filter_map(|&(process, cleared)| {
                        let view = self.engine.process(process)?;
                        Some(if cleared {
                            outcome_struct(view.name, view.group, FaultCode::Success as i64, "OK")
                        } else {
                            let fault = Fault::with(FaultCode::Failed, view.namespec());
                            outcome_struct(view.name, view.group, fault.code, &fault.text)
                        })
                    })
                    .collect(),
            )),
        };
        job.reply.send(answer);
    }

    /// `clearLog`, on a side thread.
    pub(super) fn clear_activity_log(&mut self, audit: String, reply: Reply) {
        let activity = std::sync::Arc::clone(&self.activity);
        side::run(move || {
            let cleared = activity.clear();
            log(Level::Info, &audit);
            let answer = match cleared {
                Ok(()) => Ok(true.into()),
                Err(SliceError::NoFile) => Err(Fault::new(FaultCode::NoFile)),
                Err(error) => Err(Fault::with(FaultCode::Failed, error.to_string())),
            };
            reply.send(answer);
        });
    }

    pub(super) fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Drained { source } => {
                self.children.drained(source);
            }
            Notice::Cleared { ticket, result } => self.cleared(ticket, result),
            Notice::Trouble { file, doing, error } => {
                self.record_log_trouble(&file, &format!("cannot {doing}: {error}"));
                let is_gone = error.kind() == std::io::ErrorKind::NotFound;
                let restoring = if is_gone { self.restore_directories(&file) } else { None };
                self.troubles.begin(file, doing, &error, restoring);
            }
            Notice::Losing { file, lost } => self.troubles.lose(&file, lost),
            Notice::Recovered { file, lost } => {
                self.record_log_trouble(&file, &format!("can be written again, {lost} bytes were lost"));
                self.troubles.end(&file, lost);
            }
            Notice::Stuck { file } => {
                self.record_log_trouble(&file, "does not answer (hung file system?)");
                self.troubles.hang(file);
            }
            Notice::Suppressed { source, total } => self.suppressed(source, total),
            Notice::Output { source, bytes } => {
                let Some(child) = self.children.get(source.child) else { return };
                let name = self.bare_name(child.process);
                let channel = source.channel.name();
                let text = format!("'{name}' {channel} output:\n{}", crate::events::decoded(&bytes));
                log(Level::Debug, &text);
            }
        }
    }
}

pub(super) fn channel_config(config: &ProcessConfig, channel: Channel) -> &LogConfig {
    match channel {
        Channel::Stdout => &config.stdout,
        Channel::Stderr => &config.stderr,
    }
}

/// Makes the AUTO logs of a group's processes and puts their names in the configuration, as Supervisor does when it
/// creates the group. Touches the file system: not for the control loop.
pub(super) fn make_auto_logs(group: &mut GroupConfig, daemon: &DaemonConfig) -> Vec<String> {
    let mut problems = Vec::new();
    for process in &mut group.processes {
        let redirected = process.redirect_stderr;
        let channels = [
            (Channel::Stdout, &mut process.stdout.file, false),
            (Channel::Stderr, &mut process.stderr.file, redirected),
        ];
        for (channel, file, redirected) in channels {
            if *file != LogFile::Auto {
                continue;
            }
            *file = if redirected {
                LogFile::None
            } else {
                match create_auto_log(&daemon.childlogdir, &process.name, channel, &daemon.identifier) {
                    Ok(path) => LogFile::Path(path.display().to_string()),
                    Err(error) => {
                        problems.push(format!(
                            "could not make the {} log of {}: {error}",
                            channel.name(),
                            process.name
                        ));
                        LogFile::None
                    }
                }
            };
        }
    }
    problems
}
