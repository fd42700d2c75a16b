//! What goes into the engine and what comes out: two closed enums.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::policy::{GroupSpec, MemberSpec};
use super::readiness::Condition;
use super::signal::signal_name;
use super::size::size_text;
use super::state::ProcessState;
use super::time::{Moment, Now};
use super::update::GroupChange;

/// Names one process for as long as it exists; never given to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId(pub u64);

/// Names one client's request; answered exactly once.
pub type RequestId = u64;

/// A process id of the operating system, above zero.
pub type Pid = i32;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    Code(i32),
    Signal {
        number: i32,
        core_dumped: bool,
    },
    /// By SIGKILL of the kernel's OOM killer, as cgroups tell.
    OutOfMemory {
        /// The program's own limit that was reached, bytes.
        memory_max: Option<u64>,
        #[serde(default)]
        scope: OomScope,
    },
    /// It ended while no keeper was there, and the kernel had forgotten how when one came.
    Unknown,
}

/// Whose memory was used up when the kernel ended a process for want of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OomScope {
    #[default]
    Unknown,
    /// A limit of the program's own cgroup, or of one below it.
    Program,
    /// A limit of the daemon's cgroup or of one above it.
    Above,
    /// No cgroup's limit: that of all.
    Machine,
}

impl Exit {
    /// What `exitstatus` reports: the code, or -1 for death by signal and for what is not known.
    #[must_use]
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal { .. } | Exit::OutOfMemory { .. } | Exit::Unknown => -1,
        }
    }
}

/// The exit text of `supervisor.md` section 19: `exit status 0`, `terminated by SIGSEGV (core dumped)`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal { number, core_dumped } => {
                write!(f, "terminated by {}", signal_name(number))?;
                if core_dumped { f.write_str(" (core dumped)") } else { Ok(()) }
            }
            Exit::OutOfMemory { memory_max, scope } => {
                f.write_str("killed by the kernel OOM killer")?;
                match (scope, memory_max) {
                    (OomScope::Program | OomScope::Unknown, Some(limit)) => {
                        write!(f, " (memory_max={})", size_text(limit))
                    }
                    (OomScope::Above, _) => {
                        f.write_str(" (memory limit of the daemon's unit, or of a cgroup above it)")
                    }
                    (OomScope::Machine, _) => f.write_str(" (the whole machine was out of memory)"),
                    (OomScope::Program | OomScope::Unknown, None) => Ok(()),
                }
            }
            Exit::Unknown => f.write_str("exit status unknown (ended while nobody watched)"),
        }
    }
}

/// Why a process could not be spawned, before or instead of `exec`. The texts and
/// fault codes are Supervisor's (`supervisor.md` section 13); `Display` gives the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SpawnError {
    /// `NO_FILE` 20: `can't find command 'V'`.
    #[error("can't find command '{0}'")]
    NotFound(String),
    /// `NOT_EXECUTABLE` 21: a directory, no x bit, no permission, unparsable or empty command; the whole text.
    #[error("{0}")]
    NotExecutable(String),
    /// `SPAWN_ERROR` 50: pipes, log files or fork failed; the whole text.
    #[error("{0}")]
    Failed(String),
    /// As `Failed`, for want of descriptors, memory or processes: nothing that the program could help. It is tried until
    /// there are some.
    #[error("{0}")]
    Starved(String),
}

/// Why a child did not become the program; the whole text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    #[error("{0}")]
    Failed(String),
    /// For want of something that comes back by itself: memory, processes, a file that is being written.
    #[error("{0}")]
    Starved(String),
}

/// Whom a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    One(ProcessId),
    /// All members of one group, by the group's name.
    Group(String),
    All,
}

