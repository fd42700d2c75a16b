//! Puts a control socket's file back when something has deleted it: cleaners of temporary directories do.
//!
//! What is watched is the file itself and the directories above it, not what else happens in them, so nobody is woken
//! by others' files. Only while the file is missing, the nearest directory that is there is watched for new names.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::ending::FAREWELL_MAX;
use super::startup::listener_name;
use super::twiddling::interfaces;
use super::worker::{Done, Worker};
use crate::config::{ServerConfig, UnixServer};
use crate::http::{self, BoundListener, SocketFile};
use crate::logs::{Level, log};
use crate::sys::side;

/// After a file was put back or could not be, so that neither something that deletes it in a loop costs much, nor a
/// directory in which much happens.
const PAUSE: Duration = Duration::from_millis(100);

/// Listeners whose file is gone serve on for those who have the file elsewhere (a bind mount); so many of them at most,
/// since something may delete the file every day.
const FORMER_MAX: usize = 4;

/// Looks are repeated at once while what is seen changes, but not for ever: the next event comes.
const LOOKS_MAX: usize = 8;

/// The task that watches. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct SocketWatch {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// One socket.
struct Watched {
    server: UnixServer,
    /// The file that was ours last.
    file: Option<SocketFile>,
    /// What was said last about why it cannot be put back.
    complaint: Option<String>,
}

/// What becomes of a socket whose file was put back.
pub(super) struct Restored {
    server: ServerConfig,
    listener: BoundListener,
}

impl SocketWatch {
    /// Watches these sockets, each with its file; `None` if there are none, or the kernel has no watch left.
    pub(super) fn start(
        sockets: Vec<(UnixServer, Option<SocketFile>)>,
        done: mpsc::UnboundedSender<Done>,
    ) -> Option<SocketWatch> {
        if sockets.is_empty() {
            return None;
        }
        let watched = sockets.into_iter().map(|(server, file)| Watched { server, file, complaint: None }).collect();
        match instance() {
            Ok((inotify, events)) => {
                let (stop, stopped) = oneshot::channel();
                let task = tokio::spawn(watch(watched, Arc::new(inotify), events, done, stopped));
                Some(SocketWatch { stop, task })
            }
            Err(error) => {
                log(Level::Info, &format!("a socket file that is deleted will not be put back: no watch ({error})"));
                None
            }
        }
    }
}

fn instance() -> io::Result<(Inotify, pipe::Receiver)> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    // What the events say does not matter, and a pipe's reading end is what tokio has for a descriptor that is read.
    let events = pipe::Receiver::from_owned_fd_unchecked(inotify.as_fd().try_clone_to_owned()?)?;
    Ok((inotify, events))
}

async fn watch(
    mut watched: Vec<Watched>,
    inotify: Arc<Inotify>,
    events: pipe::Receiver,
    done: mpsc::UnboundedSender<Done>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let notifier = Arc::clone(&inotify);
        let look = side::run(move || {
            let restored = look(&mut watched, &notifier);
            let all_there = watched.iter().all(Watched::is_there);
            (watched, restored, all_there)
        });
        let Ok((back, restored, all_there)) = look.await else { return };
        watched = back;
        let pause = if restored.is_empty() && all_there { Duration::ZERO } else { PAUSE };
        for one in restored {
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::SocketBack(Box::new(one)));
        }
        tokio::select! {
            _ = &mut stopped => return,
            () = async { tokio::time::sleep(pause).await; happened(&events).await } => {}
        }
    }
}

/// Waits for events and takes all that there are.
async fn happened(events: &pipe::Receiver) {
    let mut scratch = [0; 4096];
    let mut seen = false;
    while !seen {
        if events.readable().await.is_err() {
            // The runtime is ending.
            return std::future::pending().await;
        }
        while events.try_read(&mut scratch).is_ok() {
            seen = true;
        }
    }
}

