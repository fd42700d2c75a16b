//! Names of groups and processes as they are once everything is filled in: part of file names, of listeners' headers, of
//! addresses, and of what a person reads.
//!
//! Differs: Supervisor looks for a blank, a colon and a slash, and not in what `%(ENV_x)s` puts into `process_name`.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Config;
use super::problem::Problem;
use super::reader::{Level, Place, Reader};
use super::schema::SectionKind;

/// The longest name of a file, bytes.
const NAME_BYTES_MAX: usize = 255;

const ALPHABET: &str = "use letters, digits and signs like `_`, `-` and `.`, of any script, 255 bytes at most; no blank, \
                        colon, slash, control or invisible character, and not `.` or `..`";

const KEY: &str = "process_name";

/// Adds the errors and warnings, after everything that Supervisor would refuse.
pub(crate) fn report(reader: &mut Reader<'_>, config: &Config) {
    let mut told = BTreeSet::new();
    let mut makers: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for section in reader.raw.sections.keys() {
        makers.entry(group_made_by(section)).or_default().push(section);
    }
    for group in &config.groups {
        for section in makers.get(group.name.trim()).into_iter().flatten() {
            judge(reader, section, &group.name, &mut told);
        }
        for process in &group.processes {
            judge(reader, &process.section, &process.name, &mut told);
        }
    }
}

/// The name of the group that the section makes, empty if it makes none.
fn group_made_by(section: &str) -> &str {
    match section.split_once(':') {
        Some(("group" | "program" | "eventlistener" | "fcgi-program", bare)) => bare.trim(),
        _ => "",
    }
}

fn judge(reader: &mut Reader<'_>, section: &str, name: &str, told: &mut BTreeSet<(String, String)>) {
    let problem = match (fault(name), doubt(name)) {
        (Some(fault), _) => Problem::own_error(format!("Invalid name: {} {fault}", shown(name))).help(ALPHABET),
        (None, Some((doubt, help))) => Problem::own_warning(format!("the name {} {doubt}", shown(name))).help(help),
        (None, None) => return,
    };
    let Some(kind) = SectionKind::of(section) else { return };
    if !told.insert((section.to_owned(), name.to_owned())) {
        return;
    }
    let here = Place { section, kind, level: Level::Group };
    if section.split_once(':').is_some_and(|(_, bare)| bare.trim() == name.trim()) {
        reader.report_section(section, problem);
    } else {
        reader.report(here, KEY, problem);
    }
}

/// Why a name cannot be used; goes after it.
pub(crate) fn fault(name: &str) -> Option<String> {
    if name == "." || name == ".." {
        return Some("means a directory".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Some(format!("has {} bytes, more than {NAME_BYTES_MAX}", name.len()));
    }
    let character = name.chars().find(|character| is_forbidden(*character))?;
    Some(format!("because of character: '{}'", character.escape_default()))
}

fn is_forbidden(character: char) -> bool {
    matches!(character, ':' | '/') || character.is_whitespace() || character.is_control() || is_unseen(character)
}

/// Letters that turn, join or hide others. Source: Unicode 16, the characters of the category Cf that scripts do not
/// need within words.
fn is_unseen(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What a name is hardly meant to be, and what to do.
fn doubt(name: &str) -> Option<(String, String)> {
    if name.starts_with('-') {
        let help =
            format!("galaxyctl takes it for an option; write `galaxyctl start -- {}`, or rename it", shown(name));
        return Some(("begins with a dash".to_owned(), help));
    }
    let is_latin = |character: char| character.is_ascii_alphabetic();
    let lookalike = name.chars().find(|character| matches!(character, '\u{370}'..='\u{52f}'))?;
    name.contains(is_latin).then(|| {
        let doubt = format!("mixes Latin letters with {}", lookalike.escape_unicode());
        (doubt, format!("`{lookalike}` may look like a Latin letter and is none: who types the name will not find it"))
    })
}

/// The name as a message shows it: short, and with nothing in it that acts.
fn shown(name: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let escape = |character: char| match character {
        character if is_forbidden(character) => character.escape_default().to_string(),
        character => character.to_string(),
    };
    let begin: String = name.chars().take(SHOWN_MAX).map(escape).collect();
    format!("'{begin}{}'", if name.chars().count() > SHOWN_MAX { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::made_up::MadeUp;
    use crate::config::{Overrides, load};

    fn told(sections: &str) -> Vec<String> {
        let text = format!("[supervisord]\n{sections}\n");
        let source = MadeUp::new().file("/etc/x.conf", &text).variable("DIR", "a/b");
        load(Path::new("/etc/x.conf"), &Overrides::default(), &source)
            .problems
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn usual_names_of_any_script_are_fine() {
        for name in ["web_1", "a.b-c", "café", "веб", "γαλαξίας", "銀河", "a%b", "..x", "x<y>", "\u{5d0}\u{5d1}"]
        {
            assert_eq!((fault(name), doubt(name)), (None, None), "{name}");
        }
    }

    #[test]
    fn what_could_be_a_path_a_field_or_an_act_is_refused() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in [
            ".",
            "..",
            "a/b",
            "../x",
            "a\0b",
            "a\nb",
            "a\tb",
            "a b",
            "a:b",
            "a\u{a0}b",
            "a\u{85}b",
            "a\u{1b}[2J",
            "a\u{202e}b",
            "a\u{200b}b",
            "\u{feff}a",
            &long,
        ] {
            assert!(fault(name).is_some(), "{name:?}");
        }
        assert_eq!(fault(&"x".repeat(NAME_BYTES_MAX)), None);
    }

    #[test]
    fn the_place_and_the_alphabet_are_told_once() {
        for section in ["program", "eventlistener"] {
            let told = told(&format!("[{section}:a\u{202e}b]\ncommand=cat\nevents=TICK_5"));
            let [line] = told.iter().filter(|line| line.starts_with("error")).collect::<Vec<_>>()[..] else {
                panic!("{told:?}")
            };
            let wanted = format!("error: /etc/x.conf:2:1: [{section}:");
            assert!(line.starts_with(&wanted) && line.contains("Invalid name: 'a\\u{202e}b'"), "{line}");
            assert!(line.contains("use letters, digits and signs"), "{line}");
        }
        let group = told("[program:p]\ncommand=cat\n[group:..]\nprograms=p");
        assert!(matches!(&group[..], [line] if line.contains(":4:1: [group:..]")), "{group:?}");
    }

    #[test]
    fn what_a_variable_puts_into_a_name_is_looked_at_too() {
        let told = told("[program:p]\ncommand=cat\nprocess_name=%(ENV_DIR)s");
        assert!(matches!(&told[..], [line] if line.contains(":4:14: ") && line.contains("'a/b'")), "{told:?}");
    }

    #[test]
    fn what_deceives_is_a_warning() {
        let dash = told("[program:-x]\ncommand=cat");
        assert!(
            matches!(&dash[..], [line] if line.starts_with("warning") && line.contains("start -- '-x'")),
            "{dash:?}"
        );
        let mixed = told("[program:w\u{435}b]\ncommand=cat");
        assert!(matches!(&mixed[..], [line] if line.starts_with("warning") && line.contains("\\u{435}")), "{mixed:?}");
    }
}
