//! `galaxyctl update` by process: only what must restart restarts, the rehearsal is true, and no death ends it halfway.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::household::{galaxyd, kill_worker, worker_of};
use crate::wait::until;

/// A program that runs until it is stopped, with these keys.
fn program(name: &str, keys: &str) -> String {
    let command = if keys.contains("command=") { "" } else { "command=/bin/cat\n" };
    format!("[program:{name}]\n{command}startsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n{keys}\n")
}

fn handlers(count: u32) -> String {
    program("handler", &format!("numprocs={count}\nprocess_name=handler%(process_num)d"))
}

fn json(daemon: &Daemon, words: &[&str]) -> Value {
    let outcome = daemon.ctl(&[words, &["--json"]].concat());
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

/// `galaxy:web` to (state, pid).
fn household_of(daemon: &Daemon) -> BTreeMap<String, (String, i64)> {
    let status = json(daemon, &["status"]);
    let processes = status["processes"].as_array().unwrap().iter();
    processes
        .map(|one| {
            let state = one["state"].as_str().unwrap().to_owned();
            (one["name"].as_str().unwrap().to_owned(), (state, one["pid"].as_i64().unwrap_or(0)))
        })
        .collect()
}

fn settled(daemon: &Daemon) -> BTreeMap<String, (String, i64)> {
    until("nothing to be under way", || {
        let all = household_of(daemon);
        let busy = all.values().any(|(state, _)| state == "STARTING" || state == "STOPPING");
        if busy { Err(format!("{all:?}")) } else { Ok(all) }
    })
}

#[test]
fn live_keys_and_numprocs_leave_the_running_children_alone() {
    let daemon = galaxyd("", &(program("web", "stopwaitsecs=5") + &handlers(2)));
    let before = settled(&daemon);
    let live = "stopwaitsecs=7\nautorestart=true\npriority=5\nstopsignal=INT\nexitcodes=0,3\nstartretries=9";
    daemon.rewrite(&(program("web", live) + &handlers(4)));
    let outcome = daemon.ctl(&["update"]);
    assert_eq!(
        outcome.stdout,
        "web: changed without a restart (priority, autorestart, startretries, exitcodes, stopsignal, stopwaitsecs)\n\
         web: updated process group\n\
         handler:handler2: added\nhandler:handler3: added\nhandler: updated process group\n",
        "{outcome:?}"
    );
    let grown = settled(&daemon);
    for name in ["web", "handler:handler0", "handler:handler1"] {
        assert_eq!(grown[name], before[name], "{name}");
    }
    assert_eq!(grown["handler:handler3"].0, "RUNNING");
    assert_eq!(daemon.ctl(&["reread"]).stdout, "No config updates to processes\n");
    daemon.rewrite(&(program("web", live) + &handlers(1)));
    let outcome = daemon.ctl(&["update"]);
    let expected = "handler:handler1: removed\nhandler:handler2: removed\nhandler:handler3: removed\n\
                    handler: updated process group\n";
    assert_eq!((outcome.stdout.as_str(), outcome.code), (expected, Some(0)), "{outcome:?}");
    let shrunk = settled(&daemon);
    assert_eq!(shrunk.keys().collect::<Vec<_>>(), ["handler:handler0", "web"]);
    assert_eq!(shrunk["handler:handler0"], before["handler:handler0"]);
    assert_eq!(daemon.ctl(&["update"]).stdout, "");
}

#[test]
fn exactly_the_changed_members_of_a_group_restart_and_a_manual_one_runs_on() {
    let group = |a: &str, b: &str, c: &str| {
        program("a", a) + &program("b", b) + &program("c", c) + "[group:g]\nprograms=a,b,c\n"
    };
    let daemon = galaxyd("", &group("", "", "autostart=false"));
    assert_eq!(daemon.ctl(&["start", "g:c"]).code, Some(0));
    let before = settled(&daemon);
    daemon.rewrite(&group("", "environment=A=\"2\"", "autostart=false\nstopwaitsecs=3\ndirectory=/"));
    let outcome = daemon.ctl(&["update"]);
    assert_eq!(
        outcome.stdout,
        "g:b: restarted (environment.A)\ng:c: restarted (directory, stopwaitsecs)\ng: updated process group\n"
    );
    let after = settled(&daemon);
    assert_eq!(after["g:a"], before["g:a"]);
    for changed in ["g:b", "g:c"] {
        assert_eq!(after[changed].0, "RUNNING", "autostart=false does not matter to one that ran");
        assert_ne!(after[changed].1, before[changed].1);
    }
    assert_eq!(daemon.ctl(&["stop", "g:a"]).code, Some(0));
    daemon.rewrite(&group("umask=077", "environment=A=\"2\"", "autostart=false\nstopwaitsecs=3\ndirectory=/"));
    let outcome = daemon.ctl(&["update"]);
    assert_eq!(outcome.stdout, "g:a: changed for its next start (umask)\ng: updated process group\n");
    assert_eq!(household_of(&daemon)["g:a"].0, "STOPPED", "who stopped it wants it stopped");
}

#[test]
fn a_log_moves_to_another_file_while_its_program_writes_on() {
    let talker = |file: &str| {
        format!(
            "[program:talker]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/{file}\nstderr_logfile=NONE\n"
        )
    };
    let daemon = galaxyd("", &talker("old.log"));
    let pid = settled(&daemon)["talker"].1;
    let say = |text: &str| {
        let params = format!("<param><value>talker</value></param><param><value>{text}\n</value></param>");
        daemon.call("supervisor.sendProcessStdin", &params).unwrap();
    };
    say("before");
    daemon.wait_text("old.log", "before");
    daemon.rewrite(&talker("new.log"));
    assert!(daemon.ctl(&["update"]).stdout.contains("changed without a restart (stdout_logfile)"));
    say("after");
    daemon.wait_text("new.log", "after");
    assert_eq!(daemon.text("old.log"), "before\n");
    assert_eq!(settled(&daemon)["talker"].1, pid);
    assert_eq!(daemon.ctl(&["tail", "talker"]).stdout.trim_end(), "after");
    assert_eq!(daemon.ctl(&["stop", "talker"]).code, Some(0));
}

#[test]
fn a_rehearsal_shows_each_key_hides_secrets_and_touches_nothing() {
    let old = program("web", "environment=PORT=\"1\",DB_PASSWORD=\"old\"\nstopwaitsecs=5");
    let daemon = galaxyd("", &old);
    let before = settled(&daemon);
    daemon
        .rewrite(&(program("web", "environment=PORT=\"2\",DB_PASSWORD=\"new\"\nstopwaitsecs=6") + &program("new", "")));
    let outcome = daemon.ctl(&["update", "--dry-run"]);
    assert_eq!(
        outcome.stdout,
        "new: add process group\n  new: add\n\
         web: update process group\n  web: restart\n\
         \x20     stopwaitsecs: 5 -> 6 (live)\n\
         \x20     environment.PORT: 1 -> 2 (restart)\n\
         \x20     environment.DB_PASSWORD: (hidden) -> (hidden) (restart)\n"
    );
    assert_eq!(settled(&daemon), before);
    assert_eq!(daemon.ctl(&["avail"]).stdout.lines().count(), 1, "not even what reread would change");
    daemon.rewrite("[program:web]\ncommand=/bin/cat\nstartsecs=soon\n");
    for words in [&["update"][..], &["update", "--dry-run"], &["apply", "web"]] {
        let outcome = daemon.ctl(words);
        assert!(outcome.stdout.contains("soon") && outcome.code == Some(1), "{outcome:?}");
        assert_eq!(settled(&daemon), before);
    }
}

#[test]
fn apply_restarts_one_program_under_the_file_and_restart_tells_of_it() {
    let daemon = galaxyd("", &(program("a", "") + &program("b", "")));
    let before = settled(&daemon);
    daemon.rewrite(&(program("a", "umask=077") + &program("b", "umask=077")));
    let outcome = daemon.ctl(&["restart", "a"]);
    assert_eq!(outcome.stdout, "a: stopped\na: started\n");
    assert!(outcome.stderr.contains("something else by now for a (umask)"), "{outcome:?}");
    let outcome = daemon.ctl(&["apply", "a"]);
    assert_eq!(outcome.stdout, "a: restarted (umask)\na: updated process group\n", "{outcome:?}");
    let after = settled(&daemon);
    assert_eq!(after["b"], before["b"]);
    assert_eq!(daemon.ctl(&["restart", "a"]).stderr, "");
    assert_eq!(daemon.ctl(&["apply", "b"]).stdout, "b: restarted (umask)\nb: updated process group\n");
    assert_eq!(daemon.ctl(&["apply", "b"]).stdout, "b: restarted\nb: updated process group\n");
    assert_eq!(daemon.ctl(&["apply", "nobody"]).code, Some(1));
}

#[test]
fn an_ordered_stop_waits_between_priorities_and_patterns_choose() {
    let slow = |name: &str, priority: u32| {
        program(
            name,
            &format!(
                "command=/bin/sh -c 'trap \"date +%%s%%N > %(here)s/{name}.end; exit 0\" TERM; : > %(here)s/{name}.up; while :; do sleep 0.05; done'\npriority={priority}"
            ),
        )
    };
    let daemon = galaxyd("", &(slow("low", 1) + &slow("mid", 2) + &slow("high", 3)));
    for name in ["low", "mid", "high"] {
        until("its trap", || if daemon.path(&format!("{name}.up")).exists() { Ok(()) } else { Err("none".to_owned()) });
    }
    let outcome = daemon.ctl(&["stop", "--ordered", "all", "--exclude", "mi*"]);
    assert_eq!(outcome.stdout, "high: stopped\nlow: stopped\n", "{outcome:?}");
    let ended = |name: &str| daemon.text(&format!("{name}.end")).trim().parse::<u128>().unwrap();
    assert!(ended("high") < ended("low"));
    assert_eq!(daemon.ctl(&["status", "*:*", "--exclude", "low", "--exclude=high"]).stdout.lines().count(), 1);
    let nothing = daemon.ctl(&["stop", "zz*"]);
    assert_eq!((nothing.stdout.as_str(), nothing.code), ("zz*: ERROR (no such process)\n", Some(1)));
    assert_eq!(daemon.ctl(&["status", "zz*"]).code, Some(4));
}

#[test]
fn an_ordered_stop_goes_on_when_the_worker_is_killed() {
    let slow = |name: &str, priority: u32| {
        program(
            name,
            &format!(
                "command=/bin/sh -c 'trap \"while [ ! -e %(here)s/go ]; do sleep 0.05; done; date +%%s%%N > %(here)s/{name}.end; exit 0\" \
                 TERM; : > %(here)s/{name}.up; while :; do sleep 0.05; done'\npriority={priority}\nstopwaitsecs=600"
            ),
        )
    };
    let daemon = galaxyd("", &(slow("low", 1) + &slow("mid", 2) + &slow("high", 3) + &program("other", "priority=2")));
    for name in ["low", "mid", "high"] {
        until("its trap", || if daemon.path(&format!("{name}.up")).exists() { Ok(()) } else { Err("none".to_owned()) });
    }
    std::thread::scope(|scope| {
        // Who asks loses the connection; what it asked for goes on.
        scope.spawn(|| daemon.ctl(&["stop", "--ordered", "low", "mid", "high"]));
        daemon.wait_state("high", "STOPPING");
        kill_worker(&daemon, daemon.pid());
    });
    daemon.wait_text("main.log", "the ordered stop goes on that was under way, of low mid high");
    std::fs::write(daemon.path("go"), "").unwrap();
    for name in ["high", "mid", "low"] {
        daemon.wait_state(name, "STOPPED");
    }
    let ended = |name: &str| daemon.text(&format!("{name}.end")).trim().parse::<u128>().unwrap();
    assert!(ended("high") < ended("mid") && ended("mid") < ended("low"));
    daemon.wait_state("other", "RUNNING");
}

#[test]
fn a_socket_that_cannot_be_made_refuses_the_update_before_anything_is_stopped() {
    let pool = "[fcgi-program:f]\ncommand=/bin/sleep 1000\nsocket=unix://%(here)s/no/f.sock\nstartsecs=0\n";
    let daemon = galaxyd("", &program("web", ""));
    let before = settled(&daemon);
    daemon.rewrite(&(program("web", "umask=077") + pool));
    let outcome = daemon.ctl(&["update"]);
    assert!(outcome.stdout.contains("Could not create FastCGI socket unix://"), "{outcome:?}");
    assert_eq!((outcome.code, settled(&daemon)), (Some(1), before));
    std::fs::create_dir(daemon.path("no")).unwrap();
    let outcome = daemon.ctl(&["update"]);
    assert!(outcome.stdout.contains("f: added process group\n"), "{outcome:?}");
    daemon.rewrite(&(program("web", "umask=077") + pool + "numprocs=2\nprocess_name=f%(process_num)d\n"));
    assert_eq!(daemon.ctl(&["update"]).code, Some(0), "its own socket is in use and is not tested");
    for name in ["f:f0", "f:f1"] {
        daemon.wait_state(name, "RUNNING");
    }
}

#[test]
fn what_a_pools_open_socket_cannot_be_given_waits_for_reload_and_is_told() {
    let pool = |keys: &str| {
        format!(
            "[fcgi-program:f]\ncommand=/bin/sleep 1000\nsocket=unix://%(here)s/f.sock\nsocket_mode=06{keys}\nstartsecs=0\n"
        )
    };
    let daemon = galaxyd("", &pool("00"));
    let before = settled(&daemon);
    let mode = || {
        let metadata = std::fs::metadata(daemon.path("f.sock")).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
    };
    daemon.rewrite(&pool("60\nstopwaitsecs=7"));
    let outcome = daemon.ctl(&["update", "--dry-run"]);
    assert!(outcome.stdout.contains("socket_mode: 0600 -> 0660 (reload)\n"), "{outcome:?}");
    let outcome = daemon.ctl(&["update"]);
    assert!(outcome.stdout.contains("f: socket_mode waits for reload\n"), "{outcome:?}");
    assert_eq!((outcome.code, settled(&daemon), mode()), (Some(0), before.clone(), 0o600));
    // It is not forgotten with the update that could not do it, and nothing else is left to do.
    let outcome = daemon.ctl(&["update", "--dry-run"]);
    assert_eq!(outcome.stdout, "f: no change before reload\n      socket_mode: 0600 -> 0660 (reload)\n");
    assert_eq!(daemon.ctl(&["update"]).stdout, "f: socket_mode waits for reload\n");
    assert_eq!(settled(&daemon), before);
    assert_eq!(daemon.ctl(&["reload"]).code, Some(0));
    crate::wait::until("the new mode", || if mode() == 0o660 { Ok(()) } else { Err(format!("{:o}", mode())) });
    daemon.wait_state("f", "RUNNING");
    assert_eq!(daemon.ctl(&["update", "--dry-run"]).stdout, "No config updates to processes\n");
}

#[test]
fn a_replaced_group_is_made_anew_and_its_events_are_heard_again() {
    let listener = |keys: &str| {
        format!(
            "[eventlistener:ear]\ncommand=/bin/sh -c 'printf READY\\\\n; while read -r line; do printf x >> %(here)s/heard; done'\n\
             startsecs=0\n{keys}\n"
        )
    };
    let daemon = galaxyd("", &(program("web", "") + &listener("events=TICK_60")));
    let before = settled(&daemon);
    daemon.rewrite(&(program("web", "") + &listener("events=TICK_60\nbuffer_size=3")));
    let outcome = daemon.ctl(&["update"]);
    assert_eq!((outcome.stdout.as_str(), settled(&daemon)), ("ear: updated process group\n", before.clone()));
    let pools = json(&daemon, &["status"]);
    assert_eq!(pools["listener_pools"][0]["buffer_size"], 3, "{pools:#}");
    daemon.rewrite(&(program("web", "") + &listener("events=PROCESS_STATE\nbuffer_size=4")));
    let outcome = daemon.ctl(&["update"]);
    assert_eq!(outcome.stdout, "ear: stopped\near: updated process group\n", "{outcome:?}");
    let after = settled(&daemon);
    assert_eq!((after["ear"].0.as_str(), after["ear"].1 != before["ear"].1), ("RUNNING", true));
    assert_eq!(after["web"], before["web"]);
    assert_eq!(json(&daemon, &["status"])["listener_pools"][0]["buffer_size"], 4);
    assert_eq!(daemon.ctl(&["restart", "web"]).code, Some(0));
    until("the new pool to hear", || if daemon.path("heard").exists() { Ok(()) } else { Err("nothing".to_owned()) });
    assert_eq!(daemon.ctl(&["update"]).stdout, "");
}

#[test]
fn the_environments_own_keys_restart_and_killtree_does_not() {
    let daemon = galaxyd("", &program("web", ""));
    let mut pid = settled(&daemon)["web"].1;
    let mut keys = String::new();
    std::fs::write(daemon.path("web.env"), "A=1\n").unwrap();
    for (key, value, restarts) in [
        ("killtree", "true", false),
        ("user_environment", "true", true),
        ("environment_file", "%(here)s/web.env", true),
        ("clear_environment", "true", true),
    ] {
        for part in [key, "=", value, "\n"] {
            keys.push_str(part);
        }
        daemon.rewrite(&program("web", &keys));
        let outcome = daemon.ctl(&["update"]);
        assert!(outcome.stdout.contains(&format!("({key})")), "{outcome:?}");
        let now = settled(&daemon)["web"].clone();
        assert_eq!((now.0.as_str(), now.1 != pid), ("RUNNING", restarts), "{key}");
        pid = now.1;
    }
}

/// Chance from one seed: splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z ^ (z >> 27)) % end
    }
}

