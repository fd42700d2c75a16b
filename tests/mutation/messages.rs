//! Messages with errors at the socket where a program says that it is ready.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::daemon::Daemon;
use crate::dice::Dice;
use crate::household::{anonymous_kb, galaxyd, worker_of};
use crate::requests::{GROWTH_KB_MAX, WARM_UP, requests};
use crate::wait::until;

const MESSAGES: &[&str] = &[
    "READY=1",
    "READY=1\nSTATUS=up",
    "STATUS=loading\nREADY=1",
    "RELOADING=1\nMONOTONIC_USEC=12345",
    "STOPPING=1",
    "MAINPID=1",
    "WATCHDOG=trigger",
    "FDSTORE=1\nFDNAME=x",
    "FDSTOREREMOVE=1\nFDNAME=x",
    "BARRIER=1",
    "EXTEND_TIMEOUT_USEC=18446744073709551615",
];

const SPICES: &[&[u8]] = &[b"\n", b"\0", b"=", b"READY=", b"READY=1\r\n", b" READY=1", b"\xff", b"11111111"];

/// What is read of one.
const READ_BYTES: usize = 4096;

/// A connection to the socket of the program, as it finds it in its environment.
fn mailbox(daemon: &Daemon, process: &str) -> UnixDatagram {
    let environment = std::fs::read(format!("/proc/{}/environ", daemon.process_pid(process))).unwrap();
    let name = environment.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(b"NOTIFY_SOCKET=@")).unwrap();
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
    socket
}

/// One that does not say that the program is ready.
fn message(dice: &mut Dice) -> Vec<u8> {
    loop {
        let mut bytes = dice.pick(MESSAGES).as_bytes().to_vec();
        dice.damage(&mut bytes, SPICES);
        if dice.one_in(20) {
            // Cut where the reading ends, it would say so now and then.
            bytes.push(b'\n');
            bytes.resize(READ_BYTES - dice.throw(20), b'x');
            bytes.extend(b"\nREADY=1");
            bytes.resize(READ_BYTES + 100, b'2');
            return bytes;
        }
        if !bytes.split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
            return bytes;
        }
    }
}

#[test]
fn messages_with_errors_make_nobody_ready_and_do_no_harm() {
    let daemon = galaxyd("silent=true\n", "[program:mute]\ncommand=sleep 10000\nready=notify\n");
    daemon.wait_running(&["mute"]);
    let (keeper, mute) = (daemon.pid(), daemon.process_pid("mute"));
    let worker = worker_of(keeper);
    let socket = mailbox(&daemon, "mute");
    let file = File::open("/dev/null").unwrap();
    let descriptors = || std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap().count();
    let mut dice = Dice::of_environment("messages");
    let mut send = |count: usize| {
        for _ in 0..count {
            let bytes = message(&mut dice);
            // Descriptors that come with one are nobody's.
            let files = vec![file.as_raw_fd(); if dice.one_in(20) { 1 + dice.throw(3) } else { 0 }];
            let rights = [ControlMessage::ScmRights(&files)];
            let rights = if files.is_empty() { &[][..] } else { &rights };
            let sent = sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&bytes)], rights, MsgFlags::empty(), None);
            assert_eq!(sent, Ok(bytes.len()));
        }
    };
    send(WARM_UP);
    let before = (anonymous_kb(keeper) + anonymous_kb(worker), descriptors());
    send(requests() / 20);
    let readiness = || {
        let status = daemon.ctl(&["status", "--json"]).stdout;
        status.split("\"readiness\": \"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned)
    };
    assert_eq!(readiness().as_deref(), Some("waiting"));
    assert_eq!((daemon.pid(), worker_of(keeper), daemon.process_pid("mute")), (keeper, worker, mute));
    let after = until("no more descriptors and memory than before", || {
        let after = (anonymous_kb(keeper) + anonymous_kb(worker), descriptors());
        // A client's connection may not be closed yet.
        let is_back = after.0 < before.0 + GROWTH_KB_MAX && after.1 <= before.1;
        if is_back { Ok(after) } else { Err(format!("{before:?} became {after:?}")) }
    });
    eprintln!("kB and descriptors: {before:?} before, {after:?} after");
    socket.send(b"STATUS=up\nREADY=1").unwrap();
    until("to be ready", || {
        if readiness().as_deref() == Some("ready") { Ok(()) } else { Err(format!("{:?}", readiness())) }
    });
    assert!(!daemon.text("daemon.out").contains("panicked"));
}
