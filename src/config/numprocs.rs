//! How many processes a program has: the number in its section, and the file whose number stands over it.

use std::path::Path;

use super::lookup::Complaint;
use super::source::{ReadError, Source};
use super::value;

/// More processes than this are refused for one section.
pub const NUMPROCS_MAX: i64 = 10_000;

/// A number of processes as it is written.
pub(super) fn bearable(text: &str) -> Result<i64, Complaint> {
    let number = value::integer(text)?;
    if number > NUMPROCS_MAX {
        let text = format!("{number} processes are more than the {NUMPROCS_MAX} that one section may have");
        return Err(Complaint::new(text, "divide the program into several sections"));
    }
    Ok(number)
}

/// The number that stands in a file; `None` without the file.
pub(super) fn number_in(file: &str, source: &dyn Source) -> Result<Option<i64>, Complaint> {
    const HELP: &str = "name a file with one number in it, such as `galaxyctl scale` writes";
    let wrong = |why: &str| Complaint::new(format!("'{file}' says no number of processes: {why}"), HELP);
    if !file.starts_with('/') {
        return Err(Complaint::new(format!("'{file}' is not an absolute path"), HELP));
    }
    let bytes = match source.read(Path::new(file)) {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) => return Ok(None),
        Err(error) => return Err(wrong(&error.to_string())),
    };
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is no text"))?;
    let number = bearable(text.trim()).map_err(|complaint| wrong(&complaint.text))?;
    if number < 0 { Err(wrong("it is below zero")) } else { Ok(Some(number)) }
}

/// What is told where the file says something else than `key` does.
pub(super) fn overruled(file: &str, number: i64, key: &str, written: i64) -> (String, String) {
    let text = format!("{file} says {number} processes, which stands over {key}={written}");
    (text, format!("galaxyctl scale wrote it; without the file {key} counts"))
}
