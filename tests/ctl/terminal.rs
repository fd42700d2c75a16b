//! galaxyctl at a terminal: table and colour, and the prompt with completion and history.

use std::process::Command;

use crate::daemon;
use crate::seat::Seat;

fn galaxyctl(daemon: &daemon::Daemon) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_galaxyctl"));
    command.arg("-c").arg(daemon.path("s.conf"));
    command
}

#[test]
fn status_at_a_terminal_is_a_table() {
    let Some(daemon) = crate::daemon("") else { return };
    let show = |variables: &[(&str, &str)]| {
        let mut command = galaxyctl(&daemon);
        command.args(["status", "galaxy:", "cat"]);
        Seat::start(command, variables).end()
    };
    let (coloured, exit) = show(&[]);
    assert!(coloured.contains("\u{1b}[32mRUNNING"), "{coloured:?}");
    assert_eq!(exit, Some(3));
    for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let (plain, _) = show(&variables);
        assert!(!plain.contains('\u{1b}') && plain.starts_with("PROCESS"), "{plain:?}");
        assert!(plain.lines().any(|line| line.starts_with("galaxy:web        RUNNING   ")), "{plain:?}");
    }
}

#[test]
fn the_prompt_completes_remembers_and_ends() {
    let Some(daemon) = crate::daemon("") else { return };
    let history = daemon.path("history");
    let mut command = galaxyctl(&daemon);
    command.args(["-r", &history]);
    let mut seat = Seat::start(command, &[("NO_COLOR", "1")]);
    assert!(seat.see("supervisor> ").contains("PROCESS"));
    seat.type_in("vers\t\r");
    seat.see("4.3.0");
    seat.see("supervisor> ");
    seat.type_in("pid galaxy:w\t\r");
    seat.see("pid galaxy:web");
    seat.see("\n");
    let pid = seat.see("\n");
    assert!(pid.trim().parse::<u32>().is_ok_and(|pid| pid > 0), "{pid:?}");
    seat.see("supervisor> ");
    seat.type_in("shutdown\r");
    seat.see("y/N? ");
    seat.type_in("n\r");
    seat.see("supervisor> ");
    seat.type_in("tail -f galaxy:handler0\r");
    seat.see("hello from 0");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(seat.child.id().cast_signed()), nix::sys::signal::Signal::SIGINT)
        .unwrap();
    seat.see("supervisor> ");
    seat.type_in("\u{4}");
    let (_, exit) = seat.end();
    assert_eq!(exit, Some(0));
    let kept = std::fs::read_to_string(&history).unwrap();
    assert!(kept.contains("version") && kept.contains("pid galaxy:web") && kept.contains("shutdown"), "{kept}");
}

#[test]
fn ctrl_c_leaves_the_prompt() {
    let Some(daemon) = crate::daemon("") else { return };
    let mut seat = Seat::start(galaxyctl(&daemon), &[("NO_COLOR", "1")]);
    seat.see("supervisor> ");
    seat.type_in("\u{3}");
    assert_eq!(seat.end().1, Some(0));
}
