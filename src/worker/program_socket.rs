//! Makes the listening socket that the processes of a program share: Supervisor's procedure, without its races.
//!
//! Blocks for as long as the file system or the look-up of a host takes: not for the control loop.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, listen, setsockopt,
    shutdown, socket, sockopt,
};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, geteuid, unlinkat};

use crate::config::{Owner, Passing, SocketConfig};
use crate::http;
use crate::logs::{Level, log};
use crate::sys::beneath;

/// Why there is no socket; the reasons are worded as by Python, whose texts people search for.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("[Errno {number}] {}", .0.desc(), number = *.0 as i32)]
    Os(Errno),
    #[error("AF_UNIX path too long")]
    PathTooLong,
    #[error("{} exists and is not a socket; remove it or configure another socket", .0.display())]
    NotASocket(PathBuf),
    #[error("another file took the place of {}", .0.display())]
    Replaced(PathBuf),
    #[error("Could not change permissions of socket file: [Errno {number}] {}: '{}'", .0.desc(), .1.display(), number = *.0 as i32)]
    Mode(Errno, PathBuf),
    #[error("Could not change ownership of socket file: [Errno {number}] {}: '{}'", .0.desc(), .1.display(), number = *.0 as i32)]
    Owner(Errno, PathBuf),
    #[error("cannot find the address of host '{host}': {source}")]
    Host { host: String, source: io::Error },
    #[error("{0}")]
    Taken(String),
    #[error("it is neither unix:///path nor tcp://host:port")]
    Address,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Os(errno)
    }
}

/// Makes the socket, bound and listening.
///
/// # Errors
/// Supervisor's text: which socket, and why not.
pub(super) fn create(config: &SocketConfig) -> Result<OwnedFd, String> {
    log(Level::Info, &creating(config));
    let what = if config.passing == Passing::Stdin { "FastCGI socket" } else { "socket" };
    listening(config).map_err(|failure| format!("Could not create {what} {}: {failure}", config.url))
}

/// Whether a socket that was kept is still what is wanted. It is not where its file is gone or another one, or wanted
/// with another owner or mode; then nobody can connect to it any more. Blocks.
pub(super) fn renew(config: &SocketConfig, former: &OwnedFd) -> bool {
    if config.url.strip_prefix("unix://").is_none_or(|file| is_in_place(Path::new(file), config)) {
        // Fails only for what is no socket, which the keeper would not hold.
        return backlog(config).and_then(|backlog| listen(former, backlog)).is_ok();
    }
    log(Level::Warn, &format!("the file of socket {} is gone or has changed; it is made anew", config.url));
    // Or it would be taken for somebody else's.
    let _ = shutdown(former.as_raw_fd(), Shutdown::Both);
    false
}

/// Whether the file of a socket has the owner and the mode that are wanted.
fn is_in_place(file: &Path, config: &SocketConfig) -> bool {
    let Some(status) = Place::of(file).ok().and_then(|place| place.status().ok().flatten()) else { return false };
    let owner = config.owner.as_ref();
    let has_owner = status.st_uid == owner.map_or(geteuid().as_raw(), |owner| owner.uid)
        && owner.and_then(|owner| owner.gid).is_none_or(|gid| gid == status.st_gid);
    is_socket(&status) && has_owner && config.mode.is_none_or(|mode| mode == status.st_mode & 0o7777)
}

/// Makes the socket and closes it again, so that what is wrong with it shows when its group is made.
///
/// # Errors
/// As for [`create`].
pub(super) fn test(config: &SocketConfig) -> Result<(), String> {
    create(config)?;
    log(Level::Info, &closing(&config.url));
    Ok(())
}

/// Supervisor's line.
pub(super) fn creating(config: &SocketConfig) -> String {
    format!("Creating socket {}", config.url)
}

/// Supervisor's line.
pub(super) fn closing(url: &str) -> String {
    format!("Closing socket {url}")
}

fn listening(config: &SocketConfig) -> Result<OwnedFd, Failure> {
    let socket = if let Some(file) = config.url.strip_prefix("unix://") {
        bind_unix(Path::new(file), config)?
    } else if let Some(address) = config.url.strip_prefix("tcp://") {
        bind_inet(address)?
    } else {
        return Err(Failure::Address);
    };
    listen(&socket, backlog(config)?)?;
    Ok(socket)
}

fn backlog(config: &SocketConfig) -> Result<Backlog, Errno> {
    Backlog::new(config.backlog.and_then(|backlog| i32::try_from(backlog).ok()).unwrap_or(libc::SOMAXCONN))
}

/// Nobody can connect before `listen`, so mode and owner are in place when somebody can.
fn bind_unix(file: &Path, config: &SocketConfig) -> Result<OwnedFd, Failure> {
    let address = UnixAddr::new(file).map_err(|_| Failure::PathTooLong)?;
    let place = Place::of(file)?;
    if let Some(before) = place.status()? {
        if !is_socket(&before) {
            return Err(Failure::NotASocket(file.to_owned()));
        }
        // Of a pool, Supervisor takes away whatever socket is there.
        if config.passing == Passing::Listen
            && let Some(who) = http::who_listens_at(file)
        {
            return Err(Failure::Taken(who));
        }
        unlinkat(&place.directory, place.name, UnlinkatFlags::NoRemoveDir)?;
    }
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // By its full name: programs ask the socket for it. A link in its place is refused by the kernel, not followed.
    bind(socket.as_raw_fd(), &address)?;
    if let Err(failure) = place.give(file, config) {
        // Best effort: what could not be given away is of no use to anybody.
        let _ = unlinkat(&place.directory, place.name, UnlinkatFlags::NoRemoveDir);
        return Err(failure);
    }
    Ok(socket)
}

