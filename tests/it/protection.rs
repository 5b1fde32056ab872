//! `protect` outlives its document: it has to be lifted in a commit first.

use axum::http::Method;
use serde_json::json;

use crate::answers::{answer, showing};
use crate::crashes::kill_at_first_write;
use crate::faults::{Fault, Moment};
use crate::renames::refusing_renames;
use crate::running::Applying;
use crate::world::{PROJECT, World, email_body, ftp, refusal};

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

#[test]
fn protect_of_a_rename_that_waits_is_of_the_old_name() {
    for leaves in [false, true] {
        let world = World::with(refusing_renames());
        world.settle(&["old", "other"]);
        world.remove("connections/old.yaml");
        world.commit_email("new", "x-gitops: {renamedFrom: old, protect: true}\n");
        world.apply().code(1);
        if leaves {
            let options = "x-gitops: {renamedFrom: old, protect: true, targets: [elsewhere]}\n";
            world.commit_email("new", options);
        } else {
            world.commit_without(&["new"]);
        }
        world.apply().code(3).says("protected");
        assert_eq!(world.names(), ["old", "other"]);
    }
}

#[test]
fn protect_of_a_rename_that_waits_outlives_another_document_of_the_old_name() {
    for is_declared_anew in [false, true] {
        let world = World::with(refusing_renames());
        world.settle(&["old", "other"]);
        if is_declared_anew {
            world.remove("connections/old.yaml");
        }
        world.commit_email("new", "x-gitops: {renamedFrom: old, protect: true}\n");
        world.apply().code(1);
        if is_declared_anew {
            world.commit_email("old", "");
            world.apply().code(1);
        }
        world.commit_without(&["new", "old"]);
        world.apply().code(3).says("protected");
        assert_eq!(world.names(), ["old", "other"]);
    }
}

#[test]
fn protect_of_a_rename_that_cannot_be_made_is_of_the_old_name() {
    let chain = |world: &World| {
        world.write_email("c", "x-gitops: {renamedFrom: b}\n");
        world.write_email("b", "x-gitops: {renamedFrom: a, protect: true}\n");
        world.write_email("a", "port: 9\n");
    };
    let of_another_type = |world: &World| {
        world.remove("connections/a.yaml");
        world.write("connections/c.yaml", &ftp("c", "x-gitops: {renamedFrom: a, protect: true}\n"));
    };
    for change in [&chain as &dyn Fn(&World), &of_another_type] {
        let world = World::with(refusing_renames());
        world.settle(&["a", "b", "other"]);
        change(&world);
        world.commit("a rename that cannot be made");
        world.apply().code(1);
        let documents = ["a", "b", "c"].map(|name| format!("connections/{name}.yaml"));
        for document in documents.iter().filter(|path| world.repo().join(path).exists()) {
            world.remove(document);
        }
        world.commit("take them out");
        world.run(&["apply", "--yes", "--allow-deletes"]).code(3).says("protected");
        assert!(world.names().contains(&"a".to_owned()));
    }
}

#[test]
fn a_copy_under_the_old_name_is_not_ours_before_the_rename_was_made() {
    let world = World::settled(&["other"]);
    world.commit_email("old", "x-gitops: {protect: true}\n");
    world.apply().code(0);
    world.write_email("old", "");
    world.commit_email("new", "x-gitops: {renamedFrom: old, protect: true}\n");
    world.control().fail_next(Some(Method::PUT), "/old/", Fault::Reset, 1);
    let gate = world.control().gate(Some(Method::PUT), "/connections/", Moment::Before);
    assert!(Applying::until(&world, &gate).kill());
    drop(gate);
    world.commit_without(&["new", "old"]);
    world.apply().code(3).says("protected");
    assert_eq!(world.names(), ["old", "other"]);
}