/// What a client may ask the engine for. `checked` holds the processes whose command
/// was looked up beforehand and found wanting: they are refused, in Supervisor's order
/// of checks (name, command file, already started, unknown), without a change of state.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Start {
        target: Target,
        wait: bool,
        checked: Vec<(ProcessId, SpawnError)>,
    },
    Stop {
        target: Target,
        wait: bool,
    },
    /// By descending priority, each rank when the one before has stopped.
    StopOrdered {
        processes: Vec<ProcessId>,
    },
    /// Starts those of the processes that are FATAL.
    Retry {
        processes: Vec<ProcessId>,
        wait: bool,
    },
    /// Answered when each of the processes is what `condition` says, cannot become so by itself, or `within` is over.
    Await {
        processes: Vec<ProcessId>,
        condition: Condition,
        within: Option<Duration>,
    },
    /// Starts another child under the name of this running process; when it is RUNNING, and ready where there is a
    /// rule for that, it takes the name over and the former one is stopped. Answered when that has ended, or when a successor that ended, did not become
    /// ready in its time or was called off is gone, with the reason; then the process is what it was.
    Succeed {
        process: ProcessId,
    },
    /// `signal` is a number already understood; Supervisor's `signalProcess`. Never to a group of processes.
    Signal {
        target: Target,
        signal: i32,
    },
    /// `addProcessGroup`: the group is created and its autostart members are started.
    AddGroup(GroupSpec),
    /// `removeProcessGroup`: refused while a member is not in a stopped state (UNKNOWN is one: its child, if it
    /// lives, is then nobody's).
    RemoveGroup(String),
    /// Another configuration, process by process: new rules hold at once, what must be spawned anew is stopped and
    /// started, what left is stopped and removed. Answered when all that had to stop has stopped, with an outcome for
    /// each; with `wait`, when those that are started again are RUNNING.
    Update {
        changes: Vec<GroupChange>,
        wait: bool,
    },
    /// New members at the end of a group, the autostart ones started; all or none.
    AddMembers {
        group: String,
        members: Vec<MemberSpec>,
    },
    /// Refused while the process is not in a stopped state or has a child.
    RemoveMember(ProcessId),
    Shutdown,
    /// `supervisor.restart`, SIGHUP: stop everything, then `Effect::Halted`.
    Restart,
}

/// Why one process (or one request) was refused: Supervisor's faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 10
    BadName,
    /// 20 / 21 / 50 by the error inside.
    Spawn(SpawnError),
    /// 50, could not be forked, or exited before startsecs.
    SpawnError,
    /// 30, with the text.
    Failed(String),
    /// 40
    AbnormalTermination,
    /// 60
    AlreadyStarted,
    /// 70
    NotRunning,
    /// 90
    AlreadyAdded,
    /// 91
    StillRunning,
    /// 6
    ShutdownState,
}

/// The result for one process of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub process: ProcessId,
    pub group: String,
    pub name: String,
    pub result: Result<(), Refusal>,
}

/// The answer to a request. For `Target::One` exactly one outcome; for groups one for each
/// member that the request applied to, in Supervisor's order (immediate results first, then by completion).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Processes(Vec<Outcome>),
    Done,
    Refused(Refusal),
}

/// Everything that can wake the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Request {
        id: RequestId,
        request: Request,
    },
    /// The client of this request is gone; nobody waits for its answer any more.
    Forget {
        id: RequestId,
    },
    /// Answers `Effect::Spawn`: forked. `at` is when the keeper forked it.
    Spawned {
        process: ProcessId,
        pid: Pid,
        at: Now,
    },
    /// Answers `Effect::Spawn`: nothing was forked.
    SpawnFailed {
        process: ProcessId,
        error: SpawnError,
    },
    /// The child could not be made into the program (chdir, setuid, exec ...); its exit with code 127 follows.
    ExecFailed {
        process: ProcessId,
        pid: Pid,
        error: ExecError,
    },
    /// The child was reaped; `at` is when.
    Exited {
        process: ProcessId,
        pid: Pid,
        exit: Exit,
        at: Now,
    },
    /// The child has ended, and its program goes on in the background as `heir`, which is the child from now on; see
    /// [`super::Engine::seek`].
    Followed {
        process: ProcessId,
        pid: Pid,
        heir: Pid,
        at: Now,
    },
    /// Answers `Effect::Sweep`: nothing of the child's tree is left, or it cannot be ended.
    Swept {
        process: ProcessId,
        pid: Pid,
    },
    /// Answers `Effect::Kill`: the signal was sent, or nobody was there any more (ESRCH).
    Signalled {
        process: ProcessId,
        pid: Pid,
        signal: i32,
    },
    /// Answers `Effect::Kill` with an error other than ESRCH; `text` is the system's word for it.
    KillFailed {
        process: ProcessId,
        pid: Pid,
        signal: i32,
        text: String,
    },
    /// The child of this attempt has shown that it is ready, as often as its program wants it.
    Answered {
        process: ProcessId,
        attempt: u32,
    },
    /// The things outside that the held start of this attempt waits for are there.
    Reached {
        process: ProcessId,
        attempt: u32,
    },
    /// A deadline may have passed. The worker hands in what the keeper told before this, so that an exit that
    /// came before a deadline is also judged before it.
    Deadline,
    /// The daemon's programs begin: the groups are made in this order, the autostart members started after all of
    /// them. Of two groups with one name the first counts.
    Begin {
        groups: Vec<GroupSpec>,
    },
    /// TERM, INT or QUIT reached the daemon. Also turns a restart under way into a shutdown.
    Shutdown,
    /// HUP reached the daemon. Without effect during a shutdown.
    Restart,
    /// This child of a running process is of no use any more: it is stopped, and another one is started whatever
    /// `autorestart` says.
    Renew {
        process: ProcessId,
        pid: Pid,
    },
    /// Answers [`super::Engine::awaited`]: no event waits for the listeners of this group, or none of them takes any.
    Quiet {
        group: String,
    },
}

