//! What the threads of the plane share: who has which target, and what is asked of it.
//!
//! One thread, the *lane*, serves all targets, one after the other. It takes a target out of its slot, works on it
//! without a lock, and puts it back. When that takes too long, the watcher declares the thread lost and starts another
//! lane: the lost thread keeps the one target it works on and gives it back when its file system answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::epoll::Epoll;

use super::logfile::{Bounds, Gate, LogFile};
use super::notices::Teller;
use super::plane::{Command, Notice, Sink, SourceId};
use super::source::{Arming, Source, arm};
use super::syslog::Syslog;
use super::target::{DRAIN_WAIT, Order, Served, Target};
use super::transit::{Leftover, Transit};

/// How many threads one hung file system can hold; targets on it beyond that are not served until it answers, only
/// kept from blocking their children.
const LOST_BY_DEVICE_MAX: usize = 3;

/// How many threads can be lost altogether; at the limit the lane is not replaced.
pub const LOST_MAX: usize = 64;

/// Names a slot. Zero names none.
pub(super) type Key = u64;

/// Things that do not change.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) gate: Arc<dyn Gate>,
    pub(super) teller: Teller,
    pub(super) epoll: Arc<Epoll>,
    pub(super) syslog_tag: Arc<str>,
    pub(super) syslog_socket: Arc<Path>,
}

#[derive(Debug)]
struct Slot {
    /// `None` while a thread has it.
    target: Option<Box<Target>>,
    file: Option<Arc<Path>>,
    orders: Vec<Order>,
    /// For keeping pipes from filling up while the target is out of reach.
    pipes: Vec<Pipe>,
    pipe_held: Arc<AtomicBool>,
    /// The file system, if known.
    device: Option<u64>,
    /// Whether its file system can hang.
    remote: bool,
    /// Not served because its file system hangs, or others hold all transits.
    parked: bool,
    /// Bytes thrown away while the target was out of reach.
    lost: u64,
    due: Option<Duration>,
}

/// A pipe as those see it who do not have its target.
#[derive(Debug, Clone)]
pub(super) struct Pipe {
    pub(super) source: SourceId,
    pub(super) token: u64,
    pub(super) reader: Arc<OwnedFd>,
    /// Set once the child is reaped: what is not written by then is given up.
    deadline: Option<Duration>,
}

/// What the lane has out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checkout {
    pub(super) key: Key,
    pub(super) since: Duration,
}

/// A thread that did not come back.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) out: Checkout,
    pub(super) told: bool,
    device: Option<u64>,
}

/// A target for a thread to work on.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) target: Box<Target>,
    pub(super) orders: Vec<Order>,
}

/// A target that is out of reach.
#[derive(Debug)]
pub(super) struct Unreachable {
    pub(super) pipes: Vec<Pipe>,
    /// Sources whose drain is overdue.
    pub(super) overdue: Vec<Pipe>,
}

/// The shared state.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) inbox: VecDeque<Command>,
    slots: BTreeMap<Key, Slot>,
    files: BTreeMap<Arc<Path>, Key>,
    sources: BTreeMap<SourceId, Key>,
    tokens: BTreeMap<u64, Key>,
    due: BTreeSet<(Duration, Key)>,
    /// To be served in the next round.
    pub(super) ready: BTreeSet<Key>,
    /// To be served in this round, which another thread goes on with if the lane is lost in it.
    pub(super) round: BTreeSet<Key>,
    pub(super) starved: BTreeSet<Key>,
    /// Which thread is the lane.
    pub(super) lane: u64,
    pub(super) out: Option<Checkout>,
    pub(super) lost: BTreeMap<u64, Loss>,
    /// File systems of directories, as last seen.
    places: BTreeMap<PathBuf, u64>,
    pub(super) transits: Vec<Transit>,
    pub(super) leftovers: Vec<Leftover>,
    /// How often something was taken out: lets the watcher see whether anything happens at all.
    pub(super) turns: u64,
    /// Whether the watcher looks by itself.
    pub(super) watched: bool,
    /// The handle is gone.
    pub(super) closing: bool,
    /// The lane has ended.
    pub(super) over: bool,
    last_number: u64,
}

impl Board {
    /// A number that was not given before, for keys and tokens.
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn keys(&self) -> Vec<Key> {
        self.slots.keys().copied().collect()
    }

    pub(super) fn key_of(&self, token: u64) -> Option<Key> {
        self.tokens.get(&token).copied()
    }

