//! What cargo and people pass to the test binary.

/// Which scenarios are played.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// A scenario is played when its name holds one of these, or when there are none.
    pub(crate) wanted: Vec<String>,
    /// Only tell the names.
    pub(crate) list: bool,
}

/// Options of the usual test harness that have a value; they mean nothing here.
const WITH_VALUE: &[&str] = &["--test-threads", "--skip", "--format", "--color", "--logfile"];

impl Arguments {
    pub(crate) fn read(words: &[String]) -> Arguments {
        let mut arguments = Arguments::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if WITH_VALUE.contains(&word.as_str()) {
                words.next();
            } else if word == "--list" {
                arguments.list = true;
            } else if !word.starts_with('-') {
                arguments.wanted.push(word.clone());
            }
        }
        arguments
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|word| name.contains(word.as_str()))
    }
}
