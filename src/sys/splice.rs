//! Moving bytes from a pipe inside the kernel, so that a process which dies in between neither
//! loses nor repeats any.

use std::io;
use std::os::fd::AsFd;

use nix::fcntl::SpliceFFlags;

/// Moves at most `bytes_max` bytes from the pipe `from` to `to`, and gives the number moved.
///
/// Zero means the end of `from`. `to` may be a file (at its own offset, which advances), a socket
/// or a pipe.
///
/// # Errors
///
/// `WouldBlock` if the pipe is empty or `to` is full; `InvalidInput` if `to` is a file opened with
/// `O_APPEND` or on a file system that cannot be spliced to.
pub fn splice(from: impl AsFd, to: impl AsFd, bytes_max: usize) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(nix::fcntl::splice(from, None, to, None, bytes_max, flags)?)
}

/// Copies at most `bytes_max` bytes from the pipe `from` to the pipe `to` without consuming them.
///
/// # Errors
///
/// `WouldBlock` if one pipe is empty or the other full.
pub fn tee(from: impl AsFd, to: impl AsFd, bytes_max: usize) -> io::Result<usize> {
    Ok(nix::fcntl::tee(from, to, bytes_max, SpliceFFlags::SPLICE_F_NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};

    use super::*;

    #[test]
    fn spliced_bytes_arrive_in_the_file_and_leave_the_pipe() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one two").unwrap();
        let mut file = tempfile::tempfile().unwrap();
        assert_eq!(splice(&reader, &file, 3).unwrap(), 3);
        assert_eq!(splice(&reader, &file, 65536).unwrap(), 4);
        assert_eq!(splice(&reader, &file, 1).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(writer);
        assert_eq!(splice(&reader, &file, 1).unwrap(), 0);
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut found = String::new();
        file.read_to_string(&mut found).unwrap();
        assert_eq!(found, "one two");
    }

    #[test]
    fn teed_bytes_stay_in_the_pipe() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let (mut copy, target) = io::pipe().unwrap();
        writer.write_all(b"abc").unwrap();
        assert_eq!(tee(&reader, &target, 100).unwrap(), 3);
        let mut found = [0u8; 3];
        copy.read_exact(&mut found).unwrap();
        assert_eq!(&found, b"abc");
        reader.read_exact(&mut found).unwrap();
        assert_eq!(&found, b"abc");
    }
}
