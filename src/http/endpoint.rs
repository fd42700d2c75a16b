//! Accepts connections of one endpoint and keeps their number in bounds.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::admission::{Admission, Role};
use super::bind::BoundListener;
use super::connection;
use super::incoming::{Incoming, Peer};
use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, CONNECTIONS_RESERVED, FIRST_REQUEST_WAIT, HANDSHAKES_BEGUN_MAX, HANDSHAKES_MAX,
    HANDSHAKES_WINDOW, STRANGERS_MAX, Times,
};
use super::pages::Site;
use super::phase::{Phase, Phases};
use super::refusals::Refusals;
use super::reply;
use super::service::Service;
use super::stream::{Socket, Stream, prepared};
use super::tls::Identity;
use crate::config::{PageConfig, ServerConfig};
use crate::rpc::{self, Interfaces};
use crate::sys::peer;

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
/// `server` says who may do what.
///
/// # Errors
/// When the listener cannot be made non-blocking or is not registered with the runtime, or the kernel gives no randomness.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn serve(
    listener: BoundListener,
    server: &ServerConfig,
    control: mpsc::Sender<Incoming>,
    interfaces: Arc<Interfaces>,
) -> io::Result<Endpoint> {
    serve_with(listener, server, control, interfaces, Times::default())
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
    server: &ServerConfig,
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
    let identity = match server {
        ServerConfig::Inet(server) => server.tls.as_ref().map(|files| Arc::new(Identity::of(files))),
        ServerConfig::Unix(_) => None,
    };
    let (stop, stopped) = watch::channel(None);
    let admission = Arc::new(Admission::of(server));
    let site = Arc::new(Site::open(page_of(server), admission.has_password())?);
    let (refusals, strangers) = (Arc::new(Refusals::new()), Arc::new(Semaphore::new(STRANGERS_MAX)));
    let (open, tasks) = (Vec::new(), JoinSet::new());
    let handshakes = Handshakes { identity, window: Instant::now(), begun: 0 };
    let server = Server {
        name,
        acceptor,
        handshakes,
        admission,
        refusals,
        strangers,
        site,
        control,
        interfaces,
        times,
        open,
        tasks,
    };
    Ok(Endpoint { task: tokio::spawn(server.run(stopped)), stop })
}

fn page_of(server: &ServerConfig) -> &PageConfig {
    match server {
        ServerConfig::Unix(server) => &server.page,
        ServerConfig::Inet(server) => &server.page,
    }
}

enum Acceptor {
    Unix(UnixListener),
    Inet(TcpListener),
}

impl Acceptor {
    /// The next client, and what its account may do.
    async fn accept(&self, admission: &Admission) -> io::Result<(Socket, Peer, Role)> {
        match self {
            Acceptor::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let credentials = stream.peer_cred()?;
                let pid = credentials.pid().unwrap_or(0);
                let peer = Peer::Unix { pid, uid: credentials.uid(), command: command_of(pid), user: None };
                let mut groups = vec![credentials.gid()];
                if admission.wants_groups() {
                    // Who cannot be asked has none: that gives no rights away.
                    groups.extend(peer::groups(&stream).unwrap_or_default());
                }
                let role = admission.role_of(&peer, &groups);
                Ok((Socket::Unix(stream), peer, role))
            }
            Acceptor::Inet(listener) => {
                let (stream, address) = listener.accept().await?;
                let peer = Peer::Inet { address, user: None };
                let role = admission.role_of(&peer, &[]);
                Ok((Socket::Inet(prepared(stream)?), peer, role))
            }
        }
    }
}

/// The name of a process's program, for people; empty if it cannot be told. The kernel knows it without waiting.
fn command_of(pid: i32) -> String {
    let command = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    rpc::printable(String::from_utf8_lossy(&command).trim_end())
}

/// TLS as one endpoint speaks it.
struct Handshakes {
    /// `None`: it does not.
    identity: Option<Arc<Identity>>,
    /// When the present [`HANDSHAKES_WINDOW`] began, and the handshakes since.
    window: Instant,
    begun: usize,
}

impl Handshakes {
    /// Counts one.
    fn begin(&mut self) {
        if self.window.elapsed() >= HANDSHAKES_WINDOW {
            (self.window, self.begun) = (Instant::now(), 0);
        }
        self.begun += 1;
    }

