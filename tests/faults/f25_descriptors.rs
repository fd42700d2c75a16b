//! F25: no descriptor of the daemon gets into a child.

use std::collections::BTreeSet;
use std::fs;

use crate::wait::until;
use crate::world::World;

/// Numbers of the open descriptors of a process.
fn descriptors(pid: i32) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn f25_children_have_three_descriptors_and_no_more() {
    let folder = World::folder(
        "",
        "[program:plain]\ncommand=sleep 10000\nstartsecs=0\nautostart=false\n\
         [program:merged]\ncommand=sleep 10000\nstartsecs=0\nredirect_stderr=true\nautostart=false\n\
         [program:silent]\ncommand=sleep 10000\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\nautostart=false\n\
         [program:heard]\ncommand=sleep 10000\nstartsecs=0\nstdout_events_enabled=true\nautostart=false\n\
         [program:other_user]\ncommand=sleep 10000\nstartsecs=0\nuser=%(ENV_TEST_USER)s\ndirectory=/\numask=022\nautostart=false\n\
         [eventlistener:ear]\ncommand=sleep 10000\nevents=TICK_60\nstartsecs=0\nautostart=false\n\
         [fcgi-program:fcgi]\ncommand=sleep 10000\nsocket=unix://%(here)s/f.sock\nstartsecs=0\nautostart=false\n\
         [program:crowd]\ncommand=sleep 10000\nprocess_name=c%(process_num)03d\nnumprocs=100\nstartsecs=0\n\
         [inet_http_server]\nport=127.0.0.1:0\n",
    );
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::current()).unwrap().unwrap().name;
    let conf = fs::read_to_string(folder.path("supervisord.conf")).unwrap();
    let conf = conf.replace("%(ENV_TEST_USER)s", &user).replace("[inet_http_server]\nport=127.0.0.1:0\n", "");
    fs::write(folder.path("supervisord.conf"), conf).unwrap();
    // The daemon itself is started with descriptors that nobody closed.
    let wrapper = folder.path("galaxyd.sh");
    let galaxyd = env!("CARGO_BIN_EXE_galaxyd");
    fs::write(&wrapper, format!("#!/bin/sh\nexec 7</dev/null 9>>leaked\nexec {galaxyd} \"$@\"\n")).unwrap();
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let world = World::in_folder(folder.with_supervisord(&wrapper));
    world.wait_state("crowd:c099", "RUNNING");
    let three = BTreeSet::from([0, 1, 2]);
    for name in ["plain", "merged", "silent", "heard", "other_user", "ear", "fcgi", "crowd:c000", "crowd:c099"] {
        if !name.starts_with("crowd") {
            world.start(name);
        }
        let pid = world.process_pid(name);
        until("its command", || {
            let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
            if command.trim() == "sleep" { Ok(()) } else { Err(command) }
        });
        // The loader opens libraries for a moment after exec.
        until(&format!("three descriptors in {name}"), || {
            let found = descriptors(pid);
            if found == three { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }
    for name in ["plain", "merged", "silent", "heard", "other_user", "ear", "fcgi"] {
        world.stop(name);
    }
    world.end();
}