/// Which signal goes where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    pub pid: Pid,
    pub signal: i32,
    /// To the child's whole process group (stopasgroup, killasgroup).
    pub group: bool,
}

/// What the worker must do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answered by `Input::Spawned` or `Input::SpawnFailed`. `attempt` counts this process' spawns from 1 and
    /// survives the worker, so (process, attempt) names one child for ever; asked twice only by
    /// `Engine::resume`, when the keeper knows nothing of the first asking.
    Spawn {
        process: ProcessId,
        attempt: u32,
    },
    /// Answered by `Input::Signalled` or `Input::KillFailed`.
    Kill {
        process: ProcessId,
        kill: Kill,
    },
    /// The child `pid` of a process with `killtree` was reaped: end what is left of its tree, first with `signal`, from
    /// `insist_at` on with SIGKILL. Answered by `Input::Swept`, in bounded time; a second one for the same
    /// child (after the worker's death) is the same request.
    Sweep {
        process: ProcessId,
        pid: Pid,
        signal: i32,
        insist_at: Moment,
    },
    Event(Event),
    Log(LogLine),
    Answer {
        id: RequestId,
        answer: Answer,
    },
    /// The group was created: make its AUTO logs. Comes before any `Spawn` of its members.
    GroupAdded {
        group: String,
    },
    /// The group has other members or rules than before: journal its spec anew. `settled` have stopped and are what
    /// the new configuration says from now on; `removed` are gone.
    GroupChanged {
        group: String,
        settled: Vec<ProcessId>,
        removed: Vec<ProcessId>,
    },
    /// The group and these processes are gone: forget what is kept about them.
    GroupRemoved {
        group: String,
        processes: Vec<ProcessId>,
    },
    /// Every process is stopped and the daemon may end (or start anew).
    Halted {
        mood: Mood,
    },
}

/// The daemon's own state, with Supervisor's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mood {
    Running = 1,
    Restarting = 0,
    Shutdown = -1,
}

/// State changes as Supervisor's events tell them; see `supervisor-events.tsv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    ProcessState {
        process: ProcessId,
        group: String,
        name: String,
        from: ProcessState,
        to: ProcessState,
        /// `tries:` of STARTING and BACKOFF.
        tries: Option<u32>,
        /// `pid:` where the payload has one; 0 where there is no child.
        pid: Option<Pid>,
        /// `expected:` of EXITED.
        expected: Option<bool>,
        /// Of a successor or a predecessor of the process that has the name: no news of that one.
        beside: bool,
    },
    GroupAdded {
        group: String,
    },
    GroupRemoved {
        group: String,
    },
    SupervisorRunning,
    SupervisorStopping,
}

/// Lines of the activity log about processes, worded exactly as `supervisor.md` section 19
/// (`Display` gives the text, `level` the level).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: LogLevel,
    pub text: String,
    /// The process in whose history it belongs as well, where nothing else tells the same there.
    pub history: Option<ProcessId>,
}

/// Levels the engine logs at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Critical,
    Warn,
    Info,
    Debug,
}
