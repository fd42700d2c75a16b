//! F20: the control socket is deleted, squatted, or wanted by a second daemon.

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::daemon::finish;
use crate::subject::Subject;
use crate::wait::until;
use crate::world::World;

/// A second daemon with the same configuration is refused and told who runs.
fn second_is_refused(world: &World) {
    let mut command = world.command(&Subject::GALAXYD.daemon.supervisord());
    command.args(["-n", "-c"]).arg(world.path("supervisord.conf"));
    let outcome = finish(&mut command, world.dir(), None);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("Another"), "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("Another daemon (process {})", world.bars.keeper)), "{outcome:?}");
}

#[test]
fn f20_a_deleted_or_squatted_socket_comes_back_and_a_second_daemon_is_refused() {
    let mut world = World::new("");
    let socket = world.path("s.sock");
    second_is_refused(&world);
    fs::remove_file(&socket).unwrap();
    until("the socket", || UnixStream::connect(&socket).map_err(|error| error.to_string()));
    second_is_refused(&world);
    // Somebody else listens there: what is his is left alone, and the administrator is told.
    let squat = world.path("squat.sock");
    let squatter = UnixListener::bind(&squat).unwrap();
    fs::rename(&squat, &socket).unwrap();
    world.wait_text("main.log", "is not ours any more and cannot be put back");
    let me = std::process::id();
    let told = world.log_lines(&["cannot be put back"]);
    assert!(told.iter().all(|line| line.contains(&format!("process {me} of user "))) && told.len() == 1, "{told:?}");
    UnixStream::connect(&socket).unwrap();
    squatter.accept().unwrap();
    drop(squatter);
    fs::remove_file(&socket).unwrap();
    until("the daemon's answer", || world.call("supervisor.getState", ""));
    // Whoever has the deleted file elsewhere is still served, so former sockets are kept: at most 4 (docs/limits.md).
    world.bars.allow_descriptors(4);
    world.end();
}
