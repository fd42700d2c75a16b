//! From the engine's wish to spawn a process to the plan that the keeper executes.
//!
//! Looking a command up touches paths that may hang, so it is done on side threads. Spawns still go to the keeper in
//! the order the engine wanted them, because users see that order, but a look-up that hangs holds the others back no
//! longer than [`ORDER_PATIENCE`].

use std::collections::VecDeque;
use std::ffi::{CString, OsString};
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::cgroups::Room;
use super::environment_file;
use super::launch::LaunchRecord;
use super::origin::PlanSums;
use super::probing::{self, Tracks};
use super::program_sockets::SharedSocket;
use super::scarcity;
use super::server_names;
use crate::config::{Config, Passing, ProcessConfig, ServerConfig, find_command};
use crate::engine::{Moment, ProcessId, SpawnError};
use crate::sys::plan::{ExecPlan, SoftLimit, Stderr, Stdin, User};
use crate::sys::side;

/// How long a spawn waits for the look-up of an earlier one.
const ORDER_PATIENCE: Duration = Duration::from_millis(250);

/// So many spawns are prepared, or have been and wait for their turn: what a plan is made of is large, and thousands that die
/// together are no reason to hold thousands of plans. More than there are side threads, so that none waits for us.
const PREPARED_MAX: usize = 2 * side::THREADS_MAX;

/// How long a look-up may take; then the start has failed, and what comes of it later is dropped.
pub(super) const LOOKUP_MAX: Duration = Duration::from_secs(10);

/// What is said then.
pub(super) const LOOKUP_TOO_LONG: &str = "looking its command up takes too long (hung file system?)";

/// One spawn that the engine asked for. Its text is the tag that the keeper keeps for a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) process: ProcessId,
    pub(super) attempt: u32,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.process.0, self.attempt)
    }
}

impl FromStr for Wanted {
    type Err = ();
    fn from_str(tag: &str) -> Result<Wanted, ()> {
        let (process, attempt) = tag.split_once('.').ok_or(())?;
        Ok(Wanted { process: ProcessId(process.parse().map_err(drop)?), attempt: attempt.parse().map_err(drop)? })
    }
}

/// What a run needs, made beforehand.
#[derive(Debug)]
pub(super) struct Provision {
    pub(super) plan: ExecPlan,
    /// Of the cgroup that the child is to enter.
    pub(super) door: Option<OwnedFd>,
    pub(super) tracks: Tracks,
    /// What its origin is taken from.
    pub(super) sums: PlanSums,
}

/// What a run needs, or why there is none.
pub(super) type Prepared = Result<Provision, SpawnError>;

/// What all programs inherit from the daemon.
#[derive(Debug, Clone)]
pub(super) struct Heritage {
    /// The daemon's own environment, as it was started with.
    pub(super) environment: Arc<Vec<(OsString, OsString)>>,
    /// `SUPERVISOR_SERVER_URL` for programs without `serverurl=`.
    pub(super) serverurl: Option<String>,
    /// The soft `RLIMIT_NOFILE` for programs: the daemon's own is higher.
    pub(super) nofile: Option<u64>,
}

impl Heritage {
    pub(super) fn new(config: &Config, launch: &LaunchRecord, environment: super::Environment) -> Heritage {
        Heritage { environment: Arc::new(environment), serverurl: serverurl(config), nofile: launch.program_nofile }
    }

    pub(super) fn path(&self) -> Option<&str> {
        let (_, value) = self.environment.iter().find(|(name, _)| name == "PATH")?;
        value.to_str()
    }
}

/// The automatic server URL: the first unix socket, else the last inet server.
///
/// Source: Supervisor 4.3 `[program:x] serverurl`.
pub(super) fn serverurl(config: &Config) -> Option<String> {
    let unix = config.servers.iter().find_map(|server| match server {
        ServerConfig::Unix(server) => Some(format!("unix://{}", server.file.display())),
        ServerConfig::Inet(_) => None,
    });
    unix.or_else(|| {
        config.servers.iter().rev().find_map(|server| match server {
            ServerConfig::Inet(server) => {
                let host = if server.host.is_empty() { "localhost" } else { server.host.as_str() };
                Some(format!("http://{host}:{}", server.port))
            }
            ServerConfig::Unix(_) => None,
        })
    })
}

