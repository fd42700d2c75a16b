//! galaxyctl under the name `supervisorctl` beside the original client, both driving the same original
//! daemon: standard output, standard error and exit code must be equal.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::disallowed_methods, reason = "tests start programs and wait for conditions")]

mod daemon;
#[path = "../fixture/notice.rs"]
mod notice;
mod outcome;
#[path = "../fixture/seat.rs"]
mod seat;
mod terminal;
mod unanswered;
#[path = "../fixture/venv.rs"]
mod venv;

use std::fs;

use daemon::{Daemon, Which};
use outcome::{Outcome, Whole};

/// Runs `line` with both clients, each after the same preparation, and compares.
fn same(daemon: &Daemon, prepare: &[&str], line: &str, whole: Whole) {
    let outcomes = [Which::Original, Which::Ours].map(|which| {
        for line in prepare {
            daemon.run(Which::Original, line, "");
        }
        Outcome::of(&daemon.run(which, line, ""), whole)
    });
    let [original, ours] = outcomes;
    assert_eq!(ours, original, "`{line}` (ours on the left) after {prepare:?}");
}

/// A daemon and both clients, or `None` with the reason printed: Python is not to be had.
fn daemon(extra: &str) -> Option<Daemon> {
    match venv::supervisor_venv() {
        Ok(venv) => Some(Daemon::start(&venv, extra)),
        Err(reason) => {
            notice::tell(&format!("could not run: no Supervisor 4.3.0 to compare with: {reason}"));
            None
        }
    }
}

#[test]
fn what_only_shows_is_the_same() {
    let Some(daemon) = daemon("") else { return };
    for line in [
        "status",
        "status all",
        "status galaxy:",
        "status galaxy:* cat",
        "status cat cat galaxy:web",
        "status galaxy:web",
        "status galaxy",
        "status nothing",
        "status nothing:",
        "status nothing cat galaxy:nothing nothing:*",
        "status galaxy:handler*",
        "pid",
        "pid all",
        "pid galaxy:web",
        "pid galaxy:web cat nothing",
        "pid cat",
        "pid galaxy:*",
        "pid nothing",
        "avail",
        "version",
        "maintail -0",
        "maintail -50",
        "maintail -9999999999999",
        "tail galaxy:handler0",
        "tail -5 galaxy:handler0",
        "tail -0 galaxy:handler0 stdout",
        "tail galaxy:handler0 STDERR",
        "tail --3 galaxy:handler0",
        "tail -+3 galaxy:handler0",
        "tail -1_0 galaxy:handler0",
        "tail nothing",
        "tail galaxy:*",
        "tail silent",
        "tail -x cat",
        "tail cat log",
        "tail cat 'log'",
        "tail -f",
        "tail -5",
        "maintail x",
        "maintail -x",
        "fg nothing",
        "fg cat",
        "fg a b",
        "fg galaxy:*",
        "open ftp://x",
        "open",
        "open unix:nonsense",
        "open HTTP://localhost",
        "nonsense",
        "nonsense with words",
        "!ls",
        "?",
        "help",
        "help nonsense",
        "help EOF",
        "quit",
        "exit now",
        "EOF",
        "-- status cat",
        "status;ls",
        "signal X galaxy:web",
        "signal HUP nothing",
        "signal HUP nothing:*",
        "signal HUP cat",
        "signal 0 cat galaxy:*",
        "signal WINCH all",
        "clear galaxy:web",
        "clear all",
        "start nothing",
        "start nothing:*",
        "start missing",
        "start unexecutable",
        "start galaxy:web",
        "start galaxy:*",
        "start crashing",
        "stop nothing",
        "stop nothing:",
        "stop cat",
        "stop cat:*",
        "restart nothing:*",
        "clear cat",
        "clear cat nothing galaxy:*",
        "clear galaxy:handler1 cat",
        "remove nothing",
        "remove galaxy",
        "add nothing",
        "add galaxy nothing",
        "add",
        "remove",
        "reread",
        "update",
        "update all",
        "update nothing",
        "update galaxy",
    ] {
        same(&daemon, &[], line, Whole::Everything);
    }
}

