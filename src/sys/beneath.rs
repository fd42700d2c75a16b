//! Opens what has a name in an open directory, and nothing that lies elsewhere.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;

/// Opens what has this name in the directory, close-on-exec. `mode` counts where a file is created.
///
/// The kernel sees to it that no link and no mount leads out of the directory (openat2, Linux 5.6). Before that, and where a
/// sandbox does not know the call, there are `O_NOFOLLOW` and the look at the name.
///
/// # Errors
/// EXDEV for a name that is not one of the directory; ELOOP for a symbolic link, unless it is asked for itself (`O_PATH`);
/// what open(2) says.
pub fn open(directory: impl AsFd, name: impl AsRef<OsStr>, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
    let name = single(name.as_ref())?;
    let (flags, mode) = complete(flags, mode);
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    match openat2(&directory, name, OpenHow::new().flags(flags).mode(mode).resolve(resolve)) {
        // EPERM may also be meant: then it is the answer once more.
        Err(Errno::ENOSYS | Errno::EPERM) => openat(directory, name, flags, mode),
        opened => opened,
    }
}

/// A name that leads to no other directory.
fn single(name: &OsStr) -> nix::Result<&OsStr> {
    let bytes = name.as_encoded_bytes();
    if bytes.contains(&b'/') || bytes == b".." { Err(Errno::EXDEV) } else { Ok(name) }
}

/// openat2 refuses a mode that would not count.
fn complete(flags: OFlag, mode: Mode) -> (OFlag, Mode) {
    let mode = if flags.contains(OFlag::O_CREAT) { mode } else { Mode::empty() };
    (flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, mode)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    /// As a kernel without openat2 is asked.
    fn open_as_ever(directory: &File, name: &str, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
        let name = single(OsStr::new(name))?;
        let (flags, mode) = complete(flags, mode);
        openat(directory, name, flags, mode)
    }

    #[test]
    fn only_what_is_in_the_directory_is_opened_with_and_without_openat2() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        fs::create_dir(path("inside")).unwrap();
        fs::write(path("inside/other"), "").unwrap();
        symlink("file", path("link")).unwrap();
        symlink("/etc/passwd", path("away")).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        let directory = File::open(path("inside/..")).unwrap();
        let (read, create) = (OFlag::O_RDONLY, OFlag::O_RDWR | OFlag::O_CREAT);
        for (name, flags, expected) in [
            ("file", read, Ok(())),
            ("file", create, Ok(())),
            ("new", create, Ok(())),
            ("missing", read, Err(Errno::ENOENT)),
            ("link", read, Err(Errno::ELOOP)),
            ("away", create, Err(Errno::ELOOP)),
            ("dangling", create, Err(Errno::ELOOP)),
            ("away", OFlag::O_PATH, Ok(())),
            ("inside/other", read, Err(Errno::EXDEV)),
            ("../x", create, Err(Errno::EXDEV)),
            ("/etc/passwd", read, Err(Errno::EXDEV)),
            ("..", OFlag::O_PATH, Err(Errno::EXDEV)),
        ] {
            let mode = Mode::S_IRUSR | Mode::S_IWUSR;
            assert_eq!(open(&directory, name, flags, mode).map(drop), expected, "{name} {flags:?}");
            assert_eq!(open_as_ever(&directory, name, flags, mode).map(drop), expected, "{name} {flags:?}, as ever");
        }
        assert!(!path("nowhere").exists());
    }
}
