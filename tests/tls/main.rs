//! TLS of `[inet_http_server]` and of `galaxyctl -s https://...`, with the real programs. The certificates in `files` are
//! for `localhost` and 127.0.0.1, of two authorities that nobody trusts, and their keys are public.

#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests start programs and tell what they measured"
)]
#![expect(dead_code, reason = "the harness is shared with the conformance tests, which use all of it")]

#[path = "../conformance/daemon.rs"]
mod daemon;
#[path = "../fixture/dice.rs"]
mod dice;
#[path = "../promises/subject.rs"]
mod subject;
#[path = "../conformance/wait.rs"]
mod wait;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use daemon::{Daemon, Outcome};
use dice::Dice;
use nix::sys::signal::Signal;
use subject::Subject;
use wait::until;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/files").join(name)
}

/// A folder whose daemon speaks TLS as who it is says, and runs one program.
struct World {
    daemon: Daemon,
    port: u16,
}

impl World {
    fn folder(certificate: &str, key: &str) -> World {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let sections = format!(
            "[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p\ntls_certificate=%(here)s/who.pem\n\
             tls_key=%(here)s/who.key\n[program:p]\ncommand=sleep 1000\nstartsecs=0\n"
        );
        let world = World { daemon: Daemon::folder(Subject::GALAXYD, &sections), port };
        world.become_who(certificate, key);
        world
    }

    fn new() -> World {
        let mut world = World::folder("first.pem", "first.key");
        world.daemon.run();
        world.daemon.wait_state("p", "RUNNING");
        world
    }

    fn become_who(&self, certificate: &str, key: &str) {
        fs::copy(file(certificate), self.daemon.path("who.pem")).unwrap();
        fs::copy(file(key), self.daemon.path("who.key")).unwrap();
    }

    fn status(&self, authority: &str) -> Outcome {
        let (url, authority) = (format!("https://localhost:{}", self.port), file(authority));
        let authority = authority.to_str().unwrap();
        self.daemon.ctl_plain(&["-s", &url, "-u", "u", "-p", "p", "--ca-file", authority, "status"])
    }
}

#[test]
fn a_client_that_trusts_the_authority_is_served() {
    let world = World::new();
    let status = world.status("first-authority.pem");
    assert!(status.stdout.contains("RUNNING") && status.code == Some(0), "{status:?}");
    let url = format!("https://127.0.0.1:{}", world.port);
    let authority = file("first-authority.pem");
    let words = ["-s", &url, "--ca-file", authority.to_str().unwrap(), "status"];
    let anonymous = world.daemon.ctl_plain(&words);
    assert!(format!("{}{}", anonymous.stdout, anonymous.stderr).contains("uthoriz"), "{anonymous:?}");
}

#[test]
fn a_certificate_of_somebody_else_is_not_believed() {
    let world = World::new();
    let status = world.status("second-authority.pem");
    assert!(status.code != Some(0), "{status:?}");
    assert!(format!("{}{}", status.stdout, status.stderr).contains("TLS: invalid peer certificate"), "{status:?}");
}

#[test]
fn without_tls_nothing_is_said() {
    let world = World::new();
    let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\nAuthorization: Basic dTpw\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A reset is an answer, too.
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
}

#[test]
fn a_certificate_that_cannot_be_used_refuses_the_start_and_says_why() {
    for (certificate, key, reason, at_fault) in [
        ("second.pem", "first.key", "cannot be used", "tls_certificate"),
        ("first.key", "first.key", "there is no PEM certificate in it", "tls_certificate"),
        ("first.pem", "first.pem", "there is no PEM private key in it", "tls_key"),
    ] {
        let world = World::folder(certificate, key);
        let refusal = world.daemon.refusal(&world.daemon.path("supervisord.conf")).unwrap();
        let told = format!("{}{}", refusal.stdout, refusal.stderr);
        assert!(refusal.code == Some(2) && told.contains(reason) && told.contains("who."), "{refusal:?}");
        let text = fs::read_to_string(world.daemon.path("supervisord.conf")).unwrap();
        let line = 1 + text.lines().position(|line| line.starts_with(at_fault)).unwrap();
        assert!(told.contains(&format!("supervisord.conf:{line}:1")), "{at_fault} in line {line}: {told}");
    }
    let world = World::folder("first.pem", "first.key");
    fs::remove_file(world.daemon.path("who.key")).unwrap();
    let refusal = world.daemon.refusal(&world.daemon.path("supervisord.conf")).unwrap();
    assert!(refusal.stderr.contains("who.key: No such file"), "{refusal:?}");
}

