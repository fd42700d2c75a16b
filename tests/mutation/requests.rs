//! Requests with errors, against a real daemon.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::dice::Dice;
use crate::household::{anonymous_kb, galaxyd, worker_of};
use crate::xml::{Signature, call};

/// Ten million in the long form of the fault tests, or as many as `GALAXYD_REQUESTS` says.
pub(crate) fn requests() -> usize {
    let named = std::env::var("GALAXYD_REQUESTS").ok().and_then(|text| text.parse().ok());
    let is_long = std::env::var("GALAXYD_FAULTS").is_ok_and(|value| value == "long");
    named.unwrap_or(if is_long { 10_000_000 } else { 10_000 })
}

/// After so many the daemon has what it needs: threads, buffers, a log.
pub(crate) const WARM_UP: usize = 1_500;

/// No request takes longer; a stop waits for a program that ends at once.
const ANSWER_BOUND: Duration = Duration::from_secs(20);

/// What keeper and worker together may be larger by afterwards. Allocators keep some of what was once needed.
pub(crate) const GROWTH_KB_MAX: u64 = 4 * 1024;

const SPICES: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"<",
    b"</value>",
    b"<value><string>",
    b"&#0;",
    b"\xff\xfe",
    b"]]>",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
    b"Content-Length: 7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"%00",
    b"9999999999999",
    b"../",
];

const SECTIONS: &str = "\
[rpcinterface:twiddler]
supervisor.rpcinterface_factory = supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface
[program:kept]
command=/bin/cat
startsecs=0
[program:toy]
command=/bin/cat
startsecs=0
stopwaitsecs=2
numprocs=2
process_name=toy_%(process_num)d
";

/// Methods that end or signal every program, also the one that is to be left alone.
const ABOUT_EVERYBODY: [&str; 2] = ["supervisor.stopAllProcesses", "supervisor.signalAllProcesses"];

/// Every method of the daemon that does not end it.
fn signatures(daemon: &Daemon) -> Vec<Signature> {
    let strings = |answer: String| -> Vec<String> {
        let parts = answer.split("<string>").skip(1);
        parts.map(|part| part.split("</string>").next().unwrap().to_owned()).collect()
    };
    let names = strings(daemon.call("system.listMethods", "").unwrap());
    assert!(names.iter().any(|name| name == "twiddler.log"), "{names:?}");
    let ends = ["supervisor.shutdown", "supervisor.restart"];
    let names = names.into_iter().filter(|name| !ends.contains(&name.as_str()));
    let with_kinds = names.map(|name| {
        let param = format!("<param><value>{name}</value></param>");
        let kinds = strings(daemon.call("system.methodSignature", &param).unwrap());
        Signature { name, kinds: kinds.into_iter().skip(1).collect() }
    });
    with_kinds.collect()
}

/// Whether a client waits with the connection open, or has said that nothing more comes: a daemon that cannot tell where a
/// request ends would wait for the rest of it for as long as it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Open,
    Finished,
}

/// One request: mostly of a method, damaged below, at or above its XML.
fn request(signatures: &[Signature], dice: &mut Dice) -> (Vec<u8>, Ending) {
    if dice.one_in(12) {
        let lines = [
            "GET /logtail/toy%3Atoy_0/stdout HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /mainlogtail HTTP/1.0\r\n\r\n",
            "GET /no/such/page?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /RPC2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        ];
        let mut bytes = dice.pick(&lines).as_bytes().to_vec();
        dice.damage(&mut bytes, SPICES);
        return (bytes, Ending::Finished);
    }
    let mut body = call(&signatures[dice.throw(signatures.len())], dice).into_bytes();
    let below = dice.throw(3);
    if below == 0 {
        dice.damage(&mut body, SPICES);
    }
    let mut bytes =
        format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", body.len())
            .into_bytes();
    if below == 1 {
        dice.damage(&mut bytes, SPICES);
    }
    bytes.extend(body);
    (bytes, if below == 1 { Ending::Finished } else { Ending::Open })
}

/// A client. It keeps its connection for the next request as long as the daemon does, and as nothing is in doubt: whoever
/// connects anew costs more than most requests.
struct Client<'a> {
    socket: &'a Path,
    kept: Option<UnixStream>,
}

impl Client<'_> {
    /// Sends it and reads what a client would wait for: the head, and as much as it announces.
    fn ask(&mut self, request: &[u8], ending: Ending) -> Result<Vec<u8>, String> {
        let mut stream = match self.kept.take() {
            Some(stream) => stream,
            None => self.connect().map_err(|error| error.to_string())?,
        };
        // A refusal may come before all was sent.
        let sent = stream.write_all(request);
        if ending == Ending::Finished {
            drop(stream.shutdown(Shutdown::Write));
        }
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(&piece[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break,
                Err(error) => return Err(format!("{error} after {} bytes (sent: {sent:?})", answer.len())),
            }
            match progress(&answer) {
                Progress::Partial => {}
                Progress::Last => break,
                Progress::Whole => {
                    self.kept = Some(stream).filter(|_| ending == Ending::Open && sent.is_ok());
                    break;
                }
            }
        }
        Ok(answer)
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(self.socket)?;
        stream.set_read_timeout(Some(ANSWER_BOUND))?;
        stream.set_write_timeout(Some(ANSWER_BOUND))?;
        Ok(stream)
    }
}

