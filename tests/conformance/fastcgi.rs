//! `FastCGI` programs: a socket that the daemon makes, their processes share, and the last of them closes.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{Pid, geteuid};
use serde_json::json;

use crate::daemon::Daemon;
use crate::notice::tell;
use crate::subject::{Side, Subject};
use crate::transcript::Transcript;
use crate::wait::{until, until_true};

daemons![
    a_unix_socket_is_standard_input_and_closed_after_the_last_exit,
    a_tcp_socket_is_standard_input,
    two_processes_share_a_socket,
    owner_and_mode_are_the_accounts_or_the_configured_ones,
    the_backlog_is_the_configured_one,
    a_crash_of_the_only_process_makes_a_new_socket,
    a_start_that_fails_closes_the_socket,
    a_program_that_is_none_closes_the_socket,
    groups_of_fastcgi_programs_are_added_changed_and_removed,
    a_socket_that_cannot_be_made_refuses_the_start,
];

ours_alone![
    members_of_groups_have_their_socket,
    groups_that_list_the_same_program_share_its_socket,
    what_is_no_socket_is_kept_and_said,
    an_add_whose_socket_cannot_be_made_says_why,
    a_start_whose_socket_cannot_be_made_is_tried_again,
    mistakes_in_the_socket_of_a_member_are_warnings,
];

/// Answers each connection to its standard input with its pid and ends it.
const ANSWER: &str = "\
import os, socket
s = socket.socket(fileno=0)
while True:
    c, _ = s.accept()
    c.sendall(b'%d' % os.getpid())
    c.close()
";

/// A folder with the stand-in, and the command that runs it in the place of `ANSWER`.
fn folder(subject: Subject, sections: &str) -> Daemon {
    let command = format!("{} %(here)s/answer.py", Side::Original.bin().join("python").display());
    let daemon = Daemon::folder(subject, &sections.replace("ANSWER", &command));
    fs::write(daemon.path("answer.py"), ANSWER).unwrap();
    daemon
}

fn start(subject: Subject, sections: &str) -> Daemon {
    let mut daemon = folder(subject, sections);
    daemon.run();
    daemon
}

/// The pid of the process that answers at the socket.
fn asked(daemon: &Daemon, name: &str) -> i32 {
    answer(UnixStream::connect(daemon.path(name)).unwrap())
}

fn answer(mut stream: impl Read) -> i32 {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.parse().unwrap()
}

fn is_refused(daemon: &Daemon, name: &str) -> bool {
    UnixStream::connect(daemon.path(name)).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

const SOCKET_LINES: [&str; 5] = ["socket", "spawned", "exited: ", "stopped: ", "spawnerr"];

fn a_unix_socket_is_standard_input_and_closed_after_the_last_exit(subject: Subject) {
    let daemon = start(subject, "[fcgi-program:f]\ncommand=ANSWER\nsocket=unix://%(here)s/f.sock\nstartsecs=0\n");
    daemon.wait_running(&["f"]);
    let mut transcript = Transcript::of(&daemon);
    let pid = daemon.process_pid("f");
    assert_eq!(asked(&daemon, "f.sock"), pid);
    let input = fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert!(input.to_str().unwrap().starts_with("socket:"), "{}", input.display());
    transcript
        .rpc(&daemon, json!([["supervisor.sendProcessStdin", ["f", "text"]], ["supervisor.getAllConfigInfo", []]]));
    transcript.ctl(&daemon, &["stop", "f"]);
    until_true("the socket to be closed", || is_refused(&daemon, "f.sock"));
    assert!(fs::symlink_metadata(daemon.path("f.sock")).unwrap().file_type().is_socket(), "the file stays");
    transcript.ctl(&daemon, &["start", "f"]);
    assert_eq!(asked(&daemon, "f.sock"), daemon.process_pid("f"));
    transcript.ctl(&daemon, &["stop", "f"]).log(&daemon, &SOCKET_LINES).check("fastcgi_unix");
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn a_tcp_socket_is_standard_input(subject: Subject) {
    let port = free_port();
    let daemon = start(
        subject,
        &format!("[fcgi-program:f]\ncommand=ANSWER\nsocket=tcp://LocalHost:{port}\nsocket_backlog=7\nstartsecs=0\n"),
    );
    daemon.wait_running(&["f"]);
    assert_eq!(answer(TcpStream::connect(("127.0.0.1", port)).unwrap()), daemon.process_pid("f"));
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["stop", "f"]);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let lines = daemon.log_lines(&SOCKET_LINES).join("\n").replace(&port.to_string(), "PORT");
    transcript.note(lines).check("fastcgi_tcp");
}

fn two_processes_share_a_socket(subject: Subject) {
    let daemon = start(
        subject,
        "[fcgi-program:f]\ncommand=ANSWER\nsocket=unix://%(here)s/f.sock\nstartsecs=0\nnumprocs=2\n\
         process_name=f%(process_num)d\n",
    );
    daemon.wait_running(&["f:f0", "f:f1"]);
    let pids = ["f:f0", "f:f1"].map(|name| daemon.process_pid(name));
    let inodes = pids.map(|pid| fs::read_link(format!("/proc/{pid}/fd/0")).unwrap());
    assert_eq!(inodes[0], inodes[1]);
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["stop", "f:f0"]);
    // The other one goes on, with the same socket, and so does the first when it comes back.
    for _ in 0..3 {
        assert_eq!(asked(&daemon, "f.sock"), pids[1]);
    }
    transcript.ctl(&daemon, &["start", "f:f0"]);
    let back = fs::read_link(format!("/proc/{}/fd/0", daemon.process_pid("f:f0"))).unwrap();
    assert_eq!(back, inodes[0]);
    transcript.ctl(&daemon, &["stop", "f:f0"]).ctl(&daemon, &["stop", "f:f1"]);
    until_true("the socket to be closed", || is_refused(&daemon, "f.sock"));
    transcript.log(&daemon, &["socket"]).check("fastcgi_shared");
}

