//! A pool: the events that wait, the listeners that take them, and who has which in hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::envelope::{LengthUnit, Serials, envelope};
use super::event::EventType;
use super::input::Effect;
use super::line::Line;
use super::listener::{Heard, Listener, ListenerState};
use super::overflow::Overflow;
use super::payload::Notification;
use super::queue::{Entry, Queue};
use super::spec::{GroupSpec, MemberSpec, PoolSpec};
use crate::engine::{Moment, ProcessId};

/// One `[eventlistener:x]`.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) events: Vec<EventType>,
    pub(super) length: LengthUnit,
    pub(super) next_serial: u64,
    pub(super) queue: Queue,
    /// In the order in which they are offered events.
    pub(super) members: Vec<Member>,
    pub(super) overflow: Overflow,
    /// Results that were OK, ever.
    pub(super) processed: u64,
    /// Events that came back, ever, whatever the reason.
    pub(super) requeued: u64,
    /// How long a listener may owe an answer; `None`: for ever.
    pub(super) answer_timeout: Option<Duration>,
    /// Listeners that were started anew because they owed one for longer, ever.
    pub(super) renewed: u64,
    /// Something changed that a successor must know.
    pub(super) dirty: bool,
    /// Accepted, and not yet told to the journal.
    pub(super) fresh: Vec<Entry>,
}

/// One process of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) process: ProcessId,
    pub(super) name: String,
    /// Only a process in state RUNNING is offered events.
    pub(super) running: bool,
    /// Its children: usually one, two while the output of an ended one is still read.
    pub(super) children: Vec<ListenerChild>,
}

impl Member {
    /// Without a child.
    fn new(spec: &MemberSpec) -> Member {
        Member { process: spec.process, name: spec.name.clone(), running: false, children: Vec::new() }
    }
}

/// One child of a listener process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListenerChild {
    pub(super) child: u64,
    pub(super) listener: Listener,
    /// The event it is busy with.
    pub(super) in_hand: Option<InHand>,
    /// How many bytes of its output were heard.
    pub(super) heard: u64,
    /// Its standard input is closed: it is READY for ever and gets nothing.
    pub(super) deaf: bool,
    /// Since when it is not READY, or deaf. `None` also once its restart was asked for.
    pub(super) owes_since: Option<Moment>,
}

impl ListenerChild {
    /// It came to another state at `now`.
    fn owes(&mut self, now: Moment) {
        let is_free = self.listener.state() == ListenerState::Ready && !self.deaf;
        self.owes_since = (!is_free).then_some(now);
    }
}

/// An event that was given to a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InHand {
    pub(super) entry: Entry,
    /// The worker has answered for the write.
    pub(super) written: bool,
}

/// What a pool needs to act.
pub(super) struct Context<'a> {
    pub(super) now: Moment,
    /// The daemon's identifier.
    pub(super) server: &'a str,
    pub(super) effects: &'a mut Vec<Effect>,
}

impl Context<'_> {
    fn log(&mut self, line: Line) {
        self.effects.push(Effect::Log(line));
    }
}

impl Pool {
    pub(super) fn new(group: &GroupSpec, pool: &PoolSpec) -> Pool {
        let members = group.members.iter().map(Member::new);
        Pool {
            name: group.name.clone(),
            events: pool.events.clone(),
            length: pool.length,
            next_serial: 0,
            queue: Queue::new(pool.buffer_size),
            members: members.collect(),
            overflow: Overflow::default(),
            processed: 0,
            requeued: 0,
            answer_timeout: pool.answer_timeout,
            renewed: 0,
            dirty: true,
            fresh: Vec::new(),
        }
    }

