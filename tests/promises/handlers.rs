//! Galaxy's job handlers and their jobs: shown, drained, given away. The handlers are stand-ins, the database has Galaxy's
//! tables.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::galaxy_database::GalaxyDatabase;
use crate::household::kill_pid;
use crate::notice::tell;
use crate::subject::Subject;
use crate::venv;
use crate::wait::until;

/// What `galaxy-main` does for as long as nobody asks it anything.
const HANDLER: &str = "import time\ntime.sleep(1000)\n";

/// Two handlers of one pool, whose Python is found at PYTHON.
const SECTIONS: &str = "[program:handler]\n\
    command=PYTHON %(here)s/galaxy-main -c %(here)s/galaxy.yml --server-name=handler%(process_num)d \
    --attach-to-pool=job-handlers\n\
    process_name=handler%(process_num)d\nnumprocs=2\nstartsecs=0\n\
    [program:other]\ncommand=sleep 1000\nstartsecs=0\n[group:galaxy]\nprograms=handler,other\n";

/// A daemon that is not started yet.
fn deployment(python: &str) -> Daemon {
    let daemon = Daemon::folder(Subject::GALAXYD, &SECTIONS.replace("PYTHON", python));
    fs::write(daemon.path("galaxy-main"), HANDLER).unwrap();
    daemon
}

fn connect(daemon: &Daemon, database: &GalaxyDatabase) {
    let text = format!(
        "galaxy:\n  database_connection: {}\n  job_config:\n    runners:\n      local:\n        load: \
         galaxy.jobs.runners.local:LocalJobRunner\n      slurm:\n        load: galaxy.jobs.runners.slurm:SlurmJobRunner\n    \
         handling:\n      assign: [db-skip-locked]\n",
        database.url()
    );
    fs::write(daemon.path("galaxy.yml"), text).unwrap();
}

/// A running daemon and its database.
fn running() -> (Daemon, GalaxyDatabase) {
    let mut daemon = deployment("python3");
    let database = GalaxyDatabase::sqlite(daemon.dir());
    connect(&daemon, &database);
    daemon.run();
    daemon.wait_running(&["galaxy:handler0", "galaxy:handler1", "galaxy:other"]);
    (daemon, database)
}

/// Fills the database and looks at it in every way.
fn jobs_are_shown(daemon: &Daemon, database: &GalaxyDatabase) {
    for (id, handler, state, runner) in [
        (1, "handler0", "new", ""),
        (2, "handler0", "queued", "slurm/12"),
        (3, "handler0", "running", "slurm/13"),
        (4, "handler1", "stopped", "local/14"),
        (5, "handler1", "ok", "local/15"),
        (6, "handler7", "running", "slurm/16"),
        (7, "_default_", "new", ""),
        (8, "handler0", "paused", ""),
    ] {
        database.job(id, handler, state, runner);
    }
    database.invocation(1, "handler7", "ready");
    database.invocation(2, "handler0", "scheduled");
    for (id, name, host, seconds) in
        [(1, "handler0", "here", 5), (2, "handler1", "here", 5), (3, "handler1", "there", 5)]
    {
        database.heartbeat(id, name, host, seconds);
    }
    let before = database.bytes();
    let shown = daemon.ctl(&["jobs"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{shown:?}");
    let lines: Vec<Vec<&str>> = shown.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[1][1..8],
        ["handler0", "STATE", "2", "1", "0", "1", "0"].map(|cell| state(daemon, cell)),
        "{shown:?}"
    );
    assert_eq!(lines[2][3..8], ["0", "0", "1", "0", "0"], "{shown:?}");
    for line in [
        "unclaimed: 1 jobs (tag _default_), the oldest for ",
        "stranded: 1 running, 1 invocations of handler7; no program runs it: galaxyctl reassign handler7 HANDLER",
        "warning: handler1 shows life on here and there",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {shown:?}");
    }
    assert!(!daemon.ctl(&["jobs", "handler1"]).stdout.contains("handler0"));
    let document: serde_json::Value = serde_json::from_str(&daemon.ctl(&["--json", "jobs"]).stdout).unwrap();
    assert_eq!(document["handlers"][0]["jobs"]["waiting"], 2, "{document:#}");
    assert_eq!(document["handlers"][0]["process"], "galaxy:handler0", "{document:#}");
    assert_eq!(document["stranded"][0]["handler"], "handler7", "{document:#}");
    assert_eq!(document["doubles"][0]["hosts"], serde_json::json!(["here", "there"]), "{document:#}");
    let unknown = daemon.ctl(&["jobs", "handler9"]);
    assert_eq!((unknown.code, unknown.stdout.trim()), (Some(1), "Error: no handler is called handler9"), "{unknown:?}");
    assert!(database.bytes() == before, "nothing was written");
}

/// The state that a daemon tells; nobody does where there is none.
fn state<'a>(daemon: &Daemon, cell: &'a str) -> &'a str {
    match cell {
        "STATE" if daemon.call("supervisor.getState", "").is_ok() => "RUNNING",
        "STATE" => "-",
        cell => cell,
    }
}

