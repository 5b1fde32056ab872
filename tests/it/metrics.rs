//! The metrics: names, labels and what they count.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::faults::Fault;
use crate::running::{Running, eventually};
use crate::world::{CHECKOUT, World, one_target};

/// Metrics by name with the labels that they carry.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// The metrics of `/metrics`, a histogram under each of its three names.
pub(crate) fn exported(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let labels = rest.rsplit_once('}').map_or("", |(labels, _)| labels);
        let labels = labels.split("\",").filter_map(|label| label.split_once('='));
        metrics.entry(name.to_owned()).or_default().extend(labels.map(|(key, _)| key.to_owned()));
    }
    metrics
}

/// The name of a metric without what a histogram adds to it.
pub(crate) fn base_name(name: &str) -> &str {
    let ends = ["_bucket", "_sum", "_count"];
    ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[test]
fn names_and_labels_are_those_that_are_promised() {
    let world = World::new();
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    eventually("created", || daemon.get(&world, "/readyz").0 == 200);
    let text = daemon.get(&world, "/metrics").1;
    let promised: Metrics = [
        ("reconciles_total", &["target", "outcome"][..]),
        ("reconcile_duration_seconds", &["target"]),
        ("last_success_timestamp_seconds", &["target"]),
        ("commit_to_applied_seconds", &["target"]),
        ("connections", &["target", "state"]),
        ("api_requests_total", &["target", "method", "status"]),
        ("api_request_duration_seconds", &["target", "method"]),
        ("drift_detected_total", &["target"]),
        ("deletes_held", &["target"]),
        ("not_converging", &["target"]),
        ("suspended", &["target"]),
        ("waits_since_timestamp_seconds", &["target"]),
        ("source_last_fetch_timestamp_seconds", &[]),
        ("source_fetch_failures_total", &[]),
        ("build_info", &["version"]),
    ]
    .into_iter()
    .map(|(name, labels)| {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        (format!("apinizer_gitops_{name}"), labels)
    })
    .collect();
    let mut found = Metrics::new();
    let (process, own): (Metrics, Metrics) =
        exported(&text).into_iter().partition(|(name, _)| name.starts_with("process_"));
    let process: Vec<String> =
        process.into_keys().map(|name| name.replace("process_", "")).collect();
    let all =
        ["cpu_seconds_total", "max_fds", "open_fds", "resident_memory_bytes", "start_time_seconds"];
    assert_eq!(process, all);
    for (name, labels) in own {
        let labels = labels.into_iter().filter(|label| label != "le");
        found.entry(base_name(&name).to_owned()).or_default().extend(labels);
    }
    assert_eq!(found, promised);
    lint(&text);
}

/// The check by Prometheus itself.
fn lint(text: &str) {
    let checking = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut checking) = checking else {
        let notice = b"notice: promtool is not installed; the metrics were NOT checked by it\n";
        std::io::stderr().write_all(notice).unwrap();
        return;
    };
    checking.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = checking.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn drift_is_counted_when_it_comes_up_and_a_commit_when_it_is_applied() {
    let mut world = World::new();
    world.target("drift: report\nresync: 1s");
    world.write_email("a", "port: 1\n");
    world.write_email("b", "port: 1\n");
    world.commit("two");
    let daemon = Running::start(&world, &[]);
    let metrics = || daemon.get(&world, "/metrics").1;
    let drift = || value(&metrics(), "apinizer_gitops_drift_detected_total{target=\"default\"}");
    let applied =
        || value(&metrics(), "apinizer_gitops_commit_to_applied_seconds_count{target=\"default\"}");
    let resyncs = || daemon.status(&world)["targets"][0]["history"].as_array().unwrap().len();
    eventually("applied", || applied() == 1.0);
    assert_eq!(drift(), 0.0);
    world.edit("a", "port", json!(2));
    eventually("drift", || drift() == 1.0);
    let before = resyncs();
    eventually("more resyncs", || resyncs() >= before + 3);
    assert_eq!([drift(), applied()], [1.0, 1.0]);
    world.edit("b", "port", json!(2));
    eventually("drift of another", || drift() == 2.0);
}

#[test]
fn a_target_that_the_config_no_longer_has_is_gone() {
    let mut world = World::new();
    world.alter_projects(&["demo", "second"]);
    world.commit_email("a", "");
    let target = |name: &str, project: &str| {
        format!(
            "  - {{name: {name}, url: '{{url}}', project: {project}, token: '${{env:APINIZER_TOKEN}}'}}\n"
        )
    };
    let both = [target("one", "demo"), target("two", "second")].concat();
    world.config(&format!("source: {{path: '{{repo}}'}}\ntargets:\n{both}"));
    let daemon = Running::start(&world, &[]);
    let has = |name: &str| daemon.get(&world, "/metrics").1.contains(&format!("target=\"{name}\""));
    eventually("both", || has("one") && has("two"));
    let one = target("one", "demo");
    world.config(&format!("source: {{path: '{{repo}}'}}\ntargets:\n{one}"));
    daemon.signal("-HUP");
    let has = |name: &str| daemon.get(&world, "/metrics").1.contains(&format!("target=\"{name}\""));
    eventually("one", || has("one") && !has("two"));
}

#[test]
fn what_a_reload_takes_away_is_measured_no_more() {
    let mut world = World::new();
    let down = World::new();
    down.control().fail_next(None, "type=", Fault::Error, usize::MAX);
    let rules = |effect: &str| {
        format!(
            "rules:\n  - {{name: r, when: connection.name == 'a', {effect}: why}}\n  - {{name: gone, when: 'true', warn: why}}\n"
        )
    };
    let target = one_target(CHECKOUT, "");
    world.config(&(target.clone() + &rules("hold")));
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    let has = |world: &World, name: &str, labels: &str| {
        let text = daemon.get(world, "/metrics").1;
        let mut lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        lines.any(|line| !line.ends_with(" 0"))
    };
    let matches = "apinizer_gitops_rule_matches";
    eventually("both match", || {
        has(&world, matches, "\"hold\"") && has(&world, matches, "\"gone\"")
    });
    let without =
        rules("warn").lines().take(2).map(|line| line.to_owned() + "\n").collect::<String>();
    world.config(&(target.clone() + &without));
    daemon.signal("-HUP");
    eventually("one warns", || has(&world, matches, "\"warn\""));
    eventually("it is made", || has(&world, "apinizer_gitops_connections", "\"in_sync\""));
    assert!(!has(&world, matches, "\"hold\"") && !has(&world, matches, "\"gone\""));
    world.config(&(target.replace("{url}", &down.url()) + &without));
    daemon.signal("-HUP");
    eventually("it is elsewhere", || {
        daemon.logs().matches("the config was read again").count() == 2
    });
    assert!(!has(&world, "apinizer_gitops_connections", "target"));
}
