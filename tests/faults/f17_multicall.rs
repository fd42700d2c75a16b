//! F17: many calls in one, calls in calls, and the same program again and again.

use crate::probe::Probe;
use crate::world::{World, is_long};

fn entry(method: &str, parameters: &str) -> String {
    format!(
        "<value><struct><member><name>methodName</name><value>{method}</value></member><member><name>params</name>\
         <value><array><data>{parameters}</data></array></value></member></struct></value>"
    )
}

fn multicall(world: &World, entries: &str) -> String {
    let list = format!("<param><value><array><data>{entries}</data></array></value></param>");
    world.post(&format!("<methodCall><methodName>system.multicall</methodName><params>{list}</params></methodCall>"))
}

#[test]
fn f17_calls_in_one_are_limited_and_delay_nobody() {
    let world = World::new("[program:p]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\n");
    let state = entry("supervisor.getState", "");
    let many = multicall(&world, &state.repeat(1001));
    assert!(many.contains("faultCode") && !many.contains("statename"), "{many}");
    let most = multicall(&world, &state.repeat(1000));
    assert_eq!(most.matches("statename").count(), 1000);
    // 100,000 do not fit a request.
    assert!(multicall(&world, &state.repeat(100_000)).contains(" 413 "));
    let nested =
        multicall(&world, &entry("system.multicall", &format!("<value><array><data>{state}</data></array></value>")));
    assert!(nested.contains("faultCode") && !nested.contains("statename"), "{nested}");
    let probe = Probe::begin(&world);
    let name = "<value>p</value>";
    let pair = entry("supervisor.startProcess", name) + &entry("supervisor.stopProcess", name);
    let (rounds, pairs) = if is_long() { (20, 500) } else { (2, 50) };
    for _ in 0..rounds {
        let answer = multicall(&world, &pair.repeat(pairs));
        assert_eq!(answer.matches("<boolean>1</boolean>").count(), 2 * pairs, "{answer}");
    }
    probe.end("F17");
    world.wait_state("p", "STOPPED");
    world.end();
}
