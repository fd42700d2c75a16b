//! Where there is a cgroup v2 for it, nothing that a program leaves behind is overlooked.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::Pid;

use crate::daemon::Daemon;
use crate::household::{galaxyd, kill_worker, worker_of};
use crate::left_behind::{Leftover, lives, pid_in};
use crate::subject::Subject;
use crate::wait::{until, until_true};

/// A cgroup of the test's own, below the one it runs in.
pub(crate) struct Place(PathBuf);

impl Place {
    /// `None`, and said so, where none can be made.
    pub(crate) fn new() -> Option<Place> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let made = mount().and_then(|mount| {
            let table = fs::read_to_string("/proc/self/cgroup").ok()?;
            let own = mount.join(table.lines().find_map(|line| line.strip_prefix("0::/"))?);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = own.join(format!("test-of-galaxyd-{}-{count}", std::process::id()));
            fs::create_dir(&path).ok()?;
            let place = Place(path);
            // Whether processes may be moved from here to there is known only by trying.
            let mut shell = std::process::Command::new("/bin/sh");
            let moved = shell.arg("-c").arg("echo $$ > \"$0/cgroup.procs\"").arg(&place.0).output().ok()?;
            moved.status.success().then_some(place)
        });
        if made.is_none() {
            let _ = writeln!(std::io::stderr(), "could not run: no cgroup v2 in which cgroups can be made");
        }
        made
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn key(&self) -> String {
        format!("cgroup={}", self.0.display())
    }

    /// The cgroups of runs of programs, by the name of the process.
    pub(crate) fn rooms(&self, process: &str) -> Vec<PathBuf> {
        let of_daemons = below(&self.0);
        let wanted = format!(":{process}.");
        of_daemons
            .iter()
            .flat_map(|daemon| below(daemon))
            .filter(|run| run.to_string_lossy().contains(&wanted))
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let rooms: Vec<PathBuf> = below(&self.0).iter().flat_map(|daemon| below(daemon)).collect();
        // What was just killed may not have ended yet.
        until_true("the test's cgroups to be removed", || {
            let of_daemons = below(&self.0);
            rooms.iter().chain(&of_daemons).for_each(|path| drop(fs::remove_dir(path)));
            fs::remove_dir(&self.0).is_ok()
        });
    }
}

fn mount() -> Option<&'static Path> {
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    mounts.into_iter().find(|path| statfs(*path).is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC))
}

