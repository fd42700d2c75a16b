//! F35: the log directory is removed with rotations due, and something else is where a log should be.

use std::fs;

use crate::wait::until;
use crate::world::World;

#[test]
fn f35_a_removed_log_directory_kills_nobody_and_logging_resumes() {
    let folder = World::folder(
        "",
        "[program:talker]\ncommand=sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.002; done'\nautostart=false\n\
         startsecs=0\nstdout_logfile=%(here)s/logs/talker.log\nstdout_logfile_maxbytes=2KB\nstdout_logfile_backups=2\n\
         stderr_logfile=NONE\n",
    );
    let logs = folder.path("logs");
    fs::create_dir(&logs).unwrap();
    let world = World::in_folder(folder);
    world.start("talker");
    let talker = world.process_pid("talker");
    let rotates = || until("rotations", || fs::metadata(logs.join("talker.log.2")).map_err(|error| error.to_string()));
    rotates();
    let recovered = || world.text("main.log").matches("can be written again").count();
    // Gone with everything in it.
    fs::remove_dir_all(&logs).unwrap();
    world.wait_text("main.log", "cannot open");
    assert_eq!(world.process_pid("talker"), talker);
    let told = world.ctl(&["why", "talker"]).stdout;
    assert!(told.contains("its log ") && told.contains("cannot open: "), "{told}");
    fs::create_dir(&logs).unwrap();
    until("logging to resume", || if recovered() == 1 { Ok(()) } else { Err(recovered().to_string()) });
    rotates();
    // A directory is where the log should be.
    fs::remove_dir_all(&logs).unwrap();
    fs::create_dir_all(logs.join("talker.log")).unwrap();
    until("the trouble", || {
        let times = world.text("main.log").matches("trying again until it works").count();
        if times == 2 { Ok(()) } else { Err(format!("{times} times")) }
    });
    fs::remove_dir(logs.join("talker.log")).unwrap();
    until("logging to resume", || if recovered() == 2 { Ok(()) } else { Err(recovered().to_string()) });
    rotates();
    assert_eq!(world.process_pid("talker"), talker, "it never got EPIPE");
    world.stop("talker");
    world.end();
}
