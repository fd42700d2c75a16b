//! What is typed at a terminal that hands over each key at once.

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ctl) enum Key {
    Letter(char),
    Up,
    Down,
    Enter,
    Escape,
    Backspace,
    /// Ctrl-C, which is a key here.
    Interrupt,
}

/// The keys in what came at once; sequences that are none of these are left out.
pub(super) fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut keys = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        keys.extend(match letter {
            '\u{1b}' if rest.next_if(|next| matches!(next, '[' | 'O')).is_some() => {
                // Parameters, then one letter that says what it is.
                match rest.find(|end| !end.is_ascii_digit() && *end != ';') {
                    Some('A') => Some(Key::Up),
                    Some('B') => Some(Key::Down),
                    _ => None,
                }
            }
            '\u{1b}' => Some(Key::Escape),
            '\r' | '\n' => Some(Key::Enter),
            '\u{7f}' | '\u{8}' => Some(Key::Backspace),
            '\u{3}' => Some(Key::Interrupt),
            other if other.is_control() => None,
            other => Some(Key::Letter(other)),
        });
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_sequences() {
        for (typed, wanted) in [
            ("qé", vec![Key::Letter('q'), Key::Letter('é')]),
            ("\u{1b}[A\u{1b}OB", vec![Key::Up, Key::Down]),
            ("\u{1b}[1;5A\u{1b}[3~x", vec![Key::Up, Key::Letter('x')]),
            ("\u{1b}", vec![Key::Escape]),
            ("\r\u{7f}\u{3}\t", vec![Key::Enter, Key::Backspace, Key::Interrupt]),
        ] {
            assert_eq!(keys(typed.as_bytes()), wanted, "{typed:?}");
        }
    }
}
