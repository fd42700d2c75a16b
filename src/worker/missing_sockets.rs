//! Tells that the file of a program's socket is gone: whoever connects there is refused then, however well the program runs.
//!
//! It cannot be put back as a control socket's: a socket that listens is given no second file, and the running program
//! accepts at no other one. So it is told, and the next start makes both anew.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::inotify::Inotify;
use tokio::sync::{mpsc, watch};

use super::file_watch;
use super::worker::{Done, Worker, now};
use crate::engine::ProcessId;
use crate::logs::{Level, log};
use crate::sys::{inotify, side};

/// Looks are repeated at once while directories come, but not for ever: the next event comes.
const LOOKS_MAX: usize = 8;

/// One socket whose file is watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Followed {
    url: String,
    number: u64,
    file: PathBuf,
    /// As it was made; `None` where a predecessor made it: then it is the one that is there when it is first looked at.
    identity: Option<FileIdentity>,
}

impl Followed {
    /// `None` if there is no file.
    pub(super) fn of(url: &str, number: u64, identity: Option<FileIdentity>) -> Option<Followed> {
        let file = PathBuf::from(url.strip_prefix("unix://")?);
        Some(Followed { url: url.to_owned(), number, file, identity })
    }
}

/// Which file it is: its file system and its number there. It is not reused while its socket is open.
pub(super) type FileIdentity = (u64, u64);

/// What is known of a file.
#[derive(Debug)]
struct Known {
    identity: Option<FileIdentity>,
    is_there: bool,
}

/// The file of a socket went, or came back.
pub(super) struct Sight {
    url: String,
    number: u64,
    is_there: bool,
}

/// The task that watches, once there is something to be watched.
#[derive(Debug, Default)]
pub(super) struct SocketFileWatch(Option<watch::Sender<Vec<Followed>>>);

impl SocketFileWatch {
    /// Watches these and no others.
    pub(super) fn follow(&mut self, followed: Vec<Followed>, done: &mpsc::UnboundedSender<Done>) {
        if self.0.is_none() && followed.is_empty() {
            return;
        }
        let sender = self.0.get_or_insert_with(|| {
            let (sender, receiver) = watch::channel(Vec::new());
            tokio::spawn(attend(receiver, done.clone()));
            sender
        });
        sender.send_if_modified(|known| {
            let is_new = *known != followed;
            *known = followed;
            is_new
        });
    }
}

/// Ends when nobody says any more what is to be watched.
async fn attend(mut wanted: watch::Receiver<Vec<Followed>>, done: mpsc::UnboundedSender<Done>) {
    let mut known = BTreeMap::new();
    while wanted.changed().await.is_ok() {
        // When many programs start, they do so within a moment.
        tokio::time::sleep(file_watch::PAUSE).await;
        let followed = wanted.borrow_and_update().clone();
        known.retain(|one, _| followed.contains(one));
        if followed.is_empty() {
            continue;
        }
        // New ones each time: the kernel forgets the former watches with them.
        let (inotify, events) = match inotify::instance() {
            Ok((inotify, events)) => (Arc::new(inotify), events),
            Err(error) => {
                log(
                    Level::Info,
                    &format!("a program's socket file that is deleted will not be told: no watch ({error})"),
                );
                continue;
            }
        };
        loop {
            let (followed, notifier) = (followed.clone(), Arc::clone(&inotify));
            let look = side::run(move || {
                let sights = look(&followed, &mut known, &notifier);
                (known, sights)
            });
            let Ok((back, sights)) = look.await else { return };
            known = back;
            for sight in sights {
                // The receiver is gone only when the worker ends.
                let _ = done.send(Done::SocketFile(sight));
            }
            tokio::select! {
                changed = wanted.changed() => match changed {
                    Ok(()) => {
                        wanted.mark_changed();
                        break;
                    }
                    Err(_) => return,
                },
                () = async { tokio::time::sleep(file_watch::PAUSE).await; inotify::happened(&events).await } => {}
            }
        }
    }
}

/// Watches the files, and says which of them went or came back. Blocks.
fn look(followed: &[Followed], known: &mut BTreeMap<Followed, Known>, inotify: &Inotify) -> Vec<Sight> {
    let mut sights = Vec::new();
    for _ in 0..LOOKS_MAX {
        // First the watches, then the look: what happens after it is an event.
        let is_there = |one: &Followed| known.get(one).is_none_or(|known| known.is_there);
        let files: Vec<(&Path, bool)> = followed.iter().map(|one| (one.file.as_path(), is_there(one))).collect();
        let mut has_changed = file_watch::arm(&files, inotify);
        for one in followed {
            let now = identity(&one.file);
            let first = Known { identity: one.identity.or(now), is_there: true };
            let known = known.entry(one.clone()).or_insert(first);
            let is_there = now.is_some() && now == known.identity;
            if std::mem::replace(&mut known.is_there, is_there) != is_there {
                has_changed = true;
                sights.push(Sight { url: one.url.clone(), number: one.number, is_there });
            }
        }
        if !has_changed {
            break;
        }
    }
    sights
}

