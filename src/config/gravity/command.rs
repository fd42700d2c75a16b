//! Command lines and variables as text: quoting, and the fields in braces that Gravity fills in.

use super::settings::{Origin, Sourced};
use crate::config::span::Span;

/// A command line under construction.
#[derive(Debug)]
pub(super) struct CommandLine {
    text: String,
    span: Span,
    /// The keys that the file sets and the line contains.
    used: Vec<(String, Span)>,
}

impl CommandLine {
    /// Begins with the program `name`, of the virtualenv if there is one.
    pub(super) fn new(virtualenv: Option<&Sourced<String>>, name: &str, span: Span) -> Self {
        let program = match virtualenv {
            Some(virtualenv) => format!("{}/bin/{name}", virtualenv.value.trim_end_matches('/')),
            None => name.to_owned(),
        };
        let mut line = Self { text: quoted(&program), span, used: Vec::new() };
        line.note(virtualenv);
        line
    }

    /// Words that are right as they stand.
    pub(super) fn fixed(mut self, words: &str) -> Self {
        self.text.push(' ');
        self.text.push_str(words);
        self
    }

    /// One word: `before`, and the value.
    pub(super) fn word<T: std::fmt::Display>(mut self, before: &str, value: &Sourced<T>) -> Self {
        self.note(Some(value));
        let word = quoted(&format!("{before}{}", value.value));
        self.fixed(&word)
    }

    /// An option and its value, two words.
    pub(super) fn option<T: std::fmt::Display>(self, name: &str, value: &Sourced<T>) -> Self {
        self.fixed(name).word("", value)
    }

    /// Words that a person wrote, quoted as for a shell.
    pub(super) fn words(mut self, words: &Sourced<String>) -> Self {
        let text = words.value.trim();
        if text.is_empty() {
            return self;
        }
        self.note(Some(words));
        self.fixed(text)
    }

    fn note<T>(&mut self, value: Option<&Sourced<T>>) {
        if let Some(Sourced { origin: Origin::Written(key), span, .. }) = value {
            self.used.push((key.clone(), *span));
        }
    }

    /// The line; `place` names a place for the comment.
    pub(super) fn finish(self, place: impl Fn(Span) -> String) -> Sourced<String> {
        let origin = if self.used.is_empty() {
            "Gravity's command, defaults only".to_owned()
        } else {
            let used: Vec<_> = self.used.iter().map(|(key, span)| format!("{} {key}", place(*span))).collect();
            format!("Gravity's command with {}", used.join(", "))
        };
        Sourced::said(self.text, self.span, origin)
    }
}

/// As `shlex.quote`: a word that a shell, and the splitter of commands, gives back.
pub(super) fn quoted(word: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !word.is_empty() && word.chars().all(is_safe) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

/// Fills in `{name}` fields. A text that is no format of these fields, such as JSON, stays as it is; Gravity refuses it.
pub(super) fn filled_in(text: &str, fields: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            filled.push_str(from.get(..1).unwrap_or_default());
            rest = after;
            continue;
        }
        let field = from.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let known = field.and_then(|(name, after)| {
            let (_, value) = fields.iter().find(|(known, _)| *known == name)?;
            Some((*value, after))
        });
        let Some((value, after)) = known else { return text.to_owned() };
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::shlex;

    #[test]
    fn quoted_words_come_back() {
        for word in ["plain", "", "a b", "it's", "\"x\"", "$HOME", "a;b", "unix:/run/x.sock", "50%"] {
            assert_eq!(shlex::split(&quoted(word)), Ok(vec![word.to_owned()]), "{word:?}");
        }
        assert_eq!(
            quoted("galaxy.webapps.galaxy.fast_factory:factory()"),
            "'galaxy.webapps.galaxy.fast_factory:factory()'"
        );
    }

    #[test]
    fn fields_are_filled_in_and_other_braces_stay() {
        let fields = [("galaxy_root", "/srv/g"), ("server_name", "h0")];
        for (text, wanted) in [
            ("plain", "plain"),
            ("{galaxy_root}/x", "/srv/g/x"),
            ("{server_name}-{server_name}", "h0-h0"),
            ("{{{server_name}}}", "{h0}"),
            ("{\"a\": 1}", "{\"a\": 1}"),
            ("{unknown} {{", "{unknown} {{"),
            ("a}b", "a}b"),
            ("{", "{"),
        ] {
            assert_eq!(filled_in(text, &fields), wanted, "{text}");
        }
    }
}
