//! A bad configuration changes nothing, whichever way it comes in.

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::household::galaxyd;

fn broken() -> Daemon {
    let daemon = galaxyd("", "[program:p]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("p", "RUNNING");
    daemon.rewrite("[program:p]\ncommand=sleep 1000\nstartsecs=soon\nautorestart=perhaps\n");
    daemon
}

fn assert_untouched(daemon: &Daemon, pid: i32) {
    assert_eq!(daemon.info("p", "statename").unwrap(), "RUNNING");
    assert_eq!(daemon.process_pid("p"), pid);
}

#[test]
fn reread_update_and_reload_refuse_it_and_leave_every_process_alone() {
    let daemon = broken();
    let pid = daemon.process_pid("p");
    for command in ["reread", "update", "reload"] {
        let outcome = daemon.ctl(&[command]);
        assert_ne!(outcome.code, Some(0), "{command}: {outcome:?}");
        assert!(outcome.stdout.contains("soon"), "{command}: {outcome:?}");
        assert_untouched(&daemon, pid);
    }
}

#[test]
fn sighup_refuses_it_and_says_everything_that_is_wrong_in_the_log() {
    let daemon = broken();
    let pid = daemon.process_pid("p");
    daemon.signal(Signal::SIGHUP);
    daemon.wait_text("main.log", "nothing was changed");
    let log = daemon.text("main.log");
    for word in ["soon", "perhaps", "supervisord.conf", "program:p", "startsecs", "autorestart"] {
        assert!(log.contains(word), "{word} in {log}");
    }
    assert_untouched(&daemon, pid);
}
