//! Gravity 1.2: its `galaxyctl` runs a small Galaxy (see `instance.rs`) with the subject as its `supervisord`.

use crate::instance::Instance;
use crate::subject::Subject;
use crate::wait::until;

daemons![gravity_runs_an_instance, gravity_replaces_the_workers_of_a_named_instance, gravity_runs_in_the_foreground];

const GUNICORNS: [&str; 2] = ["gunicorn:gunicorn_0", "gunicorn:gunicorn_1"];

/// Two web processes, as a rolling restart needs them, and one of everything else.
const SERVICES: &str = "  gunicorn:
    - {bind: 'unix:ROOT/web0.sock', start_timeout: 1}
    - {bind: 'unix:ROOT/web1.sock', start_timeout: 1}
  celery: {start_timeout: 1}
  tusd: {enable: true, tusd_path: ROOT/venv/bin/tusd, upload_dir: ROOT, start_timeout: 1}
  handlers:
    handler: {processes: 2, start_timeout: 1, pools: [job-handlers, workflow-schedulers]}
";

fn gravity_runs_an_instance(subject: Subject) {
    let Some(instance) = Instance::new(subject, SERVICES) else { return };

    let update = instance.galaxyctl(&["update"]);
    assert_eq!(update.code, Some(0), "{update:?}");
    assert!(update.stdout.contains("Adding service gunicorn"), "{update:?}");
    assert!(instance.path("database/gravity/supervisor/supervisord.conf.d/_default_.d/celery_celery.conf").exists());
    let status = instance.galaxyctl(&["status"]);
    assert_eq!((status.code, status.stdout.as_str()), (Some(0), ""), "{status:?}");
    assert!(status.stderr.contains("supervisord is not running"), "{status:?}");

    let start = instance.galaxyctl(&["start"]);
    assert_eq!(start.code, Some(0), "{start:?}");
    assert!(start.stdout.contains("Log files are in"), "{start:?}");
    let all = ["celery", "celery-beat", GUNICORNS[0], GUNICORNS[1], "handler:handler_0", "handler:handler_1", "tusd"];
    assert_eq!(instance.wait_running(), all);
    instance.wait_answer("web0.sock");
    instance.wait_answer("web1.sock");
    until("celery beat's schedule", || {
        if instance.path("database/gravity/celerybeat-schedule").exists() { Ok(()) } else { Err(String::new()) }
    });

    let status = instance.galaxyctl(&["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    for (line, (name, pid)) in status.stdout.lines().zip(instance.pids()) {
        // Gravity's own tests read the fourth column.
        let columns: Vec<&str> = line.split_whitespace().take(4).collect();
        assert_eq!(columns, [name.as_str(), "RUNNING", "pid", &format!("{pid},")], "{status:?}");
    }

    graceful_rolls_the_web_processes_and_leaves_tusd(&instance);
    update_touches_what_changed(&instance);
    one_service_is_stopped_and_started(&instance);

    let stop = instance.galaxyctl(&["stop"]);
    assert_eq!(stop.code, Some(0), "{stop:?}");
    for line in ["All processes stopped, supervisord will exit", "Shut down", "supervisord has terminated"] {
        assert!(stop.stdout.contains(line), "{line}: {stop:?}");
    }
    assert!(instance.log("gunicorn_0.log").contains("shut down"));
    instance.nothing_is_left();
}

fn graceful_rolls_the_web_processes_and_leaves_tusd(instance: &Instance) {
    let before = instance.pids();
    let graceful = instance.galaxyctl(&["graceful"]);
    assert_eq!(graceful.code, Some(0), "{graceful:?}");
    // One is back before the other goes.
    let order: Vec<&str> = graceful.stdout.lines().filter(|line| line.starts_with("gunicorn:")).collect();
    let [zero, one] = GUNICORNS;
    let wanted =
        [format!("{zero}: stopped"), format!("{zero}: started"), format!("{one}: stopped"), format!("{one}: started")];
    assert_eq!(order, wanted, "{graceful:?}");
    instance.wait_running();
    for (name, pid) in instance.pids() {
        assert_eq!(before[&name] == pid, name == "tusd", "{name}: {pid}, before {before:?}");
    }
    instance.wait_answer("web0.sock");
    instance.wait_answer("web1.sock");
}

fn update_touches_what_changed(instance: &Instance) {
    let before = instance.pids();
    instance.configure(
        &SERVICES
            .replace("processes: 2", "processes: 3")
            .replace("celery: {start_timeout: 1}", "celery: {start_timeout: 1, enable_beat: false}"),
    );
    let update = instance.galaxyctl(&["update"]);
    assert_eq!(update.code, Some(0), "{update:?}");
    for line in [
        "handler: changed",
        "celery-beat: stopped",
        "celery-beat: removed process group",
        "handler: stopped",
        "handler: updated process group",
    ] {
        assert!(update.stdout.lines().any(|seen| seen == line), "{line}: {update:?}");
    }
    instance.wait_running();
    let after = instance.pids();
    assert!(!after.contains_key("celery-beat") && after.contains_key("handler:handler_2"), "{after:?}");
    for name in ["celery", "tusd", GUNICORNS[0], GUNICORNS[1]] {
        assert_eq!(before[name], after[name], "{name}");
    }
    assert_ne!(before["handler:handler_0"], after["handler:handler_0"]);
}

fn one_service_is_stopped_and_started(instance: &Instance) {
    let stop = instance.galaxyctl(&["stop", "celery"]);
    assert_eq!(stop.code, Some(0), "{stop:?}");
    assert!(stop.stdout.contains("celery: stopped") && stop.stdout.contains("Not all processes stopped"), "{stop:?}");
    assert_eq!(instance.galaxyctl(&["status"]).code, Some(3));
    let unknown = instance.galaxyctl(&["pm", "start", "nobody"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stdout.contains("nobody: ERROR (no such process)"), "{unknown:?}");
    let start = instance.galaxyctl(&["pm", "start", "celery"]);
    assert!(start.code == Some(0) && start.stdout.contains("celery: started"), "{start:?}");
    let before = instance.pids();
    let restart = instance.galaxyctl(&["restart", "celery"]);
    assert_eq!(restart.code, Some(0), "{restart:?}");
    instance.wait_running();
    for (name, pid) in instance.pids() {
        assert_eq!(before[&name] != pid, name == "celery", "{name}: {pid}, before {before:?}");
    }
}

fn gravity_replaces_the_workers_of_a_named_instance(subject: Subject) {
    let services = "  instance_name: main\n  gunicorn: {bind: 'unix:ROOT/web0.sock', preload: false, start_timeout: 1}\n  \
                    celery: {enable: false, enable_beat: false}\n";
    let Some(instance) = Instance::new(subject, services) else { return };
    let start = instance.galaxyctl(&["start"]);
    assert_eq!(start.code, Some(0), "{start:?}");
    assert_eq!(instance.wait_running(), ["main:gunicorn"]);
    let before = instance.pids();
    instance.wait_answer("web0.sock");

    let graceful = instance.galaxyctl(&["graceful"]);
    assert_eq!(graceful.code, Some(0), "{graceful:?}");
    assert!(graceful.stdout.contains("Sending SIGHUP to main:gunicorn"), "{graceful:?}");
    assert!(graceful.stdout.contains("main:gunicorn: signalled"), "{graceful:?}");
    until("the new worker", || {
        let log = instance.log("main_gunicorn_gunicorn.log");
        if log.contains("hang up") && log.matches("worker booted").count() == 2 { Ok(()) } else { Err(log) }
    });
    instance.wait_answer("web0.sock");
    assert_eq!(instance.pids(), before);

    let shutdown = instance.galaxyctl(&["shutdown"]);
    assert_eq!(shutdown.code, Some(0), "{shutdown:?}");
    assert!(shutdown.stdout.contains("supervisord has terminated"), "{shutdown:?}");
    instance.nothing_is_left();
}

/// As the unit file of Galaxy's Ansible role runs it.
fn gravity_runs_in_the_foreground(subject: Subject) {
    let services = "  gunicorn: {bind: 'unix:ROOT/web0.sock', start_timeout: 1}\n  \
                    celery: {enable: false, enable_beat: false}\n";
    let Some(instance) = Instance::new(subject, services) else { return };
    let mut foreground = instance.foreground();
    instance.wait_running();
    instance.wait_answer("web0.sock");
    let graceful = instance.galaxyctl(&["graceful"]);
    assert!(graceful.code == Some(0) && graceful.stdout.contains("gunicorn: started"), "{graceful:?}");
    let shutdown = instance.galaxyctl(&["shutdown"]);
    assert!(shutdown.code == Some(0) && shutdown.stdout.contains("Shut down"), "{shutdown:?}");
    // What is left is `tail -f` under galaxyctl, which systemd ends.
    nix::sys::signal::killpg(
        nix::unistd::Pid::from_raw(foreground.id().try_into().unwrap()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    until("the end of galaxyctl", || foreground.try_wait().unwrap().ok_or_else(|| "it still runs".to_string()));
    instance.nothing_is_left();
}
