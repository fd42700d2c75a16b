//! A model of the keeper and of its children: forks, signals, reaps, and tells what it knows until told to forget. It dies,
//! and another one takes its place, with the roll.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use galaxyd::engine::{Exit, Pid, ProcessId};

use crate::dice::Dice;

/// Names one child for ever.
pub(crate) type ChildId = (ProcessId, u32);

/// Few, so that they are used again soon, as a busy machine does.
const PIDS: Pid = 60;

/// From the worker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ToKeeper {
    Spawn(ChildId),
    Signal {
        child: ChildId,
        signal: i32,
    },
    /// The child has ended and left another one behind.
    Follow(ChildId),
    Forget(ChildId),
}

/// To the worker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FromKeeper {
    Spawned {
        child: ChildId,
        pid: Pid,
        at: Duration,
    },
    SpawnFailed(ChildId),
    ExecFailed(ChildId),
    Exited {
        child: ChildId,
        exit: Exit,
        at: Duration,
    },
    Signalled {
        child: ChildId,
        signal: i32,
        refused: bool,
    },
    /// `None`: that one has ended as well.
    Followed {
        child: ChildId,
        heir: Option<Pid>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) pid: Pid,
    pub(crate) started: Duration,
    pub(crate) last_signal: i32,
    pub(crate) ended: Option<(Exit, Duration)>,
    pub(crate) exec_failed: bool,
    /// How it will end if nothing else comes.
    fate: Option<(Duration, Exit)>,
    /// Dies of any signal but KILL only if so.
    obeys: bool,
    /// The system refuses signals to it.
    untouchable: bool,
}

impl Child {
    pub(crate) fn is_alive(&self) -> bool {
        self.ended.is_none()
    }

