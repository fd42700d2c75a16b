//! The plane as its user sees it: real pipes, real files.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::logfile::{Gate, OpenGate, backup_path};
use super::notices::{Notices, OUTPUT_BYTES_MAX};
use super::plane::{Command, Notice, Options, Plane, Sink, SourceId};
use super::process_tests::numbered;
use super::tally::Tally;
use super::transit::Transits;
use crate::engine::Channel;
use crate::sys::clock;

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition, and says what was awaited if it does not come.
pub(super) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::monotonic() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(clock::monotonic() < deadline, "this did not happen: {what}");
        thread::yield_now();
    }
}

/// A gate that fails or holds what is done with a file, as told.
#[derive(Debug, Default)]
pub(super) struct TestGate {
    rules: Mutex<Vec<(PathBuf, &'static str, Rule)>>,
    changed: Condvar,
    remote: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Fail(i32),
    Hang,
}

impl TestGate {
    pub(super) fn set(&self, path: &Path, doing: &'static str, rule: Rule) {
        self.rules.lock().unwrap().push((path.to_owned(), doing, rule));
    }

    pub(super) fn open_all(&self) {
        self.rules.lock().unwrap().clear();
        self.changed.notify_all();
    }
}

impl Gate for TestGate {
    fn pass(&self, doing: &'static str, path: &Path) -> io::Result<()> {
        let mut rules = self.rules.lock().unwrap();
        loop {
            let rule = rules.iter().find(|(other, what, _)| other == path && *what == doing).map(|(_, _, rule)| *rule);
            match rule {
                None => return Ok(()),
                Some(Rule::Fail(errno)) => return Err(io::Error::from_raw_os_error(errno)),
                Some(Rule::Hang) => rules = self.changed.wait(rules).unwrap(),
            }
        }
    }

    fn is_remote(&self, _path: &Path) -> bool {
        self.remote.load(Ordering::Relaxed)
    }
}

pub(super) struct House {
    plane: Plane,
    notices: Notices,
    pub(super) gate: Arc<TestGate>,
    dir: tempfile::TempDir,
    next: u64,
    pub(super) seen: Vec<Notice>,
}

impl House {
    pub(super) fn new() -> House {
        House::with(Some(Transits::create().unwrap()))
    }

    /// Through the transit as on file systems that can hang, or without one.
    pub(super) fn on(remote: bool) -> House {
        let house = House::with(remote.then(|| Transits::create().unwrap()));
        house.gate.remote.store(remote, Ordering::Relaxed);
        house
    }

