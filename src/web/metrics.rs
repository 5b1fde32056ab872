//! The recorder behind `/metrics`, and the metrics of the process. Those are read from `/proc`; the
//! recorder has no counters of fractions, so their text is made here.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;

/// Seconds: of calls of a few milliseconds up to reconciles of minutes.
const BUCKETS: [f64; 13] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

/// How often samples are folded into their buckets, so that they do not pile up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of this process.
///
/// # Errors
/// There is one already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
    describe();
    metrics::gauge!("apinizer_gitops_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Keeps the histograms small until the shutdown.
pub(crate) async fn upkeep(handle: PrometheusHandle, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(UPKEEP) => handle.run_upkeep(),
        }
    }
}

/// The metrics as they are scraped, without those of targets that the config no longer has: the
/// recorder forgets nothing, and a target that is gone must not look as if it stood still.
#[must_use]
pub(crate) fn render(handle: &PrometheusHandle, targets: &[&str]) -> String {
    current(&handle.render(), targets) + &process_text()
}

fn current(text: &str, targets: &[&str]) -> String {
    let escape = |name: &&str| name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let known: Vec<String> = targets.iter().map(escape).collect();
    let is_current = |line: &&str| {
        let target = line.split_once("target=\"").filter(|_| !line.starts_with('#'));
        target.is_none_or(|(_, rest)| {
            known.iter().any(|name| {
                rest.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('"'))
            })
        })
    };
    text.lines().filter(is_current).flat_map(|line| [line, "\n"]).collect()
}

fn describe() {
    for (name, text) in [
        ("apinizer_gitops_reconciles_total", "Reconciles by how they ended"),
        ("apinizer_gitops_api_requests_total", "Calls of the Management API by answer"),
        ("apinizer_gitops_drift_detected_total", "Connections found to have drifted"),
        ("apinizer_gitops_source_fetch_failures_total", "Fetches of the source that failed"),
    ] {
        metrics::describe_counter!(name, text);
    }
    for (name, text) in [
        ("apinizer_gitops_reconcile_duration_seconds", "How long reconciles took"),
        ("apinizer_gitops_commit_to_applied_seconds", "From a commit to its being applied"),
        ("apinizer_gitops_api_request_duration_seconds", "How long calls took"),
    ] {
        metrics::describe_histogram!(name, metrics::Unit::Seconds, text);
    }
    for (name, text) in [
        ("apinizer_gitops_last_success_timestamp_seconds", "When a reconcile last succeeded"),
        ("apinizer_gitops_connections", "Connections by how they stand"),
        ("apinizer_gitops_deletes_held", "Deletes and replaces that a rule holds back"),
        ("apinizer_gitops_not_converging", "Connections that do not stay as they are written"),
        ("apinizer_gitops_rule_matches", "Documents and changes that a rule of the user matches"),
        ("apinizer_gitops_suspended", "Whether the target is suspended"),
        (
            "apinizer_gitops_waits_since_timestamp_seconds",
            "Since when the target waits for the one that it comes after; 0: it does not",
        ),
        ("apinizer_gitops_source_last_fetch_timestamp_seconds", "When the source last answered"),
        ("apinizer_gitops_build_info", "The version of this program"),
    ] {
        metrics::describe_gauge!(name, text);
    }
}

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

/// The metrics of the process, as text; without `/proc` only the most descriptors that it may open.
pub(super) fn process_text() -> String {
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
    fn targets_that_are_gone_are_left_out() {
        let text = "# TYPE a counter\na{target=\"prod\",state=\"x\"} 1\na{target=\"old\"} 2\n\
                    a{target=\"prod2\"} 3\na{state=\"x\",target=\"o\\\"dd\"} 4\nb{version=\"1\"} 5\n";
        let expected = "# TYPE a counter\na{target=\"prod\",state=\"x\"} 1\n\
                        a{state=\"x\",target=\"o\\\"dd\"} 4\nb{version=\"1\"} 5\n";
        assert_eq!(current(text, &["prod", "o\"dd"]), expected);
    }

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
