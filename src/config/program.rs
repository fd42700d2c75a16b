//! Processes of a program that a client describes at run time, by the rules of a `[program:x]` of the file.
//!
//! Source: `supervisor_twiddler` 1.0.0, `addProgramToGroup`, which has Supervisor read a section made of the options. So
//! `[supervisord] environment` is not part of what the processes get, while `%(ENV_x)s` knows it.

use std::path::Path;

use indexmap::IndexMap;

use super::model::ProcessConfig;
use super::name;
use super::path;
use super::problem::Problems;
use super::process::processes;
use super::raw::{Dialect, RawData, RawSection, RawSections, RawValue};
use super::reader::Reader;
use super::schema::SectionKind;
use super::source::Source;
use super::span::{FileId, Span};

/// Stands in no file.
const NOWHERE: Span = Span { file: FileId(u32::MAX), start: 0, end: 0 };

/// The processes of `program` with these options as members of `group`. `main_file` is the daemon's
/// configuration: names are read from its directory, `variables` are those of its `[supervisord] environment`.
///
/// # Errors
/// What Supervisor says of the first wrong value.
pub fn processes_of(
    program: &str,
    options: &[(String, String)],
    group: &str,
    (main_file, variables): (&Path, &IndexMap<String, String>),
    source: &dyn Source,
) -> Result<Vec<ProcessConfig>, String> {
    let section = format!("program:{program}");
    let value = |text: &String| RawValue {
        data: RawData::Text(text.clone()),
        key_span: NOWHERE,
        span: NOWHERE,
        dialect: Dialect::Ini,
        cut_comment: None,
        pieces: Vec::new(),
    };
    let entries = options.iter().map(|(key, text)| (key.to_lowercase(), value(text))).collect();
    let raw = RawSection { span: NOWHERE, dialect: Dialect::Ini, included_from: None, entries };
    let sections = RawSections { sections: IndexMap::from([(section.clone(), raw)]), ..RawSections::default() };
    let main = main_file.to_string_lossy();
    let directories = [path::dirname(&path::resolve(&main, source)).to_owned()];
    let mut problems = Problems::default();
    let mut reader = Reader::new(&sections, source, &mut problems, &main, &directories);
    reader.add_globals(variables);
    let made = processes(&mut reader, &section, SectionKind::Program, group);
    match problems.first_supervisor_error() {
        Some(error) => Err(error.to_owned()),
        None if made.iter().any(|process| !process.extras.depends_on.written.is_empty()) => {
            Err("depends_on is for programs of the configuration, not for those that a client adds".to_owned())
        }
        None => match made.iter().find_map(|process| name::fault(&process.name)) {
            Some(fault) => Err(format!("Invalid name: it {fault}")),
            None => Ok(made),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::made_up::MadeUp;

    fn read(name: &str, options: &[(&str, &str)]) -> Result<Vec<ProcessConfig>, String> {
        let options: Vec<_> = options.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let variables = IndexMap::from([("GALAXY".to_owned(), "yes".to_owned())]);
        processes_of(name, &options, "g", (Path::new("/etc/x.conf"), &variables), &MadeUp::new())
    }

    #[test]
    fn options_are_those_of_a_section() {
        let options = [
            ("command", "%(here)s/run %(group_name)s %(ENV_GALAXY)s"),
            ("NumProcs", "2"),
            ("process_name", "n%(process_num)d"),
            ("unknown", "x"),
        ];
        let made = read("n", &options).unwrap();
        assert_eq!(made.iter().map(|process| process.name.as_str()).collect::<Vec<_>>(), ["n0", "n1"]);
        assert_eq!(made[0].command, "/etc/run g yes");
        assert!(made[0].environment.is_empty());
        assert_eq!(made[0].section, "program:n");
    }

    #[test]
    fn mistakes_are_told_in_supervisors_words() {
        assert_eq!(
            read("x", &[]).unwrap_err(),
            "program section program:x does not specify a command in section 'program:x' (file: '/etc/x.conf')"
        );
        assert_eq!(
            read("x:y", &[("command", "true")]).unwrap_err(),
            "Invalid name: 'x:y' because of character: ':' in section 'program:x:y' (file: '/etc/x.conf')"
        );
        assert_eq!(
            read("x", &[("command", "true"), ("process_name", "..")]).unwrap_err(),
            "Invalid name: it means a directory"
        );
        assert_eq!(
            read("x", &[("command", "true"), ("startsecs", "zz")]).unwrap_err(),
            "invalid literal for int() with base 10: 'zz' in section 'program:x' (file: '/etc/x.conf')"
        );
    }
}
