//! Puts a control socket's file back when something has deleted it: cleaners of temporary directories do.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::inotify::Inotify;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::ending::FAREWELL_MAX;
use super::file_watch;
use super::startup::listener_name;
use super::twiddling::interfaces;
use super::worker::{Done, Worker};
use crate::config::{ServerConfig, UnixServer};
use crate::http::{self, BoundListener, SocketFile};
use crate::logs::{Level, log};
use crate::sys::{inotify, side};

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
        match inotify::instance() {
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
        let pause = if restored.is_empty() && all_there { Duration::ZERO } else { file_watch::PAUSE };
        for one in restored {
            // The receiver is gone only when the worker ends.
            let _ = done.send(Done::SocketBack(Box::new(one)));
        }
        tokio::select! {
            _ = &mut stopped => return,
            () = async { tokio::time::sleep(pause).await; inotify::happened(&events).await } => {}
        }
    }
}

/// Watches what there is, and puts back what is missing. Blocks.
fn look(watched: &mut [Watched], inotify: &Inotify) -> Vec<Restored> {
    let mut restored = Vec::new();
    for _ in 0..LOOKS_MAX {
        // First the watches, then the look: what happens after it is an event.
        let files: Vec<_> = watched.iter().map(|one| (one.server.file.as_path(), one.is_there())).collect();
        let has_changed = file_watch::arm(&files, inotify);
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
    use std::path::Path;

    use nix::sys::inotify::InitFlags;

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
