//! A worker's first steps: from nothing (a start or a reload), or from what a predecessor left.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::Environment;
use super::activity;
use super::announcing::Announced;
use super::calendar::Calendar;
use super::cgroups::Cgroups;
use super::children::Children;
use super::clients;
use super::directories::Directories;
use super::ear::TapRecord;
use super::galaxy_rules;
use super::hearing::{SERIAL_HELD_NAME, latest};
use super::history;
use super::invocation::{Asked, Call, Invocation};
use super::journal::{self, Journal, Snapshot};
use super::launch::{self, LaunchRecord};
use super::logfiles::{Clearing, make_auto_logs};
use super::memory;
use super::origins::Origins;
use super::out_of_memory::OomKills;
use super::outside::Searches;
use super::persistence::{self, Persistence};
use super::pidfile::{self, Claim};
use super::post_mortem::Morgue;
use super::probing::Probes;
use super::program_sockets::{ProgramSockets, held_urls, test_sockets};
use super::report;
use super::rollouts::Rollouts;
use super::scarcity;
use super::serving::{self, Serving};
use super::shortage::Shortage;
use super::socket_watch::SocketWatch;
use super::spawning::{Heritage, SpawnQueue};
use super::strays::Strays;
use super::taps::Taps;
use super::trimming::Trimming;
use super::twiddling;
use super::upgrade::Upgrades;
use super::worker::{Worker, now};
use crate::config::{Config, GroupConfig, LogLevelName, ServerAuth, ServerConfig};
use crate::engine::{Engine, Input};
use crate::events::{self, Events};
use crate::http::{self, BoundListener};
use crate::keeper::{FromKeeper, HeldProgram, KeeperLink, LinkError, ToKeeper};
use crate::logs::{self, Activity, Level, Plane, SourceId, Transits, clear_auto_logs, log};
use crate::sys::{heap, resident, side, spare_descriptors, stack};

/// Requests of clients that may wait for the control loop; more wait in their connections.
const REQUESTS_MAX: usize = 64;

/// Why a worker cannot begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unable {
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
    /// Why the roll is in the keeper's memory only, an errno; zero if it is not.
    unrecorded: i32,
}

/// How a worker's life ended.
#[derive(Debug)]
pub enum Ended {
    Exit(ExitCode),
    /// Every program is stopped and a fresh start is wanted; the keeper sees to it.
    Restart,
}

/// The worker's whole life. `socket` leads to the keeper, `pid` is the keeper's.
#[must_use]
pub fn run(socket: OwnedFd, pid: u32, invocation: Invocation) -> Ended {
    heap::keep_small();
    stack::claim();
    // Where it may not, its pages come and go like anybody's.
    let _ = resident::lock_code();
    // Fewer, or none, is what there was before.
    let _ = spare_descriptors::set_aside();
    let runtime = side::stand().and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build());
    let outcome = runtime.map_err(Unable::Runtime).and_then(|runtime| {
        runtime.block_on(async {
            // A worker is large, and so are the futures that hold it.
            let worker = Box::pin(begin(socket, pid, invocation)).await?;
            Ok(Box::pin(worker.run()).await)
        })
    });
    outcome.unwrap_or_else(|unable| {
        // Nobody is left to tell when the terminal is gone.
        let _ = writeln!(io::stderr(), "Error: {unable}");
        Ended::Exit(ExitCode::from(2))
    })
}

async fn begin(socket: OwnedFd, pid: u32, invocation: Invocation) -> Result<Worker, Unable> {
    let mut keeper = KeeperLink::new(socket)?;
    let inventory = take_inventory(&mut keeper).await?;
    if inventory.fresh {
        start(keeper, inventory, pid, invocation)
    } else {
        take_over(keeper, inventory, pid, invocation)
    }
}

async fn take_inventory(keeper: &mut KeeperLink) -> Result<Inventory, Unable> {
    let ours = crate::keeper::PROTOCOL_VERSION;
    keeper.send(&ToKeeper::Hello { version: ours }, Vec::new())?;
    let mut inventory =
        Inventory { generation: 0, fresh: false, held: BTreeMap::new(), programs: Vec::new(), unrecorded: 0 };
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
            FromKeeper::Unrecorded { errno } => inventory.unrecorded = errno,
            FromKeeper::InventoryEnd => return Ok(inventory),
            // News from before the inventory is in the inventory.
            _ => {}
        }
    }
}