    /// Has other settings, or other members. Who is no member any more and lives is heard to its end.
    pub(super) fn change(&mut self, group: &GroupSpec, spec: &PoolSpec, cx: &mut Context<'_>) {
        for dropped in self.queue.resize(spec.buffer_size) {
            self.dropped(Some(&dropped), cx);
        }
        self.events.clone_from(&spec.events);
        self.length = spec.length;
        self.answer_timeout = spec.answer_timeout;
        let known = std::mem::take(&mut self.members);
        let (kept, gone): (Vec<Member>, Vec<Member>) =
            known.into_iter().partition(|member| group.members.iter().any(|spec| spec.process == member.process));
        let mut kept: BTreeMap<ProcessId, Member> = kept.into_iter().map(|member| (member.process, member)).collect();
        let members = group.members.iter().map(|spec| kept.remove(&spec.process).unwrap_or_else(|| Member::new(spec)));
        self.members = members.collect();
        self.members.extend(gone.into_iter().filter(|member| !member.children.is_empty()));
        self.dirty = true;
    }

    /// Whether it asked for events of this concrete type.
    pub(super) fn wants(&self, event: EventType) -> bool {
        self.events.iter().any(|wanted| wanted.includes(event))
    }

    /// Queues a new event. `serial` is the daemon's number for it.
    pub(super) fn accept(&mut self, serial: u64, notification: &Arc<Notification>, cx: &mut Context<'_>) {
        let serials = Serials { serial, pool_serial: self.next_serial };
        self.next_serial = after(self.next_serial);
        let entry = Entry { serials, notification: Arc::clone(notification) };
        self.fresh.push(entry.clone());
        let dropped = self.queue.append(entry);
        self.dropped(dropped.as_ref(), cx);
        self.dirty = true;
    }

    fn dropped(&mut self, dropped: Option<&Entry>, cx: &mut Context<'_>) {
        if let Some(Entry { serials, .. }) = dropped
            && let Some(line) = self.overflow.dropped(cx.now, &self.name, serials.serial)
        {
            cx.log(line);
        }
    }

    /// The summary of drops, if it is due.
    pub(super) fn sum_up(&mut self, now: Moment) -> Option<Line> {
        let line = self.overflow.sum_up(now, &self.name);
        self.dirty |= line.is_some();
        line
    }

    /// The summary of drops, due or not.
    pub(super) fn tell_drops(&mut self) -> Option<Line> {
        let line = self.overflow.tell(&self.name);
        self.dirty |= line.is_some();
        line
    }

    /// An event comes back: to this pool only, before all that wait.
    fn requeue(&mut self, entry: Entry, cx: &mut Context<'_>) {
        self.log_requeued(entry.serials.serial, self.queue.len(), cx);
        self.requeued = self.requeued.saturating_add(1);
        let dropped = self.queue.put_back(entry);
        self.dropped(dropped.as_ref(), cx);
    }

    fn log_requeued(&self, serial: u64, waiting: usize, cx: &mut Context<'_>) {
        let buffer_size = self.queue.entries_max();
        cx.log(Line::Requeued { serial, pool: self.name.clone(), waiting, buffer_size });
    }

    /// A process of the pool entered or left RUNNING.
    pub(super) fn set_running(&mut self, now: Moment, process: ProcessId, running: bool) {
        for member in self.members.iter_mut().filter(|member| member.process == process) {
            self.dirty |= member.running != running;
            member.running = running;
            // Until then it need not have said anything.
            if let Some(newest) = member.children.last_mut().filter(|_| running) {
                newest.owes(now);
            }
        }
    }

    /// A process of the pool has a child.
    pub(super) fn born(&mut self, process: ProcessId, child: u64) {
        let Some(member) = self.members.iter_mut().find(|member| member.process == process) else { return };
        if member.children.iter().all(|known| known.child != child) {
            member.children.push(ListenerChild {
                child,
                listener: Listener::new(),
                in_hand: None,
                heard: 0,
                deaf: false,
                owes_since: None,
            });
            self.dirty = true;
        }
    }

    fn find(&mut self, child: u64) -> Option<(&str, &mut ListenerChild)> {
        self.members.iter_mut().find_map(|member| {
            let found = member.children.iter_mut().find(|known| known.child == child)?;
            Some((member.name.as_str(), found))
        })
    }

    /// Whether the child is one of a listener of this pool.
    pub(super) fn has(&self, child: u64) -> bool {
        self.members.iter().any(|member| member.children.iter().any(|known| known.child == child))
    }

