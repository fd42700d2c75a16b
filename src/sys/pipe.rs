//! What a pipe holds and can hold.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;

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
