//! What the keeper tells: births, deaths, signals.

use std::os::fd::OwnedFd;

use super::children::Child;
use super::scarcity;
use super::worker::{Asker, Purpose, Worker, now};
use crate::engine::{Channel, ExecError, Input, Mood, Pid, ProcessId, ProcessView, Readiness, SpawnError, signal_name};
use crate::events;
use crate::keeper::{Ended, FromKeeper, Stage, ToKeeper};
use crate::logs::{Command, Level, SourceId, log};
use crate::sys::signals::Received;
use crate::sys::{errno, pipe};

impl Worker {
    pub(super) fn on_keeper(&mut self, message: &FromKeeper, mut descriptors: Vec<OwnedFd>) {
        if self.rehearsal_heard(message, &mut descriptors) {
            return;
        }
        match *message {
            FromKeeper::Spawned { id, pid, at, has_stdin, has_stderr } => {
                let Some(process) = self.spawning.remove(&id) else { return };
                self.adopt(id, process, pid, [has_stdin, has_stderr], descriptors);
                self.feed(Input::Spawned { process, pid, at });
            }
            FromKeeper::SpawnFailed { id, forking, errno } => {
                let Some(process) = self.spawning.remove(&id) else { return };
                let name = self.bare_name(process);
                let error = spawn_failure(&name, forking, errno, self.descriptors_needed());
                self.spawn_failed(process, error);
            }
            FromKeeper::ExecFailed { id, stage, errno } => self.exec_failed(id, stage, errno),
            FromKeeper::NotGrouped { id, errno } => {
                let Some(child) = self.children.get(id) else { return };
                self.cgroups.warned().warn(&self.bare_name(child.process), &errno_text(errno));
            }
            FromKeeper::Stopped { id, signal, at } => self.children.stopped(id, signal, at.mono),
            FromKeeper::Exited { id, ended } => self.exited(id, ended),
            FromKeeper::Followed { id, pid, errno } => self.followed(id, pid, errno),
            FromKeeper::Signalled { id, signal, errno } => self.signalled(id, signal, errno),
            FromKeeper::Signal { signal, pid, uid } => {
                self.signals.push(Received { signal, pid, uid });
                self.on_signal(signal, pid, uid);
            }
            FromKeeper::OrphanReaped { pid, exit } => {
                self.orphan_news.tell(pid, exit);
                self.morgue.orphan_ended(pid);
                self.stir(pid);
                self.tidy_cgroups();
            }
            FromKeeper::Unrecorded { errno } => self.roll_is(errno),
            FromKeeper::Turning => self.tell_keeper(&ToKeeper::Turns),
            // Only while taking over, see `startup`.
            FromKeeper::Welcome { .. }
            | FromKeeper::Held { .. }
            | FromKeeper::Program(_)
            | FromKeeper::InventoryEnd => {}
        }
    }

    /// Takes a child's pipes in hand: standard input to write to, output to its logs.
    pub(super) fn adopt(
        &mut self,
        id: u64,
        process: ProcessId,
        pid: Pid,
        [has_stdin, has_stderr]: [bool; 2],
        descriptors: Vec<OwnedFd>,
    ) {
        let pipes = descriptors.iter().filter_map(|end| pipe::inode(end).ok()).collect();
        let mut descriptors = descriptors.into_iter();
        let stdin = if has_stdin { descriptors.next() } else { None };
        let stdout = descriptors.next();
        let stderr = if has_stderr { descriptors.next() } else { None };
        let outputs = [(Channel::Stdout, stdout), (Channel::Stderr, stderr)];
        let open = outputs.iter().filter(|(_, pipe)| pipe.is_some()).map(|(channel, _)| *channel).collect();
        let child = match stdin {
            Some(pipe) if self.is_listener(process) => match self.outbox(id, process, pipe) {
                Ok(outbox) => Child::new(process, pid, None, open).with_outbox(outbox),
                Err((pipe, _)) => Child::new(process, pid, Some(pipe), open),
            },
            stdin => Child::new(process, pid, stdin, open),
        };
        self.children.insert(id, child.with_pipes(pipes));
        self.hear(events::Input::Born { process, child: id, pid });
        for (channel, pipe) in outputs {
            if let Some(pipe) = pipe {
                self.attach(SourceId { child: id, channel }, process, pipe);
            }
        }
    }

