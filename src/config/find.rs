//! Where a configuration is looked for when none is named.

use std::path::{Path, PathBuf};

use super::path::{dirname, join};
use super::source::Source;

/// No configuration was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "No config file found at default paths ({}); use the -c option to specify a config file at a different path",
    .searched.join(", ")
)]
pub struct NotFound {
    /// In the order of the search.
    pub searched: Vec<String>,
}

/// The places of the search for a program started as `argv0`, first to last.
#[must_use]
pub fn search_paths(argv0: &str) -> Vec<String> {
    let above = dirname(dirname(argv0));
    vec![
        join(above, "etc/supervisord.conf"),
        join(above, "supervisord.conf"),
        "supervisord.conf".to_owned(),
        "etc/supervisord.conf".to_owned(),
        "/etc/supervisord.conf".to_owned(),
        "/etc/supervisor/supervisord.conf".to_owned(),
    ]
}

/// The first configuration that exists at Supervisor's default places.
///
/// # Errors
/// [`NotFound`], whose text is Supervisor's.
pub fn find(argv0: &str, source: &dyn Source) -> Result<PathBuf, NotFound> {
    let searched = search_paths(argv0);
    match searched.iter().find(|path| source.exists(Path::new(path))) {
        Some(path) => Ok(PathBuf::from(path)),
        None => Err(NotFound { searched }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;

    #[test]
    fn the_places_follow_the_name_of_the_program() {
        let first_two = |argv0| search_paths(argv0).into_iter().take(2).collect::<Vec<_>>();
        assert_eq!(first_two("/opt/sv/bin/supervisord"), ["/opt/sv/etc/supervisord.conf", "/opt/sv/supervisord.conf"]);
        assert_eq!(first_two("bin/supervisord"), ["etc/supervisord.conf", "supervisord.conf"]);
        assert_eq!(first_two("supervisord"), ["etc/supervisord.conf", "supervisord.conf"]);
        let here = format!("{}/etc/supervisord.conf", MadeUp::new().current_dir());
        let host = MadeUp::new().file("/etc/supervisord.conf", "").file(&here, "");
        assert_eq!(find("/usr/bin/supervisord", &host), Ok(PathBuf::from("etc/supervisord.conf")));
        let error = find("x", &MadeUp::new()).unwrap_err().to_string();
        assert!(error.starts_with("No config file found at default paths (etc/supervisord.conf, "), "{error}");
    }
}
