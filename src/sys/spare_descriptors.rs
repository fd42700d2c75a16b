//! Descriptors set aside, so that clients get in where no others are to be had: the limit may be lowered below what is open, and
//! then only low numbers are any good.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::OFlag;

/// So many: one for each client that is let in, and what is opened to answer him.
const SET_ASIDE: usize = 16;

/// Of this process. Each is open on nothing that anybody reads or writes.
static SPARE: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Never poisoned in a way that matters: what is inside is whole between any two statements.
fn spare() -> MutexGuard<'static, Vec<OwnedFd>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets aside what is missing, with the lowest numbers that are free. To be called before anything else is opened, and when what was
/// given up is needed no more.
///
/// # Errors
///
/// EMFILE, ENFILE: fewer are set aside.
pub fn set_aside() -> io::Result<()> {
    let mut spare = spare();
    while spare.len() < SET_ASIDE {
        let nothing = match spare.first() {
            Some(one) => one.try_clone()?,
            None => open_nothing()?,
        };
        spare.push(nothing);
    }
    Ok(())
}

/// Closes them for whoever needs descriptors now; `false` if there are none.
#[must_use]
pub fn give_up() -> bool {
    let mut spare = spare();
    let any = !spare.is_empty();
    spare.clear();
    any
}

fn open_nothing() -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().read(true).custom_flags(OFlag::O_PATH.bits()).open("/")?;
    Ok(file.into())
}
