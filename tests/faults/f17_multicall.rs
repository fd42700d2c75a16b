//! F17: many calls in one, calls in calls, and the same program again and again.

use crate::f21_foreign_user::{DAEMON, NOBODY, as_account, world};
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

/// What one client after the other is told, by so many at once: pairs of a start and a stop.
const FLOOD: &str = "\
for client in $(seq $3); do
    for pair in $(seq $4); do echo start p; echo stop p; done | \"$1\" -s \"$2\" > /dev/null 2>&1 &
done
wait";

#[test]
fn f17_one_account_with_many_connections_starves_no_other() {
    let Some(world) = world() else { return };
    let (rounds, clients, pairs) = if is_long() { (60, 16, 10) } else { (1, 16, 10) };
    let url = format!("unix://{}", world.path("s.sock").display());
    let client = world.path("galaxyctl").display().to_string();
    let numbers = [clients, pairs].map(|number: usize| number.to_string());
    // Root asks while the other account floods.
    let probe = Probe::begin(&world);
    let flood = ["sh", "-c", FLOOD, "sh", &client, &url, &numbers[0], &numbers[1]];
    for _ in 0..rounds {
        let flooded = as_account(&world, DAEMON, &[NOBODY], &flood);
        assert_eq!(flooded.code, Some(0), "{flooded:?}");
    }
    probe.end("F17, another account");
    for method in ["startProcess", "stopProcess"] {
        let asked = world.text("main.log").matches(&format!("audit: supervisor.{method} p by uid {DAEMON}, ")).count();
        assert_eq!(asked, rounds * clients * pairs, "{method}");
    }
    world.end();
}
