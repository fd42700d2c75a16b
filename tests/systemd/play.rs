//! Boots a throwaway systemd by the recipe beside the repository, and has it play one of the scripts of this folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::notice;

/// A script, where it is played, and for how long at most.
pub(crate) struct Play {
    pub(crate) script: &'static str,
    /// The recipe's options for the machine.
    pub(crate) machine: Vec<String>,
    pub(crate) bound_secs: u32,
}

impl Play {
    /// What the script printed; `None`, and said so, where no systemd comes up.
    pub(crate) fn perform(&self) -> Option<String> {
        let played = self.boot();
        played.map_err(|why| notice::tell(&format!("could not run: tests/systemd/{}: {why}", self.script))).ok()
    }

    fn boot(&self) -> Result<String, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let recipe = root.join("../shared/recipes/boot-systemd.sh");
        if !recipe.is_file() {
            return Err(format!("there is no {}", recipe.display()));
        }
        if !nix::unistd::geteuid().is_root() {
            return Err("only root can boot a systemd".to_owned());
        }
        let scenes = root.join("tests/systemd");
        let programs = tempfile::tempdir().unwrap();
        let mut command = Command::new(recipe);
        command.args(&self.machine);
        for (from, to) in [
            (stripped(env!("CARGO_BIN_EXE_galaxyd"), &programs), "/usr/bin/galaxyd"),
            (stripped(env!("CARGO_BIN_EXE_galaxyctl"), &programs), "/usr/bin/galaxyctl"),
            (scenes.join("stage.sh"), "/recipe/stage.sh"),
            (scenes.join(self.script), "/recipe/scenes.sh"),
        ] {
            command.arg("--file").arg(format!("{}:{to}", from.display()));
        }
        for unit in ["galaxyd.service", "galaxyd@.service", "galaxyd.socket"] {
            command.arg("--unit").arg(root.join("systemd").join(unit));
        }
        command.args(["--timeout", &self.bound_secs.to_string(), "--", "bash", "/recipe/scenes.sh"]);
        let output = command.output().map_err(|error| format!("the recipe cannot be started: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        // 77: what it needs is missing here, 98: no systemd came up. The line is there when one was tried at all: what the
        // recipe has to fetch first may not be had.
        let was_tried = errors.lines().any(|line| line.starts_with("boot-systemd: mode="));
        if !was_tried || matches!(output.status.code(), Some(77 | 98)) {
            return Err(format!("no systemd could be booted: {errors}"));
        }
        Ok(format!("{text}\n{errors}"))
    }
}

/// A copy of the program in `folder` without what only a debugger reads, three quarters of it: it is copied into the machine,
/// whose disk may be emulated. The program itself where there is no `strip`.
fn stripped(program: &str, folder: &TempDir) -> PathBuf {
    let program = Path::new(program);
    let copy = folder.path().join(program.file_name().unwrap());
    let made = Command::new("strip").arg("-o").arg(&copy).arg(program).status();
    if made.is_ok_and(|status| status.success()) { copy } else { program.to_owned() }
}

/// The recipe's options for the release of Debian that is wanted, if one is.
pub(crate) fn suite() -> Vec<String> {
    let suite = std::env::var("GALAXYD_SYSTEMD_SUITE").ok();
    suite.map_or_else(Vec::new, |suite| vec!["--suite".to_owned(), suite])
}

/// Fails unless the play, where there was one, found the promise kept.
pub(crate) fn judge(played: Option<&String>, promise: &str) {
    let Some(text) = played else {
        // The list of faults (`.ci/faults`) must not count it among those that ran.
        let number = promise.strip_prefix('f').and_then(|rest| rest.split_once('_')?.0.parse::<u8>().ok());
        if let Some(number) = number {
            notice::tell(&format!("could not run: F{number:02} {promise}: there was no systemd to play it under"));
        }
        return;
    };
    assert!(text.lines().any(|line| line == format!("ok {promise}")), "{promise}\n{text}");
}
