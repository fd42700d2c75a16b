//! What a program leaves behind is found, told, and ended where that is wanted; and it is told why a start failed.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::Daemon;
use crate::household::{galaxyd, kill_worker, worker_of};
use crate::wait::{until, until_true};

/// A process that is not a zombie.
pub(crate) fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

pub(crate) fn pid_in(daemon: &Daemon, file: &str) -> i32 {
    until(file, || daemon.text(file).trim().parse().map_err(|_| "no pid yet".to_owned()))
}

/// Ends a process that a test left alive on purpose, when the test ends.
pub(crate) struct Leftover(pub(crate) i32);

impl Drop for Leftover {
    fn drop(&mut self) {
        if lives(self.0) {
            let _ = kill(Pid::from_raw(self.0), Signal::SIGKILL);
        }
    }
}

/// A shell that leaves three behind: one in its group, a daemon by double fork and setsid, and one in a session of its
/// own that ignores TERM.
const FAMILY: &str = "sh -c 'sleep 1001 & echo $! > %(here)s/group.pid; \
    (setsid sh -c \"echo \\$\\$ > %(here)s/daemon.pid; exec sleep 1002\" &); \
    setsid sh -c \"trap : TERM; echo \\$\\$ > %(here)s/deaf.pid; while :; do sleep 1003; done\" & \
    exec sleep 1004'";

const FAMILY_PIDS: [&str; 3] = ["group.pid", "daemon.pid", "deaf.pid"];

fn family(daemon: &Daemon) -> [i32; 3] {
    let pids = FAMILY_PIDS.map(|file| pid_in(daemon, file));
    // The pid is written before the trap is of no use any more: the loop's child is there.
    until_true("the deaf one's child", || {
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pids[2])).is_ok_and(|text| !text.is_empty())
    });
    pids
}

#[test]
fn survivors_of_a_stop_are_told_and_left_alone() {
    let daemon = galaxyd("cgroup=none", &format!("[program:family]\ncommand={FAMILY}\n"));
    daemon.wait_state("family", "RUNNING");
    let pids = family(&daemon);
    let leftovers = pids.map(Leftover);
    daemon.ctl(&["stop", "family"]);
    daemon.wait_text("main.log", "left something behind");
    let log = daemon.text("main.log");
    let line = log.lines().find(|line| line.contains("left something behind")).unwrap();
    for (pid, command) in [(pids[0], "sleep 1001"), (pids[1], "sleep 1002"), (pids[2], "sh -c trap")] {
        assert!(line.contains(&format!("{pid} ({command}")), "{line}");
        assert!(lives(pid), "{pid}");
    }
    assert!(line.contains("WARN") && line.contains("sh does not pass signals on: set stopasgroup=true"), "{line}");
    let why = daemon.ctl(&["why", "family"]);
    assert!(format!("{why:?}").contains(&format!("left behind: {} sleep 1001", pids[0])), "{why:?}");
    let json = daemon.ctl(&["--json", "status", "family"]);
    assert!(format!("{json:?}").contains("sleep 1002"), "{json:?}");
    // One that ends is no survivor any more.
    drop(leftovers);
    until_true("the survivors to be forgotten", || {
        !format!("{:?}", daemon.ctl(&["why", "family"])).contains("sleep 1001")
    });
}

#[test]
fn killtree_ends_all_that_is_left_within_stopwaitsecs() {
    let daemon =
        galaxyd("cgroup=none", &format!("[program:family]\ncommand={FAMILY}\nkilltree=true\nstopwaitsecs=2\n"));
    daemon.wait_state("family", "RUNNING");
    let pids = family(&daemon);
    let begin = Instant::now();
    daemon.ctl(&["stop", "family"]);
    let took = begin.elapsed();
    assert_eq!(daemon.info("family", "statename").unwrap(), "STOPPED");
    for pid in pids {
        assert!(!lives(pid), "{pid} lives");
    }
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(8), "{took:?}");
    let log = daemon.text("main.log");
    assert!(log.contains("left behind with SIGTERM (killtree)"), "{log}");
    assert!(log.contains("left behind with SIGKILL (killtree)"), "{log}");
    assert!(!log.contains("left something behind"), "{log}");
}

