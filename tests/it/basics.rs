//! The loop: create, update, delete, drift, what is left alone, what is read.

use axum::http::Method;
use serde_json::json;

use crate::answers::{showing, shown};
use crate::world::{CANARY, World, email_body};

#[test]
fn a_declared_connection_is_created_and_then_in_sync() {
    let world = World::new();
    world.commit_email("orders", "port: 2525\n");
    world.plan().code(2).says("create");
    assert!(world.writes().is_empty(), "a plan only reads");
    world.apply().code(0);
    assert_eq!(world.writes(), ["POST orders"]);
    let live = world.live("orders");
    assert_eq!(live["port"], json!(2525));
    assert_eq!(live["password"], json!(CANARY));
    world.plan().code(0);
    world.forget_calls();
    world.apply().code(0);
    assert!(world.writes().is_empty(), "a second apply writes nothing");
}

#[test]
fn a_plan_in_sync_makes_one_call_for_each_type() {
    let world = World::settled(&["orders"]);
    world.plan().code(0);
    assert_eq!(world.control().take_calls().len(), 14);
}

#[test]
fn an_update_keeps_fields_that_git_does_not_declare() {
    let world = World::settled(&["orders"]);
    world.edit("orders", "description", json!("by hand"));
    world.edit("orders", "futureField", json!({"a": [1]}));
    let numbers = "[123456789012345678901234567890,1.10,-0.0]";
    world.edit("orders", "futureNumbers", serde_json::from_str(numbers).unwrap());
    world.commit_email("orders", "port: 26\n");
    world.plan().code(2).says("port");
    world.forget_calls();
    world.apply().code(0);
    assert_eq!(world.calls(), ["GET orders", "PUT orders"]);
    let live = world.live("orders");
    assert_eq!(live["port"], json!(26));
    assert_eq!(live["description"], json!("by hand"));
    assert_eq!(live["futureField"], json!({"a": [1]}));
    assert_eq!(live["futureNumbers"].to_string(), numbers);
    assert_eq!(live["password"], json!(CANARY), "no PUT wipes a secret");
}

#[test]
fn drift_is_corrected() {
    let world = World::settled(&["orders"]);
    world.edit("orders", "host", json!("evil.example.com"));
    let plan = world.plan_json(&[]);
    assert_eq!(plan["changes"][0]["fields"][0]["origin"], json!("drift"));
    world.apply().code(0);
    assert_eq!(world.live("orders")["host"], json!("smtp.example.com"));
}

#[test]
fn a_connection_that_a_commit_removes_is_deleted_and_an_unmanaged_one_is_not() {
    let world = World::new();
    world.make(email_body("by-hand"));
    world.settle(&["orders", "invoices"]);
    world.commit_without(&["invoices"]);
    assert_eq!(world.changes(&[]), ["delete invoices"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["by-hand", "orders"]);
    assert_eq!(world.plan_json(&[])["summary"]["unmanaged"], json!(1));
}

#[test]
fn uncommitted_files_are_not_read() {
    let world = World::new();
    world.commit_email("orders", "");
    world.write_email("later", "");
    world.write_email("orders", "port: 1\n");
    world.apply().code(0);
    assert_eq!(world.names(), ["orders"]);
    assert_eq!(world.changes(&["--worktree"]), ["create later", "update orders"]);
}

/// Kafka's key stores are named only in lists.
#[test]
fn an_update_keeps_a_field_that_only_the_list_shows() {
    let world = World::new();
    let kafka = |topic: &str| {
        world.write(
            "connections/k.yaml",
            &format!(
                "type: kafka\nname: k\ntopicName: {topic}\npropertiesMap:\n  bootstrap.servers: \
                 {{value: 'k:9092', valueType: STRING}}\n"
            ),
        );
        world.commit(topic);
    };
    kafka("one");
    world.apply().code(0);
    world.edit("k", "trustStoreName", json!("keys"));
    kafka("two");
    let mut own = shown(&world, "k");
    own["trustStoreName"] = json!(null);
    world.control().fail_next(Some(Method::GET), "/connections/k/", showing(&[own]), 99);
    world.apply().code(0);
    assert_eq!(world.live("k")["topicName"], json!("two"));
    assert_eq!(world.live("k")["trustStoreName"], json!("keys"));
}