    fn with(transits: Option<Transits>) -> House {
        let (gate, dir) = (Arc::new(TestGate::default()), tempfile::tempdir().unwrap());
        let options = Options { syslog_tag: "galaxyd".to_owned(), transits };
        let (plane, notices) =
            Plane::start_behind(Arc::<TestGate>::clone(&gate), dir.path().join("syslog").into(), options).unwrap();
        House { plane, notices, gate, dir, next: 0, seen: Vec::new() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn sink(&self, name: &str) -> Sink {
        Sink {
            process: "group:web".to_owned(),
            file: Some(self.path(name).into()),
            rate_max: None,
            maxbytes: 0,
            backups: 0,
            syslog: false,
            strip_ansi: false,
            copy: false,
            tally: Tally::default(),
        }
    }

    pub(super) fn attach(&mut self, sink: Sink) -> (SourceId, io::PipeWriter) {
        self.next += 1;
        let source = SourceId { child: self.next, channel: Channel::Stdout };
        let (reader, writer) = io::pipe().unwrap();
        self.plane.send(Command::Attach { source, pipe: reader.into(), sink });
        (source, writer)
    }

    /// Waits for a notice, keeping the others.
    pub(super) fn notice<T>(&mut self, what: &str, mut wanted: impl FnMut(&Notice) -> Option<T>) -> T {
        let (notices, seen) = (&mut self.notices, &mut self.seen);
        if let Some(index) = seen.iter().position(|notice| wanted(notice).is_some()) {
            return wanted(&seen.remove(index)).unwrap();
        }
        until(what, || {
            let notice = notices.try_recv()?;
            let found = wanted(&notice);
            if found.is_none() {
                seen.push(notice);
            }
            found
        })
    }

    pub(super) fn drain(&mut self, source: SourceId) {
        self.plane.send(Command::Drain { source });
        self.notice("Drained", |notice| {
            matches!(notice, Notice::Drained { source: drained } if *drained == source).then_some(())
        });
    }

    pub(super) fn content(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(super) fn until_content(&self, name: &str, expected: &str) {
        let path = self.path(name);
        until(&format!("{expected:?} in {name}"), || (fs::read_to_string(&path).ok()? == expected).then_some(()));
    }

    pub(super) fn trouble(&mut self, name: &str) -> (&'static str, io::ErrorKind) {
        let path = self.path(name);
        self.notice("Trouble", |notice| match notice {
            Notice::Trouble { file, doing, error } if *file == path => Some((*doing, error.kind())),
            _ => None,
        })
    }

    pub(super) fn recovered(&mut self, name: &str) -> u64 {
        let path = self.path(name);
        self.notice("Recovered", |notice| match notice {
            Notice::Recovered { file, lost } if *file == path => Some(*lost),
            _ => None,
        })
    }
}

#[test]
fn output_arrives_and_what_was_written_just_before_the_exit_too() {
    for remote in [false, true] {
        let mut house = House::on(remote);
        fs::write(house.path("log"), "earlier\n").unwrap();
        let (source, mut pipe) = house.attach(house.sink("log"));
        pipe.write_all(b"one\n").unwrap();
        house.until_content("log", "earlier\none\n");
        pipe.write_all(b"two\n").unwrap();
        drop(pipe);
        house.drain(source);
        assert_eq!(house.content("log"), "earlier\none\ntwo\n");
    }
}

#[test]
fn what_grandchildren_write_after_the_drain_is_cut_off_even_if_they_never_pause() {
    let mut house = House::new();
    let (source, mut pipe) = house.attach(house.sink("log"));
    let flood = thread::spawn(move || while pipe.write_all(b"and on\n").is_ok() {});
    until("output", || (house.content("log").len() > 100_000).then_some(()));
    house.drain(source);
    // The pipe is closed: the writer gets EPIPE.
    flood.join().unwrap();
}

#[test]
fn a_drained_source_that_nobody_attached_is_drained() {
    let mut house = House::new();
    house.drain(SourceId { child: 77, channel: Channel::Stderr });
}

#[test]
fn a_flood_through_rotations_keeps_every_byte_in_order() {
    for (remote, strip) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut house = House::on(remote);
        let sink = Sink { maxbytes: 300_000, backups: 100, strip_ansi: strip, ..house.sink("log") };
        let (source, mut pipe) = house.attach(sink);
        let text = numbered(0..300_000);
        let sent = text.clone();
        let writer = thread::spawn(move || pipe.write_all(sent.as_bytes()).unwrap());
        writer.join().unwrap();
        house.drain(source);
        let mut found = String::new();
        for number in (1..=100).rev() {
            let backup = fs::read_to_string(backup_path(&house.path("log"), number)).unwrap_or_default();
            assert!(backup.len() < 300_000 + super::target::CHUNK_BYTES_MAX);
            assert!(backup.is_empty() || backup.len() >= 300_000);
            found += &backup;
        }
        found += &house.content("log");
        assert!(found == text, "remote {remote}, strip {strip}: {} of {} bytes", found.len(), text.len());
    }
}

#[test]
fn programs_that_share_a_file_do_not_overwrite_each_other() {
    let mut house = House::new();
    let sources: Vec<_> = (0..5).map(|_| house.attach(house.sink("log"))).collect();
    let writers: Vec<_> = sources
        .into_iter()
        .map(|(source, mut pipe)| {
            thread::spawn(move || {
                (0..2000).for_each(|number| pipe.write_all(format!("{} {number}\n", source.child).as_bytes()).unwrap());
                source
            })
        })
        .collect();
    for writer in writers {
        let source = writer.join().unwrap();
        house.drain(source);
    }
    let text = house.content("log");
    for child in 1..=5 {
        let prefix = format!("{child} ");
        let numbers: Vec<u32> = text.lines().filter_map(|line| line.strip_prefix(&prefix)?.parse().ok()).collect();
        assert!(numbers.into_iter().eq(0..2000), "child {child}");
    }
    assert_eq!(text.lines().count(), 10_000);
}

#[test]
fn three_hundred_sources_are_served_side_by_side() {
    let mut house = House::new();
    let mut sources: Vec<_> = (0..300).map(|number| house.attach(house.sink(&format!("log{number}")))).collect();
    for round in 0..3 {
        for (source, pipe) in &mut sources {
            pipe.write_all(format!("{} {round}\n", source.child).as_bytes()).unwrap();
        }
    }
    for (number, (source, pipe)) in sources.into_iter().enumerate() {
        drop(pipe);
        house.drain(source);
        let child = source.child;
        assert_eq!(house.content(&format!("log{number}")), format!("{child} 0\n{child} 1\n{child} 2\n"));
    }
}

#[test]
fn a_flood_does_not_keep_others_waiting() {
    let mut house = House::new();
    let (_loud, mut loud) = house.attach(Sink { maxbytes: 1_000_000, backups: 1, ..house.sink("loud") });
    let (_quiet, mut quiet) = house.attach(house.sink("quiet"));
    let over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&over);
    let flood = thread::spawn(move || {
        let piece = vec![b'x'; 65536];
        while !stop.load(Ordering::Relaxed) {
            loud.write_all(&piece).unwrap();
        }
    });
    let mut expected = String::new();
    for number in 0..100 {
        quiet.write_all(format!("{number}\n").as_bytes()).unwrap();
        writeln!(expected, "{number}").unwrap();
        house.until_content("quiet", &expected);
    }
    over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
}

#[test]
fn without_a_file_output_is_dropped_and_still_copied() {
    let mut house = House::new();
    let (source, mut pipe) = house.attach(Sink { file: None, copy: true, strip_ansi: true, ..house.sink("") });
    pipe.write_all(b"\x1b[1mhello\x1b[0m").unwrap();
    let copied = house.notice("Output", |notice| match notice {
        Notice::Output { source: from, bytes } if *from == source => Some(bytes.clone()),
        _ => None,
    });
    assert_eq!(copied, b"hello");
    let (source, mut pipe) = house.attach(Sink { file: None, ..house.sink("") });
    pipe.write_all(&vec![b'x'; 1_000_000]).unwrap();
    house.drain(source);
}

#[test]
fn copies_equal_the_file_and_are_bounded() {
    for (remote, strip) in [(false, false), (true, false), (true, true)] {
        let mut house = House::on(remote);
        let (source, mut pipe) = house.attach(Sink { copy: true, strip_ansi: strip, ..house.sink("log") });
        let text = numbered(0..300_000);
        let sent = text.clone();
        let written = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&written);
        let writer = thread::spawn(move || {
            pipe.write_all(sent.as_bytes()).unwrap();
            done.store(true, Ordering::Relaxed);
        });
        // Nobody receives, so it stops somewhere; then someone does, and it goes on.
        let path = house.path("log");
        until("the bound", || (fs::metadata(&path).ok()?.len() >= OUTPUT_BYTES_MAX as u64).then_some(()));
        assert!(!written.load(Ordering::Relaxed));
        let mut copied = Vec::new();
        until("all copies", || {
            if let Some(Notice::Output { bytes, .. }) = house.notices.try_recv() {
                copied.extend(bytes);
            }
            (copied.len() >= text.len()).then_some(())
        });
        writer.join().unwrap();
        house.drain(source);
        assert!(copied == text.as_bytes());
        assert!(house.content("log") == text);
    }
}

#[test]
fn syslog_gets_each_line_with_the_process_name() {
    let mut house = House::new();
    let daemon = UnixDatagram::bind(house.path("syslog")).unwrap();
    let (source, mut pipe) = house.attach(Sink { syslog: true, ..house.sink("log") });
    pipe.write_all(b"one\ntw").unwrap();
    pipe.write_all(b"o\nrest").unwrap();
    drop(pipe);
    house.drain(source);
    let mut buffer = [0; 200];
    for expected in ["web one", "web two", "web rest"] {
        let length = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.ends_with(&format!(" galaxyd: {expected}")), "{text}");
    }
    assert_eq!(house.content("log"), "one\ntwo\nrest");
}

