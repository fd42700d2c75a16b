//! Each limit, reached.

use std::time::Duration;

use galaxyd::http::limits::{BODY_MAX, CONNECTIONS_MAX, CONNECTIONS_RESERVED, HEADER_MAX, Times};

use crate::world::{Build, auth, post, with, with_world, xml};

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn too_long_headers_are_431() {
    with_world(async |world| {
        let headers = |size: usize| format!("GET /nope HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(size));
        assert_eq!(world.ask(&headers(HEADER_MAX - 100)).await.status, 404);
        let mut raw = world.connect().await;
        raw.send_what_it_takes(headers(4 * HEADER_MAX).as_bytes()).await;
        assert_eq!(raw.response().await.status, 431);
    });
}

#[test]
fn a_body_of_the_most_bytes_is_read_and_a_longer_one_is_413_before_it_comes() {
    with_world(async |world| {
        let text = "x".repeat(BODY_MAX - xml("").len());
        let response = world.ask(&post(&xml(&text), "")).await;
        assert_eq!(response.status, 200);
        let mut raw = world.connect().await;
        raw.send(format!("POST /RPC2 HTTP/1.1\r\nContent-Length: {}\r\n\r\n", BODY_MAX + 1).as_bytes()).await;
        let response = raw.response().await;
        assert_eq!(response.head.lines().next(), Some("HTTP/1.1 413 Request Entity Too Large"));
        assert_eq!(raw.until_closed().await, b"");
    });
}

#[test]
fn a_client_that_sends_on_gets_to_read_why_it_should_not() {
    for inet in [false, true] {
        with(Build { inet, ..Build::default() }, async |world| {
            let mut raw = world.connect().await;
            let head = format!("POST /RPC2 HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 2 * BODY_MAX);
            raw.send(head.as_bytes()).await;
            raw.send("x".repeat(BODY_MAX * 3 / 2).as_bytes()).await;
            assert_eq!(raw.response().await.status, 413);
        });
    }
}

#[test]
fn without_credentials_no_byte_of_a_body_is_read() {
    with(Build { auth: Some(auth("a", "b")), ..Build::default() }, async |world| {
        let mut raw = world.connect().await;
        raw.send(b"POST /RPC2 HTTP/1.1\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n").await;
        assert_eq!(raw.response().await.status, 401);
    });
}

#[test]
fn a_client_that_expects_100_gets_it() {
    with_world(async |world| {
        let mut raw = world.connect().await;
        let body = xml("supervisor.getState");
        let head = format!("POST /RPC2 HTTP/1.1\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len());
        raw.send(head.as_bytes()).await;
        assert_eq!(raw.head().await, "HTTP/1.1 100 Continue");
        raw.send(body.as_bytes()).await;
        assert_eq!(raw.response().await.status, 200);
    });
}

#[test]
fn slow_headers_end_the_connection() {
    with(Build { times: Times { header: SHORT, ..Times::default() }, ..Build::default() }, async |world| {
        let mut silent = world.connect().await;
        let mut raw = world.connect().await;
        raw.send(b"POST /RPC2 HTTP/1.1\r\nHos").await;
        raw.until_closed().await;
        // The one that has sent nothing is idle, which may last.
        silent.send(post(&xml("supervisor.getState"), "").as_bytes()).await;
        assert_eq!(silent.response().await.status, 200);
    });
}

#[test]
fn a_slow_body_is_408() {
    with(Build { times: Times { body: SHORT, ..Times::default() }, ..Build::default() }, async |world| {
        let mut raw = world.connect().await;
        raw.send(b"POST /RPC2 HTTP/1.1\r\nContent-Length: 100\r\n\r\n<meth").await;
        let response = raw.response().await;
        assert_eq!(response.head.lines().next(), Some("HTTP/1.1 408 Request Time-out"));
        assert_eq!(raw.until_closed().await, b"");
    });
}

#[test]
fn an_idle_connection_ends() {
    with(Build { times: Times { idle: SHORT, ..Times::default() }, ..Build::default() }, async |world| {
        let mut fresh = world.connect().await;
        let mut used = world.connect().await;
        used.send(post(&xml("supervisor.getState"), "").as_bytes()).await;
        assert_eq!(used.response().await.status, 200);
        assert_eq!(used.until_closed().await, b"");
        assert_eq!(fresh.until_closed().await, b"");
    });
}

#[test]
fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let times = Times { write: SHORT, linger: SHORT, ..Times::default() };
    with(Build { times, ..Build::default() }, async |world| {
        let mut raw = world.connect().await;
        let read = "<params><param><value><int>0</int></value></param><param><value><int>50000000</int></value></param></params>";
        let call = xml("supervisor.readLog").replace("</methodCall>", &format!("{read}</methodCall>"));
        raw.send(post(&call, "").as_bytes()).await;
        let head = raw.head().await;
        assert!(head.contains("200 OK"), "{head}");
        tokio::time::sleep(5 * SHORT).await;
        assert!(raw.until_closed().await.len() < 50_000_000);
    });
}

#[test]
fn a_slow_reader_gets_all_of_a_long_answer() {
    with_world(async |world| {
        let read = "<params><param><value><int>0</int></value></param><param><value><int>20000000</int></value></param></params>";
        let call = xml("supervisor.readLog").replace("</methodCall>", &format!("{read}</methodCall>"));
        let mut raw = world.connect().await;
        raw.send(post(&call, "").as_bytes()).await;
        assert!(raw.response().await.body.len() > 20_000_000);
    });
}

fn slow_call() -> String {
    let start = xml("supervisor.startProcess")
        .replace("</methodCall>", "<params><param><value>slow</value></param></params></methodCall>");
    post(&start, "")
}

#[test]
fn one_connection_too_many_is_503_when_all_are_busy() {
    for (inet, bound) in [(true, CONNECTIONS_MAX), (false, CONNECTIONS_MAX + CONNECTIONS_RESERVED)] {
        with(Build { inet, ..Build::default() }, async |mut world| {
            let mut busy = Vec::new();
            for _ in 0..bound {
                let mut raw = world.connect().await;
                raw.send(slow_call().as_bytes()).await;
                busy.push(raw);
            }
            while world.asked.borrow().len() < bound {
                tokio::task::yield_now().await;
            }
            let mut raw = world.connect().await;
            let response = raw.response().await;
            assert_eq!(response.status, 503);
            raw.until_closed().await;
            drop(busy.pop());
            world.given_up.recv().await.unwrap();
            // Its place is free as soon as its task has noticed.
            loop {
                let mut raw = world.connect().await;
                raw.send_what_it_takes(post(&xml("supervisor.getState"), "").as_bytes()).await;
                if raw.response().await.status == 200 {
                    break;
                }
            }
        });
    }
}

#[test]
fn one_connection_too_many_takes_the_place_of_the_longest_idle() {
    with(Build { inet: true, ..Build::default() }, async |world| {
        let call = post(&xml("supervisor.getState"), "");
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            let mut raw = world.connect().await;
            raw.send(call.as_bytes()).await;
            raw.response().await;
            idle.push(raw);
        }
        // The first is used again, so that the second is the longest idle.
        idle[0].send(call.as_bytes()).await;
        idle[0].response().await;
        assert_eq!(world.ask(&call).await.status, 200);
        assert_eq!(idle[1].until_closed().await, b"");
        for raw in [0, 2, CONNECTIONS_MAX - 1] {
            idle[raw].send(call.as_bytes()).await;
            assert_eq!(idle[raw].response().await.status, 200);
        }
    });
}