#[test]
fn a_reload_takes_the_new_certificate_and_refuses_a_bad_one() {
    let world = World::new();
    let (daemon, program) = (world.daemon.pid(), world.daemon.process_pid("p"));
    world.become_who("second.pem", "first.key");
    world.daemon.signal(Signal::SIGHUP);
    world.daemon.wait_text("main.log", "nothing was changed");
    assert_eq!((world.daemon.pid(), world.daemon.process_pid("p")), (daemon, program));
    assert_eq!(world.status("first-authority.pem").code, Some(0));
    world.become_who("second.pem", "second.key");
    world.daemon.signal(Signal::SIGHUP);
    until("the new certificate", || {
        let status = world.status("second-authority.pem");
        if status.code == Some(0) { Ok(()) } else { Err(format!("{status:?}")) }
    });
}

/// What a client says first.
fn greeting() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let authority = file("first-authority.pem");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_galaxyctl"));
    command.args(["-s", &url, "--ca-file"]).arg(authority).arg("status");
    let mut client = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut header = [0; 5];
    stream.read_exact(&mut header).unwrap();
    let mut said = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    stream.read_exact(&mut said).unwrap();
    drop(stream);
    client.wait().unwrap();
    [header.as_slice(), &said].concat()
}

#[test]
fn damaged_greetings_harm_nobody() {
    /// No more handshakes than are begun in some seconds.
    const TIMES: usize = 150;
    let world = World::new();
    let greeting = greeting();
    let mut dice = Dice::of_environment("damaged greetings");
    for _ in 0..TIMES {
        let mut said = greeting.clone();
        dice.damage(&mut said, &[b"\x16\x03\x01", b"\x00\x00", b"\xff\xff", b"\x15\x03\x03\x00\x02\x02\x28"]);
        let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
        // It may have been refused by then.
        let _ = stream.write_all(&said).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        // Nothing, an alert or a handshake: records of TLS in any case.
        assert!(matches!(answer.first(), None | Some(21 | 22)), "{}: {answer:?}", said.escape_ascii());
    }
    let status = world.status("first-authority.pem");
    assert_eq!(status.code, Some(0), "{status:?}");
    let log = fs::read_to_string(world.daemon.path("main.log")).unwrap();
    assert!(!log.contains("panicked") && !log.contains("a new worker took over"), "{log}");
}

#[test]
fn handshakes_without_end_hold_up_nobody() {
    let world = World::new();
    let mut slow: Vec<TcpStream> = (0..60)
        .map(|number| {
            let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
            if number % 2 == 0 {
                // The begin of a greeting.
                stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
            }
            stream
        })
        .collect();
    let begin = Instant::now();
    let status = world.status("first-authority.pem");
    assert_eq!(status.code, Some(0), "{status:?}");
    eprintln!("served after {:?} beside 60 slow handshakes", begin.elapsed());
    assert!(world.daemon.call("supervisor.getState", "").unwrap().contains("RUNNING"));
    // All but the last few have been closed.
    let closed = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        match stream.read(&mut [0; 16]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    let left = until("the slow ones to be closed", || {
        let left = slow.iter_mut().filter_map(|stream| (!closed(stream)).then_some(())).count();
        if left <= galaxyd::http::limits::HANDSHAKES_MAX { Ok(left) } else { Err(left.to_string()) }
    });
    eprintln!("{left} of 60 slow handshakes are left");
}
