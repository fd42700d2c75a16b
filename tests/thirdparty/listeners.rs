//! Event listeners that people run: superlance's, and supervisord-dependent-startup.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use crate::daemon::Daemon;
use crate::parcels::{listeners, or_told};
use crate::script::free_port;
use crate::subject::Subject;
use crate::wait::until;

daemons![
    httpok_restarts_what_does_not_answer,
    memmon_restarts_what_has_grown,
    crashmail_tells_of_an_unexpected_exit,
    batched_mails_tell_of_crashes_and_of_fatal_programs,
    programs_start_in_the_order_of_their_dependencies,
];

/// A folder with a stand-in for sendmail that appends to `mails`, and the listeners' programs.
struct Post {
    daemon: Daemon,
}

impl Post {
    /// `sections` may say BIN, for the folder of the listeners, and SENDMAIL. `None` where they cannot be installed.
    fn start(subject: Subject, sections: &str) -> Option<Post> {
        let venv = or_told(listeners())?;
        let bin = venv.join("bin").display().to_string();
        let mut daemon = Daemon::folder(subject, "");
        let script = daemon.path("sendmail");
        fs::write(&script, format!("cat >> '{}'\n", daemon.path("mails").display())).unwrap();
        let sendmail = format!("/bin/sh {}", script.display());
        daemon.rewrite(&sections.replace("BIN", &bin).replace("SENDMAIL", &sendmail));
        daemon.run();
        Some(Post { daemon })
    }

    /// Waits for a mail with all of these words.
    fn wait_mail(&self, words: &[&str]) -> String {
        until(&format!("a mail with {words:?}"), || {
            let mails = self.daemon.text("mails");
            if words.iter().all(|word| mails.contains(word)) { Ok(mails) } else { Err(mails) }
        })
    }
}

fn httpok_restarts_what_does_not_answer(subject: Subject) {
    let sections = format!(
        "[program:web]\ncommand = /bin/cat\nstartsecs = 0\n\
         [eventlistener:httpok]\nevents = TICK_5\n\
         command = BIN/httpok -p web -t 5 -m admin@example.org -s \"SENDMAIL\" http://127.0.0.1:{}/status\n",
        free_port()
    );
    let Some(post) = Post::start(subject, &sections) else { return };
    post.daemon.wait_running(&["web", "httpok"]);
    let before = post.daemon.process_pid("web");
    let mail = post.wait_mail(&["To: admin@example.org", "web"]);
    assert!(mail.contains("httpok: http://127.0.0.1"), "{mail}");
    until("the restart", || {
        let pid = post.daemon.process_pid("web");
        if pid != 0 && pid != before { Ok(()) } else { Err(format!("{pid}, before {before}")) }
    });
}

fn memmon_restarts_what_has_grown(subject: Subject) {
    let fat = "import signal; hold = bytearray(b'x' * 60000000); signal.pause()";
    let sections = format!(
        "[program:fat]\ncommand = BIN/python -c \"{fat}\"\nstartsecs = 0\n\
         [program:thin]\ncommand = /bin/cat\nstartsecs = 0\n\
         [eventlistener:memmon]\nevents = TICK_5\n\
         command = BIN/memmon -p fat=30MB -p thin=30MB -n host -m admin@example.org -s \"SENDMAIL\"\n"
    );
    if !Path::new("/bin/ps").exists() && !Path::new("/usr/bin/ps").exists() {
        or_told::<()>(&Err("memmon: there is no ps (package procps)".to_string()));
        return;
    }
    let Some(post) = Post::start(subject, &sections) else { return };
    post.daemon.wait_running(&["fat", "thin", "memmon"]);
    let thin = post.daemon.process_pid("thin");
    let mail = post.wait_mail(&["To: admin@example.org", "memmon [host]: process fat:fat restarted"]);
    assert!(!mail.contains("thin:thin"), "{mail}");
    assert_eq!(post.daemon.process_pid("thin"), thin);
}