    pub(super) fn exec_failed(&mut self, id: u64, stage: Stage, errno: i32) {
        let Some(child) = self.children.get(id) else { return };
        let (process, pid) = (child.process, child.pid);
        let reason = self.exec_reason(process, stage, errno);
        let text = match stage {
            Stage::ProcessGroup => format!("couldn't make a process group: {reason}"),
            Stage::Stdio => format!("couldn't set up its standard input and output: {reason}"),
            Stage::Limits => format!("couldn't set its limits: {reason}"),
            Stage::User => format!("couldn't switch to its user: {reason}"),
            Stage::Directory => format!("couldn't change to its directory: {reason}"),
            Stage::Confinement => format!("couldn't enter the cgroup that limits it: {reason}"),
            Stage::Exec => format!("couldn't execute its command: {reason}"),
        };
        let starved = scarcity::is_starved(errno) || (stage == Stage::Exec && errno == libc::ETXTBSY);
        let error = if starved { ExecError::Starved(text) } else { ExecError::Failed(text) };
        self.feed(Input::ExecFailed { process, pid, error });
    }

    fn exited(&mut self, id: u64, ended: Ended) {
        if self.children.get(id).is_none() {
            // Known, drained and gone for us: the keeper missed our word.
            self.tell_keeper(&ToKeeper::Forget { id });
            return;
        }
        self.ended(id, ended);
    }

    /// The child is reaped: has its last output read. [`Worker::tell_exits`] goes on when that is done.
    pub(super) fn drain(&mut self, id: u64, ended: Ended) {
        if let Some(outbox) = self.children.outbox(id) {
            self.taps.forget_stdin(id, outbox.pipe());
        }
        for source in self.children.reaped(id, ended, now().mono) {
            self.drain_channel(source);
        }
    }

    /// Tells the engine of exits whose output is in the logs; the keeper forgets children that are drained.
    pub(super) fn tell_exits(&mut self) {
        while let Some((id, process, pid, Ended { exit, at })) = self.children.told(now().mono) {
            // Supervisor says so when the signal comes; here it is known which child it was for.
            log(Level::Debug, &format!("received {} indicating a child quit", signal_name(libc::SIGCHLD)));
            // An earlier run's end, told to a successor: its socket is the present run's.
            let present = self.engine.process(process).filter(|view| view.pid == Some(pid));
            let is_present = present.is_some();
            let cgroup = present.and_then(|view| self.cgroup(process, view.attempt));
            let exit = self.cause(process, exit, cgroup.as_deref());
            self.feed(Input::Exited { process, pid, exit, at });
            if is_present {
                self.leave_socket(process);
            }
            // With `killtree` the exit does not count yet.
            let counts = |view: ProcessView<'_>| !view.sweeping && view.last_exit.is_some_and(|last| last.pid == pid);
            if self.engine.process(process).is_some_and(counts) {
                self.examine(process, cgroup);
            }
            self.told_and_silent(id);
        }
    }

    /// Tells the engine of all exits that are known of the processes meant, before it decides something about them: else
    /// it would stop, or signal, what is gone.
    pub(super) fn tell_exits_of(&mut self, is_meant: impl Fn(ProcessId) -> bool) {
        self.children.hurry(now().mono, is_meant);
        self.tell_exits();
    }

