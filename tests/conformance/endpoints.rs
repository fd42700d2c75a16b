//! The HTTP servers: verbs, paths, streams of logs, more than one server.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;
use crate::wait::until;

// 4.3.0 sends the text of the truncation as a string where bytes are needed, and the stream dies.
ours_alone![a_streamed_log_is_followed_over_truncation];

daemons![
    verbs_and_paths_have_their_answers,
    a_connection_may_carry_several_calls,
    a_log_is_streamed_as_it_grows,
    the_activity_log_is_streamed,
    a_streamed_log_is_followed_over_rotation,
    an_inet_server_answers_beside_the_unix_server,
];

fn status(daemon: &Daemon, request: &str) -> String {
    let answer = daemon.http(request).unwrap();
    answer.lines().next().unwrap_or_default().split_once(' ').map_or("", |(_, rest)| rest).to_string()
}

fn verbs_and_paths_have_their_answers(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/cat\nstartsecs=0\n[program:none]\ncommand=/bin/cat\nstdout_logfile=NONE\nstartsecs=0\n",
    );
    daemon.wait_running(&["p", "none"]);
    let mut transcript = Transcript::of(&daemon);
    for (verb, path) in [
        ("GET", "/RPC2"),
        ("PUT", "/RPC2"),
        ("GET", "/nonsense"),
        ("GET", "/logtail/nobody"),
        ("GET", "/logtail/p/nonsense"),
        ("GET", "/logtail/none"),
        ("POST", "/logtail/p"),
        ("POST", "/mainlogtail"),
        ("DELETE", "/logtail/p"),
    ] {
        transcript.note(format!(
            "{verb} {path}: {}",
            status(&daemon, &format!("{verb} {path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n"))
        ));
    }
    transcript.note(format!("POST /RPC2 without a length: {}", status(&daemon, "POST /RPC2 HTTP/1.0\r\n\r\n")));
    let call = "<methodCall><methodName>supervisor.getAPIVersion</methodName></methodCall>";
    for path in ["/RPC2", "/RPC2/", "/RPC2/foo", "/RPC2xyz"] {
        let request = format!("POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{call}", call.len());
        transcript.note(format!("POST {path}: {}", status(&daemon, &request)));
    }
    transcript.check("http_answers");
}

