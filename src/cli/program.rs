//! The program's own path, as Python would see it.

use std::path::Path;

/// `argv0` with the folder it was found in. The kernel hands a script's whole path to its interpreter, so the original shows
/// and searches by that even where only a name was typed; a binary has to look along `path` (the variable PATH) for itself. A
/// name that is not found there stays as it is.
#[must_use]
pub fn program_path(argv0: &str, path: &str) -> String {
    if argv0.contains('/') {
        return argv0.to_owned();
    }
    let folders = path.split(':').filter(|folder| !folder.is_empty());
    let mut candidates = folders.map(|folder| format!("{}/{argv0}", folder.trim_end_matches('/')));
    candidates.find(|candidate| Path::new(candidate).is_file()).unwrap_or_else(|| argv0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_for_along_the_path() {
        assert_eq!(program_path("sh", "/nowhere:/bin"), "/bin/sh");
        assert_eq!(program_path("bin/sh", "/bin"), "bin/sh");
        assert_eq!(program_path("no-such-program", "/bin"), "no-such-program");
    }
}
