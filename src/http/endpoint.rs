//! Accepts connections of one endpoint and keeps their number in bounds.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::admission::{Admission, Role};
use super::bind::BoundListener;
use super::connection;
use super::incoming::{Incoming, Peer};
use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, CONNECTIONS_RESERVED, CONNECTIONS_SHORT_MAX, FIRST_REQUEST_WAIT,
    HANDSHAKES_BEGUN_MAX, HANDSHAKES_MAX, HANDSHAKES_WINDOW, STRANGERS_MAX, Times,
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
use crate::sys::{heap, peer, spare_descriptors};

/// A served endpoint. Dropping it ends all connections at once.
#[derive(Debug)]
pub struct Endpoint {
    /// Ends with the connections that somebody else can go on with.
    task: JoinHandle<Vec<OwnedFd>>,
    orders: mpsc::UnboundedSender<Order>,
}

/// What an endpoint is told.
#[derive(Debug)]
enum Order {
    /// Serve this connection as well.
    Welcome(OwnedFd),
    End(Farewell),
}

/// What becomes of the connections of an endpoint that ends. In both cases requests under way have so long to be answered.
#[derive(Debug, Clone, Copy)]
enum Farewell {
    /// Those without a request are closed.
    Close(Duration),
    /// Those without a request are for another endpoint.
    HandOver(Duration),
}

impl Endpoint {
    /// Accepts no more connections, ends the idle ones and the streams, and gives requests under way `grace` to be
    /// answered. Returns when all are closed. The socket itself stays open where another descriptor of it is held.
    pub async fn close(self, grace: Duration) {
        self.end(Farewell::Close(grace)).await;
    }

    /// As [`close`](Self::close), but gives the idle connections, for another endpoint of the same socket to
    /// [`welcome`](Self::welcome): their clients notice nothing. Those that speak TLS are closed.
    pub async fn hand_over(self, grace: Duration) -> Vec<OwnedFd> {
        self.end(Farewell::HandOver(grace)).await
    }

    async fn end(mut self, farewell: Farewell) -> Vec<OwnedFd> {
        // Both fail only when the task was ended from outside, and then all is closed as well.
        let _ = self.orders.send(Order::End(farewell));
        (&mut self.task).await.unwrap_or_default()
    }

    /// Serves a client that was let in by another endpoint of the same socket and awaits no answer.
    pub fn welcome(&self, connection: OwnedFd) {
        // Without a task nobody is served.
        let _ = self.orders.send(Order::Welcome(connection));
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
    let (orders, ordered) = mpsc::unbounded_channel();
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
    Ok(Endpoint { task: tokio::spawn(server.run(ordered)), orders })
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
                local(stream, admission)
            }
            Acceptor::Inet(listener) => {
                let (stream, address) = listener.accept().await?;
                remote(stream, address, admission)
            }
        }
    }

    /// The same for a connection that was accepted before.
    fn adopt(&self, connection: OwnedFd, admission: &Admission) -> io::Result<(Socket, Peer, Role)> {
        match self {
            Acceptor::Unix(_) => local(UnixStream::from_std(StdUnixStream::from(connection))?, admission),
            Acceptor::Inet(_) => {
                let stream = TcpStream::from_std(connection.into())?;
                let address = stream.peer_addr()?;
                remote(stream, address, admission)
            }
        }
    }
}

fn local(stream: UnixStream, admission: &Admission) -> io::Result<(Socket, Peer, Role)> {
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

fn remote(stream: TcpStream, address: SocketAddr, admission: &Admission) -> io::Result<(Socket, Peer, Role)> {
    let peer = Peer::Inet { address, user: None };
    let role = admission.role_of(&peer, &[]);
    Ok((Socket::Inet(prepared(stream)?), peer, role))
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
    /// Each ends with its connection if somebody else can go on with it.
    tasks: JoinSet<Option<OwnedFd>>,
}

impl Server {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) -> Vec<OwnedFd> {
        let mut failing = false;
        let farewell = loop {
            let resume = self.handshakes.resume();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Welcome(connection)) => self.welcome(connection),
                    Some(Order::End(farewell)) => break farewell,
                    // Without a sender the endpoint was dropped, and this task with it.
                    None => break Farewell::Close(Duration::ZERO),
                },
                Some(_) = self.tasks.join_next() => if self.tasks.is_empty() {
                    // Tried again after the next client.
                    let _ = spare_descriptors::set_aside();
                },
                () = sleep_until(resume.unwrap_or_else(Instant::now)), if resume.is_some() => {}
                accepted = self.acceptor.accept(&self.admission), if resume.is_none() => match accepted {
                    Ok((socket, peer, role)) => {
                        failing = false;
                        self.admit(socket, peer, role);
                    }
                    Err(error) if is_clients(&error) => {}
                    Err(error) if is_shortage(&error) && spare_descriptors::give_up() => {}
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
        self.finish(farewell).await
    }

    fn welcome(&mut self, connection: OwnedFd) {
        // One that cannot be served is closed.
        if let Ok((socket, peer, role)) = self.acceptor.adopt(connection, &self.admission) {
            self.admit(socket, peer, role);
        }
    }

    fn admit(&mut self, socket: Socket, peer: Peer, role: Role) {
        if role == Role::Stranger {
            self.turn_away(Stream::Plain(socket), peer);
            return;
        }
        // A connection's task holds a second reference for as long as it lives.
        self.open.retain(|phases| Arc::strong_count(phases) > 1);
        let bound = if heap::is_short() {
            CONNECTIONS_SHORT_MAX
        } else if self.is_privileged(&peer, role) {
            CONNECTIONS_MAX + CONNECTIONS_RESERVED
        } else {
            CONNECTIONS_MAX
        };
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
            None
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

    /// Gives the connections for somebody else, if there is one.
    async fn finish(mut self, farewell: Farewell) -> Vec<OwnedFd> {
        drop(self.acceptor);
        let (grace, hands_over) = match farewell {
            Farewell::Close(grace) => (grace, false),
            Farewell::HandOver(grace) => (grace, self.handshakes.identity.is_none()),
        };
        // Whoever has just come is about to ask, and would have to ask again.
        let must_ask_now = |phases: &Arc<Phases>| !hands_over && phases.is_fresh();
        let (mut fresh, known): (Vec<_>, Vec<_>) = self.open.into_iter().partition(must_ask_now);
        for phases in &known {
            phases.end.notify_one();
        }
        let begin = Instant::now();
        let mut left = Vec::new();
        loop {
            tokio::select! {
                ended = self.tasks.join_next() => match ended {
                    Some(ended) => left.extend(ended.ok().flatten().filter(|_| hands_over)),
                    None => break,
                },
                () = sleep_until(begin + grace.min(FIRST_REQUEST_WAIT)), if !fresh.is_empty() => {
                    fresh.drain(..).for_each(|phases| phases.end.notify_one());
                }
                // What is left is ended with the set.
                () = sleep_until(begin + grace) => break,
            }
        }
        left
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

/// Whether no descriptor is to be had.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
