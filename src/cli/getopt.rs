//! Python's `getopt.getopt`, which reads both of Supervisor's command lines: short options that may
//! be glued together and to their value, long ones that may be shortened to a unique prefix, and an
//! end at the first word that is no option. Its error texts are part of the contract.

/// Whether an option is followed by a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Value,
}

/// One option; at least one of `short` and `long` is set. `K` says what it means.
#[derive(Debug, Clone)]
pub struct Opt<K> {
    pub key: K,
    pub short: Option<char>,
    pub long: Option<String>,
    pub takes: Takes,
    /// The long name is ours: it is taken written out only, so that the names next to it can be shortened as ever.
    pub whole: bool,
}

impl<K> Opt<K> {
    pub fn new(key: K, short: Option<char>, long: Option<&str>, takes: Takes) -> Self {
        Self { key, short, long: long.map(str::to_owned), takes, whole: false }
    }

    /// A long option that cannot be shortened.
    pub fn whole(key: K, long: &str, takes: Takes) -> Self {
        Self { whole: true, ..Self::new(key, None, Some(long), takes) }
    }
}

/// An option as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<K> {
    pub key: K,
    /// `-e` or `--loglevel`; a shortened long name is written out.
    pub spelling: String,
    /// Empty for an option that takes nothing.
    pub value: String,
}

/// What is wrong with the options, in Python's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GetoptError {
    #[error("option {0} not recognized")]
    Unknown(String),
    #[error("option {0} requires argument")]
    NeedsValue(String),
    #[error("option {0} must not have an argument")]
    TakesNoValue(String),
    #[error("option {0} not a unique prefix")]
    Ambiguous(String),
}

/// The options in the order they were given, and the words after them.
pub type Split<'a, K> = (Vec<Found<K>>, &'a [String]);

/// Reads `args`, which do not include the program's name.
///
/// # Errors
/// The first mistake found.
pub fn getopt<'a, K: Clone>(table: &[Opt<K>], args: &'a [String]) -> Result<Split<'a, K>, GetoptError> {
    let mut found = Vec::new();
    let mut rest = args;
    while let Some((arg, after)) = rest.split_first() {
        if arg == "--" {
            rest = after;
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            rest = read_long(table, long, after, &mut found)?;
        } else if let Some(cluster) = arg.strip_prefix('-').filter(|cluster| !cluster.is_empty()) {
            rest = read_shorts(table, cluster, after, &mut found)?;
        } else {
            break;
        }
    }
    Ok((found, rest))
}

fn read_long<'a, K: Clone>(
    table: &[Opt<K>],
    text: &str,
    mut rest: &'a [String],
    found: &mut Vec<Found<K>>,
) -> Result<&'a [String], GetoptError> {
    let (name, glued) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let (opt, long) = long_option(table, name)?;
    let spelling = format!("--{long}");
    let value = match (opt.takes, glued) {
        (Takes::Nothing, None) => String::new(),
        (Takes::Nothing, Some(_)) => return Err(GetoptError::TakesNoValue(spelling)),
        (Takes::Value, Some(value)) => value,
        (Takes::Value, None) => {
            let Some((value, after)) = rest.split_first() else { return Err(GetoptError::NeedsValue(spelling)) };
            rest = after;
            value.clone()
        }
    };
    found.push(Found { key: opt.key.clone(), spelling, value });
    Ok(rest)
}

fn long_option<'t, K>(table: &'t [Opt<K>], name: &str) -> Result<(&'t Opt<K>, &'t str), GetoptError> {
    let candidates: Vec<(&Opt<K>, &str)> = table
        .iter()
        .filter_map(|opt| Some((opt, opt.long.as_deref()?)))
        .filter(|(opt, long)| if opt.whole { *long == name } else { long.starts_with(name) })
        .collect();
    match candidates.as_slice() {
        [] => Err(GetoptError::Unknown(format!("--{name}"))),
        [only] => Ok(*only),
        several => several
            .iter()
            .find(|(_, long)| *long == name)
            .copied()
            .ok_or_else(|| GetoptError::Ambiguous(format!("--{name}"))),
    }
}

