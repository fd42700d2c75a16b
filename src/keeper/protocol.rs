//! What keeper and worker say to each other: one small closed enum for each direction,
//! one message a datagram of a `SOCK_SEQPACKET` socket pair, descriptors by `SCM_RIGHTS`.

use crate::engine::{Exit, Now, Pid};

/// Refused when it differs.
pub const PROTOCOL_VERSION: u32 = 6;

/// From the worker to the keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToKeeper {
    /// First message of each worker; the keeper answers with its inventory.
    Hello { version: u32 },
    /// Fork and exec. Carries one descriptor: a memfd with an encoded `sys::spawn::ExecPlan`,
    /// and, where the plan says so, a second one that becomes the child's standard input; last, where the
    /// plan says so, the door to a cgroup.
    /// `id` names the child from now on (the engine's process id and a spawn count, chosen by the worker, never
    /// reused); `tag` (at most `TEXT_BYTES_MAX` bytes, as every text here) is kept and told to successors.
    Spawn { id: u64, tag: String },
    /// Signal the child `id` or its process group. Never sent to a pid that was reaped.
    Signal { id: u64, signal: i32, group: bool },
    /// The child `id` has ended, and its program goes on as the process of this pid and kernel start time, which is the child
    /// from now on; answered by `Followed`.
    Follow { id: u64, pid: Pid, start: u64 },
    /// The exit of `id` is known and its pipes are drained: drop them.
    Forget { id: u64 },
    /// Keep the attached descriptor under this name, replacing an older one.
    Hold { name: String },
    /// Drop the descriptor of this name.
    Release { name: String },
    /// The signal number told by `FromKeeper::Signal` was taken in hand.
    SignalTaken { signal: i32 },
    /// Start-up is complete: from here on a worker that ends is replaced; before, its exit code becomes the keeper's
    /// (first worker only).
    Ready,
    /// News for the service manager, if there is one: lines of `sd_notify(3)`.
    Announce { lines: String },
    /// Answers `FromKeeper::Turning`.
    Turns,
    /// All programs are stopped: start a fresh worker (reload). The sender is expected to end itself; what should not
    /// be inherited it has released before.
    StartAfresh,
    /// Carries a descriptor of another program, as of `O_PATH`: execute it in place of this one when the sender has ended
    /// itself. It has what this keeper has, and starts the next worker.
    Upgrade,
    /// All programs are stopped: end with this code as soon as the sender has ended itself.
    Exit { code: u8 },
}

/// At which step between fork and exec a child failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    ProcessGroup = 1,
    Stdio,
    Limits,
    User,
    Directory,
    Exec,
    /// Into its cgroup, whose limits are to hold.
    Confinement = 8,
}

impl Stage {
    /// The stage of this number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        let all =
            [Self::ProcessGroup, Self::Stdio, Self::Limits, Self::User, Self::Directory, Self::Exec, Self::Confinement];
        all.into_iter().find(|stage| *stage as u8 == number)
    }
}

/// A child's end, as `waitpid` told it; of an adopted one, as the kernel told it otherwise, or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub exit: Exit,
    pub at: Now,
}

/// One child of the keeper, as told to a new worker. Carries descriptors: stdin's write end (unless the plan gave a
/// descriptor for it), stdout's read end, stderr's read end (unless redirected), in that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldProgram {
    pub id: u64,
    pub tag: String,
    pub pid: Pid,
    pub started: Now,
    /// The last signal sent by `ToKeeper::Signal`, zero if none.
    pub last_signal: i32,
    pub has_stdin: bool,
    pub has_stderr: bool,
    /// Set once the child was reaped.
    pub ended: Option<Ended>,
    /// Set if the child failed before exec.
    pub exec_failed: Option<(Stage, i32)>,
}

/// From the keeper to the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromKeeper {
    /// Answers Hello. `generation` counts workers from 1; `fresh` is true for the first and after `StartAfresh`.
    Welcome { version: u32, generation: u64, fresh: bool },
    /// One for each held descriptor; carries it.
    Held { name: String },
    /// One for each child that is not forgotten; carries its pipes.
    Program(HeldProgram),
    /// The inventory is complete.
    InventoryEnd,
    /// Answers Spawn; carries the pipes as `Program` does.
    Spawned { id: u64, pid: Pid, at: Now, has_stdin: bool, has_stderr: bool },
    /// Answers Spawn: nothing was forked; `errno` of pipe, memfd or fork.
    SpawnFailed { id: u64, forking: bool, errno: i32 },
    /// The child reported a failure before exec; its exit follows.
    ExecFailed { id: u64, stage: Stage, errno: i32 },
    /// The child could not enter its cgroup and runs without. Told to the present worker only.
    NotGrouped { id: u64, errno: i32 },
    /// The child was stopped by this signal. Told to the present worker only.
    Stopped { id: u64, signal: i32, at: Now },
    /// Told to every worker until `Forget`.
    Exited { id: u64, ended: Ended },
    /// Answers Follow; errno 0 for success, ESRCH when there is no such process (any more).
    Followed { id: u64, pid: Pid, errno: i32 },
    /// Answers Signal; errno 0 for success.
    Signalled { id: u64, signal: i32, errno: i32 },
    /// The keeper received TERM, INT, QUIT, HUP or USR2, from this pid and uid (0 if the kernel did not say). Told to every worker until
    /// `SignalTaken`.
    Signal { signal: i32, pid: Pid, uid: u32 },
    /// A child that nobody asked for was reaped (adopted orphan).
    OrphanReaped { pid: Pid, exit: Exit },
    /// The roll cannot be written, for this errno: should keeper and worker die, nobody finds the programs. Zero: it is
    /// whole again. Told to every worker while it lasts.
    Unrecorded { errno: i32 },
    /// Does your loop turn? To be answered by `ToKeeper::Turns`, or the worker is killed and replaced.
    Turning,
}

impl FromKeeper {
    /// How many descriptors the message carries.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        match self {
            Self::Held { .. } => 1,
            Self::Program(HeldProgram { has_stdin, has_stderr, .. }) | Self::Spawned { has_stdin, has_stderr, .. } => {
                1 + usize::from(*has_stdin) + usize::from(*has_stderr)
            }
            Self::Welcome { .. }
            | Self::InventoryEnd
            | Self::SpawnFailed { .. }
            | Self::ExecFailed { .. }
            | Self::NotGrouped { .. }
            | Self::Stopped { .. }
            | Self::Exited { .. }
            | Self::Followed { .. }
            | Self::Signalled { .. }
            | Self::Signal { .. }
            | Self::OrphanReaped { .. }
            | Self::Unrecorded { .. }
            | Self::Turning => 0,
        }
    }
}
