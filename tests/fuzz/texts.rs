//! The small languages: ini, `%` formats, `environment`, command lines, options.

use galaxyd::cli::{Parsed, galaxyd as galaxyd_line, supervisord};
use galaxyd::config::ini::{self, Document};
use galaxyd::config::percent::{Datum, Names, PercentError, corrected, expand};
use galaxyd::config::{FileId, HostSource, environment, shlex};

use crate::target::{Target, nothing_made};

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// The same sections, keys and values, spelled plainly.
fn spelled(document: &Document) -> String {
    let mut lines = Vec::new();
    for section in &document.sections {
        lines.push(format!("[{}]\n", section.name));
        let entries = section.entries.iter();
        lines.extend(entries.map(|entry| format!("{}={}\n", entry.key, entry.value.replace('\n', "\n "))));
    }
    lines.concat()
}

fn meaning(document: &Document) -> Vec<(&str, Vec<(&str, &str)>)> {
    document
        .sections
        .iter()
        .map(|section| {
            let entries = section.entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str()));
            (section.name.as_str(), entries.collect())
        })
        .collect()
}

/// Python looks for the first `;` and the first `#` together: a mark behind another can be left in a value though a blank
/// is before it, and would be cut if it stood there alone.
fn keeps_a_mark(value: &str) -> bool {
    value.chars().zip(value.chars().skip(1)).any(|(before, mark)| before.is_whitespace() && matches!(mark, ';' | '#'))
}

fn judge_ini(input: &[u8]) {
    let Ok(text) = ini::decode(input) else { return };
    match ini::parse(text, FileId(0)) {
        Ok(document) => {
            for entry in document.sections.iter().flat_map(|section| &section.entries) {
                assert_eq!(entry.locate(entry.value.len()), entry.value_span.end);
                assert!(text.get(entry.key_span.start..entry.key_span.end).is_some());
                assert!(text.get(entry.value_span.start..entry.value_span.end).is_some());
            }
            if document.sections.iter().flat_map(|section| &section.entries).any(|entry| keeps_a_mark(&entry.value)) {
                return;
            }
            let again = spelled(&document);
            let read = ini::parse(&again, FileId(0)).unwrap_or_else(|errors| panic!("{errors:?} in {again:?}"));
            assert_eq!(meaning(&read), meaning(&document), "{again:?}");
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| text.get(error.span.start..error.span.end).is_some()), "{errors:?}");
            let told = ini::supervisor_message(&errors, "F", text);
            assert!(told.len() < 200 + text.len() * 12, "{} bytes about {}", told.len(), text.len());
        }
    }
}

struct Known;

impl Names for Known {
    fn get(&self, name: &str) -> Option<Datum> {
        match name {
            "here" => Some(Datum::Text("/srv/%galaxy".to_owned())),
            "process_num" => Some(Datum::Int(-7)),
            "numprocs" => Some(Datum::Int(10_000)),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        ["here", "process_num", "numprocs"].map(str::to_owned).to_vec()
    }
}

/// Width and precision of one conversion are at most 10,000 each.
const CONVERSION_MAX: usize = 2 * 10_000 + 64;

fn judge_expansion(input: &[u8]) {
    let format = text(input);
    assert_eq!(expand(&format.replace('%', "%%"), &Known).as_deref(), Ok(format.as_str()), "a doubled sign is a sign");
    match expand(&format, &Known) {
        Ok(expanded) => {
            let conversions = format.matches('%').count();
            assert!(expanded.len() <= format.len() + conversions * CONVERSION_MAX, "{} bytes", expanded.len());
            assert!(conversions > 0 || expanded == format);
        }
        Err(error) => {
            assert!(format.get(error.extent(&format)).is_some(), "{error:?} is not in {format:?}");
            if let Some(meant) = corrected(&format, &Known) {
                let read = expand(&meant, &Known);
                assert!(!matches!(read, Err(PercentError::UnknownName { .. })), "{meant:?}: {read:?}");
            }
        }
    }
}

fn judge_environment(input: &[u8]) {
    let value = text(input);
    match environment::parse(&value) {
        Ok(parsed) => {
            assert!(parsed.skipped.iter().all(|(offset, token)| *offset < value.len() && !token.is_empty()));
            let is_word = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let plain =
                parsed.pairs.iter().filter(|(key, value)| !key.is_empty() && is_word(key) && !value.contains('"'));
            let plain: Vec<_> = plain.collect();
            let spelled: Vec<_> = plain.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
            let again = environment::parse(&spelled.join(",")).unwrap();
            assert_eq!(again.pairs.iter().collect::<Vec<_>>(), plain);
            assert_eq!(again.skipped, []);
        }
        Err(error) => assert!(error.offset() <= value.len(), "{error:?}"),
    }
}

fn judge_command_line(input: &[u8]) {
    let command = text(input);
    match shlex::split(&command) {
        Ok(words) => {
            assert!(words.iter().map(String::len).sum::<usize>() <= command.len());
            let quoted: Vec<_> = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\"'\"'"))).collect();
            assert_eq!(shlex::split(&quoted.join(" ")), Ok(words));
        }
        Err(error) => assert!(command.get(error.offset()..).is_some(), "{error:?}"),
    }
}

