//! Between the events room and the world: output becomes inputs, events become bytes for listeners.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use super::children::StdinError;
use super::ear::{ProgramEar, Said, TapRecord};
use super::logfiles::channel_config;
use super::outbox::{Outbox, Sent};
use super::tap::{Found, Tap, TapMemory};
use super::taps::{Ear, Ready, Tapped};
use super::worker::{Worker, now};
use crate::config::{GroupKind, LogLevelName};
use crate::engine::{self, Channel, ProcessId};
use crate::events::{Effect, GroupSpec, Input, Line, Severity};
use crate::keeper::ToKeeper;
use crate::logs::{Command, Level, SourceId, log};

/// How the names begin under which the keeper holds what we need of listeners and of programs that events tell of.
const HELD_PREFIX: &str = "events:";

/// The name under which the keeper holds the number of the next event, over a reload.
pub(super) const SERIAL_HELD_NAME: &str = "events:serial";

/// An event that was decided on.
pub(super) struct Outgoing {
    process: ProcessId,
    child: u64,
    serial: u64,
    /// Whether it lies in the outbox.
    ready: bool,
}

impl Worker {
    /// Hands one input to the events room; its effects are performed by [`Worker::settle`].
    pub(super) fn hear(&mut self, input: Input) {
        self.events.handle(now(), input, &mut self.event_effects);
    }

    /// Tells the events room what the engine decided.
    pub(super) fn announce(&mut self, effect: &engine::Effect) {
        match effect {
            engine::Effect::GroupAdded { group } => {
                if let Some(spec) = self.group_spec(group) {
                    self.hear(Input::Group(spec));
                }
            }
            // For listeners the name goes on being what it is.
            engine::Effect::Event(engine::Event::ProcessState { beside: true, .. }) => {}
            engine::Effect::Event(event) => self.hear(Input::State(event.clone())),
            _ => {}
        }
    }

    /// Tells the events room of groups that were changed while they are active.
    pub(super) fn follow_groups(&mut self) {
        let specs: Vec<GroupSpec> = self.active.keys().filter_map(|group| self.group_spec(group)).collect();
        for spec in specs {
            self.hear(Input::Changed(spec));
        }
    }

    pub(super) fn group_spec(&self, group: &str) -> Option<GroupSpec> {
        let config = self.active.get(group)?;
        Some(GroupSpec::of(config, |name| self.engine.find(group, name)))
    }

    /// At the daemon's end: listeners that have heard everything may be stopped.
    pub(super) fn release_pools(&mut self) {
        while let Some(group) = self.engine.awaited().filter(|group| !self.events.is_expected(group)) {
            let group = group.to_owned();
            self.feed(engine::Input::Quiet { group });
            self.settle();
        }
    }

