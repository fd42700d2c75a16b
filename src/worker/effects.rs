//! Performing what the engine asks for.

use super::scarcity;
use super::spawning::{Prepared, Provision, Surroundings, Wanted};
use super::worker::{Waiting, Worker, now};
use crate::config::ReadyCheck;
use crate::engine::{Answer, Effect, Input, Kill, LogLevel, LogLine, ProcessId, ProcessState, SpawnError};
use crate::keeper::ToKeeper;
use crate::logs::{Level, log};

impl Worker {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { process, attempt } => self.spawn(process, attempt),
            Effect::Kill { process, kill } => self.kill(process, kill),
            Effect::Log(line) => self.write(&line),
            // The keeper may have died before it did what the client would be told is done: he asks the next worker.
            Effect::Answer { .. } if self.keeper.is_gone() => {}
            Effect::Answer { id, answer } => {
                if let Some(waiting) = self.waiting.remove(&id) {
                    self.grow();
                    reply(waiting, answer);
                } else {
                    self.operation_answered(id, &answer);
                }
            }
            Effect::Sweep { process, pid, signal, insist_at } => self.sweep(process, pid, signal, insist_at),
            Effect::Halted { mood } => self.halted = Some(mood),
            Effect::GroupChanged { .. } | Effect::GroupRemoved { .. } => self.close_abandoned_sockets(),
            // `restructure` followed the groups, the events room was told in `announce`.
            Effect::GroupAdded { .. } | Effect::Event(_) => {}
        }
    }

    /// Follows the engine's set of groups; before the journal is written, which tells a successor of both.
    pub(super) fn restructure(&mut self, effect: &Effect) {
        match effect {
            Effect::GroupAdded { .. } => self.restructured = true,
            Effect::GroupChanged { settled, removed, .. } => {
                for process in settled.iter().chain(removed) {
                    self.leaving.remove(process);
                }
                for process in removed {
                    self.morgue.forget(*process);
                }
                self.restructured = true;
            }
            Effect::GroupRemoved { group, processes } => {
                for process in processes {
                    self.leaving.remove(process);
                    self.morgue.forget(*process);
                }
                self.restructured = true;
                if self.engine.group(group).is_some() {
                    // An update has made it anew already; what is active is the new one.
                    return;
                }
                if self.pending.is_none() {
                    self.pending = Some(self.active.values().cloned().collect());
                }
                self.active.shift_remove(group);
            }
            _ => {}
        }
    }

    fn spawn(&mut self, process: ProcessId, attempt: u32) {
        if let Some(error) = self.twin_among_children(process) {
            self.feed(Input::SpawnFailed { process, error });
            return;
        }
        let socket = self.enter_socket(process);
        self.spawns.push(Wanted { process, attempt }, socket);
        self.prepare_spawns();
    }

    /// Has as many spawns prepared as may be at once.
    fn prepare_spawns(&mut self) {
        while let Some(wanted) = self.spawns.begin(now().mono) {
            let process = wanted.process;
            let group = self.engine.process(process).map(|view| view.group.to_owned());
            let Some((group, config)) = group.zip(self.process_config(process).cloned()) else {
                let text = format!("bug: no configuration for process {}", process.0);
                self.spawns.prepared(wanted, Err(SpawnError::Failed(text)));
                continue;
            };
            let is_telling = matches!(config.extras.ready.as_ref().map(|ready| &ready.check), Some(ReadyCheck::Log(_)));
            let logs = if is_telling { self.telling_logs(process) } else { Vec::new() };
            let surroundings = Surroundings { heritage: self.heritage.clone(), room: self.room(wanted), logs };
            self.spawns.prepare(wanted, group, config, surroundings);
        }
    }

    /// Sends to the keeper what is prepared, and has others prepared in its place.
    pub(super) fn send_spawns(&mut self) {
        self.prepare_spawns();
        while let Some((wanted, prepared)) = self.spawns.pop(now().mono) {
            self.prepare_spawns();
            let sent = self.send_spawn(wanted, prepared);
            // Whoever takes over from a keeper that is gone finds in the journal what was wanted.
            if let Err(error) = sent.or_else(|error| if self.keeper.is_gone() { Ok(()) } else { Err(error) }) {
                self.spawn_failed(wanted.process, error);
            }
        }
    }

    pub(super) fn spawn_failed(&mut self, process: ProcessId, error: SpawnError) {
        let attempt = self.engine.process(process).map(|view| view.attempt);
        let room = attempt.and_then(|attempt| self.cgroup(process, attempt));
        self.feed(Input::SpawnFailed { process, error });
        self.leave_socket(process);
        if let Some(room) = room {
            self.linger(room);
        }
    }

    fn send_spawn(&mut self, wanted: Wanted, prepared: Prepared) -> Result<(), SpawnError> {
        let Provision { plan, door, tracks, sums } = prepared?;
        let name = self.bare_name(wanted.process);
        if !self.has_descriptors_for_another() {
            return Err(scarcity::no_descriptors(&name, self.descriptors_needed()));
        }
        let failed = |error: std::io::Error| {
            let text = format!("cannot hand '{name}' to the keeper: {error}");
            let starved = error.raw_os_error().is_some_and(scarcity::is_starved);
            if starved { SpawnError::Starved(text) } else { SpawnError::Failed(text) }
        };
        self.keep_tracks(wanted, tracks).map_err(failed)?;
        let mut carried = vec![plan.encode().map_err(failed)?];
        carried.extend(self.socket_for(wanted.process)?);
        carried.extend(door);
        let id = self.next_child;
        self.next_child += 1;
        let tag = wanted.to_string();
        self.keeper
            .send(&ToKeeper::Spawn { id, tag }, carried)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        self.spawning.insert(id, wanted.process);
        self.seed_origin(wanted, sums);
        Ok(())
    }

    fn kill(&mut self, process: ProcessId, kill: Kill) {
        let Some((id, child)) = self.children.of_process(process) else { return };
        if child.pid != kill.pid {
            return;
        }
        if self.children.is_reaped(id) {
            // As if the keeper had found nobody; the exit is about to be told.
            self.feed(Input::Signalled { process, pid: kill.pid, signal: kill.signal });
            return;
        }
        let is_stop = self.engine.process(process).is_some_and(|view| view.state == ProcessState::Stopping);
        if is_stop && kill.signal != libc::SIGKILL && Worker::is_stopped(kill.pid) {
            // It acts on the stop signal, which comes next, only when it goes on. If this fails, so does that.
            let _sent =
                self.keeper.send(&ToKeeper::Signal { id, signal: libc::SIGCONT, group: kill.group }, Vec::new());
        }
        self.children.note_signal(id, kill.signal);
        let message = ToKeeper::Signal { id, signal: kill.signal, group: kill.group };
        if let Err(error) = self.keeper.send(&message, Vec::new())
            && !self.keeper.is_gone()
        {
            let text = format!("cannot ask the keeper to signal pid {}: {error}", kill.pid);
            self.feed(Input::KillFailed { process, pid: kill.pid, signal: kill.signal, text });
        }
    }
}

impl Worker {
    fn write(&self, line: &LogLine) {
        let level = match line.level {
            LogLevel::Critical => Level::Critical,
            LogLevel::Warn => Level::Warn,
            LogLevel::Info => Level::Info,
            LogLevel::Debug => Level::Debug,
        };
        log(level, &line.text);
        if let Some(view) = line.history.and_then(|process| self.engine.process(process)) {
            self.record_operation(&view.namespec(), &line.text);
        }
    }
}

fn reply(waiting: Waiting, answer: Answer) {
    let value = super::answers::value(&waiting.shape, answer);
    waiting.reply.send(value);
}