    /// When the next one may begin, if not at once.
    fn resume(&self) -> Option<Instant> {
        let end = self.window + HANDSHAKES_WINDOW;
        (self.begun >= HANDSHAKES_BEGUN_MAX && end > Instant::now()).then_some(end)
    }
}

struct Server {
    name: String,
    acceptor: Acceptor,
    handshakes: Handshakes,
    admission: Arc<Admission>,
    refusals: Arc<Refusals>,
    /// Connections of clients that are told no; they have these slots and not those of the others.
    strangers: Arc<Semaphore>,
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
            let resume = self.handshakes.resume();
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
                () = sleep_until(resume.unwrap_or_else(Instant::now)), if resume.is_some() => {}
                accepted = self.acceptor.accept(&self.admission), if resume.is_none() => match accepted {
                    Ok((socket, peer, role)) => {
                        failing = false;
                        self.admit(socket, peer, role);
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

    fn admit(&mut self, socket: Socket, peer: Peer, role: Role) {
        if role == Role::Stranger {
            self.turn_away(Stream::Plain(socket), peer);
            return;
        }
        // A connection's task holds a second reference for as long as it lives.
        self.open.retain(|phases| Arc::strong_count(phases) > 1);
        let bound =
            if self.is_privileged(&peer, role) { CONNECTIONS_MAX + CONNECTIONS_RESERVED } else { CONNECTIONS_MAX };
        if self.open.len() >= bound && !self.evict() {
            tracing::warn!("{}: {} connections are open, one more is refused", self.name, self.open.len());
            if self.handshakes.identity.is_none() {
                socket.say_at_once(&reply::refusal());
            }
            return;
        }
        let phases = Arc::new(Phases::new(self.times));
        match (self.handshakes.identity.clone(), socket) {
            (Some(identity), Socket::Inet(socket)) => {
                self.handshakes.begin();
                self.end_a_handshake();
                phases.enter(Phase::Handshake);
                self.open.push(Arc::clone(&phases));
                self.tasks.spawn(connection::serve_tls(socket, identity, self.service(peer, role, phases)));
            }
            (_, socket) => {
                self.open.push(Arc::clone(&phases));
                self.tasks.spawn(connection::serve(Stream::Plain(socket), self.service(peer, role, phases)));
            }
        }
    }

    /// Ends the longest handshake if there are as many as there may be.
    fn end_a_handshake(&mut self) {
        let under_way: Vec<_> = self.open.iter().filter(|phases| phases.handshake_since().is_some()).collect();
        let longest = under_way.iter().min_by_key(|phases| phases.handshake_since());
        if let Some(longest) = longest.filter(|_| under_way.len() >= HANDSHAKES_MAX) {
            longest.end.notify_one();
        }
    }

    fn service(&self, peer: Peer, role: Role, phases: Arc<Phases>) -> Service {
        Service {
            admission: Arc::clone(&self.admission),
            refusals: Arc::clone(&self.refusals),
            role,
            control: self.control.clone(),
            interfaces: Arc::clone(&self.interfaces),
            peer,
            phases,
            site: Arc::clone(&self.site),
        }
    }

    /// Tells a client that it is not served, if not too many are being told just now.
    fn turn_away(&mut self, stream: Stream, peer: Peer) {
        self.refusals.tell("a connection", &peer);
        let Ok(slot) = Arc::clone(&self.strangers).try_acquire_owned() else { return };
        let phases = Arc::new(Phases::new(self.times));
        let service = self.service(peer, Role::Stranger, phases);
        self.tasks.spawn(async move {
            connection::serve(stream, service).await;
            drop(slot);
        });
    }

    /// Whether a slot is kept for this client.
    fn is_privileged(&self, peer: &Peer, role: Role) -> bool {
        match peer {
            Peer::Unix { uid, .. } => {
                *uid == 0 || *uid == geteuid().as_raw() || (self.admission.wants_groups() && role == Role::Admin)
            }
            Peer::Inet { .. } => false,
        }
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
        for phases in &known {
            phases.end.notify_one();
        }
        // Whoever has just come is about to ask, and would have to ask again.
        let patience = if fresh.is_empty() { Duration::ZERO } else { grace.min(FIRST_REQUEST_WAIT) };
        if timeout(patience, &mut all).await.is_err() {
            for phases in &fresh {
                phases.end.notify_one();
            }
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
