//! What happens again and again in the same way is one entry that counts.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Kind};

/// Subjects whose series are remembered; beyond it all series begin anew.
const SUBJECTS_MAX: usize = 4096;

/// Different entries in turn that still are series: a program that starts, runs and fails has two.
const SERIES_MAX: usize = 4;

/// The series under way.
#[derive(Debug, Default)]
pub(super) struct Folding(BTreeMap<String, Vec<Series>>);

#[derive(Debug)]
struct Series {
    entry: Entry,
    /// The count that was written last.
    written: u64,
}

impl Folding {
    /// What is to be written for this entry: it, its series when the count is a power of two, and what it ends.
    pub(super) fn add(&mut self, entry: Entry) -> Vec<Entry> {
        if self.0.len() >= SUBJECTS_MAX && !self.0.contains_key(&entry.subject) {
            let mut ended = self.finish();
            ended.extend(self.add(entry));
            return ended;
        }
        // Most have one series, and there may be thousands of subjects.
        let known = self.0.entry(entry.subject.clone()).or_insert_with(|| Vec::with_capacity(1));
        if let Some(series) = known.iter_mut().find(|series| series.entry.repeats(&entry)) {
            series.entry.count += 1;
            series.entry.last = entry.last;
            if !series.entry.count.is_power_of_two() {
                return Vec::new();
            }
            series.written = series.entry.count;
            return vec![series.entry.clone()];
        }
        // A request is a cause of its own: what follows is news, though it be the same.
        let ended = if entry.kind == Kind::Request {
            std::mem::take(known)
        } else if known.len() >= SERIES_MAX {
            vec![known.remove(0)]
        } else {
            Vec::new()
        };
        known.push(Series { entry: entry.clone(), written: 1 });
        ended.into_iter().filter_map(Series::unwritten).chain([entry]).collect()
    }

    /// The counts that are not written yet.
    pub(super) fn unwritten(&self) -> Vec<Entry> {
        let series = self.0.values().flatten();
        series.filter(|series| series.written < series.entry.count).map(|series| series.entry.clone()).collect()
    }

    /// The counts that are not written yet; all series end.
    pub(super) fn finish(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.0).into_values().flatten().filter_map(Series::unwritten).collect()
    }
}

impl Series {
    fn unwritten(self) -> Option<Entry> {
        (self.written < self.entry.count).then_some(self.entry)
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
