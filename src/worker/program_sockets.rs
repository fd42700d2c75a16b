//! Which processes share which listening socket, from the first one's start to the last one's end.
//!
//! The keeper holds each socket as well, so neither it nor the connections that wait in it are lost with a worker.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use super::program_socket;
use super::worker::Worker;
use crate::config::{GroupConfig, SocketConfig};
use crate::engine::{Effect, LogLevel, LogLine, ProcessId, SpawnError};
use crate::keeper::ToKeeper;
use crate::logs::{Level, log};

/// The keeper holds a program's socket under this and its address.
pub(super) const HELD_PREFIX: &str = "socket:";

/// A socket from the moment somebody wants it. Side threads that want the same one wait for the first of them, which
/// makes it.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedSocket(Arc<OnceLock<Result<OwnedFd, String>>>);

impl SharedSocket {
    /// Makes the socket unless it is there. Blocks: not for the control loop.
    pub(super) fn make(&self, config: &SocketConfig) -> Result<(), SpawnError> {
        let made = self.0.get_or_init(|| program_socket::create(config));
        made.as_ref().map(drop).map_err(|text| SpawnError::Failed(text.clone()))
    }

    fn copy(&self) -> Option<OwnedFd> {
        self.0.get()?.as_ref().ok()?.as_fd().try_clone_to_owned().ok()
    }
}

#[derive(Debug, Default)]
struct Slot {
    socket: SharedSocket,
    users: BTreeSet<ProcessId>,
    /// The keeper has it.
    is_held: bool,
}

/// All sockets of programs, by address.
#[derive(Debug, Default)]
pub(super) struct ProgramSockets {
    slots: BTreeMap<String, Slot>,
}

impl ProgramSockets {
    /// Those that the keeper holds for a worker that ended unexpectedly.
    pub(super) fn take_from(held: &mut BTreeMap<String, OwnedFd>) -> ProgramSockets {
        let mut sockets = ProgramSockets::default();
        let names: Vec<String> = held.keys().filter(|name| name.starts_with(HELD_PREFIX)).cloned().collect();
        for name in names {
            let Some((url, descriptor)) = name.strip_prefix(HELD_PREFIX).zip(held.remove(&name)) else { continue };
            let socket = SharedSocket(Arc::new(OnceLock::from(Ok(descriptor))));
            sockets.slots.insert(url.to_owned(), Slot { socket, users: BTreeSet::new(), is_held: true });
        }
        sockets
    }

    /// A process is about to be started with this socket.
    fn enter(&mut self, process: ProcessId, url: &str) -> SharedSocket {
        let slot = self.slots.entry(url.to_owned()).or_default();
        slot.users.insert(process);
        slot.socket.clone()
    }

    /// A process ended. Its socket is closed if it was the last: then this is its address, and whether the keeper
    /// has it.
    fn leave(&mut self, process: ProcessId) -> Option<(String, bool)> {
        let (url, slot) = self.slots.iter_mut().find(|(_, slot)| slot.users.contains(&process))?;
        slot.users.remove(&process);
        if !slot.users.is_empty() {
            return None;
        }
        let url = url.clone();
        let slot = self.slots.remove(&url)?;
        // One that could not be made, or is being made for a start that nobody waits for any more, was never open.
        matches!(slot.socket.0.get(), Some(Ok(_))).then_some((url, slot.is_held))
    }

    /// The address and a descriptor of a process's socket; the truth is whether the keeper has it already.
    fn descriptor(&mut self, process: ProcessId) -> Option<(&str, OwnedFd, &mut bool)> {
        let (url, slot) = self.slots.iter_mut().find(|(_, slot)| slot.users.contains(&process))?;
        Some((url, slot.socket.copy()?, &mut slot.is_held))
    }

    fn unused(&self) -> Vec<String> {
        self.slots.iter().filter(|(_, slot)| slot.users.is_empty()).map(|(url, _)| url.clone()).collect()
    }

    pub(super) fn urls(&self) -> BTreeSet<String> {
        self.slots.keys().cloned().collect()
    }
}

impl Worker {
    /// The socket for a process that is to be started, if it wants one.
    pub(super) fn enter_socket(&mut self, process: ProcessId) -> Option<SharedSocket> {
        let url = self.process_config(process)?.socket.as_ref()?.url.clone();
        Some(self.sockets.enter(process, &url))
    }

    /// The process ended or did not start. Supervisor's line comes after what is said about that, and before the next
    /// start makes a new socket.
    pub(super) fn leave_socket(&mut self, process: ProcessId) {
        let Some((url, is_held)) = self.sockets.leave(process) else { return };
        if is_held {
            self.tell_keeper(&ToKeeper::Release { name: format!("{HELD_PREFIX}{url}") });
        }
        let line = LogLine { level: LogLevel::Info, text: program_socket::closing(&url) };
        let is_next = |effect: &Effect| matches!(effect, Effect::Spawn { process: next, .. } if *next == process);
        let place = self.effects.iter().position(is_next).unwrap_or(self.effects.len());
        self.effects.insert(place, Effect::Log(line));
    }