fn random_configuration(dice: &mut Dice) -> String {
    let mut text = String::new();
    let mut grouped = Vec::new();
    for name in ["a", "b", "c", "d"] {
        if dice.below(5) == 0 {
            continue;
        }
        let mut keys = format!("numprocs={}\nprocess_name={name}%(process_num)d\n", 1 + dice.below(3));
        for (key, values) in [
            ("umask", ["022", "077"]),
            ("environment", ["A=\"1\"", "A=\"2\""]),
            ("stopwaitsecs", ["5", "6"]),
            ("autorestart", ["true", "false"]),
            ("autostart", ["true", "false"]),
            ("priority", ["1", "2"]),
        ] {
            if dice.below(2) == 0 {
                let value = values[usize::try_from(dice.below(2)).unwrap()];
                for part in [key, "=", value, "\n"] {
                    keys.push_str(part);
                }
            }
        }
        text += &program(name, &keys);
        if dice.below(2) == 0 {
            grouped.push(name);
        }
    }
    for name in ["e", "f"] {
        let events = ["TICK_60", "TICK_3600"][usize::try_from(dice.below(2)).unwrap()];
        let (size, count) = (1 + dice.below(2), 1 + dice.below(2));
        let autostart = dice.below(2) == 0;
        let keys = format!(
            "events={events}\nbuffer_size={size}\nnumprocs={count}\nprocess_name={name}%(process_num)d\nautostart={autostart}\n"
        );
        text += &program(name, &keys).replace("[program:", "[eventlistener:");
    }
    if !grouped.is_empty() {
        let group = format!("[group:g]\nprograms={}\npriority={}\n", grouped.join(","), dice.below(3));
        text.push_str(&group);
    }
    text
}