/// Starts from nothing: the configuration is read, groups are made, endpoints opened.
fn start(mut keeper: KeeperLink, mut inventory: Inventory, pid: u32, invocation: Invocation) -> Result<Worker, Unable> {
    let launch = inventory.held.remove(launch::HELD_NAME).ok_or(Unable::Missing(launch::HELD_NAME))?;
    let mut launch: LaunchRecord =
        memory::read(launch).map_err(|error| Unable::Unreadable { what: launch::HELD_NAME, error })?;
    let call = call(&invocation, &launch)?;
    let loaded = call.load().map_err(|error| Unable::Configuration(error.to_string()))?;
    let warnings = report::log_lines(&loaded);
    let claim = Claim::of(&call, &loaded).map_err(|error| Unable::Configuration(error.to_string()))?;
    let Some(mut config) = loaded.config else { return Err(Unable::Configuration(warnings.join("\n"))) };
    let locked = inventory.held.remove(pidfile::HELD_NAME);
    launch.claim = Some(claim.clone());

    let activity = activity::open(&config)?;
    if nix::unistd::geteuid().is_root() && config.daemon.user.is_none() {
        log(Level::Critical, RUNNING_AS_ROOT);
    }
    if inventory.generation == 1 {
        launch.messages.iter().for_each(|(level, text)| log(activity::level_of(*level), text));
    }
    for line in warnings {
        log(Level::Warn, &line);
    }
    for line in &loaded.infos {
        log(Level::Info, line);
    }
    if let Some(text) = scarcity::foreseen(&config) {
        log(Level::Warn, &text);
    }
    galaxy_rules::look(&call, &config);
    if !config.daemon.nocleanup {
        clean_up(&config);
    }
    // The first time, the launcher has tested them.
    let tested = inventory.generation == 1;
    let active = first_groups(&mut config, tested, &held_urls(&inventory.held));
    let listeners = renew_listeners(&config, &mut inventory.held, &mut keeper)?;
    let files = persistence::renew(&config, &mut inventory.held, &mut keeper);
    let groups = active.values().map(GroupConfig::spec).collect();
    let next_serial = inventory.held.remove(SERIAL_HELD_NAME).map(memory::read).and_then(Result::ok).unwrap_or(0);
    let events = Events::new(config.daemon.identifier.clone(), next_serial);
    let mut engine = Engine::new();
    engine.set_restart_rate(config.daemon.restart_rate);
    let state = State {
        persistence: Persistence::of(&call, files),
        call,
        environment: invocation.environment,
        cgroups: Cgroups::start(&config.daemon.cgroup, pid, inventory.generation),
        launch,
        config,
        pending: None,
        active,
        engine,
        events,
        tap_records: BTreeMap::new(),
        journal: None,
        next_child: next_child(&inventory.programs),
        activity,
    };
    let mut worker = assemble(state, keeper, inventory.held, pid, listeners)?;
    worker.roll_is(inventory.unrecorded);
    // Of before a reload: stopped and told, only their last output was too slow.
    for (program, _) in inventory.programs {
        worker.tell_keeper(&ToKeeper::Forget { id: program.id });
    }
    worker.release_leftovers();
    worker.feed(Input::Begin { groups });
    worker.close_unused_sockets();
    if let Err(refusal) = worker.take_pidfile(&claim, locked) {
        // After a reload, when everything had to be stopped, it is too late to give up.
        if inventory.generation == 1 {
            log(Level::Critical, &refusal);
            worker.socket_files.iter().for_each(|file| drop(file.remove()));
            return Err(Unable::Configuration(refusal));
        }
        log(Level::Critical, &refusal);
    }
    log(Level::Info, &format!("supervisord started with pid {pid}"));
    worker.record_daemon(&format!("started with pid {pid}"));
    // The keeper takes a ready worker's successor for one that has a journal.
    worker.settle();
    worker.tell_keeper(&ToKeeper::Ready);
    Ok(worker)
}

