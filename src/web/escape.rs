//! Foreign text in HTML: what programs print, what administrators name, what URLs say.

/// Text for an element or a quoted attribute.
///
/// Markup becomes references. What a terminal would obey, or what turns the direction of writing, becomes visible: the
/// escape character is shown as U+241B, other control characters likewise, and C1 controls and direction marks as U+FFFD.
/// Line ends and tabs stay, a carriage return before a line end is dropped.
#[must_use]
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 16);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\r' if letters.peek() == Some(&'\n') => {}
            other => safe.push(visible(other)),
        }
    }
    safe
}

/// The letter, or what stands for it where it would act instead of being seen.
pub(super) fn visible(letter: char) -> char {
    match letter {
        '\n' | '\t' => letter,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(letter)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{e0000}'..='\u{e007f}'
        | '\u{fffe}'
        | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_foreign_acts() {
        for (text, safe) in [
            ("plain é\t1\n", "plain é\t1\n"),
            ("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            ("a\" onclick=\"b", "a&quot; onclick=&quot;b"),
            ("&lt;", "&amp;lt;"),
            ("\u{1b}[31mred\u{1b}[0m\u{7}", "\u{241b}[31mred\u{241b}[0m\u{2407}"),
            ("one\r\ntwo\rthree", "one\ntwo\u{240d}three"),
            ("\0\u{7f}\u{9b}31m\u{202e}txt.exe", "\u{2400}\u{2421}\u{fffd}31m\u{fffd}txt.exe"),
        ] {
            assert_eq!(escaped(text), safe, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_markup_and_no_control_character_is_left(text in any::<String>()) {
            let safe = escaped(&text);
            prop_assert!(!safe.contains(['<', '>', '"', '\'']));
            prop_assert!(safe.chars().all(|letter| !letter.is_control() || letter == '\n' || letter == '\t'));
        }
    }
}
