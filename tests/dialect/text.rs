//! Quoting, `%`-expansion, command lines and environment values.

use std::collections::BTreeMap;

use galaxyd::config::percent::{self, Datum, Names, PercentError};
use galaxyd::config::{ascii_literal, environment, literal, shlex};
use serde_json::{Value, json};

use crate::oracle::{Oracle, Tally};
use crate::random::{Random, cases, seed};

const LETTERS: &[&str] = &[
    "a",
    "b",
    " ",
    "\t",
    "\n",
    "\r",
    "'",
    "\"",
    "\\",
    "#",
    ",",
    "=",
    "$",
    ";",
    "é",
    "\u{301}",
    "\u{a0}",
    "\u{ad}",
    "\u{b}",
    "\u{1c}",
    "\0",
    "\u{7f}",
    "\u{85}",
    "\u{200b}",
    "\u{2028}",
    "\u{e000}",
    "\u{feff}",
    "\u{fffe}",
    "😀",
    "\u{e0100}",
    "\u{10ffff}",
    "/x",
    "ab",
    "~",
    "*",
    "@",
    "{",
    "}",
    "-1",
    "(",
    ")",
    ":",
    ".",
    "+",
    "_",
];

fn compare_all(
    ask: &'static str,
    what: &'static str,
    make: impl Fn(&mut Random) -> String,
    ours: impl Fn(&str) -> Result<Value, String>,
) {
    let Some(mut oracle) = Oracle::start() else { return };
    let mut random = Random::new(seed(), ask);
    let texts: Vec<_> = (0..cases()).map(|_| make(&mut random)).collect();
    let questions: Vec<_> = texts.iter().map(|text| json!({"ask": ask, "text": text})).collect();
    let mut tally = Tally::new(what, seed());
    for (text, original) in texts.iter().zip(oracle.ask(&questions)) {
        tally.compare(text, ours(text), String::clone, &original);
    }
    tally.finish();
}

#[test]
fn literals_are_pythons() {
    compare_all("repr", "repr", |random| random.soup(LETTERS, 8), |text| Ok(literal(text).into()));
    compare_all("ascii", "ascii", |random| random.soup(LETTERS, 8), |text| Ok(ascii_literal(text).into()));
}

#[test]
fn command_lines_split_as_in_python() {
    const COMMAND: &str = "/bin/sh -c 'exec \"$0\" a\\ b' \"x \\\" y\" # z";
    let make = |random: &mut Random| match random.below(4) {
        0 => random.mutated(COMMAND, LETTERS),
        1 => random.soup(&["'", "\"", "\\", " ", "a", "\n"], 10),
        _ => random.soup(LETTERS, 12),
    };
    compare_all("shlex", "shlex", make, |text| shlex::split(text).map(Value::from).map_err(|error| error.to_string()));
}

#[test]
fn environments_are_read_as_supervisor_reads_them() {
    const SAMPLE: &str = "PATH=/a/b:/c,\nHOME=\"/home/x y\", E='',N=1_2.3 , U=\"a=b,c\"";
    const TOKENS: &[&str] = &[
        "A", "B", "KEY", "=", "=", "=", ",", ",", ", ", ",\n", "1", "x/y", "\"a b\"", "'c,d'", "\"\"", "\"", "'", "#",
        "\n", " ", "$", "~", "é", "\\", "\"e'f\"", "%", "-", "()", ":",
    ];
    let pair = |random: &mut Random| {
        let value = random.soup(TOKENS, 2);
        let separator = random.pick(&[",", ",", ",", ", ", " ", ",\n", ";", ""]);
        format!("{}={value}{separator}", random.pick(&["A", "B", "C_1", "é", "a.b"]))
    };
    let make = |random: &mut Random| match random.below(4) {
        0 => random.mutated(SAMPLE, TOKENS),
        1 => random.soup(TOKENS, 12),
        2 => random.soup(LETTERS, 8),
        _ => (0..random.below(5)).map(|_| pair(random)).collect(),
    };
    compare_all("environment", "environment", make, |text| {
        let parsed = environment::parse(text).map_err(|error| error.to_string())?;
        Ok(parsed.pairs.iter().map(|(key, value)| json!([key, value])).collect())
    });
}

/// Some names for formats.
struct Sample(BTreeMap<String, Datum>);

impl Names for Sample {
    fn get(&self, name: &str) -> Option<Datum> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().rev().cloned().collect()
    }
}

impl Sample {
    fn new() -> Self {
        let text = |text: &str| Datum::Text(text.to_owned());
        let names = [
            ("here", text("/etc/it's")),
            ("empty", text("")),
            ("one", text("é")),
            ("long", text("a\"'é😀\u{301}\n%(here)s")),
            ("a(b)c", text("nested")),
            ("", text("nameless")),
            ("num", Datum::Int(7)),
            ("big", Datum::Int(1_234_567_890_123)),
            ("neg", Datum::Int(-42)),
            ("zero", Datum::Int(0)),
            ("max", Datum::Int(i64::MAX)),
            ("min", Datum::Int(i64::MIN)),
            ("code", Datum::Int(0x3042)),
            ("ten", Datum::Int(0x0010_ffff)),
            ("eleven", Datum::Int(0x0011_0000)),
        ];
        Sample(names.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect())
    }

