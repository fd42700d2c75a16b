//! Hears when something happens to certain files: to one that is there, or in the place of one that is not.
//!
//! What is watched is the file itself and the directories above it, not what else happens in them, so nobody is woken
//! by others' files. Only while the file is missing, the nearest directory that is there is watched for new names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, Inotify};

/// Between two looks while a file is missing or has just come back, so that neither something that deletes it in a loop
/// costs much, nor a directory in which much happens.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Adds the watches for these files, each with whether it is there as it should be. Answers whether a directory has come
/// between the search for the nearest one and its watch: then there is more to see.
pub(super) fn arm(files: &[(&Path, bool)], inotify: &Inotify) -> bool {
    // The watches of one directory replace each other, so each gets all that is wanted of it.
    let mut wanted: BTreeMap<PathBuf, AddWatchFlags> = BTreeMap::new();
    let moved = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_DELETE_SELF;
    let named = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
    let mut nearest_of = Vec::new();
    for (file, is_there) in files {
        // A link that is gone is an attribute that changed; what lies there instead may go as well.
        let flags = AddWatchFlags::IN_ATTRIB | moved | AddWatchFlags::IN_DONT_FOLLOW;
        // Where there is nothing, there is nothing to watch.
        let _ = inotify.add_watch(*file, flags);
        for directory in directories(file) {
            wanted.entry(directory).or_insert(moved);
        }
        if !is_there && let Some(nearest) = directories(file).next() {
            wanted.entry(nearest.clone()).and_modify(|flags| *flags |= named);
            nearest_of.push((*file, nearest));
        }
    }
    for (directory, flags) in wanted {
        // One that has gone meanwhile is noticed below.
        let _ = inotify.add_watch(directory.as_path(), flags | AddWatchFlags::IN_ONLYDIR);
    }
    nearest_of.into_iter().any(|(file, nearest)| directories(file).next() != Some(nearest))
}

/// The directories above a file that are there, the nearest first, by the names they have without links: one has one
/// watch, whatever it is called.
fn directories(file: &Path) -> impl Iterator<Item = PathBuf> {
    file.ancestors().skip(1).filter_map(|directory| fs::canonicalize(directory).ok())
}
