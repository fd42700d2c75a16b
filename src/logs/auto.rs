//! The files behind `stdout_logfile=AUTO`: their names, their creation, and the removal of those a former
//! daemon left.

use crate::engine::Channel;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// As many names are tried before a directory is taken to be full of them.
const NAMES_TRIED_MAX: usize = 100;

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789_";

/// Creates an empty file `PROCESS-CHANNEL---IDENTIFIER-XXXXXXXX.log`, mode 0600, that did not exist.
///
/// # Errors
///
/// What `open(2)` says about the directory or the name.
pub fn create_auto_log(dir: &Path, process: &str, channel: Channel, identifier: &str) -> io::Result<PathBuf> {
    let channel = channel.name();
    let mut tried = 0;
    loop {
        let path = dir.join(format!("{process}-{channel}---{identifier}-{}.log", random_name()));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_created) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < NAMES_TRIED_MAX => tried += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Deletes the AUTO logs of daemons with this identifier; gives those that could not be deleted.
///
/// To be called only once it is sure that no such daemon lives: its logs would vanish under it.
///
/// # Errors
///
/// The directory cannot be listed.
pub fn clear_auto_logs(dir: &Path, identifier: &str) -> io::Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if is_auto_log(entry.file_name().as_bytes(), identifier) && fs::remove_file(entry.path()).is_err() {
            left.push(entry.path());
        }
    }
    left.sort();
    Ok(left)
}

/// Something, `---IDENTIFIER-`, something without blanks, `.log`, anything.
///
/// Source: supervisor 4.3, options.py, `clear_autochildlogdir()`. Differs: the identifier stands for itself, not for
/// a regular expression.
fn is_auto_log(name: &[u8], identifier: &str) -> bool {
    let mark = format!("---{identifier}-");
    let mark = mark.as_bytes();
    let marks = name.windows(mark.len()).enumerate().skip(1).filter(|(_, window)| *window == mark);
    for (at, _) in marks {
        // What precedes is "any text", which in a regular expression ends at a line break.
        if name.get(..at).is_some_and(|before| before.contains(&b'\n')) {
            return false;
        }
        let rest = name.get(at + mark.len()..).unwrap_or_default();
        let word = rest.split(|&byte| is_blank(byte)).next().unwrap_or_default();
        if word.windows(4).skip(1).any(|window| window == b".log") {
            return true;
        }
    }
    false
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b || (0x1c..=0x1f).contains(&byte)
}

/// Eight characters. That they are hard to foresee is a courtesy: the file is created exclusively.
fn random_name() -> String {
    let mut number = RandomState::new().build_hasher().finish();
    let mut name = String::with_capacity(8);
    for _ in 0..8 {
        let index = usize::try_from(number % ALPHABET.len() as u64).unwrap_or(0);
        name.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'_')));
        number /= ALPHABET.len() as u64;
    }
    name
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_created_log_is_private_empty_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = create_auto_log(dir.path(), "web", Channel::Stderr, "supervisor").unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert_eq!(metadata.len(), 0);
        let name = path.file_name().unwrap().to_str().unwrap();
        let random = name.strip_prefix("web-stderr---supervisor-").unwrap().strip_suffix(".log").unwrap();
        assert_eq!(random.len(), 8);
        assert!(random.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert!(is_auto_log(name.as_bytes(), "supervisor"));
    }

    #[test]
    fn names_do_not_repeat() {
        let names: BTreeSet<String> = (0..1000).map(|_| random_name()).collect();
        assert_eq!(names.len(), 1000);
    }

    #[test]
    fn only_the_identifiers_own_logs_match() {
        for (name, expected) in [
            ("web-stdout---supervisor-abc_1234.log", true),
            ("web-stdout---supervisor-abc_1234.log.1", true),
            ("web-stdout---supervisor-abc_1234.log.1234", true),
            ("web-stdout---supervisor-abc_1234.log.bak", true),
            ("x---supervisor-y.log", true),
            ("---supervisor-y.log", false),
            ("x---supervisor-.log", false),
            ("x---supervisor-a b.log", false),
            ("x---supervisor-y.txt", false),
            ("x---other-y.log", false),
            ("x---supervisor2-y.log", false),
            ("x---supervisor- ---supervisor-y.log", true),
            ("supervisord.log", false),
            ("", false),
        ] {
            assert_eq!(is_auto_log(name.as_bytes(), "supervisor"), expected, "{name}");
        }
    }

    #[test]
    fn leftovers_are_deleted_and_what_resists_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let ours = create_auto_log(dir.path(), "web", Channel::Stdout, "one").unwrap();
        let theirs = create_auto_log(dir.path(), "web", Channel::Stdout, "two").unwrap();
        let folder = dir.path().join("x---one-folder.log");
        fs::create_dir(&folder).unwrap();
        assert_eq!(clear_auto_logs(dir.path(), "one").unwrap(), vec![folder]);
        assert!(!ours.exists());
        assert!(theirs.exists());
        assert!(clear_auto_logs(&dir.path().join("none"), "one").is_err());
    }
}
