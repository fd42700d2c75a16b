//! The socket at which one program says that it is ready: the service manager's half of `sd_notify(3)`.
//!
//! Its address is abstract, so that it needs no directory that the program can reach; whoever finds it can write to it, so
//! the kernel says with each message who did.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, bind, recvmsg,
    setsockopt, socket, sockopt,
};

use super::random;

/// Longer messages are refused, in bytes: a line that is cut would say something else. Source: systemd, `NOTIFY_BUFFER_MAX`.
const MESSAGE_MAX: usize = 4096;

/// The kernel lets no more descriptors come with one message. Source: Linux, `SCM_MAX_FD`.
const DESCRIPTORS_MAX: usize = 253;

/// What somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub text: Vec<u8>,
    /// The account of the process that wrote it.
    pub uid: u32,
}

/// A new socket that does not block, and the value of `NOTIFY_SOCKET` that leads to it.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM; there is no chance to be had.
pub fn open() -> io::Result<(OwnedFd, String)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let mailbox = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    setsockopt(&mailbox, sockopt::PassCred, &true)?;
    let name = format!("galaxyd/notify/{:032x}", u128::from_ne_bytes(random::bytes()?));
    bind(mailbox.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    Ok((mailbox, format!("@{name}")))
}

/// The next message; descriptors that come with it are closed.
///
/// # Errors
/// `WouldBlock` if there is none; `InvalidData` for one that is too long, or of nobody.
pub fn receive(mailbox: &impl AsFd) -> io::Result<Message> {
    let mut buffer = [0; MESSAGE_MAX];
    let mut control = cmsg_space!(UnixCredentials, [RawFd; DESCRIPTORS_MAX]);
    let mut pieces = [IoSliceMut::new(&mut buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(mailbox.as_fd().as_raw_fd(), &mut pieces, Some(&mut control), flags)?;
    let (length, is_cut) = (received.bytes, received.flags.contains(MsgFlags::MSG_TRUNC));
    let mut uid = None;
    for message in received.cmsgs()? {
        match message {
            ControlMessageOwned::ScmCredentials(credentials) => uid = Some(credentials.uid()),
            ControlMessageOwned::ScmRights(numbers) => {
                for number in numbers {
                    // It is ours alone; there is nothing to be done about a failure.
                    let _ = nix::unistd::close(number);
                }
            }
            _ => {}
        }
    }
    let uid = uid.filter(|_| !is_cut).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Message { text: buffer.get(..length).unwrap_or_default().to_vec(), uid })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::super::notify::ServiceManager;
    use super::*;

    #[test]
    fn a_message_arrives_with_its_senders_account() {
        let (mailbox, address) = open().unwrap();
        assert_eq!(receive(&mailbox).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let program = ServiceManager::at(OsStr::new(&address)).unwrap();
        let file = tempfile::tempfile().unwrap();
        program.tell("STATUS=loading", &[file.as_fd()]).unwrap();
        program.tell("", &[]).unwrap();
        program.tell("READY=1", &[]).unwrap();
        let uid = nix::unistd::geteuid().as_raw();
        assert_eq!(receive(&mailbox).unwrap(), Message { text: b"STATUS=loading".to_vec(), uid });
        assert_eq!(receive(&mailbox).unwrap(), Message { text: Vec::new(), uid }, "nobody is confused by nothing");
        assert_eq!(receive(&mailbox).unwrap(), Message { text: b"READY=1".to_vec(), uid });
        assert_ne!(open().unwrap().1, address);
    }

    #[test]
    fn a_message_that_is_too_long_says_nothing() {
        let (mailbox, address) = open().unwrap();
        let program = ServiceManager::at(OsStr::new(&address)).unwrap();
        let line = "\nREADY=1";
        for (text, is_whole) in [
            ("x".repeat(MESSAGE_MAX - line.len()) + line, true),
            ("x".repeat(MESSAGE_MAX - line.len()) + line + "2", false),
        ] {
            program.tell(&text, &[]).unwrap();
            assert_eq!(receive(&mailbox).map_err(|error| error.kind()).is_ok(), is_whole);
        }
        assert_eq!(receive(&mailbox).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
