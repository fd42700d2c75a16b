//! The plane when files cannot be written: full, gone, hung.

use std::fs;
use std::io::{self, Write};

use super::logfile::backup_path;
use super::plane::{Notice, Sink};
use super::plane_tests::{House, Rule, until};
use super::process_tests::numbered;

#[test]
fn a_full_disk_loses_only_what_would_stop_the_child_and_says_so() {
    for (remote, strip) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut house = House::on(remote);
        let (source, mut pipe) = house.attach(Sink { strip_ansi: strip, ..house.sink("log") });
        pipe.write_all(b"before").unwrap();
        house.until_content("log", "before");
        house.gate.set(&house.path("log"), "write", Rule::Fail(libc::ENOSPC));
        let text = numbered(0..100_000);
        // More than fits anywhere: this ends only because bytes are dropped.
        pipe.write_all(text.as_bytes()).unwrap();
        assert_eq!(house.trouble("log"), ("write", io::ErrorKind::StorageFull));
        house.gate.open_all();
        let lost = house.recovered("log");
        pipe.write_all(b"after\n").unwrap();
        house.drain(source);
        let found = house.content("log");
        let marker = format!("\ngalaxyd: {lost} bytes lost\n");
        let (before, after) = found.split_once(&marker).unwrap_or_else(|| panic!("no {marker:?}"));
        let before = before.strip_prefix("before").unwrap();
        let after = after.strip_suffix("after\n").unwrap();
        assert!(text.starts_with(before) && text.ends_with(after), "remote {remote}, strip {strip}");
        assert_eq!(before.len() + after.len() + usize::try_from(lost).unwrap(), text.len());
        assert!(lost > 0);
        assert!(!house.seen.iter().any(|notice| matches!(notice, Notice::Trouble { .. })), "told once");
    }
}

#[test]
fn a_short_trouble_loses_nothing() {
    for (remote, strip) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut house = House::on(remote);
        house.gate.set(&house.path("log"), "write", Rule::Fail(libc::EIO));
        let (source, mut pipe) = house.attach(Sink { strip_ansi: strip, ..house.sink("log") });
        pipe.write_all(b"kept\n").unwrap();
        assert_eq!(house.trouble("log").0, "write");
        pipe.write_all(b"as well\n").unwrap();
        house.gate.open_all();
        assert_eq!(house.recovered("log"), 0);
        house.drain(source);
        assert_eq!(house.content("log"), "kept\nas well\n");
    }
}

#[test]
fn a_drain_into_a_file_that_stays_unwritable_ends_after_a_while() {
    let mut house = House::new();
    house.gate.set(&house.path("log"), "write", Rule::Fail(libc::EDQUOT));
    let (source, mut pipe) = house.attach(house.sink("log"));
    pipe.write_all(b"lost").unwrap();
    house.drain(source);
    // The next child finds the file well and the loss on record.
    house.gate.open_all();
    let (source, mut pipe) = house.attach(house.sink("log"));
    pipe.write_all(b"next\n").unwrap();
    assert_eq!(house.recovered("log"), 4);
    house.drain(source);
    assert_eq!(house.content("log"), "galaxyd: 4 bytes lost\nnext\n");
}

#[test]
fn a_vanished_directory_is_told_and_used_again_when_it_is_back() {
    let mut house = House::new();
    let folder = house.path("logs");
    fs::create_dir(&folder).unwrap();
    let (source, mut pipe) = house.attach(house.sink("logs/log"));
    pipe.write_all(b"one\n").unwrap();
    house.until_content("logs/log", "one\n");
    fs::remove_dir_all(&folder).unwrap();
    pipe.write_all(b"two\n").unwrap();
    assert_eq!(house.trouble("logs/log"), ("open", io::ErrorKind::NotFound));
    fs::create_dir(&folder).unwrap();
    assert_eq!(house.recovered("logs/log"), 0);
    pipe.write_all(b"three\n").unwrap();
    house.drain(source);
    assert_eq!(house.content("logs/log"), "two\nthree\n");
}

