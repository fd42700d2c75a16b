//! Limits of programs, of the unit and of the machine itself, where the kernel has the controllers of cgroup v2: in a virtual
//! machine, whose memory may be used up. `limits.sh` plays the scenes there. They are played when they are asked for
//! (`--ignored`, as CI does, or `just vm`), because an emulated machine takes minutes.

use std::sync::OnceLock;

use crate::play::{self, Play};

/// How long the play may take, seconds. It takes about 120 on an idle machine with two processors.
const BOUND_SECS: u32 = 900;

/// What the machine has, MiB: enough for systemd and the daemon, and little to be used up.
const MEMORY_MIB: &str = "512";

fn holds(promise: &str) {
    static PLAYED: OnceLock<Option<String>> = OnceLock::new();
    let played = PLAYED.get_or_init(|| {
        let machine = ["--mode", "vm", "--mem", MEMORY_MIB].map(str::to_owned);
        let machine = machine.into_iter().chain(play::suite()).collect();
        Play { script: "limits.sh", machine, bound_secs: BOUND_SECS }.perform()
    });
    play::judge(played.as_ref(), promise);
}

macro_rules! promises {
    ($($name:ident)*) => {
        $(#[test]
        #[ignore = "boots a virtual machine, which takes minutes: --ignored, just vm"]
        fn $name() {
            holds(stringify!($name));
        })*
    };
}

promises! {
    the_daemon_is_spared_for_want_of_memory_and_its_programs_are_not
    f04_the_units_limit_of_processes_is_told_and_waited_for
    f32_at_the_units_limit_of_memory_a_program_ends_and_not_the_daemon
    limits_hold_from_the_first_instruction
    f04_a_program_at_its_limit_of_processes_is_alone_with_it
    an_update_moves_the_limits_of_a_running_program
    a_program_that_the_oom_killer_ended_is_told_so_and_nobody_else_suffers
    f32_when_the_machine_is_out_of_memory_a_program_ends_and_not_the_daemon
    limits_outlive_the_daemon
}
