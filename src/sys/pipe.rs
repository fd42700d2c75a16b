//! What a pipe holds and can hold, and finding it again in a process that has it open.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, fstat};

/// Number of bytes that lie unread in a pipe (`FIONREAD`).
///
/// Waits while another thread has the pipe locked, as a `splice` to a file does for as long as the file
/// is written.
///
/// # Errors
///
/// ENOTTY if `pipe` is none.
pub fn unread(pipe: impl AsFd) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD stores one int at the address given, which is that of a live local variable.
    let answer = unsafe { libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(count).unwrap_or(0))
}

/// How many bytes fit into a pipe at most (`F_GETPIPE_SZ`); less do if they were written in small pieces
/// that the kernel could not join.
///
/// # Errors
///
/// EBADF if `pipe` is none.
pub fn capacity(pipe: impl AsFd) -> io::Result<usize> {
    let size = fcntl(pipe.as_fd(), FcntlArg::F_GETPIPE_SZ)?;
    Ok(usize::try_from(size).unwrap_or(0))
}

/// A pipe whose two ends are one descriptor, close-on-exec and non-blocking. It never reports an end.
///
/// # Errors
///
/// EMFILE, ENFILE, or ENOENT where `/proc` is not mounted.
pub fn loop_pipe() -> io::Result<OwnedFd> {
    let (reader, _writer) = io::pipe()?;
    let name = format!("/proc/self/fd/{}", reader.as_raw_fd());
    Ok(open(name.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())?)
}

/// The number by which the kernel knows a pipe; its two ends have the same.
///
/// # Errors
///
/// None that an open descriptor could give.
pub fn inode(pipe: impl AsFd) -> io::Result<u64> {
    Ok(fstat(pipe)?.st_ino)
}

/// Which end is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Read,
    Write,
}

/// Our own, non-blocking end of a pipe that process `pid` has open, wherever in it that may be; `None` if it has no such
/// pipe (any more), or may not be looked into.
#[must_use]
pub fn reopen(pid: i32, inode: u64, end: End) -> Option<OwnedFd> {
    let wanted = PathBuf::from(format!("pipe:[{inode}]"));
    let directory = PathBuf::from(format!("/proc/{pid}/fd"));
    let usual = ["0", "1", "2"].map(|number| directory.join(number));
    let is_it = |path: &PathBuf| fs::read_link(path).is_ok_and(|target| target == wanted);
    let place = usual
        .into_iter()
        .find(is_it)
        .or_else(|| fs::read_dir(&directory).ok()?.filter_map(Result::ok).map(|entry| entry.path()).find(is_it))?;
    let access = match end {
        End::Read => OFlag::O_RDONLY,
        End::Write => OFlag::O_WRONLY,
    };
    let opened = open(&place, access | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    // The process may have put something else there meanwhile.
    let number = opened.as_raw_fd();
    fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|target| target == wanted).then_some(opened)
}

/// The read end of a pipe that nobody writes to: what is left of one that is gone.
///
/// # Errors
///
/// EMFILE, ENFILE.
pub fn ended() -> io::Result<OwnedFd> {
    let (reader, _writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_written_and_not_read_is_counted() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert_eq!(unread(&reader).unwrap(), 0);
        writer.write_all(b"seven b").unwrap();
        assert_eq!(unread(&reader).unwrap(), 7);
        assert!(capacity(&reader).unwrap() >= 4096);
    }

    #[test]
    fn a_loop_pipe_gives_back_what_was_put_in() {
        let pipe = loop_pipe().unwrap();
        let mut file = std::fs::File::from(pipe);
        file.write_all(b"round").unwrap();
        assert_eq!(unread(&file).unwrap(), 5);
        let mut found = [0; 10];
        assert_eq!(io::Read::read(&mut file, &mut found).unwrap(), 5);
    }
}
