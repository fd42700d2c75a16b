//! The command lines of both programs, and what becomes of the daemon's options.

use std::fs;

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;

daemons![
    supervisord_refuses_wrong_options,
    supervisord_prints_version_and_help,
    supervisord_without_a_configuration_says_where_it_looked,
    options_beat_the_configuration,
    long_options_may_be_shortened,
    supervisorctl_refuses_wrong_options,
    supervisorctl_finds_its_configuration,
];

fn supervisord_refuses_wrong_options(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    let path = daemon.path("supervisord.conf").display().to_string();
    let mut transcript = Transcript::of(&daemon);
    for words in [
        &["-x"][..],
        &["--nonsense"],
        &["-e"],
        &["--loglevel"],
        &["--nodaemon=yes"],
        &["--n"],
        &["--log"],
        &["foo"],
        &["foo", "bar"],
        &["-n", "-n"],
        &["-n", "--nodaemon"],
        &["-e", "zz"],
        &["--loglevel=zz"],
        &["-m", "9"],
        &["-u", "no-such-user"],
        &["-d", "/nonexistent/folder"],
        &["-l", "/nonexistent/folder/x.log"],
        &["-y", "x"],
        &["-z", "x"],
        &["-j", "/nonexistent/folder/x.pid"],
        &["-q", "/nonexistent/folder"],
        &["-a", "x"],
        &["--minprocs", "x"],
        &["-c", "/nonexistent/folder/x.conf"],
        &["-c", "/"],
        &["-C", "x"],
        &["-p", "x"],
    ] {
        let mut all = words.to_vec();
        if words[0] != "-c" {
            all.splice(0..0, ["-s", "-c", &path]);
        }
        let outcome = daemon.supervisord(&all);
        transcript.outcome(&format!("supervisord {}", words.join(" ")), &outcome);
    }
    transcript.check("supervisord_options");
}

fn supervisord_prints_version_and_help(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    let mut transcript = Transcript::of(&daemon);
    for words in [&["-v"][..], &["--version"], &["-n", "-v", "-h"], &["-c", "/nonexistent", "-v"]] {
        transcript.outcome(&format!("supervisord {}", words.join(" ")), &daemon.supervisord(words));
    }
    for word in ["-h", "--help", "-?"] {
        let outcome = daemon.supervisord(&[word]);
        // The help is free in its wording, but it names every option.
        for option in ["--configuration", "--nodaemon", "--pidfile", "--minprocs", "--childlogdir", "--strip_ansi"] {
            assert!(outcome.stdout.contains(option), "{word}: {option}: {outcome:?}");
        }
        transcript.note(format!("supervisord {word} [{:?}] stderr {:?}", outcome.code, outcome.stderr));
    }
    transcript.check("supervisord_version");
}

fn supervisord_without_a_configuration_says_where_it_looked(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    fs::remove_file(daemon.path("supervisord.conf")).unwrap();
    let outcome = daemon.supervisord(&["-n", "-s"]);
    // As root the original also warns about searching the working directory.
    let lines: Vec<&str> =
        outcome.stderr.lines().filter(|line| line.starts_with("Error") || line.starts_with("For")).collect();
    let above = subject.daemon.bin().parent().unwrap().display().to_string();
    let text = lines.join("\n").replace(&subject.daemon.bin().display().to_string(), "BIN").replace(&above, "ABOVE");
    Transcript::of(&daemon).note(text).note(format!("[{:?}]", outcome.code)).check("supervisord_no_configuration");
}

