//! Descriptors: sent and received over sockets, adopted from a former image, kept in memory.

use std::ffi::CStr;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, getsockopt, sendmsg, socketpair, sockopt,
};
use nix::sys::stat::fstat;

/// How many descriptors one message can carry.
pub const DESCRIPTORS_MAX: usize = ROOM as usize;

const ROOM: u32 = 8;

/// A connected pair of `SOCK_SEQPACKET` sockets, both close-on-exec and non-blocking.
///
/// # Errors
///
/// EMFILE, ENFILE.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?)
}

/// Sends one message with descriptors. Never blocks, never raises SIGPIPE.
///
/// # Errors
///
/// `WouldBlock` if the socket is full; EPIPE or ECONNRESET if the other end is gone; ETOOMANYREFS
/// if too many descriptors are under way; EMSGSIZE if the message does not fit the socket's buffer.
pub fn send(socket: impl AsFd, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut numbers: [RawFd; DESCRIPTORS_MAX] = [-1; DESCRIPTORS_MAX];
    let numbers = numbers.get_mut(..descriptors.len()).ok_or(io::ErrorKind::InvalidInput)?;
    for (number, descriptor) in numbers.iter_mut().zip(descriptors) {
        *number = descriptor.as_raw_fd();
    }
    let rights = [ControlMessage::ScmRights(numbers)];
    let control: &[ControlMessage<'_>] = if descriptors.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_fd().as_raw_fd(), &[IoSlice::new(message)], control, flags, None)?;
    Ok(())
}

/// Room for the control message that carries descriptors, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

// SAFETY: a computation on a number.
const CONTROL_BYTES: usize = unsafe { libc::CMSG_SPACE(NUMBER_BYTES * ROOM) } as usize;

/// What one descriptor takes in a control message.
const NUMBER_BYTES: u32 = RawFd::BITS / 8;

/// Receives one message into `buffer`; gives its length and the descriptors it carried, all of them
/// close-on-exec. Never blocks. A length of zero is the end: the other side is gone.
///
/// When this process has no room for more open files, the message comes without (some of) its
/// descriptors, which are lost: the receiver has to count.
///
/// # Errors
///
/// `WouldBlock` if there is no message; EMSGSIZE if it did not fit into `buffer` (it is then lost);
/// ECONNRESET if the other side is gone and had not read everything.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control([0; CONTROL_BYTES]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero is a valid, empty header. (Nix' wrapper cannot give the descriptors that arrived when
    // not all of them did, so they would leak.)
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header points to one buffer and one control buffer of the lengths it says; both outlive the call.
    let length = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let descriptors = carried(&header);
    if header.msg_flags & libc::MSG_TRUNC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    Ok((length, descriptors))
}

/// How many descriptors this process has open.
///
/// # Errors
///
/// Without /proc.
pub fn open_count() -> io::Result<u64> {
    const TABLE: &str = "/proc/self/fd";
    // Since Linux 6.2 the kernel says so.
    let told = std::os::unix::fs::MetadataExt::size(&std::fs::metadata(TABLE)?);
    if told > 0 {
        return Ok(told);
    }
    // The one that the directory is read through is counted too.
    let counted = std::fs::read_dir(TABLE)?.count();
    Ok(u64::try_from(counted).unwrap_or(u64::MAX))
}

/// The descriptors in a header that `recvmsg` has just filled in. To be called once.
fn carried(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel wrote whole control messages into the buffer the header points to, and the macros walk
    // inside it; each number in an SCM_RIGHTS message is a new descriptor that nobody else owns yet.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = message.as_ref() {
            if control.cmsg_level == libc::SOL_SOCKET && control.cmsg_type == libc::SCM_RIGHTS {
                let numbers = libc::CMSG_DATA(control).cast::<[u8; NUMBER_BYTES as usize]>();
                for index in 0..ROOM {
                    if control.cmsg_len < libc::CMSG_LEN(NUMBER_BYTES * (index + 1)) as _ {
                        break;
                    }
                    descriptors.push(OwnedFd::from_raw_fd(RawFd::from_ne_bytes(*numbers.add(index as usize))));
                }
            }
            message = libc::CMSG_NXTHDR(header, control);
        }
    }
    descriptors
}

