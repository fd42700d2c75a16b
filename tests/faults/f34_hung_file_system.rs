//! F34: a network file system stops answering, with commands, directories and logs of programs on it.

use std::time::{Duration, Instant};

use crate::hung::Hung;
use crate::mount::own_namespace;
use crate::probe::Probe;
use crate::wait::until;
use crate::world::World;

/// Programs with something on the file system, and where.
const AFFECTED: &str = "[program:binary]\ncommand=%(here)s/hung/bin/program\nautostart=false\nstartretries=0\n\
     stdout_logfile=NONE\nstderr_logfile=NONE\n\
     [program:directory]\ncommand=sleep 10000\ndirectory=%(here)s/hung/dir\nautostart=false\nstartsecs=0\nautorestart=false\nstopwaitsecs=1\n\
     startretries=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n\
     [program:log]\ncommand=sh -c 'while :; do echo line; sleep 0.01; done'\nautostart=false\nstartsecs=0\n\
     stdout_logfile=%(here)s/hung/log\nstderr_logfile=NONE\n";

const WELL: &str = "[program:well]\ncommand=sleep 10000\nautostart=false\nstartsecs=0\n";

#[test]
fn f34_a_hung_file_system_holds_up_only_what_is_on_it() {
    if !own_namespace("F34") {
        return;
    }
    let folder = World::folder("", &format!("{AFFECTED}{WELL}"));
    // It answered when the daemon was started.
    std::fs::create_dir_all(folder.path("hung/dir")).unwrap();
    let world = World::in_folder(folder);
    let Some(mut hung) = Hung::mount(&world.path("hung"), "F34") else { return };
    let probe = Probe::begin(&world);
    for name in ["binary", "directory", "log"] {
        let answer = world.call(
            "supervisor.startProcess",
            &format!("{}<param><value><boolean>0</boolean></value></param>", World::named(name)),
        );
        // The command is looked for before the answer; one that is not found in time is a fault.
        assert!(answer.is_ok(), "{name}: {answer:?}");
    }
    // Others are started and stopped meanwhile.
    let begin = Instant::now();
    world.start("well");
    world.stop("well");
    eprintln!("F34: another program started and stopped within {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(10));
    world.wait_text("main.log", "hung/log does not answer");
    let told = world.ctl(&["why", "log"]).stdout;
    assert!(told.contains("hung/log does not answer, for "), "{told}");
    probe.end("F34");
    hung.release();
    for name in ["binary", "directory", "log"] {
        until(&format!("{name} to be at rest"), || {
            let state = world.info(name, "statename")?;
            if ["STARTING", "STOPPING"].contains(&state.as_str()) { Err(state) } else { Ok(()) }
        });
    }
    drop(hung);
    world.wait_text("main.log", "log can");
    world.stop("log");
    world.end();
}

#[test]
fn f34_a_file_system_that_hangs_already_at_the_start_is_named_and_refused() {
    if !own_namespace("F34") {
        return;
    }
    let folder = World::folder(
        "",
        "[program:log]\ncommand=sleep 10000\nstdout_logfile=%(here)s/hung/logs/log\nstderr_logfile=NONE\n",
    );
    let Some(mut hung) = Hung::mount(&folder.path("hung"), "F34") else { return };
    let begin = Instant::now();
    let mut command = folder.command(&crate::subject::Subject::GALAXYD.daemon.supervisord());
    command.args(["-n", "-c"]).arg(folder.path("supervisord.conf"));
    let outcome = crate::daemon::finish(&mut command, folder.dir(), None);
    eprintln!("F34: refused after {:?}", begin.elapsed());
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let wanted = format!("{} (fuse) does not answer", folder.path("hung").display());
    assert!(outcome.stderr.contains(&wanted) && outcome.stderr.contains("was not started"), "{outcome:?}");
    assert!(begin.elapsed() < Duration::from_secs(60));
    hung.release();
}

#[test]
fn f34_a_file_system_that_hangs_and_is_none_of_ours_holds_up_no_start() {
    if !own_namespace("F34") {
        return;
    }
    let folder = World::folder("", WELL);
    let Some(mut hung) = Hung::mount(&folder.path("hung"), "F34") else { return };
    let world = World::in_folder(folder);
    world.start("well");
    world.stop("well");
    hung.release();
    drop(hung);
    world.end();
}