/// Makes the plan for one process. Looks files up: not for the control loop.
pub(super) fn prepare(group: &str, process: &ProcessConfig, heritage: &Heritage) -> Result<ExecPlan, SpawnError> {
    let command = find_command(process, heritage.path())?;
    let unusable = |what: &str| SpawnError::NotExecutable(format!("{what} holds a NUL byte"));
    let text = |text: &[u8], what: &str| CString::new(text).map_err(|_| unusable(what));
    let mut argv = Vec::with_capacity(command.argv.len());
    for argument in &command.argv {
        argv.push(text(argument.as_bytes(), "command")?);
    }
    let directory = match &process.directory {
        Some(directory) => Some(text(directory.as_bytes(), "directory")?),
        None => None,
    };
    let passing = process.socket.as_ref().map(|socket| socket.passing);
    Ok(ExecPlan {
        path: text(command.file.as_bytes(), "command")?,
        argv,
        environment: variables(&environment(group, process, heritage)?).map_err(|()| unusable("environment"))?,
        directory,
        umask: process.umask,
        user: process.user.as_ref().map_or(User::Keep, |user| User::Become {
            uid: user.uid,
            gid: user.gid,
            groups: user.groups.clone(),
        }),
        limits: heritage.nofile.map(|soft| SoftLimit { resource: libc::RLIMIT_NOFILE, soft }).into_iter().collect(),
        stdin: if passing == Some(Passing::Stdin) { Stdin::Given } else { Stdin::Pipe },
        stderr: if process.redirect_stderr { Stderr::Stdout } else { Stderr::Pipe },
        enters_cgroup: false,
        is_confined: false,
        listens: passing == Some(Passing::Listen),
    })
}

/// What shows that the run is ready, with the variable that the program needs for it.
fn tracks(process: &ProcessConfig, logs: Vec<PathBuf>, plan: &mut ExecPlan) -> Result<Tracks, SpawnError> {
    let failed = |error: std::io::Error| {
        let text = format!("cannot make a socket for the messages of '{}': {error}", process.name);
        let starved = error.raw_os_error().is_some_and(scarcity::is_starved);
        if starved { SpawnError::Starved(text) } else { SpawnError::Failed(text) }
    };
    let (tracks, address) = probing::prepare(process.extras.ready.as_ref(), logs).map_err(failed)?;
    if let Some(address) = address {
        let named = variable(b"NOTIFY_SOCKET", address.as_bytes());
        plan.environment.retain(|pair| !pair.to_bytes().starts_with(b"NOTIFY_SOCKET="));
        plan.environment.extend(named);
    }
    Ok(tracks)
}

/// The child itself adds it, as nobody knows its pid before.
const LISTEN_PID: &str = "LISTEN_PID";

/// The child's environment, each variable once, in the order in which it is handed over; what comes later overrides.
/// Reads files and looks accounts up: not for the control loop.
///
/// Source: Supervisor 4.3, `supervisor.md` section 13; the account, the files and the clearing are ours.
///
/// # Errors
///
/// An account that does not exist, an `environment_file` that cannot be read.
pub(super) fn environment(
    group: &str,
    process: &ProcessConfig,
    heritage: &Heritage,
) -> Result<Vec<(OsString, OsString)>, SpawnError> {
    let mut own: Vec<(String, OsString)> = Vec::new();
    if process.extras.user_environment {
        own.extend(account_variables(process)?);
    }
    let mut set = |name: &str, value: &str| own.push((name.to_owned(), value.into()));
    set("SUPERVISOR_ENABLED", "1");
    if let Some(url) = process.serverurl.as_deref().or(heritage.serverurl.as_deref()) {
        set("SUPERVISOR_SERVER_URL", url);
    }
    set("SUPERVISOR_PROCESS_NAME", &process.name);
    set("SUPERVISOR_GROUP_NAME", group);
    for (name, value) in environment_file::read_all(&process.extras.environment_files)? {
        set(&name, &value);
    }
    for (name, value) in &process.environment {
        set(name, value);
    }
    let listens = process.socket.as_ref().is_some_and(|socket| socket.passing == Passing::Listen);
    if listens {
        let program = process.section.split_once(':').map_or("", |(_, name)| name);
        own.push(("LISTEN_FDS".to_owned(), "1".into()));
        own.push(("LISTEN_FDNAMES".to_owned(), program.replace(':', "_").into()));
        own.retain(|(name, _)| name != LISTEN_PID);
    }
    let inherited = heritage.environment.iter().filter(|_| !process.extras.clear_environment);
    let inherited = inherited.filter(|(name, _)| !(listens && name == LISTEN_PID));
    let inherited = inherited.filter(|(name, _)| !own.iter().any(|(mine, _)| name == mine.as_str())).cloned();
    let mut variables: Vec<(OsString, OsString)> = inherited.collect();
    for (place, (name, value)) in own.iter().enumerate() {
        let is_overridden = own.iter().skip(place + 1).any(|(later, _)| later == name);
        if !is_overridden {
            variables.push((name.into(), value.clone()));
        }
    }
    Ok(variables)
}