/// The groups, with their AUTO logs made and, unless that was done, their sockets tested; those excepted that are open.
fn first_groups(config: &mut Config, tested: bool, open: &BTreeSet<String>) -> IndexMap<String, GroupConfig> {
    let mut active = IndexMap::new();
    for mut group in std::mem::take(&mut config.groups) {
        for problem in make_auto_logs(&mut group, &config.daemon) {
            log(Level::Warn, &problem);
        }
        if !tested && let Err(failed) = test_sockets(&group, open) {
            log(Level::Critical, &failed);
        }
        // Of two groups with one name the first counts, as in the engine.
        active.entry(group.name.clone()).or_insert(group);
    }
    active
}

/// Goes on where a predecessor was killed.
fn take_over(keeper: KeeperLink, mut inventory: Inventory, pid: u32, invocation: Invocation) -> Result<Worker, Unable> {
    let journal = inventory.held.remove(journal::HELD_NAME).ok_or(Unable::Missing(journal::HELD_NAME))?;
    let (journal, snapshot) =
        Journal::resume(journal).map_err(|error| Unable::Unreadable { what: journal::HELD_NAME, error })?;
    let Snapshot {
        mood,
        next_process,
        next_child: journalled,
        launch: journalled_launch,
        cgroups,
        config,
        pending,
        active,
        leaving,
        growing,
        engine,
        events,
        taps,
        probes,
        operations,
        origins,
    } = snapshot;
    // A daemon that goes on after a crash was launched anew.
    let launch = inventory.held.remove(launch::HELD_NAME).and_then(|launch| memory::read(launch).ok());
    let launch: LaunchRecord = launch.unwrap_or(journalled_launch);
    let locked = inventory.held.remove(pidfile::HELD_NAME);
    let clients = clients::take_from(&mut inventory.held);
    let files = persistence::resume(&config, &mut inventory.held);
    let activity = activity::open(&config)?;
    let listeners = adopt_listeners(&config, &mut inventory.held)?;
    let mut engine = Engine::restore(mood, engine, next_process);
    engine.set_restart_rate(config.daemon.restart_rate);
    let specs: Vec<_> =
        active.values().map(|group| events::GroupSpec::of(group, |name| engine.find(&group.name, name))).collect();
    let events = Events::restore(config.daemon.identifier.clone(), &specs, events);
    let call = call(&invocation, &launch)?;
    let state = State {
        persistence: Persistence::of(&call, files),
        call,
        environment: invocation.environment,
        launch,
        cgroups: Cgroups::resume(cgroups),
        config,
        pending,
        active,
        engine,
        events,
        tap_records: latest(taps),
        journal: Some(journal),
        next_child: journalled.max(next_child(&inventory.programs)),
        activity,
    };
    let mut worker = assemble(state, keeper, inventory.held, pid, listeners)?;
    worker.probes = Probes::resume(probes);
    worker.rollouts = Rollouts::resume(operations);
    worker.origins = Origins::resume(origins);
    worker.take_mailboxes();
    worker.leaving = leaving;
    worker.growing = growing;
    worker.roll_is(inventory.unrecorded);
    let upgrade = worker.past_upgrade();
    if upgrade.is_none() {
        worker.announce_succession(inventory.generation, inventory.programs.len());
    }
    if inventory.generation == 1 {
        worker.renew_pidfile(locked);
    }
    for (program, descriptors) in inventory.programs {
        worker.recover(program, descriptors);
    }
    worker.resume_cgroups();
    worker.resume_events();
    worker.release_leftovers();
    // What the old journal says of children that are gone must not be taken for news of those who get their ids.
    worker.restructured = true;
    let Worker { engine, effects, .. } = &mut worker;
    engine.resume(now(), effects);
    worker.resume_ordered_stops();
    worker.close_unused_sockets();
    worker.tell_keeper(&ToKeeper::Ready);
    worker.welcome_clients(clients);
    worker.note_upgrade(upgrade);
    Ok(worker)
}

impl Worker {
    /// Says whose place we take: of a worker, or, as the first worker of a keeper, of a daemon.
    fn announce_succession(&self, generation: u64, programs: usize) {
        if generation > 1 {
            let text = format!(
                "a new worker took over {programs} programs from one that ended unexpectedly (worker number {generation})"
            );
            log(Level::Warn, &text);
            return self.record_daemon(&text);
        }
        for (level, text) in &self.launch.messages {
            log(activity::level_of(*level), text);
            if *level <= LogLevelName::Warn {
                self.record_daemon(text);
            }
        }
        log(Level::Info, &format!("supervisord started with pid {}", self.pid));
        self.record_daemon(&format!("started with pid {}", self.pid));
    }
}