#[test]
fn mistakes_in_the_words_of_a_command_begin_with_the_same_line() {
    let Some(daemon) = daemon("") else { return };
    for line in [
        "start",
        "stop",
        "restart",
        "clear",
        "signal",
        "signal HUP",
        "tail",
        "tail a b c d",
        "maintail a b",
        "fg",
        "reread x",
        "avail x",
        "shutdown x",
        "reload x",
        "version x",
        "help start",
        "help tail",
        "help help",
        "help update",
    ] {
        same(&daemon, &[], line, Whole::FirstLine);
    }
}

#[test]
fn what_is_audited_says_the_same() {
    let Some(daemon) = daemon("") else { return };
    // The same state before each: what starts by itself runs, all else does not.
    let usual = ["add cat", "stop cat missing crashing short silent stubborn unexecutable", "start galaxy:*"];
    for line in [
        "stop galaxy:web",
        "stop galaxy:web cat",
        "stop galaxy:*",
        "start cat galaxy:web missing",
        "restart galaxy:",
        "restart cat galaxy:web nothing",
        "restart missing",
        "remove cat",
    ] {
        same(&daemon, &usual, line, Whole::AnyOrder);
    }
}

#[test]
fn changes_of_the_configuration_are_told_the_same() {
    let Some(daemon) = daemon("") else { return };
    // What only reads comes first in each step, and is run without a new beginning.
    let steps: &[(&str, &[&str], &[&str])] = &[
        ("[program:new]\ncommand=/bin/cat -u\nstartsecs=0\n", &["reread"], &["update"]),
        (
            "[program:a]\ncommand=/bin/cat\n[program:new]\ncommand=/bin/cat\n",
            &["reread", "update nothing"],
            &["update a"],
        ),
        ("[program:a]\ncommand=/bin/cat\n", &["avail", "add nothing"], &["add a", "update all"]),
        ("[program:bad]\n", &["reread", "update", "avail"], &[]),
        ("[program:bad]\ncommand=x\nuser=no-such-user\n", &["reread"], &[]),
    ];
    let begin = |included: &str| {
        daemon.include(
            "[program:gone]\ncommand=/bin/cat\nautostart=false\n[program:new]\ncommand=/bin/cat\nautostart=false\n",
        );
        daemon.run(Which::Original, "update", "");
        daemon.include(included);
        daemon.run(Which::Original, "reread", "");
    };
    for (included, reading, changing) in steps {
        begin(included);
        for line in *reading {
            same(&daemon, &[], line, Whole::Everything);
        }
        for line in *changing {
            let [original, ours] = [Which::Original, Which::Ours].map(|which| {
                begin(included);
                Outcome::of(&daemon.run(which, line, ""), Whole::AnyOrder)
            });
            assert_eq!(ours, original, "`{line}` (ours on the left) with {included:?}");
        }
    }
}

#[test]
fn a_prompt_that_is_no_terminal_reads_the_same() {
    let Some(daemon) = daemon("") else { return };
    for typed in [
        "",
        "\n\nhelp\nquit\nstatus\n",
        "pid cat\nnonsense\n  status galaxy:web  \n?\n",
        "shutdown\nno\nreload\n\nversion\n",
        "status cat",
        "exit\n",
        "open unix:///no/such/socket\nstatus\n",
    ] {
        let [original, ours] =
            [Which::Original, Which::Ours].map(|which| Outcome::of(&daemon.run(which, "", typed), Whole::Everything));
        assert_eq!(ours, original, "typed {typed:?} (ours on the left)");
        let [original, ours] = [Which::Original, Which::Ours]
            .map(|which| Outcome::of(&daemon.run(which, "-i shutdown", typed), Whole::Everything));
        assert_eq!(ours, original, "-i shutdown, typed {typed:?} (ours on the left)");
    }
}

