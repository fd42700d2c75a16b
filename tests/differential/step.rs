//! One step of a scenario.
//!
//! | step | what happens | what is compared |
//! |---|---|---|
//! | `start` / `launch` | the daemon is started, and answers / is not waited for | |
//! | `wait PROCESS STATE` | until the process is in the state | |
//! | `log [COUNT] TEXT` | until the activity log holds the text, so many times | |
//! | `event [COUNT] TEXT` | until the recorded events hold the text | |
//! | `text FILE [COUNT] TEXT` | until the file holds the text | |
//! | `absent FILE` | until the file is not there | |
//! | `ready` | until the daemon answers | |
//! | `ctl WORDS` | `supervisorctl WORDS` | output and exit code |
//! | `shell FILE` | `supervisorctl` with the file as standard input | as above |
//! | `follow NAME WORDS`, `unfollow NAME` | a client that goes on, in the background; its end | what it printed |
//! | `rpc METHOD [JSON ...]` | a call | the answer, as sent |
//! | `http [PORT] TEXT` | raw bytes, `\r \n \xHH \\` understood | status line, stable headers, body |
//! | `post XML` | XML as a request to `/RPC2` | as above |
//! | `config NAME` | the configuration is replaced | |
//! | `write FILE TEXT`, `append`, `remove FILE`, `rename FROM TO` | in the folder | |
//! | `signal SIGNAL` | to the daemon | |
//! | `kill PROCESS SIGNAL` | to the process's pid | |
//! | `show FILE`, `sorted FILE` | | the file's content, its sorted lines |
//! | `files PATTERN` | | names (`*` at the end or the beginning) and sizes |
//! | `mode FILE` | | type and permission bits |
//! | `alive FILE`, `dead FILE` | until the process lives, or does not, whose pid the file holds | |
//! | `daemon WORDS` | `supervisord WORDS` to its end | output and exit code |
//! | `run COMMAND` | `sh -c COMMAND` in the folder | output and exit code |
//! | `output WORDS` | | what the daemon printed, the lines that hold one of the words |
//! | `end` | until the daemon has ended | its status |
//! | `gone` | until none of its processes lives | |
//! | `shutdown` | SIGTERM, `end`, `gone` | its status |

use serde_json::Value;

/// A step; the number of times is 1 where it is not said.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// As written: the name of the piece.
    pub(crate) line: String,
    pub(crate) verb: String,
    pub(crate) words: Vec<String>,
    /// Everything after the verb.
    pub(crate) rest: String,
}

impl Step {
    /// `None` for an empty line and for a comment.
    pub(crate) fn parse(line: &str, scenario: &str) -> Option<Step> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        assert!(VERBS.contains(&verb), "{scenario}: unknown step `{line}`");
        Some(Step { line: line.to_owned(), verb: verb.to_owned(), words: words(rest), rest: rest.trim().to_owned() })
    }

    /// A word by its place.
    pub(crate) fn word(&self, place: usize) -> &str {
        self.words.get(place).unwrap_or_else(|| panic!("`{}`: a word is missing", self.line))
    }

    /// `[COUNT] TEXT` from the word with this place on.
    pub(crate) fn count_and_text(&self, place: usize) -> (usize, String) {
        // A number alone is the text.
        let counted = self.words.len() > place + 1;
        let count = self.words.get(place).filter(|_| counted).and_then(|word| word.parse().ok());
        let after = place + usize::from(count.is_some());
        // The text is taken as written, with its blanks.
        let mut text = self.rest.as_str();
        for _ in 0..after {
            text = text.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
        }
        (count.unwrap_or(1), unescaped(text))
    }

    /// What follows the word with this place, escapes resolved.
    pub(crate) fn text(&self, place: usize) -> String {
        let mut text = self.rest.as_str();
        for _ in 0..place {
            text = text.split_once(' ').map_or("", |(_, rest)| rest);
        }
        unescaped(text)
    }

    /// Whether the daemon ends or begins anew by it.
    pub(crate) fn ends_the_daemon(&self) -> bool {
        let first = self.words.first().map_or("", String::as_str);
        match self.verb.as_str() {
            "shutdown" => true,
            "signal" => ["TERM", "INT", "QUIT", "HUP"].contains(&first),
            "rpc" => ["supervisor.shutdown", "supervisor.restart"].contains(&first),
            "ctl" => ["shutdown", "reload"].contains(&first),
            _ => false,
        }
    }

    /// Whether it starts or stops several processes: who is done first is chance, on either side.
    pub(crate) fn of_several(&self) -> bool {
        let first = self.words.first().map_or("", String::as_str);
        match self.verb.as_str() {
            "rpc" => {
                first.contains("startAll")
                    || first.contains("stopAll")
                    || first.contains("ProcessGroup")
                    || self.rest.contains(":*")
            }
            "ctl" => {
                ["start", "stop", "restart"].contains(&first)
                    && self.words.iter().any(|word| word == "all" || word.ends_with(":*"))
            }
            _ => false,
        }
    }

    /// JSON values after the first word.
    pub(crate) fn values(&self) -> Vec<Value> {
        let json = self.rest.split_once(' ').map_or("", |(_, rest)| rest);
        serde_json::Deserializer::from_str(json)
            .into_iter::<Value>()
            .map(|value| value.unwrap_or_else(|error| panic!("`{}`: {error}", self.line)))
            .collect()
    }
}

const VERBS: &[&str] = &[
    "start", "launch", "wait", "log", "event", "text", "absent", "ready", "ctl", "shell", "follow", "unfollow", "rpc",
    "http", "post", "config", "write", "append", "remove", "rename", "signal", "kill", "show", "sorted", "files",
    "mode", "alive", "dead", "daemon", "run", "output", "end", "gone", "shutdown",
];

/// Words at blanks; double quotes keep blanks together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut begun) = (false, false);
    for letter in text.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// `\n`, `\r`, `\\` and `\xHH` (a code point below 256, sent as one byte).
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('x') => {
                let digits: String = letters.by_ref().take(2).collect();
                plain.push(char::from(u8::from_str_radix(&digits, 16).unwrap()));
            }
            Some(other) => plain.push(other),
            None => plain.push('\\'),
        }
    }
    plain
}
