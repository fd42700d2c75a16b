//! The listening socket of a `FastCGI` program outlives the worker, with the connections that wait in it.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::household::{galaxyd, kill_worker};
use crate::wait::until_true;

#[test]
fn a_killed_worker_costs_no_waiting_connection() {
    // The stand-in answers only when it is told to, so that connections wait.
    let daemon = galaxyd(
        "",
        "[fcgi-program:f]\ncommand=python3 %(here)s/answer.py\nsocket=unix://%(here)s/f.sock\nstartsecs=0\nautorestart=false\n\
         numprocs=2\nprocess_name=f%(process_num)d\n",
    );
    // Read at the start of the program; until it is there, starts fail and are tried again.
    daemon.ctl(&["stop", "f:*"]);
    fs::write(
        daemon.path("answer.py"),
        "import os, socket, time\ns = socket.socket(fileno=0)\nwhile not os.path.exists('go'): time.sleep(0.01)\n\
         while True:\n    c, _ = s.accept()\n    c.sendall(b'answered')\n    c.close()\n",
    )
    .unwrap();
    daemon.ctl(&["start", "f:*"]);
    daemon.wait_running(&["f:f0", "f:f1"]);
    let before: Vec<UnixStream> = (0..5).map(|_| UnixStream::connect(daemon.path("f.sock")).unwrap()).collect();
    let keeper = daemon.pid();
    kill_worker(&daemon, keeper);
    let after = UnixStream::connect(daemon.path("f.sock")).unwrap();
    // A process started by the successor has the same socket.
    let input = |name: &str| fs::read_link(format!("/proc/{}/fd/0", daemon.process_pid(name))).unwrap();
    let socket = input("f:f1");
    assert_eq!(daemon.ctl(&["restart", "f:f0"]).code, Some(0));
    assert_eq!(input("f:f0"), socket);
    assert_eq!(daemon.ctl(&["stop", "f:f1"]).code, Some(0));
    assert_eq!(daemon.ctl(&["start", "f:f1"]).code, Some(0));
    assert_eq!(input("f:f1"), socket);
    fs::write(daemon.path("go"), "").unwrap();
    for mut stream in before.into_iter().chain([after]) {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "answered");
    }
    // The last exit closes it in the successor as well, also where the process ended in between.
    daemon.ctl(&["stop", "f:f0"]);
    kill(Pid::from_raw(daemon.process_pid("f:f1")), Signal::SIGKILL).unwrap();
    kill_worker(&daemon, keeper);
    until_true("the socket to be closed", || UnixStream::connect(daemon.path("f.sock")).is_err());
}
