//! The keeper's loop: one thread, one wait for everything, no timeout while nothing is awaited.
//!
//! It decides nothing about programs. It never gives up because of an error: what fails is told to
//! the worker, and what cannot be told is tried again with the next one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::codec::MESSAGE_BYTES_MAX;
use super::herald::{Due, Herald};
use super::outbox::{Item, Outbox, Sent};
use super::protocol::{Ended, PROTOCOL_VERSION, Stage, ToKeeper};
use super::table::{Child, Table};
use super::tenure::{ANSWER_WAIT, Afterwards, GOODBYE_WAIT, KILLED_WAIT, Patience, SILENT_WAIT, Tenure, code};
use crate::engine::{Exit, Moment, Now, Pid};
use crate::sys::plan::{PlanBuffer, PlanMemory, PlanView, Stdin};
use crate::sys::signals::{self, Signals};
use crate::sys::spawn::{self, SpawnError, Status};
use crate::sys::waiter::{Interest, Waiter};
use crate::sys::{clock, descriptors, process, reap};

/// What arrives as a message. The others of [`IGNORED`] cannot end the keeper, the rest has its usual effect.
const RECEIVED: [i32; 6] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR2];

/// Signals whose default would end the keeper though they report no fault of its own.
const IGNORED: [i32; 10] = [
    libc::SIGUSR1,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGPOLL,
    libc::SIGXFSZ,
    libc::SIGXCPU,
    libc::SIGPWR,
    libc::SIGSTKFLT,
];

/// Signals for which the daemon ends.
const ENDING: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];

/// Tokens of the wait; a child's status pipe has its pid plus this many.
const SIGNALS: u64 = 0;
const WORKER: u64 = 1;
const STATUS: u64 = 16;

/// So many messages are read before other events get their turn.
const MESSAGES_PER_TURN: usize = 64;

/// After the kernel had no room for a message.
const SEND_PAUSE: Duration = Duration::from_millis(20);

/// Starts a worker that speaks through the given socket; gives its pid. The socket must reach it over
/// exec; it is closed here afterwards.
pub type StartWorker<'a> = dyn FnMut(BorrowedFd<'_>) -> io::Result<Pid> + 'a;

/// Is the keeper until a worker asks it to end, or the first one fails before it is ready; gives the
/// code to exit with.
///
/// `launcher` is a socket in which `Hold` messages of the process that was started by the user wait.
///
/// # Errors
///
/// Only at the beginning, when nothing has been started yet.
pub fn run(launcher: OwnedFd, start: &mut StartWorker<'_>) -> io::Result<u8> {
    process::adopt_orphans()?;
    let mut keeper = Keeper::new(receive_signals()?)?;
    keeper.read_launcher(&launcher);
    drop(launcher);
    Ok(keeper.run(Some(start)))
}

/// The same on a thread of the worker's process, for debugging. Gives the worker's end of the socket.
/// To be called before other threads are started: they have to inherit the blocked signals.
///
/// The thread ends with the code of `Exit`; with 0 after `StartAfresh`, or when the socket is closed.
///
/// # Errors
///
/// EMFILE, ENFILE, ENOMEM, EAGAIN.
pub fn run_in_thread() -> io::Result<(OwnedFd, std::thread::JoinHandle<u8>)> {
    process::adopt_orphans()?;
    let mut keeper = Keeper::new(receive_signals()?)?;
    let (mine, theirs) = descriptors::packet_pair()?;
    keeper.generation = 1;
    keeper.install(Tenure::new(0, mine, clock::monotonic()))?;
    let thread = std::thread::Builder::new().name("keeper".to_owned()).stack_size(256 * 1024);
    Ok((theirs, thread.spawn(move || keeper.run(None))?))
}

fn receive_signals() -> io::Result<Signals> {
    // With SIGCHLD ignored the kernel itself would reap, and tell nobody how children ended.
    RECEIVED.into_iter().for_each(signals::restore_default);
    IGNORED.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).for_each(signals::ignore);
    Signals::receive(&RECEIVED)
}

struct Keeper {
    waiter: Waiter,
    signals: Signals,
    table: Table,
    outbox: Outbox,
    herald: Herald,
    /// `None` between two workers.
    worker: Option<Tenure>,
    /// What the kernel is asked to tell about the worker's socket.
    interest: Interest,
    /// When the next worker is due, while there is none.
    due: Duration,
    /// When to try sending again though the socket is not full.
    send_again: Option<Duration>,
    afterwards: Afterwards,
    patience: Patience,
    generation: u64,
    fresh: bool,
    last_code: u8,
    /// Closed to make room for the next worker's socket, should the table of open files be full.
    spare: Option<OwnedFd>,
    /// Killed workers that the kernel did not let end yet.
    stuck: Vec<Pid>,
    buffer: Box<[u8]>,
    plan: PlanBuffer,
}

