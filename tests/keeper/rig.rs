//! A keeper in a process of its own, and the test as its worker.

use std::cell::RefCell;
use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use galaxyd::engine::{Exit, Pid};
use galaxyd::keeper::{FromKeeper, HeldProgram, MESSAGE_BYTES_MAX, PROTOCOL_VERSION, ToKeeper};
use galaxyd::sys::plan::ExecPlan;
use galaxyd::sys::{clock, descriptors, signals};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::double::SETUP;

/// Longer than anything here takes on a busy machine.
const BOUND: Duration = Duration::from_secs(30);

/// A keeper. Ends it, its workers and its programs when dropped, should the test not have come so far.
pub(crate) struct Rig {
    keeper: Child,
    control: OwnedFd,
    known: RefCell<Vec<Pid>>,
}

/// The test as a worker, and the process that lives and dies in its place.
pub(crate) struct Worker {
    pub(crate) pid: Pid,
    pub(crate) open_files: usize,
    pub(crate) leaked_variables: bool,
    socket: OwnedFd,
    lifeline: Option<OwnedFd>,
    inbox: RefCell<Vec<Heard>>,
}

pub(crate) type Heard = (FromKeeper, Vec<OwnedFd>);

/// What a worker is told first.
pub(crate) struct Inventory {
    pub(crate) generation: u64,
    pub(crate) fresh: bool,
    pub(crate) held: Vec<(String, OwnedFd)>,
    pub(crate) programs: Vec<(HeldProgram, Vec<OwnedFd>)>,
    /// Why the roll is in memory, an errno.
    pub(crate) unrecorded: i32,
}

impl Rig {
    /// Starts the double's launcher, and with it the keeper and the first worker.
    pub(crate) fn start(setup: &str) -> (Self, Worker) {
        let rig = Self::launch(setup);
        let worker = rig.next_worker();
        (rig, worker)
    }

    /// Starts the double's launcher, and with it the keeper.
    pub(crate) fn launch(setup: &str) -> Self {
        let (control, theirs) = descriptors::packet_pair().unwrap();
        let keeper = Command::new(std::env::current_exe().unwrap())
            .env(SETUP, setup)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { keeper, control, known: RefCell::default() }
    }

    /// The keeper was killed; what it started is the test's own.
    pub(crate) fn leave(mut self) {
        self.known.take();
        self.keeper.wait().unwrap();
    }

    /// Returns when launcher, keeper and workers are gone; none of the latter has said anything since.
    pub(crate) fn ended_without_a_worker(&self) -> bool {
        wait_for(&self.control, PollFlags::POLLIN);
        descriptors::receive(&self.control, &mut [0; 100]).unwrap().0 == 0
    }

    pub(crate) fn pid(&self) -> Pid {
        self.keeper.id().cast_signed()
    }

    /// The worker that the keeper starts next.
    pub(crate) fn next_worker(&self) -> Worker {
        wait_for(&self.control, PollFlags::POLLIN);
        let mut buffer = [0; 100];
        let (length, carried) = descriptors::receive(&self.control, &mut buffer).unwrap();
        let introduction = std::str::from_utf8(&buffer[..length]).unwrap().to_owned();
        let words: Vec<&str> = introduction.split(' ').collect();
        let pid = words[0].parse().unwrap();
        self.known.borrow_mut().push(pid);
        let [socket, lifeline] = <[OwnedFd; 2]>::try_from(carried).unwrap();
        Worker {
            pid,
            open_files: words[1].parse().unwrap(),
            leaked_variables: words[2].parse().unwrap(),
            socket,
            lifeline: Some(lifeline),
            inbox: RefCell::default(),
        }
    }

    pub(crate) fn has_next_worker(&self) -> bool {
        let mut watched = [PollFd::new(self.control.as_fd(), PollFlags::POLLIN)];
        poll(&mut watched, PollTimeout::ZERO).unwrap() == 1
    }

    /// Asks the keeper to end; gives the code it ends with.
    pub(crate) fn end(self, worker: &mut Worker, code: u8) -> i32 {
        worker.say(&ToKeeper::Exit { code });
        worker.exit(0);
        self.wait()
    }

    /// The code with which the keeper ends by itself.
    pub(crate) fn wait(mut self) -> i32 {
        let keeper = &mut self.keeper;
        until("the keeper's end", || keeper.try_wait().unwrap()).code().unwrap()
    }