    /// The earliest moment at which a target wants to be served without a pipe's asking for it.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Moves what is due to what is ready.
    pub(super) fn collect_due(&mut self, now: Duration) {
        while let Some((at, key)) = self.due.first().copied()
            && at <= now
        {
            self.set_due(key, None);
            self.ready.insert(key);
        }
    }

    fn set_due(&mut self, key: Key, due: Option<Duration>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if let Some(old) = std::mem::replace(&mut slot.due, due) {
            self.due.remove(&(old, key));
        }
        self.due.extend(due.map(|at| (at, key)));
    }

    /// Whether nothing is left to do for a plane whose handle is gone.
    pub(super) fn is_done(&self) -> bool {
        self.closing
            && self.inbox.is_empty()
            && self.sources.is_empty()
            && self.ready.is_empty()
            && self.round.is_empty()
    }

    /// Turns a command into orders.
    pub(super) fn accept(&mut self, command: Command, means: &Means, now: Duration) {
        match command {
            Command::Attach { source, pipe, sink } => self.attach(source, pipe, sink, means),
            Command::Drain { source } => {
                let Some(&key) = self.sources.get(&source) else {
                    means.teller.tell(Notice::Drained { source });
                    return;
                };
                let deadline = now + DRAIN_WAIT;
                if let Some(slot) = self.slots.get_mut(&key) {
                    for pipe in slot.pipes.iter_mut().filter(|pipe| pipe.source == source) {
                        pipe.deadline = Some(deadline);
                    }
                }
                self.order(key, Order::Drain { source, deadline });
                if self.is_unreachable(key) {
                    self.look_again(key, None);
                }
            }
            Command::Redirect { source, sink } => {
                if let Some(&key) = self.sources.get(&source) {
                    self.order(key, Order::Redirect { source, sink: Box::new(sink) });
                }
            }
            Command::Reopen => {
                for key in self.keys() {
                    self.order(key, Order::Reopen);
                }
            }
            Command::Clear { ticket, file } => {
                let key = match self.files.get(&file) {
                    Some(&key) => key,
                    None => self.add_slot(Some(file), Bounds { maxbytes: 0, backups: 0 }, means),
                };
                self.order(key, Order::Clear { ticket });
            }
            Command::StripAnsi(strip) => {
                for key in self.keys() {
                    self.order(key, Order::StripAnsi(strip));
                }
            }
        }
    }

