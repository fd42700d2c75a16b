//! What can only be seen from another process: death by SIGKILL, and sleep. These tests run this test program again as
//! the process that is looked at.

#![expect(clippy::disallowed_methods, reason = "nobody else reaps the children of this test program")]
#![expect(clippy::exit, reason = "an inner process that goes on would run the other tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Run, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::logfile::{Gate, backup_path};
use super::plane::{Command, Notice, Options, Plane, Sink, SourceId};
use super::tally::Tally;
use super::transit::Transits;
use crate::engine::Channel;
use crate::sys::clock;

const PATIENCE: Duration = Duration::from_secs(60);

/// The role of the inner process, in its environment.
const ROLE: &str = "GALAXYD_TEST_ROLE";

#[derive(Debug)]
struct RemoteGate(bool);

impl Gate for RemoteGate {
    fn pass(&self, _doing: &'static str, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn is_remote(&self, _path: &Path) -> bool {
        self.0
    }
}

/// Lines with their numbers.
pub(super) fn numbered(range: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for number in range {
        writeln!(text, "line {number}").unwrap();
    }
    text
}

/// Runs one test of this program in a process of its own, in a role.
fn run(test: &str, role: &str) -> Child {
    let mut command = Run::new(std::env::current_exe().unwrap());
    command.args([&format!("logs::process_tests::{test}"), "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).stdout(Stdio::null()).stdin(Stdio::null()).spawn().unwrap()
}

/// A descriptor of ours as another process can open it.
fn name_of(descriptor: &impl AsRawFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), descriptor.as_raw_fd())
}

fn open_again(name: &str, write: bool) -> OwnedFd {
    fs::OpenOptions::new().read(true).write(write).open(name).unwrap().into()
}

/// A worker: takes over the pipe and the transits of its predecessor. The role names them.
fn work(role: &str) -> ! {
    let mut words = role.split(' ');
    let mut word = || words.next().unwrap().to_owned();
    let (way, strip) = (word(), word() == "strip");
    let (pipe, file) = (word(), PathBuf::from(word()));
    let mut held: BTreeMap<String, OwnedFd> = BTreeMap::new();
    while let Some(name) = words.next() {
        held.insert(name.to_owned(), open_again(words.next().unwrap(), true));
    }
    let options = Options { syslog_tag: String::new(), transits: Transits::from_held(&mut held) };
    let (plane, _notices) =
        Plane::start_behind(Arc::new(RemoteGate(way == "remote")), Path::new("/dev/log").into(), options).unwrap();
    let sink = Sink {
        process: "web".to_owned(),
        file: Some(file.into()),
        rate_max: None,
        maxbytes: 200_000,
        backups: 1000,
        syslog: false,
        strip_ansi: strip,
        copy: false,
        tally: Tally::default(),
    };
    let source = SourceId { child: 7, channel: Channel::Stdout };
    plane.send(Command::Attach { source, pipe: open_again(&pipe, false), sink });
    loop {
        thread::park();
    }
}

fn everything(file: &Path) -> String {
    let mut text = String::new();
    for number in (1..=1000).rev() {
        text += &fs::read_to_string(backup_path(file, number)).unwrap_or_default();
    }
    text + &fs::read_to_string(file).unwrap_or_default()
}

/// Kills workers again and again while a program prints numbered lines; gives what the files hold.
fn killed(test: &str, way: &str, strip: bool, kills: usize) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    let transits = Transits::create().unwrap();
    let (reader, mut writer) = io::pipe().unwrap();
    let mut role = format!("{} {} {} {}", way, if strip { "strip" } else { "plain" }, name_of(&reader), file.display());
    for (name, descriptor) in transits.descriptors().filter(|_| way != "direct") {
        write!(role, " {name} {}", name_of(&descriptor)).unwrap();
    }
    let over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&over);
    let program = thread::spawn(move || {
        let mut number = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            let lines = numbered(number..number + 50).replace("line", "\x1b[1mline\x1b[0m");
            writer.write_all(lines.as_bytes()).unwrap();
            number += 50;
        }
        number
    });
    for _ in 0..kills {
        let before = dir_size(dir.path());
        let mut worker = run(test, &role);
        let deadline = clock::monotonic() + PATIENCE;
        while dir_size(dir.path()) < before + 500_000 {
            assert!(clock::monotonic() < deadline, "the worker writes nothing");
            thread::yield_now();
        }
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let mut worker = run(test, &role);
    let count = program.join().unwrap();
    let last = format!(" {}\n", count - 1);
    let deadline = clock::monotonic() + PATIENCE;
    while !fs::read_to_string(&file).unwrap_or_default().contains(&last)
        && !fs::read_to_string(backup_path(&file, 1)).unwrap_or_default().contains(&last)
    {
        assert!(clock::monotonic() < deadline, "the last line does not come");
        thread::yield_now();
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
    drop(transits);
    let expected = numbered(0..count);
    let found = everything(&file).replace("\x1b[1m", "").replace("\x1b[0m", "");
    if found == expected {
        return String::new();
    }
    let differs = expected.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    format!("{} bytes wanted, {} found, first difference {differs:?}", expected.len(), found.len())
}

fn dir_size(dir: &Path) -> u64 {
    let sizes = fs::read_dir(dir).unwrap().filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len());
    sizes.sum()
}