#[test]
fn a_rotation_that_fails_is_told_once_and_the_file_grows() {
    let mut house = House::new();
    fs::create_dir(backup_path(&house.path("log"), 1)).unwrap();
    let (source, mut pipe) = house.attach(Sink { maxbytes: 4, backups: 1, ..house.sink("log") });
    for _ in 0..5 {
        pipe.write_all(b"12345").unwrap();
    }
    assert_eq!(house.trouble("log").0, "rotate");
    house.drain(source);
    assert_eq!(house.content("log"), "1234512345123451234512345");
    assert!(!house.seen.iter().any(|notice| matches!(notice, Notice::Trouble { .. })), "told once");
}

#[test]
fn a_hung_file_stops_neither_its_child_nor_other_logs() {
    for doing in ["open", "write", "rotate"] {
        let mut house = House::on(true);
        house.gate.set(&house.path("hung"), doing, Rule::Hang);
        let (hung, mut hung_pipe) = house.attach(Sink { maxbytes: 1, backups: 3, ..house.sink("hung") });
        let (well, mut well_pipe) = house.attach(house.sink("well"));
        hung_pipe.write_all(b"first\n").unwrap();
        well_pipe.write_all(b"on\n").unwrap();
        house.until_content("well", "on\n");
        // Far more than the pipe holds.
        hung_pipe.write_all(numbered(0..50_000).as_bytes()).unwrap();
        well_pipe.write_all(b"and on\n").unwrap();
        house.until_content("well", "on\nand on\n");
        let path = house.path("hung");
        house.notice("Stuck", |notice| matches!(notice, Notice::Stuck { file } if *file == path).then_some(()));
        house.gate.open_all();
        assert!(house.recovered("hung") > 0);
        hung_pipe.write_all(b"last\n").unwrap();
        house.drain(hung);
        house.drain(well);
        let mut text = String::new();
        for number in (0..=3).rev() {
            let part = if number == 0 { path.clone() } else { backup_path(&path, number) };
            text += &fs::read_to_string(part).unwrap_or_default();
        }
        assert!(text.contains("bytes lost"), "{doing}: {text:.100}");
        assert!(text.ends_with("last\n"), "{doing}");
    }
}

#[test]
fn many_hung_files_cost_few_threads_and_all_come_back() {
    let mut house = House::on(true);
    let mut hung: Vec<_> = (0..30).map(|number| house.attach(house.sink(&format!("hung{number}")))).collect();
    for (number, (_, pipe)) in hung.iter_mut().enumerate() {
        pipe.write_all(b"first\n").unwrap();
        house.until_content(&format!("hung{number}"), "first\n");
        house.gate.set(&house.path(&format!("hung{number}")), "write", Rule::Hang);
    }
    for (_, pipe) in &mut hung {
        pipe.write_all(&vec![b'x'; 200_000]).unwrap();
        pipe.write_all(b"last\n").unwrap();
    }
    // Another file system.
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let file = elsewhere.path().join("well");
    let (well, mut pipe) = house.attach(Sink { file: Some(file.as_path().into()), ..house.sink("") });
    pipe.write_all(b"well\n").unwrap();
    until("the other file system's log", || (fs::read_to_string(&file).ok()? == "well\n").then_some(()));
    house.gate.open_all();
    for (number, (source, _pipe)) in hung.into_iter().enumerate() {
        house.drain(source);
        let text = house.content(&format!("hung{number}"));
        assert!(text.starts_with("first\n"), "{number}: {text:.200}");
        assert!(text.ends_with("last\n") || text.ends_with(" bytes lost\n"), "{number}");
    }
    house.drain(well);
}

#[test]
fn a_drain_of_a_hung_file_ends_after_a_while() {
    let mut house = House::on(true);
    house.gate.set(&house.path("hung"), "open", Rule::Hang);
    let (source, mut pipe) = house.attach(house.sink("hung"));
    pipe.write_all(b"lost").unwrap();
    house.drain(source);
    let (again, mut pipe) = house.attach(house.sink("hung"));
    pipe.write_all(b"kept\n").unwrap();
    house.gate.open_all();
    house.drain(again);
    assert_eq!(house.content("hung"), "galaxyd: 4 bytes lost\nkept\n");
}
