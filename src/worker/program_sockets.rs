//! Which processes share which listening socket, from the first one's start to the last one's end.
//!
//! The keeper holds each socket as well, so neither it nor the connections that wait in it are lost with a worker.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::missing_sockets::{self, FileIdentity, Followed, SocketFileWatch};
use super::program_socket;
use super::worker::Worker;
use crate::config::{GroupConfig, Passing, SocketConfig};
use crate::engine::{Effect, LogLevel, LogLine, Moment, ProcessId, SpawnError};
use crate::keeper::ToKeeper;
use crate::logs::{Level, log};

/// The keeper holds a program's socket under this and its address.
pub(super) const HELD_PREFIX: &str = "socket:";

/// A socket from the moment somebody wants it. Side threads that want the same one wait for the first of them, which
/// makes it, or finds that the one that was open before is still what is wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedSocket {
    former: Option<Arc<OwnedFd>>,
    made: Arc<OnceLock<Result<Arc<OwnedFd>, String>>>,
    /// Its file as it was then.
    file: Arc<OnceLock<FileIdentity>>,
}

impl SharedSocket {
    /// One that is open.
    fn of(socket: OwnedFd) -> SharedSocket {
        SharedSocket { made: Arc::new(OnceLock::from(Ok(Arc::new(socket)))), ..SharedSocket::default() }
    }

    /// The same, to be looked at again before it is used.
    fn renewed(&self) -> SharedSocket {
        SharedSocket { former: self.open(), ..SharedSocket::default() }
    }

    /// Makes the socket unless it is there. Blocks: not for the control loop.
    pub(super) fn make(&self, config: &SocketConfig) -> Result<(), SpawnError> {
        let made = self.made.get_or_init(|| {
            let former = self.former.as_ref();
            let made = match former.filter(|former| program_socket::renew(config, former)) {
                Some(former) => Arc::clone(former),
                None => Arc::new(program_socket::create(config)?),
            };
            let file = config.url.strip_prefix("unix://").map(Path::new);
            if let Some(identity) = file.and_then(missing_sockets::identity) {
                // Nobody else makes it.
                let _ = self.file.set(identity);
            }
            Ok(made)
        });
        made.as_ref().map(drop).map_err(|text| SpawnError::Failed(text.clone()))
    }

    fn open(&self) -> Option<Arc<OwnedFd>> {
        match self.made.get() {
            Some(made) => made.as_ref().ok().cloned(),
            None => self.former.clone(),
        }
    }

    fn copy(&self) -> Option<OwnedFd> {
        self.made.get()?.as_ref().ok()?.as_fd().try_clone_to_owned().ok()
    }
}

#[derive(Debug, Default)]
struct Slot {
    socket: SharedSocket,
    users: BTreeSet<ProcessId>,
    /// The keeper has it, and its file is watched.
    is_held: bool,
    /// Which one it is of all that are made or looked at again.
    number: u64,
    /// Since when its file is not there.
    missing: Option<Moment>,
}

/// All sockets of programs, by address.
#[derive(Debug, Default)]
pub(super) struct ProgramSockets {
    slots: BTreeMap<String, Slot>,
    next_number: u64,
    watch: SocketFileWatch,
    /// Others than those whose files are watched.
    are_others: bool,
}

impl ProgramSockets {
    /// Those that the keeper holds for a worker that ended unexpectedly.
    pub(super) fn take_from(held: &mut BTreeMap<String, OwnedFd>) -> ProgramSockets {
        let mut sockets = ProgramSockets::default();
        let names: Vec<String> = held.keys().filter(|name| name.starts_with(HELD_PREFIX)).cloned().collect();
        for name in names {
            let Some((url, descriptor)) = name.strip_prefix(HELD_PREFIX).zip(held.remove(&name)) else { continue };
            let socket = SharedSocket::of(descriptor);
            sockets.slots.insert(url.to_owned(), Slot { socket, is_held: true, ..Slot::default() });
            sockets.are_others = true;
        }
        sockets
    }

    /// A process is about to be started with this socket. One that was kept without a user may have lost its file
    /// meanwhile, or be wanted otherwise: it is looked at again.
    fn enter(&mut self, process: ProcessId, socket: &SocketConfig) -> SharedSocket {
        let slot = self.slots.entry(socket.url.clone()).or_default();
        if slot.users.is_empty() && socket.passing == Passing::Listen {
            *slot = Slot { socket: slot.socket.renewed(), ..Slot::default() };
            self.are_others = true;
        }
        slot.users.insert(process);
        slot.socket.clone()
    }

    /// A process that was started by a predecessor has this socket.
    fn enter_again(&mut self, process: ProcessId, socket: &SocketConfig) {
        self.slots.entry(socket.url.clone()).or_default().users.insert(process);
    }

