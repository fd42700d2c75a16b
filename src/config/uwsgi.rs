//! uWSGI's options as uWSGI itself reads them, whose YAML is none: every line of the section counts by its own rules.
//!
//! Source: uWSGI 2.0.31, `core/yaml.c`, `core/uwsgi.c` (`uwsgi_opt_true`). A key may be repeated and then counts each
//! time; quotes belong to the value; `#` begins a comment wherever it stands; a line without `: ` ends the section.

use super::ini;
use super::span::{FileId, line_column};

/// One option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UwsgiOption {
    pub name: String,
    pub value: String,
    /// In the file, from one; zero: it stands on the command line.
    pub line: usize,
}

/// The options of one uWSGI, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UwsgiOptions {
    pub options: Vec<UwsgiOption>,
    /// The line at which uWSGI stops to read though the section goes on.
    pub ends_early: Option<usize>,
}

impl UwsgiOptions {
    /// What uWSGI finds in the section `uwsgi` of a YAML file; `None` if there is no such section.
    #[must_use]
    pub fn from_yaml(text: &str) -> Option<Self> {
        let mut lines = text.split('\n').enumerate();
        lines.find(|(_, line)| is_section(cut(line)))?;
        let mut found = Self::default();
        for (at, line) in lines {
            let line = cut(line);
            let content = line.trim_start_matches([' ', '\t', '\r']);
            if line.is_empty() {
                continue;
            }
            if line.len() == content.len() {
                break;
            }
            if content.is_empty() {
                continue;
            }
            let pair = content.split_once(": ").or_else(|| content.split_once(":\t"));
            let Some((name, value)) = pair.filter(|_| !content.starts_with(['-', '[', '{'])) else {
                found.ends_early = Some(at + 1);
                break;
            };
            let name = name.trim_end_matches([' ', '\t']).to_owned();
            let value = value.trim_start_matches([' ', '\t', '\r']).trim_end_matches([' ', '\t']).to_owned();
            found.options.push(UwsgiOption { name, value: value.trim_end_matches('\r').to_owned(), line: at + 1 });
        }
        Some(found)
    }

    /// The section `[uwsgi]` of an ini file; `None` if there is no such section.
    #[must_use]
    pub fn from_ini(text: &str) -> Option<Self> {
        let mut is_inside = false;
        let mut found = None;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                is_inside = name == "uwsgi";
                if is_inside {
                    found.get_or_insert_with(Self::default);
                }
            } else if is_inside && !line.is_empty() && !line.starts_with([';', '#']) {
                let (name, value) = line.split_once('=').unwrap_or((line, "true"));
                let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
                found.get_or_insert_with(Self::default).options.push(UwsgiOption { name, value, line: at + 1 });
            }
        }
        found
    }

    /// What follows the program's name on a command line.
    #[must_use]
    pub fn from_words(words: &[String]) -> Self {
        let mut options = Vec::new();
        let mut rest = words.iter().peekable();
        while let Some(word) = rest.next() {
            let Some(name) = word.strip_prefix("--").or_else(|| short(word)) else { continue };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => match rest.next_if(|next| !next.starts_with('-') && !FLAGS.contains(&name)) {
                    Some(value) => (name, value.clone()),
                    None => (name, "true".to_owned()),
                },
            };
            options.push(UwsgiOption { name: name.to_owned(), value, line: 0 });
        }
        Self { options, ends_early: None }
    }

    /// The options of this name, which may be spelled with `_` too.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a UwsgiOption> {
        self.options.iter().filter(move |option| option.name.replace('_', "-") == name)
    }

    /// The option that counts where only one does: the last.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&UwsgiOption> {
        self.options.iter().rfind(|option| option.name.replace('_', "-") == name)
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.last(name).is_some()
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.last(name).is_some_and(|option| !is_off(&option.value))
    }

    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.last(name)?.value.parse().ok()
    }

    /// What the master does at a signal by a hook: the function's name.
    #[must_use]
    pub fn hook(&self, signal: i32) -> Option<(&UwsgiOption, &str)> {
        let wanted = format!("unix_signal:{signal} ");
        let hooks = self.all("hook-master-start").filter(|option| option.value.starts_with(&wanted));
        hooks.last().map(|option| (option, option.value.get(wanted.len()..).unwrap_or_default().trim()))
    }
}

/// Switches that take no value on a command line.
const FLAGS: &[&str] = &["master", "die-on-term", "enable-threads", "need-app", "lazy-apps", "py-call-osafterfork"];

