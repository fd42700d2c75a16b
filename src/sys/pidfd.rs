//! Processes that are not our children, held by a descriptor, so that a number used again is never meant: signalled, and
//! their end seen.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use super::proc_table::{self, Identity};
use super::reap::Exit;
use super::signals;

/// A hold on one process. Becomes readable when it has ended.
///
/// # Errors
///
/// ESRCH when there is no such process (any more), also when another has its number; whether there is one is not known:
/// ENOSYS before Linux 5.3, EMFILE, ENFILE, ENOMEM.
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
    match proc_table::one(identity.pid)? {
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

/// Sends `signal` to all members of the process group that the process leads.
///
/// # Errors
///
/// ESRCH when it has ended, EPERM, EINVAL.
pub fn send_to_group(process: impl AsFd, pid: i32, signal: i32) -> io::Result<()> {
    let descriptor = process.as_fd().as_raw_fd();
    // SAFETY: as for `send`.
    let outcome = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, descriptor, signal, std::ptr::null::<libc::siginfo_t>(), TO_GROUP)
    };
    match io::Error::last_os_error() {
        _ if outcome != -1 => Ok(()),
        // Before Linux 6.9. As long as the leader is there, reaped or not, its number names its group and no other.
        error if error.raw_os_error() == Some(libc::EINVAL) => {
            send(process, 0)?;
            signals::send_to_group(pid, signal)
        }
        error => Err(error),
    }
}

/// `PIDFD_SIGNAL_PROCESS_GROUP`. Source: `pidfd_send_signal(2)`.
const TO_GROUP: libc::c_uint = 1 << 2;

/// How the process ended; `None` while it lives or its parent has not collected it, and on kernels that do not tell
/// (before 6.15).
#[must_use]
pub fn exit(process: impl AsFd) -> Option<Exit> {
    let mut information = Information { mask: INFORMATION_EXIT, ..Information::default() };
    // SAFETY: the kernel writes at most as many bytes as the number of the call says, which are those of the structure.
    let outcome = unsafe { libc::ioctl(process.as_fd().as_raw_fd(), GET_INFORMATION, &raw mut information) };
    let is_told = outcome != -1 && information.mask & INFORMATION_EXIT != 0;
    if is_told { Exit::of_status(information.exit_code) } else { None }
}

/// `struct pidfd_info` in its first version. Source: `linux/pidfd.h`.
#[repr(C)]
#[derive(Default)]
struct Information {
    mask: u64,
    cgroup: u64,
    /// pid, tgid, ppid, and the eight user and group ids.
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`.
const INFORMATION_EXIT: u64 = 1 << 3;

/// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)`.
#[expect(clippy::cast_possible_truncation, reason = "64")]
const GET_INFORMATION: libc::Ioctl = ((3 << 30) | ((size_of::<Information>() as u32) << 16) | (0xff << 8) | 0x0b) as _;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some process that is to end")]
    fn the_end_of_a_process_is_told_after_it_was_collected_or_not_at_all() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read x; exit 42"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id().cast_signed();
        let held = open(proc_table::one(pid).unwrap().unwrap().identity).unwrap();
        assert_eq!(exit(&held), None);
        send_to_group(&held, pid, 0).unwrap_err();
        drop(child.stdin.take());
        child.wait().unwrap();
        let told = exit(&held);
        assert!(matches!(told, Some(Exit::Code(42)) | None), "{told:?}");
        assert_eq!(send(&held, 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn only_the_process_meant_is_held() {
        let me = i32::try_from(std::process::id()).unwrap();
        let identity = proc_table::one(me).unwrap().unwrap().identity;
        send(open(identity).unwrap(), 0).unwrap();
        let other = Identity { start: identity.start + 1, ..identity };
        assert_eq!(open(other).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
