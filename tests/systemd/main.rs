//! The units of `systemd/` under a real systemd: one throwaway system is booted for all tests of this file, `inside.sh` plays the
//! scenes in it, and each test looks at one promise.
//!
//! `GALAXYD_SYSTEMD_MODE` and `GALAXYD_SYSTEMD_SUITE` choose another systemd than this machine's (the recipe's `tree`, `vm`).

#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should fail")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

#[path = "../fixture/notice.rs"]
mod notice;
mod units;

/// How long the whole play may take, seconds. It takes about 40 on an idle machine.
const BOUND_SECS: &str = "420";

/// The script that boots a systemd: beside the repository, as it is not part of it.
fn recipe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recipes/boot-systemd.sh")
}

/// What the play printed, or why there was none.
fn play() -> &'static Result<String, String> {
    static PLAYED: OnceLock<Result<String, String>> = OnceLock::new();
    PLAYED.get_or_init(|| {
        let played = perform();
        if let Err(why) = &played {
            notice::tell(&format!("could not run: tests/systemd: {why}"));
        }
        played
    })
}

fn perform() -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recipe = recipe();
    if !recipe.is_file() {
        return Err(format!("there is no {}", recipe.display()));
    }
    if !nix::unistd::geteuid().is_root() {
        return Err("only root can boot a systemd".to_owned());
    }
    let mut command = Command::new(recipe);
    for (variable, option) in [("GALAXYD_SYSTEMD_MODE", "--mode"), ("GALAXYD_SYSTEMD_SUITE", "--suite")] {
        if let Ok(value) = std::env::var(variable) {
            command.args([option, &value]);
        }
    }
    for (from, to) in [
        (Path::new(env!("CARGO_BIN_EXE_galaxyd")), "/usr/bin/galaxyd"),
        (Path::new(env!("CARGO_BIN_EXE_galaxyctl")), "/usr/bin/galaxyctl"),
        (&root.join("tests/systemd/inside.sh"), "/recipe/inside.sh"),
    ] {
        command.arg("--file").arg(format!("{}:{to}", from.display()));
    }
    for unit in ["galaxyd.service", "galaxyd@.service", "galaxyd.socket"] {
        command.arg("--unit").arg(root.join("systemd").join(unit));
    }
    command.args(["--timeout", BOUND_SECS, "--", "bash", "/recipe/inside.sh"]);
    let output = command.output().map_err(|error| format!("the recipe cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    // 77: what it needs is missing here, 98: no systemd came up.
    match output.status.code() {
        Some(77 | 98) => Err(format!("no systemd could be booted: {errors}")),
        _ => Ok(format!("{text}\n{errors}")),
    }
}

fn holds(promise: &str) {
    let Ok(text) = play() else { return };
    if let Some(why) = text.lines().find_map(|line| line.strip_prefix("cannot ")?.strip_prefix(promise)) {
        return notice::tell(&format!("could not run: tests/systemd: {promise}{why}"));
    }
    assert!(text.lines().any(|line| line == format!("ok {promise}")), "{promise}\n{text}");
}

macro_rules! promises {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })*
    };
}

promises! {
    active_only_when_ready
    status_says_how_programs_are
    programs_cannot_speak_for_the_daemon
    reload_applies_what_changed
    reload_of_a_broken_configuration_fails_and_changes_nothing
    programs_survive_the_daemons_death_and_are_taken_over
    restart_begins_anew
    stop_leaves_nothing
    an_orderly_stop_may_take_longer_than_the_units
    a_worker_that_hangs_is_replaced_before_systemd_acts
    a_keeper_that_hangs_is_replaced_by_systemd_and_programs_survive
    an_upgrade_keeps_the_main_process_and_the_programs
    the_new_program_goes_on_speaking_to_systemd
    a_program_that_is_no_successor_changes_nothing_for_systemd
    the_new_keeper_replaces_a_worker_that_hangs
    the_new_program_is_reloaded
    what_the_new_program_left_is_taken_over
    a_restart_after_an_upgrade_begins_anew
    a_stop_after_an_upgrade_leaves_nothing
    limits_that_cannot_be_enforced_refuse_the_start
    limits_hold_from_the_first_instruction
    an_update_moves_the_limits_of_a_running_program
    a_program_that_the_oom_killer_ended_is_told_so_and_nobody_else_suffers
    limits_outlive_the_daemon
    the_daemon_is_spared_for_want_of_memory_and_its_programs_are_not
    instances_do_not_meet
    the_descriptor_store_keeps_listening_sockets_and_no_client_is_refused
    what_is_not_configured_any_more_leaves_the_store
    a_restart_stores_the_new_socket_alone
    the_first_client_starts_the_daemon
    no_client_is_refused_across_a_crash_and_a_restart
    the_sockets_file_is_systemds
}
