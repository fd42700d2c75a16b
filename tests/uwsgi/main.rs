//! Real uWSGI and three handler processes under the scaling page's configuration, of which nothing
//! but the paths and the user is changed: on the original and on galaxyd.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::disallowed_methods, clippy::print_stderr, reason = "tests start programs and tell what they miss")]
#![expect(dead_code, reason = "the harness is shared with the conformance tests, which use all of it")]
#![expect(unused_macros, reason = "as above")]

#[path = "../fixture/notice.rs"]
mod notice;
#[path = "../fixture/venv.rs"]
mod venv;

#[path = "../conformance/subject.rs"]
#[macro_use]
mod subject;
#[path = "../conformance/daemon.rs"]
mod daemon;
#[path = "../conformance/wait.rs"]
mod wait;

#[path = "../fixture/load.rs"]
mod load;
mod server;
mod sockets;

use std::fs;

use server::{Server, children_of, worker_of};
use sockets::{
    gunicorn_is_restarted_at_its_socket_and_nobody_is_refused, successors_of_gunicorn_fail_no_request,
    successors_of_uwsgi_fail_no_request, uwsgi_is_restarted_at_its_socket_and_nobody_is_refused,
};
use subject::Subject;

daemons![the_scaling_pages_deployment_lives];
ours_alone![
    the_deployment_outlives_the_worker,
    gunicorn_is_restarted_at_its_socket_and_nobody_is_refused,
    uwsgi_is_restarted_at_its_socket_and_nobody_is_refused,
    successors_of_gunicorn_fail_no_request,
    successors_of_uwsgi_fail_no_request,
    top_shows_each_uwsgi_worker,
];

const NAMES: [&str; 4] = ["galaxy:web", "galaxy:handler0", "galaxy:handler1", "galaxy:handler2"];

fn the_scaling_pages_deployment_lives(subject: Subject) {
    let Some(server) = Server::start(subject) else { return };
    let daemon = &server.daemon;

    let status = daemon.ctl(&["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    let shape: Vec<String> = status.stdout.lines().map(|line| line[..47].to_string()).collect();
    let page = ["handler0", "handler1", "handler2", "web"];
    let expected: Vec<String> =
        page.iter().map(|name| format!("{:<33}RUNNING   pid ", format!("galaxy:{name}"))).collect();
    assert_eq!(shape, expected, "{}", status.stdout);

    let before: Vec<i32> = NAMES.iter().map(|name| daemon.process_pid(name)).collect();
    assert_eq!(server.answer(), before[0], "the web server's master is the supervised process");
    let restart = daemon.ctl(&["restart", "galaxy:"]);
    assert_eq!((restart.stdout.lines().count(), restart.code), (8, Some(0)), "{restart:?}");
    for (name, old) in NAMES.iter().zip(&before) {
        assert!(
            restart.stdout.contains(&format!("{name}: stopped\n"))
                && restart.stdout.contains(&format!("{name}: started\n"))
        );
        assert_ne!(daemon.process_pid(name), *old, "{name}");
    }
    assert_eq!(server.answer(), daemon.process_pid("galaxy:web"));
    // INT and TERM are graceful ends, with status 0.
    for name in ["web", "handler0", "handler1", "handler2"] {
        assert_eq!(
            daemon.log_lines(&[&format!("stopped: {name} ")]),
            [format!("INFO stopped: {name} (exit status 0)")]
        );
    }
    assert!(daemon.text("log/handler1.log").contains("shutdown complete"));

    server.kill_handler_and_wait("galaxy:handler1");

    assert_eq!(daemon.ctl(&["stop", "all"]).code, Some(0));
    let left: Vec<i32> = children_of(daemon.pid()).into_iter().filter(|pid| Some(*pid) != worker_of(daemon)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(server.refuses());
}

fn top_shows_each_uwsgi_worker(subject: Subject) {
    let Some(server) = Server::start(subject) else { return };
    let daemon = &server.daemon;
    let galaxyctl = std::path::Path::new(env!("CARGO_BIN_EXE_galaxyctl"));
    wait::until("two workers that have served", || {
        server.answer();
        let mut command = std::process::Command::new(galaxyctl);
        command.arg("-c").arg(daemon.path("supervisord.conf")).args(["top", "--once", "--json", "galaxy:web"]);
        let output = command.output().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        let web = &document["processes"][0];
        let workers = web["workers"].as_array().ok_or_else(|| document.to_string())?;
        let idle = workers.iter().all(|worker| worker["state"] == "idle" && worker["memory_kb"].as_i64() > Some(0));
        let requests: i64 = workers.iter().filter_map(|worker| worker["requests"].as_i64()).sum();
        let told =
            web["server"] == "uwsgi" && web["pid"] == daemon.process_pid("galaxy:web") && web["trouble"].is_null();
        if workers.len() == 2 && idle && requests > 0 && told { Ok(()) } else { Err(web.to_string()) }
    });
}

fn the_deployment_outlives_the_worker(subject: Subject) {
    let Some(server) = Server::start(subject) else { return };
    let daemon = &server.daemon;
    let before: Vec<i32> = NAMES.iter().map(|name| daemon.process_pid(name)).collect();
    for _ in 0..5 {
        let worker = worker_of(daemon).unwrap();
        server::kill(worker);
        wait::until_true("a successor", || worker_of(daemon).is_some_and(|pid| pid != worker));
        wait::until_true("its answer", || daemon.info("galaxy:web", "statename").is_ok_and(|state| state == "RUNNING"));
        assert_eq!(server.answer(), before[0]);
    }
    let after: Vec<i32> = NAMES.iter().map(|name| daemon.process_pid(name)).collect();
    assert_eq!(after, before);
    // The new worker sees deaths that the old one would have seen.
    server.kill_handler_and_wait("galaxy:handler2");
    assert!(
        fs::read_to_string(daemon.path("main.log"))
            .unwrap()
            .contains("exited: handler2 (terminated by SIGKILL; not expected)")
    );
}
