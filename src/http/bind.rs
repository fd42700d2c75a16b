//! Makes listening sockets: Supervisor's procedure and texts, without its races.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, UnixAddr, bind as bind_socket, getsockname,
    getsockopt, listen, setsockopt, socket, sockopt,
};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, User, fchownat, geteuid};

use super::limits::BACKLOG;
use super::reach::is_served;
use crate::config::{InetServer, Owner, ServerConfig, UnixServer};

/// Takeovers of a stale socket, before it counts as used: someone else is taking it over at the same time.
const TAKEOVER_TRIES: usize = 8;

/// Why an endpoint could not be opened; `Display` is Supervisor's text, printed as usage error with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "Another program is already listening on a port that one of our HTTP servers is configured to use.  Shut this \
         program down first before starting supervisord."
    )]
    InUse,
    #[error("Cannot open an HTTP server: socket.error reported errno.{0:?} ({number})", number = *.0 as i32)]
    Os(Errno),
    #[error("Cannot open an HTTP server: socket.error reported AF_UNIX path too long")]
    PathTooLong,
    #[error(
        "Not permitted to chown {file} to uid/gid ({uid}, {gid}); adjust \"sockchown\" value in config file or on command \
         line to values that the current user ({user}) can successfully chown", file = .file.display()
    )]
    Chown { file: PathBuf, uid: u32, gid: i64, user: String },
    /// Differs: Supervisor 4.3 deletes whatever lies at the path.
    #[error(
        "Cannot open an HTTP server: {} exists and is not a socket; remove it or configure another file", .0.display()
    )]
    NotASocket(PathBuf),
    #[error("Cannot open an HTTP server: cannot find the address of host '{host}': {source}")]
    Host { host: String, source: io::Error },
    /// Differs: Supervisor 4.3 serves whoever reaches the address.
    #[error(
        "Cannot open an HTTP server: '{host}' is {address} here, which other hosts may reach, and there is no password; add \
         username= and password=, or listen on 127.0.0.1"
    )]
    Exposed { host: String, address: SocketAddr },
}

impl From<Errno> for BindError {
    fn from(errno: Errno) -> BindError {
        if errno == Errno::EADDRINUSE { BindError::InUse } else { BindError::Os(errno) }
    }
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> BindError {
        error.raw_os_error().map_or(BindError::Os(Errno::EIO), |number| Errno::from_raw(number).into())
    }
}

/// A listening socket: of the standard library, so that its descriptor can be handed to another process.
#[derive(Debug)]
pub enum BoundListener {
    Unix(BoundUnix),
    Inet(TcpListener),
}

/// A listening unix socket and the file it is found at.
#[derive(Debug)]
pub struct BoundUnix {
    pub listener: UnixListener,
    pub file: PathBuf,
    /// The file of a daemon that is gone was replaced; Supervisor prints `Unlinking stale socket FILE` then.
    pub took_over: bool,
    /// Device and inode of the file that is ours.
    identity: Option<(u64, u64)>,
}

impl BoundListener {
    /// The listener for a descriptor that was bound for `server` before, by this or another process.
    #[must_use]
    pub fn adopt(descriptor: OwnedFd, server: &ServerConfig) -> BoundListener {
        match server {
            ServerConfig::Unix(unix) => BoundListener::Unix(BoundUnix {
                listener: descriptor.into(),
                file: unix.file.clone(),
                took_over: false,
                identity: identity(&unix.file),
            }),
            ServerConfig::Inet(_) => BoundListener::Inet(descriptor.into()),
        }
    }

    /// The line that Supervisor prints on stderr when it takes over a stale socket.
    #[must_use]
    pub fn stale_notice(&self) -> Option<String> {
        match self {
            BoundListener::Unix(unix) if unix.took_over => {
                Some(format!("Unlinking stale socket {}", unix.file.display()))
            }
            BoundListener::Unix(_) | BoundListener::Inet(_) => None,
        }
    }

    /// A second descriptor of the same socket, to be kept or handed on.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn try_clone(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }
}

