//! A list that lacks a connection which a single read still shows, as a server answers it that has
//! not caught up with itself: it forgets nothing, creates nothing and deletes nothing.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answers::{list_emails_without, showing, shown};
use crate::faults::{Fault, Moment};
use crate::history::events;
use crate::running::{Applying, Running, eventually};
use crate::world::{PROJECT, World, email_body};

const NOT_COMPLETE: &str = "the list of email is not complete";

/// A list of emails that is late: without a name, or without a list at all.
fn late(world: &World, name: &str, has_a_list: bool) {
    if has_a_list {
        list_emails_without(world, name, 1);
    } else {
        world.control().fail_next(Some(Method::GET), "type=email", Fault::BareSuccess, 1);
    }
}

#[test]
fn a_due_delete_outlives_a_list_that_lacks_its_name() {
    for has_a_list in [true, false] {
        let world = World::settled(&["a", "b"]);
        world.commit_without(&["a"]);
        late(&world, "a", has_a_list);
        world.apply().code(1).says(NOT_COMPLETE);
        assert!(world.writes().is_empty());
        assert_eq!(world.names(), ["a", "b"]);
        world.apply().code(0);
        assert_eq!(world.names(), ["b"], "the delete is still due");
    }
}

#[test]
fn no_consent_deletes_a_connection_that_no_list_shows() {
    let world = World::settled(&["a", "b"]);
    world.commit_without(&["a"]);
    list_emails_without(&world, "a", 10);
    let consents = ["--allow-deletes", "--allow-delete", "a"];
    for consents in [&consents[..1], &consents[1..], &consents[..]] {
        world.run(&[&["apply", "--yes"], consents].concat()).code(1).says(NOT_COMPLETE);
    }
    assert!(world.writes().is_empty());
    world.control().clear_faults();
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}

#[test]
fn a_plan_says_that_a_list_lacks_a_name_that_a_read_shows() {
    let world = World::settled(&["a", "b"]);
    world.commit_without(&["a"]);
    for output in ["text", "json", "markdown"] {
        list_emails_without(&world, "a", 1);
        world.run(&["plan", "--output", output]).code(1).says(NOT_COMPLETE);
    }
    world.plan().code(2);
}

#[test]
fn a_held_delete_outlives_a_list_that_lacks_its_name() {
    for has_a_list in [true, false] {
        let mut world = World::new();
        world.target("max_deletes: 0");
        world.settle(&["a", "b"]);
        world.commit_without(&["a"]);
        world.apply().code(3).says("max_deletes");
        late(&world, "a", has_a_list);
        world.apply().code(1).says(NOT_COMPLETE);
        world.apply().code(3).says("max_deletes");
        assert_eq!(world.names(), ["a", "b"]);
        world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
        assert_eq!(world.names(), ["b"]);
    }
}

#[test]
fn protection_outlives_a_list_that_lacks_its_name() {
    for has_a_list in [true, false] {
        let world = World::new();
        world.commit_email("a", "x-gitops: {protect: true}\n");
        world.settle(&["b"]);
        world.commit_without(&["a"]);
        late(&world, "a", has_a_list);
        world.apply().code(1).says(NOT_COMPLETE);
        world.apply().code(3).says("protected");
        assert_eq!(world.names(), ["a", "b"]);
    }
}

