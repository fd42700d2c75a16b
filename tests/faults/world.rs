//! A daemon with a bystander, measured before the fault and held to the bars after it.

use std::io::{Read, Write};
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::bars::{BYSTANDER, Bars};
use crate::daemon::Daemon;
use crate::subject::Subject;

/// A running daemon to do harm to.
pub(crate) struct World {
    daemon: Daemon,
    pub(crate) bars: Bars,
}

/// Whether the long forms are wanted.
pub(crate) fn is_long() -> bool {
    std::env::var("GALAXYD_FAULTS").is_ok_and(|value| value == "long")
}

impl Deref for World {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl World {
    /// With these sections beside the bystander.
    pub(crate) fn new(sections: &str) -> World {
        Self::in_folder(Self::folder("", sections))
    }

    /// A folder for tests that put something into it before the start.
    pub(crate) fn folder(daemon_keys: &str, sections: &str) -> Daemon {
        Daemon::folder_with(Subject::GALAXYD, daemon_keys, "", &format!("{BYSTANDER}{sections}"))
    }

    /// The same with keys for its control socket.
    pub(crate) fn served(server_keys: &str, sections: &str) -> Daemon {
        Daemon::folder_with(Subject::GALAXYD, "", server_keys, &format!("{BYSTANDER}{sections}"))
    }

    /// Starts the daemon of such a folder.
    pub(crate) fn in_folder(mut daemon: Daemon) -> World {
        daemon.run();
        Self::around(daemon)
    }

    /// Measures a daemon that runs.
    pub(crate) fn around(daemon: Daemon) -> World {
        let bars = Bars::before(&daemon);
        World { daemon, bars }
    }

    /// The parameter of a call about one process.
    pub(crate) fn named(process: &str) -> String {
        format!("<param><value><string>{process}</string></value></param>")
    }

    pub(crate) fn start(&self, process: &str) {
        let answer = self.call("supervisor.startProcess", &Self::named(process)).unwrap();
        assert!(!answer.contains("faultCode"), "{answer}");
    }

    pub(crate) fn stop(&self, process: &str) {
        let answer = self.call("supervisor.stopProcess", &Self::named(process)).unwrap();
        assert!(!answer.contains("faultCode"), "{answer}");
    }

    /// What is answered to a body for `/RPC2`. Of a long one no more is sent than the daemon would throw away.
    pub(crate) fn post(&self, body: &str) -> String {
        let mut stream = UnixStream::connect(self.path("s.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!("POST /RPC2 HTTP/1.0\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        let sent = body.len().min(3 << 19);
        // Who is refused early may not get everything out.
        let _ = stream.write_all(&[head.as_bytes(), &body.as_bytes()[..sent]].concat());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The fault is over.
    pub(crate) fn end(self) {
        self.bars.hold(&self.daemon);
    }

    /// The fault, which replaced the worker, is over.
    pub(crate) fn end_with_another_worker(self) {
        self.bars.hold_with_another_worker(&self.daemon);
    }
}
