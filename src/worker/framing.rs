//! Documents in a file that somebody else reads later: a header that says what and of which version, then values, each with
//! its length and checksum.
//!
//! A value is its length (`u32`), the checksum of its text (`u64`), both little-endian, and the text, which is JSON. What is
//! not whole is refused; only the last value may be cut short, by a writer that was killed.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::keeper::checksum;
use crate::sys::host;

const LENGTH_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 8;

/// What kind of document it is. Its fields stay as they are in all versions.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    /// The boot and the container it was written in.
    host: String,
}

/// Begins a document.
///
/// # Errors
/// None that these texts could give.
pub(super) fn begin(format: &str, version: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    append(&mut bytes, &Header { format: format.to_owned(), version, host: host::identity() })?;
    Ok(bytes)
}

/// Adds a value to a document.
///
/// # Errors
/// It cannot be said in JSON, or is longer than 4 GiB; then the document is of no use.
pub(super) fn append<T: Serialize>(bytes: &mut Vec<u8>, value: &T) -> io::Result<()> {
    // The text is put where it belongs: there may be megabytes of it.
    let begin = bytes.len();
    bytes.extend_from_slice(&[0; LENGTH_BYTES + CHECKSUM_BYTES]);
    serde_json::to_writer(&mut *bytes, value)?;
    let (_, value) = bytes.split_at_mut(begin);
    let (front, text) = value.split_at_mut(LENGTH_BYTES + CHECKSUM_BYTES);
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    let (length_bytes, checksum_bytes) = front.split_at_mut(LENGTH_BYTES);
    length_bytes.copy_from_slice(&length.to_le_bytes());
    checksum_bytes.copy_from_slice(&checksum(text).to_le_bytes());
    Ok(())
}

/// Reads the values of a document one after the other.
#[derive(Debug)]
pub(super) struct Values<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Values<'a> {
    /// # Errors
    /// It is no document of this format and version, or was written before the machine was started.
    pub(super) fn of(bytes: &'a [u8], format: &str, version: u32) -> io::Result<Values<'a>> {
        let mut values = Values { rest: bytes, length: bytes.len() };
        let header: Header = values.next()?.ok_or_else(|| refused("it has no header"))?;
        if header.format != format {
            return Err(refused(&format!("it is a {}, no {format}", header.format)));
        }
        if header.version != version {
            return Err(refused(&format!("it is of version {}, this program knows version {version}", header.version)));
        }
        if header.host != host::identity() {
            return Err(refused("it was written before this machine, or container, was started"));
        }
        Ok(values)
    }

    /// The next value; `None` at the end, also where the last one is cut short.
    ///
    /// # Errors
    /// It is damaged.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some((length, rest)) = self.rest.split_first_chunk() else { return Ok(None) };
        let Some((sum, rest)) = rest.split_first_chunk::<CHECKSUM_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(io::Error::other)?;
        let Some((text, rest)) = rest.split_at_checked(length) else { return Ok(None) };
        if checksum(text) != u64::from_le_bytes(*sum) {
            return Err(refused(&format!("the value at byte {} is damaged", self.length - self.rest.len())));
        }
        self.rest = rest;
        Ok(Some(serde_json::from_slice(text)?))
    }

    /// Bytes of all values so far.
    pub(super) fn read_bytes(&self) -> u64 {
        (self.length - self.rest.len()) as u64
    }
}

fn refused(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Vec<u8> {
        let mut bytes = begin("test", 3).unwrap();
        for value in ["one", "two"] {
            append(&mut bytes, &value).unwrap();
        }
        bytes
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<String>> {
        let mut values = Values::of(bytes, "test", 3)?;
        let mut found = Vec::new();
        while let Some(value) = values.next()? {
            found.push(value);
        }
        Ok(found)
    }

    #[test]
    fn whatever_it_is_cut_to_the_values_before_are_read() {
        let bytes = document();
        let header = begin("test", 3).unwrap().len();
        for length in 0..bytes.len() {
            match read(&bytes[..length]) {
                Ok(found) => assert!(
                    length >= header
                        && ["one", "two"].starts_with(&found.iter().map(String::as_str).collect::<Vec<_>>()),
                    "{length}"
                ),
                Err(_) => assert!(length < header, "{length}"),
            }
        }
        assert_eq!(read(&bytes).unwrap(), ["one", "two"]);
    }

    #[test]
    fn a_byte_that_is_another_is_noticed() {
        let bytes = document();
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x11;
            // A length that grew looks as if the writer had been killed; then the value is missing, never another one.
            match read(&damaged) {
                Ok(found) => assert!(found.len() < 2 && found.iter().all(|value| value == "one"), "{place}: {found:?}"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn another_format_or_version_is_refused() {
        for (bytes, wanted) in [
            (begin("other", 3).unwrap(), "it is a other, no test"),
            (begin("test", 4).unwrap(), "it is of version 4, this program knows version 3"),
            (Vec::new(), "it has no header"),
        ] {
            assert_eq!(read(&bytes).unwrap_err().to_string(), wanted);
        }
    }
}
