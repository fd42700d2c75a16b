//! From the command line to a keeper: Supervisor's start-up sequence up to the pidfile.
//!
//! Runs in the process that the user started, which then becomes the keeper by executing itself again: whatever was
//! loaded here is gone from memory, the pid stays. Everything that can be refused is refused here, on the terminal.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::directories::{self, NotMade};
use super::inheritance::Estate;
use super::invocation::{Asked, Call, Invocation};
use super::passed::Passed;
use super::pidfile::{self, Claim, Former};
use super::program_socket;
use super::program_sockets::{HELD_PREFIX, sockets_of};
use super::reachability::{self, Unreachable};
use super::startup::{self, listener_name};
use super::{inheritance, memory, persistence, report, stop_post};
use crate::cli::UsageError;
use crate::config::{Config, DaemonConfig, DaemonLog, Loaded, LogLevelName, ServerConfig, User};
use crate::http;
use crate::keeper::{self, Inheritance};
use crate::pidproxy;
use crate::sys::{clock, daemonize, limits, notify, users};

/// The name under which the keeper holds the launch record.
pub(super) const HELD_NAME: &str = "launch";

/// What the worker must know of how the daemon was launched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LaunchRecord {
    /// The directory the daemon was started in: names in the configuration are read from there.
    pub(super) origin: PathBuf,
    /// The directory the daemon is in: relative names of programs' log files are taken from there.
    pub(super) directory: PathBuf,
    /// The soft `RLIMIT_NOFILE` for programs, where the daemon's own was raised above it.
    pub(super) program_nofile: Option<u64>,
    /// Lines for the activity log, from before there was one.
    pub(super) messages: Vec<(LogLevelName, String)>,
    /// What is run, for a daemon that goes on with it.
    #[serde(default)]
    pub(super) claim: Option<Claim>,
    /// Sockets, by [`listener_name`], that the service manager opened and passed on. Their files are its own.
    #[serde(default)]
    pub(super) passed: BTreeSet<String>,
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
    /// A directory of the configuration: exit code 1.
    #[error(transparent)]
    Directory(NotMade),
    /// A file system hangs: exit code 1.
    #[error(transparent)]
    Unreachable(Unreachable),
    /// The socket of a `FastCGI` program: exit code 1, as Supervisor ends with a traceback.
    #[error("{0}")]
    Socket(String),
    #[error("{doing}: {error}")]
    System { doing: &'static str, error: io::Error },
}

impl Refused {
    fn code(&self) -> u8 {
        match self {
            Refused::Usage(_) | Refused::Report(_) => UsageError::EXIT_CODE,
            Refused::Log { .. }
            | Refused::Directory(_)
            | Refused::Unreachable(_)
            | Refused::Socket(_)
            | Refused::System { .. } => 1,
        }
    }

    fn text(&self, program: &str) -> String {
        match self {
            Refused::Usage(message) => UsageError::new(message.as_str()).text(program),
            Refused::Report(report) => report.clone(),
            Refused::Log { .. }
            | Refused::Directory(_)
            | Refused::Unreachable(_)
            | Refused::Socket(_)
            | Refused::System { .. } => {
                format!("Error: {self}\n")
            }
        }
    }
}

/// Does what the command line asks for. Where that is to run, it returns only if it cannot; with `--no-keeper` after
/// the daemon's whole life.
#[must_use]
pub fn launch(invocation: &Invocation) -> ExitCode {
    let ended = attempt(invocation).and_then(|ended| match ended {
        startup::Ended::Exit(code) => Ok(code),
        startup::Ended::Restart => {
            let error = keeper::start_image_again();
            Err(Refused::System { doing: "cannot start again", error })
        }
    });
    ended.unwrap_or_else(|refused| {
        say(&refused.text(invocation.program()));
        ExitCode::from(refused.code())
    })
}

