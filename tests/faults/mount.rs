//! File systems of a test's own. They are mounted in a mount namespace of the test's thread, so that nobody else sees
//! them and none of them outlives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::notice::tell;

/// A mounted folder.
pub(crate) struct Mount {
    pub(crate) path: PathBuf,
}

/// Gives this thread, and what it starts, a mount namespace. `false`, and said so, where it cannot have one.
pub(crate) fn own_namespace(test: &str) -> bool {
    let made = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>));
    if let Err(error) = made {
        tell(&format!("could not run: {test} needs a mount namespace of its own: {error}"));
    }
    made.is_ok()
}

impl Mount {
    /// A file system in memory with so many bytes of room.
    pub(crate) fn tmpfs(path: &Path, bytes: u64) -> Mount {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={bytes},mode=755");
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Mount { path: path.to_owned() }
    }

    /// An ext4 in a file, which can be frozen. `None`, and said so, where there is no loop device.
    pub(crate) fn ext4(path: &Path, test: &str) -> Option<Mount> {
        fs::create_dir_all(path).unwrap();
        let image = path.with_extension("img");
        fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
            let outcome =
                Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
            let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
            if outcome.status.success() { Ok(()) } else { Err(format!("{program}: {said}")) }
        };
        let made = run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), image.as_os_str()])
            .and_then(|()| run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_os_str(), path.as_os_str()]));
        if let Err(why) = made {
            tell(&format!("could not run: {test} needs a file system on a loop device: {why}"));
            return None;
        }
        Some(Mount { path: path.to_owned() })
    }

    /// Other flags or options from now on: read-only, or more room.
    pub(crate) fn remount(&self, flags: MsFlags, options: &str) {
        mount(None::<&str>, &self.path, None::<&str>, MsFlags::MS_REMOUNT | flags, Some(options)).unwrap();
    }

    /// The kernel makes an ext4 read-only for good when it has lost its trust in it, whoever has files open.
    pub(crate) fn abort(&self) {
        self.remount(MsFlags::empty(), "abort");
    }

    /// Whoever writes waits until [`Mount::thaw`].
    pub(crate) fn freeze(&self) {
        assert!(Command::new("fsfreeze").arg("-f").arg(&self.path).status().unwrap().success());
    }

    pub(crate) fn thaw(&self) {
        assert!(Command::new("fsfreeze").arg("-u").arg(&self.path).status().unwrap().success());
    }

    /// Fills it to the last byte; gives the file that does.
    pub(crate) fn fill(&self) -> PathBuf {
        let filler = self.path.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        let error = std::io::copy(&mut std::io::repeat(b'x'), &mut file).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        filler
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A frozen file system cannot be left; one that was thawed refuses, and that is well.
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.path).output();
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