    /// A child of the pool wrote to its standard output.
    pub(super) fn hear(&mut self, child: u64, at: u64, bytes: &[u8], cx: &mut Context<'_>) {
        let Some((name, found)) = self.find(child) else { return };
        let name = name.to_owned();
        if at > found.heard {
            cx.log(Line::Missing { listener: name.clone(), bytes: at - found.heard });
            found.heard = at;
        }
        let known = usize::try_from(found.heard - at).unwrap_or(usize::MAX);
        let Some(news) = bytes.get(known..).filter(|news| !news.is_empty()) else { return };
        found.heard = found.heard.saturating_add(news.len() as u64);
        cx.log(Line::Output { listener: name.clone(), bytes: news.to_vec() });
        let all_heard = found.listener.hear(news);
        if !all_heard.is_empty() {
            found.owes(cx.now);
        }
        for heard in all_heard {
            self.understand(child, &name, heard, cx);
        }
        self.dirty = true;
    }

    fn understand(&mut self, child: u64, name: &str, heard: Heard, cx: &mut Context<'_>) {
        use ListenerState::{Acknowledged, Busy, Ready, Unknown};
        let listener = || name.to_owned();
        let moved = |from, to| Line::Moved { listener: listener(), from, to };
        match heard {
            Heard::Ready => cx.log(moved(Acknowledged, Ready)),
            Heard::Violation { from } => {
                cx.log(moved(from, Unknown));
                cx.log(Line::Lost { listener: listener() });
            }
            Heard::Processed => {
                cx.log(Line::Processed { listener: listener() });
                cx.log(moved(Busy, Acknowledged));
                self.processed = self.processed.saturating_add(1);
                drop(self.take_from(child));
            }
            Heard::Rejected => {
                cx.log(Line::Rejected { listener: listener() });
                cx.log(moved(Busy, Acknowledged));
                self.take_back(child, cx);
            }
            Heard::BadResult(line) => {
                cx.log(Line::BadResult { listener: listener(), line });
                cx.log(moved(Busy, Unknown));
                cx.log(Line::Lost { listener: listener() });
                self.take_back(child, cx);
            }
        }
    }

    fn take_from(&mut self, child: u64) -> Option<InHand> {
        self.find(child)?.1.in_hand.take()
    }

    fn take_back(&mut self, child: u64, cx: &mut Context<'_>) {
        if let Some(in_hand) = self.take_from(child) {
            self.requeue(in_hand.entry, cx);
        }
    }

    /// A child is gone with all it had to say; the event it was busy with comes back.
    pub(super) fn gone(&mut self, child: u64, cx: &mut Context<'_>) {
        if !self.has(child) {
            return;
        }
        self.take_back(child, cx);
        for member in &mut self.members {
            member.children.retain(|known| known.child != child);
        }
        self.dirty = true;
    }

    /// The event of this serial is on its way to the child.
    pub(super) fn written(&mut self, child: u64, serial: u64) {
        if let Some((_, found)) = self.find(child)
            && let Some(in_hand) = &mut found.in_hand
            && in_hand.entry.serials.serial == serial
        {
            in_hand.written = true;
            self.dirty = true;
        }
    }

    /// The event of this serial cannot be given to the child, which gets no others either.
    pub(super) fn not_written(&mut self, child: u64, serial: u64, cx: &mut Context<'_>) {
        let Some((name, found)) = self.find(child) else { return };
        found.deaf = true;
        found.owes_since = Some(cx.now);
        let listener = name.to_owned();
        if let Some(in_hand) = found.in_hand.take_if(|in_hand| in_hand.entry.serials.serial == serial) {
            found.listener.unsent();
            cx.log(Line::NotSent { serial, listener });
            self.requeue(in_hand.entry, cx);
        }
        self.dirty = true;
    }