/// Takes over a descriptor that a former image of this process left open, and makes it close-on-exec.
///
/// To be called once for a number, before anything else could own it: at the start of an image.
///
/// # Errors
///
/// EBADF if it is not open; `InvalidInput` for 0, 1 and 2, which the standard library uses.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: only borrowed for the next call, which fails with EBADF if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and by the contract above nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets a descriptor survive `exec`.
///
/// # Errors
///
/// None that an open descriptor could give.
pub fn keep_over_exec(descriptor: impl AsFd) -> io::Result<()> {
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// Whether it is a socket that takes connections.
#[must_use]
pub fn is_listening(descriptor: &impl AsFd) -> bool {
    getsockopt(descriptor, sockopt::AcceptConn).unwrap_or(false)
}

/// Whether both are the same open socket or file.
#[must_use]
pub fn are_same(one: impl AsFd, other: impl AsFd) -> bool {
    let identity = |status: nix::sys::stat::FileStat| (status.st_dev, status.st_ino);
    let (one, other) = (fstat(one).map(identity), fstat(other).map(identity));
    one.is_ok() && one == other
}

/// Makes reading and writing never wait. This belongs to the open file, not to the descriptor: every
/// holder of a duplicate sees it.
///
/// # Errors
///
/// None that an open descriptor could give.
pub fn set_nonblocking(descriptor: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(descriptor.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// The seals that let another process map a file in memory without fear of its being cut short.
const SEALS: SealFlag =
    SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_WRITE).union(SealFlag::F_SEAL_SEAL);

/// An anonymous file in memory with these bytes that nobody can change any more.
///
/// # Errors
///
/// EMFILE, ENFILE, ENOMEM.
pub fn sealed_memory(name: &CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    let memory = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = nix::unistd::write(&memory, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    fcntl(&memory, FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(memory)
}

/// Whether [`sealed_memory`] made this descriptor (or something sealed as well).
#[must_use]
pub fn is_sealed(memory: impl AsFd) -> bool {
    fcntl(memory, FcntlArg::F_GET_SEALS).is_ok_and(|seals| SealFlag::from_bits_retain(seals).contains(SEALS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (left, right) = packet_pair().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        send(&left, b"hello", &[reader.as_fd(), writer.as_fd()]).unwrap();
        send(&left, b"again", &[]).unwrap();
        let mut buffer = [0; 100];
        let (length, descriptors) = receive(&right, &mut buffer).unwrap();
        assert_eq!((&buffer[..length], descriptors.len()), (&b"hello"[..], 2));
        for descriptor in &descriptors {
            let flags = FdFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFD).unwrap());
            assert!(flags.contains(FdFlag::FD_CLOEXEC));
        }
        assert_eq!(receive(&right, &mut buffer).unwrap().0, 5);
        assert_eq!(receive(&right, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(left);
        assert_eq!(receive(&right, &mut buffer).unwrap().0, 0);
    }

    #[test]
    fn a_message_too_long_for_the_buffer_is_an_error() {
        let (left, right) = packet_pair().unwrap();
        send(&left, &[7; 64], &[]).unwrap();
        let error = receive(&right, &mut [0; 10]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    }

    #[test]
    fn a_full_socket_would_block_and_a_closed_one_is_a_broken_pipe() {
        let (left, right) = packet_pair().unwrap();
        let error = loop {
            if let Err(error) = send(&left, &[0; 1000], &[]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(right);
        assert!(send(&left, b"x", &[]).is_err());
    }

    #[test]
    fn sealed_memory_cannot_be_changed() {
        let memory = sealed_memory(c"test", b"bytes").unwrap();
        assert!(is_sealed(&memory));
        assert!(nix::unistd::write(&memory, b"more").is_err());
        assert!(nix::unistd::ftruncate(&memory, 0).is_err());
        assert!(!is_sealed(tempfile::tempfile().unwrap()));
    }

    #[test]
    fn only_open_descriptors_can_be_adopted() {
        assert!(adopt(1).is_err());
        assert_eq!(adopt(100_000).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }
}
