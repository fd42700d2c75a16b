//! Scripts that drive a third party: written into the test's folder, run to their end.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;

/// How long a script may take: each of its steps has a bound of its own, this one is for what hangs.
const BOUND: Duration = Duration::from_secs(400);

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
    let scratch = tempfile::tempdir_in(daemon.dir()).unwrap();
    let file = |name: &str| scratch.path().join(name);
    command.stdout(fs::File::create(file("out")).unwrap()).stderr(fs::File::create(file("err")).unwrap());
    let mut child = command.spawn().unwrap();
    let begin = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            None if begin.elapsed() < BOUND => std::thread::sleep(Duration::from_millis(20)),
            None => {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
            Some(status) => break status,
        }
    };
    let text = |name: &str| String::from_utf8_lossy(&fs::read(file(name)).unwrap()).into_owned();
    assert!(
        status.success(),
        "{command:?}: {status} after {} s\n--- stdout\n{}--- stderr\n{}",
        begin.elapsed().as_secs(),
        text("out"),
        text("err")
    );
    text("out")
}

/// A TCP port of this host that nobody serves now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
