//! A handler that is drained is told to begin nothing new, by Galaxy's control queue; who lets it run takes that back. The
//! handlers are stand-ins that obey as Galaxy does, kombu and its queues on SQLite are real.

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::galaxy_database::GalaxyDatabase;
use crate::household::kill_pid;
use crate::notice::tell;
use crate::subject::Subject;
use crate::venv;
use crate::wait::until;

/// What Galaxy's queue worker does with a control task, when there is no file `deaf` any more.
const HANDLER: &str = r#"
import os, socket, sys, time
import kombu

name = next(word.split("=")[1] for word in sys.argv if word.startswith("--server-name="))
began = time.time()

def obey(body, message):
    result = "NO_OP"
    if body["task"] == "admin_job_lock" and message.headers["epoch"] > began:
        print("job_lock is", body["kwargs"]["job_lock"], flush=True)
        result = None
    words = message.properties
    producer.publish({"result": result}, exchange="", routing_key=words["reply_to"], correlation_id=words["correlation_id"])
    message.ack()

with kombu.Connection(os.environ["GALAXY_CONFIG_OVERRIDE_AMQP_INTERNAL_CONNECTION"]) as connection:
    producer = connection.Producer()
    queue = kombu.Queue("control.%s@%s" % (name, socket.gethostname()))
    with connection.Consumer(queue, callbacks=[obey], accept=["json"]):
        print("listens", flush=True)
        while os.path.exists(os.path.join(os.path.dirname(sys.argv[0]), "deaf")):
            time.sleep(0.1)
        while True:
            connection.drain_events()
"#;

const SECTIONS: &str = "[program:handler]\n\
    command=PYTHON %(here)s/galaxy-main -c %(here)s/galaxy.yml --server-name=handler%(process_num)d \
    --attach-to-pool=job-handlers\n\
    environment=GALAXY_CONFIG_OVERRIDE_AMQP_INTERNAL_CONNECTION=\"BROKER\"\n\
    process_name=handler%(process_num)d\nnumprocs=2\nstartsecs=0\nredirect_stderr=true\n\
    stdout_logfile=%(here)s/handler%(process_num)d.log\n[group:galaxy]\nprograms=handler\n";