/// The first id that no child of the keeper has or had.
fn next_child(programs: &[(HeldProgram, Vec<OwnedFd>)]) -> u64 {
    programs.iter().map(|(program, _)| program.id + 1).max().unwrap_or(1)
}

/// The command line as the launcher read it.
fn call(invocation: &Invocation, launch: &LaunchRecord) -> Result<Call, Unable> {
    match invocation.read(&launch.origin) {
        Ok(Asked::Run(call)) => Ok(call),
        Ok(Asked::Check { .. } | Asked::Print(_) | Asked::Pidproxy { .. } | Asked::StopPost) => {
            Err(Unable::Missing("daemon to run"))
        }
        Err(misunderstood) => Err(Unable::Configuration(misunderstood.text)),
    }
}

/// What a start and a take-over build differently.
struct State {
    call: Call,
    environment: Environment,
    launch: LaunchRecord,
    cgroups: Cgroups,
    config: Config,
    pending: Option<Vec<GroupConfig>>,
    active: IndexMap<String, GroupConfig>,
    engine: Engine,
    events: Events,
    tap_records: BTreeMap<SourceId, TapRecord>,
    journal: Option<Journal>,
    persistence: Persistence,
    next_child: u64,
    activity: Activity,
}

pub(super) type Listener = (BoundListener, ServerConfig);

fn assemble(
    state: State,
    mut keeper: KeeperLink,
    mut held: BTreeMap<String, OwnedFd>,
    pid: u32,
    listeners: Vec<Listener>,
) -> Result<Worker, Unable> {
    let State { call, environment, launch, cgroups, config, pending, active, .. } = state;
    let State { engine, events, tap_records, journal, persistence, next_child, activity, .. } = state;
    let (request_sender, requests) = mpsc::channel(REQUESTS_MAX);
    let (prepared_sender, prepared) = mpsc::unbounded_channel();
    let (done_sender, done) = mpsc::unbounded_channel();
    let transits = transits(&mut held, &mut keeper)?;
    let sockets = ProgramSockets::take_from(&mut held);
    let options = logs::Options { syslog_tag: activity::SYSLOG_TAG.to_owned(), transits };
    let (plane, notices) = Plane::start(options)
        .map_err(|error| Unable::System { doing: "cannot start the log plane".to_owned(), error })?;
    let interfaces = Arc::new(twiddling::interfaces(&config));
    let taps = Taps::new().map_err(|error| Unable::System { doing: "cannot wait for output".to_owned(), error })?;
    let Serving { endpoints, socket_files, watched } =
        serving::serve(listeners, &launch.passed, &request_sender, &interfaces)?;
    let socket_watch = SocketWatch::start(watched, done_sender.clone());
    let history = history::start(&config);
    let directories = Directories::default();
    directories.learn(&config.daemon.make_directories);
    Ok(Worker {
        directories,
        heritage: Heritage::new(&config, &launch, environment),
        call,
        launch,
        config,
        pending,
        active,
        leaving: BTreeMap::new(),
        growing: Vec::new(),
        engine,
        effects: Vec::new(),
        events,
        event_effects: Vec::new(),
        taps,
        probes: Probes::default(),
        rollouts: Rollouts::default(),
        searches: Searches::default(),
        origins: Origins::default(),
        usage_turn: Arc::default(),
        gone: Vec::new(),
        held,
        tap_records,
        remembered: BTreeSet::new(),
        restructured: journal.is_none(),
        journal,
        persistence,
        shortage: Shortage::default(),
        trimming: Trimming::default(),
        keeper,
        signals: Vec::new(),
        pid,
        children: Children::default(),
        next_child,
        spawns: SpawnQueue::new(prepared_sender),
        cgroups,
        oom_kills: OomKills::default(),
        sockets,
        prepared,
        done,
        done_sender,
        requests,
        request_sender,
        endpoints,
        former_endpoints: VecDeque::new(),
        socket_watch,
        socket_files,
        spawning: BTreeMap::new(),
        waiting: BTreeMap::new(),
        next_request: 0,
        clearing: Clearing::default(),
        troubles: super::hindrance::Troubles::default(),
        orphan_news: super::orphan_news::OrphanNews::default(),
        morgue: Morgue::default(),
        strays: Strays::default(),
        sweeping: BTreeSet::new(),
        upgrades: Upgrades::default(),
        curious: Vec::new(),
        calendar: Calendar::new(),
        plane,
        notices,
        activity: Arc::new(activity),
        history,
        announced: Announced::new(),
        after_settling: Vec::new(),
        halted: None,
    })
}