/// What has come of an answer.
enum Progress {
    Partial,
    /// All of it, and the connection stays.
    Whole,
    /// As much as anybody waits for, and the connection ends with it.
    Last,
}

fn progress(answer: &[u8]) -> Progress {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Progress::Partial };
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let body = answer.len() - end - 4;
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    match length.and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) if body >= length && !head.contains(" 100 ") => {
            let stays = body == length && !head.contains("connection: close");
            if stays { Progress::Whole } else { Progress::Last }
        }
        // A log that is followed has no end.
        None if head.contains("chunked") || head.contains("text/plain") => Progress::Last,
        Some(_) | None => Progress::Partial,
    }
}

/// What came of many requests.
#[derive(Debug, Default)]
struct Outcome {
    answered: usize,
    slowest: Duration,
}

impl Outcome {
    /// Makes so many requests of these methods. Each is answered as HTTP wants it, or was cut off by its own client.
    fn add(&mut self, client: &mut Client, dice: &mut Dice, signatures: &[Signature], rounds: usize) {
        for round in 0..rounds {
            let (request, ending) = request(signatures, dice);
            let asked = Instant::now();
            let answer = client
                .ask(&request, ending)
                .unwrap_or_else(|why| panic!("round {round}: {why}: {}", String::from_utf8_lossy(&request)));
            self.slowest = self.slowest.max(asked.elapsed());
            let head = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
            if head.starts_with("HTTP/1.") {
                self.answered += 1;
                let known = [
                    "100", "200", "304", "400", "401", "403", "404", "405", "408", "411", "413", "414", "417", "431",
                    "505",
                ];
                assert!(known.contains(&&head[9..12]), "round {round}: {head}: {}", String::from_utf8_lossy(&request));
            } else {
                assert_eq!(
                    (head.as_str(), ending),
                    ("", Ending::Finished),
                    "round {round}: {}",
                    String::from_utf8_lossy(&request)
                );
            }
        }
    }
}

#[test]
fn requests_with_errors_do_no_harm() {
    // A copy of the activity log of millions of requests is of no use.
    let daemon = galaxyd("silent=true\n", SECTIONS);
    daemon.wait_running(&["kept", "toy:toy_0", "toy:toy_1"]);
    let (about_everybody, signatures): (Vec<Signature>, Vec<Signature>) =
        signatures(&daemon).into_iter().partition(|signature| ABOUT_EVERYBODY.contains(&signature.name.as_str()));
    assert_eq!(about_everybody.len(), ABOUT_EVERYBODY.len());
    let (keeper, kept) = (daemon.pid(), daemon.process_pid("kept"));
    let worker = worker_of(keeper);
    let started = daemon.info("kept", "start").unwrap();
    let socket = daemon.path("s.sock");
    let mut client = Client { socket: &socket, kept: None };
    let mut dice = Dice::of_environment("requests");
    let begin = Instant::now();
    Outcome::default().add(&mut client, &mut dice, &signatures, WARM_UP);
    let before = anonymous_kb(keeper) + anonymous_kb(worker);
    let (requests, mut outcome) = (requests(), Outcome::default());
    outcome.add(&mut client, &mut dice, &signatures, requests - requests / 20);
    daemon.wait_state("kept", "RUNNING");
    assert_eq!((daemon.process_pid("kept"), daemon.info("kept", "start").unwrap()), (kept, started));
    outcome.add(&mut client, &mut dice, &about_everybody, requests / 20);
    let took = begin.elapsed();
    assert_eq!((daemon.pid(), worker_of(keeper)), (keeper, worker), "no process of the daemon ended");
    let after = anonymous_kb(keeper) + anonymous_kb(worker);
    eprintln!("{outcome:?} in {took:?}; {before} kB before, {after} kB after");
    assert!(outcome.answered > requests * 2 / 3, "only {} answers", outcome.answered);
    assert!(after < before + GROWTH_KB_MAX, "{before} kB before, {after} kB after");
    let descriptors = std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap().count();
    assert!(descriptors < 100, "{descriptors} descriptors");
    let log = daemon.text("main.log");
    assert!(!log.contains("bug: ") && !log.contains("panicked"), "{log}");
    assert!(!daemon.text("daemon.out").contains("panicked"));
}
