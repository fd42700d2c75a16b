//! Two samples as rows with rates, and rows as a table.

use serde_json::json;

use super::sample::{ProcessUsage, Sample, WorkerUsage};
use crate::ctl::answer::ProcessInfo;
use crate::ctl::name;

/// One process, and what it used between two samples.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ctl) struct Row {
    /// `group:process`, or just the name.
    pub(super) name: String,
    pub(super) state: String,
    uptime: String,
    /// Of one processor; `None`: it has not run for two samples.
    pub(super) cpu: Option<f64>,
    usage: ProcessUsage,
    workers: Vec<(WorkerUsage, Option<f64>)>,
}

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ctl) enum Order {
    Cpu,
    Memory,
    Restarts,
    Name,
}

impl Order {
    pub(in crate::ctl) const ALL: [Order; 4] = [Order::Cpu, Order::Memory, Order::Restarts, Order::Name];

    /// As it is typed and shown.
    pub(in crate::ctl) fn word(self) -> &'static str {
        match self {
            Order::Cpu => "cpu",
            Order::Memory => "memory",
            Order::Restarts => "restarts",
            Order::Name => "name",
        }
    }
}

/// The rows of what was sampled, in this order.
pub(in crate::ctl) fn rows(before: Option<&Sample>, now: &Sample, known: &[ProcessInfo], order: Order) -> Vec<Row> {
    let mut rows: Vec<Row> = now.processes.iter().map(|usage| row(before, now, usage, known)).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    match order {
        Order::Name => {}
        Order::Cpu => rows.sort_by(|a, b| b.cpu.unwrap_or(-1.0).total_cmp(&a.cpu.unwrap_or(-1.0))),
        Order::Memory => rows.sort_by_key(|row| std::cmp::Reverse(row.usage.memory_kb)),
        Order::Restarts => rows.sort_by_key(|row| std::cmp::Reverse(row.usage.restarts)),
    }
    rows
}

fn row(before: Option<&Sample>, now: &Sample, usage: &ProcessUsage, known: &[ProcessInfo]) -> Row {
    let info = known.iter().find(|info| info.group == usage.group && info.name == usage.name);
    let same = |old: &&ProcessUsage| old.group == usage.group && old.name == usage.name && old.pid == usage.pid;
    let former = before.and_then(|before| before.processes.iter().find(same)).filter(|_| usage.pid != 0);
    let past = before.map_or(0, |before| now.time_ms - before.time_ms);
    let workers = usage.workers.iter().map(|worker| {
        let old = former.and_then(|old| old.workers.iter().find(|old| old.pid == worker.pid));
        (worker.clone(), old.and_then(|old| percent(worker.cpu_ms - old.cpu_ms, past)))
    });
    let uptime = info.and_then(|info| info.description.split_once(", uptime ")).map_or("", |(_, uptime)| uptime);
    Row {
        name: name::join(&usage.group, &usage.name),
        state: info.map_or("UNKNOWN", |info| info.statename.as_str()).to_owned(),
        uptime: uptime.to_owned(),
        cpu: former.and_then(|old| percent(usage.cpu_ms - old.cpu_ms, past)),
        usage: usage.clone(),
        workers: workers.collect(),
    }
}

/// A child that ended takes what it used with it, unless its parent collects it: no rate is below zero.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of some seconds")]
fn percent(used_ms: i64, past_ms: i64) -> Option<f64> {
    (past_ms > 0).then(|| used_ms.max(0) as f64 * 100.0 / past_ms as f64)
}

impl Row {
    pub(super) fn cells(&self) -> [String; 9] {
        let usage = &self.usage;
        let runs = usage.pid != 0;
        let shown = |text: String| if runs { text } else { String::new() };
        let note = match usage.server.as_str() {
            "" => String::new(),
            _ if !usage.trouble.is_empty() => usage.trouble.clone(),
            server => format!("{server}, workers: {}", usage.workers.len()),
        };
        [
            self.name.clone(),
            self.state.clone(),
            shown(usage.pid.to_string()),
            cpu(self.cpu),
            shown(memory(usage.memory_kb)),
            shown(usage.processes.to_string()),
            usage.restarts.to_string(),
            self.uptime.clone(),
            note,
        ]
    }

