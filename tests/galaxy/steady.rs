//! A steady stream of jobs and of requests, while the web process is rolled and the handlers are restarted, drained and
//! scaled: no request fails, and each job ends well and runs once.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::deployment::{Deployment, until};
use crate::load::Load;
use crate::notice::tell;

/// How often the web process is replaced.
const ROLLS: usize = 5;

/// What each of the users outside waits between two requests.
const PAUSE: Duration = Duration::from_millis(250);

/// Seconds from one job to the next.
const EVERY: &str = "10";

/// So many jobs have not ended at most: each takes seconds of computing, nearly all of it Galaxy's own.
const MOST: &str = "3";

/// A client that submits jobs until it is told to end.
struct Stream {
    client: Child,
    end: PathBuf,
    told: PathBuf,
}

/// A job that has ended.
#[derive(Debug)]
struct Job {
    number: usize,
    state: String,
    handler: String,
}

impl Stream {
    fn start(galaxy: &Deployment) -> Stream {
        let (end, told) = (galaxy.path("var/stream.end"), galaxy.path("var/stream.out"));
        for file in [&end, &galaxy.ledger()] {
            let _ = fs::remove_file(file);
        }
        let mut command = galaxy.jobs();
        command.args(["--tool", "tally", "--every", EVERY, "--most", MOST, "--until"]).arg(&end);
        let client = command.stdout(fs::File::create(&told).unwrap()).stderr(Stdio::piped()).spawn().unwrap();
        Stream { client, end, told }
    }

    fn ended(&self) -> Vec<Job> {
        let text = fs::read_to_string(&self.told).unwrap();
        let job = |line: &str| {
            let (number, rest) = line.split_once(' ')?;
            let (state, handler) = rest.split_once(' ')?;
            Some(Job { number: number.parse().ok()?, state: state.to_owned(), handler: handler.to_owned() })
        };
        text.lines().filter_map(job).collect()
    }

    /// Waits for the end of a job that one of these handlers had.
    fn wait_for_job_of(&self, handlers: &[&str]) {
        until("a job of these handlers", || self.ended().iter().any(|job| handlers.contains(&job.handler.as_str())));
    }

    /// Submits no further job, and waits for the others.
    fn end(mut self) -> Vec<Job> {
        fs::write(&self.end, "").unwrap();
        until("the end of the last jobs", || self.client.try_wait().unwrap().is_some());
        let jobs = self.ended();
        let output = self.client.wait_with_output().unwrap();
        assert!(output.status.success(), "{jobs:?}\n{}", String::from_utf8_lossy(&output.stderr));
        jobs
    }
}

/// Everything that an administrator does to a running Galaxy, at once.
pub(crate) fn nothing_is_lost_while_everything_is_replaced(galaxy: &Deployment) {
    let users = Load::at(&[galaxy.port()], "/api/version", PAUSE);
    let stream = Stream::start(galaxy);
    stream.wait_for_job_of(&["handler0", "handler1"]);
    std::thread::scope(|scope| {
        let handlers = scope.spawn(|| move_handlers(galaxy, &stream));
        for _ in 0..ROLLS {
            let former = galaxy.pid("galaxy:web");
            let told = galaxy.done(&["graceful", "galaxy:web"]);
            assert!(told.contains("galaxy:web: done by overlap in "), "{told}");
            assert!(told.contains("Rolled 1 of 1 in ") && told.contains(", 0 of "), "{told}");
            assert_ne!(galaxy.pid("galaxy:web"), former);
        }
        handlers.join().unwrap();
    });
    let jobs = stream.end();
    let (made, failed) = users.end();
    let summary = format!("{} jobs and {made} requests, {} failed, through {ROLLS} rolls", jobs.len(), failed.len());
    tell(&summary);
    assert_eq!(failed, [""; 0], "{summary}");
    assert!(jobs.iter().all(|job| job.state == "ok" && job.handler.starts_with("handler")), "{jobs:?}");
    let mut ran: Vec<usize> =
        fs::read_to_string(galaxy.ledger()).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, (0..jobs.len()).collect::<Vec<_>>(), "each job runs once: {jobs:?}");
}

/// The handlers are restarted, one is drained and started again, two more come and go.
fn move_handlers(galaxy: &Deployment, stream: &Stream) {
    let both = ["galaxy:handler0", "galaxy:handler1"];
    let former = both.map(|name| galaxy.pid(name));
    let told = galaxy.done(&["restart", "--drain", both[0], both[1]]);
    for (name, pid) in both.iter().zip(former) {
        assert!(told.contains(&format!("{name}: stopped")) && told.contains(&format!("{name}: ready")), "{told}");
        assert_ne!(galaxy.pid(name), pid);
    }

    let told = galaxy.done(&["drain", both[1]]);
    assert!(told.contains("then galaxy:handler0 take them") && told.contains(": stopped"), "{told}");
    galaxy.done(&["start", both[1]]);

    galaxy.done(&["scale", "galaxy:handler", "4"]);
    galaxy.done(&["wait", "galaxy:handler2", "galaxy:handler3"]);
    stream.wait_for_job_of(&["handler2", "handler3"]);
    galaxy.done(&["scale", "galaxy:handler", "2"]);
    let status = galaxy.done(&["status"]);
    assert!(!status.contains("handler2") && !status.contains("handler3"), "{status}");
}
