//! Which of its three lives this process is in: one program, executed again for each.
//!
//! The launcher is what the user starts. It becomes the keeper in place, with the same pid; the
//! keeper starts workers. Each image learns from two variables what it is and which descriptor is
//! its socket; both are taken out of the environment before anything else happens, so that no program
//! ever sees them.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::keeper::{self, Inheritance};
use super::protocol::ToKeeper;
use crate::engine::Pid;
use crate::sys::exec::{self, Executable};
use crate::sys::{descriptors, process};

const STAGE: &str = "GALAXYD_STAGE";
const SOCKET: &str = "GALAXYD_KEEPER";

/// What reaches the worker only from the keeper: a terminal's or a service manager's signal to all
/// processes is one request, not two, and the keeper passes it on.
const IGNORED_BY_WORKERS: [i32; 6] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];

/// What this process is to be.
#[derive(Debug)]
pub enum Image {
    /// Started by a user, a script or a service manager.
    Launcher,
    /// To call [`be_keeper`] with this socket.
    Keeper(OwnedFd),
    /// To make a [`KeeperLink`](super::KeeperLink) of this socket.
    Worker(OwnedFd),
}

/// The variables that tell are wrong: somebody else set them.
#[derive(Debug, thiserror::Error)]
#[error("{SOCKET} does not name an open socket: unset it and {STAGE}, which only galaxyd itself sets")]
pub struct ImageError(#[source] Option<io::Error>);

impl Image {
    /// To be called once, first of all, while there is one thread.
    ///
    /// # Errors
    ///
    /// [`ImageError`] if the environment contradicts the open descriptors.
    pub fn of_this_process() -> Result<Self, ImageError> {
        let (stage, socket) = (exec::take_variable(STAGE), exec::take_variable(SOCKET));
        let make: fn(OwnedFd) -> Self = match stage.as_deref().and_then(OsStr::to_str) {
            Some("keeper") => Self::Keeper,
            Some("worker") => Self::Worker,
            _ => return Ok(Self::Launcher),
        };
        // Not to have a name of its own is no reason to fail.
        let _ = name_process(&exec::arguments());
        let number = socket.and_then(|socket| socket.to_str()?.parse().ok()).ok_or(ImageError(None))?;
        descriptors::adopt(number).map(make).map_err(|error| ImageError(Some(error)))
    }
}

/// The launcher's last act: this process becomes the keeper, which holds these descriptors under these
/// names from then on, and takes over what it inherits. Standard descriptors, user, limits, umask, directory and arguments stay as they are.
///
/// Returns only if that failed.
#[must_use]
pub fn become_keeper(held: &[(String, BorrowedFd<'_>)], inheritance: Inheritance) -> io::Error {
    match queue(held, inheritance) {
        Ok(socket) => {
            let environment = environment("keeper", socket.as_fd());
            Executable::of_this_process().replace_image(&exec::arguments(), &environment, socket.as_fd())
        }
        Err(error) => error,
    }
}

/// The last act of a worker whose keeper was killed: starts another one, which holds these descriptors under these names,
/// takes over the children on the roll among them, and starts a worker as soon as this process has ended.
///
/// # Errors
///
/// EMFILE, ENFILE, EAGAIN, ENOMEM; EPIPE if the new keeper ended. Nothing is lost then, and nobody is in charge.
pub fn start_keeper<'a>(held: impl Iterator<Item = (&'a str, BorrowedFd<'a>)>) -> io::Result<Pid> {
    let (mine, theirs) = descriptors::packet_pair()?;
    let environment = environment("keeper", theirs.as_fd());
    let pid = Executable::of_this_process().start(&exec::arguments(), &environment, theirs.as_fd(), &[])?;
    drop(theirs);
    for (name, descriptor) in held {
        send_all(&mine, &ToKeeper::Hold { name: name.to_owned() }, &[descriptor])?;
    }
    send_all(&mine, &ToKeeper::Ready, &[])?;
    // Closed by the kernel when the last thread of this process is gone: until then the keeper waits.
    std::mem::forget(mine);
    Ok(pid)
}

/// Waits for room.
fn send_all(socket: &OwnedFd, message: &ToKeeper, carried: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    loop {
        match descriptors::send(socket, &bytes, carried) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut awaited = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
                let _ = poll(&mut awaited, PollTimeout::NONE);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Descriptors under way count until they are read.
            Err(error) if error.raw_os_error() == Some(libc::ETOOMANYREFS) => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
}

/// `--no-keeper` after a reload: this process begins anew, with the same pid and arguments.
///
/// Returns only if that failed.
#[must_use]
pub fn start_image_again() -> io::Error {
    Executable::of_this_process().start_over(&exec::arguments(), &exec::environment(&[STAGE, SOCKET], &[]))
}

/// A socket in which a `Hold` message for each of these waits.
fn queue(held: &[(String, BorrowedFd<'_>)], inheritance: Inheritance) -> io::Result<OwnedFd> {
    let (reader, writer) = descriptors::packet_pair()?;
    let mut bytes = Vec::new();
    for (name, descriptor) in held {
        let message = ToKeeper::Hold { name: name.clone() };
        message.encode(&mut bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        descriptors::send(&writer, &bytes, &[*descriptor])?;
    }
    if inheritance == Inheritance::Daemon {
        ToKeeper::Ready.encode(&mut bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        descriptors::send(&writer, &bytes, &[])?;
    }
    Ok(reader)
}

/// The whole life of the keeper's image; gives the code to exit with.
///
/// # Errors
///
/// Only before anything was started.
pub fn be_keeper(launcher: OwnedFd) -> io::Result<u8> {
    let arguments = exec::arguments();
    let program = Executable::of_this_process();
    let mut start = |socket: BorrowedFd<'_>| start_worker(&program, &arguments, socket);
    keeper::run(launcher, &mut start)
}

fn start_worker(program: &Executable, arguments: &[CString], socket: BorrowedFd<'_>) -> io::Result<Pid> {
    program.start(arguments, &environment("worker", socket), socket, &IGNORED_BY_WORKERS)
}

/// Gives this process its name back: an image started through /proc is called `exe`.
fn name_process(arguments: &[CString]) -> io::Result<()> {
    let Some(program) = arguments.first() else { return Ok(()) };
    let path = Path::new(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(program.as_bytes()));
    let name = path.file_name().unwrap_or(path.as_os_str());
    process::set_name(&CString::new(name.as_encoded_bytes())?)
}

fn environment(stage: &str, socket: BorrowedFd<'_>) -> Vec<CString> {
    exec::environment(&[STAGE, SOCKET], &[format!("{STAGE}={stage}"), format!("{SOCKET}={}", socket.as_raw_fd())])
}
