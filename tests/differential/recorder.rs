//! The listener that writes every event down, played by the test binary itself.
//!
//! It subscribes to EVENT, so it misses no transition, however short a state lasts.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, Read, Write, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;

/// The first word of the command line that makes this binary the recorder; the file follows.
pub(crate) const FLAG: &str = "--record-events";

/// Appends header line, payload and an empty line to the file for each event, until the daemon goes.
pub(crate) fn record(path: &Path) -> ExitCode {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    // The daemon's end is no error of this listener.
    match follow(&mut file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn follow(file: &mut File) -> std::io::Result<()> {
    let mut input = stdin().lock();
    loop {
        say("READY\n")?;
        let mut header = String::new();
        if input.read_line(&mut header)? == 0 {
            return Ok(());
        }
        let length = header.split_whitespace().find_map(|token| token.strip_prefix("len:")).unwrap_or("0");
        let mut payload = vec![0; length.parse().unwrap_or(0)];
        input.read_exact(&mut payload)?;
        let mut entry = header.into_bytes();
        entry.extend(payload);
        entry.extend(b"\n\0\n");
        file.write_all(&entry)?;
        say("RESULT 2\nOK")?;
    }
}

fn say(text: &str) -> std::io::Result<()> {
    let mut output = stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