    /// Spawns and waits for the answer.
    pub(crate) fn spawn(&self, worker: &Worker, id: u64, plan: &ExecPlan) -> (Pid, Vec<OwnedFd>) {
        worker.spawn(id, plan);
        let (message, carried) =
            worker.expect(|message| matches!(message, FromKeeper::Spawned { id: its, .. } if *its == id));
        let FromKeeper::Spawned { pid, .. } = message else { unreachable!() };
        self.known.borrow_mut().push(pid);
        (pid, carried)
    }

    /// Runs a plan to its end: output, error output and exit.
    pub(crate) fn run(&self, worker: &Worker, id: u64, plan: &ExecPlan) -> (String, String, Exit) {
        let (_, pipes) = self.spawn(worker, id, plan);
        let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(pipes).unwrap();
        drop(stdin);
        let (output, errors) = (read_all(&stdout), read_all(&stderr));
        let exit = worker.exited(id);
        worker.say(&ToKeeper::Forget { id });
        (output, errors, exit)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if matches!(self.keeper.try_wait(), Ok(None)) {
            let _ = self.keeper.kill();
            for pid in self.known.take() {
                let _ = signals::send(pid, libc::SIGKILL);
            }
            let _ = self.keeper.wait();
        }
    }
}

impl Worker {
    pub(crate) fn say(&self, message: &ToKeeper) {
        self.say_with(message, &[]);
    }

