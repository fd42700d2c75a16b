//! Under which name the program was started, and so whose manners it has.

use std::path::Path;

/// Whose options and texts are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    Supervisord,
    Supervisorctl,
    Galaxyd,
    Galaxyctl,
    /// Prints a sample configuration; of both binaries.
    EchoSupervisordConf,
    /// Runs a command and hands signals on to the process of a pidfile; of the daemon's binary.
    Pidproxy,
}

/// Chooses by the last component of `argv0`. A name that is none of these (a renamed binary)
/// gives `Galaxyd`; `galaxyctl`'s own binary takes everything but `Supervisorctl` and `EchoSupervisordConf`
/// for `Galaxyctl`.
#[must_use]
pub fn personality(argv0: &str) -> Personality {
    match Path::new(argv0).file_name().and_then(|name| name.to_str()) {
        Some("supervisord") => Personality::Supervisord,
        Some("supervisorctl") => Personality::Supervisorctl,
        Some("echo_supervisord_conf") => Personality::EchoSupervisordConf,
        Some("pidproxy") => Personality::Pidproxy,
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
            ("/usr/bin/echo_supervisord_conf", Personality::EchoSupervisordConf),
            ("pidproxy", Personality::Pidproxy),
            ("renamed", Personality::Galaxyd),
            ("", Personality::Galaxyd),
        ] {
            assert_eq!(personality(argv0), expected, "{argv0:?}");
        }
    }
}
