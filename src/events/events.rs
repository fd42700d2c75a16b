//! All pools together: who hears of what, and when.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;

use super::event::EventType;
use super::input::{Effect, Input};
use super::line::Line;
use super::payload::Notification;
use super::pool::{self, Context, Pool};
use super::record::{self, DaemonRecord, EventRecord, Kind, Memory, PoolRecord, Record};
use super::spec::GroupSpec;
use super::tick::Ticks;
use super::view::PoolView;
use super::witness::Witness;
use crate::engine::{Channel, Event, Moment, Now, ProcessState};

/// The events of a daemon and its listener pools.
#[derive(Debug)]
pub struct Events {
    /// The daemon's identifier.
    server: String,
    /// The number of the next event that somebody hears.
    next_serial: u64,
    /// In creation order, which is the order in which they hear of an event.
    pools: IndexMap<String, Pool>,
    /// The names of all groups.
    groups: BTreeSet<String>,
    witness: Witness,
    ticks: Ticks,
    deadline: Option<Moment>,
    /// Set from [`Events::restore`] to `Input::Resume`: who lives is not known, so nobody is told anything.
    resuming: bool,
    /// What the journal knows of the daemon's own part.
    journaled: DaemonRecord,
    removed: Vec<String>,
}

impl Events {
    /// Events of a daemon that begins. `next_serial` is 0, or where a daemon of the same process left off before a
    /// reload ([`Events::next_serial`]).
    #[must_use]
    pub fn new(server: String, next_serial: u64) -> Events {
        Events {
            server,
            next_serial,
            pools: IndexMap::new(),
            groups: BTreeSet::new(),
            witness: Witness::default(),
            ticks: Ticks::default(),
            deadline: None,
            resuming: false,
            journaled: DaemonRecord { next_serial, ..DaemonRecord::default() },
            removed: Vec::new(),
        }
    }

    /// Events as a predecessor's records tell them. `groups` are the active ones in creation order, and name the
    /// processes as before. Afterwards the worker tells `Born` for each child and then `Resume`.
    #[must_use]
    pub fn restore(server: String, groups: &[GroupSpec], records: impl IntoIterator<Item = Record>) -> Events {
        let mut memory = Memory::read(records);
        let DaemonRecord { next_serial, ticks, held } = memory.daemon.clone();
        let mut events =
            Events { ticks, witness: Witness::restore(held), resuming: true, ..Events::new(server, next_serial) };
        events.journaled = std::mem::take(&mut memory.daemon);
        for group in groups {
            events.add(group);
        }
        for pool in events.pools.values_mut() {
            memory.recall(pool);
        }
        events
    }