fn crashmail_tells_of_an_unexpected_exit(subject: Subject) {
    let sections = "\
[program:crasher]\ncommand = /bin/sh -c 'read line; exit 3'\nstartsecs = 0\nautorestart = false\n\
[program:ender]\ncommand = /bin/sh -c 'read line; exit 0'\nstartsecs = 0\nautorestart = false\n\
[eventlistener:crashmail]\nevents = PROCESS_STATE_EXITED\n\
command = BIN/crashmail -a -o host -m admin@example.org -s \"SENDMAIL\"\n";
    let Some(post) = Post::start(subject, sections) else { return };
    post.daemon.wait_running(&["crasher", "ender", "crashmail"]);
    let pid = post.daemon.process_pid("crasher");
    for name in ["ender", "crasher"] {
        let text = |text: &str| format!("<param><value><string>{text}</string></value></param>");
        post.daemon.call("supervisor.sendProcessStdin", &(text(name) + &text("go\n"))).unwrap();
        post.daemon.wait_state(name, "EXITED");
    }
    let mail = post.wait_mail(&["Subject: host: crasher crashed at"]);
    let line = format!("Process crasher in group crasher exited unexpectedly (pid {pid}) from state RUNNING");
    assert!(mail.contains(&line) && !mail.contains("ender"), "{mail}");
}

fn batched_mails_tell_of_crashes_and_of_fatal_programs(subject: Subject) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let options = format!("-i 0.01 -e TICK_5 -t admin@example.org -f daemon@example.org -H {address}");
    let sections = format!(
        "[program:doomed]\ncommand = /bin/false\nstartretries = 0\n\
         [program:crasher]\ncommand = /bin/sh -c 'exit 3'\nstartsecs = 0\nautorestart = false\n\
         [eventlistener:fatal]\nevents = PROCESS_STATE,TICK_5\npriority = -1\ncommand = BIN/fatalmailbatch {options} -s fatal\n\
         [eventlistener:crash]\nevents = PROCESS_STATE,TICK_5\npriority = -1\ncommand = BIN/crashmailbatch {options} -s crash\n"
    );
    let Some(post) = Post::start(subject, &sections) else { return };
    post.daemon.wait_running(&["fatal", "crash"]);
    let mut mails = [receive(&server), receive(&server)];
    mails.sort_by_key(|mail| !mail.contains("Subject: crash"));
    let [crash, fatal] = mails;
    assert!(crash.contains("Process crasher:crasher (pid ") && crash.contains("died unexpectedly"), "{crash}");
    assert!(
        fatal.contains("Subject: fatal") && fatal.contains("Process doomed:doomed failed to start too many times"),
        "{fatal}"
    );
}

/// One mail, taken as an SMTP server takes it.
fn receive(server: &TcpListener) -> String {
    let (stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let say = |line: &str| (&stream).write_all(format!("{line}\r\n").as_bytes()).unwrap();
    say("220 stand-in");
    let mut mail = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the client went: {mail}");
        match line.get(..4).unwrap_or_default() {
            "QUIT" | "quit" => {
                say("221 bye");
                return mail;
            }
            "DATA" | "data" => {
                say("354 go on");
                while !mail.ends_with("\r\n.\r\n") {
                    assert_ne!(reader.read_line(&mut mail).unwrap(), 0, "{mail}");
                }
                say("250 taken");
            }
            _ => say("250 good"),
        }
    }
}

fn programs_start_in_the_order_of_their_dependencies(subject: Subject) {
    let program = |name: &str, keys: &str| {
        format!(
            "[program:{name}]\ncommand = /bin/cat\nautostart = false\nstartsecs = 1\ndependent_startup = true\n{keys}"
        )
    };
    let sections = [
        program("web", "dependent_startup_wait_for = database:running broker:running\n"),
        program("database", ""),
        program("broker", "dependent_startup_wait_for = database:running\n"),
        "[eventlistener:order]\ncommand = BIN/supervisord-dependent-startup -c CONF\nautostart = true\nstartsecs = 0\n\
         events = PROCESS_STATE\nautorestart = unexpected\n"
            .to_string(),
    ]
    .concat();
    let Some(venv) = or_told(listeners()) else { return };
    let mut daemon = Daemon::folder(subject, "");
    let configuration = daemon.path("supervisord.conf").display().to_string();
    let bin = venv.join("bin").display().to_string();
    daemon.rewrite(&sections.replace("BIN", &bin).replace("CONF", &configuration));
    daemon.run();
    for name in ["database", "broker", "web"] {
        daemon.wait_state(name, "RUNNING");
    }
    let events = daemon.log_lines(&["spawned: ", "success: "]);
    let order: Vec<String> = events
        .iter()
        .filter_map(|line| line.strip_prefix("INFO "))
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ").replace('\'', ""))
        .filter(|line| !line.ends_with("order"))
        .collect();
    let wanted =
        ["database", "broker", "web"].map(|name| [format!("spawned: {name}"), format!("success: {name}")]).concat();
    assert_eq!(order, wanted, "{events:?}");
}
