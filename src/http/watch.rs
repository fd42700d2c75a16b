//! Wakes a follower when its log may have changed.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, Inotify, WatchDescriptor};
use tokio::net::unix::pipe;

use super::limits::FOLLOW_RECHECK;
use crate::sys::inotify;

/// The kernel from which on `splice`, which the log plane writes with, is reported by inotify.
const SPLICE_REPORTED_SINCE: (u32, u32) = (6, 4);

/// The source of wakeups of one follower.
pub(super) struct Watch {
    /// `None`: no instance was left; then only the clock wakes.
    events: Option<pipe::Receiver>,
    recheck: Option<Duration>,
}

/// What adds watches; used where file operations may block.
#[derive(Clone)]
pub(super) struct Watcher {
    inotify: Option<Arc<Inotify>>,
}

impl Watch {
    /// Must be called on a tokio runtime.
    pub(super) fn new() -> (Watch, Watcher) {
        let (inotify, events) = inotify::instance().ok().unzip();
        let recheck = (events.is_none() || !splice_is_reported()).then_some(FOLLOW_RECHECK);
        (Watch { events, recheck }, Watcher { inotify: inotify.map(Arc::new) })
    }

    /// Returns when the watched file may have changed since the last call.
    pub(super) async fn changed(&mut self) {
        let events = async {
            match &self.events {
                Some(events) => inotify::happened(events).await,
                None => std::future::pending().await,
            }
        };
        match self.recheck {
            // That time is over is as good a reason to look as an event.
            Some(period) => drop(tokio::time::timeout(period, events).await),
            None => events.await,
        }
    }
}

impl Watcher {
    /// Watches the folder for files that come under any name.
    pub(super) fn folder(&self, folder: &Path) {
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
        if let Some(inotify) = &self.inotify {
            // A folder that cannot be watched costs a rotation that is seen late, with the next event.
            let _ = inotify.add_watch(folder, flags);
        }
    }

    /// Watches the open file, whatever its name is by now, instead of the one watched before.
    ///
    /// # Errors
    /// When the kernel refuses another watch.
    pub(super) fn file(&self, file: &File, before: &mut Option<WatchDescriptor>) -> io::Result<()> {
        let Some(inotify) = &self.inotify else { return Ok(()) };
        if let Some(before) = before.take() {
            // It has ended by itself when the file was deleted.
            let _ = inotify.rm_watch(before);
        }
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        *before = Some(inotify.add_watch(path.as_str(), flags)?);
        Ok(())
    }
}

fn splice_is_reported() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    version(&release).is_some_and(|version| version >= SPLICE_REPORTED_SINCE)
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_are_understood() {
        assert_eq!(version("6.1.0-18-amd64\n"), Some((6, 1)));
        assert_eq!(version("5.14.0-427.el9"), Some((5, 14)));
        assert_eq!(version("6.12-rc1"), Some((6, 12)));
        assert_eq!(version("strange"), None);
    }
}
