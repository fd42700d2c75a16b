//! The value types.

use std::fmt::Debug;

use galaxyd::config::LogLevelName;
use galaxyd::config::value::{self, Account, ValueError};
use galaxyd::engine::AutoRestart;
use serde_json::{Value, json};

use crate::oracle::{Answer, Oracle, Tally};
use crate::random::{Random, cases, seed};

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "7",
    "8",
    "9",
    "15",
    "255",
    "256",
    "64",
    "34",
    "65535",
    "65536",
    "-",
    "+",
    "_",
    " ",
    "\t",
    "\n",
    "\u{b}",
    "\u{1c}",
    "\u{a0}",
    "0o",
    "0O",
    "0x",
    ".",
    ",",
    "kb",
    "KB",
    "Mb",
    "GB",
    "k",
    "b",
    "é",
    "'",
    "\0",
    "99999999999999999999",
];
const SIGNALS: &[&str] = &[
    "TERM", "term", "Hup", "KILL", "QUIT", "USR1", "USR2", "INT", "CLD", "CHLD", "STKFLT", "RTMIN", "RTMAX", "_IGN",
    "_DFL", "_BLOCK", "_SETMASK", "PWR", "SYS", "POLL", "IOT", "IO", "EMT", "BOGUS",
];
const WORDS: &[&str] = &[
    "yes",
    "no",
    "TRUE",
    "true",
    "False",
    "on",
    "Off",
    "0",
    "1",
    "unexpected",
    "UNEXPECTED",
    "critical",
    "error",
    "WARN",
    "warning",
    "info",
    "Debug",
    "trace",
    "blather",
    "auto",
    "",
    " ",
    "\n",
    "'",
    "é",
    "İ",
    "x",
];
const LISTS: &[&str] =
    &["a", "b c", ",", ", ", " ,", "\n", " ", "\u{1c}", "\u{a0}", "é", ":", "/", "'", "\t", "web_1", ",,"];
const URLS: &[&str] = &[
    "http",
    "unix",
    "HTTPS",
    "mailto",
    "sip",
    "x-y+z.1",
    ":",
    "://",
    "//",
    "/",
    "///",
    "localhost",
    "[::1]",
    "[",
    "]",
    "[1.2.3.4]",
    "[fe80::1%25]",
    "[v1.a]",
    "[vg.a]",
    "[::1.2.3.4]",
    "[1:2:3:4:5:6:7::]",
    "[12345::]",
    "[::ffff:01.2.3.4]",
    "%",
    "?",
    "#",
    ";",
    "9001",
    "a",
    " ",
    "\t",
    "\n",
    "é",
    "1",
    "@",
];
const ADDRESSES: &[&str] = &[
    "127.0.0.1",
    "*",
    "LOCALHOST",
    ":",
    ":",
    "9001",
    "0",
    "65535",
    "65536",
    "-1",
    " ",
    "x",
    "::1",
    "é",
    "+80",
    "É",
    "root",
    "web",
];

/// A whole value half of the time, else pieces in a row, or a damaged value.
fn made(random: &mut Random, pieces: &[&str]) -> String {
    match random.below(6) {
        0 | 1 => random.pick(pieces).to_owned(),
        2 => {
            let text = random.pick(pieces);
            random.mutated(text, pieces)
        }
        _ => random.soup(pieces, 5),
    }
}

/// `is_meant` tells whether a refusal that the original does not share is a documented one.
fn compare<T: Debug>(
    ask: &'static str,
    make: impl Fn(&mut Random) -> String,
    ours: impl Fn(&str) -> Result<T, ValueError>,
    describe: impl Fn(T) -> Value,
    is_meant: impl Fn(&ValueError, &Answer) -> bool,
) {
    let Some(mut oracle) = Oracle::start() else { return };
    let mut random = Random::new(seed(), ask);
    let texts: Vec<_> = (0..cases()).map(|_| make(&mut random)).collect();
    let questions: Vec<_> =
        texts.iter().map(|text| json!({"ask": ask, "text": text, "section": "eventlistener:x"})).collect();
    let mut tally = Tally::new(ask, seed());
    for (text, original) in texts.iter().zip(oracle.ask(&questions)) {
        let ours = ours(text);
        match &ours {
            Err(error) if is_meant(error, &original) => tally.count_documented(),
            _ => tally.compare(text, ours.map(&describe), ToString::to_string, &original),
        }
    }
    tally.finish();
}

