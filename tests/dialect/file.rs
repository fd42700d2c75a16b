//! The ini reader and the decoding of files.

use galaxyd::config::FileId;
use galaxyd::config::ini::{self, Document, Entry};
use serde_json::{Value, json};

use crate::oracle::{Oracle, Tally};
use crate::random::{Random, cases, seed};

const NAME: &str = "it's a \"file\".conf";

/// A file as people write them, to be damaged.
const SAMPLE: &str = "; sample\n[unix_http_server]\nfile=/tmp/s.sock   ; path\n;chmod=0700\n\n[supervisord]\n\
    logfile = /tmp/s.log ; (main log)\nnodaemon: true\n\n[program:web]\ncommand=/bin/sh -c 'a; b' #x\n  --flag\n\n  \
    --more ; c\nenvironment = A=\"1\",\n\tB=\"%(here)s\"\nkey = é ü\r\n[program:web]\nnumprocs=2\r\n[DEFAULT]\n x = 1\n";

const PIECES: &[&str] = &[
    " ", "  ", "\t", ";", "#", " ;", " #", "=", ":", "[", "]", "a", "B", "key", "'", "\"", "\\", "%(here)s", "é", "Σ",
    "\u{a0}", "\u{b}", "\u{c}", "\u{1c}", "\u{85}", "\u{2028}", "\u{3000}", "İ", "x;y", "x#y", "\r", ";;", "##", "#;",
];

const KEYS: &[&str] = &["a", "b", "Key", "COMMAND", "é", "[x", "key with blanks", "ΑΣ", "a\u{a0}"];
const DELIMITERS: &[&str] = &["=", " = ", ":", " : ", "= ", "\t=\t", "==", ":=", " =\u{b}"];
const HEADERS: &[&str] = &[
    "[a]",
    "[b]",
    "[program:x]",
    "[DEFAULT]",
    "[ a ]",
    "[a]b]",
    "[a] ; c",
    "[a;b]",
    "[a ;b]",
    "[]",
    "[]]",
    "[é]",
    "[a] x",
];
const INDENTS: &[&str] = &["", "", "", "", "", " ", "  ", "\t", "    ", "\u{a0}", "\u{c}"];
const ENDS: &[&str] = &["\n", "\n", "\n", "\n", "\n", "\r\n", "\r", "\n\n", ""];

fn file(random: &mut Random) -> String {
    if random.one_in(4) {
        return random.mutated(SAMPLE, PIECES);
    }
    let is_clean = !random.one_in(3);
    let mut text = String::from(if random.one_in(20) { "" } else { "[s]\n" });
    for _ in 0..random.below(12) {
        text.push_str(random.pick(INDENTS));
        match random.below(if is_clean { 9 } else { 11 }) {
            0 => text.push_str(random.pick(HEADERS)),
            1 => text.push_str(&random.soup(&["; comment", "# comment", " ", "\t"], 2)),
            2 => {}
            3 => text.extend(["    ", &random.soup(PIECES, 4)]),
            9 => text.push_str(&random.soup(PIECES, 6)),
            10 => text.push_str("no delimiter"),
            _ => {
                text.push_str(random.pick(KEYS));
                text.push_str(random.pick(DELIMITERS));
                text.push_str(&random.soup(PIECES, 5));
            }
        }
        text.push_str(random.pick(ENDS));
    }
    text
}

fn described(document: &Document) -> Value {
    let pairs = |entries: &[Entry]| entries.iter().map(|entry| json!([entry.key, entry.value])).collect::<Vec<_>>();
    let sections = document.sections.iter().filter(|section| section.name != "DEFAULT");
    let sections: Vec<_> = sections.map(|section| json!([section.name, pairs(&section.entries)])).collect();
    let defaults = document.section("DEFAULT").map(|section| pairs(&section.entries)).unwrap_or_default();
    json!({ "sections": sections, "defaults": defaults })
}

/// What spans and pieces point at is what was read.
fn check_positions(text: &str, document: &Document) {
    for section in &document.sections {
        assert_eq!(text[section.span.start..section.span.end], format!("[{}]", section.name), "{text:?}");
        for entry in &section.entries {
            assert_eq!(text[entry.key_span.start..entry.key_span.end].to_lowercase(), entry.key, "{text:?}");
            let mut offset = 0;
            for line in entry.value.split('\n') {
                let start = entry.locate(offset);
                assert_eq!(text.get(start..start + line.len()), Some(line), "{text:?}, {entry:?}");
                offset += line.len() + 1;
            }
            assert_eq!(entry.locate(0), entry.value_span.start, "{text:?}");
            assert_eq!(entry.locate(entry.value.len()), entry.value_span.end, "{text:?}");
            if let Some(comment) = entry.cut_comment {
                assert!(text[comment.start..comment.end].starts_with([';', '#']), "{text:?}");
            }
        }
    }
}

#[test]
fn files_are_read_as_python_reads_them() {
    let Some(mut oracle) = Oracle::start() else { return };
    let mut random = Random::new(seed(), "ini");
    let texts: Vec<_> = (0..cases()).map(|_| file(&mut random)).collect();
    let questions: Vec<_> = texts.iter().map(|text| json!({"ask": "ini", "text": text, "name": NAME})).collect();
    let mut tally = Tally::new("ini", seed());
    for (text, original) in texts.iter().zip(oracle.ask(&questions)) {
        let ours = ini::parse(text, FileId(0));
        if let Ok(document) = &ours {
            check_positions(text, document);
        }
        let ours = ours.map(|document| described(&document));
        tally.compare(text, ours, |errors| ini::supervisor_message(errors, NAME, text), &original);
    }
    tally.finish();
}

#[test]
fn bytes_are_decoded_as_python_decodes_them() {
    const BYTES: [u8; 18] =
        [b'a', b'\n', 0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xc3, 0xa9, 0xe0, 0xa0, 0xe2, 0xed, 0xf0, 0x90, 0xf4, 0xf5, 0xff];
    let Some(mut oracle) = Oracle::start() else { return };
    let mut random = Random::new(seed(), "decode");
    let texts: Vec<Vec<u8>> =
        (0..cases()).map(|_| (0..random.below(7)).map(|_| BYTES[random.below(BYTES.len())]).collect()).collect();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let questions: Vec<_> = texts.iter().map(|bytes| json!({"ask": "decode", "text": hex(bytes)})).collect();
    let mut tally = Tally::new("decode", seed());
    for (bytes, original) in texts.iter().zip(oracle.ask(&questions)) {
        tally.compare(&hex(bytes), ini::decode(bytes).map(Value::from), ToString::to_string, &original);
    }
    tally.finish();
}