fn a_connection_may_carry_several_calls(subject: Subject) {
    let daemon = Daemon::start(subject, "");
    let mut stream = UnixStream::connect(daemon.path("s.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let call = "<methodCall><methodName>supervisor.getAPIVersion</methodName></methodCall>";
    for _ in 0..3 {
        write!(stream, "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{call}", call.len()).unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("</methodResponse>") {
            let mut part = [0; 4096];
            let count = stream.read(&mut part).unwrap();
            assert!(count > 0, "closed: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&part[..count]);
        }
        assert!(seen.starts_with(b"HTTP/1.1 200"));
    }
}

/// A stream that is followed: what came so far.
struct Follower {
    stream: UnixStream,
    seen: Vec<u8>,
}

impl Follower {
    fn of(daemon: &Daemon, path: &str) -> Follower {
        let mut stream = UnixStream::connect(daemon.path("s.sock")).unwrap();
        stream.set_nonblocking(true).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        Follower { stream, seen: Vec::new() }
    }

    fn wait(&mut self, wanted: &str) {
        until(&format!("{wanted:?} in the stream"), || {
            let mut part = [0; 4096];
            if let Ok(count) = self.stream.read(&mut part) {
                self.seen.extend_from_slice(&part[..count]);
            }
            let text = String::from_utf8_lossy(&self.seen).into_owned();
            if text.contains(wanted) { Ok(()) } else { Err(text) }
        });
    }

    fn head(&self) -> String {
        String::from_utf8_lossy(&self.seen)
            .split_once("\r\n\r\n")
            .map_or(String::new(), |(head, _)| head.to_lowercase())
    }

    /// The body with the sizes of its chunks taken out.
    fn body(&self) -> String {
        let text = String::from_utf8_lossy(&self.seen).into_owned();
        let mut rest = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let mut body = String::new();
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            body.push_str(&after[..size]);
            rest = &after[size + 2..];
        }
        body
    }
}

const TALKER: &str =
    "[program:p]\ncommand=/bin/sh -c 'echo begin; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/p.log\n";

fn say(daemon: &Daemon, text: &str) {
    let params = format!("<param><value>p</value></param><param><value>{text}\n</value></param>");
    assert!(daemon.call("supervisor.sendProcessStdin", &params).unwrap().contains("<boolean>1"));
}

fn a_log_is_streamed_as_it_grows(subject: Subject) {
    let daemon = Daemon::start(subject, TALKER);
    daemon.wait_text("p.log", "begin");
    let mut follower = Follower::of(&daemon, "/logtail/p");
    follower.wait("begin");
    say(&daemon, "second");
    follower.wait("second");
    say(&daemon, "third");
    follower.wait("third");
    let head = follower.head();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain;charset=utf-8"), "{head}");
    assert!(head.contains("transfer-encoding: chunked") && head.contains("last-modified: "), "{head}");
    assert!(head.contains("x-accel-buffering: no"), "{head}");
    assert_eq!(follower.body(), "begin\nsecond\nthird\n");
    // A stream begins at most 1024 bytes before the end.
    std::fs::write(daemon.path("p.log"), format!("{}{}", "a".repeat(50), "b".repeat(1024))).unwrap();
    let mut follower = Follower::of(&daemon, "/logtail/p/stdout");
    follower.wait("bbb\r\n");
    assert_eq!(follower.body(), "b".repeat(1024));
}

fn the_activity_log_is_streamed(subject: Subject) {
    let daemon = Daemon::start(subject, TALKER);
    let mut follower = Follower::of(&daemon, "/mainlogtail");
    follower.wait("supervisord started");
    assert!(
        daemon.call("supervisor.stopProcess", "<param><value>p</value></param>").unwrap().contains("methodResponse")
    );
    follower.wait("stopped: p");
}

fn a_streamed_log_is_followed_over_truncation(subject: Subject) {
    let daemon = Daemon::start(subject, TALKER);
    daemon.wait_text("p.log", "begin");
    let mut follower = Follower::of(&daemon, "/logtail/p");
    follower.wait("begin");
    std::fs::write(daemon.path("p.log"), "x\n").unwrap();
    follower.wait("==> File truncated <==\n");
    follower.wait("x\n");
}

fn a_streamed_log_is_followed_over_rotation(subject: Subject) {
    let daemon = Daemon::start(subject, TALKER);
    daemon.wait_text("p.log", "begin");
    let mut follower = Follower::of(&daemon, "/logtail/p");
    follower.wait("begin");
    std::fs::rename(daemon.path("p.log"), daemon.path("p.log.1")).unwrap();
    std::fs::write(daemon.path("p.log"), "a new file\n").unwrap();
    follower.wait("a new file");
}

fn an_inet_server_answers_beside_the_unix_server(subject: Subject) {
    // A port that was free a moment ago; the kernel gives it out last.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let daemon = Daemon::start(
        subject,
        &format!(
            "[inet_http_server]\nport=127.0.0.1:{port}\n[program:p]\ncommand=/bin/sh -c 'echo $SUPERVISOR_SERVER_URL; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/p.log\n"
        ),
    );
    daemon.wait_lines("p.log", 1);
    let url = format!("http://127.0.0.1:{port}");
    let mut transcript = Transcript::of(&daemon);
    transcript
        .note(daemon.text("p.log").replace(&port.to_string(), "PORT"))
        .outcome("supervisorctl -s http://... status", &daemon.ctl(&["-s", &url, "status"]))
        .note(daemon.log_lines(&["RPC interface", "without any HTTP"]).join("\n"))
        .check("inet_server");
}
