//! `socket` of a program: the daemon makes it, keeps it, and passes it on.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::daemon::Daemon;
use crate::daemon_death::next_keeper;
use crate::household::{kill_pid, kill_worker};
use crate::notice::tell;
use crate::subject::Subject;
use crate::wait::until_true;

/// Answers each connection with what it was passed, once there is a file `go`, and ends it.
const SERVER: &str = "\
import os, socket, time
s = socket.socket(fileno=3)
names = ('LISTEN_FDS', 'LISTEN_FDNAMES')
passed = [os.environ[name] for name in names] + [str(int(os.environ['LISTEN_PID']) == os.getpid())]
while not os.path.exists('go'): time.sleep(0.01)
while True:
    c, _ = s.accept()
    c.sendall(' '.join([str(os.getpid()), str(os.geteuid())] + passed).encode())
    c.close()
";

fn folder(sections: &str) -> Daemon {
    let daemon = Daemon::folder(Subject::GALAXYD, sections);
    fs::write(daemon.path("serve.py"), SERVER).unwrap();
    fs::write(daemon.path("go"), "").unwrap();
    daemon
}

fn start(sections: &str) -> Daemon {
    let mut daemon = folder(sections);
    daemon.run();
    daemon
}

const WEB: &str =
    "[program:web]\ncommand=python3 %(here)s/serve.py\nsocket=unix:%(here)s/web.sock\nstartsecs=0\nstopwaitsecs=1\n";

fn words(mut stream: impl Read) -> Vec<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split(' ').map(str::to_owned).collect()
}

/// What the program answers at its socket.
fn asked(daemon: &Daemon) -> Vec<String> {
    words(UnixStream::connect(daemon.path("web.sock")).unwrap())
}

fn passed_as(pid: i32, name: &str) -> Vec<String> {
    [&pid.to_string(), &geteuid().to_string(), "1", name, "True"].map(str::to_owned).to_vec()
}

fn inode(file: &Path) -> u64 {
    fs::metadata(file).unwrap().ino()
}

/// The socket that a process has as descriptor 3.
fn third(daemon: &Daemon, name: &str) -> std::path::PathBuf {
    fs::read_link(format!("/proc/{}/fd/3", daemon.process_pid(name))).unwrap()
}

#[test]
fn a_program_has_its_socket_as_descriptor_three_and_nothing_else() {
    let daemon = start(WEB);
    daemon.wait_running(&["web"]);
    let pid = daemon.process_pid("web");
    assert_eq!(asked(&daemon), passed_as(pid, "web"));
    let status = fs::metadata(daemon.path("web.sock")).unwrap();
    assert_eq!((status.permissions().mode() & 0o7777, status.uid()), (0o700, geteuid().as_raw()));
    // Besides, the script's file may be open.
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().map(|entry| entry.file_name());
    let mut numbers: Vec<i32> = descriptors.map(|name| name.to_str().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);
    let input = fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert!(input.to_str().unwrap().starts_with("pipe:"), "{}", input.display());
}

#[test]
fn a_socket_is_kept_while_its_program_is_down_and_through_every_death() {
    let daemon = start(WEB);
    daemon.wait_running(&["web"]);
    let file = daemon.path("web.sock");
    let (first, socket) = (inode(&file), third(&daemon, "web"));
    let mut keeper = daemon.pid();
    let deeds: [(&str, &dyn Fn(i32)); 5] = [
        ("a stop", &|_| drop(daemon.ctl(&["stop", "web"]))),
        ("a reload", &|_| {
            assert_eq!(daemon.ctl(&["reload"]).code, Some(0));
            until_true("the new programs", || daemon.text("main.log").matches("supervisord started").count() == 2);
        }),
        ("the worker's death", &|keeper| kill_worker(&daemon, keeper)),
        ("the keeper's death", &|keeper| {
            kill_pid(keeper, Signal::SIGKILL);
            next_keeper(&daemon, keeper);
        }),
        ("an update", &|_| {
            daemon.rewrite(&format!("{WEB}environment=A=\"1\"\n"));
            assert_eq!(daemon.ctl(&["update"]).code, Some(0));
        }),
    ];
    for (what, deed) in deeds {
        // Who connects while nobody is there waits, and is answered by the next one.
        fs::remove_file(daemon.path("go")).unwrap();
        daemon.ctl(&["restart", "web"]);
        let waiting: Vec<UnixStream> = (0..5).map(|_| UnixStream::connect(&file).unwrap()).collect();
        deed(keeper);
        let waits_too = UnixStream::connect(&file).unwrap();
        keeper = daemon.pid();
        fs::write(daemon.path("go"), "").unwrap();
        daemon.ctl(&["start", "web"]);
        daemon.wait_running(&["web"]);
        let pid = daemon.process_pid("web");
        for stream in waiting.into_iter().chain([waits_too]) {
            assert_eq!(words(stream), passed_as(pid, "web"), "{what}");
        }
        assert_eq!((inode(&file), third(&daemon, "web")), (first, socket.clone()), "{what}");
    }
}

