//! What the processes do that a test starts: launcher, keeper and worker, as the daemon's.
//!
//! They are this program again. The worker hands its socket to the test, with a pipe: a byte written there
//! is the code it ends with.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use galaxyd::keeper::{Image, Inheritance, ROLL_HELD_NAME, be_keeper, become_keeper, run_in_thread, start_keeper};
use galaxyd::sys::{descriptors, process, signals, users};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Tells the double what to do, in words; unset for anybody else.
pub(crate) const SETUP: &str = "KEEPER_TEST_SETUP";

/// The code of a keeper that cannot begin.
pub(crate) const UNABLE: i32 = 70;

/// Called before `main`, since the test harness runs tests on a second thread, and a keeper has one.
/// (The C library must hand arguments to such functions, as glibc does.)
#[expect(unsafe_code, reason = "the attribute: a wrong type here would be called as a function")]
// SAFETY: the section holds pointers to functions that are called once, before `main`, and this is one.
#[unsafe(link_section = ".init_array")]
#[used]
static BEFORE_MAIN: extern "C" fn() = live;

extern "C" fn live() {
    let Ok(setup) = std::env::var(SETUP) else { return };
    let code = match Image::of_this_process().unwrap() {
        Image::Launcher => launch(&setup),
        Image::Keeper(socket) => be_keeper(socket).map_or(UNABLE, i32::from),
        Image::Worker(socket) => i32::from(work(socket)),
        Image::Rehearsal => panic!("the double has no state to go on with"),
    };
    leave(code)
}

#[expect(clippy::exit, reason = "a double is a process of its own, not a test that returns")]
fn leave(code: i32) -> ! {
    std::process::exit(code)
}

fn launch(setup: &str) -> i32 {
    let (reader, _writer) = std::io::pipe().unwrap();
    let words = || setup.split_whitespace();
    let roll = words().find_map(|word| word.strip_prefix("roll="));
    let roll = roll.map(|path| File::options().read(true).write(true).open(path).unwrap());
    let mut held: Vec<(String, _)> = roll.iter().map(|roll| (ROLL_HELD_NAME.to_owned(), roll.as_fd())).collect();
    for word in setup.split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("uid", number) => {
                // One that need not exist.
                let id = number.parse().unwrap();
                users::become_user(id, id, &[id]).unwrap();
            }
            ("files", number) => limit(Resource::RLIMIT_NOFILE, number),
            ("processes", number) => limit(Resource::RLIMIT_NPROC, number),
            ("length", number) => limit(Resource::RLIMIT_FSIZE, number),
            ("roll", _) => {}
            // A worker whose keeper was killed, and which is killed in its turn when it has handed over what it has.
            ("cut", _) => {
                let dies = std::iter::from_fn(|| -> Option<_> { leave(0) });
                let handed = held.iter().map(|(name, descriptor)| (name.as_str(), *descriptor));
                panic!("{:?}", start_keeper(handed.chain(dies), &[]));
            }
            ("ignored", number) => signals::ignore(number.parse().unwrap()),
            ("held", name) => held.push((name.to_owned(), reader.as_fd())),
            ("thread", _) => {
                let (socket, keeper) = run_in_thread(Vec::new(), Inheritance::None).unwrap();
                let code = work(socket);
                return if code == 0 { i32::from(keeper.join().unwrap()) } else { i32::from(code) };
            }
            (other, _) => panic!("{other}"),
        }
    }
    panic!("{}", become_keeper(&held, Inheritance::None));
}

fn limit(resource: Resource, soft: &str) {
    let (_, hard) = getrlimit(resource).unwrap();
    setrlimit(resource, soft.parse().unwrap(), hard).unwrap();
}

fn work(socket: OwnedFd) -> u8 {
    let control = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    // Counted with the directory itself: 0, 1, 2, socket and control are ours.
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() - 1;
    let leaked = std::env::vars().any(|(name, _)| name.starts_with("GALAXYD_"));
    let (mut lifeline, far_end) = std::io::pipe().unwrap();
    let introduction = format!("{} {open} {leaked}", process::id());
    descriptors::send(&control, introduction.as_bytes(), &[socket.as_fd(), far_end.as_fd()]).unwrap();
    drop((socket, far_end));
    let mut code = [0];
    lifeline.read_exact(&mut code).map_or(0, |()| code[0])
}
