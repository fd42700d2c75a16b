//! Configurations that the daemon refuses: its words and its exit status 2.

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;

daemons![
    broken_syntax_is_refused,
    broken_daemon_values_are_refused,
    broken_program_values_are_refused,
    broken_log_values_are_refused,
    broken_groups_and_templates_are_refused,
    broken_expansions_are_refused,
    broken_environments_are_refused,
    broken_servers_are_refused,
    broken_listeners_and_fcgi_programs_are_refused,
    broken_includes_are_refused,
];

/// The answer to each configuration, in one record.
fn refused(subject: Subject, name: &str, configurations: &[&str]) {
    let daemon = Daemon::folder(subject, "");
    let path = daemon.path("broken.conf");
    let mut transcript = Transcript::of(&daemon);
    for text in configurations {
        std::fs::write(&path, text).unwrap();
        let title = format!("supervisord <<\n{text}<<");
        match daemon.refusal(&path) {
            Some(outcome) => transcript.outcome(&title, &outcome),
            None => transcript.note(format!("$ {title}\naccepted")),
        };
    }
    transcript.check(name);
}

/// As [`refused`], for values of one program's keys.
fn refused_program(subject: Subject, name: &str, lines: &[&str]) {
    let texts: Vec<String> = lines
        .iter()
        .map(|line| {
            let command = if line.starts_with("command") { "" } else { "command=/bin/cat\n" };
            format!("[supervisord]\n[program:x]\n{command}{line}\n")
        })
        .collect();
    refused(subject, name, &texts.iter().map(String::as_str).collect::<Vec<_>>());
}

fn broken_syntax_is_refused(subject: Subject) {
    refused(
        subject,
        "broken_syntax",
        &[
            "",
            "key=value\n[supervisord]\n",
            "[supervisord]\nnonsense\n",
            "[supervisord]\nnonsense\nlogfile=x\nmore nonsense\n[program:x]\ncommand\n",
            "[supervisord]\n=x\n",
            "[supervisord\nlogfile=x\n",
            "[program:x]\ncommand=/bin/cat\n",
            "[supervisor]\n",
        ],
    );
}

fn broken_daemon_values_are_refused(subject: Subject) {
    let lines = [
        "loglevel=loud",
        "umask=9",
        "umask=abc",
        "nodaemon=perhaps",
        "silent=2",
        "nocleanup=x",
        "strip_ansi=x",
        "minfds=many",
        "minfds=-1x",
        "minprocs=x",
        "logfile_maxbytes=1TB",
        "logfile_maxbytes=x",
        "logfile_backups=x",
        "logfile=/nonexistent/folder/x.log",
        "pidfile=/nonexistent/folder/x.pid",
        "childlogdir=/nonexistent/folder",
        "directory=/nonexistent/folder",
        "user=no-such-user",
        "user=99999999999",
        "user=",
        "environment=A",
        "environment=A=",
        "environment=A=%(ENV_NOBODY)s",
        "identifier=%(nonsense)s",
        "logfile=%(",
        "umask=%(here)s",
    ];
    let texts: Vec<String> = lines.iter().map(|line| format!("[supervisord]\n{line}\n")).collect();
    refused(subject, "broken_daemon_values", &texts.iter().map(String::as_str).collect::<Vec<_>>());
}

fn broken_program_values_are_refused(subject: Subject) {
    refused_program(
        subject,
        "broken_program_values",
        &[
            "startsecs=soon",
            "startsecs=1.5",
            "startretries=x",
            "stopwaitsecs=x",
            "priority=high",
            "autostart=perhaps",
            "autorestart=sometimes",
            "exitcodes=0,x",
            "exitcodes=256",
            "exitcodes=-1",
            "stopsignal=NONSENSE",
            "stopsignal=999",
            "stopsignal=",
            "stopasgroup=x",
            "killasgroup=x",
            "stopasgroup=true\nkillasgroup=false",
            "umask=8",
            "umask=abc",
            "user=no-such-user",
            "user=",
            "redirect_stderr=x",
            "numprocs=x",
            "serverurl=nonsense",
            "command=",
            "comand=/bin/cat",
            "process_name=a b",
            "process_name=a:b",
            "process_name=a/b",
            "process_name=",
        ],
    );
    refused(
        subject,
        "broken_program_names",
        &[
            "[supervisord]\n[program:]\ncommand=/bin/cat\n",
            "[supervisord]\n[program:a b]\ncommand=/bin/cat\n",
            "[supervisord]\n[program:a:b]\ncommand=/bin/cat\n",
            "[supervisord]\n[program:a/b]\ncommand=/bin/cat\n",
            "[supervisord]\n[program:x]\ncommand=/bin/cat\nstartsecs=a\n[program:y]\ncommand=/bin/cat\nstartsecs=b\n",
        ],
    );
}

