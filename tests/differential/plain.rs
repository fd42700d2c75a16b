//! Pids, times, ports and folders are taken out of what a side said.

use std::sync::OnceLock;

use regex::Regex;

/// Takes out what differs from run to run of one daemon.
#[derive(Debug, Clone)]
pub(crate) struct Plain {
    /// Whole words of this run, longest first, and what stands for them.
    words: Vec<(String, &'static str)>,
}

/// What differs from run to run. Each is a place where a number or name of the moment stands.
const PATTERNS: &[(&str, &str)] = &[
    (r"pid \d+, uptime (\d+ days?, )?\d+:\d\d:\d\d", "pid PID, uptime TIME"),
    (r"by uid \d+", "by uid UID"),
    (r"\bpid \d+", "pid PID"),
    (r"killing '([^']*)' \(\d+\)", "killing '$1' (PID)"),
    (r"\bpid:[1-9]\d*", "pid:PID"),
    (r"\bwhen:\d+", "when:TIME"),
    // The XML of a process's information: a pid or a time, unless it is 0.
    (r"(<name>(?:pid|start|stop|now)</name>\n<value><int>)[1-9]\d*", "${1}NUMBER"),
    (r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d\d \d\d:\d\d (?:AM|PM)", "DATE"),
    (r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "DATE"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "STAMP"),
    (
        r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d \d{4}",
        "CTIME",
    ),
    (r"---supervisor-[a-z0-9_]{8}\.log", "---supervisor-RANDOM.log"),
    // Behind this prefix stand Python's exception, file and line (a row of compatibility.md).
    (r"(?m)^error: <class .*$", "error: ..."),
];

impl Plain {
    pub(crate) fn new(words: Vec<(String, &'static str)>) -> Plain {
        Plain { words }
    }

    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, name) in &self.words {
            text = text.replace(word.as_str(), name);
        }
        for (pattern, word) in patterns() {
            if pattern.is_match(&text) {
                text = pattern.replace_all(&text, *word).into_owned();
            }
        }
        text
    }
}

fn patterns() -> &'static [(Regex, &'static str)] {
    static PATTERNS_READ: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    PATTERNS_READ.get_or_init(|| PATTERNS.iter().map(|(pattern, word)| (Regex::new(pattern).unwrap(), *word)).collect())
}
