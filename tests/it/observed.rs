//! The metrics that deploy/ asks for are those that the daemon exports: names and labels.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::metrics::{base_name, exported};
use crate::running::{Running, eventually};
use crate::world::World;

/// The files that ask for metrics.
const ASKING: [&str; 3] = [
    "deploy/prometheus/alerts.yaml",
    "deploy/prometheus/alerts.test.yaml",
    "deploy/grafana/apinizer-gitops.json",
];

const PREFIX: &str = "apinizer_gitops_";

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
    let used: BTreeSet<&str> = used.iter().map(|name| base_name(name)).collect();
    let ours = metrics.keys().filter(|name| name.starts_with(PREFIX)).map(|name| base_name(name));
    let unused: BTreeSet<&str> = ours.filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "nobody looks at {unused:?}");
}
