//! Signals to processes that are not our children: by a descriptor, so that a number used again is never meant.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use super::proc_table::{self, Identity};

/// A hold on one process. Becomes readable when it has ended.
///
/// # Errors
///
/// ESRCH when there is no such process (any more), also when another has its number; ENOSYS before Linux 5.3; EMFILE,
/// ENOMEM.
pub fn open(identity: Identity) -> io::Result<OwnedFd> {
    // SAFETY: a bare system call on numbers.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, identity.pid, 0) };
    let descriptor = i32::try_from(descriptor).unwrap_or(-1);
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us; it is close-on-exec.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    // From here on the descriptor names whoever has the number now; is it the one meant?
    match proc_table::one(identity.pid) {
        Some(entry) if entry.identity == identity => Ok(descriptor),
        _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

/// Sends `signal`.
///
/// # Errors
///
/// ESRCH when it has ended, EPERM, EINVAL.
pub fn send(process: impl AsFd, signal: i32) -> io::Result<()> {
    let descriptor = process.as_fd().as_raw_fd();
    // SAFETY: a bare system call; no information is handed in.
    let outcome = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, descriptor, signal, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    if outcome == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_process_meant_is_held() {
        let me = i32::try_from(std::process::id()).unwrap();
        let identity = proc_table::one(me).unwrap().identity;
        send(open(identity).unwrap(), 0).unwrap();
        let other = Identity { start: identity.start + 1, ..identity };
        assert_eq!(open(other).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