impl Keeper {
    fn new(signals: Signals) -> io::Result<Self> {
        let waiter = Waiter::new()?;
        waiter.add(&signals, SIGNALS, Interest::READABLE)?;
        let spare = Some(signals.as_fd().try_clone_to_owned()?);
        Ok(Self {
            waiter,
            signals,
            table: Table::default(),
            outbox: Outbox::default(),
            herald: Herald::of_environment(),
            worker: None,
            interest: Interest::READABLE,
            due: Duration::ZERO,
            send_again: None,
            afterwards: Afterwards::Restart,
            patience: Patience::default(),
            generation: 0,
            fresh: true,
            last_code: 0,
            spare,
            stuck: Vec::new(),
            buffer: vec![0; MESSAGE_BYTES_MAX].into_boxed_slice(),
            plan: PlanBuffer::default(),
        })
    }

    fn read_launcher(&mut self, launcher: &OwnedFd) {
        while let Ok((length @ 1.., carried)) = descriptors::receive(launcher, &mut self.buffer) {
            if let Ok(message @ ToKeeper::Hold { .. }) = ToKeeper::decode(self.buffer.get(..length).unwrap_or_default())
            {
                self.perform(message, carried);
            }
        }
    }

    /// `start` is `None` when the worker is a thread of this process.
    fn run(mut self, mut start: Option<&mut StartWorker<'_>>) -> u8 {
        loop {
            match (&mut start, &self.worker) {
                (Some(start), None) => {
                    if self.nothing_left_to_do() {
                        return self.last_code;
                    }
                    if clock::monotonic() >= self.due
                        && let Err(code) = self.start_worker(start)
                    {
                        return code;
                    }
                }
                (None, None) => return if let Afterwards::End(code) = self.afterwards { code } else { 0 },
                (_, Some(_)) => {}
            }
            self.send();
            for token in self.waiter.wait(self.longest_wait()) {
                match token {
                    SIGNALS => {
                        if let Some(code) = self.take_signals() {
                            return code;
                        }
                    }
                    WORKER => self.read_worker(),
                    token => self.read_status(token),
                }
            }
            if let Some(code) = self.keep_deadlines() {
                return code;
            }
        }
    }

    /// How long to wait at most: for ever, unless something is due.
    fn longest_wait(&self) -> Option<Duration> {
        let due = match &self.worker {
            None => Some(self.due),
            Some(worker) => [worker.until, self.answer_due(worker), self.send_again].into_iter().flatten().min(),
        };
        let due = [due, self.herald.deadline()].into_iter().flatten().min();
        due.map(|due| due.saturating_sub(clock::monotonic()))
    }

    /// When the worker has to have taken all signals in hand.
    fn answer_due(&self, worker: &Tenure) -> Option<Duration> {
        let first = self.table.signals.iter().map(|pending| pending.since).min()?;
        (worker.pid != 0 && !worker.killed).then(|| first.max(worker.since) + ANSWER_WAIT)
    }

    /// No worker can be started, no program runs, and we are asked to end.
    fn nothing_left_to_do(&self) -> bool {
        self.patience.is_at_an_end()
            && !self.table.has_living()
            && ENDING.into_iter().any(|signal| self.table.signal(signal).is_some())
    }

    /// An error is the code to exit with.
    fn start_worker(&mut self, start: &mut StartWorker<'_>) -> Result<(), u8> {
        self.spare = None;
        let started = descriptors::packet_pair().and_then(|(mine, theirs)| Ok((start(theirs.as_fd())?, mine)));
        self.spare = self.signals.as_fd().try_clone_to_owned().ok();
        self.generation += 1;
        let since = clock::monotonic();
        match started {
            Ok((pid, socket)) => {
                // Watching fails for want of memory only; then the worker cannot be served.
                if self.install(Tenure::new(pid, socket, since)).is_err() {
                    self.kill_worker();
                }
                Ok(())
            }
            Err(_) => self.succeed(Exit::Code(1), false, Duration::ZERO).map_or(Ok(()), Err),
        }
    }