    /// A process ended. Its socket is closed if it was the last and the socket is not to be kept: then this is its address,
    /// and whether the keeper has it.
    fn leave(&mut self, process: ProcessId, is_kept: impl FnOnce(&str) -> bool) -> Option<(String, bool)> {
        let (url, slot) = self.slots.iter_mut().find(|(_, slot)| slot.users.contains(&process))?;
        slot.users.remove(&process);
        // One that could not be made, or is being made for a start that nobody waits for any more, was never open.
        let is_open = slot.socket.open().is_some();
        if !slot.users.is_empty() || (is_open && is_kept(url)) {
            return None;
        }
        let url = url.clone();
        let slot = self.slots.remove(&url)?;
        self.are_others = true;
        is_open.then_some((url, slot.is_held))
    }

    /// The address and a descriptor of a process's socket; the truth is whether the keeper has it already.
    fn descriptor(&self, process: ProcessId) -> Option<(&str, OwnedFd, bool)> {
        let (url, slot) = self.slots.iter().find(|(_, slot)| slot.users.contains(&process))?;
        Some((url, slot.socket.copy()?, slot.is_held))
    }

    /// The keeper has this process's socket from now on.
    fn hold(&mut self, process: ProcessId) {
        self.next_number += 1;
        self.are_others = true;
        if let Some(slot) = self.slots.values_mut().find(|slot| slot.users.contains(&process)) {
            slot.is_held = true;
            slot.number = self.next_number;
        }
    }

    /// Those that have a file.
    fn followed(&self) -> Vec<Followed> {
        let held = self.slots.iter().filter(|(_, slot)| slot.is_held);
        held.filter_map(|(url, slot)| Followed::of(url, slot.number, slot.socket.file.get().copied())).collect()
    }

    /// The file of a socket is gone since then, or there again: true if that is news, and the socket still that one.
    pub(super) fn set_missing(&mut self, url: &str, number: u64, since: Option<Moment>) -> bool {
        let slot = self.slots.get_mut(url).filter(|slot| slot.number == number && slot.is_held);
        slot.is_some_and(|slot| std::mem::replace(&mut slot.missing, since).is_some() != since.is_some())
    }

    /// The address of a process's socket, and since when its file is not there.
    pub(super) fn missing(&self, process: ProcessId) -> Option<(&str, Moment)> {
        let (url, slot) = self.slots.iter().find(|(_, slot)| slot.users.contains(&process))?;
        Some((url, slot.missing?))
    }

    /// Who has it.
    pub(super) fn users(&self, url: &str) -> impl Iterator<Item = ProcessId> {
        self.slots.get(url).into_iter().flat_map(|slot| slot.users.iter().copied())
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
        let socket = self.process_config(process)?.socket.clone()?;
        Some(self.sockets.enter(process, &socket))
    }

    /// A process of a predecessor goes on with the socket that it has.
    pub(super) fn enter_socket_again(&mut self, process: ProcessId) {
        let socket = self.process_config(process).and_then(|config| config.socket.clone());
        if let Some(socket) = socket {
            self.sockets.enter_again(process, &socket);
        }
    }

    /// The process ended or did not start. Supervisor's line comes after what is said about that, and before the next
    /// start makes a new socket.
    pub(super) fn leave_socket(&mut self, process: ProcessId) {
        let active = &self.active;
        let is_kept = |url: &str| kept_urls(active.values()).contains(url);
        let Some((url, is_held)) = self.sockets.leave(process, is_kept) else { return };
        if is_held {
            self.tell_keeper(&ToKeeper::Release { name: format!("{HELD_PREFIX}{url}") });
        }
        let line = LogLine { level: LogLevel::Info, text: program_socket::closing(&url), history: None };
        let is_next = |effect: &Effect| matches!(effect, Effect::Spawn { process: next, .. } if *next == process);
        let place = self.effects.iter().position(is_next).unwrap_or(self.effects.len());
        self.effects.insert(place, Effect::Log(line));
    }

    /// The listening socket of a process that is sent to the keeper, which is to hold it as well.
    ///
    /// # Errors
    /// The socket is not there (descriptors ran out), or the keeper is gone.
    pub(super) fn socket_for(&mut self, process: ProcessId) -> Result<Option<OwnedFd>, SpawnError> {
        if self.process_config(process).is_none_or(|config| config.socket.is_none()) {
            return Ok(None);
        }
        let failed = || SpawnError::Failed("its socket cannot be handed to the keeper".to_owned());
        let (url, socket, is_held) = self.sockets.descriptor(process).ok_or_else(failed)?;
        if !is_held {
            let copy = socket.try_clone().map_err(|_| failed())?;
            let hold = ToKeeper::Hold { name: format!("{HELD_PREFIX}{url}") };
            self.keeper.send(&hold, vec![copy]).map_err(|_| failed())?;
            self.sockets.hold(process);
        }
        Ok(Some(socket))
    }