    /// What becomes the standard input of a process that is sent to the keeper, which is to hold it as well.
    ///
    /// # Errors
    /// The socket is not there (descriptors ran out), or the keeper is gone.
    pub(super) fn socket_for(&mut self, process: ProcessId) -> Result<Option<OwnedFd>, SpawnError> {
        if self.process_config(process).is_none_or(|config| config.socket.is_none()) {
            return Ok(None);
        }
        let failed = || SpawnError::Failed("its socket cannot be handed to the keeper".to_owned());
        let (url, socket, is_held) = self.sockets.descriptor(process).ok_or_else(failed)?;
        if !*is_held {
            let copy = socket.try_clone().map_err(|_| failed())?;
            let hold = ToKeeper::Hold { name: format!("{HELD_PREFIX}{url}") };
            self.keeper.send(&hold, vec![copy]).map_err(|_| failed())?;
            *is_held = true;
        }
        Ok(Some(socket))
    }

    /// At the beginning: sockets that were held and whose processes have all ended are closed, others wait for theirs to
    /// be started.
    pub(super) fn close_unused_sockets(&mut self) {
        let starting = self.effects.iter().filter_map(|effect| match effect {
            Effect::Spawn { process, .. } => Some(*process),
            _ => None,
        });
        for process in starting.collect::<Vec<_>>() {
            self.enter_socket(process);
        }
        for url in self.sockets.unused() {
            self.sockets.slots.remove(&url);
            self.tell_keeper(&ToKeeper::Release { name: format!("{HELD_PREFIX}{url}") });
            log(Level::Info, &program_socket::closing(&url));
        }
    }
}

/// Tests the sockets of a group that is to be made, except those that are open for another one.
///
/// # Errors
/// As for [`program_socket::create`].
pub(super) fn test_sockets(group: &GroupConfig, open: &BTreeSet<String>) -> Result<(), String> {
    sockets_of(group).into_iter().filter(|socket| !open.contains(&socket.url)).try_for_each(program_socket::test)
}

/// Each socket of a group once.
pub(super) fn sockets_of(group: &GroupConfig) -> Vec<&SocketConfig> {
    let mut found: Vec<&SocketConfig> = Vec::new();
    for socket in group.processes.iter().filter_map(|process| process.socket.as_ref()) {
        if !found.iter().any(|known| known.url == socket.url) {
            found.push(socket);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::sample;

    fn config(folder: &tempfile::TempDir) -> SocketConfig {
        let url = format!("unix://{}", folder.path().join("s").display());
        SocketConfig { url, backlog: None, owner: None, mode: None }
    }

    #[test]
    fn a_socket_lives_from_its_first_user_to_its_last() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let mut sockets = ProgramSockets::default();
        let (a, b) = (ProcessId(1), ProcessId(2));
        sockets.enter(a, &config.url).make(&config).unwrap();
        let inode = || {
            std::fs::metadata(folder.path().join("s"))
                .map(|status| std::os::unix::fs::MetadataExt::ino(&status))
                .unwrap()
        };
        let first = inode();
        sockets.enter(b, &config.url).make(&config).unwrap();
        assert_eq!(inode(), first, "made once");
        assert!(sockets.descriptor(a).is_some() && sockets.descriptor(ProcessId(3)).is_none());
        assert_eq!(sockets.leave(a), None);
        assert_eq!(sockets.leave(a), None, "who left has left");
        assert_eq!(sockets.leave(b), Some((config.url.clone(), false)));
        assert!(sockets.urls().is_empty());
    }

    #[test]
    fn a_socket_that_could_not_be_made_is_tried_again_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        std::fs::write(folder.path().join("s"), "").unwrap();
        let mut sockets = ProgramSockets::default();
        let process = ProcessId(1);
        assert!(sockets.enter(process, &config.url).make(&config).is_err());
        assert!(sockets.descriptor(process).is_none());
        assert_eq!(sockets.leave(process), None, "it was never open");
        std::fs::remove_file(folder.path().join("s")).unwrap();
        sockets.enter(process, &config.url).make(&config).unwrap();
        assert!(sockets.descriptor(process).is_some());
    }

    #[test]
    fn members_of_groups_have_the_socket_of_their_section() {
        let config = sample::config(
            "[fcgi-program:f]\ncommand=f\nsocket=unix:///tmp/f-%(program_name)s\nnumprocs=2\n\
             process_name=f%(process_num)d\n[program:p]\ncommand=p\n[group:g]\nprograms=p,f\n",
        );
        let group = config.groups.first().unwrap();
        let urls: Vec<_> = sockets_of(group).iter().map(|socket| socket.url.as_str()).collect();
        assert_eq!(urls, ["unix:///tmp/f-f"]);
        assert_eq!(group.processes.iter().filter(|process| process.socket.is_some()).count(), 2);
    }
}