fn broken_log_values_are_refused(subject: Subject) {
    refused_program(
        subject,
        "broken_log_values",
        &[
            "stdout_logfile=/nonexistent/folder/x.log",
            "stderr_logfile=/nonexistent/folder/x.log",
            "stdout_logfile_maxbytes=1TB",
            "stderr_logfile_maxbytes=x",
            "stdout_logfile_backups=x",
            "stderr_logfile_backups=1.5",
            "stdout_capture_maxbytes=x",
            "stdout_events_enabled=x",
            "stderr_events_enabled=maybe",
            "stdout_syslog=x",
            "stderr_syslog=x",
        ],
    );
}

fn broken_groups_and_templates_are_refused(subject: Subject) {
    refused(
        subject,
        "broken_groups",
        &[
            "[supervisord]\n[group:g]\n",
            "[supervisord]\n[group:g]\nprograms=\n",
            "[supervisord]\n[group:g]\nprograms=nobody\n",
            "[supervisord]\n[group:g]\nprograms=a,nobody\n[program:a]\ncommand=/bin/cat\n",
            "[supervisord]\n[group:g]\nprograms=a\npriority=x\n[program:a]\ncommand=/bin/cat\n",
            "[supervisord]\n[group:a b]\nprograms=a\n[program:a]\ncommand=/bin/cat\n",
            "[supervisord]\n[group:a:b]\nprograms=a\n[program:a]\ncommand=/bin/cat\n",
            "[supervisord]\n[program:a]\ncommand=/bin/cat\nnumprocs=2\n",
            "[supervisord]\n[program:a]\ncommand=/bin/cat\nnumprocs=2\nprocess_name=%(program_name)s\n",
            "[supervisord]\n[program:a]\ncommand=/bin/cat\nnumprocs=2\nnumprocs_start=x\nprocess_name=%(process_num)s\n",
        ],
    );
}

fn broken_expansions_are_refused(subject: Subject) {
    refused_program(
        subject,
        "broken_expansions",
        &[
            "command=/bin/cat %(nonsense)s",
            "command=/bin/cat %(ENV_NOBODY_HAS_THIS)s",
            "command=/bin/cat %",
            "command=/bin/cat 50% of",
            "command=/bin/cat %(here)",
            "command=/bin/cat %(here",
            "command=/bin/cat %(process_num)q",
            "command=/bin/cat %(program_name)d",
            "directory=%(nonsense)s",
            "process_name=%(nonsense)s",
            "environment=A=\"%(nonsense)s\"",
            "stdout_logfile=%(nonsense)s",
            "startsecs=%(nonsense)s",
            "priority=%(process_num)s",
        ],
    );
}

fn broken_environments_are_refused(subject: Subject) {
    refused_program(
        subject,
        "broken_environments",
        &[
            "environment=A",
            "environment=A=",
            "environment=A=1,,B=2",
            "environment=A=1 B=2",
            "environment=A=a@b",
            "environment=A=x=y",
            "environment=A={x}",
            "environment=A=1\n  B=2",
            "environment=A=\"unclosed",
            "environment=A=\"a ; b\"",
            "environment=A='x",
        ],
    );
}