fn options_beat_the_configuration(subject: Subject) {
    let mut daemon = Daemon::folder_with(
        subject,
        "loglevel=warn\nidentifier=fromfile",
        "",
        "[program:p]\ncommand=/bin/cat\nstartsecs=0\n",
    );
    fs::create_dir(daemon.path("logs")).unwrap();
    let path = |name: &str| daemon.path(name).display().to_string();
    let (log, pid, logs) = (path("other.log"), path("other.pid"), path("logs"));
    daemon = daemon.arguments(&["-e", "debug", "-i", "fromoption", "-l", &log, "-j", &pid, "-q", &logs, "--umask=077"]);
    daemon.run();
    daemon.wait_running(&["p"]);
    let children: Vec<String> = fs::read_dir(daemon.path("logs"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(children.iter().all(|name| name.contains("---fromoption-")), "{children:?}");
    assert_eq!(children.len(), 2);
    Transcript::of(&daemon)
        .note(format!("main.log {} other.log {}", daemon.path("main.log").exists(), daemon.path("other.log").exists()))
        .note(format!("main.pid {} other.pid {}", daemon.path("main.pid").exists(), daemon.path("other.pid").exists()))
        .note(format!("debug lines: {}", daemon.text("other.log").contains(" DEBG ")))
        .rpc(&daemon, serde_json::json!([["supervisor.getIdentification", []]]))
        .check("options_beat_configuration");
}

fn long_options_may_be_shortened(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    let path = daemon.path("supervisord.conf").display().to_string();
    let mut transcript = Transcript::of(&daemon);
    for words in [&["--conf", &path, "--vers"][..], &["--conf=/nonexistent"], &["--logl", "zz"], &["--logfile_b=x"]] {
        let shown = words.join(" ");
        transcript.outcome(&format!("supervisord {shown}"), &daemon.supervisord(words));
    }
    transcript.check("supervisord_short_long_options");
}

fn supervisorctl_refuses_wrong_options(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    let mut transcript = Transcript::of(&daemon);
    for words in [
        &["-x"][..],
        &["-v"],
        &["--nonsense"],
        &["-s"],
        &["-s", "nonsense", "status"],
        &["-s", "http://", "status"],
        &["-s", "http://a", "-s", "http://b"],
        &["-i", "-i"],
        &["-c", "/nonexistent/x.conf", "status"],
        &["-c", "/", "status"],
        &["--interactive=1"],
        &["--history-file", "x"],
    ] {
        transcript.outcome(&format!("supervisorctl {}", words.join(" ")), &daemon.ctl_plain(words));
    }
    for word in ["-h", "--help", "-?"] {
        let outcome = daemon.ctl_plain(&[word]);
        for option in ["--configuration", "--serverurl", "--username", "--password", "--interactive"] {
            assert!(outcome.stdout.contains(option), "{word}: {option}: {outcome:?}");
        }
        transcript.note(format!("supervisorctl {word} [{:?}] stderr {:?}", outcome.code, outcome.stderr));
    }
    transcript.check("supervisorctl_options");
}

fn supervisorctl_finds_its_configuration(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nautostart=false\n");
    let mut transcript = Transcript::of(&daemon);
    transcript.outcome("supervisorctl status (supervisord.conf in the working folder)", &daemon.ctl_plain(&["status"]));
    fs::create_dir(daemon.path("etc")).unwrap();
    fs::rename(daemon.path("supervisord.conf"), daemon.path("etc/supervisord.conf")).unwrap();
    let text = fs::read_to_string(daemon.path("etc/supervisord.conf")).unwrap();
    let here = daemon.dir().display().to_string();
    fs::write(daemon.path("etc/supervisord.conf"), text.replace("%(here)s", &here)).unwrap();
    transcript.outcome("supervisorctl version (etc/supervisord.conf)", &daemon.ctl_plain(&["version"]));
    fs::write(daemon.path("etc/supervisord.conf"), "[supervisord]\n").unwrap();
    transcript.outcome("supervisorctl status (no section supervisorctl)", &daemon.ctl_plain(&["status"]));
    fs::write(daemon.path("etc/supervisord.conf"), "[supervisorctl]\nserverurl=nonsense\n").unwrap();
    transcript.outcome("supervisorctl status (a wrong serverurl)", &daemon.ctl_plain(&["status"]));
    transcript.check("supervisorctl_configuration");
}