    pub(super) fn worker_cells(&self) -> impl Iterator<Item = [String; 9]> + '_ {
        self.workers.iter().map(|(worker, rate)| {
            let stats = worker.stats.as_ref();
            let label = stats.map_or("  worker".to_owned(), |stats| format!("  worker {}", stats.id));
            let note = stats.map_or(String::new(), |stats| {
                let failed =
                    if stats.exceptions == 0 { String::new() } else { format!(", {} raised", stats.exceptions) };
                let now = if stats.in_request == 0 { String::new() } else { format!(", {} now", stats.in_request) };
                let (running, average) = (span(stats.running_ms * 1000), span(stats.average_us));
                format!("{} requests{now}{failed}, {running} running, {average} each", stats.requests)
            });
            let word = stats.map_or(String::new(), |stats| stats.state.clone());
            let pid = if worker.pid == 0 { String::new() } else { worker.pid.to_string() };
            let empty = String::new;
            [label, word, pid, cpu(*rate), memory(worker.memory_kb), empty(), empty(), empty(), note]
        })
    }

    pub(in crate::ctl) fn json(&self) -> serde_json::Value {
        let usage = &self.usage;
        let workers: Vec<_> = self
            .workers
            .iter()
            .map(|(worker, rate)| {
                let stats = worker.stats.as_ref();
                json!({
                    "id": stats.map(|stats| stats.id),
                    "pid": Some(worker.pid).filter(|pid| *pid != 0),
                    "cpu_percent": rate,
                    "cpu_ms": worker.cpu_ms,
                    "memory_kb": worker.memory_kb,
                    "state": stats.map(|stats| &stats.state),
                    "requests": stats.map(|stats| stats.requests),
                    "exceptions": stats.map(|stats| stats.exceptions),
                    "in_request": stats.map(|stats| stats.in_request),
                    "running_ms": stats.map(|stats| stats.running_ms),
                    "average_us": stats.map(|stats| stats.average_us),
                })
            })
            .collect();
        json!({
            "name": self.name,
            "group": usage.group,
            "process": usage.name,
            "state": self.state,
            "pid": Some(usage.pid).filter(|pid| *pid != 0),
            "cpu_percent": self.cpu,
            "cpu_ms": usage.cpu_ms,
            "memory_kb": usage.memory_kb,
            "memory_kind": usage.memory_kind,
            "processes": usage.processes,
            "restarts": usage.restarts,
            "server": Some(&usage.server).filter(|server| !server.is_empty()),
            "workers": workers,
            "trouble": Some(&usage.trouble).filter(|trouble| !trouble.is_empty()),
        })
    }

    pub(super) fn memory_kb(&self) -> i64 {
        self.usage.memory_kb
    }
}

const HEAD: [&str; 9] = ["PROCESS", "STATE", "PID", "CPU%", "MEMORY", "PROCS", "RESTARTS", "UPTIME", "NOTE"];

/// Columns whose numbers stand below each other.
const RIGHT: [bool; 9] = [false, false, true, true, true, true, true, true, false];

/// The head, and the lines of all rows; the second half of each pair is the row a line belongs to.
pub(super) fn lines(rows: &[Row]) -> (String, Vec<(String, usize)>) {
    let mut cells: Vec<([String; 9], usize)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        cells.push((row.cells(), at));
        cells.extend(row.worker_cells().map(|worker| (worker, at)));
    }
    let head = HEAD.map(str::to_owned);
    let mut widths = [0; 9];
    for cells in std::iter::once(&head).chain(cells.iter().map(|(cells, _)| cells)) {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; 9]| {
        let mut line = String::new();
        for ((cell, width), right) in cells.iter().zip(widths).zip(RIGHT) {
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            let parts = if right { [gap.as_str(), cell.as_str(), "  "] } else { [cell.as_str(), gap.as_str(), "  "] };
            line.extend(parts);
        }
        line.trim_end().to_owned()
    };
    (line(&head), cells.iter().map(|(cells, at)| (line(cells), *at)).collect())
}

/// One table, each line ended by a line feed but for the last.
pub(in crate::ctl) fn table(rows: &[Row]) -> String {
    let (head, lines) = lines(rows);
    std::iter::once(head).chain(lines.into_iter().map(|(line, _)| line)).collect::<Vec<_>>().join("\n")
}

fn cpu(rate: Option<f64>) -> String {
    rate.map_or(String::new(), |rate| format!("{rate:.1}"))
}

