//! What the worker asks the keeper for.

use std::io;
use std::os::fd::OwnedFd;

use super::enrolment::ROLL_HELD_NAME;
use super::keeper::{Keeper, STATUS, now};
use super::outbox::Item;
use super::protocol::{PROTOCOL_VERSION, ToKeeper};
use super::roll::TAG_BYTES_MAX;
use super::table::Child;
use super::tenure::{Afterwards, GOODBYE_WAIT};
use crate::engine::Pid;
use crate::sys::plan::{PlanBuffer, PlanMemory, PlanView, Stdin};
use crate::sys::proc_table::{Entry, Identity, Standing};
use crate::sys::signals;
use crate::sys::spawn::{self, Forked, SpawnError};
use crate::sys::waiter::Interest;
use crate::sys::{clock, descriptors, pidfd, proc_table, process};

impl Keeper {
    pub(super) fn perform(&mut self, message: ToKeeper, carried: Vec<OwnedFd>) {
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
            ToKeeper::Follow { id, pid, start } => {
                let followed = self.follow(id, Identity { pid, start });
                let errno = followed.err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EINVAL));
                self.tell(Item::Followed { id, pid, errno });
            }
            ToKeeper::Forget { id } => {
                if self.table.forget(id) {
                    self.strike(id);
                }
            }
            ToKeeper::Hold { name } => {
                if let Some(descriptor) = carried.next() {
                    let is_roll = name == ROLL_HELD_NAME;
                    self.store(&name, &descriptor);
                    self.table.hold(name, descriptor);
                    // The one of the beginning is taken in hand when all is there.
                    if is_roll && self.worker.is_some() {
                        self.move_roll();
                    }
                } else {
                    // It got lost because our table of open files is full. The former one would be taken for it.
                    self.release(&name);
                }
            }
            ToKeeper::Release { name } => self.release(&name),
            ToKeeper::SignalTaken { signal } => self.table.signal_taken(signal),
            ToKeeper::Ready => {
                self.fresh = false;
                self.upgrade.succeeded();
                if let Some(worker) = &mut self.worker {
                    worker.ready = true;
                    worker.until = None;
                }
                self.herald.watch(clock::monotonic());
            }
            ToKeeper::Announce { lines } => self.herald.say(lines, clock::monotonic()),
            ToKeeper::Turns => self.herald.answered(clock::monotonic()),
            ToKeeper::StartAfresh => self.goodbye(Afterwards::Afresh),
            ToKeeper::Upgrade => {
                // One that got lost because our table of open files is full is not executed.
                if let Some(program) = carried.next() {
                    self.upgrade.to(program);
                }
                self.goodbye(Afterwards::Upgrade);
            }
            ToKeeper::Exit { code } => self.goodbye(Afterwards::End(code)),
        }
    }

    /// A listening socket outlives this process, too, if there is a service manager: nobody who connects meanwhile is refused.
    fn store(&mut self, name: &str, descriptor: &OwnedFd) {
        let is_known = self.table.named(name).is_some_and(|known| descriptors::are_same(known, descriptor));
        if !is_known && descriptors::is_listening(descriptor) {
            self.herald.store(name, descriptor, clock::monotonic());
        }
    }

    fn release(&mut self, name: &str) {
        if self.table.named(name).is_some_and(descriptors::is_listening) {
            self.herald.forget_stored(name, clock::monotonic());
        }
        self.table.release(name);
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
        if self.unrecorded != 0 {
            self.outbox.push(Item::Unrecorded { errno: self.unrecorded });
        }
        self.outbox.push(Item::InventoryEnd);
        for pending in &self.table.signals {
            self.outbox.push(Item::Signal { signal: pending.received.signal });
        }
    }

    fn spawn(&mut self, id: u64, tag: String, carried: impl Iterator<Item = OwnedFd>) -> Result<(), SpawnError> {
        if self.table.child(id).is_some() {
            return Err(refusal(libc::EEXIST));
        }
        if tag.len() > TAG_BYTES_MAX {
            return Err(refusal(libc::E2BIG));
        }
        let started = now();
        let Forked { pid, pipes, status, gate } = fork(carried, &mut self.plan)?;
        // Not to be found by its start would mean to be started twice.
        let start = match start_of(pid) {
            Ok(start) => start,
            Err(error) => return Err(self.turn_back(pid, error)),
        };
        self.table.children.push(Child {
            id,
            tag: tag.into_boxed_str(),
            pid,
            start,
            started,
            last_signal: 0,
            pipes,
            watch: None,
            status: Some(status),
            ended: None,
            exec_failed: None,
            in_inventory: false,
        });
        self.enter(id);
        if !self.is_recorded() {
            self.table.children.pop();
            return Err(self.turn_back(pid, io::Error::from_raw_os_error(self.unrecorded)));
        }
        // Not to learn of a failed exec (for want of memory) is no reason to deny the child.
        if let Some(status) = self.table.child(id).and_then(|child| child.status.as_ref()) {
            let _ = self.waiter.add(status, STATUS + u64::from(pid.unsigned_abs()), Interest::READABLE);
        }
        gate.open();
        Ok(())
    }

    /// A child that nobody would find ends behind its gate, which closes; nobody is told of that.
    fn turn_back(&mut self, pid: Pid, error: io::Error) -> SpawnError {
        self.stuck.push(pid);
        SpawnError::Fork(error)
    }

    /// A pid that was reaped belongs to somebody else: there is nobody to signal.
    fn signal(&mut self, id: u64, signal: i32, group: bool) -> io::Result<()> {
        let child = self.table.child_mut(id).filter(|child| child.ended.is_none());
        let child = child.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        match (&child.watch, group) {
            (None, false) => signals::send(child.pid, signal),
            (None, true) => {
                signals::send_to_group(child.pid, signal).or_else(|error| send_to_group_of(child, signal, error))
            }
            // It may be reaped at any instant, and its pid be another's.
            (Some(watch), false) => pidfd::send(&watch.process, signal),
            (Some(watch), true) => pidfd::send_to_group(&watch.process, child.pid, signal)
                .or_else(|error| send_to_group_of(child, signal, error)),
        }?;
        child.last_signal = signal;
        self.enter(id);
        Ok(())
    }
}

