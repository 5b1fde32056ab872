//! `protect` outlives its document: it has to be lifted in a commit first.

use axum::http::Method;
use serde_json::json;

use crate::answers::{answer, showing};
use crate::crashes::kill_at_first_write;
use crate::faults::Fault;
use crate::world::{World, ftp};

#[test]
fn protect_outlives_its_document() {
    let world = World::new();
    world.commit_email("a", "x-gitops: {protect: true}\n");
    world.settle(&["b"]);
    world.commit_without(&["a"]);
    world.apply().code(3).says("protected");
    world.run(&["apply", "--yes", "--allow-delete", "a"]).code(3);
    assert_eq!(world.names(), ["a", "b"]);
    world.commit_email("a", "");
    world.apply().code(0);
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}

#[test]
fn a_commit_that_lifts_protect_replaces_nothing() {
    let world = World::new();
    world.commit_email("a", "x-gitops: {protect: true}\n");
    world.settle(&["b"]);
    world.write("connections/a.yaml", &ftp("a", "x-gitops: {protect: true}\n"));
    world.commit("another type, still protected");
    world.apply().code(3).says("protect");
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("not protected any more");
    world.apply().code(3).says("protect");
    world.apply().code(3);
    assert_eq!(world.live("a")["type"], json!("email"));
    world.commit_email("a", "");
    world.apply().code(0);
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("and now it may go");
    world.apply().code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
}

#[test]
fn protection_counts_from_the_first_pass_whatever_its_lists_gave() {
    let failure = answer(&json!({"status": "FAILURE", "resultMessage": "not now"}));
    for (lists, fault) in [
        ("type=email", showing(&[json!({"type": "email"})])),
        ("type=email", failure.clone()),
        ("?type=", Fault::Forbidden),
        ("?type=", failure),
        ("?type=", Fault::Unauthorized),
    ] {
        let world = World::settled(&["a", "b"]);
        world.commit_email("a", "x-gitops: {protect: true}\n");
        world.control().fail_next(Some(Method::GET), lists, fault.clone(), 99);
        world.apply().code(1);
        world.control().clear_faults();
        world.commit_without(&["a"]);
        world.apply().code(3).says("protected");
        assert_eq!(world.names(), ["a", "b"], "{lists} {fault:?}");
    }
}

#[test]
fn protection_counts_from_the_first_pass_though_its_connection_is_blocked() {
    let world = World::settled(&["a", "b"]);
    world.commit_email("a", "from: ${env:NOT_SET}\nx-gitops: {protect: true}\n");
    world.apply().code(1).says("NOT_SET");
    world.commit_without(&["a"]);
    world.apply().code(3).says("protected");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn protection_counts_for_a_create_or_rename_whose_answer_was_lost() {
    for is_rename in [false, true] {
        let world = World::settled(&["a", "old"]);
        let from = if is_rename { "renamedFrom: old, " } else { "" };
        if is_rename {
            world.remove("connections/old.yaml");
        }
        world.commit_email("new", &format!("x-gitops: {{{from}protect: false}}\n"));
        assert!(kill_at_first_write(&world, true));
        world.commit_email("new", &format!("x-gitops: {{{from}protect: true}}\n"));
        // It reads the whole commit, and looks at another connection alone.
        world.run(&["apply", "--yes", "--name", "a"]).code(0);
        world.commit_without(&["new"]);
        world.apply().code(3).says("protected");
        assert!(world.names().contains(&"new".to_owned()));
    }
}