fn is_socket(status: &FileStat) -> bool {
    status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits()
}

/// A name in a directory that is held open, so that it stays the same one.
struct Place<'a> {
    directory: OwnedFd,
    name: &'a Path,
}

impl<'a> Place<'a> {
    fn of(file: &'a Path) -> Result<Place<'a>, Failure> {
        let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else {
            return Err(Failure::NotASocket(file.to_owned()));
        };
        let directory = open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Place { directory, name: Path::new(name) })
    }

    /// What is there, itself and not what it points to; `None` if nothing is.
    fn status(&self) -> Result<Option<FileStat>, Failure> {
        match fstatat(&self.directory, self.name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sets owner and mode of the socket that was just bound here, and of nothing else that somebody may have put in
    /// its place.
    fn give(&self, file: &Path, config: &SocketConfig) -> Result<(), Failure> {
        let bound = beneath::open(&self.directory, self.name, OFlag::O_PATH, Mode::empty())?;
        let status = fstat(&bound)?;
        if !is_socket(&status) || status.st_uid != geteuid().as_raw() {
            return Err(Failure::Replaced(file.to_owned()));
        }
        if let Some(Owner { uid, gid }) = config.owner {
            fchownat(&bound, "", Some(Uid::from_raw(uid)), gid.map(Gid::from_raw), AtFlags::AT_EMPTY_PATH)
                .map_err(|errno| Failure::Owner(errno, file.to_owned()))?;
        }
        if let Some(mode) = config.mode {
            // A descriptor opened by O_PATH has no mode to change, what its name in /proc leads to has.
            let name = format!("/proc/self/fd/{}", bound.as_fd().as_raw_fd());
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(name, mode).map_err(|error| Failure::Mode(errno_of(&error), file.to_owned()))?;
        }
        Ok(())
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn bind_inet(address: &str) -> Result<OwnedFd, Failure> {
    let (host, port) = address.rsplit_once(':').ok_or(Failure::Address)?;
    let address = resolve(host, port.parse().map_err(|_| Failure::Address)?)?;
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(TcpListener::from(socket).into())
}

/// The host's first IPv4 address, as Supervisor knows no others; one of IPv6 if it has no other.
fn resolve(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let failed = |source| Failure::Host { host: host.to_owned(), source };
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    address.copied().ok_or_else(|| failed(io::Error::from(io::ErrorKind::NotFound)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn unix(file: &Path) -> SocketConfig {
        SocketConfig {
            url: format!("unix://{}", file.display()),
            backlog: None,
            owner: None,
            mode: Some(0o640),
            passing: Passing::Stdin,
        }
    }

    #[test]
    fn a_unix_socket_has_its_mode_and_name_and_listens() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.sock");
        let listener: UnixListener = create(&unix(&file)).unwrap().into();
        let status = fs::symlink_metadata(&file).unwrap();
        assert!(status.file_type().is_socket());
        assert_eq!(status.permissions().mode() & 0o7777, 0o640);
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(file.as_path()));
        UnixStream::connect(&file).unwrap();
    }

    #[test]
    fn a_socket_in_the_way_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.sock");
        let _former = create(&unix(&file)).unwrap();
        let _second = create(&unix(&file)).unwrap();
        UnixStream::connect(&file).unwrap();
        let precious = folder.path().join("precious");
        fs::write(&precious, "data").unwrap();
        let text = create(&unix(&precious)).unwrap_err();
        assert!(text.ends_with("exists and is not a socket; remove it or configure another socket"), "{text}");
        let link = folder.path().join("link");
        symlink(&precious, &link).unwrap();
        create(&unix(&link)).unwrap_err();
        assert_eq!(fs::read_to_string(&link).unwrap(), "data");
    }

    #[test]
    fn a_test_leaves_the_file_as_supervisor_does_but_nobody_listens() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.sock");
        test(&unix(&file)).unwrap();
        assert!(file.exists());
        assert_eq!(UnixStream::connect(&file).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn failures_say_which_socket_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("no/f.sock");
        let wanted =
            format!("Could not create FastCGI socket unix://{}: [Errno 2] No such file or directory", file.display());
        assert_eq!(create(&unix(&file)).unwrap_err(), wanted);
        let long = folder.path().join("x".repeat(200));
        assert!(create(&unix(&long)).unwrap_err().ends_with(": AF_UNIX path too long"));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("tcp://{}", taken.local_addr().unwrap());
        let config = SocketConfig { url, backlog: Some(5), owner: None, mode: None, passing: Passing::Stdin };
        assert!(create(&config).unwrap_err().ends_with("[Errno 98] Address already in use"));
        // Not the same port again: another test's child may have a copy of what was just closed.
        create(&SocketConfig { url: "tcp://127.0.0.1:0".to_owned(), ..config }).unwrap();
    }
}
