//! The keeper's loop: one thread, one wait for everything, no timeout while nothing is awaited.
//!
//! It decides nothing about programs. It never gives up because of an error: what fails is told to
//! the worker, and what cannot be told is tried again with the next one.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::adoption::WATCH;
use super::bequest::{SIGNALS_HELD_NAME, read_signals};
use super::codec::MESSAGE_BYTES_MAX;
use super::enrolment::ROLL_HELD_NAME;
use super::herald::{Due, Herald};
use super::image::{INHERITED_NAME, inherited};
use super::outbox::{Item, Outbox, Sent};
use super::protocol::{Stage, ToKeeper};
use super::roll::Roll;
use super::table::Table;
use super::tenure::{ANSWER_WAIT, Afterwards, KILLED_WAIT, Patience, SILENT_WAIT, Tenure, code};
use super::upgrade::{EXEC_WAIT, Images, READY_MAX, Upgrade};
use crate::engine::{Exit, Moment, Now, Pid};
use crate::sys::plan::PlanBuffer;
use crate::sys::signals::{self, Signals};
use crate::sys::spawn::{self, Status};
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
pub(super) const STATUS: u64 = 16;

/// So many messages are read before other events get their turn.
const MESSAGES_PER_TURN: usize = 64;

/// After the kernel had no room for a message.
const SEND_PAUSE: Duration = Duration::from_millis(20);

/// Is the keeper until a worker asks it to end, or the first one fails before it is ready; gives the
/// code to exit with.
///
/// `launcher` is a socket in which `Hold` messages wait: of the process that was started by the user, or of a worker whose
/// keeper was killed, which sends them until it ends, or of a keeper of another program in this process. A `Ready` behind
/// them says that there is something to take over, a `StartAfresh` that there is not. Without either the sender was killed
/// on the way: what there is goes on if the roll is there, which is sent when everything else is.
///
/// # Errors
///
/// Only at the beginning, when nothing has been started yet; also if the programs on the roll cannot be taken over, or run
/// though there should be none.
pub fn run(launcher: OwnedFd, images: &mut dyn Images) -> io::Result<u8> {
    process::adopt_orphans()?;
    let mut keeper = Keeper::new(receive_signals()?)?;
    let inheritance = keeper.read_launcher(&launcher)?;
    drop(launcher);
    keeper.upgrade = Upgrade::take_from(&mut keeper.table);
    if let Err(error) = keeper.take_roll(inheritance) {
        keeper.go_back(images);
        return Err(error);
    }
    // One that waited over exec is gone since its disposition was restored, and a child may have ended meanwhile.
    signals::send(process::id(), libc::SIGCHLD)?;
    Ok(keeper.run(Some(images)))
}

/// The same on a thread of the worker's process, for debugging; `held` is what it holds from the beginning. Gives the
/// worker's end of the socket.
/// To be called before other threads are started: they have to inherit the blocked signals.
///
/// The thread ends with the code of `Exit`; with 0 after `StartAfresh`, or when the socket is closed.
///
/// # Errors
///
/// EMFILE, ENFILE, ENOMEM, EAGAIN; the programs on the roll cannot be taken over.
pub fn run_in_thread(
    held: Vec<(String, OwnedFd)>,
    inheritance: Inheritance,
) -> io::Result<(OwnedFd, std::thread::JoinHandle<u8>)> {
    process::adopt_orphans()?;
    let mut keeper = Keeper::new(receive_signals()?)?;
    for (name, descriptor) in held {
        keeper.table.hold(name, descriptor);
    }
    keeper.take_roll(inheritance)?;
    let (mine, theirs) = descriptors::packet_pair()?;
    keeper.generation = 1;
    keeper.install(Tenure::new(0, mine, clock::monotonic()))?;
    let thread = std::thread::Builder::new().name("keeper".to_owned()).stack_size(256 * 1024);
    Ok((theirs, thread.spawn(move || keeper.run(None))?))
}

/// Whether there is something to take over from a daemon that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inheritance {
    None,
    /// Among what is held are a roll and a worker's journal.
    Daemon,
}