    fn end_at(&mut self, at: Duration, exit: Exit) {
        if self.fate.is_none_or(|(planned, _)| planned > at) {
            self.fate = Some((at, exit));
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Keeper {
    pub(crate) children: BTreeMap<ChildId, Child>,
    /// Highest attempt forked, by process, also of children forgotten.
    forked: BTreeMap<ProcessId, u32>,
    next_pid: Pid,
    pub(crate) outbox: VecDeque<FromKeeper>,
    /// Their parent died: how they end may be unknown.
    adopted: BTreeSet<ChildId>,
    /// Until another one takes its place.
    pub(crate) is_dead: bool,
}

impl Keeper {
    /// When the next child ends and is reaped.
    pub(crate) fn next_end(&self) -> Option<Duration> {
        if self.is_dead {
            return None;
        }
        self.children.values().filter(|child| child.is_alive()).filter_map(|child| Some(child.fate?.0)).min()
    }

    /// The next keeper: it finds the children on the roll, and whoever ended meanwhile.
    pub(crate) fn succeed(&mut self, now: Duration, dice: &mut Dice) {
        self.is_dead = false;
        self.outbox.clear();
        for (id, child) in self.children.iter_mut().filter(|(_, child)| child.is_alive()) {
            self.adopted.insert(*id);
            // What it reported of itself may have been read by nobody.
            child.exec_failed &= dice.chance(50);
            if let Some((at, exit)) = child.fate
                && at <= now
            {
                child.ended = Some((if dice.chance(40) { exit } else { Exit::Unknown }, now));
            }
        }
    }

    /// Reaps those whose time has come.
    pub(crate) fn reap(&mut self, now: Duration, dice: &mut Dice) {
        for (id, child) in &mut self.children {
            if let Some((at, exit)) = child.fate
                && child.is_alive()
                && at <= now
            {
                let exit = if self.adopted.contains(id) && dice.chance(30) { Exit::Unknown } else { exit };
                child.ended = Some((exit, at));
                self.outbox.push_back(FromKeeper::Exited { child: *id, exit, at });
            }
        }
    }

    /// Does what a message asks; the error is a promise broken.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        message: ToKeeper,
        busy: &[Duration],
        dice: &mut Dice,
    ) -> Result<(), String> {
        match message {
            ToKeeper::Spawn(id) => self.spawn(now, id, busy, dice)?,
            ToKeeper::Signal { child, signal } => self.signal(now, child, signal, dice),
            ToKeeper::Follow(id) => self.follow(now, id, busy, dice)?,
            ToKeeper::Forget(id) => match self.children.remove(&id) {
                Some(child) if child.is_alive() => return Err(format!("a living child is forgotten: {id:?}")),
                Some(_) => {}
                None => return Err(format!("forgotten twice: {id:?}")),
            },
        }
        Ok(())
    }

    fn spawn(&mut self, now: Duration, id: ChildId, busy: &[Duration], dice: &mut Dice) -> Result<(), String> {
        let (process, attempt) = id;
        if self.children.iter().any(|((other, _), child)| *other == process && child.is_alive()) {
            return Err(format!("two living children of one process: {id:?}"));
        }
        if self.forked.get(&process).is_some_and(|last| *last >= attempt) {
            return Err(format!("a child's name is used again: {id:?}"));
        }
        if dice.chance(6) {
            self.outbox.push_back(FromKeeper::SpawnFailed(id));
            return Ok(());
        }
        self.forked.insert(process, attempt);
        self.take_pid();
        let exec_failed = dice.chance(4);
        let child = Child {
            pid: self.next_pid,
            started: now,
            last_signal: 0,
            ended: None,
            exec_failed,
            fate: if exec_failed { Some((now + dice.millis(5), Exit::Code(127))) } else { fate(now, busy, dice) },
            obeys: dice.chance(75),
            untouchable: dice.chance(3),
        };
        self.outbox.push_back(FromKeeper::Spawned { child: id, pid: child.pid, at: now });
        if exec_failed {
            self.outbox.push_back(FromKeeper::ExecFailed(id));
        }
        self.children.insert(id, child);
        Ok(())
    }

    fn take_pid(&mut self) {
        loop {
            self.next_pid = self.next_pid % PIDS + 1;
            if !self.children.values().any(|child| child.is_alive() && child.pid == self.next_pid) {
                return;
            }
        }
    }

    fn follow(&mut self, now: Duration, id: ChildId, busy: &[Duration], dice: &mut Dice) -> Result<(), String> {
        self.take_pid();
        let heir = dice.chance(85).then_some(self.next_pid);
        let child = self.children.get_mut(&id).ok_or_else(|| format!("nobody is followed: {id:?}"))?;
        if child.is_alive() {
            return Err(format!("a living child is followed: {id:?}"));
        }
        if let Some(heir) = heir {
            *child = Child { pid: heir, last_signal: 0, ended: None, fate: fate(now, busy, dice), ..child.clone() };
        }
        self.outbox.push_back(FromKeeper::Followed { child: id, heir });
        Ok(())
    }

    fn signal(&mut self, now: Duration, id: ChildId, signal: i32, dice: &mut Dice) {
        let mut refused = false;
        if let Some(child) = self.children.get_mut(&id).filter(|child| child.is_alive()) {
            refused = child.untouchable;
            if !refused {
                child.last_signal = signal;
                let exit = Exit::Signal { number: signal, core_dumped: dice.chance(5) };
                match signal {
                    0 => {}
                    9 => child.end_at(now + dice.delay(300), exit),
                    _ if child.obeys => {
                        let exit = if dice.chance(50) { exit } else { Exit::Code(0) };
                        child.end_at(now + dice.delay(1500), exit);
                    }
                    _ => {}
                }
            }
        }
        self.outbox.push_back(FromKeeper::Signalled { child: id, signal, refused });
    }
}

/// How a child would end by itself: at some time, at a whole second after its start, or in the very instant in which
/// someone asks for something.
fn fate(now: Duration, busy: &[Duration], dice: &mut Dice) -> Option<(Duration, Exit)> {
    let at = match dice.below(10) {
        0..4 => return None,
        4 => now + dice.millis(50),
        5 => now + dice.millis(1500),
        6 => now + Duration::from_secs(dice.below(3)),
        7 => now + dice.millis(8000),
        _ => *busy.iter().find(|at| **at >= now)?,
    };
    let exit = match dice.below(6) {
        0..3 => Exit::Code(0),
        3 => Exit::Code(1),
        4 => Exit::Code(2),
        _ => Exit::Signal { number: 11, core_dumped: true },
    };
    Some((at, exit))
}
