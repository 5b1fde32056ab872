//! Lost answers and failing states: decided by reading, nothing sent that cannot be noted.

use apinizer_gitops::sandbox::Fault;
use reqwest::Method;
use serde_json::json;

use crate::world::{CANARY, World, email};

#[test]
fn a_lost_answer_makes_no_duplicate_and_no_false_error() {
    for fault in [Fault::Lost, Fault::Truncated, Fault::LateError, Fault::LateHtml] {
        let world = World::new();
        world.commit_email("anchor", "");
        world.control().fail_next(Some(Method::POST), "/a/", fault.clone(), 1);
        world.commit_email("a", "");
        world.apply().code(0);
        world.control().fail_next(Some(Method::PUT), "/a/", fault.clone(), 1);
        world.write("connections/a.yaml", &email("a", "port: 26\n"));
        world.commit("move the port");
        world.apply().code(0);
        assert_eq!(world.live("a")["port"], json!(26), "{fault:?}");
        assert_eq!(world.live("a")["password"], json!(CANARY), "{fault:?}");
        world.control().fail_next(Some(Method::DELETE), "/a/", fault.clone(), 1);
        world.remove("connections/a.yaml");
        world.commit("remove a");
        world.apply().code(0);
        assert_eq!(world.names(), ["anchor"], "{fault:?}");
    }
}

#[test]
fn nothing_is_sent_that_cannot_be_noted() {
    let world = World::new();
    world.commit_email("a", "");
    std::fs::write(world.state_dir(), "a file in the place of the folder").unwrap();
    world.apply().code(1);
    assert!(world.writes().is_empty());
}
