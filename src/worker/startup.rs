//! A worker's first steps: from nothing (a start or a reload), or from what a predecessor left.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::Environment;
use super::children::Children;
use super::journal::{self, Journal, Snapshot};
use super::launch::{self, LaunchRecord};
use super::logfiles::{Clearing, make_auto_logs};
use super::memory;
use super::spawning::{Heritage, SpawnQueue};
use super::worker::{Worker, now};
use crate::cli::DaemonOptions;
use crate::config::{self, Config, GroupConfig, HostSource, LogLevelName, ServerAuth, ServerConfig};
use crate::engine::{Engine, Input, ProcessId, Request};
use crate::http::{self, Server};
use crate::keeper::{FromKeeper, HeldProgram, KeeperLink, LinkError, ToKeeper};
use crate::logs::{Activity, ActivityOptions, Level, Plane, remove_auto_logs};

/// Requests of clients that may wait for the control loop; more wait in their connections.
const REQUESTS_MAX: usize = 64;

/// Side threads for paths that may hang; idle ones end soon.
const SIDE_THREADS_MAX: usize = 16;
const SIDE_THREAD_IDLE: std::time::Duration = std::time::Duration::from_millis(500);

/// Why a worker cannot begin.
#[derive(Debug, thiserror::Error)]
enum Unable {
    #[error("the runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Keeper(#[from] LinkError),
    #[error("the keeper speaks version {theirs} of the protocol, this worker {ours}")]
    Version { theirs: u32, ours: u32 },
    #[error("the keeper holds no {0}")]
    Missing(&'static str),
    #[error("the predecessor's {what}: {error}")]
    Unreadable { what: &'static str, error: io::Error },
    /// Shown as it is.
    #[error("{0}")]
    Configuration(String),
    #[error("{doing}: {error}")]
    System { doing: String, error: io::Error },
}

/// What the keeper told at the beginning.
struct Inventory {
    generation: u64,
    fresh: bool,
    held: BTreeMap<String, OwnedFd>,
    programs: Vec<(HeldProgram, Vec<OwnedFd>)>,
}

/// The worker's whole life. `socket` leads to the keeper, `pid` is the keeper's.
#[must_use]
pub fn run(socket: OwnedFd, pid: u32, options: DaemonOptions, environment: Environment) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(SIDE_THREADS_MAX)
        .thread_keep_alive(SIDE_THREAD_IDLE)
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(async {
                Ok(begin(socket, pid, options, environment).await?.run().await)
            });
            // A side thread may hang in a file system for ever.
            runtime.shutdown_background();
            code
        }
        Err(error) => Err(Unable::Runtime(error)),
    };
    outcome.unwrap_or_else(|unable: Unable| {
        use io::Write;
        // Nobody is left to tell when the terminal is gone.
        let _ = writeln!(io::stderr(), "Error: {unable}");
        ExitCode::from(2)
    })
}

async fn begin(
    socket: OwnedFd,
    pid: u32,
    options: DaemonOptions,
    environment: Environment,
) -> Result<Worker, Unable> {
    let mut keeper = KeeperLink::new(socket)?;
    let inventory = take_inventory(&mut keeper).await?;
    if inventory.fresh {
        start(keeper, inventory, pid, options, environment)
    } else {
        take_over(keeper, inventory, pid, options, environment)
    }
}

async fn take_inventory(keeper: &mut KeeperLink) -> Result<Inventory, Unable> {
    let ours = crate::keeper::PROTOCOL_VERSION;
    keeper.send(&ToKeeper::Hello { version: ours }, Vec::new())?;
    let mut inventory = Inventory { generation: 0, fresh: false, held: BTreeMap::new(), programs: Vec::new() };
    loop {
        let (message, mut descriptors) = keeper.receive().await?;
        match message {
            FromKeeper::Welcome { version: theirs, .. } if theirs != ours => {
                return Err(Unable::Version { theirs, ours });
            }
            FromKeeper::Welcome { generation, fresh, .. } => {
                inventory.generation = generation;
                inventory.fresh = fresh;
            }
            FromKeeper::Held { name } => {
                inventory.held.extend(descriptors.pop().map(|descriptor| (name, descriptor)));
            }
            FromKeeper::Program(program) => inventory.programs.push((program, descriptors)),
            FromKeeper::InventoryEnd => return Ok(inventory),
            // News from before the inventory is in the inventory.
            _ => {}
        }
    }
}

