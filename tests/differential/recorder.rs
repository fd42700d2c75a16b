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
        let payload = letters(&mut input, length.parse().unwrap_or(0))?;
        let mut entry = header.into_bytes();
        entry.extend(payload);
        entry.extend(b"\n\0\n");
        file.write_all(&entry)?;
        say("RESULT 2\nOK")?;
    }
}

/// So many letters of UTF-8: `len:` counts those, not bytes.
fn letters(input: &mut impl Read, count: usize) -> std::io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    for _ in 0..count {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        payload.extend(byte);
        for _ in 1..byte[0].leading_ones() {
            input.read_exact(&mut byte)?;
            payload.extend(byte);
        }
    }
    Ok(payload)
}

fn say(text: &str) -> std::io::Result<()> {
    let mut output = stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
