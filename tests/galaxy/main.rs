//! A real Galaxy under galaxyd, from `examples/galaxy/run` to the last process.
//!
//! Runs when it is asked for (`GALAXY_E2E=1`, as CI does), because it fetches 1.3 GB and takes minutes:
//! `target/galaxy` holds the installation, so the second run is quicker. With `GALAXY_DATABASE=URL`, or where
//! a PostgreSQL server is installed, it runs on PostgreSQL, else on SQLite. With `GALAXY_E2E=long` (`just galaxy`)
//! everything is replaced, too, while jobs and requests come in a steady stream: five more minutes.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![expect(
    dead_code,
    clippy::indexing_slicing,
    reason = "the users are shared with the tests of rolls, which use all of them"
)]

mod deployment;
#[path = "../fixture/load.rs"]
mod load;
#[path = "../fixture/notice.rs"]
mod notice;
mod postgres;
mod steady;
#[path = "../conformance/wait.rs"]
mod wait;

use deployment::Deployment;

#[test]
fn a_real_galaxy_lives_under_galaxyd() {
    let Some(length) = std::env::var_os("GALAXY_E2E") else {
        notice::tell("could not run: a real Galaxy is set up only when GALAXY_E2E=1 asks for it");
        return;
    };
    let galaxy = Deployment::start();

    let status = galaxy.ctl(&["status"]);
    assert_eq!(status.lines().filter(|line| line.contains(" RUNNING ")).count(), 3, "{status}");

    let handlers = galaxy.run_jobs(4, 0);
    assert!(handlers.iter().all(|handler| handler.starts_with("handler")), "jobs belong to handlers: {handlers:?}");

    // The worker dies while a job runs; the job and everything else do not notice.
    let before = galaxy.pids();
    let mut jobs = galaxy.submit_job_of_seconds(20);
    galaxy.wait_for_running_job(&mut jobs);
    galaxy.kill_worker();
    deployment::wait_for_jobs(jobs);
    assert_eq!(galaxy.pids(), before);

    if length == "long" {
        steady::nothing_is_lost_while_everything_is_replaced(&galaxy);
    } else {
        notice::tell(
            "could not run: the steady stream is played only when GALAXY_E2E=long asks for it, as it takes minutes",
        );
    }

    let before = galaxy.pids();
    let restart = galaxy.ctl(&["restart", "galaxy:"]);
    assert_eq!(restart.lines().filter(|line| line.ends_with(": started")).count(), 3, "{restart}");
    assert!(galaxy.pids().iter().all(|pid| !before.contains(pid)));
    galaxy.wait_for_answer();
    galaxy.run_jobs(2, 0);

    // A handler is killed while it has a job: what runs on without it is named.
    let mut jobs = galaxy.submit_job_of_seconds(600);
    galaxy.wait_for_running_job(&mut jobs);
    galaxy.kill_handler_at_work();
    jobs.kill().unwrap();
    jobs.wait().unwrap();

    let stop = galaxy.ctl(&["stop", "all"]);
    assert_eq!(stop.lines().filter(|line| line.ends_with(": stopped")).count(), 3, "{stop}");
    galaxy.assert_only_the_daemon_is_left();
    galaxy.shut_down();
}
