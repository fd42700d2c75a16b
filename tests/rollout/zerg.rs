//! Zerg mode: a pool that has the socket, and two zerglings that take turns.

use crate::household::kill_worker;
use crate::site::Site;

const REQUIREMENT: &str = "uwsgi==2.0.31";

/// A pool, and two zerglings with these settings more in the file that they share; the first one serves.
fn start(settings: &str) -> Option<Site> {
    let settings = format!(
        "uwsgi:\n  module: app:application\n  pythonpath: HERE\n  protocol: http\n  master: true\n  need-app: true\n\
         \x20 enable-threads: true\n  processes: 2\n  zerg: HERE/pool.sock\n  stats: HERE/stats.sock\n{settings}"
    );
    let zergling = |number: u8| {
        format!(
            "[program:zergling{number}]\ncommand=BIN/uwsgi --yaml %(here)s/galaxy.yml\ndirectory=%(here)s\n\
             autostart={}\nautorestart=unexpected\nexitcodes=0\nstartsecs=1\nstopsignal=INT\nstopwaitsecs=65\n\
             killasgroup=true\nenvironment=WHO=\"zergling{number}\"\nrollout_front=http://127.0.0.1:PORT0/\n",
            number == 0
        )
    };
    let sections = format!(
        "[program:zergpool]\ncommand=BIN/uwsgi --master --die-on-term --zerg-pool %(here)s/pool.sock:127.0.0.1:PORT0\n\
         directory=%(here)s\npriority=899\nstopsignal=INT\nstartsecs=0\n{}{}[group:galaxy]\n\
         programs=zergpool,zergling0,zergling1\n",
        zergling(0),
        zergling(1)
    );
    let site = Site::launch("uwsgi", REQUIREMENT, &[("galaxy.yml", &settings)], &sections)?;
    site.wait_version(1, "one");
    Some(site)
}

/// One place for a master that begins, one for the one that serves, one for the one that leaves.
const FIFOS: &str = "  master-fifo: HERE/new.fifo\n  master-fifo: HERE/run.fifo\n  master-fifo: HERE/old.fifo\n";

/// The course's: three FIFOs, and hooks by which the newcomer takes over.
const COURSE: &str = "  master-fifo: HERE/new.fifo\n  master-fifo: HERE/run.fifo\n  master-fifo: HERE/old.fifo\n\
    \x20 if-exists: HERE/run.fifo\n  hook-accepting1-once: writefifo:HERE/run.fifo 2q\n  endif: true\n\
    \x20 hook-accepting1-once: spinningfifo:HERE/new.fifo 1\n  die-on-term: true\n";

impl Site {
    fn state(&self, name: &str) -> String {
        let told = self.daemon.ctl(&["status", name]).stdout;
        told.split_whitespace().nth(1).unwrap_or_default().to_owned()
    }

    /// One takes over from the other under load, and the pool is left alone.
    fn hands_over(&self, version: &str, words: &[&str], newcomer: &str, former: &str, left: &str) {
        let pool = self.daemon.process_pid("galaxy:zergpool");
        self.deploy(version);
        let (said, code, failed) = self.under_load(1, words);
        assert_eq!((code, failed), (Some(0), Vec::new()), "{said}");
        assert!(said.contains(&format!("{newcomer}: done by zerg in ")), "{said}");
        assert!(said.contains(&format!("{former}: done by zerg in ")), "{said}");
        assert!(said.contains("Rolled 2 of 2 in ") && said.contains(", 0 of "), "{said}");
        assert_eq!((self.state(newcomer).as_str(), self.state(former).as_str()), ("RUNNING", left), "{said}");
        assert_eq!(self.daemon.process_pid("galaxy:zergpool"), pool);
        self.wait_version(1, version);
    }
}