/// Two readers of nearly the same options: what both take means the same to both. But for `-c=x`: to Python's reader the
/// value is `=x`, to ours `x`.
fn judge_options(input: &[u8]) {
    let args: Vec<String> = text(input).lines().map(str::to_owned).collect();
    if args.iter().any(|arg| arg.starts_with('-') && !arg.starts_with("--") && arg.contains('=')) {
        return;
    }
    let source = HostSource::new(vec![("HOME".to_owned(), "/tmp".to_owned())]);
    let old = supervisord::parse("supervisord", &args, &source);
    let new = galaxyd_line::parse(&args, &source);
    match (&old, &new) {
        (Ok(Parsed::Run(old)), Ok(Parsed::Run(new))) => assert_eq!(old, &new.daemon, "{args:?}"),
        (Err(error), _) => assert!(!error.message.is_empty()),
        (_, Err(error)) => assert_eq!(error.exit_code(), 2),
        _ => (),
    }
}

const INI_WORDS: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\n[a]\n",
    b"[",
    b"]",
    b"=",
    b":",
    b" ;",
    b" #",
    b"\n ",
    b"\n\t",
    b"\x1c",
    b"\xc2\xa0",
    b"\xef\xbb\xbf",
    b"\xff",
];

const PERCENT_WORDS: &[&[u8]] = &[
    b"%",
    b"%%",
    b"%(here)s",
    b"%(process_num)02d",
    b"%(numprocs)x",
    b"%(",
    b")",
    b"(",
    b"*",
    b"#",
    b"+",
    b"-",
    b"0",
    b".",
    b"65537",
    b"d",
    b"i",
    b"e",
    b"r",
    b"c",
    b"hl",
    b"%(her)s",
];

#[test]
fn ini_files_are_read_alike_when_spelled_plainly() {
    Target { name: "ini", words: INI_WORDS, made: nothing_made, oracle: judge_ini }.feed();
}

#[test]
fn formats_expand_within_bounds_or_say_where_not() {
    Target { name: "expansion", words: PERCENT_WORDS, made: nothing_made, oracle: judge_expansion }.feed();
}

#[test]
fn environments_mean_the_same_when_spelled_plainly() {
    let words: &[&[u8]] = &[b"A=1", b",", b"=", b"\"", b"'", b"#", b"\n", b" ", b"\\", b"\xc3\xa9"];
    Target { name: "environment", words, made: nothing_made, oracle: judge_environment }.feed();
}

#[test]
fn command_lines_split_into_words_that_quote_back() {
    let words: &[&[u8]] = &[b" ", b"'", b"\"", b"\\", b"\\\"", b"\n", b"#", b"''", b"\xc2\xa0"];
    Target { name: "argv", words, made: nothing_made, oracle: judge_command_line }.feed();
}

#[test]
fn options_mean_the_same_to_both_command_lines() {
    let words: &[&[u8]] = &[
        b"\n-n\n",
        b"\n-c\n",
        b"\n--umask=022\n",
        b"\n--minfds\n",
        b"=",
        b"-",
        b"--",
        b"\n",
        b"\n-e\n",
        b"debug",
        b"10MB",
        b"-1",
        b"--log",
        b"\n-u\nroot\n",
    ];
    Target { name: "options", words, made: nothing_made, oracle: judge_options }.feed();
}
