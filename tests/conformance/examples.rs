//! The configurations in `examples/supervisor-confs`: both daemons accept them, and the quickstart lives.

use std::fs;
use std::path::Path;

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;

daemons![every_example_is_accepted, the_quickstart_shows_the_table_of_the_scaling_page];

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/supervisor-confs")
}

fn every_example_is_accepted(subject: Subject) {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name;
    let mut names: Vec<_> = fs::read_dir(folder()).unwrap().flatten().map(|entry| entry.path()).collect();
    names.retain(|path| path.extension().is_some_and(|end| end == "conf"));
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    for path in names {
        let daemon = Daemon::folder(subject, "");
        let here = daemon.dir().display().to_string();
        for name in ["log", "var", "config", "server"] {
            fs::create_dir(daemon.path(name)).unwrap();
        }
        // Paths and the user are what an administrator changes; the pidfile tells of the acceptance.
        let text = fs::read_to_string(&path)
            .unwrap()
            .replace("/srv/galaxy/var/supervisord.pid", &format!("{here}/supervisord.pid"))
            .replace("%(here)s/quickstart.pid", &format!("{here}/supervisord.pid"))
            .replace("/srv/galaxy", &here)
            .replace("user            = galaxy", &format!("user            = {user}"));
        fs::write(daemon.path("example.conf"), text).unwrap();
        let refusal = daemon.refusal(&daemon.path("example.conf"));
        assert!(refusal.is_none(), "{}: {refusal:?}", path.display());
    }
}

fn the_quickstart_shows_the_table_of_the_scaling_page(subject: Subject) {
    let text = fs::read_to_string(folder().join("quickstart.conf")).unwrap();
    let mut daemon = Daemon::folder_raw(
        subject,
        text.replace("quickstart.sock", "s.sock")
            .replace("quickstart.pid", "main.pid")
            .replace("quickstart.log", "main.log"),
    );
    daemon.run();
    daemon.wait_running(&["galaxy:web", "galaxy:handler0", "galaxy:handler1", "galaxy:handler2"]);
    let mut transcript = Transcript::of(&daemon);
    transcript.ctl(&daemon, &["status"]);
    let outcome = daemon.ctl(&["restart", "galaxy:"]);
    assert_eq!(outcome.stdout.lines().count(), 8, "{outcome:?}");
    let params = "<param><value>galaxy:handler0</value></param><param><value>job 1\n</value></param>";
    daemon.call("supervisor.sendProcessStdin", params).unwrap();
    crate::wait::until_true("the handler's word", || {
        daemon.ctl(&["tail", "galaxy:handler0"]).stdout.contains("handler0: ran job 1")
    });
    transcript.check("quickstart");
}
