//! The table of `docs/states.md`, read from the document itself.

use std::collections::BTreeSet;

use galaxyd::engine::ProcessState;

const DOCUMENT: &str = include_str!("../../docs/states.md");

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) from: String,
    pub(crate) input: String,
    pub(crate) case: String,
    pub(crate) announced: Vec<ProcessState>,
    pub(crate) to: String,
    pub(crate) done: String,
}

pub(crate) fn rows() -> Vec<Row> {
    let cells = DOCUMENT.lines().filter(|line| line.starts_with("| ")).map(cells);
    let rows: Vec<Row> = cells
        .filter(|cells| cells.first().is_some_and(|from| from != "from"))
        .map(|cells| {
            let [from, input, case, announced, to, done] =
                <[String; 6]>::try_from(cells).expect("a row of the table has six cells");
            let announced = announced.split(", ").filter(|name| !name.is_empty()).map(state_named).collect();
            Row { from, input, case, announced, to, done }
        })
        .collect();
    assert!(rows.len() > 30, "docs/states.md has no table any more");
    rows
}

/// Every transition that the table lets be announced.
pub(crate) fn transitions() -> BTreeSet<(ProcessState, ProcessState)> {
    let mut all = BTreeSet::new();
    for row in rows() {
        let mut from = plain(&row.from);
        for to in row.announced {
            all.insert((from, to));
            from = to;
        }
        assert_eq!(from, plain(&row.to), "a row ends where its last announcement leads");
    }
    all
}

/// The state as it is announced: without the remark in brackets.
pub(crate) fn plain(name: &str) -> ProcessState {
    state_named(name.split(" (").next().unwrap_or(name))
}

fn state_named(name: &str) -> ProcessState {
    use ProcessState as P;
    [P::Stopped, P::Starting, P::Running, P::Backoff, P::Stopping, P::Exited, P::Fatal, P::Unknown]
        .into_iter()
        .find(|state| state.name() == name)
        .unwrap_or_else(|| panic!("`{name}` is no state"))
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(|cell| cell.trim().to_owned()).collect()
}
