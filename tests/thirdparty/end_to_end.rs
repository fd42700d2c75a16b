//! Supervisor's own end-to-end tests, from its source distribution, with the programs under test in the place of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::daemon::Daemon;
use crate::parcels::{listeners, or_told, supervisor_source};
use crate::script::{script, succeed};
use crate::subject::{Side, Subject};

daemons![supervisors_own_tests_pass];

const END_TO_END: &str = include_str!("end_to_end.py");

/// As many as 4.3.0 has: fewer would mean that the runner lost some.
const TESTS: usize = 27;

fn supervisors_own_tests_pass(subject: Subject) {
    let (Some(venv), Some(source)) = (or_told(listeners()), or_told(supervisor_source())) else { return };
    let folder = Daemon::folder(subject, "");
    fs::create_dir(folder.path("t")).unwrap();
    let mut command = script(&folder, &venv.join("bin/python"), "end_to_end.py", END_TO_END);
    command.arg(source.join("supervisor/tests")).arg(folder.path("t")).arg(programs(&folder, &venv));
    // The fixtures run `python`.
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", venv.join("bin").display()));
    let results: Vec<(String, String)> =
        succeed(&folder, &mut command).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), TESTS, "{results:?}");
    let failed = results.iter().filter(|(_, trouble)| !trouble.is_empty());
    let wrong: Vec<String> = failed.map(|(name, trouble)| format!("{name}: {trouble}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The folder with the four programs under the names that the tests ask for.
fn programs(folder: &Daemon, venv: &std::path::Path) -> PathBuf {
    if folder.subject.daemon == Side::Original {
        return venv.join("bin");
    }
    let bin = folder.path("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["supervisord", "pidproxy"] {
        symlink(env!("CARGO_BIN_EXE_galaxyd"), bin.join(name)).unwrap();
    }
    for name in ["supervisorctl", "echo_supervisord_conf"] {
        symlink(env!("CARGO_BIN_EXE_galaxyctl"), bin.join(name)).unwrap();
    }
    bin
}
