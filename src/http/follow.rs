//! A log file as a body without end: its last bytes, then whatever is appended, across rotation.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use nix::sys::inotify::WatchDescriptor;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::limits::{FOLLOW_CHUNK_MAX, FOLLOW_HEAD, FOLLOW_PAUSE};
use super::phase::{Phase, Phases};
use super::watch::{Watch, Watcher};
use crate::logs::{Use, open_file};
use crate::sys::side;

/// What is sent where the log was cut. Source: supervisor 4.3, http.py.
const TRUNCATED: &[u8] = b"==> File truncated <==\n";

/// The body of a stream's response; dropping it ends the following.
pub(super) struct FollowBody {
    chunks: mpsc::Receiver<Bytes>,
    follower: AbortHandle,
    phases: Arc<Phases>,
}

impl Body for FollowBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let chunk = ready!(self.chunks.poll_recv(cx));
        if chunk.is_none() {
            // The log cannot be read any more: what comes next on this connection is a request again.
            self.phases.enter(Phase::Writing);
        }
        Poll::Ready(chunk.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Drop for FollowBody {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// Opens the log and begins to follow it. Returns the body and when the file was last changed, in seconds.
///
/// # Errors
/// `NotFound` if there is no regular file at the path; otherwise why it cannot be opened.
pub(super) async fn follow(path: PathBuf, phases: Arc<Phases>) -> io::Result<(FollowBody, i64)> {
    let (watch, watcher) = Watch::new();
    let (log, modified) = side::run(move || Log::open(path, watcher)).await.map_err(io::Error::other)??;
    let (sender, chunks) = mpsc::channel(1);
    let follower = tokio::spawn(run(log, watch, sender)).abort_handle();
    Ok((FollowBody { chunks, follower, phases }, modified))
}

/// Sends what the log has, then waits until it may have more. Ends with the client, or when the log cannot be read.
async fn run(mut log: Log, mut watch: Watch, chunks: mpsc::Sender<Bytes>) {
    loop {
        let looked = Instant::now();
        // The file operations are those that may hang; nothing else waits for them.
        let Ok((back, news)) = side::run(move || {
            let news = log.news();
            (log, news)
        })
        .await
        else {
            return;
        };
        log = back;
        match news {
            Ok(Some(chunk)) => {
                if chunks.send(chunk).await.is_err() {
                    return;
                }
            }
            Ok(None) => {
                watch.changed().await;
                tokio::time::sleep_until(looked + FOLLOW_PAUSE).await;
            }
            Err(error) => {
                tracing::debug!("following {} ended: {error}", log.path.display());
                return;
            }
        }
    }
}

/// The followed file and how far it was read.
struct Log {
    path: PathBuf,
    file: File,
    /// Device and inode of `file`.
    identity: (u64, u64),
    position: u64,
    watcher: Watcher,
    watched: Option<WatchDescriptor>,
}

impl Log {
    /// Opens the log at its last bytes; also returns its time of change.
    fn open(path: PathBuf, watcher: Watcher) -> io::Result<(Log, i64)> {
        // The folder where rotation happens, behind any symbolic links.
        if let Some(folder) = fs::canonicalize(&path)?.parent() {
            watcher.folder(folder);
        }
        let (file, metadata) = open(&path)?;
        let identity = (metadata.dev(), metadata.ino());
        let position = metadata.len().saturating_sub(FOLLOW_HEAD);
        let mut log = Log { path, file, identity, position, watcher, watched: None };
        log.watch_file()?;
        Ok((log, metadata.mtime()))
    }

    fn watch_file(&mut self) -> io::Result<()> {
        self.watcher.file(&self.file, &mut self.watched)
    }

    /// The next bytes to send; `None` if there are none yet.
    fn news(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if self.file.metadata()?.len() < self.position {
                self.position = 0;
                return Ok(Some(Bytes::from_static(TRUNCATED)));
            }
            if let Some(chunk) = self.read()? {
                return Ok(Some(chunk));
            }
            if !self.switch()? {
                return Ok(None);
            }
        }
    }

    fn read(&mut self) -> io::Result<Option<Bytes>> {
        let mut chunk = vec![0; FOLLOW_CHUNK_MAX];
        let count = loop {
            match self.file.read_at(&mut chunk, self.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        chunk.truncate(count);
        self.position += count as u64;
        Ok((count > 0).then(|| chunk.into()))
    }

    /// Goes over to the file that has the name now, if it is another one; the old one has been read to its end.
    fn switch(&mut self) -> io::Result<bool> {
        // While nothing has the name, a rotation is under way or the log was deleted: its writer may go on.
        let Ok((file, metadata)) = open(&self.path) else { return Ok(false) };
        let identity = (metadata.dev(), metadata.ino());
        if identity == self.identity {
            return Ok(false);
        }
        (self.file, self.identity, self.position) = (file, identity, 0);
        self.watch_file()?;
        Ok(true)
    }
}

/// Opens a regular file for reading, without ever waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let file = open_file(path, Use::Read)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(io::ErrorKind::NotFound.into()) }
}
