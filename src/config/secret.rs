//! Values that are not shown: passwords and the like, recognised by the names they go by.

/// What stands in their place.
pub(super) const HIDDEN: &str = "(hidden)";

/// What is found in names of secrets, wherever it stands.
const TELLTALES: [&str; 12] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "APIKEY",
    "PRIVATE",
    "COOKIE",
    "SESSION",
    "AUTHKEY",
    "DSN",
];

/// Words that make a secret of the name they end.
const LAST_WORDS: [&str; 4] = ["KEY", "PASS", "PWD", "AUTH"];

/// Whether what goes by this name is hardly meant to be seen. A guess that errs on the side of hiding.
#[must_use]
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let last = name.rsplit(|character: char| !character.is_alphanumeric()).next().unwrap_or_default();
    let ends_so = LAST_WORDS.contains(&last) && name != "PWD";
    ends_so || TELLTALES.iter().any(|telltale| name.contains(telltale))
}

/// Whether a variable looks like a secret: by its name, or because a password is in its value.
#[must_use]
pub fn is_secret_variable(name: &str, value: &str) -> bool {
    is_secret(name) || without_secrets(value) != value
}

/// The text with the passwords of URLs and the values of telling options (`--token=x`, `PGPASSWORD=x`) hidden.
#[must_use]
pub fn without_secrets(text: &str) -> String {
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
        for (name, value, wanted) in [
            ("DB_PASSWORD", "x", true),
            ("PGPASSWORD", "x", true),
            ("GALAXY_API_KEY", "x", true),
            ("--api-key", "x", true),
            ("Api_Key", "x", true),
            ("SECRET_KEY_BASE", "x", true),
            ("apitoken", "x", true),
            ("HTTP_AUTH", "x", true),
            ("PATH", "/bin", false),
            ("LANG", "de", false),
            ("PWD", "/srv", false),
            ("KEYBOARD", "de", false),
            ("MONKEY", "x", false),
            ("DATABASE", "postgresql://galaxy:secret@db/galaxy", true),
            ("DATABASE", "postgresql://galaxy@db/galaxy", false),
            ("URL", "http://host:80/a@b", false),
            ("OPTIONS", "-v --token=abc", true),
        ] {
            assert_eq!(is_secret_variable(name, value), wanted, "{name}={value}");
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