#[test]
fn a_missing_log_daemon_is_told_once_and_the_file_goes_on() {
    let mut house = House::new();
    let (source, mut pipe) = house.attach(Sink { syslog: true, ..house.sink("log") });
    for number in 0..100 {
        pipe.write_all(format!("{number}\n").as_bytes()).unwrap();
    }
    house.drain(source);
    let troubles = house.seen.iter().filter(|notice| matches!(notice, Notice::Trouble { doing: "send", .. }));
    assert_eq!(troubles.count(), 1);
    assert_eq!(house.content("log").lines().count(), 100);
}

#[test]
fn a_reader_that_pauses_holds_back_its_own_writer_only() {
    let mut house = House::new();
    nix::unistd::mkfifo(&house.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let path = house.path("fifo");
    let mut reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let (slow, mut slow_pipe) = house.attach(Sink { maxbytes: 10, backups: 1, ..house.sink("fifo") });
    let (_other, mut other_pipe) = house.attach(house.sink("log"));
    let text = numbered(0..50_000);
    let sent = text.clone();
    let writer = thread::spawn(move || slow_pipe.write_all(sent.as_bytes()).unwrap());
    other_pipe.write_all(b"on\n").unwrap();
    house.until_content("log", "on\n");
    assert!(!writer.is_finished());
    let mut found = vec![0; text.len()];
    reader.read_exact(&mut found).unwrap();
    assert!(found == text.as_bytes());
    writer.join().unwrap();
    house.drain(slow);
}

#[test]
fn reopening_follows_the_name() {
    let mut house = House::new();
    let (source, mut pipe) = house.attach(house.sink("log"));
    pipe.write_all(b"one\n").unwrap();
    house.until_content("log", "one\n");
    fs::rename(house.path("log"), house.path("old")).unwrap();
    pipe.write_all(b"two\n").unwrap();
    house.until_content("old", "one\ntwo\n");
    house.plane.send(Command::Reopen);
    until("a new file", || house.path("log").exists().then_some(()));
    pipe.write_all(b"three\n").unwrap();
    house.drain(source);
    assert_eq!(house.content("log"), "three\n");
}

#[test]
fn clearing_works_for_running_stopped_and_special() {
    let mut house = House::new();
    let (source, mut pipe) = house.attach(house.sink("log"));
    pipe.write_all(b"one\n").unwrap();
    house.until_content("log", "one\n");
    fs::write(house.path("stopped"), "old").unwrap();
    let files = [house.path("log"), house.path("stopped"), house.path("none"), PathBuf::from("/dev/null")];
    for (ticket, file) in (0..).zip(files) {
        house.plane.send(Command::Clear { ticket, file: file.into() });
        let cleared = house.notice("Cleared", |notice| match notice {
            Notice::Cleared { ticket: found, result } if *found == ticket => Some(result.is_ok()),
            _ => None,
        });
        assert!(cleared);
    }
    assert_eq!(house.content("log"), "");
    assert_eq!(house.content("stopped"), "");
    assert!(!house.path("none").exists());
    pipe.write_all(b"two\n").unwrap();
    house.drain(source);
    assert_eq!(house.content("log"), "two\n");
    house.gate.set(&house.path("log"), "clear", Rule::Fail(libc::EACCES));
    house.plane.send(Command::Clear { ticket: 9, file: house.path("log").into() });
    let cleared = house.notice("Cleared", |notice| match notice {
        Notice::Cleared { ticket: 9, result } => Some(result.is_ok()),
        _ => None,
    });
    assert!(!cleared);
}

#[test]
fn truncation_by_others_leaves_no_hole() {
    let mut house = House::new();
    let (source, mut pipe) = house.attach(house.sink("log"));
    pipe.write_all(b"one\n").unwrap();
    house.until_content("log", "one\n");
    File::create(house.path("log")).unwrap();
    pipe.write_all(b"two\n").unwrap();
    house.drain(source);
    assert_eq!(house.content("log"), "two\n");
}

#[test]
fn a_plane_whose_handle_is_gone_ends_when_its_pipes_do() {
    let mut house = House::new();
    let (_source, mut pipe) = house.attach(house.sink("log"));
    pipe.write_all(b"one\n").unwrap();
    house.until_content("log", "one\n");
    let House { plane, mut notices, dir, .. } = house;
    drop(plane);
    pipe.write_all(b"two\n").unwrap();
    drop(pipe);
    until("Drained", || matches!(notices.try_recv()?, Notice::Drained { .. }).then_some(()));
    assert_eq!(fs::read_to_string(dir.path().join("log")).unwrap(), "one\ntwo\n");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(notices.recv()).is_none());
}

#[test]
fn strip_ansi_can_change_while_a_program_runs() {
    let mut house = House::new();
    let (source, mut pipe) = house.attach(house.sink("log"));
    pipe.write_all(b"\x1b[1mA\n").unwrap();
    house.until_content("log", "\x1b[1mA\n");
    house.plane.send(Command::StripAnsi(true));
    pipe.write_all(b"\x1b[1mB\n").unwrap();
    house.until_content("log", "\x1b[1mA\nB\n");
    drop(pipe);
    house.drain(source);
}

#[test]
fn the_gate_of_production_is_open() {
    assert!(OpenGate.pass("write", Path::new("/")).is_ok());
    assert!(!OpenGate.is_remote(Path::new("/")));
}
