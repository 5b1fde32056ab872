//! The metrics: what happened is counted in a recorder, and how the targets stand is drawn from the board when
//! somebody asks. The recorder has no counters of fractions, so the text of the metrics of the process is
//! made here too.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use strum::VariantArray as _;
use tokio_util::sync::CancellationToken;

use crate::daemon::since_1970;
use crate::daemon::status::{Status, TargetState, TargetStatus};
use crate::plan::{ConnectionState, Entry};

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
pub(crate) fn render(handle: &PrometheusHandle, status: &Status) -> String {
    let targets: Vec<&str> = status.targets.iter().map(|one| one.key.name.as_str()).collect();
    current(&handle.render(), &targets) + &gauges(status) + &process_text(status.started)
}

fn current(text: &str, targets: &[&str]) -> String {
    let known: Vec<String> = targets.iter().map(|name| escaped(name)).collect();
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

/// A text as the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The values of a gauge by the labels beside `target`.
type Values = Vec<(String, f64)>;

/// A gauge of each target: its name, its description and what gives its values.
type TargetGauge = (&'static str, &'static str, fn(&TargetStatus) -> Values);

const GAUGES: [TargetGauge; 6] = [
    ("apinizer_gitops_connections", "Connections by how they stand", |target| {
        let values = |state: &ConnectionState| {
            let label = format!(",state=\"{}\"", state.into_str());
            counted(target, label, |entry| entry.state == *state)
        };
        ConnectionState::VARIANTS.iter().flat_map(values).collect()
    }),
    ("apinizer_gitops_deletes_held", "Deletes and replaces that a rule holds back", |target| {
        counted(target, String::new(), |entry| {
            entry.state == ConnectionState::Held && entry.deletes()
        })
    }),
    ("apinizer_gitops_not_converging", NOT_CONVERGING, |target| {
        counted(target, String::new(), |entry| entry.state == ConnectionState::NotConverging)
    }),
    ("apinizer_gitops_rule_matches", RULE_MATCHES, |target| {
        let value = |((rule, effect), count): (&(String, &str), &usize)| {
            (format!(",rule=\"{}\",effect=\"{effect}\"", escaped(rule)), float(*count as u64))
        };
        target.trouble.rule_matches.iter().map(value).collect()
    }),
    ("apinizer_gitops_suspended", "Whether the target is suspended", |target| {
        alone(f64::from(u8::from(target.suspended)))
    }),
    ("apinizer_gitops_waits_since_timestamp_seconds", WAITS_SINCE, |target| {
        alone(target.trouble.wait.as_ref().map_or(0.0, |(_, since)| since_1970(*since)))
    }),
];
const NOT_CONVERGING: &str = "Connections that do not stay as they are written";
const RULE_MATCHES: &str = "Documents and changes that a rule of the user matches";
const WAITS_SINCE: &str =
    "Since when the target waits for the one that it comes after; 0: it does not";

/// A value without a label of its own.
fn alone(value: f64) -> Values {
    vec![(String::new(), value)]
}

/// How many connections are so, once a reconcile has looked at them: a failure is no zero.
fn counted(target: &TargetStatus, label: String, is_counted: impl Fn(&Entry) -> bool) -> Values {
    let count = || target.connections.iter().filter(|entry| is_counted(entry)).count();
    target.trouble.looked_at.then(|| (label, float(count() as u64))).into_iter().collect()
}

/// The gauges of the targets, as text. A target has them once a reconcile of it has ended, and on the replica
/// that acts for it.
fn gauges(status: &Status) -> String {
    let mut text = String::new();
    for (name, help, values) in GAUGES {
        let is_known = |target: &&Arc<TargetStatus>| {
            target.last_reconcile.is_some() && target.state != TargetState::Standby
        };
        let values = status.targets.iter().filter(is_known).flat_map(|target| {
            let name = escaped(&target.key.name);
            let labelled = move |(labels, value)| (format!("{{target=\"{name}\"{labels}}}"), value);
            values(target).into_iter().map(labelled)
        });
        add(&mut text, (name, "gauge", help), values);
    }
    text
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

/// The metrics of the process, as text; those that only `/proc` tells are left out without it.
fn process_text(started: Timestamp) -> String {
    let mut text = String::new();
    let cpu = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    add(&mut text, CPU, alone(cpu.as_secs_f64()));
    // The second number is that of the pages in memory.
    let pages = fs::read_to_string("/proc/self/statm").ok();
    if let Some(pages) = pages.and_then(|all| all.split(' ').nth(1)?.parse::<u64>().ok()) {
        add(&mut text, MEMORY, alone(float(pages * page_size() as u64)));
    }
    add(&mut text, STARTED, alone(since_1970(started)));
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The folder that is read is one of them.
        add(&mut text, OPEN, alone(float(open.count().saturating_sub(1) as u64)));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        add(&mut text, MOST_OPEN, alone(float(most)));
    }
    text
}

/// Adds a metric with its values by their labels.
fn add(
    text: &mut String,
    (name, kind, help): Metric,
    values: impl IntoIterator<Item = (String, f64)>,
) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in values {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
    text.push('\n');
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 bytes, files or connections are beyond any process"
)]
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
    fn a_target_of_another_replica_has_no_gauges() {
        let (state, last_reconcile) = (TargetState::Standby, Some(Timestamp::now()));
        let target = TargetStatus { state, last_reconcile, ..TargetStatus::default() };
        let status = Status { targets: vec![Arc::new(target)], ..Status::default() };
        assert!(!gauges(&status).contains("{target="), "{}", gauges(&status));
    }

    #[test]
    fn a_target_that_was_never_looked_at_has_no_counts_of_connections() {
        let target =
            TargetStatus { last_reconcile: Some(Timestamp::now()), ..TargetStatus::default() };
        let status = Status { targets: vec![Arc::new(target)], ..Status::default() };
        let gauges = gauges(&status);
        assert!(gauges.contains("_suspended{target=") && !gauges.contains("_held{"), "{gauges}");
    }
}
