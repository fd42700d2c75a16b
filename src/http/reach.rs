//! Who is at the other end of a unix socket's file: nobody, a daemon, or somebody else. Never waits.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, UnixCredentials, connect, getsockopt, socket, sockopt,
};

use super::bind::BindError;
use crate::config::{ServerConfig, UnixServer};
use crate::rpc::printable;
use crate::sys::proc_table;

/// Whether someone listens on the socket. Never waits, not even for a daemon that hangs.
pub(super) fn is_served(file: &Path) -> Result<bool, BindError> {
    match reach(file)? {
        // EAGAIN: someone listens, and does not accept.
        (_, Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS)) => Ok(true),
        (_, Err(Errno::ECONNREFUSED | Errno::ENOENT | Errno::ENOTSOCK | Errno::ELOOP | Errno::EPROTOTYPE)) => Ok(false),
        (_, Err(errno)) => Err(errno.into()),
    }
}

/// Tries to connect, without waiting.
fn reach(file: &Path) -> Result<(OwnedFd, nix::Result<()>), BindError> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let outcome = connect(probe.as_raw_fd(), &UnixAddr::new(file).map_err(|_| BindError::PathTooLong)?);
    Ok((probe, outcome))
}

fn peer(file: &Path) -> Option<UnixCredentials> {
    let (probe, outcome) = reach(file).ok()?;
    outcome.ok()?;
    getsockopt(&probe, sockopt::PeerCredentials).ok()
}

/// The process that began to listen on the unix socket of this server, which may have handed it on since, or be gone. `None` if
/// nobody listens, or the kernel does not tell.
#[must_use]
pub fn listening_process(server: &ServerConfig) -> Option<i32> {
    let ServerConfig::Unix(UnixServer { file, .. }) = server else { return None };
    peer(file).map(|peer| peer.pid()).filter(|pid| *pid > 0)
}

/// Who listens on the unix socket of this server, in words: the process that began to, which may have handed it on since.
/// `None` if nobody does, or the kernel does not tell.
#[must_use]
pub fn who_listens(server: &ServerConfig) -> Option<String> {
    let ServerConfig::Unix(UnixServer { file, .. }) = server else { return None };
    who_listens_at(file)
}

/// Who accepts connections at a socket's file. Blocks no longer than it takes to connect or be refused.
#[must_use]
pub fn who_listens_at(file: &Path) -> Option<String> {
    let peer = peer(file)?;
    let (pid, uid, file) = (peer.pid(), peer.uid(), file.display());
    Some(match proc_table::command(pid) {
        Some(command) => format!("process {pid} of user {uid} listens at {file}: {}", printable(&command)),
        // Of another container, or it is gone and a child of it serves on.
        None => format!("a process of user {uid} that cannot be seen from here listens at {file}"),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::config::{Access, PageConfig};

    #[test]
    fn who_listens_is_told_with_its_command() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.sock");
        let server = ServerConfig::Unix(UnixServer {
            section: "unix_http_server".to_owned(),
            file: file.clone(),
            chmod: 0o700,
            chown: None,
            auth: None,
            access: Access::default(),
            page: PageConfig::default(),
        });
        assert_eq!(who_listens(&server), None);
        let listener = UnixListener::bind(&file).unwrap();
        assert_eq!(listening_process(&server), i32::try_from(std::process::id()).ok());
        let told = who_listens(&server).unwrap();
        assert!(told.starts_with(&format!("process {} of user ", std::process::id())), "{told}");
        assert!(told.contains("s.sock: ") && told.contains("galaxyd"), "{told}");
        drop(listener);
        assert_eq!(listening_process(&server), None);
        assert_eq!(who_listens(&server), None);
    }
}
