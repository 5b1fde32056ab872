//! What the random histories of `model` found, each as short as it can be told.

use apinizer_gitops::sandbox::{Answers, Ids, ListFields, Options};
use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::crashes::kill_at_first_write;
use crate::faults::Fault;
use crate::renames::refusing_renames;
use crate::world::{PROJECT, World, email};

#[test]
fn an_emptied_path_is_remembered_when_a_list_fails_first() {
    let mut world = World::new();
    world.target("paths: [connections, more]");
    world.write("more/b.yaml", &email("b", ""));
    world.write("more/.keep", "");
    world.settle(&["a", "c"]);
    world.remove("more/b.yaml");
    world.commit("empty a path");
    let html = Fault::Html(StatusCode::OK);
    world.control().fail_next(Some(Method::GET), "?type=ftp", html, 9);
    world.apply().code(1);
    world.control().clear_faults();
    world.apply().code(3).says("missing or empty");
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn an_emptied_path_is_remembered_behind_a_limit() {
    let mut world = World::new();
    world.target("paths: [connections, more]\nmax_deletes: 0");
    world.write("more/b.yaml", &email("b", ""));
    world.write("more/.keep", "");
    world.settle(&["a", "c"]);
    world.remove("more/b.yaml");
    world.commit("empty a path");
    world.apply().code(3).says("max_deletes");
    world.target("paths: [connections, more]\nmax_deletes: 5");
    world.apply().code(3).says("missing or empty");
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn the_old_name_of_a_rename_that_waits_is_declared() {
    for prune in ["true", "false"] {
        let mut world = World::new();
        world.target(&format!("prune: {prune}"));
        world.settle(&["a"]);
        world.remove("connections/a.yaml");
        world.commit_email("b", "x-gitops: {renamedFrom: a, suspend: true}\n");
        world.apply().code(0);
        assert!(world.record()["inventory"].get("a").is_some(), "{prune}");
        world.commit_email("b", "x-gitops: {renamedFrom: a}\n");
        world.apply().code(0);
        assert_eq!(world.names(), ["b"]);
    }
}

#[test]
fn a_step_that_waits_in_vain_leaves_no_claim() {
    let world = World::with(Options { writes: refusing_renames(), ..Options::default() });
    world.settle(&["a", "b"]);
    for name in ["a", "b"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    world.write_email("c", "x-gitops: {renamedFrom: b}\n");
    world.write_email("b", "x-gitops: {renamedFrom: a}\n");
    world.commit("rename a chain");
    world.apply().code(1).says("waits for the name");
    assert_eq!(world.record()["intents"], json!({}));
}

#[test]
fn a_create_that_waits_in_vain_is_not_given_up() {
    let world = World::with(Options { writes: refusing_renames(), ..Options::default() });
    world.settle(&["a"]);
    world.commit_email("a", "port: 2525\n");
    world.commit_email("b", "x-gitops: {renamedFrom: a}\n");
    for _ in 0..3 {
        world.plan().says("+ email  a");
        world.apply().code(1);
    }
}

#[test]
fn a_claim_waits_where_the_list_shows_a_part_and_the_reading_fails() {
    let world = World::with(Options {
        answers: Answers { list_fields: ListFields::Summary, ..Answers::default() },
        ..Options::default()
    });
    world.commit_email("a", "");
    assert!(kill_at_first_write(&world, true));
    let refusal = Fault::Answer {
        status: StatusCode::FORBIDDEN,
        body: r#"{"status":"FAILURE","resultMessage":"no"}"#.to_owned(),
        retry_after: None,
    };
    world.control().fail_next(Some(Method::GET), "/a/", refusal, 9);
    world.apply().code(1);
    world.control().clear_faults();
    world.remove("connections/a.yaml");
    world.commit_email("b", "");
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    assert_eq!(world.names(), ["b"], "what the killed run made is no orphan");
}

#[test]
fn a_commit_removes_what_it_did_not_get_to_rename() {
    let world = World::with(Options { writes: refusing_renames(), ..Options::default() });
    world.settle(&["a", "other"]);
    world.commit_rename("a", "b");
    world.apply().code(1);
    world.commit_without(&["b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["other"]);
}

#[test]
fn a_write_that_died_before_it_was_sent_is_no_write_that_did_not_stick() {
    let world = World::settled(&["a"]);
    world.commit_email("a", "port: 2525\n");
    for _ in 0..3 {
        assert!(kill_at_first_write(&world, true));
        world.edit("a", "port", json!(587));
    }
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(2525));
}

#[test]
fn one_of_another_type_made_by_hand_is_taken_over_like_any_other() {
    let mut world = World::with(Options {
        answers: Answers { ids: Ids::Nowhere, ..Answers::default() },
        ..Options::default()
    });
    world.settle(&["a", "b"]);
    assert!(world.control().remove(PROJECT, "a"));
    let syslog = json!({"type": "syslog", "name": "a", "syslogServerHostname": "h"});
    world.make(syslog);
    world.write("connections/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
    world.commit("what is live");
    world.target("adopt: never");
    world.apply().code(1).says("not taken over");
    world.target("adopt: always");
    world.apply().code(0);
    assert_eq!(world.record()["inventory"]["a"]["type"], json!("syslog"));
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}

#[test]
fn fields_that_push_each_other_aside_are_given_up_too() {
    let world = World::new();
    world.commit_email("a", "port: 25\n");
    world.apply().code(0);
    let push_aside = |round: usize| match round % 2 {
        0 => world.edit("a", "port", json!(587)),
        _ => world.edit("a", "host", json!("another.host")),
    };
    push_aside(0);
    let mut written = 0;
    for round in 1..40 {
        world.forget_calls();
        world.apply();
        if !world.writes().is_empty() {
            written += 1;
            push_aside(round);
        }
    }
    assert!((3..=16).contains(&written), "{written} PUTs");
    world.plan().says("not converging");
    // What somebody does now and then is put right however often it is.
    world.edit("a", "port", json!(25));
    world.edit("a", "host", json!("smtp.example.com"));
    for round in 0..20 {
        world.apply().code(0);
        push_aside(round);
        world.apply().code(0);
        world.plan().code(0);
    }
}