/// Nobody is left to tell when the terminal is gone.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn attempt(invocation: &Invocation) -> Result<startup::Ended, Refused> {
    let origin = std::env::current_dir()
        .map_err(|error| Refused::System { doing: "cannot find the current directory", error })?;
    match invocation.read(&origin) {
        Ok(Asked::Run(call)) => start(invocation, &call, origin),
        Ok(Asked::Check { call, report }) => {
            let code = report::check(&call, report).map_err(|error| Refused::Usage(error.to_string()))?;
            Ok(startup::Ended::Exit(code))
        }
        Ok(Asked::Print(text)) => {
            // A reader that closed the pipe has read enough.
            let _ = io::stdout().write_all(text.as_bytes());
            Ok(startup::Ended::Exit(ExitCode::SUCCESS))
        }
        Ok(Asked::Pidproxy { program, words }) => Ok(startup::Ended::Exit(pidproxy::run(&program, &words))),
        Ok(Asked::StopPost) => Ok(startup::Ended::Exit(stop_post::run())),
        Err(misunderstood) => {
            say(&misunderstood.text);
            Ok(startup::Ended::Exit(ExitCode::from(misunderstood.code)))
        }
    }
}

fn start(invocation: &Invocation, call: &Call, origin: PathBuf) -> Result<startup::Ended, Refused> {
    let passed = notify::passed_descriptors();
    reachability::probe(call).map_err(Refused::Unreachable)?;
    let loaded = call.load().map_err(|error| Refused::Usage(error.to_string()))?;
    let claim = Claim::of(call, &loaded).map_err(|error| Refused::Usage(error.to_string()))?;
    let mut record = LaunchRecord {
        origin: origin.clone(),
        directory: origin,
        program_nofile: None,
        messages: Vec::new(),
        passed: BTreeSet::new(),
        claim: Some(claim.clone()),
    };
    let config = match (&loaded.config, &loaded.daemon) {
        (Some(config), _) => config,
        (None, Some(daemon)) if inheritance::is_possible(daemon) => {
            return go_on_all_the_same(invocation, call, &loaded, daemon, &claim, (record, passed));
        }
        (None, _) => return Err(broken(call, &loaded)),
    };
    if !call.is_supervisord {
        say(&report::for_terminal(&loaded));
    }
    let mut passed = Passed::sort(passed, &config.servers, &mut record);
    prepare(&config.daemon, &mut record)?;
    refuse_a_second(call, config, &claim, &passed)?;
    if let Some(estate) = inheritance::find(&config.daemon, &claim).map_err(Refused::Usage)? {
        record.messages.extend(estate.differing(config).map(|text| (LogLevelName::Warn, text)));
        return go_on(invocation, call, &config.daemon, (record, passed), estate);
    }
    refuse_a_squatter(call, config, &passed)?;
    let programs = passed.take_programs(config.groups.iter());
    test_sockets(config, &programs, &mut record)?;
    let mut held = bind(call, config, &mut passed, Former::Unknown)?;
    held.extend(programs);
    passed.give_up();
    match inheritance::found(&config.daemon) {
        Ok(found) => held.extend(found),
        Err(problem) => {
            record.messages.push((LogLevelName::Warn, format!("{} ({problem})", persistence::NONE)));
            let memory = memory::empty(c"galaxyd-roll");
            let roll = memory.map_err(|error| Refused::System { doing: "cannot make the roll", error })?;
            held.push((keeper::ROLL_HELD_NAME.to_owned(), roll));
        }
    }
    if !config.daemon.nodaemon {
        go_to_background(&config.daemon, &mut record)?;
    }
    if config.daemon.nodaemon && !call.is_supervisord && io::stderr().is_terminal() {
        say_how_to_ask(call);
    }
    keep(invocation, call, &record, held, Inheritance::None)
}