#[test]
fn the_course_hands_over_by_its_hooks_and_back_again() {
    let Some(site) = start(COURSE) else { return };
    let (one, other) = ("galaxy:zergling0", "galaxy:zergling1");
    site.hands_over("two", &["graceful", "galaxy:"], other, one, "EXITED");
    site.hands_over("three", &["restart", "--rolling", "galaxy:"], one, other, "EXITED");
}

#[test]
fn without_hooks_the_daemon_tells_the_fifos_and_a_broken_newcomer_leaves_the_other_in_charge() {
    let Some(site) = start(FIFOS) else { return };
    let (one, other) = ("galaxy:zergling0", "galaxy:zergling1");
    site.hands_over("two", &["graceful", "galaxy:"], other, one, "EXITED");

    let present = site.daemon.process_pid(other);
    site.deploy("broken");
    let (said, code, failed) = site.under_load(1, &["graceful", "galaxy:"]);
    assert_eq!((code, failed), (Some(1), Vec::new()), "{said}");
    assert!(said.contains(&format!("{one}: failed by zerg in ")), "{said}");
    assert!(said.contains(&format!("it was stopped, and {other} serves on: ")), "{said}");
    assert!(said.contains(&format!("{other}: not reached")) && said.contains("Rolled 0 of 2 in "), "{said}");
    assert_eq!(site.daemon.process_pid(other), present);
    site.wait_version(1, "two");
    site.hands_over("four", &["graceful", "galaxy:"], one, other, "EXITED");
}

#[test]
fn zerglings_with_a_fifo_each_or_a_graceful_stop_are_retired_and_two_that_run_are_left_alone() {
    let own = "  master-fifo: HERE/$(WHO).fifo\n  die-on-term: true\n  hook-master-start: unix_signal:2 gracefully_kill_them_all\n";
    let Some(site) = start(own) else { return };
    let (one, other) = ("galaxy:zergling0", "galaxy:zergling1");
    site.hands_over("two", &["graceful", one, other], other, one, "EXITED");

    let started = site.daemon.ctl(&["start", one]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let pids = [one, other].map(|name| site.daemon.process_pid(name));
    let refused = site.daemon.ctl(&["graceful", "galaxy:"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("run both, so a former hand-over has failed"), "{refused:?}");
    assert_eq!([one, other].map(|name| site.daemon.process_pid(name)), pids);
    for stopped in [vec!["stop", other], vec!["stop", one]] {
        let stopped = site.daemon.ctl(&stopped);
        assert_eq!(stopped.code, Some(0), "{stopped:?}");
    }
    // Nobody serves: one is started.
    let alone = site.daemon.ctl(&["graceful", one, other]);
    assert_eq!(alone.code, Some(0), "{alone:?}");
    assert!(alone.stdout.contains("zergling1: left alone: one zergling serves at a time"), "{alone:?}");
    assert_eq!((site.state(one).as_str(), site.state(other).as_str()), ("RUNNING", "STOPPED"));

    let settings = site.daemon.text("galaxy.yml");
    let settings: Vec<&str> = settings.lines().filter(|line| !line.contains("master-fifo")).collect();
    std::fs::write(site.daemon.path("galaxy.yml"), settings.join("\n") + "\n").unwrap();
    site.hands_over("three", &["graceful", "galaxy:"], other, one, "STOPPED");
}

#[test]
fn a_hand_over_survives_the_death_of_the_worker() {
    let Some(site) = start(FIFOS) else { return };
    site.deploy("two");
    let begun = site.daemon.ctl(&["graceful", "--detach", "galaxy:"]);
    assert_eq!(begun.code, Some(0), "{begun:?}");
    kill_worker(&site.daemon, site.daemon.pid());
    let watched = site.daemon.ctl(&["watch"]);
    assert_eq!(watched.code, Some(0), "{watched:?}");
    assert!(watched.stdout.contains("Rolled 2 of 2 in "), "{watched:?}");
    assert_eq!(
        (site.state("galaxy:zergling0").as_str(), site.state("galaxy:zergling1").as_str()),
        ("EXITED", "RUNNING")
    );
    site.wait_version(1, "two");
}