impl AsFd for BoundListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            BoundListener::Unix(unix) => unix.listener.as_fd(),
            BoundListener::Inet(listener) => listener.as_fd(),
        }
    }
}

/// The name that messages give an endpoint.
impl fmt::Display for BoundListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BoundListener::Unix(unix) => write!(f, "unix://{}", unix.file.display()),
            BoundListener::Inet(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "http://{address}"),
                Err(_) => write!(f, "an inet socket"),
            },
        }
    }
}

/// Which file a socket is found at, to remove it when the daemon ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketFile {
    file: PathBuf,
    identity: (u64, u64),
}

impl BoundUnix {
    /// The file as it is now ours; `None` if it was not when the socket was bound or adopted.
    #[must_use]
    pub fn socket_file(&self) -> Option<SocketFile> {
        self.identity.map(|identity| SocketFile { file: self.file.clone(), identity })
    }
}

impl SocketFile {
    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Whether the file is there and still ours.
    #[must_use]
    pub fn is_there(&self) -> bool {
        identity(&self.file) == Some(self.identity)
    }

    /// Removes the file, unless another daemon has put its own there meanwhile.
    ///
    /// # Errors
    /// When the file is ours and cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        if self.is_there() { fs::remove_file(&self.file) } else { Ok(()) }
    }
}

/// Binds one endpoint and listens. Blocks for as long as the lookup of a host name takes.
///
/// # Errors
/// See [`BindError`].
pub fn bind(server: &ServerConfig) -> Result<BoundListener, BindError> {
    match server {
        ServerConfig::Unix(unix) => bind_unix(unix).map(BoundListener::Unix),
        ServerConfig::Inet(inet) => bind_inet(inet).map(BoundListener::Inet),
    }
}

/// Whether somebody else listens where `server` wants to.
#[must_use]
pub fn is_in_use(server: &ServerConfig) -> bool {
    match server {
        ServerConfig::Unix(unix) => is_served(&unix.file).unwrap_or(false),
        ServerConfig::Inet(inet) => matches!(bind_inet(inet), Err(BindError::InUse)),
    }
}

/// Whether `descriptor` is a socket that listens where `server` wants to. Blocks as [`bind`] does.
#[must_use]
pub fn listens_for(descriptor: impl AsFd, server: &ServerConfig) -> bool {
    let is_listening = getsockopt(&descriptor, sockopt::AcceptConn).unwrap_or(false);
    let address = getsockname::<SockaddrStorage>(descriptor.as_fd().as_raw_fd());
    let Some(address) = address.ok().filter(|_| is_listening) else { return false };
    match server {
        ServerConfig::Unix(unix) => {
            address.as_unix_addr().and_then(UnixAddr::path).is_some_and(|path| path == unix.file)
        }
        ServerConfig::Inet(inet) => {
            let inherited = address
                .as_sockaddr_in()
                .map(|address| SocketAddr::from(*address))
                .or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::from(*address)));
            inherited.is_some() && inherited == resolve(&inet.host, inet.port).ok()
        }
    }
}

/// Takes up a socket that was bound for the same address before, with the access that `server` gives now; binds anew
/// if its file has vanished.
///
/// # Errors
/// See [`BindError`].
pub fn rebind(descriptor: OwnedFd, server: &ServerConfig) -> Result<BoundListener, BindError> {
    if let ServerConfig::Unix(unix) = server {
        if identity(&unix.file).is_none() {
            return bind(server);
        }
        settle(&unix.file, unix)?;
    }
    Ok(BoundListener::adopt(descriptor, server))
}

/// Binds under a name of our own, and only when the socket has mode and owner and answers, gives it its real name, so
/// that nobody ever meets half a socket, and a second daemon never takes ours for a stale one.
fn bind_unix(server: &UnixServer) -> Result<BoundUnix, BindError> {
    let file = &server.file;
    let temporary = Temporary::beside(file);
    let address = UnixAddr::new(&temporary.0).map_err(|_| BindError::PathTooLong)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    match fs::remove_file(&temporary.0) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    bind_socket(socket.as_raw_fd(), &address)?;
    settle(&temporary.0, server)?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    let took_over = publish(&temporary.0, file)?;
    Ok(BoundUnix { listener: socket.into(), file: file.clone(), took_over, identity: identity(file) })
}