/// One that went into the background need not lead the group it is in. In ours it is not meant with all.
fn send_to_group_of(child: &Child, signal: i32, error: io::Error) -> io::Result<()> {
    let identity = Identity { pid: child.pid, start: child.start };
    let is_it = |entry: &Entry| entry.identity == identity && entry.standing != Standing::Ended;
    match proc_table::one(child.pid)?.filter(|entry| error.raw_os_error() == Some(libc::ESRCH) && is_it(entry)) {
        Some(entry) if entry.group == process::group() => signals::send(child.pid, signal),
        Some(entry) => signals::send_to_group(entry.group, signal),
        None => Err(error),
    }
}

fn refusal(errno: i32) -> SpawnError {
    SpawnError::Pipes(io::Error::from_raw_os_error(errno))
}

/// Makes the child of a plan, which comes first among what was carried.
fn fork(mut carried: impl Iterator<Item = OwnedFd>, buffer: &mut PlanBuffer) -> Result<Forked, SpawnError> {
    // The worker sent one; it got lost because our table of open files is full.
    let Some(plan) = carried.next() else { return Err(refusal(libc::EMFILE)) };
    let memory = PlanMemory::map(plan).map_err(SpawnError::Pipes)?;
    let Some(plan) = PlanView::decode(memory.bytes(), buffer) else { return Err(refusal(libc::EINVAL)) };
    let given = if plan.stdin == Stdin::Given { carried.next() } else { None };
    let listener = if plan.listens() { carried.next() } else { None };
    let cgroup = if plan.enters_cgroup { carried.next() } else { None };
    let is_short = (plan.stdin == Stdin::Given && given.is_none())
        || (plan.listens() && listener.is_none())
        || (plan.enters_cgroup && cgroup.is_none());
    if is_short {
        return Err(refusal(libc::EMFILE));
    }
    spawn::spawn(&plan, given, listener.as_ref(), cgroup.as_ref())
}

/// When the kernel started a child that was not reaped.
fn start_of(pid: Pid) -> io::Result<u64> {
    let entry = proc_table::one(pid)?.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    Ok(entry.identity.start)
}
