//! The small programs beside daemon and client: `echo_supervisord_conf` and `pidproxy`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, finish};
use crate::subject::{Side, Subject};
use crate::transcript::Transcript;
use crate::wait::{until, until_true};

daemons![
    the_sample_has_the_same_sections_and_keys,
    a_proxy_hands_signals_on,
    a_proxy_ends_at_once_after_a_last_signal,
    a_proxy_without_a_pidfile_carries_on,
    a_proxy_wants_a_pidfile_and_a_command,
];

ours_alone![
    the_sample_is_good_for_both,
    the_sample_has_its_names,
    a_proxy_ends_with_its_command,
    a_proxy_signals_nobody_else,
    a_proxied_command_blocks_no_signal,
];

/// What the subject's `echo_supervisord_conf` prints.
fn sample(subject: Subject) -> String {
    let daemon = Daemon::folder(subject, "");
    let program = subject.daemon.bin().join("echo_supervisord_conf");
    let outcome = finish(&mut daemon.command(&program), daemon.dir(), None);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    outcome.stdout
}

fn the_sample_has_the_same_sections_and_keys(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    let mut transcript = Transcript::of(&daemon);
    for line in sample(subject).lines() {
        let text = line.strip_prefix(';').unwrap_or(line);
        if text.starts_with('[') {
            transcript.note(line.split_inclusive(']').next().unwrap());
        } else if let Some((key, value)) = line.split_once('=').filter(|_| text.starts_with(|c: char| c.is_lowercase()))
        {
            // Names of accounts are nobody's contract.
            let value = if key == ";user" { "SOMEBODY" } else { value.split(" ;").next().unwrap().trim() };
            transcript.note(format!("{}={value}", key.trim_end()));
        }
    }
    transcript.check("sample");
}

fn the_sample_is_good_for_both(subject: Subject) {
    for reader in [Subject::ORIGINAL, subject] {
        let folder = Daemon::folder(reader, "");
        let here = folder.dir().display().to_string();
        let text = sample(subject)
            .replace("/tmp/supervisord.", "%(here)s/main.")
            .replace("/tmp/supervisor.sock", &format!("{here}/s.sock"));
        fs::write(folder.path("supervisord.conf"), text).unwrap();
        let mut daemon = folder;
        daemon.run();
        let client = Subject { client: reader.daemon, ..reader };
        assert_eq!(client.client, daemon.subject.daemon);
        assert_eq!(daemon.ctl(&["version"]).stdout, "4.3.0\n");
    }
}

fn the_sample_has_its_names(subject: Subject) {
    let daemon = Daemon::folder(subject, "");
    let printed = sample(subject);
    let link = daemon.path("echo_supervisord_conf");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_galaxyd"), &link).unwrap();
    for mut command in [daemon.command(&link), {
        let mut command = daemon.command(Path::new(env!("CARGO_BIN_EXE_galaxyctl")));
        command.args(["config", "--sample"]);
        command
    }] {
        assert_eq!(finish(&mut command, daemon.dir(), None).stdout, printed);
    }
}

/// A folder with a command that makes a daemon of its own: it notes what it is sent, and its number is in a pidfile.
struct Proxied {
    daemon: Daemon,
    proxy: Child,
}

impl Proxied {
    fn start(subject: Subject, words: &[&str]) -> Proxied {
        let daemon = Daemon::folder(subject, "");
        let real = "#!/bin/sh\nfor s in HUP USR1 USR2 TERM INT QUIT; do trap \"echo $s >>got\" $s; done\n\
                    trap 'echo TERM >>got; exit 0' TERM\necho $$ >real.new; mv real.new real.pid\n\
                    while [ ! -e enough ]; do sleep 0.02; done\n";
        // The proxy's own child waits for the other one, as mysqld_safe and its like do.
        let wrapper = "#!/bin/sh\n./real\nexit \"${1:-0}\"\n";
        for (name, text) in [("real", real), ("wrapper", wrapper)] {
            fs::write(daemon.path(name), text).unwrap();
            fs::set_permissions(daemon.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let output = fs::File::create(daemon.path("proxy.out")).unwrap();
        let proxy = daemon
            .command(&program(subject))
            .env("PYTHONUNBUFFERED", "1")
            .args(words)
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Proxied { daemon, proxy }
    }

    fn wait_pidfile(&self) {
        until_true("the pidfile", || self.daemon.path("real.pid").exists());
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.proxy.id()).unwrap()), signal).unwrap();
    }

    /// Lets the proxied process end.
    fn enough(&self) {
        fs::write(self.daemon.path("enough"), "").unwrap();
    }

    fn wait_end(&mut self) -> ExitStatus {
        let Proxied { proxy, .. } = self;
        until("the proxy's end", || proxy.try_wait().unwrap().ok_or_else(|| "it still runs".to_string()))
    }
}