fn owner_and_mode_are_the_accounts_or_the_configured_ones(subject: Subject) {
    if !geteuid().is_root() {
        tell("could not run: only root can give sockets away");
        return;
    }
    let keys = [
        ("plain", ""),
        ("mode", "socket_mode=0666\n"),
        ("account", "user=nobody\n"),
        ("owner", "socket_owner=daemon\nsocket_mode=0620\n"),
        ("both", "user=nobody\nsocket_owner=daemon:sys\n"),
    ];
    let mut sections = String::new();
    for (name, keys) in keys {
        let section = "command=/bin/sleep 1000\nstartsecs=0";
        writeln!(sections, "[fcgi-program:{name}]\n{section}\nsocket=unix://%(here)s/{name}.sock\n{keys}").unwrap();
    }
    let mut daemon = folder(subject, &sections);
    fs::set_permissions(daemon.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    daemon.run();
    let mut transcript = Transcript::of(&daemon);
    for (name, _) in keys {
        daemon.wait_state(name, "RUNNING");
        let status = fs::symlink_metadata(daemon.path(&format!("{name}.sock"))).unwrap();
        transcript.note(format!("{name} {:o} {}:{}", status.mode(), status.uid(), status.gid()));
    }
    transcript.check("fastcgi_owner_and_mode");
}

fn the_backlog_is_the_configured_one(subject: Subject) {
    let daemon = start(
        subject,
        "[fcgi-program:f]\ncommand=/bin/sleep 1000\nsocket=unix://%(here)s/f.sock\nsocket_backlog=3\nstartsecs=0\n",
    );
    daemon.wait_running(&["f"]);
    let address = UnixAddr::new(&daemon.path("f.sock")).unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).unwrap();
        if connect(std::os::fd::AsRawFd::as_raw_fd(&client), &address).is_err() {
            break;
        }
        waiting.push(client);
    }
    Transcript::of(&daemon).note(format!("{} wait", waiting.len())).check("fastcgi_backlog");
}

fn a_crash_of_the_only_process_makes_a_new_socket(subject: Subject) {
    let daemon = start(subject, "[fcgi-program:f]\ncommand=ANSWER\nsocket=unix://%(here)s/f.sock\nstartsecs=0\n");
    daemon.wait_running(&["f"]);
    let pid = daemon.process_pid("f");
    assert_eq!(asked(&daemon, "f.sock"), pid);
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until("another process", || match daemon.info("f", "pid")?.parse::<i32>() {
        Ok(next) if next > 0 && next != pid => Ok(()),
        other => Err(format!("{other:?}")),
    });
    daemon.wait_running(&["f"]);
    assert_eq!(asked(&daemon, "f.sock"), daemon.process_pid("f"));
    Transcript::of(&daemon).log(&daemon, &SOCKET_LINES).check("fastcgi_crash");
}