    /// As [`Worker::tell_exits_of`], of the processes whose deadline has come: an exit from before it counts as such.
    pub(super) fn tell_exits_that_are_due(&mut self) {
        let Worker { children, engine, .. } = self;
        let now = now().mono;
        let is_due = |view: ProcessView<'_>| {
            let settles = view.readiness.and_then(Readiness::deadline);
            view.deadline.into_iter().chain(settles).any(|deadline| deadline <= now)
        };
        children.hurry(now, |process| engine.process(process).is_some_and(is_due));
        self.tell_exits();
    }

    /// The keeper may forget children whose end is known to the engine and journalled.
    pub(super) fn forget_finished(&mut self) {
        while let Some(id) = self.children.pop_finished() {
            self.release_memory(id);
            self.tell_keeper(&ToKeeper::Forget { id });
        }
    }

    fn signalled(&mut self, id: u64, signal: i32, errno: i32) {
        let Some(child) = self.children.get(id) else { return };
        let (process, pid) = (child.process, child.pid);
        // ESRCH: the child has ended and its exit is on the way.
        if errno == 0 || errno == libc::ESRCH {
            self.feed(Input::Signalled { process, pid, signal });
            return;
        }
        self.feed(Input::KillFailed { process, pid, signal, text: errno_text(errno) });
    }

    /// SIGHUP counts as taken only when the new configuration was read.
    fn on_signal(&mut self, signal: i32, pid: Pid, uid: u32) {
        let name = signal_name(signal);
        let sender = if pid > 0 { format!("; sent by pid {pid}, uid {uid}") } else { String::new() };
        match signal {
            libc::SIGTERM | libc::SIGINT | libc::SIGQUIT => {
                log(Level::Warn, &format!("received {name} indicating exit request"));
                log(Level::Debug, &format!("{name}{sender}"));
                self.record_signal("shutdown", &name, &sender);
                self.tell_exits_of(|_| true);
                self.feed(Input::Shutdown);
            }
            libc::SIGHUP if self.engine.mood() != Mood::Running => {
                let text = format!("ignored {name} indicating restart request (shutdown in progress)");
                log(Level::Warn, &text);
            }
            libc::SIGHUP => {
                log(Level::Warn, &format!("received {name} indicating restart request"));
                log(Level::Debug, &format!("{name}{sender}"));
                self.record_signal("reload", &name, &sender);
                self.read_configuration(Purpose::Restart(Asker::Signal));
                return;
            }
            libc::SIGUSR2 => {
                log(Level::Info, &format!("received {name} indicating log reopen request"));
                log(Level::Info, "supervisord logreopen");
                self.activity.reopen();
                self.plane.send(Command::Reopen);
            }
            _ => log(Level::Blather, &format!("received {name} indicating nothing")),
        }
        self.signal_taken(signal);
    }

    /// What it means is decided; the keeper hears that when it is journalled.
    pub(super) fn signal_taken(&mut self, signal: i32) {
        self.signals.retain(|received| received.signal != signal);
        self.after_settling.push(ToKeeper::SignalTaken { signal });
    }

    /// What cannot be told is said in the log: the keeper is gone, which the loop notices by reading, or does not read.
    pub(super) fn tell_keeper(&mut self, message: &ToKeeper) {
        if let Err(error) = self.keeper.send(message, Vec::new()) {
            log(Level::Warn, &format!("cannot tell the keeper {message:?}: {error}"));
        }
    }

    pub(super) fn bare_name(&self, process: ProcessId) -> String {
        self.engine.process(process).map_or_else(|| format!("#{}", process.0), |view| view.name.to_owned())
    }
}

/// Supervisor's `spawnerr` texts for failures before the child exists (`supervisor.md` section 13), and what is missing.
fn spawn_failure(name: &str, forking: bool, errno: i32, descriptors: u64) -> SpawnError {
    if !forking && errno == libc::EMFILE {
        return scarcity::no_descriptors(name, descriptors);
    }
    let text = match (forking, errno) {
        (false, _) => format!("unknown error making dispatchers for '{name}': {}", errno_text(errno)),
        (true, libc::EAGAIN) => {
            format!("Too many processes in process table to spawn '{name}' ({})", scarcity::process_limit())
        }
        (true, _) => format!("unknown error during fork for '{name}': {}", errno_text(errno)),
    };
    if scarcity::is_starved(errno) { SpawnError::Starved(text) } else { SpawnError::Failed(text) }
}

/// The name of an error number: `ENOENT`.
fn errno_text(number: i32) -> String {
    errno::name(number).map_or_else(|| format!("errno {number}"), str::to_owned)
}
