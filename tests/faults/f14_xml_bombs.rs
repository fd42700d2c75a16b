//! F14: entities that grow, or that name files and servers.

use std::net::TcpListener;

use crate::world::World;

fn post(world: &World, body: &str) -> String {
    let head = format!("POST /RPC2 HTTP/1.0\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    world.http(&format!("{head}{body}")).unwrap()
}

fn call(types: &str, reference: &str) -> String {
    format!(
        "<?xml version='1.0'?><!DOCTYPE x {types}><methodCall><methodName>supervisor.sendRemoteCommEvent</methodName><params>\
         <param><value>{reference}</value></param><param><value>x</value></param></params></methodCall>"
    )
}

#[test]
fn f14_no_entity_is_expanded_or_fetched_and_the_log_stays_small() {
    let world = World::new("");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let laughs: String = (1..10)
        .map(|n| format!("<!ENTITY l{n} '{}'>", format!("&l{};", n - 1).repeat(10)))
        .collect::<Vec<_>>()
        .concat();
    let address = server.local_addr().unwrap();
    let bombs = [
        call(&format!("[<!ENTITY l0 'ha'>{laughs}]"), "&l9;"),
        call(&format!("[<!ENTITY a '{}'>]", "a".repeat(100_000)), &"&a;".repeat(10_000)),
        call("[<!ENTITY a SYSTEM 'file:///etc/passwd'>]", "&a;"),
        call(&format!("[<!ENTITY a SYSTEM 'http://{address}/'>]"), "&a;"),
        call(&format!("SYSTEM 'http://{address}/x.dtd'"), "x"),
        call(&format!("[<!ENTITY % a SYSTEM 'http://{address}/x.dtd'> %a;]"), "x"),
    ];
    for bomb in &bombs {
        let begin = world.text("main.log").len();
        let answer = post(&world, bomb);
        assert!(answer.contains(" 400 ") && !answer.contains("root:x:"), "{answer}");
        let told = world.text("main.log").len() - begin;
        assert!(told < 600, "{told} bytes in the log");
    }
    assert!(server.accept().is_err(), "nobody was asked for anything");
    world.end();
}
