//! Which of its three lives this process is in: one program, executed again for each.
//!
//! The launcher is what the user starts. It becomes the keeper in place, with the same pid; the
//! keeper starts workers. Each image learns from two variables what it is and which descriptor is
//! its socket; both are taken out of the environment before anything else happens, so that no program
//! ever sees them.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::bequest::{SIGNALS_HELD_NAME, write_signals};
use super::keeper::{self, Inheritance};
use super::protocol::ToKeeper;
use super::upgrade::Images;
use crate::engine::Pid;
use crate::sys::exec::{self, Executable};
use crate::sys::signals::Received;
use crate::sys::{descriptors, process, resident};

/// The variable that says it; no program has it.
pub const STAGE: &str = "GALAXYD_STAGE";
const SOCKET: &str = "GALAXYD_KEEPER";
const REHEARSAL: &str = "rehearsal";

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
    /// To show that this program could go on with the daemon whose state is on standard input.
    Rehearsal,
}

/// The environment of a rehearsal.
#[must_use]
pub fn rehearsal_environment() -> Vec<CString> {
    CString::new(format!("{STAGE}={REHEARSAL}")).into_iter().collect()
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
            Some(REHEARSAL) => return Ok(Self::Rehearsal),
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
            Executable::of_this_process().replace_image(&exec::arguments(), &environment, [socket.as_fd()])
        }
        Err(error) => error,
    }
}

/// The last act of a worker whose keeper was killed: starts another one, which holds these descriptors under these names,
/// has received these signals, takes over the children on the roll among them, and starts a worker as soon as this process has ended. The roll has to
/// come behind all that must not be missing, should this process be killed on the way.
///
/// # Errors
///
/// EMFILE, ENFILE, EAGAIN, ENOMEM; EPIPE if the new keeper ended. Nothing is lost then, and nobody is in charge.
pub fn start_keeper<'a>(
    held: impl Iterator<Item = (&'a str, BorrowedFd<'a>)>,
    signals: &[Received],
) -> io::Result<Pid> {
    let (mine, theirs) = descriptors::packet_pair()?;
    let environment = environment("keeper", theirs.as_fd());
    let pid = Executable::of_this_process().start(&exec::arguments(), &environment, theirs.as_fd(), &[])?;
    drop(theirs);
    if !signals.is_empty() {
        let message = ToKeeper::Hold { name: SIGNALS_HELD_NAME.to_owned() };
        send_all(&mine, &message, &[write_signals(signals)?.as_fd()])?;
    }
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
    Executable::of_this_process().replace_image(&exec::arguments(), &exec::environment(&[STAGE, SOCKET], &[]), [])
}

/// A socket in which a `Hold` message for each of these waits, and what is to be done with them.
fn queue(held: &[(String, BorrowedFd<'_>)], inheritance: Inheritance) -> io::Result<OwnedFd> {
    let (reader, writer) = descriptors::packet_pair()?;
    let mut bytes = Vec::new();
    for (name, descriptor) in held {
        let message = ToKeeper::Hold { name: name.clone() };
        message.encode(&mut bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        descriptors::send(&writer, &bytes, &[*descriptor])?;
    }
    let last = match inheritance {
        Inheritance::None => ToKeeper::StartAfresh,
        Inheritance::Daemon => ToKeeper::Ready,
    };
    last.encode(&mut bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    descriptors::send(&writer, &bytes, &[])?;
    Ok(reader)
}

/// The whole life of the keeper's image; gives the code to exit with.
///
/// # Errors
///
/// Only before anything was started.
pub fn be_keeper(launcher: OwnedFd) -> io::Result<u8> {
    // Where it may not, its pages come and go like anybody's.
    let _ = resident::lock_code();
    let arguments = exec::arguments();
    let program = Executable::of_this_process();
    keeper::run(launcher, &mut Programs { program, arguments })
}

/// The program that this process executes, and how it was called.
struct Programs {
    program: Executable,
    arguments: Vec<CString>,
}

impl Images for Programs {
    fn start_worker(&mut self, socket: BorrowedFd<'_>) -> io::Result<Pid> {
        self.program.start(&self.arguments, &environment("worker", socket), socket, &IGNORED_BY_WORKERS)
    }

    fn execute(&mut self, program: &Executable, held: &[(String, BorrowedFd<'_>)]) -> io::Error {
        let prepare = || {
            let list = descriptors::sealed_memory(c"galaxyd-inherited", &list(held))?;
            queue(&[(INHERITED_NAME.to_owned(), list.as_fd())], Inheritance::Daemon)
        };
        match prepare() {
            Ok(socket) => {
                let kept = held.iter().map(|(_, descriptor)| *descriptor).chain([socket.as_fd()]);
                program.replace_image(&self.arguments, &environment("keeper", socket.as_fd()), kept)
            }
            Err(error) => error,
        }
    }
}

/// The name under which a list of descriptors is handed over that stay open over exec: more than fit a socket.
pub(super) const INHERITED_NAME: &str = "inherited";

/// Number and name of each, ended by a zero byte, which no name has.
fn list(held: &[(String, BorrowedFd<'_>)]) -> Vec<u8> {
    held.iter().flat_map(|(name, descriptor)| format!("{} {name}\0", descriptor.as_raw_fd()).into_bytes()).collect()
}

/// The descriptors on a list. To be called once.
pub(super) fn inherited(list: &OwnedFd) -> Vec<(String, OwnedFd)> {
    let mut text = String::new();
    let read = list.try_clone().and_then(|list| {
        let mut file = File::from(list);
        file.rewind()?;
        file.read_to_string(&mut text)
    });
    if read.is_err() {
        return Vec::new();
    }
    let entry = |entry: &str| {
        let (number, name) = entry.split_once(' ')?;
        Some((name.to_owned(), descriptors::adopt(number.parse().ok()?).ok()?))
    };
    text.split_terminator('\0').filter_map(entry).collect()
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