    fn install(&mut self, worker: Tenure) -> io::Result<()> {
        self.interest = Interest::READABLE;
        let worker = self.worker.insert(worker);
        match &worker.socket {
            Some(socket) => self.waiter.add(socket, WORKER, self.interest),
            None => Ok(()),
        }
    }

    /// After a worker's end: what now? A number is the code to exit with.
    fn succeed(&mut self, exit: Exit, ready: bool, age: Duration) -> Option<u8> {
        self.outbox.clear();
        self.herald.rest();
        self.send_again = None;
        self.last_code = code(exit);
        match std::mem::replace(&mut self.afterwards, Afterwards::Restart) {
            Afterwards::End(code) => return Some(code),
            Afterwards::Afresh => {
                self.fresh = true;
                self.due = Duration::ZERO;
            }
            Afterwards::Restart if self.generation == 1 && !ready && !self.table.has_living() => {
                return Some(self.last_code);
            }
            Afterwards::Restart => self.due = clock::monotonic() + self.patience.pause_after(age, ready, exit),
        }
        None
    }

    // --- Signals and ends of children

    /// A number is the code to exit with.
    fn take_signals(&mut self) -> Option<u8> {
        let mut children = false;
        while let Some(received) = self.signals.next() {
            if received.signal == libc::SIGCHLD {
                children = true;
            } else if self.table.remember_signal(received, clock::monotonic()) {
                self.tell(Item::Signal { signal: received.signal });
            }
        }
        let mut worker_exit = None;
        while children && let Some((pid, exit)) = reap::next() {
            let exit = match exit {
                reap::Exit::Code(code) => Exit::Code(code),
                reap::Exit::Signal { number, core_dumped } => Exit::Signal { number, core_dumped },
            };
            if self.worker.as_ref().is_some_and(|worker| worker.pid == pid) {
                worker_exit = Some(exit);
            } else if let Some(place) = self.stuck.iter().position(|stuck| *stuck == pid) {
                self.stuck.swap_remove(place);
            } else {
                self.child_ended(pid, exit);
            }
        }
        worker_exit.and_then(|exit| self.worker_ended(exit))
    }

    fn child_ended(&mut self, pid: Pid, exit: Exit) {
        // What it reported before it died comes first.
        self.read_status(STATUS + u64::from(pid.unsigned_abs()));
        let Some(child) = self.table.living_mut(pid) else {
            self.tell(Item::OrphanReaped { pid, exit });
            return;
        };
        if let Some(status) = child.status.take() {
            // The pipe is closed with the child's end, but copies may live in children that are being forked.
            self.waiter.remove(&status);
        }
        child.ended = Some(Ended { exit, at: now() });
        let item = Item::Exited { id: child.id };
        if !child.in_inventory {
            self.tell(item);
        }
    }

    /// A child's status pipe has something to say.
    fn read_status(&mut self, token: u64) {
        let Some(pid) = token.checked_sub(STATUS).and_then(|pid| Pid::try_from(pid).ok()) else { return };
        let Some(child) = self.table.living_mut(pid) else { return };
        let Some(status) = &child.status else { return };
        match spawn::status(status) {
            Status::Pending => return,
            Status::Closed => {}
            Status::NotGrouped(errno) => {
                let (item, worth_telling) = (Item::NotGrouped { id: child.id, errno }, !child.in_inventory);
                if worth_telling {
                    self.tell(item);
                }
                // It says so once; what became of it is still to come.
                return self.read_status(token);
            }
            Status::Failed(failure) => {
                // A child knows no other stages; were there one, exec is what it did not get to.
                child.exec_failed = Some((Stage::from_number(failure.step).unwrap_or(Stage::Exec), failure.errno));
            }
        }
        self.waiter.remove(status);
        child.status = None;
        let (item, worth_telling) =
            (Item::ExecFailed { id: child.id }, child.exec_failed.is_some() && !child.in_inventory);
        if worth_telling {
            self.tell(item);
        }
    }

    // --- The worker

    /// The next worker reads the facts from its inventory.
    fn tell(&mut self, item: Item) {
        if self.worker.as_ref().is_some_and(|worker| worker.greeted) {
            self.outbox.push(item);
        }
    }

    fn send(&mut self) {
        let Some(socket) = self.worker.as_ref().and_then(|worker| worker.socket.as_ref()) else { return };
        self.send_again = None;
        match self.outbox.send(socket.as_fd(), &mut self.table) {
            Sent::All | Sent::Full => {}
            Sent::Later => self.send_again = Some(clock::monotonic() + SEND_PAUSE),
            Sent::Gone => {
                while self.read_message() {}
                return self.close_worker();
            }
        }
        let interest = Interest {
            readable: !self.outbox.is_long(),
            writable: !self.outbox.is_empty() && self.send_again.is_none(),
        };
        if interest != self.interest && self.waiter.change(socket, WORKER, interest).is_ok() {
            self.interest = interest;
        }
    }