#[test]
fn a_daemon_keeps_a_held_delete_over_a_late_list() {
    let mut world = World::new();
    world.target("max_deletes: 0\nresync: 1s");
    world.settle(&["a", "b"]);
    world.commit_without(&["a"]);
    let daemon = Running::start(&world, &[]);
    let state_of_a = || {
        let target = daemon.status(&world)["targets"][0].clone();
        let connections = target["connections"].as_array().cloned().unwrap_or_default();
        connections.iter().find(|one| one["name"] == json!("a")).map(|one| one["state"].clone())
    };
    eventually("it is held", || state_of_a() == Some(json!("held")));
    late(&world, "a", true);
    let calls = world.control().call_count();
    eventually("two more resyncs", || world.control().call_count() >= calls + 42);
    eventually("it is held again", || state_of_a() == Some(json!("held")));
    let logs = daemon.logs();
    assert!(!logs.contains("recovered"), "a late list frees nothing: {logs}");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn drift_that_the_read_before_its_write_contradicts_is_not_told() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.settle(&["a"]);
    let mut late = shown(&world, "a");
    late["host"] = json!("late.example.com");
    late.as_object_mut().unwrap().remove("password");
    world.control().fail_next(Some(Method::GET), "type=email", showing(&[late]), 2);
    let daemon = Running::start(&world, &[]);
    let reconciles = || daemon.status(&world)["targets"][0]["history"].as_array().map(Vec::len);
    eventually("lists that are late, and one that is not", || reconciles() > Some(2));
    let told: Vec<Value> = events(&world, &[]);
    assert!(told.iter().all(|event| event["event"] == "create"), "{told:?}");
    let metrics = daemon.get(&world, "/metrics").1;
    assert!(metrics.contains("drift_detected_total{target=\"default\"} 0\n"), "{metrics}");
    assert!(!daemon.logs().contains("drifted"), "{}", daemon.logs());
}

#[test]
fn a_name_is_forgotten_once_a_read_confirms_that_it_is_gone() {
    let world = World::settled(&["a", "b"]);
    assert!(world.control().remove(PROJECT, "a"));
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.calls(), ["GET a"]);
    // Another one of that name is not the tool's.
    world.make(email_body("a"));
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
    assert!(world.writes().is_empty());
}

#[test]
fn a_name_stays_while_it_cannot_be_read() {
    let world = World::settled(&["a", "b"]);
    world.commit_without(&["a"]);
    late(&world, "a", true);
    world.control().fail_next(Some(Method::GET), "/connections/a/", Fault::Forbidden, 1);
    world.apply().code(1);
    assert_eq!(world.names(), ["a", "b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"], "the delete is still due");
}

#[test]
fn a_list_that_a_read_contradicts_stops_creates_and_deletes_of_all_names() {
    let world = World::settled(&["a", "b", "c"]);
    world.remove("connections/b.yaml");
    world.write_email("c", "port: 26\n");
    world.commit_email("d", "");
    list_emails_without(&world, "a", 1);
    world.apply().code(1).says(NOT_COMPLETE);
    assert_eq!(world.writes(), ["PUT c"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "c", "d"]);
}

#[test]
fn a_name_that_a_list_lacks_again_after_the_plan_is_not_created() {
    let world = World::settled(&["a"]);
    assert!(world.control().remove(PROJECT, "a"));
    let gate = world.control().gate(Some(Method::GET), "/connections/a/", Moment::Before);
    let applying = Applying::until(&world, &gate);
    world.make(email_body("a"));
    world.edit("a", "description", json!("made meanwhile"));
    let theirs = shown(&world, "a");
    gate.open();
    applying.ends();
    assert_eq!(shown(&world, "a")["description"], theirs["description"]);
    assert!(!world.writes().iter().any(|call| call.starts_with("POST")));
}

#[test]
fn a_declared_name_that_a_list_lacks_is_not_created() {
    let world = World::settled(&["a"]);
    world.edit("a", "description", json!("by hand"));
    let empty = Fault::Answer {
        status: StatusCode::OK,
        body: r#"{"status":"SUCCESS","resultList":[],"resultCount":0}"#.into(),
        retry_after: None,
    };
    world.control().fail_next(Some(Method::GET), "type=email", empty.clone(), 1);
    world.apply().code(1).says("the list of email is not complete");
    assert_eq!(world.calls(), ["GET a"]);
    world.control().fail_next(Some(Method::GET), "type=email", empty, 1);
    world.plan().code(1).says("the list of email is not complete");
    assert_eq!(world.live("a")["description"], json!("by hand"));
}