    fn attach(&mut self, id: SourceId, pipe: OwnedFd, sink: Sink, means: &Means) {
        let token = self.number();
        let leftover = self.leftovers.iter().position(|left| left.entry.source == id);
        let leftover = leftover.map(|index| self.leftovers.swap_remove(index));
        let bounds = Bounds { maxbytes: sink.maxbytes, backups: sink.backups };
        let key = match sink.file.as_ref().and_then(|file| self.files.get(file)) {
            Some(&key) => key,
            None => self.add_slot(sink.file.clone(), bounds, means),
        };
        let mut source = Source::new(id, token, pipe, sink);
        source.leftover = leftover;
        self.sources.insert(id, key);
        self.tokens.insert(token, key);
        let unreachable = self.is_unreachable(key);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.pipes.push(Pipe { source: id, token, reader: Arc::clone(&source.pipe), deadline: None });
            if unreachable {
                // If epoll has no memory now, the target tries again when it is back.
                let _armed = source.arm(&means.epoll, Arming::Edge);
            }
        }
        self.order(key, Order::Attach { source: Box::new(source), bounds });
    }

    /// Gives a pipe to the target of another file, with everything that was ordered about it meanwhile.
    fn hand_over(&mut self, from: Key, source: Box<Source>, means: &Means) {
        let id = source.id;
        let Some(slot) = self.slots.get_mut(&from) else { return };
        let pipe = slot.pipes.iter().position(|pipe| pipe.source == id).map(|at| slot.pipes.swap_remove(at));
        let is_about = |order: &mut Order| match order {
            Order::Drain { source, .. } | Order::Redirect { source, .. } | Order::Abandon(source) => *source == id,
            _ => false,
        };
        let late: Vec<Order> = slot.orders.extract_if(.., is_about).collect();
        // Others closed it while its target was out of reach.
        let Some(pipe) = pipe else { return };
        let bounds = Bounds { maxbytes: source.sink.maxbytes, backups: source.sink.backups };
        let key = match source.sink.file.as_ref().and_then(|file| self.files.get(file)) {
            Some(&key) => key,
            None => self.add_slot(source.sink.file.clone(), bounds, means),
        };
        self.sources.insert(id, key);
        self.tokens.insert(source.token, key);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.pipes.push(pipe);
        }
        self.order(key, Order::Attach { source, bounds });
        for order in late {
            self.order(key, order);
        }
        if self.is_unreachable(key) {
            self.watch_edges(key, means);
            self.look_again(key, None);
        }
    }

    fn add_slot(&mut self, file: Option<Arc<Path>>, bounds: Bounds, means: &Means) -> Key {
        let (key, token) = (self.number(), self.number());
        let log = file.clone().map(|file| LogFile::new(file, bounds, Arc::clone(&means.gate)));
        let pipe_held = Arc::new(AtomicBool::new(false));
        let syslog = Syslog::new(Arc::clone(&means.syslog_tag), Arc::clone(&means.syslog_socket));
        let target = Target::new(token, log, syslog, Arc::clone(&pipe_held));
        let device = file.as_deref().and_then(Path::parent).and_then(|place| self.places.get(place)).copied();
        self.tokens.insert(token, key);
        self.files.extend(file.clone().map(|file| (file, key)));
        let slot = Slot {
            target: Some(Box::new(target)),
            file,
            orders: Vec::new(),
            pipes: Vec::with_capacity(1),
            pipe_held,
            device,
            remote: false,
            parked: false,
            lost: 0,
            due: None,
        };
        self.slots.insert(key, slot);
        key
    }

    fn order(&mut self, key: Key, order: Order) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.orders.push(order);
            self.ready.insert(key);
        }
    }

    /// Whether a lost thread has it, or it waits for one.
    fn is_unreachable(&self, key: Key) -> bool {
        self.slots.get(&key).is_some_and(|slot| slot.parked || slot.target.is_none())
    }

    /// Takes a target out for the lane to work on; `None` if it is out of reach.
    pub(super) fn check_out(&mut self, key: Key, now: Duration, has_transit: bool, means: &Means) -> Option<Work> {
        let hung = self.lost_on(self.slots.get(&key)?.device);
        let transits_hang = !has_transit && !self.lost.is_empty();
        let slot = self.slots.get_mut(&key)?;
        let target = slot.target.take()?;
        if hung >= LOST_BY_DEVICE_MAX || (slot.remote && transits_hang) {
            slot.target = Some(target);
            if !std::mem::replace(&mut slot.parked, true) {
                self.watch_edges(key, means);
            }
            return None;
        }
        slot.parked = false;
        let mut orders = std::mem::take(&mut slot.orders);
        if slot.lost > 0 {
            orders.push(Order::Lost(std::mem::take(&mut slot.lost)));
        }
        self.out = Some(Checkout { key, since: now });
        self.turns += 1;
        self.set_due(key, None);
        Some(Work { target, orders })
    }

    fn lost_on(&self, device: Option<u64>) -> usize {
        self.lost.values().filter(|loss| loss.device.is_some() && loss.device == device).count()
    }

    /// Whether the file system of this slot has a thread hanging.
    pub(super) fn is_suspect(&self, key: Key) -> bool {
        self.slots.get(&key).is_some_and(|slot| self.lost_on(slot.device) > 0)
    }

    /// Puts a target back.
    pub(super) fn check_in(&mut self, key: Key, target: Box<Target>, served: &mut Served, means: &Means) {
        for source in std::mem::take(&mut served.moved) {
            self.hand_over(key, Box::new(source), means);
        }
        for source in &served.finished {
            self.forget(key, *source, means);
        }
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if let Some(device) = target.device() {
            slot.device = Some(device);
            slot.remote = target.is_remote();
            if let Some(place) = slot.file.as_deref().and_then(Path::parent)
                && self.places.get(place) != Some(&device)
            {
                self.places.insert(place.to_owned(), device);
            }
        }
        slot.target = Some(target);
        let is_empty = served.is_empty && slot.orders.is_empty();
        if is_empty {
            self.remove_slot(key);
            return;
        }
        self.set_due(key, served.due);
        if served.again {
            self.ready.insert(key);
        }
        if served.starved {
            self.starved.insert(key);
        }
    }

    /// Puts a target back that was lost, and lets those go on that waited for its file system.
    pub(super) fn check_in_late(
        &mut self,
        thread: u64,
        key: Key,
        mut target: Box<Target>,
        served: &mut Served,
        means: &Means,
    ) {
        let Some(loss) = self.lost.remove(&thread) else { return };
        // If bytes were lost meanwhile, the target tells how many, once it has written so.
        if loss.told && self.slots.get(&key).is_some_and(|slot| slot.lost == 0) {
            means.teller.tell(Notice::Recovered { file: self.file_of(key), lost: 0 });
        }
        target.was_armed_by_others();
        self.check_in(key, target, served, means);
        self.ready.insert(key);
        let waiting: Vec<Key> = self.slots.iter().filter(|(_, slot)| slot.parked).map(|(key, _)| *key).collect();
        for key in waiting {
            if let Some(target) = self.slots.get_mut(&key).and_then(|slot| slot.target.as_mut()) {
                target.was_armed_by_others();
            }
            self.ready.insert(key);
        }
    }

    /// The lane does not come back: it is no longer the lane. Gives the number of the next one.
    pub(super) fn lose_lane(&mut self, means: &Means) -> Option<u64> {
        if self.lost.len() >= LOST_MAX {
            return None;
        }
        let out = self.out.take()?;
        let device = self.slots.get(&out.key).and_then(|slot| slot.device);
        self.lost.insert(self.lane, Loss { out, told: false, device });
        self.lane += 1;
        self.watch_edges(out.key, means);
        self.look_again(out.key, Some(out.since));
        Some(self.lane)
    }

    /// Lets epoll tell of each write into the pipes of a target that is out of reach.
    fn watch_edges(&mut self, key: Key, means: &Means) {
        let Some(slot) = self.slots.get(&key) else { return };
        for Pipe { reader: pipe, token, .. } in &slot.pipes {
            // Whether it is armed at present is known to who has the target.
            if arm(&means.epoll, pipe, *token, Arming::Level, Arming::Edge).is_err() {
                let _armed = arm(&means.epoll, pipe, *token, Arming::Off, Arming::Edge);
            }
        }
    }

    /// The pipes of a target that is out of reach; `None` if they may not be touched.
    pub(super) fn unreachable(&self, key: Key, now: Duration) -> Option<Unreachable> {
        let slot = self.slots.get(&key).filter(|slot| !slot.pipe_held.load(Ordering::Acquire))?;
        let is_overdue = |pipe: &&Pipe| pipe.deadline.is_some_and(|deadline| deadline <= now);
        let overdue: Vec<Pipe> = slot.pipes.iter().filter(is_overdue).cloned().collect();
        Some(Unreachable { pipes: slot.pipes.clone(), overdue })
    }

    /// Bytes were thrown away from the pipes of a target that is out of reach; some of them were closed.
    pub(super) fn relieved(&mut self, key: Key, lost: u64, closed: &[SourceId], means: &Means) {
        for source in closed {
            self.forget(key, *source, means);
        }
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.lost += lost;
        for closed in closed {
            let before = slot.orders.len();
            slot.orders.retain(|order| !matches!(order, Order::Attach { source, .. } if source.id == *closed));
            if slot.orders.len() == before {
                slot.orders.push(Order::Abandon(*closed));
            }
        }
    }

    /// Looks at the pipes of a target out of reach at `at`, and when a drain of it is overdue.
    pub(super) fn look_again(&mut self, key: Key, at: Option<Duration>) {
        let Some(slot) = self.slots.get(&key) else { return };
        let due = slot.pipes.iter().filter_map(|pipe| pipe.deadline).chain(at).chain(slot.due).min();
        self.set_due(key, due);
    }

    /// A source is drained, which is told once.
    fn forget(&mut self, key: Key, source: SourceId, means: &Means) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let before = slot.pipes.len();
        for pipe in slot.pipes.iter().filter(|pipe| pipe.source == source) {
            self.tokens.remove(&pipe.token);
        }
        slot.pipes.retain(|pipe| pipe.source != source);
        if slot.pipes.len() == before {
            return;
        }
        if self.sources.get(&source) == Some(&key) {
            self.sources.remove(&source);
        }
        means.teller.tell(Notice::Drained { source });
    }

    fn remove_slot(&mut self, key: Key) {
        self.set_due(key, None);
        self.ready.remove(&key);
        self.round.remove(&key);
        self.starved.remove(&key);
        if let Some(slot) = self.slots.remove(&key) {
            self.tokens.retain(|_, other| *other != key);
            if let Some(file) = slot.file.filter(|file| self.files.get(file) == Some(&key)) {
                self.files.remove(&file);
            }
        }
    }

    /// The file behind a key, for notices.
    pub(super) fn file_of(&self, key: Key) -> PathBuf {
        self.slots.get(&key).and_then(|slot| slot.file.as_deref()).map(Path::to_owned).unwrap_or_default()
    }
}
