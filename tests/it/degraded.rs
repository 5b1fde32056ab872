//! Saved, but not deployed to the workers.

use apinizer_gitops::testing::sandbox::{Dialect, Options};
use apinizer_gitops::testing::state::StateFile;
use reqwest::Method;
use serde_json::json;

use crate::faults::Fault;
use crate::running::{Running, eventually};
use crate::world::{PROJECT, World, ftp, refusal};

#[test]
fn the_reason_names_where_it_failed_in_both_dialects() {
    for (dialect, place) in [(Dialect::Current, "pod "), (Dialect::Older, "environment ")] {
        let world = World::with(Options::default().in_dialect(dialect));
        world.commit_email("a", "");
        world.control().fail_next(Some(Method::POST), "/a/", Fault::Undeployed, 1);
        world.apply().code(1).says("saved but not deployed").says(place);
        let reason = world.remembered("degraded")["a"]["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("Worker did not answer"), "{reason}");
        let plan = world.plan_json(&[]);
        assert!(plan["changes"][0]["reason"].as_str().unwrap().contains(place), "{plan}");
        world.forget_calls();
        world.apply().code(0);
        assert_eq!(world.writes(), ["PUT a"]);
        assert!(world.remembered("degraded").as_object().unwrap().is_empty());
    }
}

#[test]
fn pauses_grow_from_a_minute_to_an_hour() {
    let world = World::new();
    world.commit_email("a", "");
    world.control().fail_next(None, "", Fault::Undeployed, usize::MAX);
    let pauses: Vec<i64> = (0..9)
        .map(|_| {
            world.apply().code(1);
            let written = world.remembered("owned")["a"]["last_change"].as_i64().unwrap();
            world.remembered("degraded")["a"]["next"].as_i64().unwrap() - written
        })
        .collect();
    assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
}

#[test]
fn a_degraded_delete_is_reported_and_not_sent_again() {
    let world = World::settled(&["a", "b"]);
    world.commit_without(&["a"]);
    world.control().fail_next(Some(Method::DELETE), "/a/", Fault::Undeployed, 1);
    world.apply().code(1).says("saved but not deployed");
    world.forget_calls();
    world.plan().code(0).says("the delete of `a` was saved but not deployed");
    world.apply().code(0).says("the delete of `a` was saved but not deployed");
    assert_eq!(world.writes(), [""; 0]);
    let daemon = Running::start(&world, &[]);
    eventually("shown", || daemon.status(&world)["targets"][0]["state"] == json!("degraded"));
    let connections = daemon.status(&world)["targets"][0]["connections"].clone();
    let deleted = connections.as_array().unwrap().iter().find(|one| one["name"] == json!("a"));
    let deleted = deleted.unwrap();
    assert_eq!(deleted["state"], json!("degraded"), "{connections}");
    assert_eq!(deleted["type"], json!("email"), "{connections}");
    drop(daemon);
    world.run(&["forget", "a"]).code(0);
    let plan = world.plan().code(0);
    assert!(!plan.stdout.contains("not deployed"), "{plan:?}");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_delete_that_was_not_deployed_is_forgotten_with_a_new_connection() {
    let world = World::settled(&["a", "b"]);
    world.commit_without(&["a"]);
    world.control().fail_next(Some(Method::DELETE), "/a/", Fault::Undeployed, 1);
    world.apply().code(1);
    world.commit_email("a", "");
    world.apply().code(0);
    let plan = world.plan().code(0);
    assert!(!plan.stdout.contains("not deployed"), "{plan:?}");
}

#[test]
fn the_daemon_shows_it_and_waits_before_it_writes_again() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.control().fail_next(None, "/a/", Fault::Undeployed, usize::MAX);
    world.commit_email("a", "");
    world.commit_email("b", "");
    let daemon = Running::start(&world, &[]);
    let lists = || {
        let calls = world.control().calls();
        calls.iter().filter(|call| call.path.contains("type=email")).count()
    };
    // Many resyncs come before the minute is over.
    eventually("some resyncs", || lists() > 4);
    let status = daemon.status(&world);
    assert_eq!(status["targets"][0]["state"], json!("degraded"));
    let metrics = daemon.get(&world, "/metrics").1;
    let line = "apinizer_gitops_connections{target=\"default\",state=\"degraded\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    assert!(metrics.contains("outcome=\"degraded\""), "{metrics}");
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(writes, ["POST a", "POST b"]);
    let told = |words| daemon.logs().matches(words).count();
    eventually("a warning", || told("`a` is saved but not deployed") > 0);
    let before = lists();
    eventually("more resyncs", || lists() > before + 1);
    let target = daemon.status(&world)["targets"][0].clone();
    assert_eq!(target["commit_applied"], json!(null), "nothing is applied whole: {target}");
    let logs = daemon.logs();
    let each_once =
        [told("the create is saved but not deployed"), told("`a` is saved but not deployed")];
    assert_eq!(each_once, [1, 1], "the write, and how the connection stands: {logs}");
    assert!(!logs.contains("recovered"), "{logs}");
}

#[test]
fn a_clock_that_was_set_back_puts_no_write_off_for_ever() {
    let mut world = World::new();
    world.target("");
    world.commit_email("a", "");
    world.control().fail_next(None, "", Fault::Undeployed, usize::MAX);
    world.apply().code(1);
    world.control().clear_faults();
    let file = StateFile::of(&world.state_dir(), &world.url(), PROJECT);
    let text = std::fs::read_to_string(file.path()).unwrap();
    let next = world.remembered("degraded")["a"]["next"].to_string();
    assert!(text.contains(&next));
    let in_years = 10 * 365 * 24 * 3600 + next.parse::<i64>().unwrap();
    std::fs::write(file.path(), text.replace(&next, &in_years.to_string())).unwrap();
    world.forget_calls();
    let _daemon = Running::start(&world, &[]);
    eventually("the write", || world.writes() == ["PUT a"]);
}

#[test]
fn a_connection_that_a_refused_replace_restores_may_be_undeployed() {
    let world = World::settled(&["a", "b"]);
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("a is ftp now");
    world.control().fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 1);
    world.control().fail_next(Some(Method::POST), "/a/", Fault::Undeployed, 1);
    world.apply().code(1).says("made again").says("saved but not deployed");
    assert_eq!(world.live("a")["type"], json!("email"));
    world.git(&["revert", "--no-edit", "HEAD"]);
    world.forget_calls();
    world.apply().code(0);
    assert_eq!(world.writes(), ["PUT a"]);
}
