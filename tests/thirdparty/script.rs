//! Scripts that drive a third party: written into the test's folder, run to their end.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::daemon::{Daemon, Outcome, finish};

/// A command that runs `program` on the script `name`, which has this `text`, in the daemon's folder.
pub(crate) fn script(daemon: &Daemon, program: &Path, name: &str, text: &str) -> Command {
    let path = daemon.path(name);
    fs::write(&path, text).unwrap();
    let mut command = daemon.command(program);
    command.arg(path);
    command
}

/// Runs the command; its standard output. It must end with 0.
pub(crate) fn succeed(daemon: &Daemon, command: &mut Command) -> String {
    let Outcome { stdout, stderr, code } = finish(command, daemon.dir(), None);
    assert_eq!(code, Some(0), "{command:?}\n--- stdout\n{stdout}--- stderr\n{stderr}");
    stdout
}

/// A TCP port of this host that nobody serves now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
