//! What the worker asks the keeper for.

use std::io;
use std::os::fd::OwnedFd;

use super::adoption::inodes;
use super::enrolment::ROLL_HELD_NAME;
use super::keeper::{Keeper, STATUS, now};
use super::outbox::Item;
use super::protocol::{HeldProgram, PROTOCOL_VERSION, ToKeeper};
use super::roll::Entry;
use super::table::Child;
use super::tenure::{Afterwards, GOODBYE_WAIT};
use crate::sys::plan::{PlanMemory, PlanView, Stdin};
use crate::sys::signals;
use crate::sys::spawn::{self, SpawnError};
use crate::sys::waiter::Interest;
use crate::sys::{clock, descriptors, pidfd, proc_table};

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
        let (started, roll) = (now(), &mut self.roll);
        let (mut start, mut unrecorded) = (0, None);
        let spawned = spawn::spawn(&plan, given, cgroup.as_ref(), |pid, pipes| {
            start = proc_table::one(pid).map_or(0, |entry| entry.identity.start);
            let program = HeldProgram {
                id,
                tag: tag.clone(),
                pid,
                started,
                last_signal: 0,
                has_stdin: pipes.stdin.is_some(),
                has_stderr: pipes.stderr.is_some(),
                ended: None,
                exec_failed: None,
            };
            let entry = Entry { program, start, pipes: inodes(pipes) };
            unrecorded = roll.as_mut().and_then(|roll| roll.write(&entry).err());
        })?;
        // Not to learn of a failed exec (for want of memory) is no reason to deny the child.
        let token = STATUS + u64::from(spawned.pid.unsigned_abs());
        let _ = self.waiter.add(&spawned.status, token, Interest::READABLE);
        self.table.children.push(Child {
            id,
            tag: tag.into_boxed_str(),
            pid: spawned.pid,
            start,
            started,
            last_signal: 0,
            pipes: spawned.pipes,
            watch: None,
            status: Some(spawned.status),
            ended: None,
            exec_failed: None,
            in_inventory: false,
        });
        if let Some(error) = unrecorded {
            self.lose_roll(&error);
        }
        Ok(())
    }

    /// A pid that was reaped belongs to somebody else: there is nobody to signal.
    fn signal(&mut self, id: u64, signal: i32, group: bool) -> io::Result<()> {
        let child = self.table.child_mut(id).filter(|child| child.ended.is_none());
        let child = child.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        match (&child.watch, group) {
            (None, false) => signals::send(child.pid, signal),
            (None, true) => signals::send_to_group(child.pid, signal),
            // It may be reaped at any instant, and its pid be another's.
            (Some(watch), false) => pidfd::send(&watch.process, signal),
            (Some(watch), true) => pidfd::send_to_group(&watch.process, child.pid, signal),
        }?;
        child.last_signal = signal;
        self.enter(id);
        Ok(())
    }
}
