//! What happens again and again in the same way is one entry that counts.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Kind};

/// Subjects whose series are remembered; beyond it all series begin anew.
const SUBJECTS_MAX: usize = 4096;

/// Different entries in turn that still are series: a program that starts, runs and fails has two.
const SERIES_MAX: usize = 4;

/// The series under way, of each subject.
#[derive(Debug, Default)]
pub(super) struct Folding(BTreeMap<Box<str>, Vec<Series>>);

/// An entry without its subject. Small, as there may be some for each of thousands of subjects.
#[derive(Debug)]
struct Series {
    first: i64,
    last: i64,
    count: u64,
    kind: Kind,
    text: Box<str>,
}

impl Folding {
    /// What is to be written for this entry: it, its series when the count is a power of two, and what it ends.
    pub(super) fn add(&mut self, entry: Entry) -> Vec<Entry> {
        if self.0.len() >= SUBJECTS_MAX && !self.0.contains_key(entry.subject.as_str()) {
            let mut ended = self.finish();
            ended.extend(self.add(entry));
            return ended;
        }
        let known = self.0.entry(entry.subject.as_str().into()).or_default();
        if let Some(series) = known.iter_mut().find(|series| series.is_repeated_by(&entry)) {
            series.count += 1;
            series.last = entry.last;
            return if series.is_written() { vec![series.entry(&entry.subject)] } else { Vec::new() };
        }
        // A request is a cause of its own: what follows is news, though it be the same.
        let ended = if entry.kind == Kind::Request {
            std::mem::take(known)
        } else if known.len() >= SERIES_MAX {
            vec![known.remove(0)]
        } else {
            Vec::new()
        };
        known.reserve_exact(1);
        known.push(Series::begun_by(&entry));
        let unwritten = ended.iter().filter(|series| !series.is_written()).map(|series| series.entry(&entry.subject));
        let mut records: Vec<Entry> = unwritten.collect();
        records.push(entry);
        records
    }

    /// The counts that are not written yet.
    pub(super) fn unwritten(&self) -> Vec<Entry> {
        let series = self.0.iter().flat_map(|(subject, known)| known.iter().map(move |series| (subject, series)));
        series.filter(|(_, series)| !series.is_written()).map(|(subject, series)| series.entry(subject)).collect()
    }

    /// The counts that are not written yet; all series end.
    pub(super) fn finish(&mut self) -> Vec<Entry> {
        let unwritten = self.unwritten();
        self.0.clear();
        unwritten
    }
}

impl Series {
    fn begun_by(entry: &Entry) -> Series {
        let &Entry { first, last, count, kind, .. } = entry;
        Series { first, last, count, kind, text: entry.text.as_str().into() }
    }

    fn is_repeated_by(&self, entry: &Entry) -> bool {
        self.kind == entry.kind && *self.text == *entry.text
    }

    /// Whether its present count is in the file.
    fn is_written(&self) -> bool {
        self.count.is_power_of_two()
    }

    fn entry(&self, subject: &str) -> Entry {
        let &Series { first, last, count, kind, .. } = self;
        Entry { first, last, count, subject: subject.to_owned(), kind, text: self.text.as_ref().to_owned() }
    }
}

/// Of each series its last record, sorted by the time of the last.
pub(super) fn latest(entries: Vec<Entry>) -> Vec<Entry> {
    let mut seen = BTreeSet::new();
    let mut latest: Vec<Entry> = entries
        .into_iter()
        .rev()
        .filter(|entry| seen.insert((entry.first, entry.kind, entry.subject.clone(), entry.text.clone())))
        .collect();
    latest.reverse();
    latest.sort_by_key(|entry| entry.last);
    latest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: i64, kind: Kind, text: &str) -> Entry {
        Entry { first: time, last: time, ..Entry::now(kind, "p", text) }
    }

    #[test]
    fn a_thousand_failures_are_two_entries_and_few_records() {
        let mut folding = Folding::default();
        let mut records = Vec::new();
        for turn in 0..1000 {
            records.extend(folding.add(at(2 * turn, Kind::State, "RUNNING")));
            records.extend(folding.add(at(2 * turn + 1, Kind::State, "EXITED: exit status 1")));
        }
        records.extend(folding.finish());
        assert!(records.len() < 30, "{}", records.len());
        let told: Vec<(i64, i64, u64)> =
            latest(records).iter().map(|entry| (entry.first, entry.last, entry.count)).collect();
        assert_eq!(told, [(0, 1998, 1000), (1, 1999, 1000)]);
    }

    #[test]
    fn a_request_begins_anew() {
        let mut folding = Folding::default();
        let mut records = Vec::new();
        for (time, kind, text) in [
            (1, Kind::State, "FATAL"),
            (2, Kind::State, "FATAL"),
            (3, Kind::State, "FATAL"),
            (4, Kind::Request, "start"),
            (5, Kind::State, "FATAL"),
        ] {
            records.extend(folding.add(at(time, kind, text)));
        }
        let told: Vec<(i64, u64)> = latest(records).iter().map(|entry| (entry.last, entry.count)).collect();
        assert_eq!(told, [(3, 3), (4, 1), (5, 1)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut folding = Folding::default();
        for number in 0..2 * SUBJECTS_MAX {
            folding.add(Entry::now(Kind::State, &number.to_string(), "RUNNING"));
        }
        assert!(folding.0.len() <= SUBJECTS_MAX);
    }
}