    fn as_json(&self) -> Value {
        let datum = |datum: &Datum| match datum {
            Datum::Text(text) => json!(text),
            Datum::Int(number) => json!(number),
        };
        self.0.iter().map(|(name, found)| (name.clone(), datum(found))).collect::<serde_json::Map<_, _>>().into()
    }
}

const FLAGS: &[&str] = &["-", "+", " ", "#", "0"];

/// A format that fits the names, or one that may not.
fn format(random: &mut Random) -> String {
    if random.one_in(2) {
        return (0..=random.below(3)).map(|_| sound_conversion(random)).collect();
    }
    any_format(random)
}

fn sound_conversion(random: &mut Random) -> String {
    const TEXTS: &[&str] = &["here", "empty", "one", "long", "a(b)c", ""];
    const NUMBERS: &[&str] = &["num", "big", "neg", "zero", "max", "min", "code"];
    const NUMERIC: &[&str] = &["d", "i", "u", "o", "x", "X", "e", "E", "f", "F", "g", "G", "ld", "hd", "s", "r", "a"];
    let (names, conversions) = if random.one_in(3) { (TEXTS, &["s", "r", "a"][..]) } else { (NUMBERS, NUMERIC) };
    let (before, name, flags) = (random.pick(&["", "x", "é", "%%"]), random.pick(names), random.soup(FLAGS, 3));
    let width = random.pick(&["", "1", "4", "12", "40"]);
    let precision = random.pick(&["", "", ".", ".0", ".1", ".2", ".3", ".9", ".17", ".40"]);
    format!("{before}%({name}){flags}{width}{precision}{}", random.pick(conversions))
}

fn any_format(random: &mut Random) -> String {
    const NAMES: &[&str] = &[
        "(here)",
        "(empty)",
        "(one)",
        "(long)",
        "(a(b)c)",
        "()",
        "(num)",
        "(big)",
        "(neg)",
        "(zero)",
        "(max)",
        "(min)",
        "(code)",
        "(ten)",
        "(eleven)",
        "(num)",
        "(neg)",
        "(zero)",
        "(num)",
        "(unknown)",
        "(é)",
        "",
        "(",
        "((here)",
    ];
    const WIDTHS: &[&str] = &["", "", "", "1", "5", "12", "003", "*", "99999999999999999999"];
    const PRECISIONS: &[&str] = &["", "", "", ".", ".0", ".1", ".3", ".25", ".*", ".99999999999"];
    const LENGTHS: &[&str] = &["", "", "", "", "h", "l", "L", "hh"];
    const CONVERSIONS: &[&str] = &[
        "s", "s", "s", "d", "d", "i", "u", "o", "x", "X", "e", "E", "f", "F", "g", "G", "c", "r", "a", "%", "y", "b",
        "é", "\n", "~", "\u{7f}", "\u{1f}", "", "😀",
    ];
    let mut text = String::new();
    for _ in 0..=random.below(3) {
        text.push_str(random.pick(&["", "", "x", "é", "%%", "50%% ", "\n", "%"]));
        text.push('%');
        text.push_str(random.pick(NAMES));
        text.push_str(&random.soup(FLAGS, 2));
        for part in [WIDTHS, PRECISIONS, LENGTHS, CONVERSIONS] {
            text.push_str(random.pick(part));
        }
    }
    // A long number must not lose digits: Python would fill the memory with blanks.
    let may_be_damaged = !text.contains("9999");
    if may_be_damaged && random.one_in(5) {
        random.mutated(&text, &["%", "(", ")", "*", ".", "s", "d", "0", "é"])
    } else {
        text
    }
}

#[test]
fn formats_are_filled_in_as_python_does() {
    const LABEL: &str = "program:it's.command";
    let Some(mut oracle) = Oracle::start() else { return };
    let mut random = Random::new(seed(), "percent");
    let names = Sample::new();
    let texts: Vec<_> = (0..cases()).map(|_| format(&mut random)).collect();
    let questions: Vec<_> = texts
        .iter()
        .map(|text| json!({"ask": "percent", "text": text, "names": names.as_json(), "label": LABEL}))
        .collect();
    let mut tally = Tally::new("percent", seed());
    for (text, original) in texts.iter().zip(oracle.ask(&questions)) {
        let ours = percent::expand(text, &names);
        if let Err(error) = &ours {
            let extent = error.extent(text);
            assert!(text.get(extent.clone()).is_some_and(|shown| shown.starts_with('%')), "{extent:?} of {text:?}");
        }
        // The original goes on with a dump of all names; what it makes of the rest is no matter.
        if matches!(ours, Err(PercentError::BareConversion { .. })) {
            tally.count_documented();
            continue;
        }
        tally.compare(text, ours.map(Value::from), |error| percent::message(error, text, LABEL, &names), &original);
    }
    tally.finish();
}