/// Gives the jobs of a handler that is gone away, after everything that forbids it.
fn jobs_are_reassigned(daemon: &Daemon, database: &GalaxyDatabase) {
    let owners = || database.sql("SELECT handler, count(*) FROM job GROUP BY handler ORDER BY handler");
    let before = owners();
    let shown = daemon.ctl(&["reassign", "handler7", "handler0"]);
    for line in [
        "handler7 -> handler0: 1 jobs running, runner slurm",
        "handler7 -> handler0: 1 invocations ready",
        "risk: handler0 takes 1 queued, running or stopped jobs up only at its next start",
        "risk: handler0 must reach what the old handler reached by the runner slurm",
        "nothing was changed; --yes does it",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {shown:?}");
    }
    assert_eq!((shown.code, owners()), (Some(0), before.clone()), "a rehearsal");

    database.heartbeat(9, "handler7", "there", 5);
    let alive = daemon.ctl(&["reassign", "handler7", "handler0", "--yes"]);
    assert!(alive.stdout.contains("handler7 showed life on there "), "{alive:?}");
    assert_eq!((alive.code, owners()), (Some(1), before.clone()));
    database.sql("DELETE FROM worker_process WHERE server_name = 'handler7'");

    let nobody = daemon.ctl(&["reassign", "handler7", "handlr0"]);
    assert!(nobody.stdout.contains("handlr0 is neither a handler") && nobody.stdout.contains("did you mean handler0?"));
    // Of a tag nobody gets what is under way.
    let tag = daemon.ctl(&["reassign", "handler7", "_default_"]);
    assert!(tag.stdout.contains("handler7 has nothing that _default_ could take over"), "{tag:?}");
    assert_eq!(owners(), before);

    let done = daemon.ctl(&["reassign", "handler7", "handler0", "--yes"]);
    assert!(done.stdout.contains("1 jobs and 1 invocations of handler7 belong to handler0 now"), "{done:?}");
    assert_eq!(done.code, Some(0));
    assert!(!owners().contains("handler7"), "{}", owners());
    assert_eq!(database.sql("SELECT handler FROM workflow_invocation WHERE id = 1"), "handler0");
}

#[test]
fn jobs_are_counted_by_handler_and_stranded_ones_are_named() {
    let (daemon, database) = running();
    jobs_are_shown(&daemon, &database);
}

#[test]
fn jobs_are_given_away_only_when_their_handler_is_dead() {
    let daemon = deployment("python3");
    let database = GalaxyDatabase::sqlite(daemon.dir());
    connect(&daemon, &database);
    // Without a daemon, too.
    jobs_are_shown(&daemon, &database);
    jobs_are_reassigned(&daemon, &database);
}

#[test]
fn postgresql_is_asked_by_galaxys_own_python() {
    let venv = match venv::environment("venv-database", "SQLAlchemy psycopg[binary]", "python") {
        Ok(venv) => venv,
        Err(why) => return tell(&format!("could not run: no drivers for PostgreSQL: {why}")),
    };
    let Some(database) = GalaxyDatabase::postgres() else {
        return tell("could not run: no PostgreSQL to ask");
    };
    let daemon = deployment(&venv.join("bin/python").display().to_string());
    connect(&daemon, &database);
    jobs_are_shown(&daemon, &database);
    jobs_are_reassigned(&daemon, &database);
    // A lock that somebody holds costs time, and no more.
    fs::write(
        daemon.path("galaxy.yml"),
        "galaxy:\n  database_connection: postgresql+psycopg://galaxy@/none?host=/nowhere\n",
    )
    .unwrap();
    let shown = daemon.ctl(&["jobs"]);
    assert!(shown.code == Some(1) && shown.stdout.contains("galaxy.yml gives no answer"), "{shown:?}");
}