    /// Has the files of the present sockets watched, and no others.
    pub(super) fn watch_socket_files(&mut self) {
        if std::mem::take(&mut self.sockets.are_others) {
            let followed = self.sockets.followed();
            self.sockets.watch.follow(followed, &self.done_sender);
        }
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
        self.close_abandoned_sockets();
    }

    /// Sockets that no process has and no active program keeps are closed.
    pub(super) fn close_abandoned_sockets(&mut self) {
        let unused = self.sockets.unused();
        if unused.is_empty() {
            return;
        }
        let kept = kept_urls(self.active.values());
        for url in unused {
            if kept.contains(&url) {
                continue;
            }
            self.sockets.slots.remove(&url);
            self.sockets.are_others = true;
            self.tell_keeper(&ToKeeper::Release { name: format!("{HELD_PREFIX}{url}") });
            log(Level::Info, &program_socket::closing(&url));
        }
    }
}

/// The addresses of those that the keeper holds.
pub(super) fn held_urls(held: &BTreeMap<String, OwnedFd>) -> BTreeSet<String> {
    held.keys().filter_map(|name| name.strip_prefix(HELD_PREFIX)).map(str::to_owned).collect()
}

/// The addresses of sockets that stay open as long as these groups are active.
pub(super) fn kept_urls<'a>(groups: impl Iterator<Item = &'a GroupConfig>) -> BTreeSet<String> {
    let sockets = groups.flat_map(|group| group.processes.iter().filter_map(|process| process.socket.as_ref()));
    sockets.filter(|socket| socket.passing == Passing::Listen).map(|socket| socket.url.clone()).collect()
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
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::worker::sample;

    fn config(folder: &tempfile::TempDir) -> SocketConfig {
        let url = format!("unix://{}", folder.path().join("s").display());
        SocketConfig { url, backlog: None, owner: None, mode: None, passing: Passing::Stdin }
    }

    #[test]
    fn a_socket_lives_from_its_first_user_to_its_last() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let mut sockets = ProgramSockets::default();
        let (a, b) = (ProcessId(1), ProcessId(2));
        sockets.enter(a, &config).make(&config).unwrap();
        let inode = || {
            std::fs::metadata(folder.path().join("s"))
                .map(|status| std::os::unix::fs::MetadataExt::ino(&status))
                .unwrap()
        };
        let first = inode();
        sockets.enter(b, &config).make(&config).unwrap();
        assert_eq!(inode(), first, "made once");
        assert!(sockets.descriptor(a).is_some() && sockets.descriptor(ProcessId(3)).is_none());
        assert_eq!(sockets.leave(a, |_| false), None);
        assert_eq!(sockets.leave(a, |_| false), None, "who left has left");
        assert_eq!(sockets.leave(b, |_| false), Some((config.url.clone(), false)));
        assert!(sockets.urls().is_empty());
    }

    #[test]
    fn a_socket_that_is_kept_outlives_its_users_and_is_made_anew_when_its_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let config = SocketConfig { passing: Passing::Listen, mode: Some(0o600), ..config(&folder) };
        let file = folder.path().join("s");
        let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap());
        let mut sockets = ProgramSockets::default();
        let process = ProcessId(1);
        let mut run = |config: &SocketConfig| {
            sockets.enter(process, config).make(config).unwrap();
            assert!(sockets.descriptor(process).is_some());
            assert_eq!(sockets.leave(process, |url| url == config.url), None);
            assert_eq!(sockets.unused(), std::slice::from_ref(&config.url));
            UnixStream::connect(&file).unwrap();
            inode()
        };
        let first = run(&config);
        assert_eq!(run(&config), first, "the same");
        // Kept, so that its number is not given to the next one.
        std::fs::hard_link(&file, folder.path().join("kept")).unwrap();
        std::fs::remove_file(&file).unwrap();
        let second = run(&config);
        assert_ne!(second, first);
        std::fs::hard_link(&file, folder.path().join("kept too")).unwrap();
        let other = SocketConfig { mode: Some(0o660), ..config.clone() };
        assert_ne!(run(&other), second, "wanted otherwise");
        // Cancelled before it was looked at again, it is still open.
        sockets.enter(process, &other);
        assert_eq!(sockets.leave(process, |_| true), None);
        assert_eq!(sockets.unused().len(), 1);
        sockets.enter(process, &other);
        assert_eq!(sockets.leave(process, |_| false), Some((other.url, false)));
    }

    #[test]
    fn a_socket_that_could_not_be_made_is_tried_again_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        std::fs::write(folder.path().join("s"), "").unwrap();
        let mut sockets = ProgramSockets::default();
        let process = ProcessId(1);
        assert!(sockets.enter(process, &config).make(&config).is_err());
        assert!(sockets.descriptor(process).is_none());
        assert_eq!(sockets.leave(process, |_| true), None, "it was never open");
        std::fs::remove_file(folder.path().join("s")).unwrap();
        sockets.enter(process, &config).make(&config).unwrap();
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
