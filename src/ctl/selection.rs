//! The words of a command that names processes: names, patterns, and the options that narrow them.

use super::answer::ProcessInfo;
use super::exit::ExitCode;
use super::name;
use super::shell::Shell;
use super::target::{Target, fits_spec};
use super::trouble::Trouble;

/// What was typed after a command. supervisorctl has no such options: there every word is a name.
#[derive(Debug, Default)]
pub(super) struct Selection<'a> {
    pub(super) words: Vec<&'a str>,
    /// `--exclude PATTERN`, as often as wanted.
    pub(super) excluded: Vec<&'a str>,
    /// Other options, of those that the command knows.
    flags: Vec<&'a str>,
}

impl Selection<'_> {
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// Whether no name was typed.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether everything there is is meant.
    pub(super) fn is_all(&self) -> bool {
        self.words.contains(&"all") && self.excluded.is_empty()
    }
}

impl Shell {
    /// Reads the words of a command that knows these flags.
    pub(super) fn selection<'a>(&self, rest: &'a str, flags: &[&str]) -> Selection<'a> {
        let mut selection = Selection::default();
        let mut words = rest.split_whitespace();
        while let Some(word) = words.next() {
            match word.strip_prefix("--exclude") {
                _ if !self.is_galaxyctl() => selection.words.push(word),
                Some("") => selection.excluded.extend(words.next()),
                Some(glued) if glued.starts_with('=') => selection.excluded.push(glued.trim_start_matches('=')),
                _ if flags.contains(&word) => selection.flags.push(word),
                _ => selection.words.push(word),
            }
        }
        selection
    }

    /// The targets of a selection; `None` for everything there is.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn chosen(&mut self, selection: &Selection<'_>) -> Result<Option<Vec<Target>>, Trouble> {
        if selection.is_all() {
            return Ok(None);
        }
        if selection.excluded.is_empty() {
            return Ok(Some(self.targets(&selection.words)?));
        }
        Ok(Some(vec![Target::Matched(self.chosen_singly(selection)?)]))
    }

    /// The processes of a selection one by one.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn chosen_singly(&mut self, selection: &Selection<'_>) -> Result<Vec<String>, Trouble> {
        let mut names: Vec<String> = if selection.words.contains(&"all") {
            self.known()?.iter().map(ProcessInfo::namespec).collect()
        } else {
            self.single_names(&selection.words)?
        };
        names.retain(|name| !is_excluded(name, &selection.excluded));
        if names.is_empty() && !selection.excluded.is_empty() {
            self.problem("ERROR: --exclude leaves no process", None);
            self.set_exit(ExitCode::Generic);
        }
        Ok(names)
    }

    /// The names for calls that take groups (`galaxy`) and processes (`galaxy:web`): empty for all, `None` for nobody.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn chosen_names(&mut self, selection: &Selection<'_>) -> Result<Option<Vec<String>>, Trouble> {
        let Some(targets) = self.chosen(selection)? else { return Ok(Some(Vec::new())) };
        let mut names = Vec::new();
        for target in targets {
            match target {
                Target::Group(name) => names.push(name),
                Target::Process(name) => names.push(full(&name)),
                Target::Matched(several) => names.extend(several.iter().map(|name| full(name))),
            }
        }
        Ok(Some(names).filter(|names| !names.is_empty()))
    }

    /// The same for calls whose names are those of processes: without a colon it is a group's name here, a process' there.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn called_names(&mut self, selection: &Selection<'_>) -> Result<Option<Vec<String>>, Trouble> {
        let names = self.chosen_names(selection)?;
        let called = |name: String| if name.contains(':') { name } else { format!("{name}:*") };
        Ok(names.map(|names| names.into_iter().map(called).collect()))
    }

    /// The one process that a word means, for commands that show one; several are told.
    ///
    /// # Errors
    /// The daemon could not be asked.
    pub(super) fn one_name(&mut self, word: &str) -> Result<Option<String>, Trouble> {
        if !self.is_galaxyctl() || !word.contains(['*', '?', '[']) {
            return Ok(Some(word.to_owned()));
        }
        let mut names = self.single_names(&[word])?;
        if names.len() == 1 {
            return Ok(names.pop());
        }
        self.problem(format!("Error: {word} means {}: name one of them", names.join(", ")), Some(word));
        self.set_exit(ExitCode::Generic);
        Ok(None)
    }
}

/// Whether one of the patterns fits; a bare group's name means all of it.
pub(super) fn is_excluded(namespec: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| fits_spec(pattern, namespec))
}

/// `group:process`, also where both are equal: a bare name would be a group's.
fn full(namespec: &str) -> String {
    let name::Name { group, process } = name::split(namespec);
    process.map_or_else(|| group.to_owned(), |process| format!("{group}:{process}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusions_name_processes_groups_and_patterns() {
        for (pattern, excluded) in [
            ("galaxy:web", true),
            ("galaxy", true),
            ("galaxy:", true),
            ("galaxy:*", true),
            ("gal*", true),
            ("*:web", true),
            ("galaxy:handler*", false),
            ("web", false),
        ] {
            assert_eq!(is_excluded("galaxy:web", &[pattern]), excluded, "{pattern}");
        }
        assert!(is_excluded("web", &["web"]) && is_excluded("web", &["w*"]));
        assert_eq!((full("web").as_str(), full("g:p").as_str()), ("web:web", "g:p"));
    }
}
