//! Faults and abuse that galaxyd survives: one file for each, the fault's number first. Each test asserts what is expected
//! of its fault, and the bars that hold for all of them (`bars.rs`).
//!
//! Some need root, a mount namespace or a file system of their own; where those are not to be had they say
//! `could not run: …`. `just faults` lists at its end what ran, what did not and why; `just faults-long` plays the long forms.
//! `could not run: FNN needs …` is what that list understands.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests start programs and tell what they measured"
)]
#![expect(dead_code, reason = "the harness is shared with the conformance tests, which use all of it")]

#[path = "../conformance/daemon.rs"]
mod daemon;
#[path = "../fixture/dice.rs"]
mod dice;
#[path = "../promises/household.rs"]
mod household;
#[path = "../fixture/line.rs"]
mod line;
#[path = "../fixture/load.rs"]
mod load;
#[path = "../fixture/notice.rs"]
mod notice;
#[path = "../rollout/site.rs"]
mod site;
#[path = "../promises/subject.rs"]
mod subject;
#[path = "../fixture/venv.rs"]
mod venv;
#[path = "../conformance/wait.rs"]
mod wait;

mod bars;
mod hung;
mod mount;
mod probe;
mod world;

mod f01_full_disk;
mod f02_full_disk_of_the_daemon;
mod f03_descriptors;
mod f04_process_limit;
mod f05_clock;
mod f06_listeners;
mod f07_stopped_child;
mod f08_orphans;
mod f09_log_flood;
mod f10_pathological_output;
mod f11_slow_clients;
mod f12_endless_header;
mod f13_huge_body;
mod f14_xml_bombs;
mod f15_deep_values;
mod f17_multicall;
mod f18_names;
mod f19_planted_links;
mod f20_socket;
mod f21_foreign_user;
mod f22_reused_pid;
mod f23_deaf_family;
mod f24_daemonizes;
mod f25_descriptors;
mod f26_many_programs;
mod f27_includes;
mod f28_bad_configuration;
mod f29_many_deaths;
mod f30_state_files;
mod f31_crash_points;
mod f32_out_of_memory;
mod f33_read_only;
mod f34_hung_file_system;
mod f35_log_directory;
mod f36_hostile_output;
mod f37_frozen_daemon;
mod f38_cannot_be_executed;
mod f39_crash_loops;
mod f40_upgrade_and_roll;