#[test]
fn the_processes_of_a_program_share_a_socket_and_who_says_the_same_does_too() {
    let shared = "command=python3 %(here)s/serve.py\nsocket=unix:%(here)s/web.sock\nstartsecs=0\nstopwaitsecs=1\n";
    let sections =
        format!("[program:web]\n{shared}numprocs=2\nprocess_name=w%(process_num)d\n[program:other]\n{shared}");
    let daemon = start(&sections);
    let names = ["web:w0", "web:w1", "other"];
    daemon.wait_running(&names);
    let sockets = names.map(|name| third(&daemon, name));
    assert!(sockets.iter().all(|socket| *socket == sockets[0]), "{sockets:?}");
    daemon.ctl(&["stop", "web:*"]);
    assert_eq!(asked(&daemon), passed_as(daemon.process_pid("other"), "other"));
    // An address with two meanings is refused, and nothing is changed.
    daemon.rewrite(&format!("{sections}socket_mode=0777\n"));
    let refused = daemon.ctl(&["update"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(format!("{refused:?}").contains("not with the same settings"), "{refused:?}");
    assert_eq!(third(&daemon, "other"), sockets[0]);
}

#[test]
fn a_removed_program_takes_its_socket_along_and_a_changed_mode_makes_a_new_one() {
    let daemon = start(WEB);
    daemon.wait_running(&["web"]);
    let (file, socket) = (daemon.path("web.sock"), third(&daemon, "web"));
    daemon.rewrite(&format!("{WEB}socket_mode=0660\n"));
    let plan = daemon.ctl(&["update", "--dry-run"]);
    assert!(plan.stdout.contains("socket_mode"), "{plan:?}");
    assert_eq!(daemon.ctl(&["update"]).code, Some(0));
    daemon.wait_running(&["web"]);
    until_true("the mode", || fs::metadata(&file).unwrap().permissions().mode() & 0o777 == 0o660);
    assert_ne!(third(&daemon, "web"), socket);
    assert_eq!(asked(&daemon), passed_as(daemon.process_pid("web"), "web"));
    daemon.rewrite("");
    assert_eq!(daemon.ctl(&["update"]).code, Some(0));
    until_true("the socket to be closed", || UnixStream::connect(&file).is_err());
    daemon.wait_text("main.log", "Closing socket unix://");
}

#[test]
fn a_deleted_socket_file_is_made_anew_at_the_next_start_and_a_strangers_is_left_alone() {
    let daemon = start(WEB);
    daemon.wait_running(&["web"]);
    let file = daemon.path("web.sock");
    fs::remove_file(&file).unwrap();
    assert_eq!(daemon.ctl(&["restart", "web"]).code, Some(0));
    assert_eq!(asked(&daemon), passed_as(daemon.process_pid("web"), "web"));
    daemon.wait_text("main.log", "is gone or has changed; it is made anew");
    daemon.ctl(&["stop", "web"]);
    // A stranger's has another mode.
    fs::remove_file(&file).unwrap();
    let stranger = UnixListener::bind(&file).unwrap();
    let refused = daemon.ctl(&["start", "web"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    daemon.wait_text("main.log", &format!("process {} of user {} listens at ", std::process::id(), geteuid()));
    UnixStream::connect(&file).unwrap();
    drop(stranger);
    daemon.wait_running(&["web"]);
    assert_eq!(asked(&daemon), passed_as(daemon.process_pid("web"), "web"));
}

#[test]
fn a_socket_file_that_goes_is_told_with_the_way_out_also_by_a_successor() {
    let daemon = start(WEB);
    daemon.wait_running(&["web"]);
    let (file, kept) = (daemon.path("web.sock"), daemon.path("kept"));
    // What hinders it now, not what its history says.
    let whys = || daemon.ctl(&["why", "web"]).stdout.contains("the file of its socket");
    let lines = |text: &str| daemon.text("main.log").matches(text).count();
    assert!(!whys());
    fs::rename(&file, &kept).unwrap();
    daemon.wait_text(
        "main.log",
        "web.sock is gone; whoever connects is refused until `galaxyctl restart web` makes it anew",
    );
    assert!(whys());
    assert!(daemon.ctl(&["history", "web"]).stdout.contains("web.sock is gone"));
    // The very same file is no other one.
    fs::rename(&kept, &file).unwrap();
    daemon.wait_text("main.log", "web.sock is there again");
    assert!(!whys());
    // A successor knows of it, too, and tells only what goes on being so.
    fs::remove_file(&file).unwrap();
    until_true("the second loss", || lines("web.sock is gone") == 2);
    kill_worker(&daemon, daemon.pid());
    until_true("the successor's look", whys);
    assert_eq!(daemon.ctl(&["restart", "web"]).code, Some(0));
    assert_eq!(asked(&daemon), passed_as(daemon.process_pid("web"), "web"));
    assert!(!whys());
    // The one that was made anew is watched as the first one was.
    let before = lines("web.sock is gone");
    fs::remove_file(&file).unwrap();
    until_true("the next loss", || lines("web.sock is gone") == before + 1);
}

#[test]
fn a_port_below_1024_needs_no_root_in_the_program() {
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten();
    let (true, Some(nobody)) = (geteuid().is_root(), nobody) else {
        tell("could not run: only root can bind a port below 1024 for the account nobody");
        return;
    };
    let Some(port) = (600..1024).rev().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) else {
        tell("could not run: no free port below 1024");
        return;
    };
    // Without a file, as the account may not be able to enter the folder.
    let daemon = start(&format!(
        "[program:web]\nuser=nobody\nsocket=tcp:127.0.0.1:{port}\ndirectory=/\nstartsecs=0\ncommand=python3 -c '\
         import os,socket; s=socket.socket(fileno=3); c=s.accept()[0]; \
         c.sendall(b\"%%d %%d\" %% (os.getpid(), os.geteuid())); c.close(); s.accept()'\n"
    ));
    daemon.wait_running(&["web"]);
    let answer = words(TcpStream::connect(("127.0.0.1", port)).unwrap());
    assert_eq!(answer, [daemon.process_pid("web").to_string(), nobody.uid.to_string()]);
}
