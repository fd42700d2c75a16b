//! Asks for the status again and again while a fault is on, and says how long the answers took.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;

/// The bar for 99 of 100 answers on a machine with nothing else to do. Tests run side by side, so what is asserted is
/// the bar for half of the answers, and that none of 99 of 100 waits [`BUSY_FACTOR`] times as long.
const ANSWER_MAX: Duration = Duration::from_millis(50);
const BUSY_FACTOR: u32 = 20;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Probe {
    over: Sender<()>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    pub(crate) fn begin(daemon: &Daemon) -> Probe {
        let (over, is_over) = channel();
        let socket: PathBuf = daemon.path("s.sock");
        let thread = std::thread::spawn(move || {
            let mut times = vec![ask(&socket)];
            while is_over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                times.push(ask(&socket));
            }
            times
        });
        Probe { over, thread }
    }

    /// Ends the questions and asserts the bar.
    pub(crate) fn end(self, fault: &str) {
        drop(self.over);
        let mut times = self.thread.join().unwrap();
        times.sort();
        let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        eprintln!("{fault}: {} answers, half within {half:?}, 99 of 100 within {most:?}", times.len());
        assert!(half < ANSWER_MAX && most < ANSWER_MAX * BUSY_FACTOR, "{fault}: {half:?}, {most:?}");
    }
}

fn ask(socket: &Path) -> Duration {
    let body = "<methodCall><methodName>supervisor.getState</methodName></methodCall>";
    let begin = Instant::now();
    let mut stream = UnixStream::connect(socket).unwrap();
    let head = format!("POST /RPC2 HTTP/1.0\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("RUNNING"), "{answer}");
    begin.elapsed()
}
