//! One after the other: starts that wait for others and for things outside, stops in reverse, over the worker's death.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::household::{galaxyd, kill_pid, kill_worker};
use crate::wait::until;

/// A program that says in the file `order` that it came, and that it goes.
fn program(name: &str, first: &str, keys: &str) -> String {
    format!(
        "[program:{name}]\nstartsecs=0\n{keys}\n\
         command=sh -c '{first}echo +$SUPERVISOR_PROCESS_NAME >> %(here)s/order; \
         trap \"echo -$SUPERVISOR_PROCESS_NAME >> %(here)s/order; exit 0\" TERM; \
         while :; do sleep 0.02; done'\n"
    )
}

fn order(daemon: &Daemon) -> Vec<String> {
    let text = fs::read_to_string(daemon.path("order")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The lines of `order` come in this order of sets: those of one set among each other in any.
fn assert_order(daemon: &Daemon, wanted: &[&[&str]]) {
    let all: usize = wanted.iter().map(|set| set.len()).sum();
    let found = until("everybody to have written", || {
        let found = order(daemon);
        if found.len() >= all { Ok(found) } else { Err(format!("{found:?}")) }
    });
    let mut rest = found.as_slice();
    for set in wanted {
        let (mut now, later) = (rest[..set.len()].to_vec(), &rest[set.len()..]);
        now.sort();
        assert_eq!(now, *set, "{found:?}");
        rest = later;
    }
    assert!(rest.is_empty(), "{found:?}");
    fs::remove_file(daemon.path("order")).unwrap();
}

/// How often the log says it.
fn told(daemon: &Daemon, text: &str) -> usize {
    fs::read_to_string(daemon.path("main.log")).unwrap().matches(text).count()
}

#[test]
fn a_deployment_comes_up_and_goes_down_in_order_whatever_its_priorities_and_deaths() {
    let sections = [
        program("handler", "", "process_name=h%(process_num)d\nnumprocs=2\npriority=1\ndepends_on=web:running"),
        program("web", "", "priority=2\ndepends_on=db:ready, migrate:exited"),
        "[program:migrate]\ncommand=sh -c 'echo +migrate >> %(here)s/order'\ntype=oneshot\npriority=3\ndepends_on=db\n"
            .to_owned(),
        // Nobody starts it but those that need it.
        program(
            "db",
            "while ! test -e %(here)s/go; do sleep 0.02; done; echo up; ",
            "autostart=false\npriority=4\nready=log:^up$\nready_interval=100ms",
        ),
    ];
    let mut daemon = galaxyd("", &sections.concat());
    daemon.wait_state("db", "RUNNING");
    let info = |field: &str| daemon.info("web", field).unwrap();
    assert_eq!((info("statename"), info("pid")), ("STARTING".to_owned(), "0".to_owned()));
    let status = daemon.ctl(&["status", "web"]).stdout;
    let what = "db to be ready (it is RUNNING), migrate to have ended well (it is STARTING)";
    assert!(status.contains(&format!("STARTING  waits for {what}")), "{status}");
    let why = daemon.ctl(&["why", "web"]).stdout;
    assert!(why.contains("its start is held") && why.contains(&format!("waits for: {what}")), "{why}");
    let json = daemon.ctl(&["status", "web", "--json"]).stdout;
    assert!(json.contains(&format!("\"awaits\": \"{what}\"")) && !json.contains("\"held_since\": null"), "{json}");
    assert_eq!(told(&daemon, "held: web waits for "), 1);

    let keeper = daemon.pid();
    kill_worker(&daemon, keeper);
    assert_eq!(order(&daemon), [""; 0]);
    fs::write(daemon.path("go"), "").unwrap();
    daemon.wait_running(&["db", "web", "handler:h0", "handler:h1"]);
    assert_order(&daemon, &[&["+db"], &["+migrate"], &["+web"], &["+h0", "+h1"]]);

    // Those that need it are stopped before it, and come back with it.
    let restarted = daemon.ctl(&["restart", "db"]);
    assert_eq!(restarted.code, Some(0), "{restarted:?}");
    daemon.wait_running(&["db", "web", "handler:h0", "handler:h1"]);
    assert_order(&daemon, &[&["-h0", "-h1"], &["-web"], &["-db"], &["+db"], &["+web"], &["+h0", "+h1"]]);

    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait_end().success());
    assert_order(&daemon, &[&["-h0", "-h1"], &["-web"], &["-db"]]);
}

#[test]
fn a_stop_goes_on_in_order_when_the_worker_is_killed() {
    let slow = "trap \"while ! test -e %(here)s/go; do sleep 0.02; done; echo -web >> %(here)s/order; exit 0\" TERM";
    let web = format!(
        "[program:web]\nstartsecs=0\ndepends_on=db\ncommand=sh -c '{slow}; echo +web >> %(here)s/order; while :; do sleep 0.02; \
         done'\n"
    );
    let daemon = galaxyd("", &format!("{web}{}", program("db", "", "")));
    daemon.wait_running(&["web", "db"]);
    let keeper = daemon.pid();
    until("both to be there", || {
        let found = order(&daemon);
        if found.len() == 2 { Ok(()) } else { Err(format!("{found:?}")) }
    });
    fs::remove_file(daemon.path("order")).unwrap();
    daemon
        .call(
            "supervisor.stopProcess",
            "<param><value>db</value></param><param><value><boolean>0</boolean></value></param>",
        )
        .unwrap();
    daemon.wait_state("web", "STOPPING");
    assert_eq!(daemon.info("db", "statename").unwrap(), "RUNNING");
    kill_worker(&daemon, keeper);
    fs::write(daemon.path("go"), "").unwrap();
    daemon.wait_state("db", "STOPPED");
    assert_order(&daemon, &[&["-web"], &["-db"]]);
}

#[test]
fn what_is_missing_outside_holds_a_start_visibly_without_using_up_retries() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let daemon = galaxyd(
        "",
        &format!(
            "[program:web]\ncommand=sleep 1000\nstartsecs=0\nstartretries=0\n\
             wait_for=user:root, path:%(here)s/data, tcp://127.0.0.1:{port}\n"
        ),
    );
    let data = daemon.path("data").display().to_string();
    let missing = |what: &str| {
        until("the reason", || {
            let status = daemon.ctl(&["status"]).stdout;
            if status.contains(what) { Ok(()) } else { Err(status) }
        });
    };
    missing(&format!("({data} is not there)"));
    assert_eq!(daemon.info("web", "pid").unwrap(), "0");
    fs::create_dir(&data).unwrap();
    missing(&format!("(127.0.0.1:{port}: connection refused)"));
    assert_eq!(told(&daemon, "held: web "), 1, "one line for one hold");
    let keeper = daemon.pid();
    kill_worker(&daemon, keeper);
    assert_eq!(daemon.info("web", "statename").unwrap(), "STARTING");
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    daemon.wait_state("web", "RUNNING");
}

