//! A program that must not run without its limits does not. That they hold where they can is shown in a virtual
//! machine (`tests/systemd/limits.rs`), whose kernel has the controllers of cgroup v2.

use std::fs;

use crate::cgroups::Place;
use crate::household::galaxyd;
use crate::notice;
use crate::wait::until_true;

const FREE: &str = "[program:free]\ncommand=sleep 1000\n";

#[test]
fn limits_that_cannot_be_enforced_refuse_the_start_and_say_why() {
    let limited = |limits: &str| format!("[program:limited]\ncommand=sleep 1000\nstartretries=0\n{limits}{FREE}");
    let daemon = galaxyd("cgroup=none", &limited("memory_max=64MB\npids_max=10\n"));
    daemon.wait_state("limited", "FATAL");
    daemon.wait_running(&["free"]);
    let reason = "memory_max=64MB, pids_max=10 cannot be enforced for 'limited': cgroup=none; run the daemon under systemd with \
                  Delegate=yes";
    for command in ["status", "why"] {
        let told = format!("{:?}", daemon.ctl(&[command, "limited"]));
        assert!(told.contains(reason), "{command}: {told}");
    }
    assert!(daemon.text("main.log").contains(&format!("spawnerr: {reason}")));
    // Without them it starts.
    daemon.rewrite(&limited("memory_max=max\n"));
    daemon.ctl(&["update"]);
    daemon.ctl(&["start", "limited"]);
    daemon.wait_state("limited", "RUNNING");
    // What runs is not ended for a limit that comes too late to hold, but cannot be started again with it.
    let pid = daemon.process_pid("limited");
    daemon.rewrite(&limited("cpu_max=50%%\n"));
    daemon.ctl(&["update"]);
    daemon.wait_text(
        "main.log",
        &format!("'limited' (pid {pid}) goes on without its present limits: cpu_max=50000 100000"),
    );
    assert_eq!(daemon.process_pid("limited"), pid);
    daemon.ctl(&["restart", "limited"]);
    daemon.wait_state("limited", "FATAL");
}

#[test]
fn a_limit_whose_controller_is_missing_refuses_the_start_and_names_it() {
    let Some(place) = Place::new() else { return };
    let controllers = fs::read_to_string(place.path().join("cgroup.controllers")).unwrap();
    if controllers.split_ascii_whitespace().any(|name| name == "memory") {
        return notice::tell("could not run: the controllers of cgroup v2 are all there, so none is missing");
    }
    let limited = "[program:limited]\ncommand=sleep 1000\nstartretries=0\nmemory_high=64MB\n";
    let daemon = galaxyd(&place.key(), &format!("{limited}{FREE}"));
    daemon.wait_state("limited", "FATAL");
    daemon.wait_running(&["free"]);
    let told = format!("{:?}", daemon.ctl(&["why", "limited"]));
    let reason =
        format!("memory_high=64MB cannot be enforced: {} has no controller memory (it has: ", place.path().display());
    assert!(told.contains(&reason), "{told}");
    until_true("the cgroup that was made for it to be removed", || place.rooms("limited").is_empty());
    assert_eq!(place.rooms("free").len(), 1);
}