/// Becomes the keeper of all this.
fn keep(
    invocation: &Invocation,
    call: &Call,
    record: &LaunchRecord,
    mut held: Vec<(String, OwnedFd)>,
    inheritance: Inheritance,
) -> Result<startup::Ended, Refused> {
    let failed = |error| Refused::System { doing: "cannot start the keeper", error };
    held.push((HELD_NAME.to_owned(), memory::document(c"galaxyd-launch", record).map_err(failed)?));
    if call.alone {
        let (socket, _thread) = keeper::run_in_thread(held, inheritance).map_err(failed)?;
        return Ok(startup::run(socket, std::process::id(), invocation.clone()));
    }
    let borrowed: Vec<_> = held.iter().map(|(name, descriptor)| (name.clone(), descriptor.as_fd())).collect();
    Err(failed(keeper::become_keeper(&borrowed, inheritance)))
}

/// In the place of a daemon that was killed. What it had in force counts, whatever the file says now.
fn go_on(
    invocation: &Invocation,
    call: &Call,
    daemon: &DaemonConfig,
    (mut record, mut passed): (LaunchRecord, Passed),
    mut estate: Estate,
) -> Result<startup::Ended, Refused> {
    record.messages.insert(0, (LogLevelName::Warn, estate.describe()));
    let mut held = bind(call, &estate.snapshot.config, &mut passed, Former::Killed)?;
    held.extend(passed.take_programs(estate.snapshot.active.values()));
    passed.give_up();
    held.append(&mut estate.held);
    record.directory.clone_from(&estate.snapshot.launch.directory);
    if let Err(error) = std::env::set_current_dir(&record.directory) {
        record.messages.push((LogLevelName::Critical, cannot_change_to(&record.directory, &error)));
    }
    if !daemon.nodaemon {
        detach(daemon, &mut record)?;
    }
    keep(invocation, call, &record, held, Inheritance::Daemon)
}

/// The same with a file that is broken by now: only where it is from is asked of it.
fn go_on_all_the_same(
    invocation: &Invocation,
    call: &Call,
    loaded: &Loaded,
    daemon: &DaemonConfig,
    claim: &Claim,
    (mut record, passed): (LaunchRecord, Vec<(String, OwnedFd)>),
) -> Result<startup::Ended, Refused> {
    prepare(daemon, &mut record)?;
    if claim.is_taken(&daemon.pidfile).is_some() {
        return Err(broken(call, loaded));
    }
    let estate = inheritance::find(daemon, claim).map_err(Refused::Usage)?;
    let Some(estate) = estate else { return Err(broken(call, loaded)) };
    let text = format!("the configuration file is not used, it is broken: {}", report::plain(loaded).trim_end());
    record.messages.push((LogLevelName::Warn, text));
    let passed = Passed::sort(passed, &estate.snapshot.config.servers, &mut record);
    go_on(invocation, call, daemon, (record, passed), estate)
}

/// The process as the daemon's own settings want it.
fn prepare(daemon: &DaemonConfig, record: &mut LaunchRecord) -> Result<(), Refused> {
    become_user(daemon.user.as_ref(), record)?;
    directories::make(daemon).map_err(Refused::Directory)?;
    raise_limits(daemon, record)?;
    try_log(daemon)
}

/// The control sockets: those that were passed, else new ones.
fn bind(call: &Call, config: &Config, passed: &mut Passed, former: Former) -> Result<Vec<(String, OwnedFd)>, Refused> {
    let mut held = Vec::new();
    for server in &config.servers {
        let bound = match passed.take(server) {
            Some(descriptor) => http::rebind(descriptor, server),
            None => http::bind(server).or_else(|error| match error {
                http::BindError::InUse if !stays_in_use(server, former) => http::bind(server),
                error => Err(error),
            }),
        };
        let bound = match bound {
            Ok(bound) => bound,
            Err(http::BindError::InUse) => return Err(in_use(call, config, None)),
            Err(error) => return Err(Refused::Usage(error.to_string())),
        };
        if let Some(notice) = bound.stale_notice() {
            say(&format!("{notice}\n"));
        }
        let descriptor = bound.try_clone().map_err(|error| Refused::System { doing: "cannot keep a socket", error })?;
        held.push((listener_name(server), descriptor));
    }
    Ok(held)
}

