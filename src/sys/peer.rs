//! Who is at the other end of a Unix socket, as the kernel noted it when the connection was made.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

/// More groups than the kernel lets a process have.
const GROUPS_MAX: usize = 65_536 + 1;

/// Groups of most accounts fit; for more it is asked again.
const GROUPS_USUAL: usize = 32;

/// The supplementary groups of the process that connected. Waits for nothing: no account is looked up.
///
/// # Errors
///
/// ENOPROTOOPT before Linux 4.13 or for what is no Unix socket, ENODATA for one that is not connected.
pub fn groups(socket: impl AsFd) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; GROUPS_USUAL];
    loop {
        let mut bytes = libc::socklen_t::try_from(groups.len() * size_of::<u32>()).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: the descriptor is open for as long as `socket` lives; the buffer has `bytes` bytes, is valid for any
        // content, and the kernel writes no more than that and the needed length into `bytes`.
        let outcome = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = usize::try_from(bytes).unwrap_or(0) / size_of::<u32>();
        if outcome == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > GROUPS_MAX {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_groups_are_those_of_the_other_end() {
        let (one, _other) = UnixStream::pair().unwrap();
        let mut wanted: Vec<u32> =
            nix::unistd::getgroups().unwrap().into_iter().map(nix::unistd::Gid::as_raw).collect();
        let mut found = groups(&one).unwrap();
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_no_unix_socket_has_none() {
        assert!(groups(std::io::stdin()).is_err());
    }
}
