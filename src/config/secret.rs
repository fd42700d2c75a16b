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

/// Words that make a secret of the name they end: `API_KEYS`, `HTTP_AUTH`.
const LAST_WORDS: [&str; 11] = ["KEY", "KEYS", "PASS", "PWD", "PW", "AUTH", "SALT", "PIN", "CERT", "SAS", "CREDS"];

/// The same where they stand alone, without a sign before them: `DBPASS`, `ROOTPWD`.
const LAST_LETTERS: [&str; 2] = ["PASS", "PWD"];

/// Begins of the last word with which `KEY` is a secret also without a sign between: `SSHKEY`, `SIGNINGKEYS`.
const KEYS_OF: [&str; 14] = [
    "API",
    "ACCESS",
    "ACCOUNT",
    "APP",
    "AWS",
    "CRYPT",
    "ENCRYPTION",
    "GPG",
    "MASTER",
    "SIGNING",
    "SSH",
    "SSL",
    "STORAGE",
    "TLS",
];

/// Whole names that mean something harmless though they look otherwise.
const HARMLESS: [&str; 8] = [
    "PWD",
    "OLDPWD",
    "SSH_AUTH_SOCK",
    "XAUTHORITY",
    "XDG_SESSION_ID",
    "XDG_SESSION_TYPE",
    "XDG_SESSION_CLASS",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// Last words that end in [`LAST_LETTERS`] and are none of them.
const HARMLESS_WORDS: [&str; 4] = ["BYPASS", "COMPASS", "OVERPASS", "UNDERPASS"];

/// Whether what goes by this name is hardly meant to be seen. A guess that errs on the side of hiding.
#[must_use]
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let last = name.rsplit(|character: char| !character.is_alphanumeric()).next().unwrap_or_default();
    // `PASSWORD_2`, `API_KEY1`: a number tells several of them apart.
    let bare = name.trim_end_matches(|character: char| character.is_ascii_digit() || character == '_');
    if bare.len() < name.len() && !bare.is_empty() {
        return is_secret(bare);
    }
    if HARMLESS.contains(&name.as_str()) || HARMLESS_WORDS.contains(&last) {
        return false;
    }
    LAST_WORDS.contains(&last)
        || LAST_LETTERS.iter().any(|letters| last.ends_with(letters))
        || last
            .trim_end_matches('S')
            .strip_suffix("KEY")
            .is_some_and(|of| KEYS_OF.iter().any(|known| of.ends_with(known)))
        || TELLTALES.iter().any(|telltale| name.contains(telltale))
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
        for name in [
            "DB_PASSWORD",
            "PGPASSWORD",
            "MYSQL_PWD",
            "DBPASS",
            "DB_PASS",
            "SMTPPASS",
            "ROOTPWD",
            "REDIS_PASSWD",
            "GALAXY_API_KEY",
            "API_KEYS",
            "API_KEY_2",
            "API_KEY1",
            "APIKEY",
            "SSHKEY",
            "SIGNINGKEYS",
            "AWSKEY",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID_SECRET",
            "AWS_SESSION_TOKEN",
            "SECRET_KEY_BASE",
            "apitoken",
            "GITHUB_TOKEN",
            "HTTP_AUTH",
            "GALAXY_CONFIG_ID_SECRET",
            "MASTER_API_KEY",
            "--api-key",
            "Api_Key",
            "SENTRY_DSN",
            "DJANGO_SECRETS",
            "OIDC_CLIENT_CREDENTIALS",
            "GPG_PASSPHRASE",
            "ERLANG_COOKIE",
            "PRIVATE_KEY_FILE",
            "KEY",
            "PASS",
        ] {
            assert!(is_secret_variable(name, "x"), "{name}");
        }
    }

    #[test]
    fn harmless_names_are_shown() {
        for name in [
            "PATH",
            "LANG",
            "HOME",
            "PWD",
            "OLDPWD",
            "KEYBOARD",
            "MONKEY",
            "TURKEY",
            "KEYMAP",
            "KEYSPACE",
            "DONKEYS",
            "COMPASS",
            "GDAL_BYPASS",
            "PASSENGER_APP_ENV",
            "PASSIVE",
            "AUTHOR",
            "AUTHORITY",
            "GIT_AUTHOR_NAME",
            "SSH_AUTH_SOCK",
            "XDG_SESSION_ID",
            "TOKYO",
            "PYTHONPATH",
            "VIRTUAL_ENV",
            "GALAXY_CONFIG_FILE",
            "DATABASE_HOST",
            "PGUSER",
            "PWDX",
            "SHLVL",
            "A1",
            "_",
            "",
        ] {
            assert!(!is_secret_variable(name, "x"), "{name}");
        }
    }

    #[test]
    fn values_give_secrets_away() {
        for (name, value, wanted) in [
            ("DATABASE_URL", "postgresql://galaxy:secret@db/galaxy", true),
            ("DATABASE_URL", "postgresql://galaxy@db/galaxy", false),
            ("BROKER", "amqp://u:p@h:5672//", true),
            ("CACHE", "redis://:secret@h/0", true),
            ("URL", "http://host:80/a@b", false),
            ("OPTIONS", "-v --token=abc", true),
            ("OPTIONS", "-v --path=/x", false),
            ("DSNLESS", "host=db password=x user=y", true),
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
