//! A control socket whose file was deleted is put back, and no program is touched.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::Daemon;
use crate::household::{galaxyd, kill_worker};
use crate::subject::Subject;
use crate::wait::until;

const PROGRAM: &str = "[program:p]\ncommand=sleep 1000\nstartsecs=0\n";

/// Until somebody listens at the path again; gives mode and owner of the file.
fn wait_back(path: &Path) -> (u32, u32, u32) {
    until("the socket's file", || UnixStream::connect(path).map_err(|error| error.to_string()));
    let status = fs::symlink_metadata(path).unwrap();
    assert!(status.file_type().is_socket());
    (status.mode(), status.uid(), status.gid())
}

#[test]
fn a_deleted_socket_is_put_back_again_and_again_also_by_a_successor() {
    let daemon = Daemon::start_with(Subject::GALAXYD, "", "chmod=0750", PROGRAM);
    daemon.wait_state("p", "RUNNING");
    let (keeper, program) = (daemon.pid(), daemon.process_pid("p"));
    let socket = daemon.path("s.sock");
    let before = wait_back(&socket);
    let kept = daemon.path("kept.sock");
    fs::hard_link(&socket, &kept).unwrap();
    for round in 0..8 {
        if round == 4 {
            kill_worker(&daemon, keeper);
        }
        fs::remove_file(&socket).unwrap();
        assert_eq!(wait_back(&socket), before);
        assert_eq!(daemon.process_pid("p"), program);
        if round == 0 {
            // Whoever has the former file elsewhere is still served.
            UnixStream::connect(&kept).unwrap();
        }
    }
    // The keeper holds the new one: it is there at once for a successor.
    kill_worker(&daemon, keeper);
    assert_eq!(daemon.ctl(&["pid"]).stdout.trim(), keeper.to_string());
    let lines = daemon.log_lines(&["had been deleted and was put back"]);
    assert_eq!(lines.len(), 8, "{lines:?}");
    assert!(lines[0].contains(&socket.display().to_string()), "{lines:?}");
}

#[test]
fn a_socket_deleted_while_there_is_no_worker_is_put_back_by_the_next() {
    let daemon = galaxyd("", PROGRAM);
    let keeper = daemon.pid();
    let worker = crate::household::worker_of(keeper);
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    fs::remove_file(daemon.path("s.sock")).unwrap();
    wait_back(&daemon.path("s.sock"));
}

#[test]
fn a_deleted_directory_has_its_socket_when_it_is_made_again() {
    let mut daemon = Daemon::folder(
        Subject::GALAXYD,
        &format!("{PROGRAM}[unix_http_server:second]\nfile=%(here)s/run/deep/t.sock\n"),
    );
    let (run, socket) = (daemon.path("run"), daemon.path("run/deep/t.sock"));
    fs::create_dir_all(run.join("deep")).unwrap();
    daemon.run();
    wait_back(&socket);
    for _ in 0..2 {
        fs::remove_dir_all(&run).unwrap();
        daemon.wait_text("main.log", "was deleted and cannot be put back");
        fs::create_dir(&run).unwrap();
        fs::create_dir(run.join("deep")).unwrap();
        wait_back(&socket);
    }
    fs::rename(&run, daemon.path("away")).unwrap();
    fs::create_dir_all(run.join("deep")).unwrap();
    wait_back(&socket);
    // The other one was there all the time.
    daemon.call("supervisor.getState", "").unwrap();
}

#[test]
fn nothing_is_left_after_a_shutdown() {
    let mut daemon = galaxyd("", PROGRAM);
    fs::remove_file(daemon.path("s.sock")).unwrap();
    wait_back(&daemon.path("s.sock"));
    daemon.ctl(&["shutdown"]);
    assert!(daemon.wait_end().success());
    assert!(!daemon.path("s.sock").exists() && !daemon.path("main.pid").exists());
}

#[test]
fn what_another_put_in_its_place_is_kept() {
    let daemon = galaxyd("", PROGRAM);
    let socket = daemon.path("s.sock");
    fs::write(daemon.path("data"), "precious").unwrap();
    fs::rename(daemon.path("data"), &socket).unwrap();
    daemon.wait_text("main.log", "is not ours any more and cannot be put back");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
    fs::remove_file(&socket).unwrap();
    wait_back(&socket);
}
