//! Asks for the status again and again while a fault is on, and says how long the answers took.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::household::worker_of;

/// The bar for 99 of 100 answers on a machine with nothing else to do. Tests run side by side, so what is asserted is
/// the bar for half of the answers, and that none of 99 of 100 waits [`BUSY_FACTOR`] times as long, without the time in
/// which the daemon or who asks could have run but had no CPU.
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
        let (socket, worker) = (daemon.path("s.sock"), worker_of(daemon.pid()));
        let thread = std::thread::spawn(move || {
            let measure = || {
                let before = without_cpu(worker);
                let answered = ask(&socket);
                answered.saturating_sub(without_cpu(worker).saturating_sub(before))
            };
            let mut times = vec![measure()];
            while is_over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                times.push(measure());
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

/// How long the worker's loop and this thread together have waited for a CPU. Source: sched-stats.rst of the kernel; zero
/// where it does not tell.
fn without_cpu(worker: i32) -> Duration {
    let waited = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.split_whitespace().nth(1).and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(waited(&format!("/proc/{worker}/schedstat")) + waited("/proc/thread-self/schedstat"))
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