fn a_start_that_fails_closes_the_socket(subject: Subject) {
    let daemon = start(
        subject,
        "[fcgi-program:f]\ncommand=/nonexistent\nsocket=unix://%(here)s/f.sock\nstartretries=0\n\
         [fcgi-program:g]\ncommand=/nonexistent\nsocket=unix://%(here)s/g.sock\nautostart=false\n",
    );
    daemon.wait_state("f", "FATAL");
    Transcript::of(&daemon).log(&daemon, &["socket", "spawn"]).ctl(&daemon, &["start", "g"]).check("fastcgi_failed");
}

fn a_program_that_is_none_closes_the_socket(subject: Subject) {
    let mut daemon =
        folder(subject, "[fcgi-program:f]\ncommand=%(here)s/none\nsocket=unix://%(here)s/f.sock\nstartretries=0\n");
    fs::write(daemon.path("none"), "\u{1}").unwrap();
    fs::set_permissions(daemon.path("none"), fs::Permissions::from_mode(0o755)).unwrap();
    daemon.run();
    daemon.wait_state("f", "FATAL");
    until_true("the socket to be closed", || is_refused(&daemon, "f.sock"));
    Transcript::of(&daemon).log(&daemon, &["socket", "spawned", "exited"]).check("fastcgi_none");
}

fn groups_of_fastcgi_programs_are_added_changed_and_removed(subject: Subject) {
    let section = |socket: &str, keys: &str| {
        format!("[fcgi-program:f]\ncommand=/bin/sleep 1000\nsocket=unix://%(here)s/{socket}.sock\nstartsecs=0\n{keys}")
    };
    let daemon = start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
    let mut transcript = Transcript::of(&daemon);
    let mut change = |sections: &str, words: &[&[&str]]| {
        daemon.rewrite(sections);
        for words in words {
            transcript.ctl(&daemon, words);
        }
    };
    let both = format!("[program:p]\ncommand=/bin/cat\nstartsecs=0\n{}", section("one", ""));
    change(&both, &[&["reread"], &["add", "f"], &["status", "p"]]);
    daemon.wait_running(&["f"]);
    UnixStream::connect(daemon.path("one.sock")).unwrap();
    // Mode and backlog are no change, the address is one.
    change(&section("one", "socket_mode=0777\nsocket_backlog=9\n"), &[&["reread"]]);
    change(&section("two", ""), &[&["reread"], &["update"]]);
    daemon.wait_running(&["f"]);
    UnixStream::connect(daemon.path("two.sock")).unwrap();
    assert!(is_refused(&daemon, "one.sock"));
    change("", &[&["update"], &["avail"]]);
    assert!(is_refused(&daemon, "two.sock"));
    transcript.log(&daemon, &["socket"]).check("fastcgi_groups");
}

/// Of the original's traceback only the end of the start, its code, and the reason are kept.
fn a_socket_that_cannot_be_made_refuses_the_start(subject: Subject) {
    let daemon = folder(subject, "[fcgi-program:f]\ncommand=ANSWER\nsocket=unix://%(here)s/no/f.sock\n");
    let outcome = daemon.supervisord(&["-n", "-s", "-c", &daemon.path("supervisord.conf").display().to_string()]);
    let last = outcome.stderr.lines().last().unwrap_or_default();
    let reason = last.split_once("Could not create").map_or(last, |(_, reason)| reason);
    let mut transcript = Transcript::of(&daemon);
    transcript.note(format!("[{:?}] Could not create{reason}", outcome.code)).check("fastcgi_refused");
    assert!(!daemon.path("s.sock").exists());
}

