//! What a service manager (systemd) and a service say to each other: news of the service over `NOTIFY_SOCKET`, and sockets
//! that were opened for it.
//!
//! Source: `sd_notify(3)`, `sd_watchdog_enabled(3)`, `sd_listen_fds(3)`.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::{descriptors, exec};

const ADDRESS: &str = "NOTIFY_SOCKET";
const INTERVAL: &str = "WATCHDOG_USEC";
const WATCHED: &str = "WATCHDOG_PID";
const PASSED_TO: &str = "LISTEN_PID";
const PASSED: &str = "LISTEN_FDS";
const PASSED_NAMES: &str = "LISTEN_FDNAMES";

/// What is between the service manager and the process it started, and nobody else's: a program that had it could speak
/// for the daemon.
pub const VARIABLES: [&str; 8] =
    [ADDRESS, INTERVAL, WATCHED, PASSED_TO, PASSED, PASSED_NAMES, "LISTEN_PIDFDID", "FDSTORE"];

/// What the names of our own descriptors in the service manager's store begin with.
const STORED: &str = "galaxyd-";

/// The longest name that it takes, bytes.
const STORED_NAME_MAX: usize = 255;

/// The first descriptor that is passed.
const FIRST: RawFd = 3;

/// A service manager that wants to hear of this process.
#[derive(Debug)]
pub struct ServiceManager {
    socket: OwnedFd,
}

impl ServiceManager {
    /// Whether one is named in the environment.
    #[must_use]
    pub fn is_named() -> bool {
        std::env::var_os(ADDRESS).is_some()
    }

    /// The one that is named in the environment; `None` if none is, or it cannot be reached by a unix socket.
    #[must_use]
    pub fn of_environment() -> Option<Self> {
        Self::at(&std::env::var_os(ADDRESS)?).ok()
    }

    /// `address` is a path, or `@` and the name of an abstract socket.
    ///
    /// # Errors
    ///
    /// Nobody is there; it is no address of a unix socket.
    pub fn at(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => UnixAddr::new_abstract(name)?,
            [b'/', ..] => UnixAddr::new(Path::new(address))?,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        connect(socket.as_raw_fd(), &address)?;
        Ok(Self { socket })
    }

    /// Says these lines, with descriptors for its store if there are any. Never blocks.
    ///
    /// # Errors
    ///
    /// `WouldBlock` while it has too much to read; ECONNREFUSED if it is gone.
    pub fn tell(&self, lines: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        descriptors::send(&self.socket, lines.as_bytes(), descriptors)
    }
}

/// The name in the store of what is held under `name` here; `None` if it would be too long. What the service manager does
/// not take in a name is written as `%3A`.
#[must_use]
pub fn stored_name(name: &str) -> Option<String> {
    let escape = |byte: u8| match byte {
        b' '..=b'~' if byte != b':' && byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let stored: String = [STORED.to_owned()].into_iter().chain(name.bytes().map(escape)).collect();
    (stored.len() <= STORED_NAME_MAX).then_some(stored)
}

/// The reverse of [`stored_name`]; `None` for what is not ours.
#[must_use]
pub fn held_name(stored: &str) -> Option<String> {
    let mut pieces = stored.strip_prefix(STORED)?.split('%');
    let mut name = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        name.push(u8::from_str_radix(digits, 16).ok()?);
        name.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(name).ok()
}

/// The lines that put a descriptor into the store, to be sent with it. It stays there whatever becomes of its other end.
#[must_use]
pub fn store(name: &str) -> Option<String> {
    stored_name(name).map(|name| format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0"))
}

/// The lines that take what has this name out of the store.
#[must_use]
pub fn forget_stored(name: &str) -> Option<String> {
    stored_name(name).map(|name| format!("FDSTOREREMOVE=1\nFDNAME={name}"))
}

/// How often the service manager must hear that this process lives; `None` if it does not care.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_meant = std::env::var_os(WATCHED).is_none() || number(WATCHED) == Some(u64::from(std::process::id()));
    number(INTERVAL).filter(|interval| is_meant && *interval > 0).map(Duration::from_micros)
}

/// The descriptors that the service manager passed to this process, with their names. To be called once, first of all,
/// while there is one thread.
#[must_use]
pub fn passed_descriptors() -> Vec<(String, OwnedFd)> {
    let [to, count, names] = [PASSED_TO, PASSED, PASSED_NAMES].map(exec::take_variable);
    let text = |value: &Option<std::ffi::OsString>| value.as_deref().and_then(OsStr::to_str).map(str::to_owned);
    if text(&to) != Some(std::process::id().to_string()) {
        return Vec::new();
    }
    let count = text(&count).and_then(|count| count.parse::<RawFd>().ok()).unwrap_or(0);
    let names = text(&names).unwrap_or_default();
    let names = names.split(':').chain(std::iter::repeat(""));
    let numbers = FIRST..FIRST.saturating_add(count);
    numbers.zip(names).map_while(|(number, name)| Some((name.to_owned(), descriptors::adopt(number).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    #[test]
    fn news_arrive_at_paths_and_at_abstract_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("galaxyd-test-{}", std::process::id());
        let at_path = UnixDatagram::bind(&path).unwrap();
        let at_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (receiver, address) in [(at_path, path.into_os_string()), (at_name, format!("@{name}").into())] {
            let manager = ServiceManager::at(&address).unwrap();
            let file = tempfile::tempfile().unwrap();
            manager.tell("FDSTORE=1\nFDNAME=x\nFDPOLL=0", &[file.as_fd()]).unwrap();
            let mut buffer = [0; 100];
            let (length, carried) = descriptors::receive(&receiver, &mut buffer).unwrap();
            assert_eq!((&buffer[..length], carried.len()), (&b"FDSTORE=1\nFDNAME=x\nFDPOLL=0"[..], 1));
        }
    }

    #[test]
    fn a_manager_that_reads_nothing_blocks_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _receiver = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::at(path.as_os_str()).unwrap();
        let refused = std::iter::repeat_with(|| manager.tell("STATUS=x", &[])).find_map(Result::err).unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn names_in_the_store_are_read_back_and_have_no_colon() {
        for name in ["", "listener:unix:/run/a b.sock", "socket:tcp://[::1]:9000", "100%", "ü\n"] {
            let stored = stored_name(name).unwrap();
            assert!(stored.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b':'), "{stored}");
            assert_eq!(held_name(&stored).as_deref(), Some(name));
        }
        assert_eq!(stored_name(&":".repeat(100)), None);
        for other in ["control", "", "galaxyd-%", "galaxyd-%zz", "galaxyd-%FF"] {
            assert_eq!(held_name(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["", "relative", "vsock:2:1", "/nowhere/at/all"] {
            assert!(ServiceManager::at(OsStr::new(address)).is_err(), "{address}");
        }
    }
}
