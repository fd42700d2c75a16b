//! The units of `systemd/` under a real systemd: one throwaway system is booted for all tests of this file, `inside.sh` plays the
//! scenes in it, and each test looks at one promise. `limits.rs` has the scenes that need a virtual machine.
//!
//! `GALAXYD_SYSTEMD_MODE` and `GALAXYD_SYSTEMD_SUITE` choose another systemd than this machine's (the recipe's `tree`, `vm`).

#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should fail")]

use std::sync::OnceLock;

mod limits;
#[path = "../fixture/notice.rs"]
mod notice;
mod play;
mod units;

use play::Play;

/// How long the whole play may take, seconds. It takes about 50 on an idle machine.
const BOUND_SECS: u32 = 420;

/// The same on an emulated machine.
const EMULATED_BOUND_SECS: u32 = 1200;

fn holds(promise: &str) {
    static PLAYED: OnceLock<Option<String>> = OnceLock::new();
    let played = PLAYED.get_or_init(|| {
        let mode = std::env::var("GALAXYD_SYSTEMD_MODE").unwrap_or_else(|_| "ns".to_owned());
        let bound_secs = if mode == "vm" { EMULATED_BOUND_SECS } else { BOUND_SECS };
        let machine = ["--mode".to_owned(), mode].into_iter().chain(play::suite()).collect();
        Play { script: "inside.sh", machine, bound_secs }.perform()
    });
    play::judge(played.as_ref(), promise);
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
    f23_a_family_that_hides_is_ended_with_its_cgroup
    instances_do_not_meet
    the_descriptor_store_keeps_listening_sockets_and_no_client_is_refused
    what_is_not_configured_any_more_leaves_the_store
    a_restart_stores_the_new_socket_alone
    the_first_client_starts_the_daemon
    no_client_is_refused_across_a_crash_and_a_restart
    the_sockets_file_is_systemds
}
