//! F15: values inside values without end, and values without number.

use crate::world::World;

#[test]
fn f15_deep_and_wide_values_are_refused() {
    let world = World::new("");
    let call = |params: &str| {
        world.post(&format!(
            "<methodCall><methodName>system.multicall</methodName><params>{params}</params></methodCall>"
        ))
    };
    let nested = |depth: usize| {
        let (open, close) = ("<value><array><data>".repeat(depth), "</data></array></value>".repeat(depth));
        format!("<param>{open}{close}</param>")
    };
    let member = "<member><name>a</name><value/></member>";
    let structure = |count: usize| format!("<param><value><struct>{}</struct></value></param>", member.repeat(count));
    for (what, params, status) in [
        ("an array in an array, 20,000 times", nested(20_000), " 400 "),
        ("the same 200,000 times", nested(200_000), " 413 "),
        ("a struct of 20,000 members", structure(20_000), " 400 "),
        ("a struct of a million members", structure(1_000_000), " 413 "),
        ("40,000 parameters", "<param><value/></param>".repeat(40_000), " 400 "),
        ("unknown elements in each other", "<x>".repeat(100_000), " 400 "),
    ] {
        let answer = call(&params);
        assert!(answer.contains(status), "{what}: {}", answer.lines().next().unwrap_or_default());
    }
    world.end();
}
