//! F35: the log directory is removed with rotations due, and something else is where a log should be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::wait::until;
use crate::world::World;

/// Its log rotates several times a second.
const TALKER: &str = "[program:talker]\ncommand=sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.002; done'\n\
                      autostart=false\nstartsecs=0\nstdout_logfile=%(here)s/logs/talker.log\nstdout_logfile_maxbytes=2KB\n\
                      stdout_logfile_backups=2\nstderr_logfile=NONE\n";

/// Until the log has been rotated twice.
fn wait_rotated(logs: &Path) {
    until("rotations", || fs::metadata(logs.join("talker.log.2")).map_err(|error| error.to_string()));
}

#[test]
fn f35_a_removed_log_directory_kills_nobody_and_logging_resumes() {
    let folder = World::folder("", TALKER);
    let logs = folder.path("logs");
    fs::create_dir(&logs).unwrap();
    let world = World::in_folder(folder);
    world.start("talker");
    let talker = world.process_pid("talker");
    wait_rotated(&logs);
    let recovered = || world.text("main.log").matches("can be written again").count();
    // Gone with everything in it.
    fs::remove_dir_all(&logs).unwrap();
    world.wait_text("main.log", "cannot open");
    assert_eq!(world.process_pid("talker"), talker);
    let told = world.ctl(&["why", "talker"]).stdout;
    assert!(told.contains("its log ") && told.contains("cannot open: "), "{told}");
    fs::create_dir(&logs).unwrap();
    until("logging to resume", || if recovered() == 1 { Ok(()) } else { Err(recovered().to_string()) });
    wait_rotated(&logs);
    // A directory is where the log should be.
    fs::remove_dir_all(&logs).unwrap();
    fs::create_dir_all(logs.join("talker.log")).unwrap();
    until("the trouble", || {
        let times = world.text("main.log").matches("trying again until it works").count();
        if times == 2 { Ok(()) } else { Err(format!("{times} times")) }
    });
    fs::remove_dir(logs.join("talker.log")).unwrap();
    until("logging to resume", || if recovered() == 2 { Ok(()) } else { Err(recovered().to_string()) });
    wait_rotated(&logs);
    assert_eq!(world.process_pid("talker"), talker, "it never got EPIPE");
    world.stop("talker");
    world.end();
}

#[test]
fn f35_a_log_directory_that_is_the_daemons_to_make_is_made_again_as_it_was() {
    let folder = World::folder("make_directories=%(here)s/logs\n", TALKER);
    let logs = folder.path("logs");
    fs::create_dir(&logs).unwrap();
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o2750)).unwrap();
    let world = World::in_folder(folder);
    world.start("talker");
    let talker = world.process_pid("talker");
    let log = logs.join("talker.log");
    wait_rotated(&logs);
    fs::remove_dir_all(&logs).unwrap();
    until("the directory", || fs::metadata(&log).map(drop).map_err(|error| error.to_string()));
    wait_rotated(&logs);
    assert_eq!(fs::metadata(&logs).unwrap().permissions().mode() & 0o7777, 0o2750);
    world.wait_text("main.log", "logs was removed; it is made again");
    // A link in its place leads nobody anywhere, whatever it names.
    fs::remove_dir_all(&logs).unwrap();
    while std::os::unix::fs::symlink(world.path("elsewhere"), &logs).is_err() {
        // The daemon was quicker.
        fs::remove_dir_all(&logs).unwrap();
    }
    until("the trouble", || {
        let told = world.ctl(&["why", "talker"]).stdout;
        if told.contains("its log ") { Ok(()) } else { Err(told) }
    });
    assert!(!world.path("elsewhere").exists());
    fs::remove_file(&logs).unwrap();
    wait_rotated(&logs);
    assert_eq!(world.process_pid("talker"), talker, "it never got EPIPE");
    world.stop("talker");
    world.end();
}