/// The short options whose meaning the rules ask for.
fn short(word: &str) -> Option<&'static str> {
    Some(match word {
        "-s" => "socket",
        "-p" => "processes",
        "-M" => "master",
        "-T" => "enable-threads",
        "-d" => "daemonize",
        "-H" => "virtualenv",
        "-w" => "module",
        "-y" => "yaml",
        "-L" => "disable-logging",
        _ => return None,
    })
}

/// A line without its comment, as uWSGI cuts it.
fn cut(line: &str) -> &str {
    line.split('#').next().unwrap_or_default()
}

/// Whether the line, which begins in the first column, names the section.
fn is_section(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| name == "uwsgi")
}

fn is_off(value: &str) -> bool {
    ["false", "off", "no"].iter().any(|word| value.eq_ignore_ascii_case(word)) || value == "0"
}

/// What a Galaxy of old keeps in `galaxy.ini`: the options of `[app:main]`, in order, with their lines.
#[must_use]
pub fn app_main(text: &str) -> Vec<(String, String, usize)> {
    let Ok(document) = ini::parse(text, FileId(0)) else { return Vec::new() };
    let section = document.section("app:main");
    let entries = section.into_iter().flat_map(|section| &section.entries);
    entries
        .map(|entry| {
            let (line, _) = line_column(text, entry.key_span.start);
            (entry.key.clone(), entry.value.clone(), line)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(options: &UwsgiOptions) -> String {
        let options = options.options.iter().map(|option| format!("{}={}@{}", option.name, option.value, option.line));
        options.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn yaml_is_read_by_uwsgis_own_rules() {
        let cases = [
            ("galaxy:\n  a: b\n", None),
            ("uwsgi:\n", Some("")),
            ("uwsgi:\n  socket: 'x'\n\n  master: true # note\ngalaxy:\n  no: 1\n", Some("socket='x'@2 master=true@4")),
            ("uwsgi:\n  mule: a\n  mule: b\n", Some("mule=a@2 mule=b@3")),
            ("#uwsgi:\n  a: b\nuwsgi:\n  # x\n  a:\tb\n", Some("a=b@5")),
            ("uwsgi:\n  a: b\r\n  hook: unix_signal:2 x\n", Some("a=b@2 hook=unix_signal:2 x@3")),
            ("uwsgi:\n  password: a#b\n", Some("password=a@2")),
            ("x:\n  uwsgi:\n    a: b\n", None),
        ];
        for (text, expected) in cases {
            let read = UwsgiOptions::from_yaml(text);
            assert_eq!(read.as_ref().map(shown).as_deref(), expected, "{text:?}");
        }
        let cut = UwsgiOptions::from_yaml("uwsgi:\n  a: b\n  endif:\n  c: d\n").unwrap();
        assert_eq!((shown(&cut).as_str(), cut.ends_early), ("a=b@2", Some(3)));
    }

    #[test]
    fn ini_and_command_lines_are_read_too() {
        let ini = UwsgiOptions::from_ini("[app:main]\na=1\n[uwsgi]\n; x\nsocket = :1\nmaster\n[x]\nb=2\n").unwrap();
        assert_eq!(shown(&ini), "socket=:1@5 master=true@6");
        let words = ["--master", "--zerg-pool", "a.sock:127.0.0.1:1", "--stats=s", "-s", ":2", "--die-on-term"];
        let words = UwsgiOptions::from_words(&words.map(str::to_owned));
        assert_eq!(
            shown(&words),
            "master=true@0 zerg-pool=a.sock:127.0.0.1:1@0 stats=s@0 socket=:2@0 die-on-term=true@0"
        );
    }

    #[test]
    fn switches_and_hooks_mean_what_uwsgi_says() {
        let text = "uwsgi:\n  master: off\n  die_on_term: 1\n  hook-master-start: unix_signal:15 kill_them_all\n";
        let options = UwsgiOptions::from_yaml(text).unwrap();
        assert!(!options.is_on("master") && options.is_on("die-on-term") && !options.is_on("threads"));
        assert_eq!(options.hook(15).map(|(_, function)| function), Some("kill_them_all"));
        assert!(options.hook(2).is_none());
    }

    #[test]
    fn a_galaxy_of_old_is_read() {
        let settings = app_main("[server:main]\nport=1\n[app:main]\ndatabase_connection = sqlite:///x\n");
        assert_eq!(settings, [("database_connection".to_owned(), "sqlite:///x".to_owned(), 4)]);
    }
}
