//! F12: a header without end.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::household::anonymous_kb;
use crate::world::World;

/// More than the daemon takes, in pieces so small that reading what came before again and again would be noticed.
const PIECES: usize = 20_000;

#[test]
fn f12_a_header_without_end_is_refused_at_its_limit() {
    let world = World::new("");
    let memory = anonymous_kb(world.bars.worker);
    let mut stream = UnixStream::connect(world.path("s.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"POST /RPC2 HTTP/1.1\r\nX: ").unwrap();
    let mut sent = 0;
    while sent < PIECES && stream.write_all(b"12345678").is_ok() {
        sent += 1;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 431") || sent < PIECES, "{answer}");
    assert!(anonymous_kb(world.bars.worker) < memory + 1024);
    world.end();
}
