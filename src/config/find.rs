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

/// The same under our own names: first what `GRAVITY_CONFIG_FILE` names, then Supervisor's places, then the galaxy.yml that
/// Galaxy and Gravity would take.
///
/// # Errors
/// [`NotFound`], with all places.
pub fn find_with_galaxy_yml(argv0: &str, source: &dyn Source) -> Result<PathBuf, NotFound> {
    let named = |variable| source.variable(variable).filter(|path: &&str| !path.is_empty());
    if let Some(path) = named("GRAVITY_CONFIG_FILE") {
        return Ok(PathBuf::from(path));
    }
    let NotFound { mut searched } = match find(argv0, source) {
        Err(not_found) => not_found,
        found => return found,
    };
    if let Some(path) = named("GALAXY_CONFIG_FILE") {
        return Ok(PathBuf::from(path));
    }
    let places = ["config/galaxy.yml", "galaxy.yml"];
    if let Some(path) = places.iter().find(|path| source.exists(Path::new(path))) {
        return Ok(PathBuf::from(path));
    }
    searched.extend(places.map(str::to_owned));
    Err(NotFound { searched })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;

    #[test]
    fn a_galaxy_yml_is_found_where_gravity_finds_it() {
        let found = |host: &MadeUp| find_with_galaxy_yml("galaxyd", host).map(|path| path.display().to_string());
        let here = MadeUp::new().current_dir();
        let host = || MadeUp::new().file(&format!("{here}/config/galaxy.yml"), "");
        assert_eq!(found(&host()).as_deref(), Ok("config/galaxy.yml"));
        assert_eq!(found(&host().variable("GALAXY_CONFIG_FILE", "/g.yml")).as_deref(), Ok("/g.yml"));
        let host = || host().variable("GALAXY_CONFIG_FILE", "/g.yml").file("/etc/supervisord.conf", "");
        assert_eq!(found(&host()).as_deref(), Ok("/etc/supervisord.conf"));
        assert_eq!(found(&host().variable("GRAVITY_CONFIG_FILE", "/x.yml")).as_deref(), Ok("/x.yml"));
        assert!(found(&MadeUp::new()).unwrap_err().searched.contains(&"galaxy.yml".to_owned()));
    }

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
