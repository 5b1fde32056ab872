//! Traces over OTLP, received by something that stands for a collector.

use crate::receiver::Received;
use crate::world::{CANARY, World};

#[test]
fn a_reconcile_and_its_calls_are_spans_without_a_secret() {
    let mut world = World::new();
    let received = Received::start(&world);
    world.commit_email("a", "");
    world.env.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("{}/", received.address));
    world.run(&["run", "--once"]).code(0);
    let got = received.all();
    assert!(!got.is_empty() && got.iter().all(|(path, _)| path == "/v1/traces"));
    let sent: Vec<u8> = got.iter().flat_map(|(_, body)| body.clone()).collect();
    let has = |text: &str| sent.windows(text.len()).any(|part| part == text.as_bytes());
    for text in ["apinizer-gitops", "reconcile", "API call", "POST", "default"] {
        assert!(has(text), "no {text}");
    }
    assert!(!has(CANARY) && !has("a-token-for-tests"));
}

#[test]
fn a_collector_that_is_down_is_no_failure() {
    let mut world = World::new();
    world.commit_email("a", "");
    world.env.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "http://127.0.0.1:1".to_owned());
    world.run(&["apply", "--yes"]).code(0);
    assert_eq!(world.names(), ["a"]);
}
