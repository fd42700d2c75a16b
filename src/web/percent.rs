//! Percent-encoding as Python's `urllib` reads and writes it.

/// `%XX` replaced by their bytes, and what is not UTF-8 then by U+FFFD, as Python's `unquote` does.
#[must_use]
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = match (first, tail) {
            (b'%', [high, low, after @ ..]) => hex_digit(*high).zip(hex_digit(*low)).map(|(high, low)| {
                rest = after;
                high << 4 | low
            }),
            _ => None,
        };
        if let Some(byte) = decoded {
            bytes.push(byte);
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(letter: u8) -> Option<u8> {
    char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Everything but letters, digits and `/_.-~` as `%XX`, as Python's `quote` does.
#[must_use]
pub fn quote(text: &str) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or('0');
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/_.-~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_pythons() {
        for (text, quoted) in
            [("galaxy:web", "galaxy%3Aweb"), ("a b/c&d=é", "a%20b/c%26d%3D%C3%A9"), ("a-b_c.d~", "a-b_c.d~"), ("", "")]
        {
            assert_eq!(quote(text), quoted);
        }
        for (quoted, text) in
            [("%41%4a%4A", "AJJ"), ("%ZZ%4", "%ZZ%4"), ("%FF", "\u{fffd}"), ("%", "%"), ("a+b", "a+b")]
        {
            assert_eq!(decode(quoted), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(text in "\\PC{0,30}") {
            prop_assert_eq!(decode(&quote(&text)), text);
        }
    }
}
