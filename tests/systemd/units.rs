//! What `systemd-analyze` says of the units: that they are well-formed, and how far a service that was taken over would reach.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::notice;

const UNITS: [&str; 3] = ["galaxyd.service", "galaxyd@.service", "galaxyd.socket"];

/// The exposure that `docs/systemd.md` names, in tenths. Less is better; a unit without any hardening has 96.
const EXPOSURE_MAX: &str = "58";

/// Copies of the units, with programs that are there. `None` where there is no `systemd-analyze`.
fn units() -> Option<TempDir> {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        notice::tell("could not run: tests/systemd/units: there is no systemd-analyze");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    for unit in UNITS {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(unit)).unwrap();
        let text = text.replace("/usr/bin/galaxyctl", "/bin/true").replace("/usr/bin/galaxyd", "/bin/true");
        fs::write(folder.path().join(unit), text).unwrap();
    }
    Some(folder)
}

fn analyze(words: &[&str], units: &[&str], folder: &TempDir) -> Output {
    let paths = units.iter().map(|unit| folder.path().join(unit));
    Command::new("systemd-analyze").args(words).args(paths).output().unwrap()
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[test]
fn the_units_are_well_formed() {
    let Some(folder) = units() else { return };
    let output = analyze(&["verify", "--man=no"], &UNITS, &folder);
    let said = text(&output);
    // Known since systemd 254; older ones pass over it, as docs/systemd.md says.
    let wrong: Vec<&str> = said.lines().filter(|line| !line.contains("'DelegateSubgroup'")).collect();
    assert!(output.status.success() && wrong.is_empty(), "{said}");
}

#[test]
fn the_exposure_of_the_units_is_what_the_documents_say() {
    let Some(folder) = units() else { return };
    let documents = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systemd.md")).unwrap();
    let documented = format!("gives it {}.{} (systemd 252)", &EXPOSURE_MAX[..1], &EXPOSURE_MAX[1..]);
    assert!(documents.contains(&documented), "{documented}");
    for unit in ["galaxyd.service", "galaxyd@.service"] {
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let output = analyze(&["security", "--offline=true", "--no-pager", &threshold], &[unit], &folder);
        assert!(output.status.success(), "{}", text(&output));
    }
}