/// Watches what there is, and puts back what is missing. Blocks.
fn look(watched: &mut [Watched], inotify: &Inotify) -> Vec<Restored> {
    let mut restored = Vec::new();
    for _ in 0..LOOKS_MAX {
        // First the watches, then the look: what happens after it is an event.
        let has_changed = arm(watched, inotify);
        let missing = watched.iter_mut().filter(|one| !one.is_there());
        let before = restored.len();
        restored.extend(missing.filter_map(Watched::restore));
        if restored.len() == before && !has_changed {
            break;
        }
    }
    restored
}

impl Watched {
    fn is_there(&self) -> bool {
        self.file.as_ref().is_some_and(SocketFile::is_there)
    }

    fn restore(&mut self) -> Option<Restored> {
        let server = ServerConfig::Unix(self.server.clone());
        let shown = self.server.file.display();
        match http::bind(&server) {
            Ok(listener) => {
                log(Level::Warn, &format!("the socket file {shown} had been deleted and was put back"));
                if let BoundListener::Unix(unix) = &listener {
                    self.file = unix.socket_file();
                }
                self.complaint = None;
                Some(Restored { server, listener })
            }
            Err(error) => {
                let reason = if fs::symlink_metadata(&self.server.file).is_ok() {
                    "is not ours any more"
                } else {
                    "was deleted"
                };
                let who = http::who_listens(&server).map_or_else(String::new, |who| format!("; {who}"));
                let text = format!("the socket file {shown} {reason} and cannot be put back: {error}{who}");
                if self.complaint.as_ref() != Some(&text) {
                    log(Level::Warn, &format!("{text}; it is tried again when something changes there"));
                    self.complaint = Some(text);
                }
                None
            }
        }
    }
}

/// Adds the watches. Whether a directory has come between the search for the nearest one and its watch: then there is
/// more to see.
fn arm(watched: &[Watched], inotify: &Inotify) -> bool {
    // The watches of one directory replace each other, so each gets all that is wanted of it.
    let mut wanted: BTreeMap<PathBuf, AddWatchFlags> = BTreeMap::new();
    let moved = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_DELETE_SELF;
    let named = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
    let mut nearest_of = Vec::new();
    for one in watched {
        let file = &one.server.file;
        // A link that is gone is an attribute that changed; what lies there instead may go as well.
        let flags = AddWatchFlags::IN_ATTRIB | moved | AddWatchFlags::IN_DONT_FOLLOW;
        // Where there is nothing, there is nothing to watch.
        let _ = inotify.add_watch(file.as_path(), flags);
        for directory in directories(file) {
            wanted.entry(directory).or_insert(moved);
        }
        if !one.is_there()
            && let Some(nearest) = directories(file).next()
        {
            wanted.entry(nearest.clone()).and_modify(|flags| *flags |= named);
            nearest_of.push((file, nearest));
        }
    }
    for (directory, flags) in wanted {
        // One that has gone meanwhile is noticed below.
        let _ = inotify.add_watch(directory.as_path(), flags | AddWatchFlags::IN_ONLYDIR);
    }
    nearest_of.into_iter().any(|(file, nearest)| directories(file).next() != Some(nearest))
}

/// The directories above a file that are there, the nearest first, by the names they have without links: one has one
/// watch, whatever it is called.
fn directories(file: &Path) -> impl Iterator<Item = PathBuf> {
    file.ancestors().skip(1).filter_map(|directory| fs::canonicalize(directory).ok())
}