#[test]
fn a_crash_with_killtree_restarts_only_when_nothing_is_left() {
    let daemon = galaxyd(
        "",
        "[program:server]\ncommand=sh -c 'ls %(here)s/held && echo held > %(here)s/conflict; \
         touch %(here)s/held; (trap \"rm %(here)s/held; exit\" TERM; while :; do sleep 0.05; done) & \
         echo $! > %(here)s/worker.pid; exec sleep 1000'\nkilltree=true\nautorestart=true\nstartsecs=0\n",
    );
    daemon.wait_state("server", "RUNNING");
    let mut worker = pid_in(&daemon, "worker.pid");
    for _ in 0..3 {
        let server = daemon.process_pid("server");
        kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
        until("a new worker", || {
            let pid = pid_in(&daemon, "worker.pid");
            if pid == worker { Err("the old one".to_owned()) } else { Ok(()) }
        });
        assert!(!lives(worker));
        worker = pid_in(&daemon, "worker.pid");
        until_true("the fresh process", || daemon.info("server", "statename").is_ok_and(|state| state == "RUNNING"));
        assert_ne!(daemon.process_pid("server"), server);
        assert!(lives(daemon.process_pid("server")) && lives(worker), "the fresh tree is left alone");
    }
    assert!(!daemon.path("conflict").exists(), "two generations at once");
}

#[test]
fn a_killed_worker_s_successor_goes_on_ending_the_tree() {
    let daemon =
        galaxyd("cgroup=none", &format!("[program:family]\ncommand={FAMILY}\nkilltree=true\nstopwaitsecs=3\n"));
    daemon.wait_state("family", "RUNNING");
    let pids = family(&daemon);
    let name =
        "<param><value><string>family</string></value></param><param><value><boolean>0</boolean></value></param>";
    // Answered only when the child is reaped; nobody waits for the answer here.
    let _ = std::thread::scope(|scope| {
        let stop = scope.spawn(|| daemon.call("supervisor.stopProcess", name));
        daemon.wait_text("main.log", "left behind with SIGTERM (killtree)");
        let keeper = daemon.pid();
        let old = worker_of(keeper);
        kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
        until_true("a successor", || worker_of(keeper) != old && daemon.call("supervisor.getState", "").is_ok());
        stop.join()
    });
    daemon.wait_state("family", "STOPPED");
    for pid in pids {
        assert!(!lives(pid), "{pid} lives");
    }
}

#[test]
fn a_program_that_goes_into_the_background_is_told_so() {
    let daemon = galaxyd(
        "",
        "[program:daemonizer]\ncommand=sh -c 'echo going >&2; (setsid sh -c \"echo \\$\\$ > %(here)s/d.pid; exec sleep 1005\" &); \
         while [ ! -s %(here)s/d.pid ]; do sleep 0.01; done'\nstartretries=0\nstderr_logfile=%(here)s/err.log\n",
    );
    daemon.wait_state("daemonizer", "FATAL");
    let leftover = Leftover(pid_in(&daemon, "d.pid"));
    daemon.wait_text("main.log", "left a background process behind");
    let log = daemon.text("main.log");
    let line = log.lines().find(|line| line.contains("ended too quickly")).unwrap();
    assert!(line.contains("exit status 0 after 0."), "{line}");
    assert!(line.contains(&format!("left a background process behind: {} (sleep 1005)", leftover.0)), "{line}");
    assert!(line.contains("the last lines of its log: going"), "{line}");
    // Supervisor's words stay where its clients look.
    assert_eq!(daemon.info("daemonizer", "spawnerr").unwrap(), "Exited too quickly (process log may have details)");
    let why = format!("{:?}", daemon.ctl(&["why"]));
    assert!(why.contains("given up after failing 1 time in a row") && why.contains("log: going"), "{why}");
    assert!(lives(leftover.0));
}