/// `user_environment`: what a login would set, from the account the process runs as.
fn account_variables(process: &ProcessConfig) -> Result<Vec<(String, OsString)>, SpawnError> {
    let uid = process.user.as_ref().map_or_else(nix::unistd::geteuid, |user| nix::unistd::Uid::from_raw(user.uid));
    let failed = |why: String| SpawnError::Failed(format!("user_environment: {why}"));
    let account = nix::unistd::User::from_uid(uid)
        .map_err(|errno| failed(format!("cannot look up the account {uid}: {errno}")))?
        .ok_or_else(|| failed(format!("there is no account {uid}")))?;
    Ok(vec![
        ("HOME".to_owned(), account.dir.into_os_string()),
        ("USER".to_owned(), account.name.clone().into()),
        ("LOGNAME".to_owned(), account.name.into()),
        ("SHELL".to_owned(), account.shell.into_os_string()),
    ])
}

fn variables(pairs: &[(OsString, OsString)]) -> Result<Vec<CString>, ()> {
    pairs.iter().map(|(name, value)| variable(name.as_bytes(), value.as_bytes())).collect()
}

fn variable(name: &[u8], value: &[u8]) -> Result<CString, ()> {
    CString::new([name, b"=", value].concat()).map_err(|_| ())
}

/// What a run finds when it begins.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) heritage: Heritage,
    /// For a cgroup of its own.
    pub(super) room: Option<Room>,
    /// Files in which its output shows that it is ready.
    pub(super) logs: Vec<PathBuf>,
}

/// Spawns wanted by the engine, waiting for their plans.
#[derive(Debug)]
pub(super) struct SpawnQueue {
    waiting: VecDeque<Waiting>,
    /// So many of the first ones are being prepared, or are.
    begun: usize,
    done: mpsc::UnboundedSender<(Wanted, Prepared)>,
}

#[derive(Debug)]
struct Waiting {
    wanted: Wanted,
    /// Made before its first start, where it is not there yet.
    socket: Option<SharedSocket>,
    /// When its look-up was asked for.
    asked: Option<Moment>,
    prepared: Option<Prepared>,
}

impl Waiting {
    /// Whether its look-up takes at least so long.
    fn lasts(&self, now: Moment, patience: Duration) -> bool {
        self.prepared.is_none() && self.asked.is_some_and(|asked| now.since(asked) >= patience)
    }
}

impl SpawnQueue {
    /// `done` gets each plan; hand it back by [`SpawnQueue::prepared`].
    pub(super) fn new(done: mpsc::UnboundedSender<(Wanted, Prepared)>) -> SpawnQueue {
        SpawnQueue { waiting: VecDeque::new(), begun: 0, done }
    }

    /// Adds a spawn, which is to have this socket.
    pub(super) fn push(&mut self, wanted: Wanted, socket: Option<SharedSocket>) {
        self.waiting.push_back(Waiting { wanted, socket, asked: None, prepared: None });
    }

    /// The next spawn to prepare, if it is its turn; to be given to [`SpawnQueue::prepare`].
    pub(super) fn begin(&mut self, now: Moment) -> Option<Wanted> {
        let next = self.waiting.get_mut(self.begun).filter(|_| self.begun < PREPARED_MAX)?;
        next.asked = Some(now);
        self.begun += 1;
        Some(next.wanted)
    }

    /// Starts to prepare a spawn on a side thread, the socket first, as Supervisor does.
    pub(super) fn prepare(
        &mut self,
        wanted: Wanted,
        group: String,
        process: ProcessConfig,
        surroundings: Surroundings,
    ) {
        let Surroundings { heritage, room, logs } = surroundings;
        let waiting = self.waiting.iter_mut().take(self.begun).find(|waiting| waiting.wanted == wanted);
        let socket = waiting.and_then(|waiting| waiting.socket.take());
        let done = self.done.clone();
        side::run(move || {
            let made = match socket.zip(process.socket.as_ref()) {
                Some((socket, config)) => socket.make(config),
                None => Ok(()),
            };
            // The receiver is gone only when the worker ends.
            let _ = done.send((
                wanted,
                made.and_then(|()| server_names::refuse_twin(&process)).and_then(|()| {
                    let mut plan = prepare(&group, &process, &heritage)?;
                    let sums = PlanSums::of(&plan);
                    let tracks = tracks(&process, logs, &mut plan)?;
                    plan.is_confined = room.as_ref().is_some_and(Room::is_required);
                    let door = room.map_or(Ok(None), |room| room.door())?;
                    plan.enters_cgroup = door.is_some();
                    Ok(Provision { plan, door, tracks, sums })
                }),
            ));
        });
    }