/// Starts from nothing: the configuration is read, groups are made, endpoints opened.
fn start(
    mut keeper: KeeperLink,
    mut inventory: Inventory,
    pid: u32,
    options: DaemonOptions,
    environment: Environment,
) -> Result<Worker, Unable> {
    let launch = inventory.held.remove(launch::HELD_NAME).ok_or(Unable::Missing(launch::HELD_NAME))?;
    let launch: LaunchRecord =
        memory::read(launch).map_err(|error| Unable::Unreadable { what: launch::HELD_NAME, error })?;
    let source = HostSource::new(environment.iter().cloned());
    let loaded = config::load(&options.configuration, &options.overrides, &source);
    let report = loaded.report();
    let Some(mut config) = loaded.config else { return Err(Unable::Configuration(report)) };

    let activity = open_activity(&config)?;
    if nix::unistd::geteuid().is_root() && config.daemon.user.is_none() {
        activity.log(Level::Critical, RUNNING_AS_ROOT);
    }
    if inventory.generation == 1 {
        for (level, text) in &launch.messages {
            activity.log(level_of(*level), text);
        }
    }
    for line in report.lines() {
        activity.log(Level::Warn, line);
    }
    for (path, _) in loaded.files.iter().skip(1) {
        activity.log(Level::Info, &format!("Included extra file \"{}\" during parsing", path.display()));
    }
    if !config.daemon.nocleanup {
        for problem in remove_auto_logs(&config.daemon.childlogdir, &config.daemon.identifier) {
            activity.log(Level::Warn, &problem);
        }
    }
    for group in &mut config.groups {
        for problem in make_auto_logs(group, &config.daemon) {
            activity.log(Level::Warn, &problem);
        }
    }
    let active: IndexMap<_, _> = config.groups.iter().map(|group| (group.name.clone(), group.clone())).collect();
    let listeners = listeners(&config, &mut inventory.held, &mut keeper, &activity)?;
    let specs: Vec<_> = active.values().map(GroupConfig::spec).collect();
    let state = State { launch, config, active, engine: Engine::new(), journal: None, next_child: 1 };
    let mut worker = assemble(state, keeper, pid, options, environment, activity, listeners)?;
    for spec in specs {
        worker.request(Request::AddGroup(spec));
    }
    worker.write_pidfile();
    worker.activity.log(Level::Info, &format!("supervisord started with pid {pid}"));
    worker.tell_keeper(&ToKeeper::Ready);
    Ok(worker)
}

/// Goes on where a predecessor was killed.
fn take_over(
    mut keeper: KeeperLink,
    mut inventory: Inventory,
    pid: u32,
    options: DaemonOptions,
    environment: Environment,
) -> Result<Worker, Unable> {
    let journal = inventory.held.remove(journal::HELD_NAME).ok_or(Unable::Missing(journal::HELD_NAME))?;
    let (journal, snapshot) =
        Journal::resume(journal).map_err(|error| Unable::Unreadable { what: journal::HELD_NAME, error })?;
    let Snapshot { mood, next_process, next_child, launch, config, active, engine } = snapshot;
    let activity = open_activity(&config)?;
    let listeners = listeners(&config, &mut inventory.held, &mut keeper, &activity)?;
    let newest = inventory.programs.iter().map(|(program, _)| program.id + 1).max().unwrap_or(0);
    let state = State {
        launch,
        config,
        active,
        engine: Engine::restore(mood, engine, next_process),
        journal: Some(journal),
        next_child: next_child.max(newest),
    };
    let mut worker = assemble(state, keeper, pid, options, environment, activity, listeners)?;
    let text = format!(
        "a new worker took over {} programs from one that ended unexpectedly (worker number {})",
        inventory.programs.len(),
        inventory.generation
    );
    worker.activity.log(Level::Warn, &text);
    for (program, descriptors) in inventory.programs {
        worker.recover(program, descriptors);
    }
    let Worker { engine, effects, .. } = &mut worker;
    engine.resume(now(), effects);
    worker.tell_keeper(&ToKeeper::Ready);
    Ok(worker)
}

impl Worker {
    /// Takes back one child from the keeper, and tells the engine what the journal does not know of it.
    fn recover(&mut self, program: HeldProgram, descriptors: Vec<OwnedFd>) {
        let HeldProgram { id, tag, pid, started, last_signal, has_stdin, has_stderr, ended, .. } = program;
        let process = tag.parse().ok().map(ProcessId).filter(|process| self.engine.view(*process).is_some());
        let Some(process) = process else {
            // Its group was removed, which happens only after its exit was known.
            self.tell_keeper(&ToKeeper::Forget { id });
            return;
        };
        self.adopt(id, process, pid, [has_stdin, has_stderr], descriptors);
        match self.engine.view(process).and_then(|view| view.pid) {
            None if self.engine.awaits_spawn(process) => self.feed(Input::Spawned { process, pid, at: started }),
            Some(known) if known == pid => self.engine.resume_signalled(process, last_signal, &mut self.effects),
            // An earlier run whose end was handled already.
            _ => {}
        }
        if let Some(ended) = ended {
            self.drain(id);
            self.feed(Input::Exited { process, pid, exit: ended.exit, at: ended.at });
        }
    }
}

/// What a start and a take-over build differently.
struct State {
    launch: LaunchRecord,
    config: Config,
    active: IndexMap<String, GroupConfig>,
    engine: Engine,
    journal: Option<Journal>,
    next_child: u64,
}

type Listener = (OwnedFd, ServerConfig);

