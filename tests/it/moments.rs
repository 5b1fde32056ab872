//! What happens between a plan and its calls.

use apinizer_gitops::sandbox::{Dialect, Options};
use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::faults::{Fault, Moment};
use crate::running::Applying;
use crate::world::{PROJECT, Ran, World, email_body};

/// Applies, and does something while a reading of `a` is held.
fn apply_while(world: &World, meanwhile: impl FnOnce()) -> Ran {
    let gate = world.control().gate(Some(Method::GET), "/connections/a/", Moment::Before);
    let applying = Applying::until(world, &gate);
    meanwhile();
    gate.open();
    applying.ends()
}

#[test]
fn what_somebody_else_brought_in_sync_meanwhile_is_not_written() {
    let world = World::new();
    world.commit_email("a", "port: 1\n");
    world.apply().code(0);
    world.commit_email("a", "port: 2\n");
    world.forget_calls();
    apply_while(&world, || world.edit("a", "port", json!(2))).code(0);
    assert!(world.writes().is_empty());
    world.plan().code(0);
}

#[test]
fn what_moved_meanwhile_is_planned_again() {
    let world = World::new();
    world.commit_email("a", "port: 1\n");
    world.apply().code(0);
    world.commit_email("a", "port: 2\n");
    apply_while(&world, || {
        world.edit("a", "description", json!("typed meanwhile"));
        world.edit("a", "host", json!("typed.meanwhile"));
    })
    .code(0);
    assert_eq!(world.live("a")["description"], json!("typed meanwhile"));
    assert_eq!(world.live("a")["host"], json!("smtp.example.com"));
    assert_eq!(world.live("a")["port"], json!(2));
}

#[test]
fn drift_of_the_moment_is_kept_where_it_is_only_reported() {
    let mut world = World::new();
    world.target("drift: report");
    world.commit_email("a", "port: 1\n");
    world.apply().code(0);
    world.commit_email("a", "port: 2\n");
    apply_while(&world, || {
        world.edit("a", "host", json!("typed.meanwhile"));
    })
    .code(0);
    assert_eq!(world.live("a")["host"], json!("typed.meanwhile"));
    assert_eq!(world.live("a")["port"], json!(2));
}

#[test]
fn what_was_made_anew_meanwhile_is_not_deleted() {
    let world = World::settled(&["a", "b", "c"]);
    world.commit_without(&["a"]);
    apply_while(&world, || {
        assert!(world.control().remove(PROJECT, "a"));
        world.make(email_body("a"));
    })
    .code(3);
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn a_list_that_lacks_a_name_of_the_inventory_is_not_believed_before_a_create() {
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

#[test]
fn a_type_that_the_server_does_not_know_blocks_its_documents_alone() {
    for dialect in [Dialect::Current, Dialect::Older] {
        let world = World::with(Options {
            dialect,
            unsupported_types: vec!["syslog".to_owned()],
            ..Options::default()
        });
        world.commit_email("a", "");
        world.commit_email("b", "");
        world.plan().code(2).says("does not know the type syslog");
        world.apply().code(0);
        world.remove("connections/a.yaml");
        world.write("connections/s.yaml", "type: syslog\nname: s\nsyslogServerHostname: h\n");
        world.commit_email("c", "");
        world.apply().code(1);
        assert_eq!(world.names(), ["b", "c"], "nothing is held for it");
    }
}

#[test]
fn a_type_of_the_inventory_that_the_server_no_longer_knows_is_an_incomplete_list() {
    let world = World::new();
    world.write("connections/g.yaml", "type: syslog\nname: g\nsyslogServerHostname: h\n");
    world.settle(&["a", "b"]);
    world.control().alter(|options| options.unsupported_types = vec!["syslog".to_owned()]);
    world.remove("connections/a.yaml");
    world.write_email("c", "");
    world.commit("remove a, add c");
    world.apply().code(1).says("syslog");
    assert!(world.writes().is_empty());
}

#[test]
fn a_run_that_is_ended_claims_nothing_that_it_did_not_send() {
    let mut world = World::new();
    world.target("concurrency: 1");
    world.commit_email("a", "");
    world.commit_email("b", "");
    let gate = world.control().gate(Some(Method::POST), "/connections/a/", Moment::Before);
    let mut applying = Applying::until(&world, &gate);
    applying.ask_to_end("-TERM");
    gate.open();
    applying.ends().code(1).says("not started");
    assert_eq!(world.names(), ["a"]);
    assert_eq!(world.record()["intents"], json!({}));
    // Somebody makes the other one exactly so, and git drops it: it is theirs.
    world.make(email_body("b"));
    world.commit_without(&["b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn what_was_made_anew_meanwhile_is_not_taken_over_unplanned() {
    for renames in [false, true] {
        let mut world = World::new();
        world.target("adopt: never");
        world.commit_email("a", "port: 1\n");
        world.settle(&["b"]);
        if renames {
            world.commit_rename("a", "new");
        } else {
            world.commit_email("a", "port: 2\n");
        }
        apply_while(&world, || {
            assert!(world.control().remove(PROJECT, "a"));
            let mut body = email_body("a");
            body["description"] = json!("made by hand");
            world.make(body);
        })
        .code(1);
        assert_eq!(world.names(), ["a", "b"], "renames: {renames}");
        assert_eq!(world.live("a")["description"], json!("made by hand"));
        world.apply().code(1).says("not taken over");
        assert_eq!(world.names(), ["a", "b"], "renames: {renames}");
    }
}