#[test]
fn protect_of_a_rename_counts_though_the_same_names_were_renamed_before() {
    let world = World::settled(&["a", "other"]);
    world.commit_rename("a", "b");
    world.apply().code(0);
    world.commit_email("a", "");
    world.apply().code(0);
    // The names rotate, and the server refuses from now on.
    world.remove("connections/a.yaml");
    world.write_email("c", "x-gitops: {renamedFrom: b}\n");
    world.commit_email("b", "x-gitops: {renamedFrom: a, protect: true}\n");
    world.control().fail_next(Some(Method::PUT), "/connections/", refusal("no renames"), 9);
    world.apply().code(1);
    world.commit_without(&["b", "c"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(3).says("protected");
    assert!(world.names().contains(&"a".to_owned()));
}

#[test]
fn protect_of_a_rename_that_is_done_is_not_of_the_old_name() {
    let world = World::settled(&["old", "other"]);
    world.remove("connections/old.yaml");
    world.commit_email("new", "x-gitops: {renamedFrom: old, protect: true}\n");
    world.apply().code(0);
    world.commit_email("old", "");
    world.apply().code(0);
    // Neither lists that fail, nor a run that may not lift it, keeps that for ever.
    world.control().fail_next(Some(Method::GET), "type=", refusal("not now"), 14);
    world.apply().code(1);
    world.run(&["apply", "--yes", "--worktree"]).code(0);
    world.apply().code(0);
    let saved = || std::fs::metadata(world.state_file()).unwrap().modified().unwrap();
    let then = saved();
    world.apply().code(0);
    assert_eq!(saved(), then, "nothing has changed");
    world.commit_without(&["old"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["new", "other"]);
}

#[test]
fn protection_of_a_name_is_not_of_what_was_renamed_from_it() {
    let world = World::settled(&["old", "other"]);
    world.commit_rename("old", "new");
    world.apply().code(0);
    world.commit_email("old", "x-gitops: {protect: true}\n");
    world.apply().code(0);
    world.run(&["apply", "--yes", "--worktree"]).code(0);
    world.commit_without(&["new"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["old", "other"]);
}

#[test]
fn a_list_that_fails_takes_no_protection_back() {
    let world = World::settled(&["new", "old", "other"]);
    world.control().remove(PROJECT, "new");
    world.remove("connections/old.yaml");
    world.commit_email("new", "x-gitops: {renamedFrom: old, protect: true}\n");
    world.control().fail_next(Some(Method::PUT), "/connections/", refusal("no renames"), 9);
    world.control().fail_next(Some(Method::GET), "type=kafka", refusal("not now"), 1);
    world.apply().code(1);
    world.commit_without(&["new"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(3).says("protected");
    assert_eq!(world.names(), ["old", "other"]);
}

#[test]
fn protect_of_a_rename_that_waits_ends_with_its_document() {
    let world = World::with(refusing_renames());
    world.settle(&["old", "other"]);
    world.commit_email("new", "x-gitops: {renamedFrom: old, protect: true}\n");
    world.apply().code(1);
    world.commit_without(&["new"]);
    world.apply().code(0);
    world.commit_without(&["old"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["other"]);
}

#[test]
fn protect_of_a_rename_that_was_refused_ends_once_its_document_lifts_it() {
    let world = World::settled(&["old", "other"]);
    world.make(email_body("new"));
    world.remove("connections/old.yaml");
    world.commit_email("new", "x-gitops: {renamedFrom: old, protect: true}\n");
    world.apply().code(1).says("take `renamedFrom` out");
    world.commit_email("new", "x-gitops: {protect: true}\n");
    world.apply().code(3).says("protected");
    world.commit_email("new", "");
    world.apply().code(0);
    assert_eq!(world.names(), ["new", "other"]);
}

#[test]
fn a_rename_protects_what_a_lost_answer_put_under_its_old_name() {
    let world = World::settled(&["a", "other"]);
    world.remove("connections/a.yaml");
    world.commit_email("b", "x-gitops: {renamedFrom: a}\n");
    assert!(kill_at_first_write(&world, true));
    world.remove("connections/b.yaml");
    world.commit_email("c", "x-gitops: {renamedFrom: b, protect: true}\n");
    world.control().fail_next(Some(Method::PUT), "/connections/", refusal("no renames"), 9);
    world.apply().code(1);
    world.commit_without(&["c"]);
    world.apply().code(3).says("protected");
    assert_eq!(world.names(), ["b", "other"]);
}

#[test]
fn a_working_tree_protects_nothing() {
    let world = World::with(refusing_renames());
    world.settle(&["old", "other"]);
    world.remove("connections/old.yaml");
    world.write_email("new", "x-gitops: {renamedFrom: old, protect: true}\n");
    world.run(&["apply", "--yes", "--worktree"]).code(1);
    world.commit_without(&["new"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["other"]);
}