fn below(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn is_in(pid: i32, room: &Path) -> bool {
    fs::read_to_string(room.join("cgroup.procs")).unwrap().lines().any(|line| line == pid.to_string())
}

/// Leaves somebody behind who gave up session, group, environment, standard descriptors and parent, and who is deaf to TERM if asked to be.
const HIDE: &str = r#"
here=$1
/usr/bin/env -i /usr/bin/setsid /bin/sh -c '(/bin/sh -c "$1
echo \$\$ > $0/hidden.pid; while :; do /bin/sleep 0.1; done" &)' "$here" "$2" < /dev/null > /dev/null 2>&1
exec sleep 1011
"#;

/// The program `hider` runs, and this is whom it hides.
fn hide(daemon: &Daemon) -> i32 {
    fs::write(daemon.path("hide.sh"), HIDE).unwrap();
    daemon.ctl(&["start", "hider"]);
    daemon.wait_state("hider", "RUNNING");
    pid_in(daemon, "hidden.pid")
}

fn hider(trap: &str, keys: &str) -> String {
    format!("[program:hider]\ncommand=/bin/sh %(here)s/hide.sh %(here)s '{trap}'\nautostart=false\n{keys}\n")
}

#[test]
fn whoever_gave_up_everything_is_told_all_the_same() {
    let Some(place) = Place::new() else { return };
    let mut daemon = galaxyd(&place.key(), &hider("", ""));
    let hidden = Leftover(hide(&daemon));
    let rooms = place.rooms("hider");
    let [room] = &rooms[..] else { panic!("{rooms:?}") };
    assert!(is_in(hidden.0, room) && is_in(daemon.process_pid("hider"), room));
    assert!(!is_in(daemon.pid(), room), "the daemon stays where it was put");
    daemon.ctl(&["stop", "hider"]);
    daemon.wait_text("main.log", "left something behind");
    let log = daemon.text("main.log");
    assert!(log.contains(&format!("{} (/bin/sh -c", hidden.0)), "{log}");
    assert!(lives(hidden.0) && format!("{:?}", daemon.ctl(&["why", "hider"])).contains("left behind: "));
    // Another run has another room; the old one goes with the last who lives there.
    fs::remove_file(daemon.path("hidden.pid")).unwrap();
    let second = Leftover(hide(&daemon));
    assert_eq!(place.rooms("hider").len(), 2);
    assert!(!is_in(second.0, room));
    drop(hidden);
    until_true("the first room to be removed", || !room.exists());
    assert_eq!(place.rooms("hider").len(), 1);
    assert!(lives(second.0));
    // A daemon that ends leaves those alone who are to be left alone, and their room; the next one removes it.
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    assert!(lives(second.0));
    drop(second);
    until("the room to be empty", || {
        let rooms = place.rooms("hider");
        let text = rooms.iter().map(|room| fs::read_to_string(room.join("cgroup.procs")).unwrap()).collect::<String>();
        if text.is_empty() { Ok(()) } else { Err(text) }
    });
    daemon.run();
    assert_eq!(place.rooms("hider").len(), 0);
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    assert!(below(&place.0).is_empty(), "{:?}", below(&place.0));
}

#[test]
fn whoever_gave_up_everything_is_ended_by_killtree() {
    let Some(place) = Place::new() else { return };
    for (trap, signal) in [("", "SIGTERM"), ("trap : TERM", "SIGKILL")] {
        let daemon = galaxyd(&place.key(), &hider(trap, "killtree=true\nstopwaitsecs=1"));
        let hidden = Leftover(hide(&daemon));
        daemon.ctl(&["stop", "hider"]);
        assert_eq!(daemon.info("hider", "statename").unwrap(), "STOPPED");
        assert!(!lives(hidden.0));
        until_true("the room to be removed", || place.rooms("hider").is_empty());
        let log = daemon.text("main.log");
        assert!(log.contains(&format!("left behind with {signal} (killtree): {} (", hidden.0)), "{log}");
        assert!(!log.contains("left something behind"), "{log}");
    }
}

#[test]
fn without_cgroups_the_same_one_is_told_and_not_ended() {
    let daemon = galaxyd("cgroup=none", &hider("", "killtree=true"));
    let hidden = Leftover(hide(&daemon));
    daemon.ctl(&["stop", "hider"]);
    assert_eq!(daemon.info("hider", "statename").unwrap(), "STOPPED");
    daemon.wait_text("main.log", &format!("left something behind, 1 process still runs: {} (", hidden.0));
    assert!(lives(hidden.0));
}

/// Marks a cgroup as systemd does for `Delegate=yes`.
fn delegate(path: &Path) -> bool {
    let mut python = std::process::Command::new("python3");
    let script = "import os, sys; os.setxattr(sys.argv[1], 'user.delegate', b'1')";
    let marked = python.arg("-c").arg(script).arg(path).output().is_ok_and(|output| output.status.success());
    if !marked {
        let _ = writeln!(std::io::stderr(), "could not run: a cgroup cannot be marked as delegated");
    }
    marked
}

#[test]
fn a_delegated_cgroup_is_found_and_the_daemon_stays_where_it_was_put() {
    // The unit's own cgroup, and the one of `DelegateSubgroup=daemon`.
    for subgroup in ["", "daemon"] {
        let Some(place) = Place::new() else { return };
        if !delegate(&place.0) {
            return;
        }
        let own = place.0.join(subgroup);
        fs::create_dir_all(&own).unwrap();
        let mut daemon = Daemon::folder_with(Subject::GALAXYD, "", "", &hider("", "killtree=true"));
        let script = daemon.path("enter.sh");
        let (door, galaxyd) = (own.join("cgroup.procs"), env!("CARGO_BIN_EXE_galaxyd"));
        let text = format!("#!/bin/sh\necho $$ > {}\nexec {galaxyd} \"$@\"\n", door.display());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        daemon = daemon.with_supervisord(&script);
        daemon.run();
        let hidden = Leftover(hide(&daemon));
        let rooms = place.rooms("hider");
        assert!(rooms.len() == 1 && is_in(hidden.0, &rooms[0]), "{rooms:?}");
        assert!(is_in(daemon.pid(), &own) && is_in(worker_of(daemon.pid()), &own));
        daemon.ctl(&["stop", "hider"]);
        assert!(!lives(hidden.0));
        daemon.signal(Signal::SIGTERM);
        daemon.wait_end();
        assert!(place.rooms("hider").is_empty());
    }
}

#[test]
fn a_killed_worker_s_successor_finds_the_rooms_again() {
    let Some(place) = Place::new() else { return };
    let daemon = galaxyd(&place.key(), &hider("trap : TERM", "killtree=true\nstopwaitsecs=3"));
    let hidden = Leftover(hide(&daemon));
    let keeper = daemon.pid();
    kill_worker(&daemon, keeper);
    assert_eq!(place.rooms("hider").len(), 1, "the room of a run is not removed under it");
    // Once more while the tree is being ended.
    std::thread::scope(|scope| {
        let name =
            "<param><value><string>hider</string></value></param><param><value><boolean>0</boolean></value></param>";
        let stop = scope.spawn(|| daemon.call("supervisor.stopProcess", name));
        daemon.wait_text("main.log", "left behind with SIGTERM (killtree)");
        let old = worker_of(keeper);
        kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
        until_true("a successor", || worker_of(keeper) != old && daemon.call("supervisor.getState", "").is_ok());
        let _ = stop.join();
    });
    daemon.wait_state("hider", "STOPPED");
    assert!(!lives(hidden.0));
    until_true("the room to be removed", || place.rooms("hider").is_empty());
}

#[test]
fn a_reloaded_daemon_has_rooms_of_its_own() {
    let Some(place) = Place::new() else { return };
    let daemon = galaxyd(&place.key(), &hider("", ""));
    let hidden = Leftover(hide(&daemon));
    daemon.ctl(&["reload"]);
    until("the fresh worker", || {
        let log = daemon.text("main.log");
        let count = log.matches("programs get cgroups of their own in").count();
        if count == 2 { Ok(()) } else { Err(format!("{count} in {log}")) }
    });
    until_true("an answer", || daemon.call("supervisor.getState", "").is_ok());
    fs::remove_file(daemon.path("hidden.pid")).unwrap();
    let second = Leftover(hide(&daemon));
    let rooms = place.rooms("hider");
    assert_eq!(rooms.len(), 2, "{rooms:?}");
    assert!(rooms.iter().all(|room| is_in(hidden.0, room) != is_in(second.0, room)));
}

#[test]
fn a_place_that_cannot_be_used_is_told_once_and_programs_run() {
    let daemon = galaxyd("cgroup=/proc", "[program:a]\ncommand=sleep 1000\n[program:b]\ncommand=sleep 1000\n");
    daemon.wait_running(&["a", "b"]);
    let log = daemon.text("main.log");
    assert_eq!(log.matches("cgroup").count(), 2, "{log}");
    assert!(log.contains("programs get no cgroups of their own: /proc is no cgroup v2"), "{log}");
}

#[test]
fn a_program_that_cannot_enter_runs_without() {
    let Some(place) = Place::new() else { return };
    let daemon = galaxyd(&place.key(), "[program:a]\ncommand=sleep 1000\nautostart=false\n");
    // No descendants are allowed any more: making the room fails.
    fs::write(place.0.join("cgroup.max.descendants"), "1").unwrap();
    daemon.ctl(&["start", "a"]);
    daemon.wait_state("a", "RUNNING");
    daemon.ctl(&["restart", "a"]);
    daemon.wait_state("a", "RUNNING");
    let log = daemon.text("main.log");
    assert_eq!(log.matches("'a' runs without a cgroup of its own").count(), 1, "{log}");
}
