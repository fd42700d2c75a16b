//! The two files of a history: the present one and, beside it with `.1` at its end, the former one.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::Mode;

use super::entry::Entry;
use super::fold;
use super::record::{self, HEADER};

/// No file of ours is larger: so much is read of one at most.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Smaller files would be turned over with every entry or two.
const FILE_BYTES_MIN: u64 = 16 * 1024;

/// The history as it is written.
#[derive(Debug)]
pub(super) struct Store {
    directory: OwnedFd,
    name: OsString,
    file: File,
    length: u64,
    file_bytes_max: u64,
}

impl Store {
    /// Opens or makes the present file. A torn end is cut off; a file that is no history is renamed to `.damaged`.
    /// Both files together take `bytes_max`.
    pub(super) fn open(path: &Path, bytes_max: u64) -> io::Result<Store> {
        let directory = directory_of(path)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let mut file = open_in(&directory, &name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_APPEND)?;
        let known = record::decode(&contents(&mut file)?);
        let mut length = if let Ok((_, length)) = known {
            length as u64
        } else {
            renameat(&directory, name.as_os_str(), &directory, with_end(&name, ".damaged").as_os_str())?;
            file = open_in(&directory, &name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_APPEND)?;
            0
        };
        file.set_len(length)?;
        if length == 0 {
            file.write_all(HEADER)?;
            length = HEADER.len() as u64;
        }
        let file_bytes_max = (bytes_max / 2).clamp(FILE_BYTES_MIN, FILE_BYTES_MAX);
        Ok(Store { directory, name, file, length, file_bytes_max })
    }

    /// Appends an entry, whole or not at all.
    pub(super) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let record = record::encode(entry)?;
        if self.length + record.len() as u64 > self.file_bytes_max {
            self.turn_over()?;
        }
        if let Err(error) = self.file.write_all(&record) {
            // What this leaves, the next opening cuts off.
            let _cut = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += record.len() as u64;
        Ok(())
    }

    fn turn_over(&mut self) -> io::Result<()> {
        let former = with_end(&self.name, ".1");
        renameat(&self.directory, self.name.as_os_str(), &self.directory, former.as_os_str())?;
        let mut file = open_in(&self.directory, &self.name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_APPEND)?;
        file.write_all(HEADER)?;
        self.file = file;
        self.length = HEADER.len() as u64;
        Ok(())
    }
}

/// What is in a history, the oldest first.
///
/// # Errors
/// The present file cannot be opened or is no history. A missing former file is none.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let directory = directory_of(path)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let entries = |name: &OsStr| -> io::Result<Vec<Entry>> {
        let bytes = contents(&mut open_in(&directory, name, OFlag::O_RDONLY)?)?;
        record::decode(&bytes)
            .map(|(entries, _)| entries)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    let mut all = match entries(&with_end(name, ".1")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    all.extend(entries(name)?);
    Ok(fold::latest(all))
}

fn directory_of(path: &Path) -> io::Result<OwnedFd> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(open(parent, OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// A regular file of ours with one name, whoever may write to the directory.
fn open_in(directory: &OwnedFd, name: &OsStr, flags: OFlag) -> io::Result<File> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let opened = openat(directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR);
    let file = File::from(opened.map_err(|error| match error {
        Errno::ELOOP => io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link, which is not followed"),
        error => error.into(),
    })?);
    let status = file.metadata()?;
    let writes = flags.contains(OFlag::O_RDWR);
    let wrong = if !status.is_file() {
        "it is no regular file"
    } else if writes && status.nlink() != 1 {
        "it has other names (hard links)"
    } else if writes && status.uid() != nix::unistd::geteuid().as_raw() {
        "it belongs to another user"
    } else {
        return Ok(file);
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, wrong))
}

fn contents(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn with_end(name: &OsStr, end: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(end);
    name
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::history::Kind;

    fn entry(text: &str) -> Entry {
        Entry::now(Kind::State, "g:p", text)
    }

    #[test]
    fn entries_survive_and_a_torn_end_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let (one, two) = (entry("one"), entry("two"));
        Store::open(&path, 0).unwrap().append(&one).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let mut torn = fs::read(&path).unwrap();
        torn.extend_from_slice(&[9, 0, 0]);
        fs::write(&path, &torn).unwrap();
        assert_eq!(read(&path).unwrap(), std::slice::from_ref(&one));
        Store::open(&path, 0).unwrap().append(&two).unwrap();
        assert_eq!(read(&path).unwrap(), [one, two]);
    }

    #[test]
    fn garbage_is_set_aside_and_said_to_be_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        fs::write(&path, "my diary").unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        Store::open(&path, 0).unwrap();
        assert_eq!(read(&path).unwrap(), []);
        assert_eq!(fs::read_to_string(dir.path().join("history.damaged")).unwrap(), "my diary");
    }

    #[test]
    fn links_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [target, link, hard] = ["target", "link", "hard"].map(|name| dir.path().join(name));
        fs::write(&target, "").unwrap();
        symlink(&target, &link).unwrap();
        fs::hard_link(&target, &hard).unwrap();
        for path in [&link, &hard] {
            assert_eq!(Store::open(path, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
        assert_eq!(fs::read(&target).unwrap(), b"");
    }

    #[test]
    fn both_files_stay_within_their_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let mut store = Store::open(&path, 40_000).unwrap();
        (0..2000).for_each(|number| store.append(&entry(&format!("number {number}"))).unwrap());
        let size: u64 = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!((20_000..=40_000).contains(&size), "{size}");
        assert_eq!(read(&path).unwrap().last().unwrap().text, "number 1999");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
