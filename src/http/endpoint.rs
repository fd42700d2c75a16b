//! Accepts connections of one endpoint and keeps their number in bounds.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::bind::BoundListener;
use super::connection;
use super::incoming::{Incoming, Peer};
use super::limits::{ACCEPT_PAUSE, CONNECTIONS_MAX, CONNECTIONS_RESERVED, FIRST_REQUEST_WAIT, Times};
use super::pages::Site;
use super::phase::Phases;
use super::reply;
use super::service::Service;
use super::stream::Stream;
use crate::config::{PageConfig, ServerAuth};
use crate::rpc::Interfaces;

/// A served endpoint. Dropping it ends all connections at once.
#[derive(Debug)]
pub struct Endpoint {
    task: JoinHandle<()>,
    /// How long the connections may go on once accepting ends; `None` while it goes on.
    stop: watch::Sender<Option<Duration>>,
}

impl Endpoint {
    /// Accepts no more connections, ends the idle ones and the streams, and gives requests under way `grace` to be
    /// answered. Returns when all are closed. The socket itself stays open where another descriptor of it is held.
    pub async fn close(mut self, grace: Duration) {
        self.stop.send_replace(Some(grace));
        // It fails only when the task was ended from outside, and then it is closed as well.
        drop((&mut self.task).await);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves the listener on tasks of the current tokio runtime; every call that is understood goes to `control`.
///
/// With `auth` every URL wants these credentials.
///
/// # Errors
/// When the listener cannot be made non-blocking or is not registered with the runtime, or the kernel gives no randomness.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn serve(
    listener: BoundListener,
    auth: Option<ServerAuth>,
    page: &PageConfig,
    control: mpsc::Sender<Incoming>,
    interfaces: Arc<Interfaces>,
) -> io::Result<Endpoint> {
    serve_with(listener, auth, page, control, interfaces, Times::default())
}

/// The same with other times.
///
/// # Errors
/// As for [`serve`].
///
/// # Panics
/// Outside of a tokio runtime.
pub fn serve_with(
    listener: BoundListener,
    auth: Option<ServerAuth>,
    page: &PageConfig,
    control: mpsc::Sender<Incoming>,
    interfaces: Arc<Interfaces>,
    times: Times,
) -> io::Result<Endpoint> {
    let name = listener.to_string();
    let acceptor = match listener {
        BoundListener::Unix(unix) => {
            unix.listener.set_nonblocking(true)?;
            Acceptor::Unix(UnixListener::from_std(unix.listener)?)
        }
        BoundListener::Inet(inet) => {
            inet.set_nonblocking(true)?;
            Acceptor::Inet(TcpListener::from_std(inet)?)
        }
    };
    let (stop, stopped) = watch::channel(None);
    let site = Arc::new(Site::open(page, auth.is_some())?);
    let auth = auth.map(Arc::new);
    let (open, tasks) = (Vec::new(), JoinSet::new());
    let server = Server { name, acceptor, auth, site, control, interfaces, times, open, tasks };
    Ok(Endpoint { task: tokio::spawn(server.run(stopped)), stop })
}

enum Acceptor {
    Unix(UnixListener),
    Inet(TcpListener),
}

impl Acceptor {
    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Acceptor::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let credentials = stream.peer_cred()?;
                let pid = credentials.pid().unwrap_or(0);
                Ok((Stream::Unix(stream), Peer::Unix { pid, uid: credentials.uid(), user: None }))
            }
            Acceptor::Inet(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Stream::inet(stream)?, Peer::Inet { address, user: None }))
            }
        }
    }
}

struct Server {
    name: String,
    acceptor: Acceptor,
    auth: Option<Arc<ServerAuth>>,
    site: Arc<Site>,
    control: mpsc::Sender<Incoming>,
    interfaces: Arc<Interfaces>,
    times: Times,
    /// The phases of every open connection; those of closed ones are swept out when one is accepted.
    open: Vec<Arc<Phases>>,
    tasks: JoinSet<()>,
}

impl Server {
    async fn run(mut self, mut stopped: watch::Receiver<Option<Duration>>) {
        let mut failing = false;
        let grace = loop {
            tokio::select! {
                changed = stopped.changed() => {
                    // Without a sender the endpoint was dropped, and this task with it.
                    if changed.is_err() {
                        break Duration::ZERO;
                    }
                    if let Some(grace) = *stopped.borrow_and_update() {
                        break grace;
                    }
                }
                Some(_) = self.tasks.join_next() => {}
                accepted = self.acceptor.accept() => match accepted {
                    Ok((stream, peer)) => {
                        failing = false;
                        self.admit(stream, peer);
                    }
                    Err(error) if is_clients(&error) => {}
                    Err(error) => {
                        if !failing {
                            tracing::error!("{}: cannot accept connections: {error}; trying on", self.name);
                        }
                        failing = true;
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        };
        self.finish(grace).await;
    }

    fn admit(&mut self, stream: Stream, peer: Peer) {
        // A connection's task holds a second reference for as long as it lives.
        self.open.retain(|phases| Arc::strong_count(phases) > 1);
        let bound = if is_privileged(&peer) { CONNECTIONS_MAX + CONNECTIONS_RESERVED } else { CONNECTIONS_MAX };
        if self.open.len() >= bound && !self.evict() {
            tracing::warn!("{}: {} connections are open, one more is refused", self.name, self.open.len());
            // It is small, so that it fits the socket's buffer or the client is not worth more.
            drop(stream.try_write(&reply::refusal()));
            return;
        }
        let phases = Arc::new(Phases::new(self.times));
        self.open.push(Arc::clone(&phases));
        let (auth, site) = (self.auth.clone(), Arc::clone(&self.site));
        let (control, interfaces) = (self.control.clone(), Arc::clone(&self.interfaces));
        let service = Service { auth, control, interfaces, peer, phases, site };
        self.tasks.spawn(connection::serve(stream, service));
    }

    /// Ends the connection that has been idle longest; false if all are busy.
    fn evict(&mut self) -> bool {
        let idle = self.open.iter().enumerate().filter_map(|(index, phases)| Some((phases.idle_since()?, index)));
        let Some((_, index)) = idle.min() else { return false };
        self.open.swap_remove(index).end.notify_one();
        true
    }

    async fn finish(mut self, grace: Duration) {
        drop(self.acceptor);
        let (fresh, known): (Vec<_>, Vec<_>) = self.open.into_iter().partition(|phases| phases.is_fresh());
        let mut all = pin!(async { while self.tasks.join_next().await.is_some() {} });
        known.iter().for_each(|phases| phases.end.notify_one());
        // Whoever has just come is about to ask, and would have to ask again.
        let patience = if fresh.is_empty() { Duration::ZERO } else { grace.min(FIRST_REQUEST_WAIT) };
        if timeout(patience, &mut all).await.is_err() {
            fresh.iter().for_each(|phases| phases.end.notify_one());
            // What is left is ended with the set.
            drop(timeout(grace.saturating_sub(patience), all).await);
        }
    }
}

/// Whether the failure is that of one client which went away before it was accepted.
fn is_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::Interrupted
    )
}

/// Whether a slot is kept for this client.
fn is_privileged(peer: &Peer) -> bool {
    match peer {
        Peer::Unix { uid, .. } => *uid == 0 || *uid == geteuid().as_raw(),
        Peer::Inet { .. } => false,
    }
}