fn broken_servers_are_refused(subject: Subject) {
    refused(
        subject,
        "broken_servers",
        &[
            "[supervisord]\n[unix_http_server]\n",
            "[supervisord]\n[unix_http_server]\nfile=/nonexistent/folder/s.sock\n",
            "[supervisord]\n[unix_http_server]\nfile=%(here)s/x.sock\nchmod=9\n",
            "[supervisord]\n[unix_http_server]\nfile=%(here)s/x.sock\nchown=no-such-user\n",
            "[supervisord]\n[unix_http_server]\nfile=%(here)s/x.sock\nchown=nobody:no-such-group\n",
            "[supervisord]\n[unix_http_server]\nfile=%(here)s/x.sock\nusername=a\n",
            "[supervisord]\n[unix_http_server]\nfile=%(here)s/x.sock\npassword=a\n",
            "[supervisord]\n[inet_http_server]\n",
            "[supervisord]\n[inet_http_server]\nport=\n",
            "[supervisord]\n[inet_http_server]\nport=x\n",
            "[supervisord]\n[inet_http_server]\nport=127.0.0.1:x\n",
            "[supervisord]\n[inet_http_server]\nport=127.0.0.1:99999\n",
            "[supervisord]\n[inet_http_server]\nport=127.0.0.1:1\nusername=a\n",
        ],
    );
}

fn broken_listeners_and_fcgi_programs_are_refused(subject: Subject) {
    let listener = |lines: &str| format!("[supervisord]\n[eventlistener:l]\ncommand=/bin/cat\n{lines}\n");
    let fcgi = |lines: &str| format!("[supervisord]\n[fcgi-program:f]\ncommand=/bin/cat\n{lines}\n");
    let texts = [
        listener(""),
        listener("events="),
        listener("events=NONSENSE"),
        listener("events=EVENT,NONSENSE"),
        listener("events=EVENT\nbuffer_size=x"),
        listener("events=EVENT\nbuffer_size=0"),
        listener("events=EVENT\nredirect_stderr=true"),
        listener("events=EVENT\nstdout_capture_maxbytes=1"),
        listener("events=EVENT\nresult_handler=nonsense"),
        listener("events=EVENT\nnumprocs=2"),
        fcgi(""),
        fcgi("socket="),
        fcgi("socket=nonsense"),
        fcgi("socket=tcp://localhost"),
        fcgi("socket=tcp://localhost:x"),
        fcgi("socket=unix://relative"),
        fcgi("socket=unix:///tmp/x\nsocket_mode=9"),
        fcgi("socket=unix:///tmp/x\nsocket_owner=no-such-user"),
        fcgi("socket=unix:///tmp/x\nsocket_backlog=x"),
        fcgi("socket=tcp://localhost:1\nsocket_owner=nobody"),
        fcgi("socket=tcp://localhost:1\nsocket_mode=0700"),
    ];
    refused(subject, "broken_pools", &texts.iter().map(String::as_str).collect::<Vec<_>>());
}

fn broken_includes_are_refused(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    let path = daemon.path("broken.conf").display().to_string();
    let mut transcript = Transcript::of(&daemon);
    for (main, included) in [
        ("[supervisord]\n[include]\n", ""),
        ("[supervisord]\n[include]\nfiles=%(nonsense)s\n", ""),
        ("[supervisord]\n[include]\nfiles=inc.conf\n", "nonsense\n"),
        ("[supervisord]\n[include]\nfiles=inc.conf\n", "[program:x]\nnonsense\n"),
        ("[supervisord]\n[include]\nfiles=inc.conf\n", "[program:x]\ncommand=/bin/cat\nstartsecs=x\n"),
        (
            "[supervisord]\n[include]\nfiles=*.conf nothing/*.ini\n[program:x]\ncommand=/bin/cat\n",
            "[program:x]\nstartsecs=x\n",
        ),
        ("[supervisord]\n[include]\nfiles=inc.conf\n", "[supervisord]\nloglevel=loud\n"),
        ("[include]\nfiles=inc.conf\n", "[supervisord]\nloglevel=loud\n"),
    ] {
        std::fs::write(daemon.path("broken.conf"), main).unwrap();
        std::fs::write(daemon.path("inc.conf"), included).unwrap();
        std::fs::remove_file(daemon.path("supervisord.conf")).ok();
        let outcome = daemon.supervisord(&["-n", "-s", "-c", &path]);
        transcript.outcome(&format!("supervisord <<\n{main}<< inc.conf\n{included}<<"), &outcome);
    }
    transcript.check("broken_includes");
}
