//! Hears that something has happened to what is watched, and not what: whoever is woken looks for himself.

use std::io;
use std::os::fd::AsFd;

use nix::sys::inotify::{InitFlags, Inotify};
use tokio::net::unix::pipe::Receiver;

/// The watches, and where their events come. To be called on a tokio runtime.
///
/// # Errors
/// The kernel has none left, or no descriptor is.
pub fn instance() -> io::Result<(Inotify, Receiver)> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    // A pipe's reading end is what tokio has for a descriptor that is read.
    let events = Receiver::from_owned_fd_unchecked(inotify.as_fd().try_clone_to_owned()?)?;
    Ok((inotify, events))
}

/// Waits for events and takes all that there are.
pub async fn happened(events: &Receiver) {
    let mut scratch = [0; 4096];
    let mut seen = false;
    while !seen {
        if events.readable().await.is_err() {
            // The runtime is ending.
            return std::future::pending().await;
        }
        while events.try_read(&mut scratch).is_ok() {
            seen = true;
        }
    }
}