fn receive_signals() -> io::Result<Signals> {
    // With SIGCHLD ignored the kernel itself would reap, and tell nobody how children ended.
    RECEIVED.into_iter().for_each(signals::restore_default);
    IGNORED.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).for_each(signals::ignore);
    Signals::receive(&RECEIVED)
}

pub(super) struct Keeper {
    pub(super) waiter: Waiter,
    pub(super) signals: Signals,
    pub(super) table: Table,
    pub(super) outbox: Outbox,
    /// `None`: nobody gave us one, and nobody will find our children should we be killed.
    pub(super) roll: Option<Roll>,
    /// Why the roll is in memory only, an errno; zero if it is not.
    pub(super) unrecorded: i32,
    /// When the roll's file is tried again.
    pub(super) roll_due: Option<Duration>,
    pub(super) herald: Herald,
    /// `None` between two workers.
    pub(super) worker: Option<Tenure>,
    /// What the kernel is asked to tell about the worker's socket.
    pub(super) interest: Interest,
    /// When the next worker is due, while there is none.
    pub(super) due: Duration,
    /// When to try sending again though the socket is not full.
    pub(super) send_again: Option<Duration>,
    pub(super) afterwards: Afterwards,
    pub(super) patience: Patience,
    pub(super) upgrade: Upgrade,
    pub(super) generation: u64,
    pub(super) fresh: bool,
    pub(super) last_code: u8,
    /// Closed to make room for the next worker's socket, should the table of open files be full.
    pub(super) spare: Option<OwnedFd>,
    /// Killed workers that the kernel did not let end yet, and children that were not let go: nobody is told of their end.
    pub(super) stuck: Vec<Pid>,
    pub(super) buffer: Box<[u8]>,
    pub(super) plan: PlanBuffer,
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
            roll: None,
            unrecorded: 0,
            roll_due: None,
            herald: Herald::of_environment(),
            worker: None,
            interest: Interest::READABLE,
            due: Duration::ZERO,
            send_again: None,
            afterwards: Afterwards::Restart,
            patience: Patience::default(),
            upgrade: Upgrade::default(),
            generation: 0,
            fresh: true,
            last_code: 0,
            spare,
            stuck: Vec::new(),
            buffer: vec![0; MESSAGE_BYTES_MAX].into_boxed_slice(),
            plan: PlanBuffer::default(),
        })
    }

    /// Takes what was sent, up to the sender's end.
    fn read_launcher(&mut self, launcher: &OwnedFd) -> io::Result<Inheritance> {
        let mut inheritance = None;
        loop {
            match descriptors::receive(launcher, &mut self.buffer) {
                Ok((length @ 1.., carried)) => {
                    let message = ToKeeper::decode(self.buffer.get(..length).unwrap_or_default());
                    match message {
                        // Our table of open files is full, and nobody would know who runs.
                        Ok(ToKeeper::Hold { name }) if name == ROLL_HELD_NAME && carried.is_empty() => {
                            return Err(io::Error::from_raw_os_error(libc::EMFILE));
                        }
                        Ok(message @ ToKeeper::Hold { .. }) => self.perform(message, carried),
                        Ok(ToKeeper::Ready) => inheritance = Some(Inheritance::Daemon),
                        Ok(ToKeeper::StartAfresh) => inheritance = Some(Inheritance::None),
                        Ok(_) | Err(_) => {}
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut awaited = [PollFd::new(launcher.as_fd(), PollFlags::POLLIN)];
                    // Interrupted or not, the next attempt tells.
                    let _ = poll(&mut awaited, PollTimeout::NONE);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The sender has ended.
                Ok(_) | Err(_) => break,
            }
        }
        if let Some(list) = self.table.take(INHERITED_NAME) {
            for (name, descriptor) in inherited(&list) {
                self.table.hold(name, descriptor);
            }
        }
        for received in self.table.take(SIGNALS_HELD_NAME).map(read_signals).into_iter().flatten() {
            self.table.remember_signal(received, clock::monotonic());
        }
        let has_all = self.table.named(ROLL_HELD_NAME).is_some();
        let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the sender ended before all was handed over");
        inheritance.or(has_all.then_some(Inheritance::Daemon)).ok_or_else(cut)
    }

    /// `images` is `None` when the worker is a thread of this process.
    fn run(mut self, mut images: Option<&mut dyn Images>) -> u8 {
        loop {
            match (&mut images, &self.worker) {
                (Some(images), None) => {
                    if self.nothing_left_to_do() {
                        return self.last_code;
                    }
                    if self.upgrade.is_due() {
                        self.become_next(*images);
                    } else if clock::monotonic() >= self.due
                        && let Err(code) = self.start_worker(*images)
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
                    token if token & WATCH != 0 => self.look_at(token & !WATCH),
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
        let due = [due, self.collection_due(), self.roll_due, self.herald.deadline()].into_iter().flatten().min();
        due.map(|due| due.saturating_sub(clock::monotonic()))
    }

    /// When the worker has to have taken all signals in hand that it takes in hand at once.
    fn answer_due(&self, worker: &Tenure) -> Option<Duration> {
        let first = self.table.unanswered_since()?;
        (worker.pid != 0 && !worker.killed).then(|| first.max(worker.since) + ANSWER_WAIT)
    }

    /// No worker can be started, no program runs, and we are asked to end.
    fn nothing_left_to_do(&self) -> bool {
        self.patience.is_at_an_end()
            && !self.table.has_living()
            && ENDING.into_iter().any(|signal| self.table.signal(signal).is_some())
    }

    /// An error is the code to exit with.
    fn start_worker(&mut self, images: &mut dyn Images) -> Result<(), u8> {
        self.spare = None;
        let started =
            descriptors::packet_pair().and_then(|(mine, theirs)| Ok((images.start_worker(theirs.as_fd())?, mine)));
        self.spare = self.signals.as_fd().try_clone_to_owned().ok();
        self.generation += 1;
        let since = clock::monotonic();
        match started {
            Ok((pid, socket)) => {
                let mut tenure = Tenure::new(pid, socket, since);
                if self.upgrade.is_on_trial() {
                    tenure.end_by(since + READY_MAX);
                }
                // Watching fails for want of memory only; then the worker cannot be served.
                if self.install(tenure).is_err() {
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
            Afterwards::Upgrade => self.due = clock::monotonic() + EXEC_WAIT,
            Afterwards::Restart if self.generation == 1 && self.fresh && !ready => {
                return Some(self.last_code);
            }
            Afterwards::Restart => {
                self.due = clock::monotonic() + self.patience.pause_after(age, ready, exit);
                if !ready {
                    self.worker_failed();
                }
            }
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
            let exit = Exit::from(exit);
            if self.worker.as_ref().is_some_and(|worker| worker.pid == pid) {
                worker_exit = Some(exit);
            } else if let Some(place) = self.stuck.iter().position(|stuck| *stuck == pid) {
                self.stuck.swap_remove(place);
            } else {
                self.child_ended(pid, exit);
            }
        }
        while children && let Some((pid, signal)) = reap::next_stopped() {
            if let Some(id) = self.table.living_mut(pid).map(|child| child.id) {
                self.tell(Item::Stopped { id, signal, at: now() });
            }
        }
        worker_exit.and_then(|exit| self.worker_ended(exit))
    }

    fn child_ended(&mut self, pid: Pid, exit: Exit) {
        // What it reported before it died comes first.
        self.read_status(STATUS + u64::from(pid.unsigned_abs()));
        match self.table.living_mut(pid).map(|child| child.id) {
            Some(id) => self.conclude(id, exit),
            None => self.tell(Item::OrphanReaped { pid, exit }),
        }
    }

    pub(super) fn tell_unless_in_inventory(&mut self, id: u64) {
        if self.table.child(id).is_some_and(|child| !child.in_inventory) {
            self.tell(Item::Exited { id });
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
        let (id, failed, in_inventory) = (child.id, child.exec_failed.is_some(), child.in_inventory);
        if failed {
            self.enter(id);
            if !in_inventory {
                self.tell(Item::ExecFailed { id });
            }
        }
    }

    // --- The worker

    /// The next worker reads the facts from its inventory.
    pub(super) fn tell(&mut self, item: Item) {
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
        self.end_patience();
        let now = clock::monotonic();
        if self.roll_due.is_some_and(|due| now >= due) {
            self.regain_roll();
        }
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
}

pub(super) fn now() -> Now {
    let (mono, wall) = clock::now();
    Now { mono: Moment(mono), wall }
}