    /// Applies `input` at `now`. Never fails: what does not fit (a child that is not known, an answer that comes too late) is
    /// passed over.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        for tick in self.ticks.due(now) {
            self.announce(now, tick, effects);
        }
        match input {
            Input::Group(group) => self.add(&group),
            Input::Changed(group) => {
                if self.groups.contains(&group.name) {
                    self.reshape(now, &group, effects);
                }
            }
            Input::State(event) => self.change(now, &event, effects),
            Input::Born { process, child, pid } => {
                for pool in self.pools.values_mut() {
                    pool.born(process, child);
                }
                self.witness.born(process, child, pid);
            }
            Input::Output { child, channel, at, bytes } => self.output(now, child, channel, at, &bytes, effects),
            Input::Captured { child, channel, bytes } => self.captured(now, child, channel, &bytes, effects),
            Input::Gone { child } => self.gone(now, child, effects),
            Input::Written { child, serial } => {
                for pool in self.pools.values_mut() {
                    pool.written(child, serial);
                }
            }
            Input::NotWritten { child, serial } => {
                self.each_pool(now, effects, |pool, cx| pool.not_written(child, serial, cx));
            }
            Input::Remote { kind, data } => self.announce(now, Notification::remote(&kind, &data), effects),
            Input::Resume { children } => self.resume(now, &children.into_iter().collect(), effects),
            Input::Deadline => {}
            Input::Halt => self.halt(now, effects),
        }
        self.settle(now, effects);
    }

    /// When `Input::Deadline` is due; `None` while nothing is waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.deadline
    }

    /// A reread gave the daemon another identifier: events are sent in this name from now on.
    pub fn rename(&mut self, server: &str) {
        server.clone_into(&mut self.server);
    }

    /// The number of the next event that somebody hears: goes on over a reload.
    #[must_use]
    pub fn next_serial(&self) -> u64 {
        self.next_serial
    }

    /// All pools in creation order.
    pub fn pools(&self) -> impl Iterator<Item = PoolView<'_>> {
        self.pools.values().map(PoolView::new)
    }

    /// Whether an event for this pool waits, or is in a listener's hand, and there is a listener that may take it.
    #[must_use]
    pub fn is_expected(&self, pool: &str) -> bool {
        let Some(pool) = self.pools.get(pool) else { return false };
        pool.is_listening() && (pool.is_busy() || self.witness.holds(|event| pool.wants(event)))
    }

    /// How many bytes of a listener's standard output were heard: the place of the next one. `None` if the child is none of
    /// a listener.
    #[must_use]
    pub fn heard(&self, child: u64) -> Option<u64> {
        let members = self.pools.values().flat_map(|pool| &pool.members);
        members.flat_map(|member| &member.children).find(|known| known.child == child).map(|known| known.heard)
    }

    /// What changed since the last call, for the journal.
    pub fn take_records(&mut self) -> Vec<Record> {
        let mut records: Vec<Record> = self.removed.drain(..).map(|pool| Record(Kind::Removed(pool))).collect();
        for pool in self.pools.values_mut() {
            for entry in std::mem::take(&mut pool.fresh) {
                records.push(Record(Kind::Event(EventRecord::new(&pool.name, &entry))));
            }
            if std::mem::take(&mut pool.dirty) {
                records.push(Record(Kind::Pool(PoolRecord::new(pool))));
            }
        }
        let daemon = self.daemon_record();
        if daemon != self.journaled {
            self.journaled = daemon.clone();
            records.push(Record(Kind::Daemon(daemon)));
        }
        records
    }

    /// Everything, for a journal that begins. [`Events::take_records`] goes on from here.
    pub fn records(&mut self) -> Vec<Record> {
        self.take_records();
        let mut records = VecDeque::from([Record(Kind::Daemon(self.daemon_record()))]);
        for pool in self.pools.values() {
            record::whole(pool, &mut records);
        }
        records.into()
    }

    fn daemon_record(&self) -> DaemonRecord {
        let held = self.witness.held().to_vec();
        DaemonRecord { next_serial: self.next_serial, ticks: self.ticks.clone(), held }
    }

    fn add(&mut self, group: &GroupSpec) {
        self.groups.insert(group.name.clone());
        if let Some(spec) = &group.pool {
            self.pools.insert(group.name.clone(), Pool::new(group, spec));
        }
        self.witness.add(group);
    }

    fn reshape(&mut self, now: Now, group: &GroupSpec, effects: &mut Vec<Effect>) {
        let Events { server, pools, .. } = self;
        if let Some((pool, spec)) = pools.get_mut(&group.name).zip(group.pool.as_ref()) {
            pool.change(group, spec, &mut Context { now: now.mono, server, effects });
        }
        self.witness.change(group);
    }

    fn change(&mut self, now: Now, event: &Event, effects: &mut Vec<Effect>) {
        let notification = Notification::of(event);
        match event {
            Event::ProcessState { process, to, .. } => {
                for pool in self.pools.values_mut() {
                    pool.set_running(now.mono, *process, *to == ProcessState::Running);
                }
                if let Some(notification) = self.witness.tell_or_hold(now.mono, event, notification) {
                    self.announce(now, notification, effects);
                }
            }
            Event::GroupRemoved { group } => {
                self.groups.remove(group);
                for held in self.witness.remove(group) {
                    self.announce(now, held, effects);
                }
                if let Some(mut pool) = self.pools.shift_remove(group) {
                    effects.extend(pool.tell_drops().map(Effect::Log));
                    self.removed.push(group.clone());
                }
                self.announce(now, notification, effects);
            }
            Event::GroupAdded { .. } | Event::SupervisorRunning | Event::SupervisorStopping => {
                self.announce(now, notification, effects);
            }
        }
    }

    fn output(&mut self, now: Now, child: u64, channel: Channel, at: u64, bytes: &[u8], effects: &mut Vec<Effect>) {
        let Events { server, pools, .. } = self;
        if channel == Channel::Stdout
            && let Some(pool) = pools.values_mut().find(|pool| pool.has(child))
        {
            pool.hear(child, at, bytes, &mut Context { now: now.mono, server, effects });
            return;
        }
        let event = match channel {
            Channel::Stdout => EventType::ProcessLogStdout,
            Channel::Stderr => EventType::ProcessLogStderr,
        };
        if let Some((writer, output)) = self.witness.writer(child, channel)
            && output.log
            && self.is_wanted(event)
            && !bytes.is_empty()
        {
            let notification = Notification::log(writer, channel, bytes);
            self.announce(now, notification, effects);
        }
    }

    fn captured(&mut self, now: Now, child: u64, channel: Channel, bytes: &[u8], effects: &mut Vec<Effect>) {
        let Some((writer, output)) = self.witness.writer(child, channel) else { return };
        if output.capture {
            let process = writer.name.to_owned();
            let notification = Notification::communication(writer, channel, bytes);
            self.announce(now, notification, effects);
            effects.push(Effect::Log(Line::Communicated { process, channel }));
        }
    }

    /// The end is announced before the event in the child's hand comes back, as in Supervisor.
    fn gone(&mut self, now: Now, child: u64, effects: &mut Vec<Effect>) {
        self.witness.gone(child);
        self.release(now, effects);
        self.each_pool(now, effects, |pool, cx| pool.gone(child, cx));
    }

    fn resume(&mut self, now: Now, children: &BTreeSet<u64>, effects: &mut Vec<Effect>) {
        self.resuming = false;
        self.witness.retain(children);
        self.release(now, effects);
        self.each_pool(now, effects, |pool, cx| {
            let gone: Vec<u64> = pool.children().filter(|child| !children.contains(child)).collect();
            for child in gone {
                pool.gone(child, cx);
            }
            pool.doubt(cx);
        });
    }

    fn halt(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for held in self.witness.release_all() {
            self.announce(now, held, effects);
        }
        effects.extend(self.pools.values_mut().filter_map(Pool::tell_drops).map(Effect::Log));
    }

    fn release(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for held in self.witness.release(now.mono) {
            self.announce(now, held, effects);
        }
    }

    /// Tells the pools that asked for it. An event that nobody asked for has no number.
    fn announce(&mut self, now: Now, notification: Notification, effects: &mut Vec<Effect>) {
        if !self.is_wanted(notification.event) {
            return;
        }
        let serial = self.next_serial;
        self.next_serial = pool::after(serial);
        let notification = Arc::new(notification);
        self.each_pool(now, effects, |pool, cx| {
            if pool.wants(notification.event) {
                pool.accept(serial, &notification, cx);
            }
        });
    }

    fn is_wanted(&self, event: EventType) -> bool {
        self.pools.values().any(|pool| pool.wants(event))
    }

    fn each_pool(&mut self, now: Now, effects: &mut Vec<Effect>, mut act: impl FnMut(&mut Pool, &mut Context<'_>)) {
        let Events { server, pools, .. } = self;
        let mut cx = Context { now: now.mono, server, effects };
        for pool in pools.values_mut() {
            act(pool, &mut cx);
        }
    }

    /// What follows every input: announcements that waited long enough, events for listeners that are ready, summaries.
    fn settle(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Events { pools, ticks, .. } = self;
        ticks.watch(now, |event| pools.values().any(|pool| pool.wants(event)));
        if !self.resuming {
            self.release(now, effects);
            self.each_pool(now, effects, Pool::dispatch);
            self.each_pool(now, effects, Pool::renew_late);
        }
        for pool in self.pools.values_mut() {
            effects.extend(pool.sum_up(now.mono).map(Effect::Log));
        }
        let summaries = self.pools.values().filter_map(|pool| pool.overflow.deadline());
        let answers = self.pools.values().filter_map(Pool::deadline);
        let others = [self.ticks.deadline(now), self.witness.deadline()];
        self.deadline = summaries.chain(answers).chain(others.into_iter().flatten()).min();
    }
}
