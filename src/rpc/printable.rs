//! Text from a client as it may stand in a log.

/// Characters of such a text, at most.
const SHOWN_MAX: usize = 200;

/// The text on one line and of bounded length: control characters as escapes, the rest of a long text as `…`.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == SHOWN_MAX {
            shown.push('…');
            break;
        }
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn no_text_makes_a_second_line() {
        assert_eq!(printable("a\nb\r\u{1b}[31m\u{85}é\u{2028}"), "a\\nb\\r\\u{1b}[31m\\u{85}é\\u{2028}");
        assert_eq!(printable("group:name_0"), "group:name_0");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(printable(&"x".repeat(200)), "x".repeat(200));
        assert_eq!(printable(&"x".repeat(10_000)), "x".repeat(200) + "…");
    }
}