    /// Whether every spawn that was wanted has come out.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a spawn of this process was wanted and has not come out.
    pub(super) fn is_preparing(&self, process: ProcessId) -> bool {
        self.waiting.iter().any(|waiting| waiting.wanted.process == process)
    }

    /// Takes a plan; it comes out of [`SpawnQueue::pop`] when it is its turn.
    pub(super) fn prepared(&mut self, wanted: Wanted, prepared: Prepared) {
        let mut begun = self.waiting.iter_mut().take(self.begun);
        if let Some(waiting) = begun.find(|waiting| waiting.wanted == wanted && waiting.prepared.is_none()) {
            waiting.prepared = Some(prepared);
        }
    }

    /// The next spawn that is ready and need not wait for an earlier one any longer.
    pub(super) fn pop(&mut self, now: Moment) -> Option<(Wanted, Prepared)> {
        let mut begun = self.waiting.iter_mut().take(self.begun);
        if let Some(stuck) = begun.find(|waiting| waiting.lasts(now, LOOKUP_MAX)) {
            stuck.prepared = Some(Err(SpawnError::Failed(LOOKUP_TOO_LONG.to_owned())));
        }
        let index = self
            .waiting
            .iter()
            .take_while(|waiting| waiting.prepared.is_some() || waiting.lasts(now, ORDER_PATIENCE))
            .position(|waiting| waiting.prepared.is_some())?;
        let waiting = self.waiting.remove(index)?;
        self.begun -= 1;
        if self.waiting.is_empty() {
            // What a start of thousands took is not kept for the starts of one that follow.
            self.waiting.shrink_to_fit();
        }
        Some((waiting.wanted, waiting.prepared?))
    }

    /// When patience with a look-up ends: with the last one before a spawn that is ready, or with the first of all.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let first = self.waiting.iter().take(self.begun).find(|waiting| waiting.prepared.is_none())?;
        let ready = self.waiting.iter().take(self.begun).position(|waiting| waiting.prepared.is_some());
        let before = ready.and_then(|ready| self.waiting.range(..ready).last()?.asked);
        before.map(|asked| asked + ORDER_PATIENCE).or(first.asked.map(|asked| asked + LOOKUP_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::sample;

    fn wanted(number: u32) -> Wanted {
        Wanted { process: ProcessId(1), attempt: number }
    }

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    /// Spawns that were asked for at these times; no side thread looks anything up.
    fn queue(asked: &[u64]) -> SpawnQueue {
        let mut queue = SpawnQueue::new(mpsc::unbounded_channel().0);
        for (number, millis) in (1..).zip(asked) {
            queue.push(wanted(number), None);
            assert_eq!(queue.begin(at(*millis)), Some(wanted(number)));
        }
        queue
    }

    fn failed(text: &str) -> Prepared {
        Err(SpawnError::Failed(text.to_owned()))
    }

    fn popped(queue: &mut SpawnQueue, now: Moment) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop(now)).map(|(wanted, _)| wanted.attempt).collect()
    }

    #[test]
    fn spawns_keep_their_order_however_the_look_ups_end() {
        let mut queue = queue(&[0, 0, 0]);
        queue.prepared(wanted(3), failed("c"));
        queue.prepared(wanted(2), failed("b"));
        assert_eq!(popped(&mut queue, at(10)), [0; 0]);
        queue.prepared(wanted(1), failed("a"));
        assert_eq!(popped(&mut queue, at(10)), [1, 2, 3]);
        assert_eq!(queue.deadline(), None);
    }

    #[test]
    fn a_look_up_that_hangs_holds_the_others_back_for_a_moment_only() {
        let mut queue = queue(&[0, 100, 200]);
        queue.prepared(wanted(3), failed("c"));
        let patience = at(100) + ORDER_PATIENCE;
        assert_eq!(queue.deadline(), Some(patience));
        assert_eq!(popped(&mut queue, at(100)), [0; 0]);
        assert_eq!(popped(&mut queue, patience), [3]);
        assert_eq!(queue.deadline(), Some(at(0) + LOOKUP_MAX));
    }

    #[test]
    fn a_look_up_that_takes_too_long_has_failed_and_comes_too_late() {
        let mut queue = queue(&[0, 0]);
        let (first, prepared) = queue.pop(at(0) + LOOKUP_MAX).unwrap();
        assert_eq!(first, wanted(1));
        assert!(matches!(prepared, Err(SpawnError::Failed(text)) if text.contains("too long")));
        queue.prepared(wanted(1), failed("late"));
        assert_eq!(popped(&mut queue, at(0) + LOOKUP_MAX), [2]);
        assert!(queue.waiting.is_empty());
    }