#[test]
fn what_a_rehearsal_says_is_what_an_update_does() {
    let seed = std::env::var("GALAXYD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one("update"));
    let mut dice = Dice(seed);
    let daemon = galaxyd("", &random_configuration(&mut dice));
    for round in 0..12 {
        match dice.below(4) {
            0 => drop(daemon.ctl(&["start", "all"])),
            1 => drop(daemon.ctl(&["stop", "all"])),
            _ => {}
        }
        let before = settled(&daemon);
        daemon.rewrite(&random_configuration(&mut dice));
        let rehearsed = json(&daemon, &["update", "--dry-run"]);
        assert_eq!(settled(&daemon), before);
        let done = json(&daemon, &["update"]);
        let story = format!("seed {seed}, round {round}: {rehearsed:#} {done:#}");
        assert_eq!(rehearsed["changes"], done["changes"], "{story}");
        let after = settled(&daemon);
        let mut named = BTreeMap::new();
        for group in done["changes"].as_array().unwrap() {
            for process in group["processes"].as_array().unwrap() {
                named.insert(process["name"].as_str().unwrap().to_owned(), process["consequence"].as_str().unwrap());
            }
        }
        for name in before.keys().chain(after.keys()) {
            let (old, new) = (before.get(name), after.get(name));
            let kept = match named.get(name).copied() {
                None | Some("live" | "next start") => old == new,
                Some("restart") => old.is_some_and(|old| new.is_some_and(|new| new.0 == "RUNNING" && new.1 != old.1)),
                Some("start") => old.is_some() && new.is_some_and(|new| new.0 == "RUNNING"),
                Some("add") => old.is_none() && new.is_some(),
                Some("remove") => old.is_some() && new.is_none(),
                Some(other) => panic!("{other}: {story}"),
            };
            assert!(kept, "{name}: {old:?}, then {new:?}; {story}");
        }
        assert_eq!(daemon.ctl(&["reread"]).stdout, "No config updates to processes\n", "{story}");
    }
}

/// Does not stop before the file `go` is there.
const SLOW: &str = "command=/bin/sh -c 'trap \"while [ ! -e %(here)s/go ]; do sleep 0.02; done; exit 0\" TERM; : > %(here)s/%(program_name)s.up; while :; do sleep 0.02; done'\nstopwaitsecs=600";

fn wait_trapped(daemon: &Daemon, name: &str) {
    until("its trap", || if daemon.path(&format!("{name}.up")).exists() { Ok(()) } else { Err("none".to_owned()) });
}

/// An update that is told nothing of a group does not forget what an earlier one has to do with it.
#[test]
fn an_update_of_one_group_leaves_that_of_another_to_go_on() {
    let ear = |events: &str| format!("[eventlistener:ear]\nstartsecs=0\nautostart=false\n{SLOW}\nevents={events}\n");
    let daemon = galaxyd("", &(program("web", "") + &program("gone", SLOW) + &ear("TICK_60")));
    assert_eq!(daemon.ctl(&["start", "ear"]).code, Some(0));
    wait_trapped(&daemon, "ear");
    wait_trapped(&daemon, "gone");
    daemon.rewrite(&(program("web", "priority=5") + &program("new", "") + &ear("TICK_5")));
    let mut first = daemon.ctl_follow(&["update", "ear", "gone", "new"], "first.out", std::process::Stdio::null());
    daemon.wait_state("ear", "STOPPING");
    daemon.wait_state("gone", "STOPPING");
    let outcome = daemon.ctl(&["update", "web"]);
    assert_eq!(
        outcome.stdout, "web: changed without a restart (priority)\nweb: updated process group\n",
        "{outcome:?}"
    );
    std::fs::write(daemon.path("go"), "").unwrap();
    until("both updates to end", || {
        let all = household_of(&daemon);
        let names: Vec<&String> = all.keys().collect();
        let done = names == ["ear", "new", "web"] && all.values().all(|(state, _)| state == "RUNNING");
        if done { Ok(()) } else { Err(format!("{all:?}")) }
    });
    assert!(first.wait().unwrap().success());
    assert_eq!(daemon.ctl(&["update"]).stdout, "");
}

/// The file is put back as it was while an update still waits for what it removes.
#[test]
fn what_is_wanted_back_before_it_is_gone_comes_back() {
    let ear = |events: &str| format!("[eventlistener:ear]\nstartsecs=0\n{SLOW}\nevents={events}\n");
    let team = |count: u32| program("team", &format!("{SLOW}\nnumprocs={count}\nprocess_name=team%(process_num)d"));
    let before = program("gone", SLOW) + &team(2) + &ear("TICK_60");
    let daemon = galaxyd("", &before);
    for name in ["gone", "team", "ear"] {
        wait_trapped(&daemon, name);
    }
    let old = settled(&daemon);
    daemon.rewrite(&(team(1) + &ear("TICK_5")));
    let mut first = daemon.ctl_follow(&["update"], "first.out", std::process::Stdio::null());
    for name in ["gone", "team:team1", "ear"] {
        daemon.wait_state(name, "STOPPING");
    }
    daemon.rewrite(&before);
    let mut second = daemon.ctl_follow(&["update"], "second.out", std::process::Stdio::null());
    until("the second update to be taken in", || {
        let lines = daemon.log_lines(&["update: group 'gone'"]);
        if lines.len() == 2 { Ok(()) } else { Err(format!("{lines:?}")) }
    });
    std::fs::write(daemon.path("go"), "").unwrap();
    let after = until("everything to be back", || {
        let all = household_of(&daemon);
        let done = all.keys().eq(old.keys())
            && all.iter().all(|(name, one)| one.0 == "RUNNING" && (name == "team:team0" || one.1 != old[name].1));
        if done { Ok(all) } else { Err(format!("{all:?}")) }
    });
    assert_eq!(after["team:team0"], old["team:team0"]);
    for client in [&mut first, &mut second] {
        assert!(client.wait().unwrap().success());
    }
    assert_eq!(daemon.ctl(&["update"]).stdout, "");
}

#[test]
fn a_worker_killed_in_the_middle_of_an_update_has_a_successor_that_ends_it() {
    let daemon = galaxyd("", &(program("changed", SLOW) + &program("gone", SLOW) + &program("kept", "")));
    for name in ["changed", "gone"] {
        wait_trapped(&daemon, name);
    }
    let before = settled(&daemon);
    daemon.rewrite(&(program("changed", "umask=077") + &program("kept", "stopwaitsecs=4") + &program("new", "")));
    let update = daemon.ctl_follow(&["update"], "update.out", std::process::Stdio::null());
    for name in ["changed", "gone"] {
        daemon.wait_state(name, "STOPPING");
    }
    assert!(!household_of(&daemon).contains_key("new"), "what is added waits for what is removed");
    let keeper = daemon.pid();
    for _ in 0..3 {
        let old = worker_of(keeper);
        kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
        until("a successor", || {
            if worker_of(keeper) == old {
                return Err("the old worker".to_owned());
            }
            daemon.call("supervisor.getState", "").map(drop)
        });
    }
    drop(update);
    std::fs::write(daemon.path("go"), "").unwrap();
    let after = until("the update to end", || {
        let all = household_of(&daemon);
        let names: Vec<&String> = all.keys().collect();
        let done = names == ["changed", "kept", "new"] && all.values().all(|(state, _)| state == "RUNNING");
        if done { Ok(all.clone()) } else { Err(format!("{all:?}")) }
    });
    assert_ne!(after["changed"].1, before["changed"].1);
    assert_eq!(after["kept"], before["kept"]);
    assert_eq!(daemon.ctl(&["update"]).stdout, "");
}