#[test]
fn a_handler_that_runs_here_keeps_its_jobs() {
    let (daemon, database) = running();
    database.job(1, "handler1", "new", "");
    let refused = daemon.ctl(&["reassign", "handler1", "handler0", "--yes"]);
    assert!(refused.code == Some(1) && refused.stdout.contains("galaxy:handler1 is RUNNING"), "{refused:?}");
    daemon.ctl(&["stop", "galaxy:handler1"]);
    let tag = daemon.ctl(&["reassign", "galaxy:handler1", "_default_", "--yes"]);
    assert_eq!(database.sql("SELECT handler FROM job"), "_default_", "{tag:?}");
}

#[test]
fn a_handler_is_stopped_when_no_job_is_at_a_dangerous_step() {
    let (daemon, database) = running();
    database.job(17, "handler1", "queued", "slurm");
    database.job(18, "handler1", "running", "slurm/3");
    let mut drain = daemon.ctl_follow(&["drain", "handler1"], "drain", Stdio::null());
    daemon.wait_text("drain.out", "galaxy:handler1: waits for 1 of 2 jobs: 17 (cat1) is being handed to its runner");
    assert!(daemon.text("drain.out").contains("then galaxy:handler0 take them"), "{}", daemon.text("drain.out"));
    // These stand-ins have no control queue.
    let cannot = "takes jobs until it is stopped, as it cannot be told to begin none: it has no control queues";
    assert!(daemon.text("drain.out").contains(cannot), "{}", daemon.text("drain.out"));
    assert_eq!(daemon.info("galaxy:handler1", "statename").unwrap(), "RUNNING");
    database.sql("UPDATE job SET job_runner_external_id = '4' WHERE id = 17");
    let status = until("the end of the drain", || drain.try_wait().unwrap().ok_or("it waits".to_owned()));
    let told = daemon.text("drain.out");
    assert!(status.success() && told.contains("galaxy:handler1: stopped"), "{told}");
    assert!(told.contains("galaxy:handler1: 2 jobs stay with it"), "{told}");
    assert_eq!(daemon.info("galaxy:handler1", "statename").unwrap(), "STOPPED");
    assert_eq!(daemon.info("galaxy:handler0", "statename").unwrap(), "RUNNING");
}

#[test]
fn who_breaks_a_drain_off_or_sets_a_deadline_leaves_the_handler_alone() {
    let (daemon, database) = running();
    database.job(17, "handler1", "running", "local/9");
    let pid = daemon.process_pid("galaxy:handler1");
    let mut drain = daemon.ctl_follow(&["stop", "--drain", "galaxy:handler1"], "drain", Stdio::null());
    daemon.wait_text("drain.out", "17 (cat1) runs on this host and would end");
    kill_pid(i32::try_from(drain.id()).unwrap(), Signal::SIGINT);
    let status = until("the end of the drain", || drain.try_wait().unwrap().ok_or("it waits".to_owned()));
    let told = daemon.text("drain.out");
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("interrupted: galaxy:handler1 runs on, and nothing of it was changed"), "{told}");

    let late = daemon.ctl(&["drain", "--deadline=100ms", "galaxy:handler1"]);
    assert!(late.code == Some(1) && late.stdout.contains("the deadline is over: galaxy:handler1 runs on"), "{late:?}");
    assert_eq!(daemon.process_pid("galaxy:handler1"), pid);

    let forced = daemon.ctl(&["drain", "--force", "galaxy:handler1"]);
    assert!(forced.code == Some(0) && forced.stdout.contains("stopped all the same (--force)"), "{forced:?}");
    assert_eq!(daemon.info("galaxy:handler1", "statename").unwrap(), "STOPPED");
}

#[test]
fn a_database_that_gives_no_answer_lets_nothing_be_stopped_by_draining() {
    let (daemon, _database) = running();
    fs::remove_file(daemon.path("galaxy.sqlite")).unwrap();
    let refused = daemon.ctl(&["drain", "galaxy:handler1"]);
    assert!(
        refused.code == Some(1) && refused.stdout.contains("its jobs are not known: there is no file"),
        "{refused:?}"
    );
    assert_eq!(daemon.info("galaxy:handler1", "statename").unwrap(), "RUNNING");
    let nobody = daemon.ctl(&["drain", "galaxy:other"]);
    assert!(nobody.code == Some(1) && nobody.stdout.contains("no handler of Galaxy's jobs"), "{nobody:?}");
    // A stop that asks for no draining does not ask the database.
    assert_eq!(daemon.ctl(&["stop", "galaxy:handler1"]).stdout, "galaxy:handler1: stopped\n");
}