#[test]
fn killed_workers_lose_and_repeat_nothing_without_a_transit() {
    if let Ok(role) = std::env::var(ROLE) {
        work(&role);
    }
    let test = "killed_workers_lose_and_repeat_nothing_without_a_transit";
    assert_eq!(killed(test, "direct", false, 25), "");
}

#[test]
fn killed_workers_lose_and_repeat_nothing_through_the_transit() {
    if let Ok(role) = std::env::var(ROLE) {
        work(&role);
    }
    let test = "killed_workers_lose_and_repeat_nothing_through_the_transit";
    assert_eq!(killed(test, "remote", false, 25), "");
}

#[test]
fn killed_workers_lose_and_repeat_nothing_through_the_transit_with_stripping() {
    if let Ok(role) = std::env::var(ROLE) {
        work(&role);
    }
    let test = "killed_workers_lose_and_repeat_nothing_through_the_transit_with_stripping";
    assert_eq!(killed(test, "local", true, 25), "");
}

/// Voluntary context switches of all threads of a process: how often they went to sleep, and so woke up.
fn sleeps(pid: u32) -> Option<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        sum += line.trim().parse::<u64>().ok()?;
    }
    Some(sum)
}

#[test]
fn an_idle_plane_sleeps() {
    if let Ok(role) = std::env::var(ROLE) {
        let (pipe, file) = role.split_once(' ').unwrap();
        work(&format!("local plain {pipe} {file}"));
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"awake\n").unwrap();
    let role = format!("{} {}", name_of(&reader), file.display());
    let mut worker = run("an_idle_plane_sleeps", &role);
    let pid = worker.id();
    let deadline = clock::monotonic() + PATIENCE;
    while fs::read_to_string(&file).unwrap_or_default() != "awake\n" {
        assert!(clock::monotonic() < deadline, "the worker writes nothing");
        thread::yield_now();
    }
    // It comes to rest soon, and then stays so for longer than any of its periods.
    let mut quiet_since = clock::monotonic();
    let mut last = sleeps(pid).unwrap();
    while clock::monotonic() < quiet_since + Duration::from_secs(4) {
        assert!(clock::monotonic() < deadline, "it never rests");
        thread::park_timeout(Duration::from_millis(50));
        let now = sleeps(pid).unwrap();
        if now != last {
            (last, quiet_since) = (now, clock::monotonic());
        }
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
}

/// Fills a file system of one mebibyte, frees it again, and looks at the log.
fn fill(dir: &Path) -> ! {
    let mounted = Run::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(dir).status();
    assert!(mounted.unwrap().success(), "no tmpfs");
    let filler = dir.join("filler");
    fs::write(&filler, vec![0; 600_000]).unwrap();
    let options = Options { syslog_tag: String::new(), transits: None };
    let (plane, mut notices) = Plane::start(options).unwrap();
    let file = dir.join("log");
    let sink = Sink {
        process: "web".to_owned(),
        file: Some(file.as_path().into()),
        rate_max: None,
        maxbytes: 0,
        backups: 0,
        syslog: false,
        strip_ansi: false,
        copy: false,
        tally: Tally::default(),
    };
    let source = SourceId { child: 7, channel: Channel::Stdout };
    let (reader, mut pipe) = io::pipe().unwrap();
    plane.send(Command::Attach { source, pipe: reader.into(), sink });
    let text = numbered(0..200_000);
    // Twice as much as there is room for; it ends because what does not fit is dropped.
    pipe.write_all(text.as_bytes()).unwrap();
    let notice = wait_for(|| notices.try_recv());
    assert!(matches!(notice, Notice::Trouble { doing: "write", .. }), "{notice:?}");
    fs::remove_file(filler).unwrap();
    let freed = clock::monotonic();
    let lost = wait_for(|| match notices.try_recv()? {
        Notice::Recovered { lost, .. } => Some(lost),
        Notice::Losing { .. } => None,
        other => panic!("{other:?}"),
    });
    assert!(clock::monotonic() < freed + Duration::from_secs(2), "late");
    plane.send(Command::Drain { source });
    assert!(matches!(wait_for(|| notices.try_recv()), Notice::Drained { .. }));
    let found = fs::read_to_string(&file).unwrap();
    let (before, after) = found.split_once(&format!("galaxyd: {lost} bytes lost\n")).unwrap();
    assert!(text.starts_with(before.trim_end()) && text.ends_with(after));
    let whole = before.len() + after.len() + usize::try_from(lost).unwrap();
    assert!(whole == text.len() || whole == text.len() + 1, "{whole} {}", text.len());
    std::process::exit(0)
}

fn wait_for<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::monotonic() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(clock::monotonic() < deadline, "it does not happen");
        thread::yield_now();
    }
}

#[test]
fn a_really_full_disk_recovers_with_a_line_about_what_is_missing() {
    if let Ok(role) = std::env::var(ROLE) {
        fill(Path::new(&role));
    }
    let alone = Run::new("unshare").args(["-rm", "true"]).status();
    if !alone.is_ok_and(|status| status.success()) {
        eprintln!("not run: no right to a mount namespace of our own (unshare -rm)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = Run::new("unshare");
    command.arg("-rm").arg(std::env::current_exe().unwrap());
    let test = "logs::process_tests::a_really_full_disk_recovers_with_a_line_about_what_is_missing";
    let status = command.args([test, "--exact", "--nocapture"]).env(ROLE, dir.path()).stdin(Stdio::null()).status();
    assert!(status.unwrap().success());
}
