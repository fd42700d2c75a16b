//! F04: no process can be forked any more, for the cgroup's limit or the account's.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::Resource;
use nix::unistd::Uid;

use crate::notice::tell;
use crate::wait::{until, until_true};
use crate::world::World;

/// Programs of which at most one finds a place.
const PROGRAMS: &str = "[program:p]\ncommand=sleep 10000\nautostart=false\nstartretries=0\nstartsecs=0\nnumprocs=4\n\
                        process_name=p%(process_num)d\nstdout_logfile=NONE\nstderr_logfile=NONE\n";

/// A cgroup with a limit of processes, of whichever version has that controller. Removed when nobody is in it any more.
struct Crowd(PathBuf);

impl Crowd {
    /// `None`, and said so, where none can be made.
    fn new(name: &str) -> Option<Crowd> {
        let made = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].into_iter().find_map(|root| {
            let path = Path::new(root).join(format!("test-of-galaxyd-{name}-{}", std::process::id()));
            fs::create_dir(&path).ok()?;
            let crowd = Crowd(path);
            crowd.0.join("pids.max").exists().then_some(crowd)
        });
        if made.is_none() {
            tell("could not run: F04: no cgroup with a limit of processes can be made");
        }
        made
    }

    fn take(&self, pid: i32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    fn allow(&self, processes: &str) {
        fs::write(self.0.join("pids.max"), processes).unwrap();
    }

    fn count(&self) -> u64 {
        fs::read_to_string(self.0.join("pids.current")).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            until_true("the cgroup to be empty", || fs::remove_dir(&self.0).is_ok());
        }
    }
}

fn states(world: &World) -> Vec<String> {
    (0..4).map(|number| world.info(&format!("p:p{number}"), "statename").unwrap()).collect()
}

#[test]
fn f04_programs_wait_for_processes_and_start_when_there_are_some() {
    let Some(crowd) = Crowd::new("pids") else { return };
    let world = World::new(PROGRAMS);
    for pid in [world.bars.keeper, world.bars.worker] {
        crowd.take(pid);
    }
    let max = crowd.count() + 1;
    crowd.allow(&max.to_string());
    world.ctl(&["start", "p:*"]);
    let reason = format!("process limit reached (pids.max={max}");
    until("all but one to wait", || {
        let states = states(&world);
        let waiting = states.iter().filter(|state| *state == "BACKOFF").count();
        if waiting >= 3 { Ok(()) } else { Err(format!("{states:?}")) }
    });
    let told = world.ctl(&["status"]).stdout;
    assert!(told.matches(&reason).count() >= 3, "{told}");
    assert!(!told.contains("FATAL"), "not charged, though startretries is 0: {told}");
    // Those that wait can be stopped, and the daemon acts on everything else.
    world.stop("p:p3");
    crowd.allow("max");
    until("the others to run by themselves", || {
        let states = states(&world);
        if states == ["RUNNING", "RUNNING", "RUNNING", "STOPPED"] { Ok(()) } else { Err(format!("{states:?}")) }
    });
    world.ctl(&["stop", "p:*"]);
    world.end();
}

/// How many threads of a process do what may block.
fn side_threads(pid: i32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "side").count()
}

#[test]
fn f04_where_no_thread_can_be_made_either_requests_are_done_and_answered() {
    let Some(crowd) = Crowd::new("threads") else { return };
    let world = World::new(PROGRAMS);
    until("the one thread that stands", || {
        let threads = side_threads(world.bars.worker);
        if threads == 1 { Ok(()) } else { Err(format!("{threads} threads")) }
    });
    for pid in [world.bars.keeper, world.bars.worker] {
        crowd.take(pid);
    }
    crowd.allow(&crowd.count().to_string());
    world.ctl(&["start", "p:*"]);
    until("all to wait", || {
        let states = states(&world);
        if states.iter().all(|state| state == "BACKOFF") { Ok(()) } else { Err(format!("{states:?}")) }
    });
    // Each of these looks something up.
    for method in ["supervisor.reloadConfig", "supervisor.readLog"] {
        let parameters = if method.ends_with("readLog") {
            "<param><value><int>0</int></value></param><param><value><int>100</int></value></param>"
        } else {
            ""
        };
        let answer = world.call(method, parameters).unwrap();
        assert!(!answer.contains("faultCode"), "{method}: {answer}");
    }
    assert_eq!(side_threads(world.bars.worker), 1);
    crowd.allow("max");
    until("all to run by themselves", || {
        let states = states(&world);
        if states.iter().all(|state| state == "RUNNING") { Ok(()) } else { Err(format!("{states:?}")) }
    });
    world.ctl(&["stop", "p:*"]);
    world.end();
}

#[test]
fn f04_an_account_with_too_many_processes_is_told_and_waited_for() {
    if !Uid::effective().is_root() {
        return tell("could not run: F04: only root can start programs as another account");
    }
    let program = |name: &str| {
        format!(
            "[program:{name}]\ncommand=sleep 10000\nuser=nobody\ndirectory=/\nautostart=false\nstartretries=0\n\
             stdout_logfile=NONE\nstderr_logfile=NONE\n"
        )
    };
    // The kernel counts those that the account has already.
    let world = World::new(&(program("first") + &program("p")));
    world.start("first");
    let limit = |soft: &str| {
        for pid in [world.bars.keeper, world.bars.worker] {
            let words = [format!("--pid={pid}"), format!("--nproc={soft}:")];
            assert!(std::process::Command::new("prlimit").args(words).status().unwrap().success());
        }
    };
    let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NPROC).unwrap();
    limit("0");
    world.ctl(&["start", "p"]);
    world.wait_state("p", "BACKOFF");
    let told = world.ctl(&["status", "p"]).stdout;
    assert!(told.contains("has as many processes as it may") && told.contains("RLIMIT_NPROC=0"), "{told}");
    limit(&if hard == u64::MAX { "unlimited".to_owned() } else { hard.to_string() });
    world.wait_state("p", "RUNNING");
    world.ctl(&["stop", "p", "first"]);
    world.end();
}
