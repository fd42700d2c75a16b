//! Logs that are followed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::world::{Raw, World, with_world};

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

async fn follow(world: &World, path: &str) -> (Raw, String) {
    let mut raw = world.connect().await;
    raw.send(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await;
    let head = raw.head().await;
    (raw, head)
}

#[test]
fn the_head_is_supervisors() {
    with_world(async |world| {
        append(&world.log("web.log"), "a\n");
        File::open(world.log("web.log"))
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777))
            .unwrap();
        let (_, head) = follow(&world, "/logtail/web").await;
        let mut lines: Vec<&str> = head.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "Content-Type: text/plain;charset=utf-8",
                "HTTP/1.1 200 OK",
                "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
                "Server: Medusa/1.12",
                "Transfer-Encoding: chunked",
                "X-Accel-Buffering: no",
                "X-Content-Type-Options: nosniff",
            ]
        );
        append(&world.log("main.log"), "a\n");
        let (_, head) = follow(&world, "/mainlogtail").await;
        assert!(head.contains("200 OK") && !head.contains("X-Accel"), "{head}");
    });
}

#[test]
fn the_last_kilobyte_comes_first_and_then_what_is_appended() {
    with_world(async |world| {
        let log = world.log("web.err");
        append(&log, &"x".repeat(3000));
        let (mut raw, _) = follow(&world, "/logtail/web/stderr").await;
        assert_eq!(raw.chunk().await.unwrap(), "x".repeat(1024));
        for round in 0..5 {
            append(&log, &format!("line {round}\n"));
            assert_eq!(raw.chunk().await.unwrap(), format!("line {round}\n"));
        }
        let much = "y".repeat(300_000) + "end";
        append(&log, &much);
        assert_eq!(raw.chunks_until("end").await, much);
    });
}

#[test]
fn an_empty_log_is_followed_from_its_first_byte() {
    with_world(async |world| {
        append(&world.log("web.log"), "");
        let (mut raw, head) = follow(&world, "/logtail/web").await;
        assert!(head.contains("200 OK"));
        append(&world.log("web.log"), "first\n");
        assert_eq!(raw.chunk().await.unwrap(), "first\n");
    });
}

#[test]
fn rotation_loses_nothing() {
    with_world(async |world| {
        let log = world.log("web.log");
        append(&log, "one\n");
        let (mut raw, _) = follow(&world, "/logtail/web").await;
        assert_eq!(raw.chunk().await.unwrap(), "one\n");
        for round in 0..20 {
            append(&log, &format!("last of {round}\n"));
            fs::rename(&log, world.log("web.log.1")).unwrap();
            append(&world.log("web.log.1"), &format!("late in {round}\n"));
            append(&log, &format!("first after {round}\n"));
            let expected = format!("last of {round}\nlate in {round}\nfirst after {round}\n");
            assert_eq!(raw.chunks_until(&format!("first after {round}\n")).await, expected);
        }
    });
}

#[test]
fn a_deleted_log_is_taken_up_when_it_comes_back() {
    with_world(async |world| {
        let log = world.log("web.log");
        append(&log, "one\n");
        let (mut raw, _) = follow(&world, "/logtail/web").await;
        assert_eq!(raw.chunk().await.unwrap(), "one\n");
        fs::remove_file(&log).unwrap();
        append(&log, "two\n");
        assert_eq!(raw.chunk().await.unwrap(), "two\n");
    });
}

#[test]
fn a_truncated_log_is_said_to_be() {
    with_world(async |world| {
        let log = world.log("web.log");
        append(&log, "one\n");
        let (mut raw, _) = follow(&world, "/logtail/web").await;
        assert_eq!(raw.chunk().await.unwrap(), "one\n");
        File::create(&log).unwrap();
        assert_eq!(raw.chunk().await.unwrap(), "==> File truncated <==\n");
        append(&log, "two\n");
        assert_eq!(raw.chunk().await.unwrap(), "two\n");
    });
}

#[test]
fn rotation_behind_a_symbolic_link_is_seen() {
    with_world(async |world| {
        fs::create_dir(world.log("deep")).unwrap();
        let log = world.log("deep/real.log");
        append(&log, "one\n");
        std::os::unix::fs::symlink(&log, world.log("web.log")).unwrap();
        let (mut raw, _) = follow(&world, "/logtail/web").await;
        assert_eq!(raw.chunk().await.unwrap(), "one\n");
        fs::rename(&log, world.log("deep/real.log.1")).unwrap();
        append(&log, "two\n");
        assert_eq!(raw.chunk().await.unwrap(), "two\n");
    });
}

#[test]
fn what_is_not_a_file_is_404() {
    with_world(async |world| {
        nix::unistd::mkfifo(&world.log("pipe.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(world.log("folder.log")).unwrap();
        for path in ["/logtail/pipe", "/logtail/folder", "/logtail/none"] {
            let (_, head) = follow(&world, path).await;
            assert!(head.contains("404"), "{path}: {head}");
        }
    });
}

/// Descriptors of the followed log: other tests of this process have their own.
fn held(world: &World) -> usize {
    let log = world.log("web.log");
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| *link == log).count()
}

#[test]
fn a_stream_ends_with_its_client_even_if_nothing_is_ever_written() {
    // Supervisor's own client sends an empty line after its request.
    for extra in ["", "\r\n"] {
        with_world(async |world| {
            append(&world.log("web.log"), "one\n");
            let mut raw = world.connect().await;
            raw.send(format!("GET /logtail/web HTTP/1.1\r\n\r\n{extra}").as_bytes()).await;
            raw.head().await;
            assert_eq!(raw.chunk().await.unwrap(), "one\n");
            assert_eq!(held(&world), 1);
            drop(raw);
            while held(&world) > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        });
    }
}

#[test]
fn http_1_0_gets_the_bytes_as_they_are() {
    with_world(async |world| {
        append(&world.log("web.log"), "one\n");
        let mut raw = world.connect().await;
        raw.send(b"GET /logtail/web HTTP/1.0\r\n\r\n").await;
        let head = raw.head().await;
        assert!(!head.contains("chunked"), "{head}");
        assert_eq!(raw.exactly(4).await, b"one\n");
        append(&world.log("web.log"), "two\n");
        assert_eq!(raw.exactly(4).await, b"two\n");
    });
}

#[test]
fn closing_the_endpoint_ends_streams_at_once() {
    with_world(async |mut world| {
        append(&world.log("web.log"), "one\n");
        let (mut raw, _) = follow(&world, "/logtail/web").await;
        assert_eq!(raw.chunk().await.unwrap(), "one\n");
        let endpoint = world.endpoint.take().unwrap();
        let close = tokio::task::spawn_local(endpoint.close(crate::world::PATIENCE));
        raw.until_closed().await;
        drop(raw);
        close.await.unwrap();
    });
}
