//! The documents name what exists, and nothing names the machine it was written on.

use std::collections::BTreeSet;
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

/// The code of the sources and tests.
fn sources() -> String {
    ["tests", "src"]
        .into_iter()
        .flat_map(files)
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// Names of the functions in it, also of those that a list of promises makes.
fn functions(sources: &str) -> BTreeSet<&str> {
    let promised =
        sources.split("\npromises! {\n").skip(1).flat_map(|after| after.split('}').next().unwrap().split_whitespace());
    sources
        .split("fn ")
        .skip(1)
        .map(|after| after.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap())
        .chain(promised)
        .collect()
}

/// What stands between backquotes in a cell and is neither of these functions nor a file.
fn unknown<'a>(cell: &'a str, functions: &BTreeSet<&str>) -> Vec<&'a str> {
    let named = cell.split('`').skip(1).step_by(2);
    let exists = |name: &str| if name.contains('/') { root().join(name).exists() } else { functions.contains(name) };
    named.filter(|name| !exists(name)).collect()
}

/// A table of differences is worth what its tests are: the last cell of each row names functions and files that exist.
#[test]
fn every_difference_names_a_test_that_exists() {
    let sources = sources();
    let functions = functions(&sources);
    let document = fs::read_to_string(root().join("docs/compatibility.md")).unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for (number, line) in document.lines().enumerate().filter(|(_, line)| line.starts_with("| ")) {
        let guarded = line.replace("\\|", "");
        let cells: Vec<&str> = guarded.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [what, _, _, _, tests] = cells.as_slice() else {
            wrong.push(format!("line {}: {} cells instead of 5", number + 1, cells.len()));
            continue;
        };
        if *what == "what" || what.starts_with("---") {
            continue;
        }
        rows += 1;
        if !tests.contains('`') {
            wrong.push(format!("line {}: no test and no file", number + 1));
        }
        wrong.extend(unknown(tests, &functions).iter().map(|name| format!("line {}: {name}", number + 1)));
    }
    assert!(rows > 50, "{rows} rows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each promise is held by a test that exists, or says openly that none holds it yet; and all forty faults are there.
#[test]
fn every_promise_names_a_test_that_exists() {
    let sources = sources();
    let functions = functions(&sources);
    let document = fs::read_to_string(root().join("SPECIFICATION.md")).unwrap();
    let mut wrong = Vec::new();
    let mut promises = BTreeSet::new();
    for (number, line) in document.lines().enumerate().filter(|(_, line)| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let (Some(first), Some(tests)) = (cells.first(), cells.last()) else { continue };
        if first.starts_with("---") || ["promise", "fault"].contains(first) {
            continue;
        }
        promises.insert((*first).to_owned());
        if !tests.contains('`') && !tests.contains("not yet") {
            wrong.push(format!("line {}: no test, and not said that there is none", number + 1));
        }
        wrong.extend(unknown(tests, &functions).iter().map(|name| format!("line {}: {name}", number + 1)));
    }
    let faults = (1..=40).map(|number| format!("F{number:02}"));
    wrong.extend(faults.filter(|fault| !promises.contains(fault)).map(|fault| format!("{fault} is missing")));
    assert!(promises.len() > 60, "{} promises", promises.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_summary_lists_every_document() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut missing = Vec::new();
    for path in files("docs").into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let name = short(&path).trim_start_matches("docs/").to_owned();
        let in_readme = match name.split_once('/') {
            // The pages of a folder are listed by its own.
            Some((folder, page)) if page != "README.md" => {
                let index = fs::read_to_string(root().join("docs").join(folder).join("README.md")).unwrap();
                index.contains(&format!("({page})"))
            }
            // States are a part of the architecture.
            _ => name == "states.md" || readme.contains(&format!("(docs/{name})")),
        };
        if name != "SUMMARY.md" && !(in_readme && summary.contains(&format!("({name})"))) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