/// Leaves a process that gave up all by which its program could be known.
fn vanishing(keys: &str) -> String {
    format!(
        "[program:stray]\ncommand=sh -c 'env -i setsid sh -c \"echo \\$\\$ > %(here)s/stray.pid; exec sleep 1006\" \
         </dev/null >/dev/null 2>&1 & while [ ! -s %(here)s/stray.pid ]; do sleep 0.01; done'\nstartretries=0\n{keys}\n"
    )
}

#[test]
fn who_gave_up_everything_is_its_programs_where_no_other_can_be_meant_and_never_ended_for_that() {
    let daemon = galaxyd("cgroup=none", &vanishing("killtree=true"));
    daemon.wait_state("stray", "FATAL");
    let leftover = Leftover(pid_in(&daemon, "stray.pid"));
    daemon.wait_text("main.log", &format!("left a background process behind: {} (sleep 1006)", leftover.0));
    let why = format!("{:?}", daemon.ctl(&["why", "stray"]));
    assert!(why.contains(&format!("left behind: {} sleep 1006", leftover.0)), "{why}");
    assert!(lives(leftover.0), "killtree ends what is known for certain");
    assert!(!daemon.text("main.log").contains("unclaimed"), "{}", daemon.text("main.log"));
}

#[test]
fn who_gave_up_everything_is_named_to_all_that_may_be_meant_also_by_a_successor() {
    let other = "[program:other]\ncommand=sleep 1007\n";
    let daemon = galaxyd("cgroup=none", &format!("{other}{}", vanishing("autostart=false")));
    daemon.wait_state("other", "RUNNING");
    daemon.ctl(&["start", "stray"]);
    daemon.wait_state("stray", "FATAL");
    let leftover = Leftover(pid_in(&daemon, "stray.pid"));
    let stray = format!("{} (sleep 1006)", leftover.0);
    daemon.wait_text(
        "main.log",
        &format!("unclaimed, and left alone: {stray}; it began while other, stray ran, which may have left it"),
    );
    let is_told = || {
        let why = ["other", "stray"].map(|name| daemon.ctl(&["why", name]).stdout);
        let may_be = format!("it may have left behind what nobody claims: {stray}");
        let status = daemon.ctl(&["status"]).stderr;
        let notice = format!("the daemon is running, and of no program that is known: {stray}");
        (why.iter().all(|why| why.contains(&may_be)) && status.contains(&notice), format!("{why:?} {status}"))
    };
    let wait_told = || until("the news", || if is_told().0 { Ok(()) } else { Err(is_told().1) });
    wait_told();
    for name in ["other", "stray"] {
        until_true("its history", || daemon.ctl(&["history", name]).stdout.contains(&format!("left alone: {stray}")));
    }
    daemon.ctl(&["restart", "other"]);
    wait_told();
    let log = daemon.text("main.log");
    assert_eq!(log.matches("unclaimed, and left alone").count(), 1, "{log}");
    kill_worker(&daemon, daemon.pid());
    wait_told();
    drop(leftover);
    until_true("it to be forgotten", || !daemon.ctl(&["status"]).stderr.contains("sleep 1006"));
}

#[test]
fn who_was_left_by_one_that_was_left_behind_is_found_when_that_ends() {
    let daemon = galaxyd(
        "cgroup=none",
        "[program:p]\ncommand=sh -c 'setsid sh %(here)s/middle.sh & exec sleep 1008'\nautostart=false\nautorestart=false\n",
    );
    std::fs::write(
        daemon.path("middle.sh"),
        "cd \"${0%/*}\"; echo $$ > middle.pid; while [ ! -e go ]; do sleep 0.02; done\n\
         env -i setsid sh -c 'echo $$ > stray.pid; exec sleep 1006' </dev/null >/dev/null 2>&1 &\n\
         while [ ! -s stray.pid ]; do sleep 0.02; done\n",
    )
    .unwrap();
    daemon.ctl(&["start", "p"]);
    pid_in(&daemon, "middle.pid");
    daemon.ctl(&["stop", "p"]);
    daemon.wait_text("main.log", "left something behind");
    std::fs::write(daemon.path("go"), "").unwrap();
    let leftover = Leftover(pid_in(&daemon, "stray.pid"));
    daemon.wait_text("main.log", &format!("unclaimed, and left alone: {} (sleep 1006)", leftover.0));
}