/// The name a socket is bound under first; removed when it has its real one, or when binding failed.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(file: &Path) -> Temporary {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        Temporary(name.into())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already when it was renamed; and nobody is there to be told that it cannot be removed.
        drop(fs::remove_file(&self.0));
    }
}

/// Gives the socket at `path` its mode and owner: the very file that is looked at, as somebody who may write in its
/// directory could put a link to another one in its place meanwhile.
fn settle(path: &Path, server: &UnixServer) -> Result<(), BindError> {
    let held = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let metadata = File::from(held.try_clone()?).metadata()?;
    if !metadata.file_type().is_socket() || metadata.nlink() != 1 {
        return Err(BindError::NotASocket(server.file.clone()));
    }
    // chmod(2) follows this one link, to what is held and nothing else.
    fs::set_permissions(format!("/proc/self/fd/{}", held.as_raw_fd()), Permissions::from_mode(server.chmod))?;
    match &server.chown {
        Some(owner) => give(&held, &server.file, owner),
        None => Ok(()),
    }
}

/// Changes the owner of an open file; `file` is what the message calls it.
fn give(held: &OwnedFd, file: &Path, owner: &Owner) -> Result<(), BindError> {
    let (uid, gid) = (Uid::from_raw(owner.uid), owner.gid.map(Gid::from_raw));
    match fchownat(held, "", Some(uid), gid, AtFlags::AT_EMPTY_PATH) {
        Ok(()) => Ok(()),
        Err(Errno::EPERM) => {
            let user = User::from_uid(geteuid()).ok().flatten();
            Err(BindError::Chown {
                file: file.to_owned(),
                uid: owner.uid,
                gid: owner.gid.map_or(-1, i64::from),
                user: user.map_or_else(|| geteuid().to_string(), |user| user.name),
            })
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Gives the socket its real name; true if that of a stale socket had to be replaced.
fn publish(temporary: &Path, file: &Path) -> Result<bool, BindError> {
    let mut took_over = false;
    for _ in 0..TAKEOVER_TRIES {
        match fs::hard_link(temporary, file) {
            Ok(()) => return Ok(took_over),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // A file system without hard links.
            Err(_) if identity(file).is_none() => {
                fs::rename(temporary, file)?;
                return Ok(took_over);
            }
            Err(error) => return Err(error.into()),
        }
        let Ok(before) = fs::symlink_metadata(file) else { continue };
        if !before.file_type().is_socket() && !before.file_type().is_symlink() {
            return Err(BindError::NotASocket(file.to_owned()));
        }
        if is_served(file)? {
            return Err(BindError::InUse);
        }
        took_over = true;
        // Still the one that nobody serves: otherwise another daemon was faster, and its socket is looked at anew.
        if identity(file) == Some((before.dev(), before.ino())) {
            fs::rename(temporary, file)?;
            return Ok(took_over);
        }
    }
    Err(BindError::InUse)
}

fn identity(file: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(file).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn bind_inet(server: &InetServer) -> Result<TcpListener, BindError> {
    let address = resolve(&server.host, server.port)?;
    if is_exposed(server, address) {
        return Err(BindError::Exposed { host: server.host.clone(), address });
    }
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind_socket(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket.into())
}

/// Whether a name that was taken for this host alone when the configuration was read leads elsewhere, on an endpoint
/// without a password. Addresses have been judged then.
fn is_exposed(server: &InetServer, address: SocketAddr) -> bool {
    let bare = server.host.trim_matches(['[', ']']);
    let is_name = !bare.is_empty() && bare.parse::<IpAddr>().is_err();
    let has_password = server.auth.as_ref().is_some_and(|auth| !auth.password.is_empty());
    is_name && !has_password && !server.allow_unauthenticated && !address.ip().is_loopback()
}

/// The host's first IPv4 address, as Supervisor binds only those; an IPv6 address if it has no other.
fn resolve(host: &str, port: u16) -> Result<SocketAddr, BindError> {
    if host.is_empty() {
        return Ok((std::net::Ipv4Addr::UNSPECIFIED, port).into());
    }
    let failed = |source| BindError::Host { host: host.to_owned(), source };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let addresses: Vec<SocketAddr> = (bare, port).to_socket_addrs().map_err(failed)?.collect();
    addresses
        .iter()
        .find(|address| address.is_ipv4())
        .or(addresses.first())
        .copied()
        .ok_or_else(|| failed(io::Error::from(io::ErrorKind::NotFound)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::config::{Access, PageConfig, ServerAuth};

    fn unix(file: PathBuf) -> ServerConfig {
        ServerConfig::Unix(UnixServer {
            section: "unix_http_server".to_owned(),
            file,
            chmod: 0o600,
            chown: None,
            auth: None,
            access: Access::default(),
            page: PageConfig::default(),
        })
    }

    fn inet(host: &str, port: u16) -> ServerConfig {
        ServerConfig::Inet(InetServer {
            section: "inet_http_server".to_owned(),
            host: host.to_owned(),
            port,
            auth: None,
            access: Access::default(),
            allow_unauthenticated: false,
            page: PageConfig::default(),
        })
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_unix_socket_has_its_mode_and_leaves_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.sock");
        let bound = bind(&unix(file.clone())).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(names(folder.path()), ["s.sock"]);
        assert_eq!(bound.stale_notice(), None);
        UnixStream::connect(&file).unwrap();
    }

    #[test]
    fn a_served_socket_is_in_use_and_keeps_working() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.sock");
        let _first = bind(&unix(file.clone())).unwrap();
        let error = bind(&unix(file.clone())).unwrap_err();
        assert!(error.to_string().starts_with("Another program is already listening on a port"), "{error}");
        assert!(
            error.to_string().contains("configured to use.  Shut this program down first before starting supervisord.")
        );
        assert_eq!(names(folder.path()), ["s.sock"]);
        UnixStream::connect(&file).unwrap();
    }

    #[test]
    fn a_socket_whose_daemon_hangs_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.sock");
        let address = UnixAddr::new(&file).unwrap();
        let hanging = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap();
        bind_socket(hanging.as_raw_fd(), &address).unwrap();
        listen(&hanging, Backlog::new(0).unwrap()).unwrap();
        let _waiting = UnixStream::connect(&file).unwrap();
        assert!(matches!(bind(&unix(file)), Err(BindError::InUse)));
    }

    #[test]
    fn a_stale_socket_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.sock");
        drop(UnixListener::bind(&file).unwrap());
        let bound = bind(&unix(file.clone())).unwrap();
        assert_eq!(bound.stale_notice(), Some(format!("Unlinking stale socket {}", file.display())));
        assert_eq!(names(folder.path()), ["s.sock"]);
        UnixStream::connect(&file).unwrap();
    }

    #[test]
    fn what_is_not_a_socket_is_never_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("precious");
        fs::write(&file, "data").unwrap();
        assert!(matches!(bind(&unix(file.clone())), Err(BindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&file).unwrap(), "data");
        assert_eq!(names(folder.path()), ["precious"]);
    }

    #[test]
    fn errors_have_supervisors_texts() {
        let folder = tempfile::tempdir().unwrap();
        let text = |server: &ServerConfig| bind(server).unwrap_err().to_string();
        assert_eq!(
            text(&unix(folder.path().join("no/s.sock"))),
            "Cannot open an HTTP server: socket.error reported errno.ENOENT (2)"
        );
        assert_eq!(
            text(&unix(folder.path().join("x".repeat(200)))),
            "Cannot open an HTTP server: socket.error reported AF_UNIX path too long"
        );
        assert_eq!(
            text(&inet("192.0.2.1", 0)),
            "Cannot open an HTTP server: socket.error reported errno.EADDRNOTAVAIL (99)"
        );
        let chown = BindError::Chown { file: "/s".into(), uid: 5, gid: -1, user: "galaxy".into() };
        assert_eq!(
            chown.to_string(),
            "Not permitted to chown /s to uid/gid (5, -1); adjust \"sockchown\" value in config file or on command line \
             to values that the current user (galaxy) can successfully chown"
        );
    }

    #[test]
    fn a_name_for_this_host_that_leads_elsewhere_is_not_served_without_a_password() {
        let ServerConfig::Inet(plain) = inet("localhost", 9001) else { panic!("not an inet server") };
        let elsewhere: SocketAddr = "192.0.2.1:9001".parse().unwrap();
        assert!(is_exposed(&plain, elsewhere));
        assert!(
            !is_exposed(&plain, "127.0.0.1:9001".parse().unwrap())
                && !is_exposed(&plain, "[::1]:9001".parse().unwrap())
        );
        let allowed = InetServer { allow_unauthenticated: true, ..plain.clone() };
        assert!(!is_exposed(&allowed, elsewhere));
        let auth = |password: &str| Some(ServerAuth { username: "a".to_owned(), password: password.to_owned() });
        assert!(!is_exposed(&InetServer { auth: auth("b"), ..plain.clone() }, elsewhere));
        assert!(is_exposed(&InetServer { auth: auth(""), ..plain.clone() }, elsewhere));
        for host in ["", "192.0.2.1", "[::]"] {
            assert!(!is_exposed(&InetServer { host: host.to_owned(), ..plain.clone() }, elsewhere), "{host}");
        }
    }

    #[test]
    fn a_port_can_be_bound_once() {
        let bound = bind(&inet("127.0.0.1", 0)).unwrap();
        let BoundListener::Inet(listener) = &bound else { panic!("not an inet socket") };
        let port = listener.local_addr().unwrap().port();
        assert!(matches!(bind(&inet("127.0.0.1", port)), Err(BindError::InUse)));
        assert_eq!(bound.to_string(), format!("http://127.0.0.1:{port}"));
    }

    #[test]
    fn the_file_is_removed_only_while_it_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.sock");
        let BoundListener::Unix(bound) = bind(&unix(file.clone())).unwrap() else { panic!("not a unix socket") };
        let ours = bound.socket_file().unwrap();
        drop(bound);
        let second = bind(&unix(file.clone())).unwrap();
        ours.remove().unwrap();
        assert!(file.exists());
        let BoundListener::Unix(second) = second else { panic!("not a unix socket") };
        second.socket_file().unwrap().remove().unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn an_adopted_descriptor_serves_on() {
        let folder = tempfile::tempdir().unwrap();
        let server = unix(folder.path().join("s.sock"));
        let bound = bind(&server).unwrap();
        let adopted = BoundListener::adopt(bound.try_clone().unwrap(), &server);
        drop(bound);
        let BoundListener::Unix(adopted) = adopted else { panic!("not a unix socket") };
        UnixStream::connect(&adopted.file).unwrap();
        adopted.listener.accept().unwrap();
        assert!(adopted.socket_file().is_some());
    }

    #[test]
    fn a_passed_socket_is_known_by_its_address_and_by_listening() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (unix(folder.path().join("s.sock")), unix(folder.path().join("t.sock")));
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = port.local_addr().unwrap().port();
        let bound = bind(&own).unwrap();
        // Bound under another name first, it does not know the one it was given.
        assert!(!listens_for(&bound, &own));
        fs::remove_file(folder.path().join("s.sock")).unwrap();
        let passed = UnixListener::bind(folder.path().join("s.sock")).unwrap();
        assert!(listens_for(&passed, &own) && !listens_for(&passed, &other) && !listens_for(&passed, &inet("", 1)));
        assert!(listens_for(&port, &inet("127.0.0.1", number)) && !listens_for(&port, &inet("127.0.0.1", number ^ 1)));
        let connected = UnixStream::connect(folder.path().join("s.sock")).unwrap();
        assert!(!listens_for(&connected, &own));
        assert!(!listens_for(fs::File::open("/dev/null").unwrap(), &own));
    }
}
