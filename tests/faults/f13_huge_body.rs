//! F13: bodies that are huge, endless, or of another length than was said.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::world::World;

/// What is answered to the head and as much of the body as is taken.
fn answer(daemon: &Daemon, head: &str, pieces: usize) -> String {
    let mut stream = UnixStream::connect(daemon.path("s.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\n{head}\r\n").as_bytes()).unwrap();
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..pieces {
        if stream.write_all(&piece).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    // It may be reset when it sends on, behind the answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn f13_huge_bodies_are_refused_before_they_are_read() {
    let world = World::new("");
    let huge = "Content-Length: 10737418240\r\n";
    assert!(answer(&world, huge, 0).contains(" 413 "));
    // 400 MiB, of which next to nothing is taken.
    let _ = answer(&world, huge, 6400);
    assert!(answer(&world, "Transfer-Encoding: chunked\r\n", 16).contains(" 411 "));
    let short =
        world.http("POST /RPC2 HTTP/1.0\r\nContent-Length: 9\r\n\r\n<?xml version='1.0'?><methodCall>").unwrap();
    assert!(short.contains(" 400 "), "{short}");
    world.end();
}

#[test]
fn f13_who_has_no_password_is_told_so_first() {
    let folder = World::served("username=u\npassword=p", "");
    let mut daemon = folder;
    daemon.launch();
    crate::wait::until("the socket", || UnixStream::connect(daemon.path("s.sock")).map_err(|error| error.to_string()));
    assert!(answer(&daemon, "Content-Length: 10737418240\r\n", 0).contains(" 401 "));
    assert!(answer(&daemon, "Transfer-Encoding: chunked\r\n", 0).contains(" 401 "));
}