/// Of a socket's file; `None` if there is none. Blocks.
pub(super) fn identity(file: &Path) -> Option<FileIdentity> {
    let status = fs::symlink_metadata(file).ok().filter(|status| status.file_type().is_socket())?;
    Some((status.dev(), status.ino()))
}

impl Worker {
    /// Tells the log and the history of each process that has the socket.
    pub(super) fn socket_file_seen(&mut self, sight: Sight) {
        let Sight { url, number, is_there } = sight;
        if !self.sockets.set_missing(&url, number, (!is_there).then(|| now().mono)) {
            return;
        }
        let (level, text) = if is_there {
            (Level::Info, format!("the file of socket {url} is there again"))
        } else {
            (Level::Warn, format!("the file of socket {url} is gone; {}", self.way_out(&url)))
        };
        log(level, &text);
        for process in self.processes_of(&url) {
            let subject = self.engine.process(process).map(|view| view.namespec()).unwrap_or_default();
            self.record_trouble(&subject, &text);
        }
    }

    /// That the file of a process's socket is gone, in words for a person.
    pub(super) fn told_of_missing_socket(&self, process: ProcessId) -> Option<String> {
        let (url, since) = self.sockets.missing(process)?;
        let seconds = now().mono.since(since).as_secs();
        Some(format!("the file of its socket {url} is gone, for {seconds} s; {}", self.way_out(url)))
    }

    /// Who shares the socket must be down together, or the next start gets the socket that the others have.
    fn way_out(&self, url: &str) -> String {
        let views = self.sockets.users(url).filter_map(|process| self.engine.process(process));
        let names: Vec<String> = views.map(|view| view.namespec()).collect();
        if names.is_empty() {
            return "whoever connects is refused until the next start makes it anew".to_owned();
        }
        format!("whoever connects is refused until `galaxyctl restart {}` makes it anew", names.join(" "))
    }

    /// Whose the socket is, running or not.
    fn processes_of(&self, url: &str) -> Vec<ProcessId> {
        let is_its = |process: &ProcessId| {
            let socket = self.process_config(*process).and_then(|config| config.socket.as_ref());
            socket.is_some_and(|socket| socket.url == url)
        };
        self.engine.processes().map(|view| view.process).filter(is_its).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use nix::sys::inotify::InitFlags;

    use super::*;

    #[test]
    fn a_file_that_goes_and_comes_back_is_told_once_and_a_strangers_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (file, elsewhere) = (folder.path().join("s"), folder.path().join("elsewhere"));
        let followed = [Followed::of(&format!("unix://{}", file.display()), 1, None).unwrap()];
        let (inotify, mut known) = (Inotify::init(InitFlags::IN_NONBLOCK).unwrap(), BTreeMap::new());
        let mut seen = || {
            let told: Vec<bool> = look(&followed, &mut known, &inotify).iter().map(|sight| sight.is_there).collect();
            let is_woken = inotify.read_events().is_ok_and(|events| !events.is_empty());
            (told, is_woken)
        };
        let _first = UnixListener::bind(&file).unwrap();
        assert!(seen().0.is_empty());
        fs::rename(&file, &elsewhere).unwrap();
        assert_eq!(seen(), (vec![false], true));
        let _stranger = UnixListener::bind(&file).unwrap();
        assert_eq!(seen(), (vec![], true), "a stranger's");
        fs::rename(&elsewhere, &file).unwrap();
        assert_eq!(seen(), (vec![true], true));
        fs::write(folder.path().join("other"), "").unwrap();
        assert_eq!(seen(), (vec![], false), "others' files wake nobody");
        fs::remove_file(&file).unwrap();
        assert_eq!(seen(), (vec![false], true));
    }

    #[test]
    fn one_that_went_before_the_first_look_is_known_when_it_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (file, elsewhere) = (folder.path().join("s"), folder.path().join("elsewhere"));
        let _socket = UnixListener::bind(&file).unwrap();
        let followed = [Followed::of(&format!("unix://{}", file.display()), 1, identity(&file)).unwrap()];
        let (inotify, mut known) = (Inotify::init(InitFlags::IN_NONBLOCK).unwrap(), BTreeMap::new());
        let mut told = || look(&followed, &mut known, &inotify).iter().map(|sight| sight.is_there).collect::<Vec<_>>();
        fs::rename(&file, &elsewhere).unwrap();
        assert_eq!(told(), [false]);
        fs::rename(&elsewhere, &file).unwrap();
        assert_eq!(told(), [true]);
    }

    #[test]
    fn only_files_are_followed() {
        assert_eq!(Followed::of("tcp://localhost:80", 1, None), None);
    }
}