fn read_shorts<'a, K: Clone>(
    table: &[Opt<K>],
    cluster: &str,
    mut rest: &'a [String],
    found: &mut Vec<Found<K>>,
) -> Result<&'a [String], GetoptError> {
    let mut letters = cluster.chars();
    while let Some(letter) = letters.next() {
        let spelling = format!("-{letter}");
        let Some(opt) = table.iter().find(|opt| opt.short == Some(letter)) else {
            return Err(GetoptError::Unknown(spelling));
        };
        let mut value = String::new();
        if opt.takes == Takes::Value {
            letters.as_str().clone_into(&mut value);
            letters = "".chars();
            if value.is_empty() {
                let Some((next, after)) = rest.split_first() else { return Err(GetoptError::NeedsValue(spelling)) };
                value.clone_from(next);
                rest = after;
            }
        }
        found.push(Found { key: opt.key.clone(), spelling, value });
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Opt<&'static str>> {
        vec![
            Opt::new("nodaemon", Some('n'), Some("nodaemon"), Takes::Nothing),
            Opt::new("nocleanup", Some('k'), Some("nocleanup"), Takes::Nothing),
            Opt::new("loglevel", Some('e'), Some("loglevel"), Takes::Value),
            Opt::new("logfile", Some('l'), Some("logfile"), Takes::Value),
            Opt::new("logfile_maxbytes", Some('y'), Some("logfile_maxbytes"), Takes::Value),
            Opt::new("minprocs", None, Some("minprocs"), Takes::Value),
            Opt::new("help", Some('?'), None, Takes::Nothing),
        ]
    }

    /// Options with their values, and the words after them.
    type Expected<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

    fn check(args: &[&str], expected: Result<Expected<'_>, &str>) {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let outcome = getopt(&table(), &args);
        match (outcome, expected) {
            (Ok((found, rest)), Ok((options, words))) => {
                let pairs: Vec<(&str, &str)> =
                    found.iter().map(|one| (one.spelling.as_str(), one.value.as_str())).collect();
                assert_eq!(pairs, options, "{args:?}");
                assert_eq!(rest, words, "{args:?}");
            }
            (Err(error), Err(text)) => assert_eq!(error.to_string(), text, "{args:?}"),
            (outcome, expected) => panic!("{args:?}: {outcome:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn options_are_read_as_python_reads_them() {
        check(&[], Ok((&[], &[])));
        check(&["-n", "-e", "debug", "x"], Ok((&[("-n", ""), ("-e", "debug")], &["x"])));
        check(&["-nedebug"], Ok((&[("-n", ""), ("-e", "debug")], &[])));
        check(&["-ne", "debug"], Ok((&[("-n", ""), ("-e", "debug")], &[])));
        check(&["--loglevel=debug"], Ok((&[("--loglevel", "debug")], &[])));
        check(&["--logl", "debug"], Ok((&[("--loglevel", "debug")], &[])));
        check(&["--logfile=a=b"], Ok((&[("--logfile", "a=b")], &[])));
        check(&["--logfile="], Ok((&[("--logfile", "")], &[])));
        check(&["--min", "-5"], Ok((&[("--minprocs", "-5")], &[])));
        check(&["word", "-n"], Ok((&[], &["word", "-n"])));
        check(&["-n", "--", "-k"], Ok((&[("-n", "")], &["-k"])));
        check(&["-"], Ok((&[], &["-"])));
        check(&["-?"], Ok((&[("-?", "")], &[])));
        check(&["-e", "--"], Ok((&[("-e", "--")], &[])));
    }

    #[test]
    fn mistakes_are_told_in_pythons_words() {
        check(&["-x"], Err("option -x not recognized"));
        check(&["-nx"], Err("option -x not recognized"));
        check(&["--foo"], Err("option --foo not recognized"));
        check(&["-e"], Err("option -e requires argument"));
        check(&["--logl"], Err("option --loglevel requires argument"));
        check(&["--nodaemon=1"], Err("option --nodaemon must not have an argument"));
        check(&["--noda="], Err("option --nodaemon must not have an argument"));
        check(&["--n"], Err("option --n not a unique prefix"));
        check(&["--log=3"], Err("option --log not a unique prefix"));
    }

    proptest::proptest! {
        #[test]
        fn no_command_line_makes_it_panic_and_the_rest_is_a_tail(args in proptest::collection::vec("-{0,2}[nkely?=x]{0,3}", 0..6)) {
            if let Ok((_, rest)) = getopt(&table(), &args) {
                proptest::prop_assert!(args.ends_with(rest));
            }
        }
    }
}