    /// Gives out events, oldest first, while there is a listener for one.
    pub(super) fn dispatch(&mut self, cx: &mut Context<'_>) {
        let mut sent = false;
        while self.queue.len() > 0
            && let Some((process, name, found)) = ready(&mut self.members)
            && let Some(entry) = self.queue.take()
        {
            let serial = entry.serials.serial;
            let bytes = envelope(cx.server, &self.name, entry.serials, self.length, &entry.notification);
            let (child, listener) = (found.child, name.to_owned());
            found.listener.sent();
            found.owes(cx.now);
            found.in_hand = Some(InHand { entry, written: false });
            cx.effects.push(Effect::Write { process, child, serial, bytes });
            cx.log(Line::Sent { serial, listener });
            sent = true;
            self.dirty = true;
        }
        // Supervisor takes the next one out, finds nobody, and says that it puts it back.
        if sent && let Some(next) = self.queue.oldest() {
            self.log_requeued(next.serials.serial, self.queue.len() - 1, cx);
        }
    }

    /// When the next listener has owed an answer for too long; `None` while none owes one, or there is no limit.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let timeout = self.answer_timeout?;
        let newest = self.members.iter().filter(|member| member.running).filter_map(|member| member.children.last());
        newest.filter_map(|child| Some(child.owes_since? + timeout)).min()
    }

    /// Asks for the restart of listeners that have owed an answer for too long.
    pub(super) fn renew_late(&mut self, cx: &mut Context<'_>) {
        let Some(timeout) = self.answer_timeout else { return };
        for member in self.members.iter_mut().filter(|member| member.running) {
            let Some(newest) = member.children.last_mut() else { continue };
            let Some(since) = newest.owes_since.take_if(|since| cx.now >= *since + timeout) else { continue };
            let (listener, state) = (member.name.clone(), newest.listener.state());
            let serial = newest.in_hand.as_ref().map(|in_hand| in_hand.entry.serials.serial);
            cx.log(Line::Late { listener, state, serial, seconds: cx.now.since(since).as_secs() });
            cx.effects.push(Effect::Renew { process: member.process, child: newest.child });
            self.renewed = self.renewed.saturating_add(1);
            self.dirty = true;
        }
    }

    /// What a predecessor gave out without knowing how it went is taken as sent.
    pub(super) fn doubt(&mut self, cx: &mut Context<'_>) {
        for member in &mut self.members {
            for InHand { entry, written } in member.children.iter_mut().filter_map(|known| known.in_hand.as_mut()) {
                if !*written {
                    *written = true;
                    self.dirty = true;
                    cx.log(Line::Doubtful { serial: entry.serials.serial, listener: member.name.clone() });
                }
            }
        }
    }

    /// Whether any of its processes takes events, at once or when it has answered.
    pub(super) fn is_listening(&self) -> bool {
        let newest = self.members.iter().filter(|member| member.running).filter_map(|member| member.children.last());
        newest.into_iter().any(|child| !child.deaf && child.listener.state() != ListenerState::Unknown)
    }

    /// Whether events wait, or are in a living listener's hand.
    pub(super) fn is_busy(&self) -> bool {
        let newest = self.members.iter().filter_map(|member| member.children.last());
        self.queue.len() > 0 || newest.into_iter().any(|child| child.in_hand.is_some())
    }

    /// The children it knows.
    pub(super) fn children(&self) -> impl Iterator<Item = u64> {
        self.members.iter().flat_map(|member| member.children.iter().map(|known| known.child))
    }
}

/// The first listener that can take an event. Of a process with two children only the newer one is alive.
fn ready(members: &mut [Member]) -> Option<(ProcessId, &str, &mut ListenerChild)> {
    members.iter_mut().filter(|member| member.running).find_map(|member| {
        let newest = member.children.last_mut()?;
        let can = newest.listener.state() == ListenerState::Ready && !newest.deaf;
        can.then_some((member.process, member.name.as_str(), newest))
    })
}

/// The serial after this one. Source: Supervisor 4.3.0, process.py, `new_serial`: it starts anew after the largest native
/// integer.
pub(super) fn after(serial: u64) -> u64 {
    if serial >= i64::MAX as u64 { 0 } else { serial + 1 }
}