fn program(subject: Subject) -> PathBuf {
    subject.daemon.bin().join("pidproxy")
}

fn a_proxy_hands_signals_on(subject: Subject) {
    let mut proxied = Proxied::start(subject, &["real.pid", "./wrapper"]);
    proxied.wait_pidfile();
    for (signal, name) in [(Signal::SIGHUP, "HUP"), (Signal::SIGUSR1, "USR1"), (Signal::SIGUSR2, "USR2")] {
        proxied.signal(signal);
        proxied.daemon.wait_text("got", &format!("{name}\n"));
    }
    proxied.enough();
    assert_eq!(proxied.wait_end().code(), Some(0));
    Transcript::of(&proxied.daemon).note(proxied.daemon.text("got")).check("pidproxy_signals");
}

fn a_proxy_ends_at_once_after_a_last_signal(subject: Subject) {
    for (signal, name) in [(Signal::SIGTERM, "TERM"), (Signal::SIGINT, "INT"), (Signal::SIGQUIT, "QUIT")] {
        let mut proxied = Proxied::start(subject, &["real.pid", "./wrapper", "9"]);
        proxied.wait_pidfile();
        proxied.signal(signal);
        assert_eq!(proxied.wait_end().code(), Some(0), "{name}");
        proxied.daemon.wait_text("got", &format!("{name}\n"));
        proxied.enough();
    }
}

fn a_proxy_without_a_pidfile_carries_on(subject: Subject) {
    let mut proxied = Proxied::start(subject, &["no.pid", "./wrapper"]);
    proxied.wait_pidfile();
    proxied.signal(Signal::SIGTERM);
    proxied.daemon.wait_text("proxy.out", "!\n");
    proxied.enough();
    assert_eq!(proxied.wait_end().code(), Some(0));
    Transcript::of(&proxied.daemon).note(proxied.daemon.text("proxy.out")).check("pidproxy_without_pidfile");
}

fn a_proxy_wants_a_pidfile_and_a_command(subject: Subject) {
    for words in [&[][..], &["real.pid"]] {
        let mut proxied = Proxied::start(subject, words);
        assert_eq!(proxied.wait_end().code(), Some(1));
        let usage = "pidproxy <pidfile name> <command> [<cmdarg1> ...]\n";
        assert!(proxied.daemon.text("proxy.out").contains(usage), "{}", proxied.daemon.text("proxy.out"));
    }
}

fn a_proxy_ends_with_its_command(subject: Subject) {
    let mut proxied = Proxied::start(subject, &["real.pid", "./wrapper", "9"]);
    proxied.wait_pidfile();
    proxied.enough();
    assert_eq!(proxied.wait_end().code(), Some(9));
    let mut proxied = Proxied::start(subject, &["real.pid", "no-such-command"]);
    assert_eq!(proxied.wait_end().code(), Some(127));
}

/// The original signals whatever number it finds: zero is its own group, minus one everybody.
fn a_proxy_signals_nobody_else(subject: Subject) {
    for number in ["0", "-1", "x"] {
        let mut proxied = Proxied::start(subject, &["bad.pid", "./wrapper"]);
        proxied.wait_pidfile();
        fs::write(proxied.daemon.path("bad.pid"), number).unwrap();
        proxied.signal(Signal::SIGTERM);
        proxied.daemon.wait_text("proxy.out", "Can't read child pidfile bad.pid!\n");
        proxied.enough();
        assert_eq!(proxied.wait_end().code(), Some(0), "{number}");
        assert!(!proxied.daemon.text("got").contains("TERM"));
    }
    assert_eq!(subject.daemon, Side::Galaxyd);
}

/// Shells unblock what they inherit; other programs could not be stopped.
fn a_proxied_command_blocks_no_signal(subject: Subject) {
    let mut proxied = Proxied::start(subject, &["real.pid", "/bin/grep", "SigBlk", "/proc/self/status"]);
    assert_eq!(proxied.wait_end().code(), Some(0));
    assert_eq!(proxied.daemon.text("proxy.out"), "SigBlk:\t0000000000000000\n");
}
