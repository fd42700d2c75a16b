//! F21: other accounts on the control socket: administrators, readers, strangers, and the root of another user namespace.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::unistd::geteuid;

use crate::daemon::{Daemon, Outcome, finish};
use crate::notice::tell;
use crate::world::World;

const SERVER: &str = "chmod=0666\nadmin_users=daemon\nread_groups=games,bin\n";
const SECTIONS: &str = "[program:p]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\n\
                        environment=API_TOKEN=\"hunter2\"\n";

/// uid of `daemon` and gid of `bin` and `nogroup` on every Linux.
pub(crate) const DAEMON: u32 = 1;
const BIN: u32 = 2;
pub(crate) const NOBODY: u32 = 65534;

/// A folder that everybody can enter, with a client that everybody can run and a program `p` that is down.
pub(crate) fn world() -> Option<World> {
    if !geteuid().is_root() {
        tell("could not run: F21 needs root, to be other accounts");
        return None;
    }
    let folder = World::served(SERVER, SECTIONS);
    fs::set_permissions(folder.dir(), Permissions::from_mode(0o755)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_galaxyctl"), folder.path("galaxyctl")).unwrap();
    Some(World::in_folder(folder))
}

/// Runs these words as another account.
pub(crate) fn as_account(daemon: &Daemon, uid: u32, groups: &[u32], words: &[&str]) -> Outcome {
    let groups = groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={NOBODY}"), format!("--groups={groups}")]);
    command.args(words).env("HOME", "/nonexistent").current_dir("/");
    finish(&mut command, daemon.dir(), None)
}

fn ctl(daemon: &Daemon, uid: u32, groups: &[u32], words: &[&str]) -> Outcome {
    let (client, url) = (daemon.path("galaxyctl"), format!("unix://{}", daemon.path("s.sock").display()));
    let client = client.display().to_string();
    let all = [[client.as_str(), "-s", &url].as_slice(), words].concat();
    as_account(daemon, uid, groups, &all)
}

#[test]
fn f21_accounts_do_what_their_role_allows_and_each_refusal_and_change_is_told() {
    let Some(world) = world() else { return };
    let admin = |words: &[&str]| ctl(&world, DAEMON, &[NOBODY], words);
    let reader = |words: &[&str]| ctl(&world, NOBODY, &[NOBODY, BIN], words);
    let stranger = |words: &[&str]| ctl(&world, NOBODY, &[NOBODY], words);

    let started = admin(&["start", "p"]);
    assert_eq!((started.code, started.stdout.as_str()), (Some(0), "p: started\n"), "{started:?}");
    let pid = world.process_pid("p");

    let status = reader(&["status"]);
    assert!(status.stdout.contains("RUNNING"), "{status:?}");
    let why = "not for who may only look (uid 65534, pid ";
    for (words, why) in [
        (["stop", "p"].as_slice(), why),
        (&["shutdown"], why),
        // Supervisor's words for any failure of this method.
        (&["clear", "p"], "p: ERROR (failed)"),
        (&["env", "p", "--reveal"], why),
        (&["update"], why),
    ] {
        let refused = reader(words);
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert_ne!(refused.code, Some(0), "{words:?}: {refused:?}");
        assert!(said.contains(why), "{words:?}: {refused:?}");
        assert!(!said.contains("hunter2"), "{words:?}: {refused:?}");
    }
    let seen = reader(&["env", "p"]);
    assert!(seen.stdout.contains("API_TOKEN") && !seen.stdout.contains("hunter2"), "{seen:?}");
    assert!(admin(&["env", "p", "--reveal"]).stdout.contains("hunter2"));

    for words in [["status"].as_slice(), &["stop", "p"], &["tail", "p"]] {
        let refused = stranger(words);
        assert_ne!(refused.code, Some(0), "{words:?}: {refused:?}");
        assert!(format!("{}{}", refused.stdout, refused.stderr).contains("403"), "{words:?}: {refused:?}");
    }
    assert_eq!(world.process_pid("p"), pid);

    world.wait_text("main.log", "audit: refused a connection to uid 65534, pid ");
    let told = world.log_lines(&["audit: supervisor.startProcess p by uid 1, pid "]);
    assert!(told.len() == 1 && told[0].ends_with("(galaxyctl)"), "{told:?}");
    let refused = world.log_lines(&["audit: refused supervisor.stopProcess p to uid 65534, pid "]);
    assert!(refused.len() == 1 && refused[0].contains("WARN"), "{refused:?}");
    world.stop("p");
    world.end();
}

#[test]
fn f21_the_root_of_another_user_namespace_is_who_it_is_outside() {
    let Some(world) = world() else { return };
    if as_account(&world, NOBODY, &[NOBODY], &["unshare", "--user", "--map-root-user", "true"]).code != Some(0) {
        tell("could not run: F21 needs user namespaces that nobody may make");
        return;
    }
    let client = world.path("galaxyctl").display().to_string();
    let url = format!("unix://{}", world.path("s.sock").display());
    let words = ["unshare", "--user", "--map-root-user", &client, "-s", &url, "start", "p"];
    let refused = as_account(&world, NOBODY, &[NOBODY], &words);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    world.wait_text("main.log", "audit: refused a connection to uid 65534, pid ");
    assert!(world.log_lines(&["startProcess"]).is_empty());
    world.end();
}

#[test]
fn f21_a_thousand_strangers_fill_neither_the_log_nor_the_endpoint() {
    let Some(world) = world() else { return };
    let script = "import socket,sys\nheld=[]\nfor _ in range(1000):\n s=socket.socket(socket.AF_UNIX)\n \
                  s.connect(sys.argv[1])\n held.append(s)\nprint('held')";
    let socket = world.path("s.sock").display().to_string();
    let flood = as_account(&world, NOBODY, &[NOBODY], &["/usr/bin/python3", "-c", script, &socket]);
    if flood.stdout != "held\n" {
        tell(&format!("could not run: F21 needs a python3 that nobody may run: {}", flood.stderr));
        return;
    }
    let status = ctl(&world, DAEMON, &[NOBODY], &["status"]);
    assert!(status.stdout.contains("bystander"), "{status:?}");
    let told = world.log_lines(&["audit: refused"]);
    // Once while the client's program has a name, once when it is gone.
    assert!((1..=2).contains(&told.len()), "{told:?}");
    world.end();
}
