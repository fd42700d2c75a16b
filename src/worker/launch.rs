//! From the command line to a keeper: Supervisor's start-up sequence up to the pidfile.
//!
//! Runs in the process that the user started, which then becomes the keeper by executing itself again: whatever was
//! loaded here is gone from memory, the pid stays. Everything that can be refused is refused here, on the terminal.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::Environment;
use super::startup::listener_name;
use crate::cli::{DaemonOptions, UsageError};
use crate::config::{self, Config, DaemonLog, HostSource, LogLevelName, User};
use crate::http;
use crate::keeper::{self, ToKeeper};
use crate::sys::{daemonize, limits, users};

/// The name under which the keeper holds the launch record.
pub(super) const HELD_NAME: &str = "launch";

/// What the worker must know of how the daemon was launched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LaunchRecord {
    /// The daemon's working directory when its relative log file names were read.
    pub(super) directory: PathBuf,
    /// RLIMIT_NOFILE (soft, hard) for programs; `None` leaves them the daemon's own.
    pub(super) program_nofile: Option<(u64, u64)>,
    /// Lines for the activity log, from before there was one.
    pub(super) messages: Vec<(LogLevelName, String)>,
}

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// Supervisor's two lines, exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The configuration is bad: everything that is wrong with it, exit code 2.
    #[error("{0}")]
    Report(String),
    /// The activity log cannot be opened: exit code 1, as with Supervisor.
    #[error("cannot open the activity log {file}: {error}", file = file.display())]
    Log { file: PathBuf, error: io::Error },
    #[error("{doing}: {error}")]
    System { doing: &'static str, error: io::Error },
}

impl Refused {
    fn code(&self) -> u8 {
        match self {
            Refused::Usage(_) | Refused::Report(_) => UsageError::EXIT_CODE,
            Refused::Log { .. } | Refused::System { .. } => 1,
        }
    }

    fn text(&self, program: &str) -> String {
        match self {
            Refused::Usage(message) => UsageError::new(message.as_str()).text(program),
            Refused::Report(report) => report.clone(),
            Refused::Log { .. } | Refused::System { .. } => format!("Error: {self}\n"),
        }
    }
}

/// Launches the daemon. Returns only if it cannot, or in the parent of a daemonized one.
pub fn launch(options: &DaemonOptions, environment: Environment) -> ExitCode {
    match attempt(options, environment) {
        Ok(Launched::Parent) => ExitCode::SUCCESS,
        Err(refused) => {
            // Nobody is left to tell when the terminal is gone.
            let _ = io::stderr().write_all(refused.text(&options.program).as_bytes());
            ExitCode::from(refused.code())
        }
    }
}

/// What is left to do after a launch, besides being the keeper.
enum Launched {
    /// The daemon goes on in the background.
    Parent,
}

fn attempt(options: &DaemonOptions, environment: Environment) -> Result<Launched, Refused> {
    let config = configuration(options, environment)?;
    let mut record = LaunchRecord { directory: PathBuf::new(), program_nofile: None, messages: Vec::new() };
    become_user(config.daemon.user.as_ref(), &mut record)?;
    raise_limits(&config, &mut record)?;
    try_log(&config)?;
    let mut listeners = Vec::new();
    for server in &config.servers {
        let bound = http::bind(server).map_err(|error| Refused::Usage(error.to_string()))?;
        listeners.push((listener_name(server), bound.into_descriptor()));
    }
    if !config.daemon.nodaemon {
        match daemonize::daemonize() {
            Ok(daemonize::Side::Parent) => return Ok(Launched::Parent),
            Ok(daemonize::Side::Daemon) => {}
            Err(error) => return Err(Refused::System { doing: "cannot daemonize", error }),
        }
        record.messages.push((LogLevelName::Info, "daemonizing the supervisord process".to_owned()));
        if let Some(directory) = &config.daemon.directory {
            record.messages.push(match std::env::set_current_dir(directory) {
                Ok(()) => (LogLevelName::Info, format!("set current directory: '{}'", directory.display())),
                Err(error) => (LogLevelName::Critical, format!("can't chdir into '{}': {error}", directory.display())),
            });
        }
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(config.daemon.umask));
    }
    record.directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let error = match become_keeper(options, &record, listeners) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    Err(Refused::System { doing: "cannot start the keeper", error })
}