fn assemble(
    state: State,
    keeper: KeeperLink,
    pid: u32,
    options: DaemonOptions,
    environment: Environment,
    activity: Activity,
    listeners: Vec<Listener>,
) -> Result<Worker, Unable> {
    let State { launch, config, active, engine, journal, next_child } = state;
    let (request_sender, requests) = mpsc::channel(REQUESTS_MAX);
    let (prepared_sender, prepared) = mpsc::unbounded_channel();
    let (done_sender, done) = mpsc::unbounded_channel();
    let (plane, notices) =
        Plane::start().map_err(|error| Unable::System { doing: "cannot start the log plane".to_owned(), error })?;
    let mut servers = Vec::new();
    for (descriptor, server) in listeners {
        let server = Server::start(descriptor, auth(&server), request_sender.clone())
            .map_err(|error| Unable::System { doing: format!("cannot serve {}", section(&server)), error })?;
        servers.push(server);
    }
    Ok(Worker {
        heritage: Heritage::new(&config, &launch, environment),
        options,
        launch,
        config,
        active,
        engine,
        effects: Vec::new(),
        restructured: journal.is_none(),
        journal,
        keeper,
        pid,
        children: Children::default(),
        next_child,
        spawns: SpawnQueue::new(prepared_sender),
        prepared,
        done,
        done_sender,
        requests,
        servers,
        spawning: BTreeMap::new(),
        waiting: BTreeMap::new(),
        next_request: 0,
        clearing: Clearing::default(),
        plane,
        notices,
        activity,
        halted: None,
    })
}

/// The endpoints: what the keeper holds, or newly bound where it holds none (after a reload with other addresses).
/// What it holds and nobody wants any more is dropped.
fn listeners(
    config: &Config,
    held: &mut BTreeMap<String, OwnedFd>,
    keeper: &mut KeeperLink,
    activity: &Activity,
) -> Result<Vec<Listener>, Unable> {
    for interface in &config.rpcinterfaces {
        activity.log(Level::Info, &format!("RPC interface '{}' initialized", interface.name));
    }
    let mut listeners = Vec::new();
    for server in &config.servers {
        let name = listener_name(server);
        let descriptor = if let Some(descriptor) = held.remove(&name) {
            http::restore_access(server)
                .map_err(|error| Unable::System { doing: format!("cannot restore access to {name}"), error })?;
            descriptor
        } else {
            let bound = http::bind(server).map_err(|error| Unable::Configuration(error.to_string()))?;
            let descriptor = bound.into_descriptor();
            let copy = descriptor.try_clone().map_err(|error| Unable::System { doing: name.clone(), error })?;
            keeper.send(&ToKeeper::Hold { name }, vec![copy])?;
            descriptor
        };
        if auth(server).is_none() {
            let text = format!("Server '{}' running without any HTTP authentication checking", section(server));
            activity.log(Level::Critical, &text);
        }
        listeners.push((descriptor, server.clone()));
    }
    for name in held.keys().filter(|name| name.starts_with(LISTENER_PREFIX)) {
        keeper.send(&ToKeeper::Release { name: name.clone() }, Vec::new())?;
        http::remove_socket(name.trim_start_matches(LISTENER_PREFIX));
    }
    Ok(listeners)
}

const LISTENER_PREFIX: &str = "listener:";

/// The name under which the keeper holds an endpoint's socket: its address.
pub(super) fn listener_name(server: &ServerConfig) -> String {
    match server {
        ServerConfig::Unix(server) => format!("{LISTENER_PREFIX}unix:{}", server.file.display()),
        ServerConfig::Inet(server) => format!("{LISTENER_PREFIX}inet:{}:{}", server.host, server.port),
    }
}

fn auth(server: &ServerConfig) -> Option<ServerAuth> {
    match server {
        ServerConfig::Unix(server) => server.auth.clone(),
        ServerConfig::Inet(server) => server.auth.clone(),
    }
}

fn section(server: &ServerConfig) -> &str {
    match server {
        ServerConfig::Unix(server) => &server.section,
        ServerConfig::Inet(server) => &server.section,
    }
}

fn open_activity(config: &Config) -> Result<Activity, Unable> {
    let daemon = &config.daemon;
    let options = ActivityOptions {
        log: daemon.logfile.clone(),
        maxbytes: daemon.logfile_maxbytes,
        backups: daemon.logfile_backups,
        threshold: level_of(daemon.loglevel),
        echo: daemon.nodaemon && !daemon.silent,
    };
    Activity::open(options)
        .map_err(|error| Unable::System { doing: "cannot open the activity log".to_owned(), error })
}

fn level_of(level: LogLevelName) -> Level {
    match level {
        LogLevelName::Critical => Level::Critical,
        LogLevelName::Error => Level::Error,
        LogLevelName::Warn => Level::Warn,
        LogLevelName::Info => Level::Info,
        LogLevelName::Debug => Level::Debug,
        LogLevelName::Trace => Level::Trace,
        LogLevelName::Blather => Level::Blather,
    }
}

/// Supervisor's notice for a daemon that was not told to give up root's rights.
const RUNNING_AS_ROOT: &str = "Supervisor is running as root.  Privileges were not dropped because no user is specified \
in the config file.  If you intend to run as root, you can set user=root in the config file to avoid this message.";
