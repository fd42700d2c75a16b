//! Requests with errors: every one is answered or refused, none does harm.

use crate::dice::Dice;
use crate::world::{post, with_world, xml};

const REQUESTS: usize = 10_000;

const SPICES: &[&[u8]] = &[
    b"\r\n",
    b"\0",
    b"<",
    b"&#0;",
    b"\xff",
    b"]]>",
    b"<!DOCTYPE x>",
    b"Content-Length: 7\r\n",
    b"%00",
    b"9999999999999",
];

#[test]
fn mutated_requests_are_answered_or_refused() {
    with_world(async |world| {
        std::fs::write(world.log("web.log"), "x\n").unwrap();
        let struct_call = "<?xml version='1.0'?><methodCall><methodName>system.multicall</methodName><params><param><value>\
            <array><data><value><struct><member><name>methodName</name><value>supervisor.getState</value></member></struct>\
            </value></data></array></value></param></params></methodCall>";
        let seeds = [
            post(&xml("supervisor.getState"), "Authorization: Basic YTpi\r\n"),
            post(struct_call, "Connection: close\r\n"),
            post(&xml("supervisor.getState"), "Expect: 100-continue\r\n"),
            "GET /logtail/web%3Ax/stdout?a=b HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "POST /index.html?processname=web&action=stop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ntoken=a-b"
                .to_owned(),
            "GET /tail.html?processname=w%20b&limit=5 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
        ];
        let mut dice = Dice::of_environment("requests to a made-up daemon");
        let mut answered = 0;
        for round in 0..REQUESTS {
            let mut request = seeds[round % seeds.len()].clone().into_bytes();
            dice.damage(&mut request, SPICES);
            let mut raw = world.connect().await;
            raw.send_what_it_takes(&request).await;
            // The end of sending ends every request that waits for more.
            let head = raw.head_after_finish().await;
            if head.starts_with("HTTP/1.") {
                answered += 1;
                let status: u16 = head[9..12].parse().unwrap();
                let known = [100, 200, 301, 303, 400, 401, 403, 404, 405, 411, 413, 414, 431, 500, 505];
                assert!(known.contains(&status), "{head}\n{request:?}");
            } else {
                assert_eq!(head, "", "{request:?}");
            }
        }
        assert!(answered > REQUESTS / 2, "only {answered} answers");
        assert_eq!(world.ask(&post(&xml("supervisor.getState"), "")).await.status, 200);
    });
}
