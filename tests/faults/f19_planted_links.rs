//! F19: links planted in the place of logs and the pidfile, by the account that a program runs as.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{Uid, fchownat, geteuid};

use crate::daemon::Daemon;
use crate::notice::tell;
use crate::wait::until;
use crate::world::World;

const NOBODY: u32 = 65534;

const PRECIOUS: &str = "precious\n";

/// What must not be touched, in a directory that only root writes in.
fn victim(folder: &Daemon) -> PathBuf {
    let victim = folder.path("victim");
    fs::write(&victim, PRECIOUS).unwrap();
    victim
}

/// A directory of the program's account.
fn theirs(folder: &Daemon) -> PathBuf {
    let theirs = folder.path("theirs");
    fs::create_dir(&theirs).unwrap();
    give(&theirs);
    theirs
}

fn give(path: &Path) {
    fchownat(AT_FDCWD, path, Some(Uid::from_raw(NOBODY)), None, AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
}

/// It is theirs before it has its name: one of root's is followed.
fn plant_symlink(victim: &Path, name: &Path) {
    let made = name.with_extension("planted");
    symlink(victim, &made).unwrap();
    give(&made);
    fs::rename(made, name).unwrap();
}

fn needs_root() -> bool {
    if !geteuid().is_root() {
        tell("could not run: F19 needs root, to have a directory of another account");
    }
    !geteuid().is_root()
}

const TALKER: &str = "[program:talker]\ncommand=sh -c 'while :; do echo said; sleep 0.02; done'\nstartsecs=0\n\
                      autostart=false\nstdout_logfile=%(here)s/theirs/talker.log\nstderr_logfile=NONE\n\
                      stdout_logfile_maxbytes=200\nstdout_logfile_backups=2\n";

#[test]
fn f19_a_link_in_the_place_of_a_programs_log_is_neither_written_nor_read() {
    if needs_root() {
        return;
    }
    for plant in [plant_symlink as fn(&Path, &Path), |victim, name| fs::hard_link(victim, name).unwrap()] {
        let folder = World::folder("", TALKER);
        let (victim, log) = (victim(&folder), theirs(&folder).join("talker.log"));
        plant(&victim, &log);
        let world = World::in_folder(folder);
        world.start("talker");
        world.wait_text("main.log", &format!("cannot open {0}: {0} ", log.display()));
        let told = world.log_lines(&["cannot open"]);
        assert!(told[0].contains("remove it"), "{told:?}");
        let read = world.ctl(&["tail", "talker"]);
        assert!(read.code != Some(0) && !read.stdout.contains("precious"), "{read:?}");
        let read = world.http("GET /logtail/talker/stdout HTTP/1.0\r\n\r\n").unwrap();
        assert!(!read.contains("precious"), "{read}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), PRECIOUS);
        // Out of the way, the log goes on by itself.
        fs::remove_file(&log).unwrap();
        until("the log", || match fs::read_to_string(&log) {
            Ok(text) if text.contains("said") => Ok(()),
            other => Err(format!("{other:?}")),
        });
        assert_eq!(fs::read_to_string(&victim).unwrap(), PRECIOUS);
        world.stop("talker");
        world.end();
    }
}

#[test]
fn f19_links_that_are_planted_while_logs_rotate_lead_nowhere() {
    if needs_root() {
        return;
    }
    let folder = World::folder("", TALKER);
    let (victim, theirs) = (victim(&folder), theirs(&folder));
    let world = World::in_folder(folder);
    world.start("talker");
    let log = theirs.join("talker.log");
    for round in 0..40 {
        for name in ["talker.log", "talker.log.1", "talker.log.2"] {
            plant_symlink(&victim, &theirs.join(name));
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), PRECIOUS, "round {round}");
        let _ = fs::remove_file(&log);
        until("a log of its own", || match fs::symlink_metadata(&log) {
            Ok(found) if found.is_file() => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    world.ctl(&["clear", "talker"]);
    assert_eq!(fs::read_to_string(&victim).unwrap(), PRECIOUS);
    world.stop("talker");
}

#[test]
fn f19_a_link_in_the_place_of_the_pidfile_or_the_activity_log_refuses_the_start() {
    if needs_root() {
        return;
    }
    for name in ["main.pid", "main.log"] {
        let folder = World::folder("", "");
        let (victim, theirs) = (victim(&folder), theirs(&folder));
        let conf = fs::read_to_string(folder.path("supervisord.conf")).unwrap();
        fs::write(folder.path("supervisord.conf"), conf.replace(&format!("/{name}"), &format!("/theirs/{name}")))
            .unwrap();
        plant_symlink(&victim, &theirs.join(name));
        let conf = folder.path("supervisord.conf").display().to_string();
        let outcome = folder.supervisord(&["-n", "-c", &conf]);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_ne!(outcome.code, Some(0), "{outcome:?}");
        assert!(said.contains(&theirs.join(name).display().to_string()), "{name}: {outcome:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), PRECIOUS);
    }
}

#[test]
fn f19_links_that_an_administrator_made_are_followed() {
    let sections = "[program:talker]\ncommand=sh -c 'echo said; exec sleep 1000'\nstartsecs=0\n\
                    stdout_logfile=%(here)s/logs/talker.log\nstderr_logfile=%(here)s/null\n";
    let folder = World::folder("", sections);
    let elsewhere = folder.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, folder.path("logs")).unwrap();
    symlink(folder.path("real.log"), elsewhere.join("talker.log")).unwrap();
    symlink("/dev/null", folder.path("null")).unwrap();
    // Others may write there; the link is ours all the same.
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o777)).unwrap();
    let world = World::in_folder(folder);
    world.wait_text("real.log", "said");
    let read = world.ctl(&["tail", "talker"]);
    assert_eq!(read.stdout.trim_end(), "said", "{read:?}");
    world.end();
}
