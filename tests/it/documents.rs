//! The documents name what exists, and nothing names the machine it was written on.

use std::fs;

use crate::tree::{files, root, short};

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for path in files(".").into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(&path).unwrap();
        let folder = path.parent().unwrap();
        for after in text.split("](").skip(1) {
            let target = after.split(')').next().unwrap().split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !folder.join(target).exists() {
                broken.push(format!("{}: {target}", short(&path)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn documents_name_only_files_that_exist() {
    let mut missing = Vec::new();
    for path in files(".").into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(&path).unwrap();
        for word in text.split(|letter: char| letter.is_whitespace() || "`()[],;\"'|".contains(letter)) {
            let word = word.trim_end_matches(['.', ':']);
            let ours = ["src/", "tests/", "docs/", "examples/", "systemd/", "bench/", ".ci/"]
                .iter()
                .any(|begin| word.starts_with(begin));
            let pattern = word.contains(['*', '<', '{', '=', '…']);
            if ours && !pattern && !root().join(word).exists() {
                missing.push(format!("{}: {word}", short(&path)));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    // Put together here, so that this file does not name them either.
    let paths = ["/wo#rk/", "/ro#ot/", "/tmp#/gx", "/tmp#/sv"].map(|path| path.replace('#', ""));
    let mut found = Vec::new();
    for path in files(".") {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        found.extend(paths.iter().filter(|word| text.contains(*word)).map(|word| format!("{}: {word}", short(&path))));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