fn members_of_groups_have_their_socket(subject: Subject) {
    let daemon = start(
        subject,
        "[fcgi-program:f]\ncommand=ANSWER\nsocket=unix://%(here)s/f.sock\nsocket_mode=0640\nstartsecs=0\nnumprocs=2\n\
         process_name=f%(process_num)d\n[program:p]\ncommand=/bin/cat\nstartsecs=0\n[group:g]\nprograms=p,f\n",
    );
    daemon.wait_running(&["g:f0", "g:f1", "g:p"]);
    let pids = ["g:f0", "g:f1"].map(|name| daemon.process_pid(name));
    assert!(pids.contains(&asked(&daemon, "f.sock")));
    assert_eq!(fs::metadata(daemon.path("f.sock")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(daemon.ctl(&["stop", "g:f0"]).code, Some(0));
    assert_eq!(asked(&daemon, "f.sock"), pids[1]);
    // Another address is a change of the group.
    let conf = fs::read_to_string(daemon.path("supervisord.conf")).unwrap().replace("f.sock", "moved.sock");
    fs::write(daemon.path("supervisord.conf"), conf).unwrap();
    assert_eq!(daemon.ctl(&["reread"]).stdout, "g: changed\n");
    assert_eq!(daemon.ctl(&["update"]).stdout, "g: stopped\ng: updated process group\n");
    daemon.wait_running(&["g:f0", "g:f1"]);
    asked(&daemon, "moved.sock");
    assert!(is_refused(&daemon, "f.sock"));
}

fn groups_that_list_the_same_program_share_its_socket(subject: Subject) {
    let daemon = start(
        subject,
        "[fcgi-program:f]\ncommand=ANSWER\nsocket=unix://%(here)s/f.sock\nstartsecs=0\n\
         [group:a]\nprograms=f\n[group:b]\nprograms=f\n",
    );
    daemon.wait_running(&["a:f", "b:f"]);
    let inputs = ["a:f", "b:f"].map(|name| fs::read_link(format!("/proc/{}/fd/0", daemon.process_pid(name))).unwrap());
    assert_eq!(inputs[0], inputs[1]);
    // Making a group anew does not disturb what the other one listens on.
    daemon.ctl(&["stop", "a:f"]);
    daemon.ctl(&["remove", "a"]);
    assert_eq!(daemon.ctl(&["add", "a"]).code, Some(0));
    daemon.wait_running(&["a:f"]);
    let pids = ["a:f", "b:f"].map(|name| daemon.process_pid(name));
    assert!(pids.contains(&asked(&daemon, "f.sock")));
}

fn what_is_no_socket_is_kept_and_said(subject: Subject) {
    let daemon = folder(subject, "[fcgi-program:f]\ncommand=ANSWER\nsocket=unix://%(here)s/data\n");
    fs::write(daemon.path("data"), "precious").unwrap();
    let outcome = daemon.supervisord(&["-n", "-s", "-c", &daemon.path("supervisord.conf").display().to_string()]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("data exists and is not a socket"), "{outcome:?}");
    assert_eq!(daemon.text("data"), "precious");
}

fn an_add_whose_socket_cannot_be_made_says_why(subject: Subject) {
    let daemon = start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
    daemon.rewrite(
        "[program:p]\ncommand=/bin/cat\nstartsecs=0\n[fcgi-program:f]\ncommand=cat\nsocket=unix://%(here)s/no/f.sock\n",
    );
    daemon.ctl(&["reread"]);
    let outcome = daemon.ctl(&["add", "f"]);
    assert!(outcome.stdout.contains("Could not create FastCGI socket unix://"), "{outcome:?}");
    assert!(daemon.ctl(&["status", "f"]).stdout.contains("no such process"));
    // Once it can be made, the same request works.
    fs::create_dir(daemon.path("no")).unwrap();
    assert_eq!(daemon.ctl(&["add", "f"]).stdout, "f: added process group\n");
}

fn a_start_whose_socket_cannot_be_made_is_tried_again(subject: Subject) {
    let mut daemon = folder(
        subject,
        "[fcgi-program:f]\ncommand=ANSWER\nsocket=unix://%(here)s/d/f.sock\nstartsecs=0\nstartretries=100\nautostart=false\n",
    );
    fs::create_dir(daemon.path("d")).unwrap();
    daemon.run();
    fs::remove_dir_all(daemon.path("d")).unwrap();
    assert_eq!(daemon.ctl(&["start", "f"]).stdout, "f: ERROR (spawn error)\n");
    daemon.wait_text("main.log", "spawnerr: Could not create FastCGI socket unix://");
    fs::create_dir(daemon.path("d")).unwrap();
    daemon.wait_running(&["f"]);
    asked(&daemon, "d/f.sock");
}

fn mistakes_in_the_socket_of_a_member_are_warnings(subject: Subject) {
    let daemon = start(
        subject,
        "[fcgi-program:f]\ncommand=/bin/cat\nsocket=nonsense\nsocket_backlog=0\nstartsecs=0\n[group:g]\nprograms=f\n",
    );
    daemon.wait_running(&["g:f"]);
    let input = fs::read_link(format!("/proc/{}/fd/0", daemon.process_pid("g:f"))).unwrap();
    assert!(input.to_str().unwrap().starts_with("pipe:"), "{}", input.display());
    assert!(daemon.text("main.log").contains("so it is started without a socket"));
}
