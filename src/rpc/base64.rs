//! Base64 as Python's `base64` module reads and writes it: XML-RPC's binary values and Basic credentials.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text without line breaks.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let sextet = (group >> (18 - 6 * position)) & 0x3f;
            let letter = ALPHABET.get(sextet as usize).copied().unwrap_or(b'=');
            text.push(if position <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// The bytes; `None` if the padding does not fit.
///
/// Like Python's: what is not of the alphabet (blanks, line breaks) is skipped, reading ends at complete padding.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut group = 0u32;
    let mut sextets = 0u32;
    let mut padding = 0u32;
    for letter in text.bytes() {
        if letter == b'=' {
            padding += 1;
            if sextets >= 2 && sextets + padding >= 4 {
                return Some(bytes);
            }
            continue;
        }
        let Some(sextet) = sextet_of(letter) else { continue };
        padding = 0;
        group = group << 6 | sextet;
        sextets += 1;
        if sextets > 1 {
            let shift = 8 - 2 * sextets;
            bytes.push((group >> shift & 0xff) as u8);
        }
        if sextets == 4 {
            (group, sextets) = (0, 0);
        }
    }
    (sextets == 0).then_some(bytes)
}

fn sextet_of(letter: u8) -> Option<u32> {
    let sextet = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(sextet.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_rfc_4648_hold() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in cases {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn reading_is_as_lenient_and_as_strict_as_pythons() {
        for (text, bytes) in [
            ("Zm9v\nYmFy\n", Some("foobar")),
            ("Zm 9-v", Some("foo")),
            ("Zg==Zm9v", Some("f")),
            ("Zg", None),
            ("Zg=", None),
            ("Z", None),
            ("Zm8", None),
        ] {
            assert_eq!(decode(text), bytes.map(|bytes| bytes.as_bytes().to_vec()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn nothing_makes_it_panic(text in ".{0,200}") {
            let _ = decode(&text);
        }
    }
}