    pub(crate) fn say_with(&self, message: &ToKeeper, carried: &[BorrowedFd<'_>]) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).unwrap();
        self.say_bytes(&bytes, carried);
    }

    pub(crate) fn say_bytes(&self, bytes: &[u8], carried: &[BorrowedFd<'_>]) {
        wait_for(&self.socket, PollFlags::POLLOUT);
        descriptors::send(&self.socket, bytes, carried).unwrap();
    }

    /// `false` if the keeper does not read fast enough.
    pub(crate) fn try_say(&self, message: &ToKeeper) -> bool {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).unwrap();
        descriptors::send(&self.socket, &bytes, &[]).is_ok()
    }

    pub(crate) fn spawn(&self, id: u64, plan: &ExecPlan) {
        self.say_with(&ToKeeper::Spawn { id, tag: format!("tag {id}") }, &[plan.encode().unwrap().as_fd()]);
    }

    fn hear(&self) -> Heard {
        wait_for(&self.socket, PollFlags::POLLIN);
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        let (length, carried) = descriptors::receive(&self.socket, &mut buffer).unwrap();
        assert!(length > 0, "the keeper is gone");
        let message = FromKeeper::decode(&buffer[..length]).unwrap();
        assert_eq!(message.descriptors(), carried.len(), "{message:?}");
        (message, carried)
    }

    /// The first message that fits; the others wait.
    pub(crate) fn expect(&self, fits: impl Fn(&FromKeeper) -> bool) -> Heard {
        let mut inbox = self.inbox.borrow_mut();
        if let Some(place) = inbox.iter().position(|(message, _)| fits(message)) {
            return inbox.remove(place);
        }
        loop {
            let heard = self.hear();
            if fits(&heard.0) {
                return heard;
            }
            inbox.push(heard);
        }
    }

    /// What was heard and not expected, up to now.
    pub(crate) fn unexpected(&self) -> Vec<FromKeeper> {
        self.inbox.borrow().iter().map(|(message, _)| message.clone()).collect()
    }

    /// Says Hello and listens to the inventory.
    pub(crate) fn greet(&self) -> Inventory {
        self.say(&ToKeeper::Hello { version: PROTOCOL_VERSION });
        let (FromKeeper::Welcome { version: PROTOCOL_VERSION, generation, fresh }, _) = self.hear() else {
            panic!("no welcome")
        };
        let mut inventory = Inventory { generation, fresh, held: vec![], programs: vec![], unrecorded: 0 };
        loop {
            match self.hear() {
                (FromKeeper::Held { name }, mut carried) => inventory.held.push((name, carried.remove(0))),
                (FromKeeper::Program(program), carried) => inventory.programs.push((program, carried)),
                (FromKeeper::Unrecorded { errno }, _) => inventory.unrecorded = errno,
                (FromKeeper::InventoryEnd, _) => return inventory,
                (other, _) => panic!("{other:?} inside the inventory"),
            }
        }
    }

    /// Says Hello and Ready, as a worker that comes up.
    pub(crate) fn come_up(&self) -> Inventory {
        let inventory = self.greet();
        self.say(&ToKeeper::Ready);
        inventory
    }

    pub(crate) fn exited(&self, id: u64) -> Exit {
        match self.expect(|message| matches!(message, FromKeeper::Exited { id: its, .. } if *its == id)) {
            (FromKeeper::Exited { ended, .. }, _) => ended.exit,
            _ => unreachable!(),
        }
    }

    /// The answer to a signal: its error number.
    pub(crate) fn signal(&self, id: u64, signal: i32, group: bool) -> i32 {
        self.say(&ToKeeper::Signal { id, signal, group });
        match self.expect(|message| matches!(message, FromKeeper::Signalled { id: its, .. } if *its == id)) {
            (FromKeeper::Signalled { errno, .. }, _) => errno,
            _ => unreachable!(),
        }
    }

    /// Returns when the keeper has done all that was said before.
    pub(crate) fn settle(&self) {
        assert_eq!(self.signal(u64::MAX, 0, false), libc::ESRCH);
    }

    /// Its process ends with this code.
    pub(crate) fn exit(&mut self, code: u8) {
        std::fs::File::from(self.lifeline.take().unwrap()).write_all(&[code]).unwrap();
    }

    /// Waits until there is something to hear, and does not listen.
    pub(crate) fn turn_a_deaf_ear(&self) {
        wait_for(&self.socket, PollFlags::POLLIN);
    }

    /// Closes the socket; its process ends with code 0 once what is returned is dropped.
    pub(crate) fn hang_up(mut self) -> Option<OwnedFd> {
        self.lifeline.take()
    }

    /// kill -9. The socket stays open here, as if the dead one's memory held it: the keeper must not care.
    pub(crate) fn kill(&self) {
        signals::send(self.pid, libc::SIGKILL).unwrap();
    }
}

/// A shell script as a plan, in an almost empty environment.
pub(crate) fn shell(script: &str) -> ExecPlan {
    plan("/bin/sh", &["sh", "-c", script])
}

pub(crate) fn plan(path: &str, argv: &[&str]) -> ExecPlan {
    ExecPlan {
        path: CString::new(path).unwrap(),
        argv: argv.iter().map(|word| CString::new(*word).unwrap()).collect(),
        environment: vec![c"PATH=/usr/local/bin:/usr/bin:/bin".to_owned(), c"LC_ALL=C".to_owned()],
        ..ExecPlan::default()
    }
}

/// Everything up to the end of the pipe.
pub(crate) fn read_all(pipe: &OwnedFd) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        wait_for(pipe, PollFlags::POLLIN);
        match nix::unistd::read(pipe, &mut buffer) {
            Ok(0) => return String::from_utf8(bytes).unwrap(),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(nix::errno::Errno::EAGAIN) => {}
            Err(errno) => panic!("{errno}"),
        }
    }
}

/// One line, without its end.
pub(crate) fn read_line(pipe: &OwnedFd) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    loop {
        wait_for(pipe, PollFlags::POLLIN);
        match nix::unistd::read(pipe, &mut byte) {
            Ok(1) if byte[0] == b'\n' => return String::from_utf8(bytes).unwrap(),
            Ok(1) => bytes.push(byte[0]),
            Ok(_) => panic!("the end after {:?}", String::from_utf8_lossy(&bytes)),
            Err(nix::errno::Errno::EAGAIN) => {}
            Err(errno) => panic!("{errno}"),
        }
    }
}

fn wait_for(descriptor: &OwnedFd, what: PollFlags) {
    let mut watched = [PollFd::new(descriptor.as_fd(), what)];
    let count = poll(&mut watched, PollTimeout::try_from(BOUND).unwrap()).unwrap();
    assert_eq!(count, 1, "nothing came for {BOUND:?}");
}

/// Waits for a level that the kernel shows but does not announce.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = clock::monotonic() + BOUND;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::monotonic() < limit, "waited {BOUND:?} for {what}");
        // A millisecond's wait for nothing, to leave the processor to those we wait for.
        let _ = poll(&mut [], 1u8);
    }
}

/// A field of /proc/PID/status.
pub(crate) fn status_field(pid: Pid, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}
