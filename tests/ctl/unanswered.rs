//! A daemon that takes connections and never answers holds no client up. Nothing of the original is needed.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

#[test]
fn a_stuck_daemon_is_given_up_after_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let conf = folder.path().join("s.conf");
    let here = folder.path().display();
    fs::write(&conf, format!("[supervisord]\npidfile={here}/s.pid\n[unix_http_server]\nfile={here}/s.sock\n")).unwrap();
    for words in [&["status"][..], &["reread"], &["start", "galaxy:"], &["shutdown"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_galaxyctl"))
            .args(["--timeout", "0.2", "-c"])
            .arg(&conf)
            .args(words)
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(out.starts_with("error: nobody answers at unix://"), "{words:?}: {out}{err}");
        assert_eq!(output.status.code(), Some(7), "{words:?}");
        for part in [
            "no answer in time",
            "  socket: ",
            "mode 0",
            "  daemon: not running",
            "  address: section [unix_http_server]",
        ] {
            assert!(err.contains(part), "{words:?}: {part} is not in {err}");
        }
    }
}

/// Scripts that were written for the original see what they know of a call that fails.
#[test]
fn under_the_old_name_a_stuck_daemon_is_supervisors_exception() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let supervisorctl = folder.path().join("supervisorctl");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_galaxyctl"), &supervisorctl).unwrap();
    let output = Command::new(&supervisorctl)
        .args(["-s", &format!("unix://{}", socket.display()), "version"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.starts_with("error: <class 'TimeoutError'>, timed out"), "{out}");
    assert_eq!(output.status.code(), Some(1), "{out}");
}

#[test]
fn a_missing_daemon_is_told_in_json_too() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_galaxyctl"))
        .args(["--json", "-s", "unix:///no/such/socket", "status"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["errors"][0]["message"], "unix:///no/such/socket no such file");
    assert_eq!((document["exit_code"].as_u64(), output.status.code()), (Some(4), Some(4)));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_galaxyctl")).arg("man").stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
