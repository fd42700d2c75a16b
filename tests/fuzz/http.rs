//! Whole requests, to an endpoint with a made-up daemon behind it.

use std::cell::RefCell;

use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::target::Target;
use crate::world::{Build, World, post, xml};

const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\0",
    b"<",
    b"&#0;",
    b"\xff",
    b"]]>",
    b"<!DOCTYPE x>",
    b"Content-Length: 7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.0",
    b"%00",
    b"../",
    b"9999999999999",
];

/// Statuses that have a meaning here; none of them says that the server did wrong.
const KNOWN: [u16; 15] = [100, 200, 301, 303, 304, 400, 401, 403, 404, 405, 411, 413, 414, 431, 505];

struct Served {
    runtime: Runtime,
    local: LocalSet,
    world: World,
}

thread_local! {
    static SERVED: RefCell<Option<Served>> = const { RefCell::new(None) };
}

impl Served {
    fn begin() -> Served {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let local = LocalSet::new();
        let world = local.block_on(&runtime, async { World::open(Build::default()) });
        std::fs::write(world.log("web.log"), "x\n").unwrap();
        Served { runtime, local, world }
    }
}

/// Ends the endpoint with the test: a runtime cannot end when its thread does.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        drop(SERVED.take());
    }
}

fn judge(input: &[u8]) {
    SERVED.with_borrow_mut(|served| {
        let served = served.get_or_insert_with(Served::begin);
        served.local.block_on(&served.runtime, async {
            let mut raw = served.world.connect().await;
            raw.send_what_it_takes(input).await;
            // The end of sending ends every request that waits for more.
            let _ = raw.0.shutdown().await;
            let head = raw.head().await;
            if head.starts_with("HTTP/1.") {
                let status: u16 = head[9..12].parse().unwrap();
                assert!(KNOWN.contains(&status), "{head}");
            } else {
                assert_eq!(head, "");
            }
            assert_eq!(served.world.ask(&post(&xml("supervisor.getState"), "")).await.status, 200);
        });
    });
}

fn requests() -> Vec<Vec<u8>> {
    let multicall = "<?xml version='1.0'?><methodCall><methodName>system.multicall</methodName><params><param><value>\
        <array><data><value><struct><member><name>methodName</name><value>supervisor.getState</value></member></struct>\
        </value></data></array></value></param></params></methodCall>";
    let made = [
        post(&xml("supervisor.getState"), "Authorization: Basic YTpi\r\n"),
        post(multicall, "Connection: close\r\n"),
        post(&xml("supervisor.getState"), "Expect: 100-continue\r\n"),
        "GET /logtail/web%3Ax/stdout?a=b HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "POST /index.html?processname=web&action=stop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ntoken=a-b"
            .to_owned(),
        "GET /tail.html?processname=w%20b&limit=5 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "HEAD /stylesheets/supervisor.css HTTP/1.0\r\nIf-None-Match: \"x\"\r\n\r\n".to_owned(),
    ];
    made.map(String::into_bytes).to_vec()
}

#[test]
fn requests_are_answered_or_refused_and_the_next_one_is_served() {
    let _end = End;
    Target { name: "http", words: WORDS, made: requests, oracle: judge }.feed();
}