/// Whether somebody else has the address of this server, and is not just about to end.
fn stays_in_use(server: &ServerConfig, former: Former) -> bool {
    let begin = clock::monotonic();
    while http::is_in_use(server) {
        let patience = former.patience(http::listening_process(server));
        if clock::monotonic().saturating_sub(begin) >= patience {
            return true;
        }
        pidfile::pause();
    }
    false
}

/// Before anything is done that a daemon with the same configuration would suffer from. Where it has our sockets, that
/// is what Supervisor says.
fn refuse_a_second(call: &Call, config: &Config, claim: &Claim, passed: &Passed) -> Result<(), Refused> {
    let Some(refusal) = claim.is_taken(&config.daemon.pidfile) else { return Ok(()) };
    if own_servers(config, passed).any(http::is_in_use) {
        return Err(in_use(call, config, Some(refusal)));
    }
    Err(Refused::Usage(refusal))
}

/// Before the sockets of programs are touched, which whoever has ours may have too.
fn refuse_a_squatter(call: &Call, config: &Config, passed: &Passed) -> Result<(), Refused> {
    let has_program_sockets = config.groups.iter().any(|group| !sockets_of(group).is_empty());
    if has_program_sockets && own_servers(config, passed).any(|server| stays_in_use(server, Former::Unknown)) {
        return Err(in_use(call, config, None));
    }
    Ok(())
}

/// Those of which no socket was passed.
fn own_servers<'a>(config: &'a Config, passed: &'a Passed) -> impl Iterator<Item = &'a ServerConfig> {
    config.servers.iter().filter(|server| !passed.has(server))
}

/// Another program has our sockets: a daemon with this configuration, of which `refusal` tells, or somebody else. As
/// galaxyd, who it is is told before Supervisor's sentence.
fn in_use(call: &Call, config: &Config, refusal: Option<String>) -> Refused {
    if !call.is_supervisord {
        let squatters = || config.servers.iter().filter_map(http::who_listens).collect();
        let told: Vec<String> = refusal.map_or_else(squatters, |refusal| vec![refusal]);
        for line in told {
            say(&format!("{line}\n"));
        }
    }
    Refused::Usage(http::BindError::InUse.to_string())
}

/// Makes and closes the sockets of `FastCGI` programs, as Supervisor does when it makes their groups; but those that are
/// open already.
fn test_sockets(config: &Config, open: &[(String, OwnedFd)], record: &mut LaunchRecord) -> Result<(), Refused> {
    let is_open = |url: &str| open.iter().any(|(name, _)| name.strip_prefix(HELD_PREFIX) == Some(url));
    for socket in config.groups.iter().flat_map(sockets_of).filter(|socket| !is_open(&socket.url)) {
        program_socket::test(socket).map_err(Refused::Socket)?;
        let lines = [program_socket::creating(socket), program_socket::closing(&socket.url)];
        record.messages.extend(lines.map(|line| (LogLevelName::Info, line)));
    }
    Ok(())
}

/// For the person at the terminal that the daemon now occupies.
fn say_how_to_ask(call: &Call) {
    let (Ok(file), Ok(program)) = (call.file(), std::env::current_exe()) else { return };
    let client = program.with_file_name("galaxyctl");
    say(&format!("In a second terminal: {} -c {} status\n", client.display(), file.display()));
}

/// One fork; only the daemon's side comes back.
fn go_to_background(daemon: &DaemonConfig, record: &mut LaunchRecord) -> Result<(), Refused> {
    detach(daemon, record)?;
    if let Some(directory) = &daemon.directory {
        record.messages.push(match std::env::set_current_dir(directory) {
            Ok(()) => (LogLevelName::Info, format!("set current directory: '{}'", directory.display())),
            Err(error) => (LogLevelName::Critical, cannot_change_to(directory, &error)),
        });
    }
    record.directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    Ok(())
}