/// The configuration, or everything that is wrong with it.
fn configuration(options: &DaemonOptions, environment: Environment) -> Result<Config, Refused> {
    let source = HostSource::new(environment);
    let loaded = config::load(&options.configuration, &options.overrides, &source);
    let exact = loaded.problems.first_supervisor_error().map(str::to_owned);
    let report = loaded.report();
    match (loaded.config, exact) {
        (Some(config), _) => {
            // Warnings; the activity log gets them too.
            if !options.personality.is_supervisor() {
                let _ = io::stderr().write_all(report.as_bytes());
            }
            Ok(config)
        }
        (None, Some(exact)) if options.personality.is_supervisor() => Err(Refused::Usage(exact)),
        (None, _) => Err(Refused::Report(report)),
    }
}

/// Switches to `[supervisord] user=`.
///
/// Source: Supervisor 4.3, `supervisor.md` section 12, step 3.
fn become_user(user: Option<&User>, record: &mut LaunchRecord) -> Result<(), Refused> {
    let Some(user) = user else { return Ok(()) };
    users::switch(user.uid, user.gid, &user.groups).map_err(|error| Refused::Usage(error.to_string()))?;
    record.messages.push((LogLevelName::Info, format!("Set uid to user {} succeeded", user.uid)));
    Ok(())
}

/// `minfds` and `minprocs`; then our own limit of descriptors is raised as far as it goes, since keeper and worker hold
/// several for each program, while programs get what Supervisor would give them.
fn raise_limits(config: &Config, record: &mut LaunchRecord) -> Result<(), Refused> {
    let wanted = [
        (limits::Resource::RLIMIT_NOFILE, "RLIMIT_NOFILE", config.daemon.minfds, "minfds", FEW_DESCRIPTORS),
        (limits::Resource::RLIMIT_NPROC, "RLIMIT_NPROC", config.daemon.minprocs, "minprocs", FEW_PROCESSES),
    ];
    for (resource, name, minimum, key, text) in wanted {
        match limits::at_least(resource, minimum) {
            Ok(false) => {}
            Ok(true) => record.messages.push((LogLevelName::Info, format!("Increased {name} limit to {minimum}"))),
            Err(_) => {
                let text = text.replace("{minimum}", &minimum.to_string()).replace("{key}", key);
                return Err(Refused::Usage(text));
            }
        }
    }
    record.program_nofile = limits::raise_to_hard(limits::Resource::RLIMIT_NOFILE)
        .map_err(|error| Refused::System { doing: "cannot read RLIMIT_NOFILE", error })?;
    Ok(())
}

/// Supervisor's text for too low a hard limit of descriptors.
const FEW_DESCRIPTORS: &str = "The minimum number of file descriptors required to run this process is {minimum} as per \
the \"{key}\" command-line argument or config file setting. The current environment will only allow you to open \
{minimum} file descriptors.  Either raise the number of usable file descriptors in your environment (see README.rst) or \
lower the {key} setting in the config file to allow the process to start.";

/// Supervisor's text for too low a hard limit of processes.
const FEW_PROCESSES: &str = "The minimum number of available processes required to run this program is {minimum} as per \
the \"{key}\" command-line argument or config file setting. The current environment will only allow you to open \
{minimum} processes.  Either raise the number of usable processes in your environment (see README.rst) or lower the \
{key} setting in the config file to allow the program to start.";

/// An activity log that cannot be opened must be said on the terminal.
fn try_log(config: &Config) -> Result<(), Refused> {
    let DaemonLog::File(file) = &config.daemon.logfile else { return Ok(()) };
    match OpenOptions::new().append(true).create(true).open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(Refused::Log { file: file.clone(), error }),
    }
}

/// Executes this binary again as the keeper, with the listening sockets and the record already told in its own
/// protocol.
fn become_keeper(
    options: &DaemonOptions,
    record: &LaunchRecord,
    listeners: Vec<(String, OwnedFd)>,
) -> io::Result<Infallible> {
    let mut held = listeners;
    held.push((HELD_NAME.to_owned(), super::memory::document(c"galaxyd-launch", record)?));
    let messages = held.into_iter().map(|(name, descriptor)| (ToKeeper::Hold { name }, vec![descriptor])).collect();
    if options.no_keeper {
        keeper::run_beside(messages)
    } else {
        keeper::execute(messages)
    }
}