#[test]
fn handlers_are_restarted_one_after_the_other_each_when_it_is_free() {
    let (daemon, database) = running();
    database.job(17, "handler1", "deleting", "slurm/1");
    let names = ["galaxy:handler0", "galaxy:handler1", "galaxy:other"];
    let before = names.map(|name| daemon.process_pid(name));
    let mut restart = daemon.ctl_follow(&["restart", "--drain", "galaxy:"], "restart", Stdio::null());
    daemon.wait_text("restart.out", "17 (cat1) is being finished");
    assert!(daemon.text("restart.out").contains("galaxy:handler0: started"), "{}", daemon.text("restart.out"));
    assert_eq!(daemon.process_pid("galaxy:handler1"), before[1]);
    database.sql("UPDATE job SET state = 'deleted' WHERE id = 17");
    let status = until("the end of the restart", || restart.try_wait().unwrap().ok_or("it waits".to_owned()));
    assert!(status.success(), "{}", daemon.text("restart.out"));
    daemon.wait_running(&names);
    for (name, pid) in names.iter().zip(before) {
        assert_ne!(daemon.process_pid(name), pid, "{name}");
    }
}

#[test]
fn a_program_is_scaled_up_at_once_and_down_only_when_nothing_is_stranded() {
    let mut daemon = deployment("python3");
    let database = GalaxyDatabase::sqlite(daemon.dir());
    connect(&daemon, &database);
    let refused = daemon.ctl(&["config"]);
    assert_eq!(refused.code, Some(0), "{refused:?}");
    daemon.run();
    daemon.wait_running(&["galaxy:handler0", "galaxy:handler1"]);
    let refused = daemon.ctl(&["scale", "galaxy:handler", "3"]);
    assert!(refused.code == Some(1) && refused.stdout.contains("add `numprocs_file = "), "{refused:?}");

    let text = daemon.text("supervisord.conf").replace("numprocs=2\n", "numprocs=2\nnumprocs_file=%(here)s/n\n");
    fs::write(daemon.path("supervisord.conf"), text).unwrap();
    assert_eq!(daemon.ctl(&["update"]).code, Some(0));
    let pids = ["galaxy:handler0", "galaxy:handler1"].map(|name| daemon.process_pid(name));
    let up = daemon.ctl(&["scale", "galaxy:handler", "3"]);
    assert_eq!(up.code, Some(0), "{up:?}");
    daemon.wait_running(&["galaxy:handler2"]);
    assert_eq!(daemon.text("n"), "3\n");
    assert!(daemon.ctl(&["check"]).stdout.contains("says 3 processes, which stands over numprocs=2"));
    let again = daemon.ctl(&["scale", "handler", "3"]);
    assert!(again.code == Some(0) && again.stdout.contains("has 3 processes already"), "{again:?}");

    database.job(17, "handler2", "new", "");
    database.invocation(3, "handler2", "ready");
    let late = daemon.ctl(&["scale", "--deadline=100ms", "galaxy:handler", "1"]);
    assert!(late.code == Some(1) && late.stdout.contains("17 (cat1) belongs to it"), "{late:?}");
    assert!(
        late.stdout.contains("galaxy:handler1: stopped") && late.stdout.contains("galaxy:handler2 runs on"),
        "{late:?}"
    );
    assert_eq!(
        (daemon.text("n").as_str(), daemon.info("galaxy:handler2", "statename").unwrap().as_str()),
        ("3\n", "RUNNING")
    );

    let mut down = daemon.ctl_follow(&["scale", "galaxy:handler", "2"], "down", Stdio::null());
    daemon.wait_text("down.out", "17 (cat1) belongs to it");
    database.sql("UPDATE job SET state = 'ok' WHERE id = 17");
    daemon.wait_text("down.out", "waits for 1 workflow invocations to be scheduled");
    database.sql("UPDATE workflow_invocation SET state = 'scheduled' WHERE id = 3");
    let status = until("the end of the scaling", || down.try_wait().unwrap().ok_or("it waits".to_owned()));
    assert!(status.success(), "{}", daemon.text("down.out"));
    assert!(daemon.info("galaxy:handler2", "statename").is_err(), "it is forgotten");
    assert_eq!((daemon.text("n").as_str(), daemon.process_pid("galaxy:handler0")), ("2\n", pids[0]));
}
