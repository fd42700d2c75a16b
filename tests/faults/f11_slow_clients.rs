//! F11: clients that begin a request and never end it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::household::activity;
use crate::probe::Probe;
use crate::wait::until;
use crate::world::World;

const CLIENTS: usize = 300;

#[test]
fn f11_slow_clients_hold_up_nobody_and_are_closed() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = World::folder(
        "",
        &format!("[inet_http_server]\nport=127.0.0.1:{port}\n[program:p]\ncommand=sleep 1000\nstartsecs=0\n"),
    );
    let world = World::in_folder(folder);
    world.wait_state("p", "RUNNING");
    for pid in [world.bars.keeper, world.bars.worker] {
        let mut prlimit = Command::new("prlimit");
        assert!(prlimit.args(["--nofile=256:256", "--pid", &pid.to_string()]).status().unwrap().success());
    }
    let (began, spent) = (Instant::now(), activity(world.bars.worker).0);
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            // Who is refused may be reset before he has said it.
            let _ = stream.write_all(b"POST /RPC2 HT");
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            stream
        })
        .collect();
    // The others are served as ever.
    let probe = Probe::begin(&world);
    let before = world.process_pid("p");
    kill(Pid::from_raw(before), Signal::SIGKILL).unwrap();
    until("the program to run again", || {
        let now = world.process_pid("p");
        if now != before && now != 0 { Ok(()) } else { Err(now.to_string()) }
    });
    probe.end("F11");
    let probed = activity(world.bars.worker).0;
    let quiet = Instant::now();
    until("the slow ones to be closed", || {
        clients.retain_mut(|stream| {
            let mut scratch = [0; 256];
            match stream.read(&mut scratch) {
                Ok(0) => false,
                Ok(_) => true,
                Err(error) => error.kind() != std::io::ErrorKind::ConnectionReset,
            }
        });
        if clients.is_empty() { Ok(()) } else { Err(format!("{} are open", clients.len())) }
    });
    let busy = Duration::from_millis(10 * (activity(world.bars.worker).0 - probed));
    eprintln!(
        "{CLIENTS} slow clients were closed after {:?}; {} ticks",
        began.elapsed(),
        activity(world.bars.worker).0 - spent
    );
    assert!(busy < quiet.elapsed() / 20 + Duration::from_millis(200), "{busy:?} of {:?}", quiet.elapsed());
    world.end();
}