#[test]
fn options_are_taken_and_refused_the_same() {
    let Some(daemon) = daemon("") else { return };
    let (bare, bad) = (daemon.path("bare.conf"), daemon.path("bad.conf"));
    fs::write(&bare, "[supervisord]\n").unwrap();
    fs::write(&bad, "nonsense\n").unwrap();
    let dead = daemon.path("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let socket = daemon.path("s.sock");
    for line in [
        "-x".to_owned(),
        "-v".to_owned(),
        "-s".to_owned(),
        "-s foo status".to_owned(),
        "-s foo:bar status".to_owned(),
        "-s http:// status".to_owned(),
        "-i -i".to_owned(),
        "-u a -u b".to_owned(),
        "--nonsense".to_owned(),
        "--serv".to_owned(),
        "--interactive=1".to_owned(),
        "--history-file=x status".to_owned(),
        "-c /no/such/file status".to_owned(),
        "-c / status".to_owned(),
        format!("-c {bare} status"),
        format!("-c {bad} status"),
        format!("-s unix://{socket} status cat"),
        format!("--serverurl=unix://{socket} -r {} pid cat", daemon.path("history")),
        format!("-s unix://{dead} status"),
        format!("-s unix://{dead} start cat"),
        format!("-s unix://{dead} shutdown"),
        format!("-s unix://{dead} reload"),
        format!("-s unix://{dead} avail"),
        "-s unix:///no/such/socket status".to_owned(),
        "-s unix:///no/such/socket stop cat".to_owned(),
        "-s unix:///no/such/socket shutdown".to_owned(),
        "-s unix:///no/such/socket reread".to_owned(),
        "-s unix:///no/such/socket update".to_owned(),
        "-s unix:///no/such/socket add cat".to_owned(),
        "-s http://localhost:1 status".to_owned(),
        "-s http://localhost:1 pid".to_owned(),
    ] {
        let run = |which| Outcome::of(&daemon.run(which, &line, ""), Whole::Everything);
        let (original, ours) = (run(Which::Original), run(Which::Ours));
        if line.contains("bad.conf") {
            // The original shows a Python traceback.
            assert_eq!(ours.exit, original.exit, "{line}");
        } else {
            assert_eq!(ours, original, "`{line}` (ours on the left)");
        }
    }
}

#[test]
fn a_daemon_that_wants_a_login_is_told_the_same() {
    let Some(daemon) = daemon("username=me\npassword=secret\n") else { return };
    for (line, typed) in [
        ("status cat", ""),
        ("-u me -p secret status cat", ""),
        ("-u me -p wrong status cat", ""),
        ("-u me status cat", ""),
        ("avail", ""),
        ("-u me -p secret pid galaxy:web", ""),
    ] {
        let [original, ours] =
            [Which::Original, Which::Ours].map(|which| Outcome::of(&daemon.run(which, line, typed), Whole::Everything));
        assert_eq!(ours, original, "`{line}` (ours on the left)");
    }
}

#[test]
fn streams_are_shown_until_ctrl_c() {
    let Some(daemon) = daemon("") else { return };
    for (line, shown) in [
        ("tail -f galaxy:handler0", "hello from 0\n"),
        ("maintail -f", "handler1 entered RUNNING state"),
        ("tail -f nothing", "unseen"),
    ] {
        let [original, ours] = [Which::Original, Which::Ours]
            .map(|which| Outcome::of(&daemon.interrupted(which, line, shown), Whole::Everything));
        // Ctrl-C meets the original in one of two places, and only one of them prints the empty line.
        assert_eq!(ours.out.trim_end(), original.out.trim_end(), "`{line}` (ours on the left)");
        assert_eq!(ours.exit, original.exit, "{line}");
        if original.err.contains("status code") {
            assert_eq!(ours.err, original.err, "{line}");
        } else {
            assert_eq!(ours.err, "", "{line}");
            assert!(ours.out.ends_with("\n\n"), "{ours:?}");
        }
    }
}

/// The original cannot be asked: at the end of its input it waits for its own threads, now and then for ever.
#[test]
fn fg_ends_with_the_input_or_the_process() {
    let Some(daemon) = daemon("") else { return };
    daemon.run(Which::Original, "start cat short", "");
    let ran = daemon.run(Which::Ours, "fg cat", "");
    assert_eq!(ran.stdout_text(), "==> Press Ctrl-C to exit <==\nExiting foreground\n");
    assert_eq!(ran.exit, Some(0));
    let typed = "more\n".repeat(1000);
    let ran = daemon.run(Which::Ours, "fg short", &typed);
    assert!(ran.stdout_text().ends_with("Process got killed\nExiting foreground\n"), "{ran:?}");
    assert_eq!(ran.exit, Some(0));
}

#[test]
fn a_daemon_on_its_way_out_is_told_the_same() {
    let Some(daemon) = daemon("") else { return };
    daemon.run(Which::Original, "start stubborn", "");
    let stubborn = daemon.run(Which::Original, "pid stubborn", "");
    daemon.run(Which::Original, "shutdown", "");
    for line in [
        "status",
        "pid",
        "start cat",
        "avail",
        "reread",
        "update",
        "add cat",
        "remove cat",
        "reload",
        "shutdown",
        "version",
        "tail cat",
        "fg cat",
    ] {
        same(&daemon, &[], line, Whole::Everything);
    }
    Daemon::kill(stubborn.stdout_text().trim());
}

/// Neither is in Supervisor, so there is nobody to compare with.
#[test]
fn quiet_prints_nothing_and_json_is_everywhere() {
    let Some(daemon) = daemon("") else { return };
    let configuration = daemon.path("s.conf");
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_galaxyctl"));
        command.args(["-c", &configuration]).args(words).output().unwrap()
    };
    for (words, code) in [
        (&["status", "galaxy:web"][..], 0),
        (&["status", "nothing"], 4),
        (&["pid", "nothing"], 1),
        (&["check"], 0),
        (&["check", "/no/such/file"], 2),
        (&["nonsense"], 1),
        (&["version"], 0),
        (&["man"], 0),
    ] {
        let output = run(&[&["--quiet"], words].concat());
        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{words:?}: {output:?}");
    }
    assert_eq!(run(&["--quiet"]).status.code(), Some(2));
    assert_eq!(run(&["--quiet", "--json", "status"]).status.code(), Some(2));
    // Those that change things are compared with the original elsewhere; here they fail, in JSON all the same.
    for words in [
        "add nothing",
        "avail",
        "check",
        "clear nothing",
        "completions bash",
        "config",
        "config --sample",
        "exit",
        "explain",
        "fg",
        "help",
        "help status",
        "maintail",
        "man",
        "man galaxyd",
        "migrate",
        "nonsense",
        "open",
        "pid",
        "pid all",
        "quit",
        "reread",
        "remove nothing",
        "restart nothing",
        "signal HUP nothing",
        "start nothing",
        "status",
        "stop nothing",
        "tail",
        "tail galaxy:web",
        "tail -f galaxy:web",
        "update nothing",
        "version",
    ] {
        let output = run(&[&["--json"], words.split(' ').collect::<Vec<_>>().as_slice()].concat());
        let document: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
        assert!(document.is_ok_and(|document| document.is_object()), "{words}: {output:?}");
    }
    let status: serde_json::Value = serde_json::from_slice(&run(&["--json", "status", "galaxy:web"]).stdout).unwrap();
    let time = status["processes"][0]["start_time"].as_str().unwrap();
    assert!(time.len() == 20 && time.contains('T') && time.ends_with('Z'), "{time}");
}
