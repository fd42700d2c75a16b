//! Bytes to text, with Python's message for what is no UTF-8.

/// A file that is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// Bytes before the first one that cannot be decoded.
    pub offset: usize,
    /// Python's text.
    pub message: String,
}

/// The bytes of a file as text.
///
/// # Errors
/// If they are not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let bad = bytes.get(offset..).unwrap_or_default();
        let first = bad.first().copied().unwrap_or_default();
        let reason = match (error.error_len(), first) {
            (None, _) => "unexpected end of data",
            (_, 0xc2..=0xf4) => "invalid continuation byte",
            _ => "invalid start byte",
        };
        let what = match error.error_len().unwrap_or(bad.len()) {
            1 => format!("byte 0x{first:02x} in position {offset}"),
            length => format!("bytes in position {offset}-{}", offset + length - 1),
        };
        DecodeError { offset, message: format!("'utf-8' codec can't decode {what}: {reason}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_pythons() {
        let cases: [(&[u8], usize, &str); 7] = [
            (b"caf\xe9 x", 3, "byte 0xe9 in position 3: invalid continuation byte"),
            (b"\xff", 0, "byte 0xff in position 0: invalid start byte"),
            (b"a\x80", 1, "byte 0x80 in position 1: invalid start byte"),
            (b"\xc0\x80", 0, "byte 0xc0 in position 0: invalid start byte"),
            (b"caf\xc3", 3, "byte 0xc3 in position 3: unexpected end of data"),
            (b"\xe2\x82", 0, "bytes in position 0-1: unexpected end of data"),
            (b"\xf0\x90\x80a", 0, "bytes in position 0-2: invalid continuation byte"),
        ];
        for (bytes, offset, expected) in cases {
            let error = decode(bytes).unwrap_err();
            assert_eq!(error.offset, offset);
            assert_eq!(error.to_string(), format!("'utf-8' codec can't decode {expected}"));
        }
        assert_eq!(decode("é".as_bytes()), Ok("é"));
    }
}