/// Scheme, host and path, each of them often missing.
fn address(random: &mut Random) -> String {
    if random.one_in(4) {
        return made(random, URLS);
    }
    let scheme = random.pick(&["http", "unix", "HTTPS", "sip", "x-y+z.1", "1x", "", " http", "h\tttp", "é"]);
    let after = random.pick(&["://", "://", ":", ":/", "//", ""]);
    let host =
        random.pick(&["", "", "localhost:9001", "[::1]:9001", "[fe80::1%25]", "[", "[1.2.3.4]", "u:p@h", "[v1.x]"]);
    format!(
        "{scheme}{after}{host}{}",
        random.pick(&["", "", "/", "/tmp/x.sock", ";a", "/a;b", "?q", "#f", "é", "a;b?c#d"])
    )
}

fn never(_: &ValueError, _: &Answer) -> bool {
    false
}

/// Numbers beyond 64 bits are refused.
fn beyond_64_bits(error: &ValueError, original: &Answer) -> bool {
    let number = original.as_ref().ok().and_then(Value::as_str);
    matches!(error, ValueError::TooLarge { .. }) && number.is_some_and(|text| text.parse::<i64>().is_err())
}

/// Modes that are negative or beyond 32 bits are refused.
fn beyond_a_mode(error: &ValueError, original: &Answer) -> bool {
    let number = original.as_ref().ok().and_then(Value::as_str);
    matches!(error, ValueError::ModeOutOfRange { .. }) && number.is_some_and(|text| text.parse::<u32>().is_err())
}

fn digits<T: Into<i64>>(number: T) -> Value {
    number.into().to_string().into()
}

#[test]
fn numbers() {
    compare("integer", |random| made(random, NUMBERS), value::integer, digits, beyond_64_bits);
    compare("byte_size", |random| made(random, NUMBERS), value::byte_size, digits, beyond_64_bits);
    compare("octal", |random| made(random, NUMBERS), value::octal, digits, beyond_a_mode);
    compare("port_number", |random| made(random, NUMBERS), value::port_number, digits, never);
    compare("exit_codes", |random| made(random, NUMBERS), value::exit_codes, Value::from, never);
    let pieces = [NUMBERS, SIGNALS, SIGNALS, &["SIG", "sig", "SIG"]].concat();
    compare("signal", |random| made(random, &pieces), value::signal, digits, never);
}

#[test]
fn words() {
    compare("boolean", |random| made(random, WORDS), value::boolean, Value::from, never);
    let described = |found| match found {
        AutoRestart::Never => "never".into(),
        AutoRestart::Unexpected => "unexpected".into(),
        AutoRestart::Always => "always".into(),
    };
    compare("auto_restart", |random| made(random, WORDS), value::auto_restart, described, never);
    compare(
        "log_level",
        |random| made(random, WORDS),
        value::log_level,
        |level| level_number(level).to_string().into(),
        never,
    );
}

/// Supervisor's numbers. Source: 4.3.0, loggers.py, `LevelsByName`.
fn level_number(level: LogLevelName) -> u8 {
    match level {
        LogLevelName::Critical => 50,
        LogLevelName::Error => 40,
        LogLevelName::Warn => 30,
        LogLevelName::Info => 20,
        LogLevelName::Debug => 10,
        LogLevelName::Trace => 5,
        LogLevelName::Blather => 3,
    }
}

#[test]
fn lists_and_names() {
    compare(
        "list_of_strings",
        |random| made(random, LISTS),
        |text| Ok(value::list_of_strings(text)),
        Value::from,
        never,
    );
    compare("process_or_group_name", |random| made(random, LISTS), value::process_or_group_name, Value::from, never);
}

#[test]
fn addresses() {
    compare("url", address, value::url, Value::from, never);
    compare(
        "inet_address",
        |random| made(random, ADDRESSES),
        value::inet_address,
        |(host, port)| json!([host, port]),
        never,
    );
    let account = |account: &Account| match account {
        Account::Number(number) => json!({"number": number.to_string()}),
        Account::Name(name) => json!({"name": name}),
    };
    let described =
        |owner: value::SocketOwner| json!([account(&owner.user), owner.group.as_ref().map_or(json!(-1), account)]);
    compare("socket_owner", |random| made(random, ADDRESSES), value::socket_owner, described, never);
}