/// Both handlers, which listen, and their database; `files` are there before. `None`: there is no kombu, which was said.
fn listening(files: &[&str]) -> Option<(Daemon, GalaxyDatabase)> {
    let python = match venv::environment("venv-broker", "kombu SQLAlchemy", "python") {
        Ok(venv) => venv.join("bin/python"),
        Err(why) => {
            tell(&format!("could not run: no kombu: {why}"));
            return None;
        }
    };
    let sections = SECTIONS.replace("PYTHON", &python.display().to_string());
    let mut daemon = Daemon::folder(
        Subject::GALAXYD,
        &sections
            .replace("BROKER", "sqlalchemy+sqlite:///%(here)s/control.sqlite?isolation_level=IMMEDIATE&timeout=60"),
    );
    let database = GalaxyDatabase::sqlite(daemon.dir());
    fs::write(daemon.path("galaxy-main"), HANDLER).unwrap();
    for file in files {
        fs::write(daemon.path(file), "").unwrap();
    }
    let text = format!(
        "galaxy:\n  database_connection: {}\n  job_config:\n    runners:\n      local:\n        load: \
         galaxy.jobs.runners.local:LocalJobRunner\n    handling:\n      assign: [db-skip-locked]\n",
        database.url()
    );
    fs::write(daemon.path("galaxy.yml"), text).unwrap();
    // Two processes that make the tables at once would be in each other's way.
    let tables = "import kombu, sys\nwith kombu.Connection(sys.argv[1]) as c: kombu.Queue('first').bind(c.channel()).queue_declare()";
    let broker = format!("sqlalchemy+sqlite:///{}", daemon.path("control.sqlite").display());
    let made = Command::new(&python).args(["-c", tables, &broker]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    daemon.run();
    for log in ["handler0.log", "handler1.log"] {
        daemon.wait_text(log, "listens");
    }
    Some((daemon, database))
}

/// What a handler was told, in order.
fn told(daemon: &Daemon, log: &str) -> Vec<bool> {
    daemon.text(log).lines().filter_map(|line| line.strip_prefix("job_lock is ")).map(|word| word == "True").collect()
}

#[test]
fn a_handler_that_is_drained_is_held_and_let_go_when_it_runs_on() {
    let Some((daemon, database)) = listening(&[]) else { return };
    database.job(17, "handler1", "running", "local/9");
    let mut drain = daemon.ctl_follow(&["drain", "handler1"], "drain", Stdio::null());
    daemon.wait_text("drain.out", "galaxy:handler1: begins no new job from now on");
    daemon.wait_text("drain.out", "17 (cat1) runs on this host and would end");
    assert_eq!(told(&daemon, "handler1.log"), [true], "before anything is waited for");
    kill_pid(i32::try_from(drain.id()).unwrap(), Signal::SIGINT);
    let status = until("the end of the drain", || drain.try_wait().unwrap().ok_or("it waits".to_owned()));
    let text = daemon.text("drain.out");
    assert!(status.code() == Some(1) && text.ends_with("galaxy:handler1: begins new jobs again\n"), "{text}");
    assert_eq!(told(&daemon, "handler1.log"), [true, false]);

    let late = daemon.ctl(&["restart", "--drain", "--deadline=1s", "galaxy:handler1"]);
    assert!(late.code == Some(1) && late.stdout.contains("the deadline is over: galaxy:handler1 runs on"), "{late:?}");
    until("that it begins jobs again", || {
        let told = told(&daemon, "handler1.log");
        (told == [true, false, true, false]).then_some(()).ok_or(format!("{told:?}"))
    });

    database.sql("UPDATE job SET state = 'ok' WHERE id = 17");
    let done = daemon.ctl(&["drain", "handler1"]);
    assert!(done.code == Some(0) && done.stdout.contains("galaxy:handler1: stopped"), "{done:?}");
    assert_eq!(told(&daemon, "handler1.log"), [true, false, true, false, true], "it began nothing on its way out");
    assert!(told(&daemon, "handler0.log").is_empty(), "the other was told nothing");
}

#[test]
fn a_handler_that_hears_nothing_is_drained_without_being_held() {
    let Some((daemon, database)) = listening(&["deaf"]) else { return };
    database.job(17, "handler1", "running", "local/9");
    let mut drain = daemon.ctl_follow(&["drain", "--deadline=1s", "handler1"], "drain", Stdio::null());
    daemon.wait_text("drain.out", "nobody knows whether it obeys: no answer within 1 s");
    daemon.wait_text("drain.out", "the deadline is over: galaxy:handler1 runs on");
    // What it finds in its queue when it looks again leaves it as it was.
    fs::remove_file(daemon.path("deaf")).unwrap();
    let status = until("the end of the drain", || drain.try_wait().unwrap().ok_or("it waits".to_owned()));
    assert_eq!(status.code(), Some(1), "{}", daemon.text("drain.out"));
    until("that both tasks are done", || {
        let told = told(&daemon, "handler1.log");
        (told == [true, false]).then_some(()).ok_or(format!("{told:?}"))
    });

    // Without any queue it is stopped all the same.
    database.sql("UPDATE job SET state = 'ok' WHERE id = 17");
    fs::remove_file(daemon.path("control.sqlite")).unwrap();
    let done = daemon.ctl(&["drain", "handler1"]);
    let cannot =
        "galaxy:handler1: takes jobs until it is stopped, as it cannot be told to begin none: there is no file";
    assert!(done.code == Some(0) && done.stdout.contains(cannot), "{done:?}");
    assert!(done.stdout.contains("galaxy:handler1: stopped"), "{done:?}");
}