    /// Puts events into the outboxes of their listeners, from where a successor could send them, and writes log lines.
    pub(super) fn prepare_events(&mut self) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        for effect in std::mem::take(&mut self.event_effects) {
            match effect {
                Effect::Log(line) => self.log_event_line(&line),
                Effect::Renew { process, child } => self.renew(process, child),
                Effect::Write { process, child, serial, bytes } => {
                    let outbox = self.children.outbox(child);
                    let ready = outbox.is_some_and(|outbox| outbox.append(&bytes).is_ok());
                    outgoing.push(Outgoing { process, child, serial, ready });
                }
            }
        }
        outgoing
    }

    /// Another child for a listener whose present one does not answer.
    fn renew(&mut self, process: ProcessId, child: u64) {
        if let Some(pid) = self.children.get(child).map(|child| child.pid) {
            self.feed(engine::Input::Renew { process, pid });
        }
    }

    /// Sends what is journalled.
    pub(super) fn send_events(&mut self, outgoing: Vec<Outgoing>) {
        for Outgoing { process, child, serial, ready } in outgoing {
            if ready {
                self.send_event(child, serial);
            } else {
                let name = self.bare_name(process);
                log(Level::Warn, &format!("{name}: event {serial} cannot be sent, no memory or no standard input"));
                self.hear(Input::NotWritten { child, serial });
            }
        }
    }

    fn send_event(&mut self, child: u64, serial: u64) {
        let Some(outbox) = self.children.outbox(child) else { return };
        let sent = outbox.send();
        let waits = match sent {
            Sent::Part => self.taps.await_stdin(child, serial, outbox.pipe()),
            Sent::All | Sent::Closed => {
                self.taps.forget_stdin(child, outbox.pipe());
                Ok(())
            }
        };
        match (sent, waits) {
            (Sent::Closed, _) | (_, Err(_)) => self.hear(Input::NotWritten { child, serial }),
            (Sent::All | Sent::Part, Ok(())) => self.hear(Input::Written { child, serial }),
        }
    }

    /// `sendProcessStdin` to a listener whose pipe was full: the rest follows.
    pub(super) fn write_stdin(&mut self, id: u64, bytes: &[u8]) -> Result<(), StdinError> {
        let child = self.children.get_mut(id).ok_or(StdinError::Closed)?;
        child.write(bytes)?;
        if let Some(outbox) = self.children.outbox(id)
            && outbox.waiting().unwrap_or(0) > 0
        {
            self.taps.await_stdin(id, u64::MAX, outbox.pipe()).map_err(|_| StdinError::Full)?;
        }
        Ok(())
    }

    /// Something that was waited for has come.
    pub(super) fn on_ready(&mut self, ready: Vec<Ready>) {
        for ready in ready {
            match ready {
                Ready::Tap(source) => self.pump(source),
                Ready::Stdin(child) => {
                    let Some(outbox) = self.children.outbox(child) else { continue };
                    if let Some(serial) = self.taps.forget_stdin(child, outbox.pipe()) {
                        self.send_event(child, serial);
                    }
                }
            }
        }
    }

    /// Takes a channel in hand: through a tap if events depend on it, else straight to the log plane.
    pub(super) fn attach(&mut self, source: SourceId, process: ProcessId, pipe: OwnedFd) {
        let mut sink = self.sink(process, source.channel);
        let mut onward = pipe;
        if let Some(ear) = self.ear(process, source.channel) {
            if matches!(ear, Ear::Listener) {
                // The events room logs what listeners say.
                sink.copy = false;
            }
            onward = match self.tap(source, onward, ear) {
                Ok(onward) => onward,
                Err((pipe, error)) => {
                    let name = self.bare_name(process);
                    let channel = source.channel.name();
                    let text =
                        format!("no events can be made of {name}'s {channel}, its output is only logged: {error}");
                    log(Level::Critical, &text);
                    pipe
                }
            };
        }
        self.plane.send(Command::Attach { source, pipe: onward, sink });
        self.pump(source);
    }

    fn ear(&self, process: ProcessId, channel: Channel) -> Option<Ear> {
        let view = self.engine.process(process)?;
        let group = self.active.get(view.group)?;
        let config = group.processes.iter().find(|config| config.name == view.name)?;
        if channel == Channel::Stdout && matches!(group.kind, GroupKind::EventListener { .. }) {
            return Some(Ear::Listener);
        }
        ProgramEar::of(channel_config(config, channel)).map(Ear::Program)
    }

    /// Gives the pipe for the log plane, or the child's back.
    fn tap(&mut self, source: SourceId, pipe: OwnedFd, mut ear: Ear) -> Result<OwnedFd, (OwnedFd, io::Error)> {
        let record = self.tap_records.remove(&source);
        let heard = match &ear {
            Ear::Listener => self.events.heard(source.child).unwrap_or(0),
            Ear::Program(_) => record.as_ref().map_or(0, |record| record.heard),
        };
        let (memory, onward) = match self.tap_memory(source, heard) {
            Ok(memory) => memory,
            Err(error) => return Err((pipe, error)),
        };
        let spare = match pipe.try_clone() {
            Ok(spare) => spare,
            Err(error) => return Err((pipe, error)),
        };
        let tap = Tap::new(pipe, memory, heard).map_err(|error| (spare, error))?;
        if let (Ear::Program(ear), Some(record)) = (&mut ear, record) {
            ear.resume(record, self.config.daemon.strip_ansi, |from, to| tap.reread(from, to));
        }
        self.taps.insert(source, tap, ear);
        Ok(onward)
    }

    /// A predecessor's, or new memory that the keeper holds from now on; and another descriptor of the pipe onward.
    fn tap_memory(&mut self, source: SourceId, heard: u64) -> io::Result<(TapMemory, OwnedFd)> {
        let [intake_name, onward_name] = tap_names(source);
        let left = self.held.remove(&intake_name).zip(self.held.remove(&onward_name));
        let memory = if let Some((intake, onward)) = left {
            self.remembered.extend([intake_name, onward_name]);
            TapMemory { intake, onward }
        } else {
            let memory = TapMemory::create(heard)?;
            self.hold(intake_name, memory.intake.try_clone()?)?;
            self.hold(onward_name, memory.onward.try_clone()?)?;
            memory
        };
        let onward = memory.onward.try_clone()?;
        Ok((memory, onward))
    }

    fn hold(&mut self, name: String, descriptor: OwnedFd) -> io::Result<()> {
        let message = ToKeeper::Hold { name: name.clone() };
        self.keeper.send(&message, vec![descriptor]).map_err(io::Error::other)?;
        self.remembered.insert(name);
        Ok(())
    }

    /// A listener's standard input goes through an outbox that outlives us.
    pub(super) fn outbox(
        &mut self,
        id: u64,
        process: ProcessId,
        pipe: OwnedFd,
    ) -> Result<Outbox, (OwnedFd, io::Error)> {
        let name = outbox_name(id);
        if let Some(file) = self.held.remove(&name) {
            self.remembered.insert(name);
            return Ok(Outbox::new(pipe, file));
        }
        let made = Outbox::file().and_then(|file| Ok((file.try_clone()?, file)));
        match made.and_then(|(copy, file)| self.hold(name, copy).map(|()| file)) {
            Ok(file) => Ok(Outbox::new(pipe, file)),
            Err(error) => {
                let name = self.bare_name(process);
                log(Level::Critical, &format!("{name} cannot be told events: {error}"));
                Err((pipe, error))
            }
        }
    }

    /// Whether a process listens to events.
    pub(super) fn is_listener(&self, process: ProcessId) -> bool {
        let group = self.engine.process(process).and_then(|view| self.active.get(view.group));
        group.is_some_and(|group| matches!(group.kind, GroupKind::EventListener { .. }))
    }

    /// Hears what a pipe has: a piece if its child lives, all that is left if it is reaped.
    fn pump(&mut self, source: SourceId) {
        while let Some(tapped) = self.taps.get_mut(source) {
            match tapped.take() {
                Found::Bytes { at, bytes } => {
                    self.heard(source, at, &bytes);
                    if !self.children.is_reaped(source.child) {
                        break;
                    }
                }
                Found::Drained => return self.tap_drained(source),
                Found::Failed(errno) => {
                    let (child, channel) = (source.child, source.channel.name());
                    let name = self.children.get(child).map(|child| self.bare_name(child.process)).unwrap_or_default();
                    log(Level::Critical, &format!("{name}'s {channel} cannot be read any more ({errno}); restart it"));
                }
                Found::Nothing | Found::Blocked => break,
            }
        }
        if let Err(error) = self.taps.arm(source) {
            log(Level::Critical, &format!("output of child {} cannot be waited for: {error}", source.child));
        }
    }

    fn heard(&mut self, source: SourceId, at: u64, bytes: &[u8]) {
        let strip = self.config.daemon.strip_ansi;
        let Some(Tapped { tap, ear, .. }) = self.taps.get_mut(source) else { return };
        let said = match ear {
            Ear::Listener => {
                tap.forward(bytes);
                None
            }
            Ear::Program(ear) => Some(ear.hear(tap.heard(), bytes, strip)),
        };
        self.taps.changed(source);
        match said {
            None => {
                let (child, channel, bytes) = (source.child, source.channel, bytes.to_vec());
                self.hear(Input::Output { child, channel, at, bytes });
            }
            Some(said) => self.say(source, said),
        }
    }

    fn say(&mut self, source: SourceId, said: Vec<Said>) {
        let (child, channel) = (source.child, source.channel);
        for said in said {
            match said {
                Said::Text(text) => self.taps.get_mut(source).into_iter().for_each(|tapped| tapped.tap.forward(&text)),
                Said::Output(bytes) => self.hear(Input::Output { child, channel, at: 0, bytes }),
                Said::Captured(bytes) => self.hear(Input::Captured { child, channel, bytes }),
            }
        }
    }

    /// The child is reaped: its last bytes are heard, then the log plane has its last bytes.
    pub(super) fn drain_channel(&mut self, source: SourceId) {
        match self.taps.get_mut(source) {
            None => self.plane.send(Command::Drain { source }),
            Some(tapped) => {
                tapped.tap.drain();
                self.pump(source);
            }
        }
    }

    fn tap_drained(&mut self, source: SourceId) {
        let strip = self.config.daemon.strip_ansi;
        let said = match self.taps.get_mut(source).map(|tapped| &mut tapped.ear) {
            Some(Ear::Program(ear)) => ear.finish(strip),
            Some(Ear::Listener) | None => Vec::new(),
        };
        self.say(source, said);
        if let Some(tapped) = self.taps.get_mut(source)
            && tapped.tap.awaits() == super::tap::Awaited::Room
        {
            // What the capture buffer gave back is more than fits: not drained yet.
            let _armed = self.taps.arm(source);
            return;
        }
        self.taps.remove(source);
        self.plane.send(Command::Drain { source });
        self.told_and_silent(source.child);
    }

    /// A child is gone for the events room when its end was announced and all it said was heard.
    pub(super) fn told_and_silent(&mut self, child: u64) {
        if self.children.is_told(child) && !self.taps.has_child(child) {
            self.gone.push(child);
        }
    }

    /// The keeper need not hold a child's memory any longer.
    pub(super) fn release_memory(&mut self, child: u64) {
        let names =
            [Channel::Stdout, Channel::Stderr].into_iter().flat_map(|channel| tap_names(SourceId { child, channel }));
        for name in names.chain([outbox_name(child)]) {
            if self.remembered.remove(&name) {
                self.tell_keeper(&ToKeeper::Release { name });
            }
        }
    }

    /// What a predecessor left and nobody took in hand.
    pub(super) fn release_leftovers(&mut self) {
        // Of children that are gone: later ones may get their ids.
        self.tap_records.clear();
        for name in std::mem::take(&mut self.held).into_keys().filter(|name| name.starts_with(HELD_PREFIX)) {
            self.tell_keeper(&ToKeeper::Release { name });
        }
    }

    /// After a take-over: what left the outboxes has been sent, what did not and should is sent now.
    pub(super) fn resume_events(&mut self) {
        let busy: BTreeMap<ProcessId, u64> = self
            .events
            .pools()
            .flat_map(|pool| pool.listeners)
            .filter_map(|listener| Some((listener.process, listener.busy_with?)))
            .collect();
        let children = self.children.ids();
        for &child in &children {
            let Some(process) = self.children.get(child).map(|child| child.process) else { continue };
            let is_newest = self.children.of_process(process).is_some_and(|(newest, _)| newest == child);
            let Some(outbox) = self.children.outbox(child) else { continue };
            match busy.get(&process).filter(|_| is_newest) {
                Some(&serial) => self.send_event(child, serial),
                None => {
                    let _forgotten = outbox.forget();
                }
            }
        }
        self.hear(Input::Resume { children });
    }

    fn log_event_line(&self, line: &Line) {
        if let Some(pool) = line.overflowing() {
            self.record_trouble(pool, "events are discarded: more wait than buffer_size");
        }
        let (level, name) = match line.severity() {
            Severity::Error => (Level::Error, LogLevelName::Error),
            Severity::Warn => (Level::Warn, LogLevelName::Warn),
            Severity::Debug => (Level::Debug, LogLevelName::Debug),
        };
        // Most are for debugging only, and long.
        if self.config.daemon.loglevel >= name {
            log(level, &line.to_string());
        }
    }
}

/// Names under which the keeper holds a tap's intake and its pipe onward.
fn tap_names(source: SourceId) -> [String; 2] {
    let (child, channel) = (source.child, source.channel.name());
    [format!("{HELD_PREFIX}intake:{child}:{channel}"), format!("{HELD_PREFIX}onward:{child}:{channel}")]
}

fn outbox_name(child: u64) -> String {
    format!("{HELD_PREFIX}outbox:{child}")
}

/// The latest record of each tap.
pub(super) fn latest(records: Vec<TapRecord>) -> BTreeMap<SourceId, TapRecord> {
    records.into_iter().map(|record| (record.source(), record)).collect()
}