#[test]
fn a_oneshot_succeeds_by_ending_well_and_is_tried_again_otherwise() {
    let daemon = galaxyd(
        "",
        "[program:good]\ncommand=sh -c 'echo run >> %(here)s/good'\ntype=oneshot\nautorestart=true\n\
         [program:bad]\ncommand=sh -c 'echo run >> %(here)s/bad; exit 3'\ntype=oneshot\nstartretries=1\n\
         [program:late]\ncommand=sh -c 'echo run >> %(here)s/late; test $(wc -l < %(here)s/late) = 2'\ntype=oneshot\n",
    );
    daemon.wait_state("bad", "FATAL");
    daemon.wait_lines("late", 2);
    daemon.wait_state("late", "EXITED");
    daemon.wait_state("good", "EXITED");
    assert_eq!(daemon.text("bad").lines().count(), 2);
    assert_eq!(daemon.text("good").lines().count(), 1);
    assert_eq!(daemon.text("late").lines().count(), 2);
    assert_eq!(daemon.info("bad", "exitstatus").unwrap(), "3");
    assert!(!daemon.text("main.log").contains("too quickly: "), "there is no start window");
}

#[test]
fn the_environment_comes_from_account_files_and_keys() {
    let daemon = galaxyd(
        "",
        "[program:p]\ncommand=/bin/sh -c '/usr/bin/env > %(here)s/seen; exec sleep 1000'\nautostart=false\nclear_environment=true\n\
         user_environment=true\nenvironment_file=%(here)s/p.env,-%(here)s/none.env\nenvironment=B=own,PATH=/bin\n\
         [program:broken]\ncommand=sleep 1000\nautostart=false\nstartretries=0\nenvironment_file=%(here)s/broken.env\n",
    );
    std::fs::write(daemon.path("p.env"), "# a comment\nA='x y'\nB=file\nAPI_TOKEN=geheim\n").unwrap();
    std::fs::write(daemon.path("broken.env"), "A=1\nexport B=2\n").unwrap();
    let shown = daemon.ctl(&["env", "p"]);
    let shown = format!("{shown:?}");
    assert!(shown.contains("API_TOKEN=********") && !shown.contains("geheim"), "{shown}");
    assert!(shown.contains("executes /bin/sh") && shown.contains("Max open files"), "{shown}");
    assert!(format!("{:?}", daemon.ctl(&["env", "p", "--reveal"])).contains("geheim"));
    assert!(daemon.text("main.log").contains("audit: galaxyd.getProcessPlan p by"));
    assert_eq!(daemon.info("p", "statename").unwrap(), "STOPPED", "nothing was started");
    daemon.ctl(&["start", "p"]);
    daemon.wait_text("seen", "SUPERVISOR_ENABLED=1");
    let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
    daemon.wait_text("seen", "B=own");
    let seen = daemon.text("seen");
    for wanted in [format!("HOME={}", me.dir.display()), format!("LOGNAME={}", me.name), "A=x y".into(), "B=own".into()]
    {
        assert!(seen.lines().any(|line| line == wanted), "{wanted} in {seen}");
    }
    assert!(!seen.lines().any(|line| line.starts_with("CARGO")), "{seen}");
    daemon.ctl(&["start", "broken"]);
    let error = daemon.info("broken", "spawnerr").unwrap();
    assert!(error.contains("broken.env, line 2: leave out `export`"), "{error}");
}