    /// Reads and performs what the worker asks for; not more than the others can wait for, and nothing
    /// while it does not listen to the answers.
    fn read_worker(&mut self) {
        for _ in 0..MESSAGES_PER_TURN {
            if self.outbox.is_long() || !self.read_message() {
                return;
            }
        }
    }

    /// `false` when there is no message, or no worker, any more.
    fn read_message(&mut self) -> bool {
        let Some(socket) = self.worker.as_ref().and_then(|worker| worker.socket.as_ref()) else { return false };
        match descriptors::receive(socket, &mut self.buffer) {
            Ok((length @ 1.., carried)) => {
                let bytes = self.buffer.get(..length).unwrap_or_default();
                match ToKeeper::decode(bytes) {
                    Ok(message) => {
                        self.perform(message, carried);
                        return true;
                    }
                    // Not a worker of ours, or one out of its mind.
                    Err(_) => self.kill_worker(),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            // It ended with messages of ours unread. This is told once, and before what it had said.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return true,
            // The end, or a connection that will not work again.
            Ok(_) | Err(_) => self.close_worker(),
        }
        false
    }

    /// The worker has closed its socket, so it is about to end.
    fn close_worker(&mut self) {
        let Some(worker) = &mut self.worker else { return };
        if let Some(socket) = worker.socket.take() {
            self.waiter.remove(&socket);
        }
        worker.end_by(clock::monotonic() + SILENT_WAIT);
        if worker.pid == 0 {
            self.worker = None;
        }
    }

    fn kill_worker(&mut self) {
        let Some(worker) = self.worker.as_mut().filter(|worker| !worker.killed) else { return };
        if worker.pid == 0 {
            return self.close_worker();
        }
        // It is our child and not reaped, so the pid is still its own.
        let _ = signals::send(worker.pid, libc::SIGKILL);
        worker.killed = true;
        worker.until = Some(clock::monotonic() + KILLED_WAIT);
    }

    /// A number is the code to exit with.
    fn keep_deadlines(&mut self) -> Option<u8> {
        let now = clock::monotonic();
        match self.herald.turn(now) {
            Due::Ask => self.tell(Item::Turning),
            // One that is a thread of this process cannot be replaced: the service manager sees to it.
            Due::Unanswered if self.worker.as_ref().is_some_and(|worker| worker.pid != 0) => self.kill_worker(),
            Due::Nothing | Due::Unanswered => {}
        }
        let worker = self.worker.as_ref()?;
        let late = worker.until.is_some_and(|until| now >= until);
        if late && worker.killed {
            self.stuck.push(worker.pid);
            return self.worker_ended(Exit::Signal { number: libc::SIGKILL, core_dumped: false });
        }
        if late || self.answer_due(worker).is_some_and(|due| now >= due) {
            self.kill_worker();
        }
        None
    }

    /// A number is the code to exit with.
    fn worker_ended(&mut self, exit: Exit) -> Option<u8> {
        // Its pid may be another's from now on.
        self.worker.iter_mut().for_each(|worker| worker.killed = true);
        // What it said last still counts: a successor will find it done.
        while self.read_message() {}
        let worker = self.worker.take()?;
        if let Some(socket) = &worker.socket {
            self.waiter.remove(socket);
        }
        for child in &mut self.table.children {
            child.in_inventory = false;
        }
        self.succeed(exit, worker.ready, clock::monotonic().saturating_sub(worker.since))
    }

    // --- What the worker asks for

    fn perform(&mut self, message: ToKeeper, carried: Vec<OwnedFd>) {
        let mut carried = carried.into_iter();
        match message {
            ToKeeper::Hello { version } => self.greet(version),
            ToKeeper::Spawn { id, tag } => {
                self.fresh = false;
                let item = match self.spawn(id, tag, carried) {
                    Ok(()) => Item::Spawned { id },
                    Err(SpawnError::Pipes(error)) => {
                        Item::SpawnFailed { id, forking: false, errno: error.raw_os_error().unwrap_or(libc::EINVAL) }
                    }
                    Err(SpawnError::Fork(error)) => {
                        Item::SpawnFailed { id, forking: true, errno: error.raw_os_error().unwrap_or(libc::EAGAIN) }
                    }
                };
                self.tell(item);
            }
            ToKeeper::Signal { id, signal, group } => {
                let errno = self.signal(id, signal, group).err().and_then(|error| error.raw_os_error()).unwrap_or(0);
                self.tell(Item::Signalled { id, signal, errno });
            }
            ToKeeper::Forget { id } => self.table.forget(id),
            ToKeeper::Hold { name } => {
                if let Some(descriptor) = carried.next() {
                    self.table.hold(name, descriptor);
                }
            }
            ToKeeper::Release { name } => self.table.release(&name),
            ToKeeper::SignalTaken { signal } => self.table.signal_taken(signal),
            ToKeeper::Ready => {
                self.fresh = false;
                self.worker.iter_mut().for_each(|worker| worker.ready = true);
                self.herald.watch(clock::monotonic());
            }
            ToKeeper::Announce { lines } => self.herald.say(lines, clock::monotonic()),
            ToKeeper::Turns => self.herald.answered(clock::monotonic()),
            ToKeeper::StartAfresh => self.goodbye(Afterwards::Afresh),
            ToKeeper::Exit { code } => self.goodbye(Afterwards::End(code)),
        }
    }

    fn goodbye(&mut self, afterwards: Afterwards) {
        self.afterwards = afterwards;
        self.herald.rest();
        let limit = clock::monotonic() + GOODBYE_WAIT;
        self.worker.iter_mut().for_each(|worker| worker.end_by(limit));
    }

    /// Tells a new worker all there is. One of another version learns only that it is.
    fn greet(&mut self, version: u32) {
        let Some(worker) = &mut self.worker else { return };
        worker.greeted = version == PROTOCOL_VERSION;
        self.outbox.clear();
        self.outbox.push(Item::Welcome { generation: self.generation, fresh: self.fresh });
        if version != PROTOCOL_VERSION {
            return;
        }
        for held in &self.table.held {
            self.outbox.push(Item::Held { serial: held.serial });
        }
        for child in &mut self.table.children {
            child.in_inventory = true;
            self.outbox.push(Item::Program { id: child.id });
        }
        self.outbox.push(Item::InventoryEnd);
        for pending in &self.table.signals {
            self.outbox.push(Item::Signal { signal: pending.received.signal });
        }
    }

    fn spawn(&mut self, id: u64, tag: String, mut carried: impl Iterator<Item = OwnedFd>) -> Result<(), SpawnError> {
        let refuse = |errno| Err(SpawnError::Pipes(io::Error::from_raw_os_error(errno)));
        if self.table.child(id).is_some() {
            return refuse(libc::EEXIST);
        }
        // The worker sent one; it got lost because our table of open files is full.
        let Some(plan) = carried.next() else { return refuse(libc::EMFILE) };
        let memory = PlanMemory::map(plan).map_err(SpawnError::Pipes)?;
        let Some(plan) = PlanView::decode(memory.bytes(), &mut self.plan) else { return refuse(libc::EINVAL) };
        let given = if plan.stdin == Stdin::Given { carried.next() } else { None };
        let cgroup = if plan.enters_cgroup { carried.next() } else { None };
        if (plan.stdin == Stdin::Given && given.is_none()) || (plan.enters_cgroup && cgroup.is_none()) {
            return refuse(libc::EMFILE);
        }
        let spawned = spawn::spawn(&plan, given, cgroup.as_ref())?;
        // Not to learn of a failed exec (for want of memory) is no reason to deny the child.
        let token = STATUS + u64::from(spawned.pid.unsigned_abs());
        let _ = self.waiter.add(&spawned.status, token, Interest::READABLE);
        self.table.children.push(Child {
            id,
            tag: tag.into_boxed_str(),
            pid: spawned.pid,
            started: now(),
            last_signal: 0,
            pipes: spawned.pipes,
            status: Some(spawned.status),
            ended: None,
            exec_failed: None,
            in_inventory: false,
        });
        Ok(())
    }

    /// A pid that was reaped belongs to somebody else: there is nobody to signal.
    fn signal(&mut self, id: u64, signal: i32, group: bool) -> io::Result<()> {
        let child = self.table.child_mut(id).filter(|child| child.ended.is_none());
        let child = child.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        if group { signals::send_to_group(child.pid, signal) } else { signals::send(child.pid, signal) }?;
        child.last_signal = signal;
        Ok(())
    }
}

fn now() -> Now {
    let (mono, wall) = clock::now();
    Now { mono: Moment(mono), wall }
}
