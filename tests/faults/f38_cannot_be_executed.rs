//! F38: a program that cannot be executed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::mount::MsFlags;
use nix::unistd::Uid;

use crate::daemon::Daemon;
use crate::mount::{Mount, own_namespace};
use crate::notice::tell;
use crate::world::World;

fn file(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A program that is tried once.
fn program(name: &str, keys: &str) -> String {
    format!("[program:{name}]\nautostart=false\nstartretries=0\n{keys}\n")
}

/// Starts it in vain; the reason is told at once, everywhere, and is not that it ended too quickly.
fn fails(world: &World, name: &str, reason: &str) {
    let answer = world.call("supervisor.startProcess", &World::named(name)).unwrap();
    assert!(answer.contains("faultCode"), "{name}: {answer}");
    let told = answer + &world.ctl(&["why", name]).stdout;
    assert!(told.contains(reason), "{name}: {told}");
    assert!(!told.contains("too quickly"), "{name}: {told}");
}

fn with_files() -> (Daemon, String) {
    let here = "%(here)s";
    let long = "x".repeat(200_000);
    let sections = [
        program("missing", "command=/nowhere/at/all"),
        program("folder", "command=/usr"),
        program("unmarked", &format!("command={here}/unmarked")),
        program("text", &format!("command={here}/text")),
        program("orphan", &format!("command={here}/orphan")),
        program("nowhere", "command=sleep 10000\ndirectory=/nowhere/at/all"),
        program("long", &format!("command=sleep 10000\nenvironment=LONG=\"{long}\"")),
    ];
    let folder = World::folder("", &sections.concat());
    file(&folder.path("unmarked"), "#!/bin/sh\n", 0o644);
    file(&folder.path("text"), "no program\n", 0o755);
    file(&folder.path("orphan"), "#!/nowhere/interpreter\n", 0o755);
    let here = folder.dir().display().to_string();
    (folder, here)
}

#[test]
fn f38_what_cannot_be_executed_says_precisely_why_and_at_once() {
    let (folder, here) = with_files();
    let world = World::in_folder(folder);
    for (name, reason) in [
        ("missing", "can't find command '/nowhere/at/all'".to_owned()),
        ("folder", "command at '/usr' is a directory".to_owned()),
        ("unmarked", format!("command at '{here}/unmarked' is not executable")),
        ("text", "ENOEXEC (it is no program: a script needs #!/path/to/interpreter first)".to_owned()),
        ("orphan", "ENOENT (it, or the interpreter that its first line names, is not there)".to_owned()),
        ("nowhere", "ENOENT (directory '/nowhere/at/all' is not there)".to_owned()),
        ("long", "E2BIG (arguments and environment are too long: shorten environment=)".to_owned()),
    ] {
        fails(&world, name, &reason);
    }
    world.end();
}

#[test]
fn f38_a_file_that_is_being_written_is_tried_until_that_is_over() {
    let folder = World::folder("", &program("busy", "command=%(here)s/busy 10000"));
    let busy = folder.path("busy");
    fs::copy("/bin/sleep", &busy).unwrap();
    fs::set_permissions(&busy, fs::Permissions::from_mode(0o755)).unwrap();
    let world = World::in_folder(folder);
    let writer = fs::OpenOptions::new().append(true).open(&busy).unwrap();
    world.ctl(&["start", "busy"]);
    world.wait_state("busy", "BACKOFF");
    let told = world.ctl(&["why", "busy"]).stdout;
    assert!(told.contains("ETXTBSY (somebody is writing the file; tried again until that is over)"), "{told}");
    drop(writer);
    world.wait_state("busy", "RUNNING");
    world.stop("busy");
    world.end();
}

#[test]
fn f38_an_environment_of_a_mebibyte_arrives_whole() {
    let pairs: Vec<String> = (0..11).map(|number| format!("LONG{number}=\"{}\"", "x".repeat(100_000))).collect();
    let keys =
        format!("command=sh -c 'env | wc -c > %(here)s/size; exec sleep 10000'\nenvironment={}", pairs.join(","));
    let world = World::new(&program("large", &keys));
    world.start("large");
    world.wait_lines("size", 1);
    let size: usize = world.text("size").trim().parse().unwrap();
    assert!(size > 1 << 20, "{size} bytes");
    world.stop("large");
    world.end();
}

#[test]
fn f38_accounts_and_masks_that_are_none_are_refused_before_anything_is_done() {
    let world = World::new("");
    let conf = fs::read_to_string(world.path("supervisord.conf")).unwrap();
    let fcgi = "[fcgi-program:p]\ncommand=sleep 10000\nsocket=unix://%(here)s/s\nsocket_owner=root:no-such-group";
    for (section, reason) in [
        ("[program:p]\ncommand=sleep 10000\nuser=no-such-account", "no-such-account"),
        ("[program:p]\ncommand=sleep 10000\numask=999", "999 can not be converted to an octal type"),
        (fcgi, "no-such-group"),
    ] {
        fs::write(world.path("supervisord.conf"), format!("{conf}{section}\n")).unwrap();
        let outcome = world.ctl(&["update"]);
        let told = format!("{outcome:?}");
        assert!(told.contains(reason) && told.contains("supervisord.conf"), "{told}");
        assert!(outcome.code != Some(0), "{told}");
    }
    fs::write(world.path("supervisord.conf"), conf).unwrap();
    world.end();
}

#[test]
fn f38_what_another_account_may_not_do_names_the_account() {
    if !Uid::effective().is_root() {
        return tell("could not run: F38: only root can start programs as another account");
    }
    let sections = [
        program("locked", "command=sleep 10000\nuser=nobody\ndirectory=%(here)s/locked"),
        program("private", "command=%(here)s/private\nuser=nobody\ndirectory=/"),
    ];
    let folder = World::folder("", &sections.concat());
    fs::create_dir(folder.path("locked")).unwrap();
    fs::set_permissions(folder.path("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    file(&folder.path("private"), "#!/bin/sh\n", 0o700);
    let locked = folder.path("locked").display().to_string();
    let world = World::in_folder(folder);
    let uid = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid;
    fails(&world, "locked", &format!("EACCES (directory '{locked}', as uid {uid})"));
    fails(&world, "private", &format!("EACCES (uid {uid} may not execute it"));
    world.end();
}

#[test]
fn f38_a_mount_without_execution_is_no_permission() {
    if !own_namespace("F38") {
        return;
    }
    let folder = World::folder("", &program("there", "command=%(here)s/disk/there 10000"));
    let disk = Mount::tmpfs(&folder.path("disk"), 8 << 20);
    fs::copy("/bin/sleep", disk.path.join("there")).unwrap();
    fs::set_permissions(disk.path.join("there"), fs::Permissions::from_mode(0o755)).unwrap();
    disk.remount(MsFlags::MS_NOEXEC, "size=8388608");
    let world = World::in_folder(folder);
    let path = world.path("disk/there");
    fails(&world, "there", &format!("no permission to run command '{}'", path.display()));
    world.end();
}
