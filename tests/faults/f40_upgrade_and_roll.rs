//! F40: everything is replaced while users are at work: the web servers, and the daemon by its next and its previous version.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::bars::{BYSTANDER, Bars};
use crate::household::worker_of;
use crate::line::Line;
use crate::load::{Load, requests};
use crate::site::Site;
use crate::subject::Subject;

#[test]
fn f40_rolls_and_upgrades_under_load_lose_no_request_and_refuse_no_client() {
    let Some(site) = Site::two_gunicorns(BYSTANDER) else { return };
    let daemon = &site.daemon;
    let versions = ["next", "previous"].map(|name| daemon.path(name));
    for version in &versions {
        fs::copy(Subject::GALAXYD.daemon.supervisord(), version).unwrap();
    }
    let bars = Bars::before(daemon);
    let pid = bars.keeper.to_string();
    // One client has been there since before, others come all the time.
    let mut old = Line::open(daemon);
    old.ask().unwrap();
    let load = Load::with_uploads(&site.ports);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                let outcome = daemon.ctl(&["pid"]);
                assert_eq!(outcome.stdout.trim(), pid, "{outcome:?}");
                answered += 1;
            }
            answered
        });
        let roll = |version: &str, code: i32, told: &str| {
            site.deploy(version);
            let outcome = daemon.ctl(&["graceful", "galaxy:"]);
            assert_eq!(outcome.code, Some(code), "{outcome:?}");
            assert!(outcome.stdout.contains(told), "{outcome:?}");
        };
        roll("two", 0, "Rolled 2 of 2 in ");
        for version in &versions {
            let worker = worker_of(bars.keeper);
            let outcome = daemon.ctl(&["upgrade", version.to_str().unwrap()]);
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
            assert_ne!(worker_of(bars.keeper), worker);
            let answer = old.ask().unwrap();
            assert!(answer.contains(&format!("<int>{pid}</int>")), "{answer}");
        }
        let second = daemon.process_pid("galaxy:web1");
        roll("broken", 1, "Rolled 0 of 2 in ");
        assert_eq!(daemon.process_pid("galaxy:web1"), second, "the broken version goes no further than the first");
        // Which serves again with what is good.
        roll("three", 0, "Rolled 2 of 2 in ");
        is_over.store(true, Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
    load.wait_for(requests());
    let (made, failed) = load.end();
    eprintln!("F40: {made} requests, {} failed", failed.len());
    assert_eq!(failed, Vec::<String>::new());
    site.wait_version(2, "three");
    drop(old);
    bars.hold_with_another_worker(daemon);
}
