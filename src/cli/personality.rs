//! Under which name the program was started, and so whose manners it has.

use std::path::Path;

/// Whose options and texts are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    Supervisord,
    Supervisorctl,
    Galaxyd,
    Galaxyctl,
}

/// Chooses by the last component of `argv0`. A name that is none of the four (a renamed binary)
/// gives `Galaxyd`; `galaxyctl`'s own binary takes everything but `Supervisorctl` for `Galaxyctl`.
#[must_use]
pub fn personality(argv0: &str) -> Personality {
    match Path::new(argv0).file_name().and_then(|name| name.to_str()) {
        Some("supervisord") => Personality::Supervisord,
        Some("supervisorctl") => Personality::Supervisorctl,
        Some("galaxyctl") => Personality::Galaxyctl,
        _ => Personality::Galaxyd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_component_of_argv0_decides() {
        for (argv0, expected) in [
            ("supervisord", Personality::Supervisord),
            ("/usr/bin/supervisorctl", Personality::Supervisorctl),
            ("./galaxyctl", Personality::Galaxyctl),
            ("target/debug/galaxyd", Personality::Galaxyd),
            ("renamed", Personality::Galaxyd),
            ("", Personality::Galaxyd),
        ] {
            assert_eq!(personality(argv0), expected, "{argv0:?}");
        }
    }
}