impl Worker {
    /// Serves the socket at its new file, and goes on serving those who know the former one.
    pub(super) fn serve_again(&mut self, restored: Restored) {
        let Restored { server, listener } = restored;
        let name = listener_name(&server);
        let Some(place) = self.config.servers.iter().position(|known| listener_name(known) == name) else { return };
        if let BoundListener::Unix(unix) = &listener {
            self.socket_files.retain(|file| file.path() != unix.file);
            self.socket_files.extend(unix.socket_file());
        }
        match listener.try_clone() {
            Ok(copy) => self.tell_keeper_to_hold(&name, copy),
            Err(error) => log(Level::Warn, &format!("the keeper cannot hold {name}: {error}")),
        }
        let interfaces = Arc::new(interfaces(&self.config));
        match http::serve(listener, &server, self.request_sender.clone(), interfaces) {
            Ok(endpoint) => {
                if let Some(known) = self.endpoints.get_mut(place) {
                    self.former_endpoints.push_back(std::mem::replace(known, endpoint));
                }
            }
            Err(error) => log(Level::Warn, &format!("cannot serve {name}: {error}")),
        }
        while self.former_endpoints.len() > FORMER_MAX
            && let Some(oldest) = self.former_endpoints.pop_front()
        {
            tokio::spawn(oldest.close(FAREWELL_MAX));
        }
    }

    /// Before the files are removed for good. What was put back a moment ago is removed with the others.
    pub(super) async fn stop_socket_watch(&mut self) {
        let Some(SocketWatch { stop, task }) = self.socket_watch.take() else { return };
        drop(stop);
        // A look at a file system that hangs is left behind.
        let _ = tokio::time::timeout(FAREWELL_MAX, task).await;
        while let Ok(done) = self.done.try_recv() {
            if let Done::SocketBack(restored) = done {
                self.serve_again(*restored);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Access, PageConfig};

    fn watched(file: &Path) -> Watched {
        let server = UnixServer {
            section: "unix_http_server".to_owned(),
            file: file.to_owned(),
            chmod: 0o640,
            chown: None,
            auth: None,
            access: Access::default(),
            page: PageConfig::default(),
        };
        Watched { server, file: None, complaint: None }
    }

    #[test]
    fn what_is_there_is_left_and_what_is_missing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.sock");
        let (inotify, mut all) = (Inotify::init(InitFlags::IN_NONBLOCK).unwrap(), [watched(&file)]);
        // Kept, as a served socket keeps its inode from being given to another file.
        let first = look(&mut all, &inotify);
        assert_eq!(first.len(), 1);
        assert!(look(&mut all, &inotify).is_empty());
        fs::remove_file(&file).unwrap();
        let second = look(&mut all, &inotify);
        assert_eq!(second.len(), 1);
        // What somebody else put there is kept.
        fs::remove_file(&file).unwrap();
        fs::write(&file, "data").unwrap();
        assert!(look(&mut all, &inotify).is_empty());
        assert_eq!(fs::read_to_string(&file).unwrap(), "data");
        assert!(all[0].complaint.as_ref().unwrap().contains("is not ours any more"));
    }

    #[test]
    fn events_are_told_of_the_file_and_of_directories_that_come_back_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/s.sock");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let (inotify, mut all) = (Inotify::init(InitFlags::IN_NONBLOCK).unwrap(), [watched(&file)]);
        let quiet = |inotify: &Inotify| inotify.read_events().map_or(true, |events| events.is_empty());
        let _served = look(&mut all, &inotify);
        drop(inotify.read_events());
        let other = folder.path().join("a/b/other");
        fs::write(&other, "").unwrap();
        fs::remove_file(&other).unwrap();
        assert!(quiet(&inotify), "others' files");
        fs::remove_dir_all(folder.path().join("a")).unwrap();
        assert!(!quiet(&inotify), "the file's end");
        assert!(look(&mut all, &inotify).is_empty());
        drop(inotify.read_events());
        fs::create_dir(folder.path().join("a")).unwrap();
        assert!(!quiet(&inotify), "the first directory");
        assert!(look(&mut all, &inotify).is_empty());
        drop(inotify.read_events());
        fs::create_dir(folder.path().join("a/b")).unwrap();
        assert!(!quiet(&inotify), "the second directory");
        assert_eq!(look(&mut all, &inotify).len(), 1);
    }
}