    #[test]
    fn of_thousands_that_are_wanted_together_few_are_prepared_at_once_and_all_come_out_in_order() {
        let mut queue = SpawnQueue::new(mpsc::unbounded_channel().0);
        (0..2000).for_each(|number| queue.push(wanted(number), None));
        let mut out = Vec::new();
        while !queue.is_empty() {
            let mut begun: Vec<Wanted> = std::iter::from_fn(|| queue.begin(at(0))).collect();
            assert!(!begun.is_empty() && begun.len() <= PREPARED_MAX);
            // The first one is ready last.
            begun.rotate_left(1);
            for wanted in begun {
                queue.prepared(wanted, failed("x"));
            }
            out.extend(popped(&mut queue, at(0)));
        }
        assert!(out.is_sorted() && out.len() == 2000);
    }

    #[test]
    fn a_tag_says_which_spawn_it_was() {
        let spawn = Wanted { process: ProcessId(u64::MAX), attempt: u32::MAX };
        assert_eq!(spawn.to_string().parse(), Ok(spawn));
        for tag in ["", "1", "1.", ".1", "a.1", "1.2.3", "-1.1", "1.4294967296"] {
            assert_eq!(tag.parse::<Wanted>(), Err(()), "{tag}");
        }
    }

    #[test]
    fn the_servers_url_is_the_first_sockets_or_else_the_last_ports() {
        let unix = "[unix_http_server]\nfile=/tmp/s.sock\n";
        let inet = "[inet_http_server:a]\nport=127.0.0.1:9001\n[inet_http_server:b]\nport=*:9002\nallow_unauthenticated=true\n";
        for (sections, expected) in [
            (String::new(), None),
            (unix.to_owned(), Some("unix:///tmp/s.sock")),
            (inet.to_owned(), Some("http://localhost:9002")),
            (format!("{inet}{unix}"), Some("unix:///tmp/s.sock")),
        ] {
            assert_eq!(serverurl(&sample::config(&sections)).as_deref(), expected, "{sections}");
        }
    }

    #[test]
    fn a_programs_own_variables_come_last_and_once() {
        let inherited = [("PATH", "/bin"), ("HOME", "/root"), ("SUPERVISOR_ENABLED", "0")];
        let heritage = Heritage {
            environment: Arc::new(inherited.map(|(name, value)| (name.into(), value.into())).to_vec()),
            serverurl: Some("unix:///s".to_owned()),
            nofile: None,
        };
        let shown = |keys: &str| -> Vec<String> {
            let pairs = environment("g", &sample::process(keys), &heritage).unwrap();
            let variables = variables(&pairs).unwrap();
            variables.iter().map(|variable| variable.to_str().unwrap().to_owned()).collect()
        };
        let common = ["PATH=/bin", "SUPERVISOR_ENABLED=1"];
        assert_eq!(
            shown("command=x\nenvironment=HOME=\"/h\",SUPERVISOR_GROUP_NAME=\"mine\""),
            [
                &common[..],
                &["SUPERVISOR_SERVER_URL=unix:///s", "SUPERVISOR_PROCESS_NAME=p"],
                &["HOME=/h", "SUPERVISOR_GROUP_NAME=mine"]
            ]
            .concat()
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("env");
        std::fs::write(&file, "HOME=/f\nA=f\nB='f'\nSUPERVISOR_ENABLED=f\n").unwrap();
        let keys = format!(
            "command=x\nclear_environment=true\nuser_environment=true\nenvironment_file={}\nenvironment=A=own",
            file.display()
        );
        let made = shown(&keys);
        let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
        let expected = [
            format!("USER={}", me.name),
            format!("LOGNAME={}", me.name),
            format!("SHELL={}", me.shell.display()),
            "SUPERVISOR_SERVER_URL=unix:///s".to_owned(),
            "SUPERVISOR_PROCESS_NAME=p".to_owned(),
            "SUPERVISOR_GROUP_NAME=g".to_owned(),
            "HOME=/f".to_owned(),
            "B=f".to_owned(),
            "SUPERVISOR_ENABLED=f".to_owned(),
            "A=own".to_owned(),
        ];
        assert_eq!(made, expected);
        assert!(shown("command=x\nserverurl=http://h:1").contains(&"SUPERVISOR_SERVER_URL=http://h:1".to_owned()));
    }
}
