//! Whole configurations in both dialects, through the loader.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use galaxyd::config::{Config, Format, HostSource, Overrides, PrintError, load, print, sample};
use tempfile::TempDir;

use crate::target::Target;

const WORDS: &[&[u8]] = &[
    b"\n",
    b"\n[program:x]\n",
    b"[",
    b"]",
    b"=",
    b" ; ",
    b"%",
    b"%(here)s",
    b"%(process_num)d",
    b"\"",
    b"'",
    b",",
    b"-1",
    b"true",
    b"\n[include]\nfiles = *.conf\n",
    b"\ncommand = cat\n",
    b"\nnumprocs = 3\n",
    b"{",
    b"}",
    b"\xff",
];

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

fn in_folder(name: &str) -> PathBuf {
    FOLDER.with(|folder| folder.get_or_init(|| tempfile::tempdir().unwrap()).path().join(name))
}

/// Printing loads the text again and compares: reader and writer agree in every dialect.
fn judge(input: &[u8], name: &str) {
    let path = in_folder(name);
    fs::write(&path, input).unwrap();
    let source = HostSource::new(vec![("HOME".to_owned(), "/tmp".to_owned())]);
    let loaded = load(&path, &Overrides::default(), &source);
    assert_eq!(loaded.config.is_none(), loaded.problems.has_errors());
    for problem in loaded.problems.errors() {
        let is_placed = problem.place.is_some() || problem.text().contains(&*path.to_string_lossy());
        assert!(is_placed && !problem.message.is_empty(), "{problem}");
    }
    let Some(config) = &loaded.config else { return };
    // Thousands of processes say no more than some, and take long to print.
    if config.groups.iter().map(|group| group.processes.len()).sum::<usize>() > 50 {
        return;
    }
    for format in [Format::Ini, Format::Toml] {
        match print(config, format, &source) {
            Ok(_) | Err(PrintError::Inexpressible { .. }) => (),
            Err(error) => panic!("{format:?}: {error}"),
        }
    }
    let json = print(config, Format::Json, &source).unwrap();
    assert_eq!(&serde_json::from_str::<Config>(&json).unwrap(), config);
}

fn examples() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/supervisor-confs");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().flatten().map(|file| file.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "conf"));
    files.sort();
    let mut texts: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    texts.push(sample().into_bytes());
    texts
}

#[test]
fn configurations_are_refused_with_a_place_or_print_to_the_same() {
    Target { name: "configuration", words: WORDS, made: examples, oracle: |input| judge(input, "x.conf") }.feed();
}

#[test]
fn native_configurations_are_refused_with_a_place_or_print_to_the_same() {
    let made = crate::target::nothing_made;
    Target { name: "galaxyd_toml", words: WORDS, made, oracle: |input| judge(input, "galaxyd.toml") }.feed();
}
