//! The two files of a history: the present one and, beside it with `.1` at its end, the former one.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::fold;
use super::record::{self, HEADER};
use crate::logs::{Place, Use, open_file};

/// No file of ours is larger: so much is read of one at most.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Smaller files would be turned over with every entry or two.
const FILE_BYTES_MIN: u64 = 16 * 1024;

const MODE: u32 = 0o600;

/// The history as it is written.
#[derive(Debug)]
pub(super) struct Store {
    place: Place,
    file: File,
    length: u64,
    file_bytes_max: u64,
}

impl Store {
    /// Opens or makes the present file. A torn end is cut off; a file that is no history is renamed to `.damaged`.
    /// Both files together take `bytes_max`.
    pub(super) fn open(path: &Path, bytes_max: u64) -> io::Result<Store> {
        let place = Place::of(path)?;
        let mut file = regular(place.open(Use::ReadWrite(MODE))?)?;
        let known = record::decode(&contents(&file)?);
        let mut length = if let Ok((_, length)) = known {
            length as u64
        } else {
            place.rename(place.name(), &with_end(path, ".damaged"))?;
            file = regular(place.open(Use::ReadWrite(MODE))?)?;
            0
        };
        file.set_len(length)?;
        if length == 0 {
            file.write_all_at(HEADER, 0)?;
            length = HEADER.len() as u64;
        }
        let file_bytes_max = (bytes_max / 2).clamp(FILE_BYTES_MIN, FILE_BYTES_MAX);
        Ok(Store { place, file, length, file_bytes_max })
    }

    /// Whether somebody removed the file: what is written now would be read by nobody.
    pub(super) fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|status| status.nlink() == 0)
    }

    /// Appends an entry, whole or not at all.
    pub(super) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let record = record::encode(entry)?;
        if self.length + record.len() as u64 > self.file_bytes_max {
            self.turn_over()?;
        }
        if let Err(error) = self.file.write_all_at(&record, self.length) {
            // What this leaves, the next opening cuts off.
            let _cut = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += record.len() as u64;
        Ok(())
    }

    fn turn_over(&mut self) -> io::Result<()> {
        let name = self.place.name();
        self.place.rename(name, &with_end(Path::new(name), ".1"))?;
        let file = regular(self.place.open(Use::ReadWrite(MODE))?)?;
        file.write_all_at(HEADER, 0)?;
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
    read_with(path, Vec::new())
}

/// The same, with the latest counts of series that the file does not have yet.
pub(super) fn read_with(path: &Path, latest: Vec<Entry>) -> io::Result<Vec<Entry>> {
    let mut former = PathBuf::from(path);
    former.set_file_name(with_end(path, ".1"));
    let mut all = match entries(&former) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    all.extend(entries(path)?);
    all.extend(latest);
    Ok(fold::latest(all))
}

fn entries(path: &Path) -> io::Result<Vec<Entry>> {
    let bytes = contents(&regular(open_file(path, Use::Read)?)?)?;
    let (entries, _) = record::decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(entries)
}

/// Nothing else can be cut and turned over.
fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

fn contents(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn with_end(path: &Path, end: &str) -> OsString {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    name
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::history::Kind;
    use crate::logs::Planted;

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
    fn what_others_planted_and_what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [target, hard, directory] = ["target", "hard", "directory"].map(|name| dir.path().join(name));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(&target, "").unwrap();
        fs::hard_link(&target, &hard).unwrap();
        assert!(Planted::is_behind(&Store::open(&hard, 0).unwrap_err()));
        fs::create_dir(&directory).unwrap();
        assert!(Store::open(&directory, 0).is_err());
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(Store::open(&pipe, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(fs::read(&target).unwrap(), b"");
    }

    #[test]
    fn links_of_our_own_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("target", &link).unwrap();
        Store::open(&link, 0).unwrap().append(&entry("one")).unwrap();
        assert_eq!(read(&dir.path().join("target")).unwrap(), read(&link).unwrap());
    }

    #[test]
    fn a_file_that_was_removed_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let store = Store::open(&path, 0).unwrap();
        assert!(!store.is_removed());
        fs::remove_file(&path).unwrap();
        assert!(store.is_removed());
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
