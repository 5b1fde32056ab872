//! What deploy/ asks of the metrics is what the daemon really exports: names and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::running::{Running, eventually};
use crate::world::World;

/// Metrics by name with the labels that they carry.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// The files that ask for metrics.
const ASKING: [&str; 3] = [
    "deploy/prometheus/alerts.yaml",
    "deploy/prometheus/alerts.test.yaml",
    "deploy/grafana/apinizer-gitops.json",
];

const PREFIX: &str = "apinizer_gitops_";

/// What `/metrics` has, a histogram under each of its three names.
fn exported(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
        let labels =
            labels.split("\",").filter_map(|label| label.split_once('=')).map(|(key, _)| key);
        metrics.entry(name.to_owned()).or_default().extend(labels.map(|key| key.trim().to_owned()));
    }
    metrics
}

/// The names of a text with the labels of the braces behind them.
fn asked(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(PREFIX) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = text[at..].find(|c| !is_name(c)).map_or(text.len(), |end| at + end);
        let name = text[at..end].to_owned();
        let labels = text[end..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = labels.map_or("", |(inside, _)| inside).split(',');
        let labels = labels.filter_map(|label| label.split_once(['=', '!'])).map(|(key, _)| key);
        found.push((name, labels.map(|key| key.trim().to_owned()).collect()));
    }
    found
}

#[test]
fn dashboards_and_alerts_ask_for_metrics_that_are_there() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.commit_email("a", "port: 1\n");
    let daemon = Running::start(&world, &[]);
    eventually("applied", || world.names() == ["a"]);
    world.edit("a", "port", json!(9));
    eventually("drift is counted", || {
        let text = daemon.get(&world, "/metrics").1;
        text.contains("apinizer_gitops_drift_detected_total{target=\"default\"} 1")
            && text.contains("apinizer_gitops_commit_to_applied_seconds_count")
    });
    let metrics = exported(&daemon.get(&world, "/metrics").1);
    let mut used = BTreeSet::new();
    for file in ASKING {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(path).unwrap();
        for (name, labels) in asked(&text) {
            let Some(known) = metrics.get(&name) else {
                panic!("{file} asks for {name}, which is none of {:?}", metrics.keys());
            };
            for label in labels {
                // Prometheus adds these when it collects them.
                let is_there = known.contains(&label) || ["job", "instance"].contains(&&*label);
                assert!(is_there, "{file} asks for {name} with {label}; it has {known:?}");
            }
            used.insert(name);
        }
    }
    // The other way round: whatever is exported is looked at by somebody.
    let base = |name: &str| {
        let name = name.strip_suffix("_bucket").or(name.strip_suffix("_sum")).unwrap_or(name);
        name.strip_suffix("_count").unwrap_or(name).to_owned()
    };
    let used: BTreeSet<String> = used.iter().map(|name| base(name)).collect();
    let ours = metrics.keys().filter(|name| name.starts_with(PREFIX)).map(|name| base(name));
    let unused: BTreeSet<String> = ours.filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "nobody looks at {unused:?}");
}