#[test]
fn what_depends_on_what_is_down_starts_after_it_and_fails_nowhere() {
    let daemon = galaxyd(
        "",
        "[program:client]\nprocess_name=c%(process_num)02d\nnumprocs=20\nautorestart=true\nstartretries=0\nstartsecs=0\n\
         depends_on=db\ncommand=sh -c 'test -e %(here)s/database || exit 1; exec sleep 1000'\n\
         [program:db]\nautorestart=true\nstartsecs=0\nready=log:^up$\nready_interval=100ms\n\
         command=sh -c 'while ! test -e %(here)s/go; do sleep 0.02; done; touch %(here)s/database; echo up; exec sleep 1000'\n",
    );
    let clients: Vec<String> = (0..20).map(|number| format!("client:c{number:02}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    fs::write(daemon.path("go"), "").unwrap();
    daemon.wait_running(&names);
    let before = told(&daemon, "spawned: 'c");
    fs::remove_file(daemon.path("go")).unwrap();
    fs::remove_file(daemon.path("database")).unwrap();
    let pids: Vec<i32> = names.iter().map(|name| daemon.process_pid(name)).collect();
    let database = daemon.process_pid("db");
    kill_pid(database, Signal::SIGKILL);
    // Whoever fell before it would not have to wait.
    until("the database to be started again", || {
        let pid = daemon.info("db", "pid")?;
        if pid == database.to_string() || pid == "0" { Err(pid) } else { Ok(()) }
    });
    for pid in pids {
        kill_pid(pid, Signal::SIGKILL);
    }
    until("everybody to wait", || {
        let held = daemon.ctl(&["status", "client:*"]).stdout.matches("waits for db to be ready").count();
        if held == names.len() { Ok(()) } else { Err(format!("{held} are held")) }
    });
    fs::write(daemon.path("go"), "").unwrap();
    daemon.wait_running(&names);
    assert_eq!(told(&daemon, "spawned: 'c") - before, names.len(), "each started once");
    assert_eq!(told(&daemon, "gave up"), 0);
}

#[test]
fn needs_that_change_cost_no_restart() {
    let sections = |keys: &str| format!("{}{}", program("web", "", keys), program("db", "", ""));
    let daemon = galaxyd("", &sections(""));
    daemon.wait_running(&["web", "db"]);
    let pid = daemon.process_pid("web");
    let file = daemon.path("supervisord.conf");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("[program:web]\n", "[program:web]\ndepends_on=db\nwait_for=path:/\n", 1)).unwrap();
    let plan = daemon.ctl(&["update", "--dry-run"]);
    assert!(plan.stdout.contains("depends_on"), "{plan:?}");
    let updated = daemon.ctl(&["update"]);
    assert_eq!(updated.code, Some(0), "{updated:?}");
    assert_eq!(daemon.process_pid("web"), pid);
    // The new rule holds: db's stop takes web along.
    assert_eq!(daemon.ctl(&["stop", "db"]).code, Some(0));
    assert_eq!(daemon.info("web", "statename").unwrap(), "STOPPED");
}

#[test]
fn circles_and_unknown_names_are_refused_with_their_place() {
    let daemon = Daemon::folder(
        crate::subject::Subject::GALAXYD,
        "[program:a]\ncommand=x\ndepends_on=b\n[program:b]\ncommand=x\ndepends_on=a:running\n[program:c]\ncommand=x\n\
         depends_on=dd\n",
    );
    let refusal = daemon.refusal(&daemon.path("supervisord.conf")).expect("a refusal");
    let text = format!("{}{}", refusal.stdout, refusal.stderr);
    for wanted in
        ["depends_on goes in a circle: a -> b -> a", "'dd' names no program, group or process", "supervisord.conf"]
    {
        assert!(text.contains(wanted), "{text}");
    }
}

#[test]
fn a_start_says_what_it_waits_for_as_galaxyctl_alone() {
    let sections = "[program:db]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\nready=command:test -e %(here)s/go\n\
                    ready_interval=100ms\n\
                    [program:web]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\ndepends_on=db:ready\n\
                    [program:old]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\ndepends_on=db:ready\n";
    let daemon = galaxyd("", sections);
    let start = |client: &str, name: &str| {
        let output = fs::File::create(daemon.path(client)).unwrap();
        let mut command = daemon.command(Path::new(env!("CARGO_BIN_EXE_galaxyctl")));
        command.arg0(client).args(["-c", "supervisord.conf", "start", name]);
        command.stderr(output.try_clone().unwrap()).stdout(output).spawn().unwrap()
    };
    let mut both = [start("supervisorctl", "old"), start("galaxyctl", "web")];
    let line = "web: waits for db to be ready (it is RUNNING)\n";
    until("the line", || {
        let told = daemon.text("galaxyctl");
        if told.contains(line) { Ok(()) } else { Err(told) }
    });
    fs::write(daemon.path("go"), "").unwrap();
    for child in &mut both {
        child.wait().unwrap();
    }
    let told = daemon.text("galaxyctl");
    assert!(told.ends_with("web: started\n") && told.matches(line).count() == 1, "{told}");
    assert_eq!(daemon.text("supervisorctl"), "old: started\n");
}
