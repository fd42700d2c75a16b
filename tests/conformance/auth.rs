//! Who may ask: names and passwords, plain and as a digest.

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;

clients![a_client_needs_the_password, a_digest_is_compared_with_the_sent_password];
daemons![every_url_needs_the_password];

const PROGRAM: &str = "[program:p]\ncommand=/bin/cat\nautostart=false\n";

fn a_client_needs_the_password(subject: Subject) {
    let mut daemon = Daemon::folder_with(subject, "", "username=galaxy\npassword=se:cret", PROGRAM);
    daemon.launch();
    daemon.wait_text("main.log", "supervisord started");
    let mut transcript = Transcript::of(&daemon);
    transcript
        .ctl(&daemon, &["-u", "galaxy", "-p", "se:cret", "status"])
        .ctl(&daemon, &["-u", "galaxy", "-p", "se:cret", "version"]);
    for words in
        [&["status"][..], &["-u", "galaxy", "-p", "wrong", "version"], &["-u", "nobody", "-p", "se:cret", "start", "p"]]
    {
        let outcome = daemon.ctl(words);
        // How often it is asked, and the words of the error, are Python's own.
        let mut lines: Vec<&str> =
            outcome.stdout.lines().map(|line| if line.starts_with("error: ") { "error: ..." } else { line }).collect();
        lines.dedup();
        let mut kept: Vec<&str> = Vec::new();
        for line in lines {
            if !kept.contains(&line) {
                kept.push(line);
            }
        }
        transcript.note(format!("$ supervisorctl {}\n{}\n[{:?}]", words.join(" "), kept.join("\n"), outcome.code));
    }
    let configuration = std::fs::read_to_string(daemon.path("supervisord.conf")).unwrap();
    std::fs::write(
        daemon.path("supervisord.conf"),
        configuration.replace("[supervisorctl]", "[supervisorctl]\nusername=galaxy\npassword=se:cret"),
    )
    .unwrap();
    transcript.ctl(&daemon, &["status"]).check("auth");
}

fn a_digest_is_compared_with_the_sent_password(subject: Subject) {
    // printf secret | sha1sum
    let digest = "{SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4";
    let mut daemon = Daemon::folder_with(subject, "", &format!("username=galaxy\npassword={digest}"), PROGRAM);
    daemon.launch();
    daemon.wait_text("main.log", "supervisord started");
    Transcript::of(&daemon).ctl(&daemon, &["-u", "galaxy", "-p", "secret", "version"]).check("auth_digest");
    let outcome = daemon.ctl(&["-u", "galaxy", "-p", digest, "version"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

fn every_url_needs_the_password(subject: Subject) {
    let mut daemon = Daemon::folder_with(subject, "", "username=a\npassword=b", PROGRAM);
    daemon.launch();
    daemon.wait_text("main.log", "supervisord started");
    let mut transcript = Transcript::of(&daemon);
    let good = "Authorization: Basic YTpi\r\n";
    for (head, authorization) in [
        ("POST /RPC2", ""),
        ("GET /logtail/p", ""),
        ("GET /mainlogtail", ""),
        ("GET /nonsense", ""),
        ("GET /nonsense", good),
        ("GET /logtail/nobody", good),
        ("GET /nonsense", "Authorization: Basic YTpj\r\n"),
        ("GET /nonsense", "authorization: basic YTpi\r\n"),
    ] {
        let answer = daemon.http(&format!("{head} HTTP/1.0\r\nContent-Length: 0\r\n{authorization}\r\n")).unwrap();
        let status = answer.lines().next().unwrap().split_once(' ').unwrap().1.to_string();
        let realm = answer.lines().find(|line| line.to_lowercase().starts_with("www-authenticate")).unwrap_or("");
        let realm = realm.split_once(": ").map_or("", |(_, value)| value);
        transcript.note(format!("{head} {}: {status} {realm}", authorization.trim()));
    }
    transcript.check("auth_urls");
}
