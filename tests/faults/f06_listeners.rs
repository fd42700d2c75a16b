//! F06: event listeners that are wedged, slow, or die with an event in their hands.

use std::fs;
use std::process::Command;

use crate::notice::tell;
use crate::probe::Probe;
use crate::wait::until;
use crate::world::World;

/// Never says READY; says its answers a byte a second; takes an event and dies.
const LISTENERS: [(&str, &str); 3] = [
    ("mute", "import time\nwhile True: time.sleep(1)\n"),
    (
        "slow",
        "import sys, time\nwhile True:\n    for byte in 'READY\\n':\n        sys.stdout.write(byte); sys.stdout.flush(); time.sleep(1)\n    \
         head = sys.stdin.readline()\n    sys.stdin.read(int(head.split('len:')[1].split()[0]))\n    \
         for byte in 'RESULT 2\\nOK':\n        sys.stdout.write(byte); sys.stdout.flush(); time.sleep(1)\n",
    ),
    ("dying", "import sys\nprint('READY', flush=True)\nsys.stdin.readline()\nsys.exit(3)\n"),
];

const BUFFER: usize = 10;

fn listeners() -> String {
    let section = |(name, _): &(&str, &str)| {
        format!(
            "[eventlistener:{name}]\ncommand=python3 %(here)s/{name}.py\nevents=PROCESS_STATE\nbuffer_size={BUFFER}\n\
             startsecs=0\nautorestart=true\nautostart={}\n",
            // Each of its deaths is an event, of which it dies.
            *name != "dying"
        )
    };
    LISTENERS.iter().map(section).collect()
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|outcome| outcome.status.success());
    if !found {
        tell("could not run: F06 needs python3 for its listeners");
    }
    found
}

/// Never answers to the first event of all, and at once to others.
const WEDGED: &str = "import os, sys, time\nwhile True:\n    print('READY', flush=True)\n    head = sys.stdin.readline()\n    \
     body = sys.stdin.read(int(head.split('len:')[1].split()[0]))\n    first = not os.path.exists('heard')\n    \
     open('heard', 'a').write(body + '\\n')\n    while first: time.sleep(1)\n    print('RESULT 2\\nOK', end='', flush=True)\n";

#[test]
fn f06_a_listener_over_its_deadline_is_started_anew_gets_its_event_again_and_is_counted() {
    if !has_python() {
        return;
    }
    let folder = World::folder(
        "",
        "[eventlistener:wedged]\ncommand=python3 wedged.py\ndirectory=%(here)s\nevents=REMOTE_COMMUNICATION\n\
         startsecs=0\nautorestart=false\nanswer_timeout=3s\n",
    );
    fs::write(folder.path("wedged.py"), WEDGED).unwrap();
    let world = World::in_folder(folder);
    let first = world.process_pid("wedged");
    let text = |text: &str| format!("<param><value><string>{text}</string></value></param>");
    world.call("supervisor.sendRemoteCommEvent", &format!("{}{}", text("t"), text("once"))).unwrap();
    world.wait_text("main.log", "with event 0 in its hands; it is started anew (answer_timeout)");
    until("another process to answer, and both to count", || {
        let answer = world.call("galaxyd.getListenerPools", "")?;
        let compact: String = answer.split_whitespace().collect();
        let count = |name: &str| {
            let rest = compact.split(&format!("<name>{name}</name><value><int>")).nth(1)?;
            rest.split('<').next()?.parse::<u32>().ok()
        };
        // More than one if Python was slow to start.
        let is_renewed = count("renewed") > Some(0);
        if is_renewed && count("processed") == Some(1) && count("requeued") == Some(1) { Ok(()) } else { Err(answer) }
    });
    assert_eq!(world.text("heard").matches("once").count(), 2);
    assert_ne!(world.process_pid("wedged"), first);
    let shown = world.ctl(&["status"]);
    assert!(shown.stderr.contains("wedged: a listener was started anew "), "{shown:?}");
    world.end();
}

#[test]
fn f06_wedged_slow_and_dying_listeners_delay_nobody_and_their_buffers_are_bounded() {
    if !has_python() {
        return;
    }
    let folder = World::folder(
        "",
        &format!(
            "{}[program:busy]\ncommand=sleep 10000\nautostart=false\nstartsecs=0\nstdout_logfile=NONE\n\
             stderr_logfile=NONE\n",
            listeners()
        ),
    );
    for (name, script) in LISTENERS {
        fs::write(folder.path(&format!("{name}.py")), script).unwrap();
    }
    let world = World::in_folder(folder);
    let probe = Probe::begin(&world);
    world.start("dying");
    for _ in 0..BUFFER {
        world.start("busy");
        world.stop("busy");
    }
    probe.end("F06");
    let pools = until("dropped events to be counted", || {
        let answer = world.call("galaxyd.getListenerPools", "")?;
        let dropped = |name: &str| {
            let pool = answer.split(&format!("<string>{name}</string>")).nth(1)?;
            let number = pool.split("<name>dropped</name>").nth(1)?.split("<int>").nth(1)?;
            number.split('<').next()?.parse::<u64>().ok()
        };
        if dropped("mute") > Some(0) && dropped("slow") > Some(0) { Ok(answer.clone()) } else { Err(answer.clone()) }
    });
    assert!(pools.contains("dying"));
    until("the dying one to be started anew", || {
        let lives = world.log_lines(&["spawned: 'dying'"]).len();
        if lives > 2 { Ok(()) } else { Err(format!("{lives} starts")) }
    });
    let shown = world.ctl(&["status"]);
    assert!(shown.stderr.contains("mute: ") && shown.stderr.contains("events were dropped"), "{shown:?}");
    until("the dying one to be removed between two lives", || {
        let answer = world.call("supervisor.removeProcessGroup", &World::named("dying"))?;
        if answer.contains("faultCode") { Err(answer) } else { Ok(()) }
    });
    world.end();
}
