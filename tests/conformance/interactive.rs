//! The prompt, the foreground command and the followers.

use std::io::Write;
use std::process::{Child, Stdio};

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;
use crate::wait::until;

clients![
    the_prompt_answers_commands,
    tail_f_follows_until_interrupted,
    maintail_f_follows_until_interrupted,
    a_program_is_talked_to_in_the_foreground,
];

fn the_prompt_answers_commands(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n[program:idle]\ncommand=/bin/cat\nautostart=false\n",
    );
    daemon.wait_running(&["cat"]);
    let lines =
        "status idle\n\nstart cat\nnonsense\nstop cat\nversion\npid idle\nshutdown\nn\nreload\nno\nquit\nstatus\n";
    Transcript::of(&daemon)
        .outcome("supervisorctl << lines", &daemon.ctl_with_input(&[], Some(lines)))
        .outcome("supervisorctl << end of file", &daemon.ctl_with_input(&[], Some("")))
        .outcome("supervisorctl -i shutdown << n", &daemon.ctl_with_input(&["-i", "shutdown"], Some("n\n")))
        .outcome("supervisorctl << exit", &daemon.ctl_with_input(&[], Some("exit\n")))
        .check("prompt");
}

fn ended(child: &mut Child) -> Option<i32> {
    until("the client's end", || child.try_wait().unwrap().ok_or_else(|| "it runs".to_string())).code()
}

fn interrupt(child: &Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
}

fn say(daemon: &Daemon, text: &str) {
    let params = format!("<param><value>cat</value></param><param><value>{text}\n</value></param>");
    assert!(daemon.call("supervisor.sendProcessStdin", &params).unwrap().contains("<boolean>1"));
}

const CAT: &str =
    "[program:cat]\ncommand=/bin/sh -c 'echo begin; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/cat.log\n";

fn tail_f_follows_until_interrupted(subject: Subject) {
    let daemon = Daemon::start(subject, CAT);
    daemon.wait_text("cat.log", "begin");
    let mut child = daemon.ctl_follow(&["tail", "-f", "cat"], "tail", Stdio::null());
    daemon.wait_text("tail.out", "begin");
    say(&daemon, "second");
    daemon.wait_text("tail.out", "second");
    say(&daemon, "third");
    daemon.wait_text("tail.out", "third");
    interrupt(&child);
    let code = ended(&mut child);
    let mut transcript = Transcript::of(&daemon);
    transcript.note(format!("{}[{code:?}]", daemon.text("tail.out")));
    for words in [&["tail", "-f", "nobody"][..], &["tail", "-f", "cat", "nonsense"]] {
        transcript.ctl(&daemon, words);
    }
    transcript.check("tail_f");
}

fn maintail_f_follows_until_interrupted(subject: Subject) {
    let daemon = Daemon::start(subject, CAT);
    let mut child = daemon.ctl_follow(&["maintail", "-f"], "tail", Stdio::null());
    daemon.wait_text("tail.out", "supervisord started");
    daemon.ctl(&["stop", "cat"]);
    daemon.wait_text("tail.out", "stopped: cat");
    interrupt(&child);
    let code = ended(&mut child);
    let text = daemon.text("tail.out");
    assert!(text.starts_with("==> Press Ctrl-C to exit <==\n"), "{text}");
    assert_eq!(code, Some(0));
}

fn a_program_is_talked_to_in_the_foreground(subject: Subject) {
    let daemon = Daemon::start(subject, CAT);
    daemon.wait_text("cat.log", "begin");
    let mut child = daemon.ctl_follow(&["fg", "cat"], "fg", Stdio::piped());
    let mut input = child.stdin.take().unwrap();
    daemon.wait_text("fg.out", "==> Press Ctrl-C to exit <==");
    daemon.wait_text("fg.out", "begin");
    input.write_all(b"hello\n").unwrap();
    daemon.wait_text("fg.out", "hello");
    input.write_all(b"again\n").unwrap();
    daemon.wait_text("fg.out", "again");
    drop(input);
    let code = ended(&mut child);
    let text = daemon.text("fg.out");
    assert!(text.contains("Exiting foreground"), "{text}");
    Transcript::of(&daemon).note(daemon.text("cat.log")).note(format!("[{code:?}]")).check("fg");
}
