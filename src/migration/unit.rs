//! The systemd unit for a configuration.

use std::path::Path;

use crate::config::Config;

const TEMPLATE: &str = include_str!("../../systemd/galaxyd.service");

/// The configuration that the template names.
const TEMPLATE_CONFIGURATION: &str = "/etc/supervisord.conf";

/// How long the template waits for a stop, seconds; never made shorter.
const TEMPLATE_STOP: &str = "TimeoutStopSec=300";
const TEMPLATE_STOP_SECS: i64 = 300;

/// Seconds beyond the longest stop until systemd may lose patience.
const STOP_MARGIN: i64 = 30;

/// `systemd/galaxyd.service` for this configuration: its path, and a time to stop that is longer than what the programs may
/// take one priority after the other.
#[must_use]
pub fn unit(file: &Path, config: &Config) -> String {
    // Groups stop one after the other, each within the longest stopwaitsecs of its members.
    let by_group = config
        .groups
        .iter()
        .map(|group| group.processes.iter().map(|process| process.stopwaitsecs.max(0)).max().unwrap_or(0));
    let stop = by_group.fold(STOP_MARGIN, i64::saturating_add);
    let stop = format!("TimeoutStopSec={}", stop.max(TEMPLATE_STOP_SECS));
    TEMPLATE.replace(TEMPLATE_CONFIGURATION, &escaped(file)).replace(TEMPLATE_STOP, &stop)
}

/// A path as systemd reads it in a command line: quoted where there are blanks, specifiers doubled.
fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HostSource, Overrides, load};

    #[test]
    fn the_unit_names_the_file_and_waits_long_enough() {
        assert!(TEMPLATE.contains(TEMPLATE_CONFIGURATION) && TEMPLATE.contains(TEMPLATE_STOP));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.conf");
        let text =
            "[supervisord]\n[program:a]\ncommand=a\nstopwaitsecs=400\n[program:b]\ncommand=b\nstopwaitsecs=100\n";
        std::fs::write(&file, text).unwrap();
        let config = load(&file, &Overrides::default(), &HostSource::new(Vec::new())).config.unwrap();
        let text = unit(Path::new("/srv/my galaxy/100%.conf"), &config);
        assert!(text.contains("-c \"/srv/my galaxy/100%%.conf\"\n"), "{text}");
        assert!(text.contains("\nTimeoutStopSec=530\n"), "{text}");
        assert!(!text.contains(TEMPLATE_CONFIGURATION));
    }
}
