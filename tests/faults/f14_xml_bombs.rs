//! F14: entities that grow, or that name files and servers.

use std::net::TcpListener;

use crate::wait::until;
use crate::world::World;

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
        let answer = world.post(bomb);
        assert!(answer.contains(" 400 ") && !answer.contains("root:x:"), "{answer}");
        let told = until("the line about it", || {
            let told = world.text("main.log").split_off(begin);
            if told.contains("' is invalid") { Ok(told) } else { Err(told) }
        });
        assert!(told.len() < 1000, "{told}");
        let shown = told.split("data '").nth(1).and_then(|rest| rest.split("' is invalid").next()).unwrap();
        assert!(shown.len() <= 200, "{shown}");
    }
    assert!(server.accept().is_err(), "nobody was asked for anything");
    world.end();
}
