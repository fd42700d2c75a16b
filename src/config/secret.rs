//! Values that are not shown: passwords and the like, recognised by the names they go by.

/// What stands in their place.
pub(super) const HIDDEN: &str = "(hidden)";

/// Parts of names that promise a secret.
const TELLTALES: [&str; 10] =
    ["PASS", "PWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH", "PRIVATE", "COOKIE", "SESSION"];

/// Whether what goes by this name is hardly meant to be seen.
#[must_use]
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    TELLTALES.iter().any(|telltale| name.contains(telltale))
}

/// The text with the passwords of URLs and the values of telling options (`--token=x`, `PGPASSWORD=x`) hidden.
#[must_use]
pub(super) fn without_secrets(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(word_without_secrets).collect()
}

fn word_without_secrets(word: &str) -> String {
    let body = word.trim_end();
    let end = word.strip_prefix(body).unwrap_or_default();
    if let Some((name, value)) = body.split_once('=')
        && is_secret(name)
        && !value.is_empty()
    {
        return format!("{name}={HIDDEN}{end}");
    }
    // scheme://user:password@host
    if let Some((scheme, rest)) = body.split_once("://")
        && let Some((login, host)) = rest.split_once('@')
        && let Some((user, _)) = login.split_once(':')
        && !login.contains('/')
    {
        return format!("{scheme}://{user}:{HIDDEN}@{host}{end}");
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_secrets_away() {
        for (name, wanted) in
            [("DB_PASSWORD", true), ("GALAXY_API_KEY", true), ("apitoken", true), ("PATH", false), ("LANG", false)]
        {
            assert_eq!(is_secret(name), wanted, "{name}");
        }
    }

    #[test]
    fn passwords_are_taken_out_of_texts() {
        for (text, wanted) in [
            ("web --port 8080", "web --port 8080"),
            ("web --token=abc  --port=1", "web --token=(hidden)  --port=1"),
            ("run postgresql://galaxy:pw@db/x now", "run postgresql://galaxy:(hidden)@db/x now"),
            ("http://host/a:b@c", "http://host/a:b@c"),
            ("A=amqp://u:p@h", "A=amqp://u:(hidden)@h"),
        ] {
            assert_eq!(without_secrets(text), wanted);
        }
    }
}