fn detach(daemon: &DaemonConfig, record: &mut LaunchRecord) -> Result<(), Refused> {
    daemonize::daemonize().map_err(|error| Refused::System { doing: "cannot daemonize", error })?;
    record.messages.push((LogLevelName::Info, "daemonizing the supervisord process".to_owned()));
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(daemon.umask));
    Ok(())
}

fn cannot_change_to(directory: &Path, error: &io::Error) -> String {
    format!("can't chdir into '{}': {error}", directory.display())
}

/// Everything that is wrong with the configuration.
fn broken(call: &Call, loaded: &Loaded) -> Refused {
    match loaded.problems.first_told().filter(|_| call.is_supervisord) {
        Some(exact) => Refused::Usage(exact),
        None => Refused::Report(report::for_terminal(loaded)),
    }
}

/// Switches to `[supervisord] user=`.
///
/// Source: Supervisor 4.3, `supervisor.md` section 12, step 3.
fn become_user(user: Option<&User>, record: &mut LaunchRecord) -> Result<(), Refused> {
    let Some(user) = user else { return Ok(()) };
    users::become_user(user.uid, user.gid, &user.groups).map_err(|error| Refused::Usage(error.to_string()))?;
    record.messages.push((LogLevelName::Info, format!("Set uid to user {} succeeded", user.uid)));
    Ok(())
}

/// `minfds` and `minprocs`; then our own limit of descriptors is raised as far as it goes, since keeper and worker hold
/// several for each program, while programs get what Supervisor would give them.
fn raise_limits(daemon: &DaemonConfig, record: &mut LaunchRecord) -> Result<(), Refused> {
    let wanted = [
        (limits::OPEN_FILES, "RLIMIT_NOFILE", daemon.minfds, FEW_DESCRIPTORS),
        (limits::PROCESSES, "RLIMIT_NPROC", daemon.minprocs, FEW_PROCESSES),
    ];
    for (resource, name, minimum, text) in wanted {
        match limits::raise_to(resource, u64::try_from(minimum).unwrap_or(0)) {
            Ok(limits::Raised::Enough) => {}
            Ok(limits::Raised::From(_)) => {
                record.messages.push((LogLevelName::Info, format!("Increased {name} limit to {minimum}")));
            }
            Err(_) => return Err(Refused::Usage(text.replace("{minimum}", &minimum.to_string()))),
        }
    }
    let raised = limits::get(limits::OPEN_FILES).and_then(|(_, hard)| limits::raise_to(limits::OPEN_FILES, hard));
    // An unlimited hard limit cannot be had as a soft one everywhere; then everybody goes on with what there is.
    if let Ok(limits::Raised::From(soft)) = raised {
        record.program_nofile = Some(soft);
    }
    Ok(())
}

/// Supervisor's text for too low a hard limit of descriptors.
const FEW_DESCRIPTORS: &str = "The minimum number of file descriptors required to run this process is {minimum} as per \
the \"minfds\" command-line argument or config file setting. The current environment will only allow you to open \
{minimum} file descriptors.  Either raise the number of usable file descriptors in your environment (see README.rst) or \
lower the minfds setting in the config file to allow the process to start.";

/// Supervisor's text for too low a hard limit of processes.
const FEW_PROCESSES: &str = "The minimum number of available processes required to run this program is {minimum} as per \
the \"minprocs\" command-line argument or config file setting. The current environment will only allow you to open \
{minimum} processes.  Either raise the number of usable processes in your environment (see README.rst) or lower the \
minprocs setting in the config file to allow the program to start.";

/// An activity log that cannot be opened must be said on the terminal.
fn try_log(daemon: &DaemonConfig) -> Result<(), Refused> {
    let DaemonLog::File(file) = &daemon.logfile else { return Ok(()) };
    match OpenOptions::new().append(true).create(true).open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(Refused::Log { file: file.clone(), error }),
    }
}