/// In the largest unit of which there is one.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit behind the point")]
pub(super) fn memory(kilobytes: i64) -> String {
    match kilobytes {
        ..1024 => format!("{kilobytes}K"),
        1024..1_048_576 => format!("{:.1}M", kilobytes as f64 / 1024.0),
        _ => format!("{:.1}G", kilobytes as f64 / 1_048_576.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit behind the point")]
fn span(microseconds: i64) -> String {
    match microseconds {
        ..1_000_000 => format!("{:.1} ms", microseconds as f64 / 1000.0),
        _ => format!("{:.1} s", microseconds as f64 / 1_000_000.0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::sample::WorkerStats;
    use super::*;
    use crate::ctl::fake::process;

    pub(in crate::ctl::top) fn usage(name: &str, pid: i64, cpu_ms: i64, memory_kb: i64) -> ProcessUsage {
        ProcessUsage {
            group: "g".to_owned(),
            name: name.to_owned(),
            pid,
            cpu_ms,
            memory_kb,
            memory_kind: "pss".to_owned(),
            processes: 1,
            ..ProcessUsage::default()
        }
    }

    pub(in crate::ctl::top) fn sample(time_ms: i64, processes: Vec<ProcessUsage>) -> Sample {
        Sample { time_ms, processes }
    }

    pub(in crate::ctl::top) fn known(names: &[&str]) -> Vec<ProcessInfo> {
        let running = |name: &&str| {
            let mut info = process("g", name, "RUNNING");
            info.description = "pid 7, uptime 0:00:09".to_owned();
            info
        };
        names.iter().map(running).collect()
    }

    fn web(cpu_ms: i64) -> ProcessUsage {
        let stats = WorkerStats {
            id: 1,
            state: "busy".to_owned(),
            requests: 12,
            exceptions: 0,
            in_request: 1,
            running_ms: 1500,
            average_us: 4000,
        };
        let worker = WorkerUsage { pid: 8, cpu_ms, memory_kb: 2048, stats: Some(stats) };
        let server = "uwsgi".to_owned();
        ProcessUsage { server, workers: vec![worker], restarts: 3, ..usage("web", 7, cpu_ms, 3_000_000) }
    }

    #[test]
    fn rates_are_between_two_samples_of_the_same_child() {
        let before = sample(1000, vec![web(100), usage("a", 9, 50, 10), usage("b", 10, 50, 10)]);
        let now = sample(3000, vec![web(1100), usage("a", 11, 60, 10), usage("b", 10, 40, 10), usage("c", 0, 0, 0)]);
        let rows = rows(Some(&before), &now, &known(&["web", "a", "b"]), Order::Cpu);
        let rates: Vec<(&str, Option<f64>)> = rows.iter().map(|row| (row.name.as_str(), row.cpu)).collect();
        assert_eq!(rates, [("g:web", Some(50.0)), ("g:b", Some(0.0)), ("g:a", None), ("g:c", None)]);
    }

    #[test]
    fn a_table_has_a_line_for_each_process_and_each_worker() {
        let before = sample(1000, vec![web(100)]);
        let now = sample(3000, vec![web(1100), usage("handler", 0, 0, 0)]);
        let rows = rows(Some(&before), &now, &known(&["web"]), Order::Memory);
        assert_eq!(
            table(&rows),
            "PROCESS     STATE    PID  CPU%  MEMORY  PROCS  RESTARTS   UPTIME  NOTE\n\
             g:web       RUNNING    7  50.0    2.9G      1         3  0:00:09  uwsgi, workers: 1\n  \
             worker 1  busy       8  50.0    2.0M                            12 requests, 1 now, 1.5 s running, 4.0 ms each\n\
             g:handler   UNKNOWN                                   0"
        );
    }

    #[test]
    fn each_order_has_its_first() {
        let mut restarted = usage("a", 1, 0, 1);
        restarted.restarts = 9;
        let before = sample(0, vec![restarted.clone(), usage("b", 2, 0, 9), usage("c", 3, 0, 1)]);
        let now = sample(1000, vec![restarted, usage("b", 2, 0, 9), usage("c", 3, 900, 1)]);
        for (order, first) in
            [(Order::Cpu, "g:c"), (Order::Memory, "g:b"), (Order::Restarts, "g:a"), (Order::Name, "g:a")]
        {
            assert_eq!(rows(Some(&before), &now, &[], order)[0].name, first, "{order:?}");
        }
    }
}
