//! The metrics of the process that Prometheus' own libraries have, read from `/proc`. The recorder
//! has no counters of fractions, so the text is made here.

use std::fmt::Write as _;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// A metric: its name, kind and description.
type Metric = (&'static str, &'static str, &'static str);

const CPU: Metric =
    ("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds");
const MEMORY: Metric = ("process_resident_memory_bytes", "gauge", "Resident memory size in bytes");
const STARTED: Metric = (
    "process_start_time_seconds",
    "gauge",
    "Start time of the process since unix epoch in seconds",
);
const OPEN: Metric = ("process_open_fds", "gauge", "Number of open file descriptors");
const MOST_OPEN: Metric = ("process_max_fds", "gauge", "Maximum number of open file descriptors");

/// The metrics as they are scraped; none where the system has no `/proc`.
pub(super) fn text() -> String {
    let mut text = String::new();
    if let (Ok(stat), Ok(system)) =
        (fs::read_to_string("/proc/self/stat"), fs::read_to_string("/proc/stat"))
    {
        let found = of_stat(&stat, &system).unwrap_or_default();
        found.into_iter().for_each(|(metric, value)| add(&mut text, metric, value));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The folder that is read is one of them.
        add(&mut text, OPEN, float(open.count().saturating_sub(1) as u64));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        add(&mut text, MOST_OPEN, float(most));
    }
    text
}

/// The metrics that `/proc/self/stat` tells; the start is told by it in ticks since the system's.
fn of_stat(stat: &str, system: &str) -> Option<Vec<(Metric, f64)>> {
    // The name of the program is in parentheses and may hold blanks.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim();
    let ticks = float(clock_ticks_per_second());
    let cpu = float(number(11)? + number(12)?) / ticks;
    let started = float(booted.parse().ok()?) + float(number(19)?) / ticks;
    let memory = float(number(21)? * page_size() as u64);
    Some(vec![(CPU, cpu), (MEMORY, memory), (STARTED, started)])
}

fn add(text: &mut String, (name, kind, help): Metric, value: f64) {
    // Writing to a string cannot fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
}

#[expect(clippy::cast_precision_loss, reason = "2^53 bytes or ticks are beyond any process")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_shifts_nothing() {
        let stat = format!("7 (a) b) S {} 250 50 0 0 20 0 1 0 700 9 3 0", "0 ".repeat(10).trim());
        let found = of_stat(&stat, "cpu 1\nbtime 1000\n").unwrap();
        let ticks = float(clock_ticks_per_second());
        let values: Vec<f64> = found.iter().map(|(_, value)| *value).collect();
        let memory = float(3 * page_size() as u64);
        assert_eq!(values, [300.0 / ticks, memory, 1000.0 + 700.0 / ticks]);
        assert_eq!(of_stat("", ""), None);
    }
}