/// What bytes wait in on their way to file systems that can hang: a predecessor's, or new ones for the keeper to hold.
fn transits(held: &mut BTreeMap<String, OwnedFd>, keeper: &mut KeeperLink) -> Result<Option<Transits>, Unable> {
    if let Some(transits) = Transits::from_held(held) {
        return Ok(Some(transits));
    }
    let transits = match Transits::create() {
        Ok(transits) => transits,
        Err(error) => {
            log(Level::Warn, &format!("a log on a file system that hangs will stop its program: {error}"));
            return Ok(None);
        }
    };
    for (name, descriptor) in transits.descriptors() {
        let copy = descriptor
            .try_clone_to_owned()
            .map_err(|error| Unable::System { doing: format!("cannot keep {name}"), error })?;
        keeper.send(&ToKeeper::Hold { name }, vec![copy])?;
    }
    Ok(Some(transits))
}

/// The endpoints of a fresh start: what the launcher bound, what was bound before a reload, or new ones where the
/// addresses are new. What is held and not wanted any more is dropped.
fn renew_listeners(
    config: &Config,
    held: &mut BTreeMap<String, OwnedFd>,
    keeper: &mut KeeperLink,
) -> Result<Vec<Listener>, Unable> {
    let mut listeners = Vec::new();
    for server in &config.servers {
        let name = listener_name(server);
        let bound = match held.remove(&name) {
            Some(descriptor) => http::rebind(descriptor, server),
            None => http::bind(server),
        };
        let listener = bound.map_err(|error| Unable::Configuration(error.to_string()))?;
        let copy = listener.try_clone().map_err(|error| Unable::System { doing: name.clone(), error })?;
        keeper.send(&ToKeeper::Hold { name }, vec![copy])?;
        for interface in &config.rpcinterfaces {
            log(Level::Info, &format!("RPC interface '{}' initialized", interface.name));
        }
        if auth(server).is_none() {
            let text = format!("Server '{}' running without any HTTP authentication checking", section(server));
            log(Level::Critical, &text);
        }
        listeners.push((listener, server.clone()));
    }
    for name in held.keys().filter(|name| name.starts_with(LISTENER_PREFIX)) {
        keeper.send(&ToKeeper::Release { name: name.clone() }, Vec::new())?;
    }
    Ok(listeners)
}

/// A predecessor's endpoints, as they are.
fn adopt_listeners(config: &Config, held: &mut BTreeMap<String, OwnedFd>) -> Result<Vec<Listener>, Unable> {
    let adopt = |server: &ServerConfig| {
        let descriptor = held.remove(&listener_name(server)).ok_or(Unable::Missing("listening socket"))?;
        Ok((BoundListener::adopt(descriptor, server), server.clone()))
    };
    config.servers.iter().map(adopt).collect()
}

/// Deletes the AUTO logs of former runs.
fn clean_up(config: &Config) {
    match clear_auto_logs(&config.daemon.childlogdir, &config.daemon.identifier) {
        Ok(failed) => {
            for path in failed {
                log(Level::Warn, &format!("Failed to clean up '{}'", path.display()));
            }
        }
        Err(_) => log(Level::Warn, "Could not clear childlog dir"),
    }
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

pub(super) fn section(server: &ServerConfig) -> &str {
    match server {
        ServerConfig::Unix(server) => &server.section,
        ServerConfig::Inet(server) => &server.section,
    }
}

/// Supervisor's notice for a daemon that was not told to give up root's rights.
const RUNNING_AS_ROOT: &str = "Supervisor is running as root.  Privileges were not dropped because no user is specified \
in the config file.  If you intend to run as root, you can set user=root in the config file to avoid this message.";
