//! A config that is read again while a target is busy.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use crate::faults::Moment;
use crate::running::{Running, eventually};
use crate::world::{CHECKOUT, World, one_target, refusal};

#[test]
fn a_reload_waits_for_no_target_that_hangs() {
    let mut world = World::new();
    let other = World::new();
    let target = |name: &str, url: &str, more: &str| {
        format!(
            "  - {{name: {name}, url: '{url}', project: demo, token: '${{env:APINIZER_TOKEN}}'{more}}}\n"
        )
    };
    let config = |more: &str| {
        let first = target("hangs", &other.url(), "");
        let second = target("well", "{url}", more);
        format!("source: {{{CHECKOUT}}}\ntargets:\n{first}{second}")
    };
    world.config(&config(""));
    world.commit_email("a", "");
    let gate = other.control().gate(Some(Method::GET), "type=email", Moment::Before);
    let daemon = Running::start(&world, &[]);
    world.block_on(async { gate.wait_for(1).await });
    eventually("the other is made", || world.names() == ["a"]);
    world.config(&config(", drift: report"));
    daemon.signal("-HUP");
    world.commit_email("b", "");
    eventually("the other goes on", || world.names() == ["a", "b"]);
    assert!(!daemon.logs().contains("are left"), "it waited for the one that hangs");
    gate.open();
    eventually("and so does this one", || other.names() == ["a", "b"]);
}

#[test]
fn a_pass_of_the_older_config_says_nothing_of_the_newer() {
    let mut world = World::new();
    let other = World::new();
    let elsewhere = one_target(CHECKOUT, "concurrency: 1").replace("{url}", &other.url());
    world.config(&elsewhere);
    world.commit_email("a", "");
    other.control().fail_next(Some(Method::GET), "type=email", refusal("not here"), 1);
    let gate = other.control().gate(Some(Method::GET), "type=email", Moment::Before);
    let daemon = Running::start(&world, &["-v"]);
    world.block_on(gate.wait_for(1));
    world.target("concurrency: 1");
    daemon.signal("-HUP");
    let target = || daemon.status(&world)["targets"][0].clone();
    eventually("the new target stands", || target()["state"] == json!("in_sync"));
    gate.open();
    eventually("the older one ends", || {
        other.control().calls().iter().any(|call| call.status.is_some())
    });
    std::thread::sleep(Duration::from_secs(1));
    let target = target();
    let known = target["history"].as_array().unwrap().iter().map(|one| &one["outcome"]);
    let known: Vec<_> = known.filter(|one| **one != json!("in_sync")).collect();
    assert_eq!((known, &target["error"]), (vec![&json!("applied")], &json!(null)), "{target}");
}
