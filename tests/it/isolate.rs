//! `on_invalid: isolate`: what is valid is applied, and what cannot be read blocks its names.

use axum::http::Method;
use serde_json::json;

use crate::world::{PROJECT, World, email, refusal};

fn isolating(paths: &str) -> World {
    let mut world = World::new();
    world.target(&format!("on_invalid: isolate\npaths: {paths}"));
    world
}

#[test]
fn an_overlay_that_cannot_be_read_blocks_its_names_in_all_paths() {
    let world = isolating("[connections, prod]");
    world.commit_email("a", "");
    world.commit_email("b", "");
    world.write("prod/a.yaml", "name: a\nhost: prod.example.com\n");
    world.commit("overlay");
    world.apply().code(0);
    assert_eq!(world.live("a")["host"], json!("prod.example.com"));
    world.write("prod/a.yaml", "name: a\nhost: [\n");
    world.write_email("b", "port: 7\n");
    world.commit("break the overlay, change b");
    assert_eq!(world.changes(&[]), ["update b", "blocked a"]);
    world.apply().code(1).says("prod/a.yaml");
    assert_eq!(world.live("a")["host"], json!("prod.example.com"));
    assert_eq!(world.live("b")["port"], json!(7));
}

#[test]
fn a_file_that_moved_and_one_that_cannot_be_read_block_the_same_names() {
    let world = isolating("[connections]");
    world.settle(&["a", "b"]);
    world.write("connections/a.yaml", "type: email\nname: [\n");
    world.write("connections/c.yaml", &email("a", "port: 9\n"));
    world.commit("a declared elsewhere beside its broken file");
    world.apply().code(1);
    assert_eq!(world.live("a").get("port").cloned(), world.live("b").get("port").cloned());
}

#[test]
fn a_file_whose_names_are_not_known_blocks_the_whole_target() {
    let world = isolating("[connections]");
    world.settle(&["a"]);
    world.write("connections/new.yaml", "type: email\nname: [\n");
    world.write_email("a", "port: 7\n");
    world.commit("a new file that cannot be read");
    world.plan().code(1).says("new.yaml");
    world.apply().code(1).says("new.yaml");
    assert!(world.writes().is_empty());
}

#[test]
fn a_consent_to_an_empty_path_forgets_no_file_that_is_broken() {
    let world = isolating("[connections, prod]");
    world.commit_email("a", "");
    world.write("prod/a.yaml", "name: a\nhost: prod.example.com\n");
    world.commit("overlay");
    world.apply().code(0);
    world.write("connections/a.yaml", "type: email\nname: [\n");
    world.remove("prod/a.yaml");
    world.write("prod/b.yaml", &email("b", ""));
    world.commit("the only document of the path cannot be read");
    world.run(&["apply", "--yes", "--allow-deletes"]).code(1);
    world.apply().code(1).says("connections/a.yaml, which declared it, cannot be read");
}

#[test]
fn without_a_last_good_commit_an_unreadable_file_blocks_the_whole_target() {
    let world = isolating("[connections]");
    world.write("connections/x.yaml", "a: [\n");
    world.commit_email("a", "");
    world.apply().code(1).says("x.yaml");
    assert!(world.names().is_empty());
}

#[test]
fn no_rename_takes_the_name_of_an_invalid_document() {
    let world = isolating("[connections]");
    world.settle(&["a", "b"]);
    world.write_email("a", "port: nonsense\n");
    world.write_email("c", "x-gitops: {renamedFrom: a}\n");
    world.commit("a is invalid, c is renamed from it");
    world.apply().code(1);
    assert!(world.writes().is_empty());
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn nothing_is_deleted_until_the_whole_commit_loads() {
    let world = isolating("[connections]");
    world.settle(&["a", "b", "c"]);
    world.remove("connections/a.yaml");
    world.write_email("b", "port: nonsense\n");
    world.commit("remove a, break b\n\nAllow-Deletes: true");
    world.apply().code(1).says("did not load whole");
    assert_eq!(world.names(), ["a", "b", "c"]);
    world.write_email("b", "");
    world.commit("mend b");
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn a_name_declared_twice_is_blocked_alone() {
    let world = isolating("[connections]");
    world.commit_email("a", "");
    world.write("connections/a2.yaml", &email("A", "port: 7\n"));
    world.commit_email("b", "");
    world.plan().code(1).says("connections/a2.yaml").says("connections/a.yaml");
    world.apply().code(1);
    assert_eq!(world.names(), ["b"]);
}

#[test]
fn the_old_name_that_two_documents_are_renamed_from_is_left_alone() {
    let world = isolating("[connections]");
    world.settle(&["a", "b"]);
    world.write_email("a", "port: 77\n");
    for new in ["c", "d"] {
        world.write_email(new, "x-gitops: {renamedFrom: a}\n");
    }
    world.commit("c and d are both renamed from a, and another a comes");
    world.apply().code(1).says("waits until `c`");
    assert!(world.writes().is_empty());
}

#[test]
fn the_old_name_of_an_invalid_rename_is_left_alone() {
    let world = isolating("[connections]");
    world.settle(&["a", "b"]);
    world.write_email("a", "port: 77\n");
    let invalid = "port: nonsense\nx-gitops: {renamedFrom: a}\n";
    world.write_email("c", invalid);
    world.commit("a becomes c, which is not valid, and another a comes");
    world.apply().code(1).says("waits until `c`");
    assert!(world.writes().is_empty());
    world.write_email("c", "x-gitops: {renamedFrom: a}\n");
    world.commit("mend c");
    world.apply().code(0);
    assert_eq!(world.writes(), ["PUT a", "POST a"]);
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn a_file_that_breaks_after_its_rename_blocks_the_new_name_alone() {
    let mut world = World::new();
    world.target("on_invalid: isolate");
    world.settle(&["b"]);
    world.commit_rename("b", "g");
    world.apply().code(0);
    world.write("connections/g.yaml", "{{{{");
    world.commit("broken");
    assert_eq!(world.changes(&[]), ["blocked g"]);
}

#[test]
fn the_old_name_waits_though_the_new_one_was_once_ours() {
    for text in ["port: nonsense\nx-gitops: {renamedFrom: a}\n", "{{{{"] {
        let world = isolating("[connections]");
        world.settle(&["a", "b", "c"]);
        assert!(world.control().remove(PROJECT, "b"));
        world.write_email("b", "x-gitops: {renamedFrom: a}\n");
        world.control().fail_next(Some(Method::PUT), "/a/", refusal("no"), 1);
        world.commit("b is to come from a");
        world.apply().code(1).says("refuses the rename");
        world.write_email("b", text);
        world.write_email("a", "port: 77\n");
        world.commit("b is broken, and another a comes");
        world.forget_calls();
        world.apply().code(1).says("waits until `b`");
        assert!(world.writes().is_empty());
    }
}

#[test]
fn an_unresolved_reference_blocks_its_connection_alone() {
    let world = World::new();
    world.commit_email("a", "");
    world.write("connections/b.yaml", "type: email\nname: b\nhost: ${env:NOT_SET}\n");
    world.commit("b");
    world.apply().code(1).says("NOT_SET");
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_refused_commit_changes_nothing() {
    let world = World::settled(&["a"]);
    world.write(
        "connections/b.yaml",
        "type: email\nname: b\nhost: h\nauth: true\nusername: u\npassword: plain\n",
    );
    world.commit_email("c", "");
    let ran = world.apply().code(1);
    assert!(!format!("{ran:?}").contains("plain\""));
    assert!(world.writes().is_empty());
    let mut world = world;
    world.target("on_invalid: isolate");
    world.commit_without(&["a"]);
    world.apply();
    assert_eq!(world.names(), ["a", "c"], "valid ones are applied and nothing is deleted");
}

#[test]
fn a_rename_to_a_document_of_an_unknown_type_keeps_its_old_name() {
    let world = isolating("[connections]");
    world.settle(&["a", "b"]);
    world.write("connections/new.yaml", "type: emial\nname: new\nx-gitops: {renamedFrom: a}\n");
    world.write_email("a", "description: another\n");
    world.commit("a is called new, and there is another a");
    world.apply().code(1).says("`new`, which is not valid");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn an_old_name_waits_in_a_chain_of_which_a_part_is_not_valid() {
    for (of_middle, of_end) in [(", bogus: 1", ""), ("", ", bogus: 1")] {
        let world = isolating("[connections]");
        world.settle(&["a", "b"]);
        world.write_email("c", &format!("x-gitops: {{renamedFrom: b{of_end}}}\n"));
        world.write_email("b", &format!("x-gitops: {{renamedFrom: a{of_middle}}}\n"));
        world.write_email("a", "port: 99\n");
        world.commit("b moves on to c, a is to become b, and another connection takes its name");
        world.apply().code(1).says("waits until `b`, which is not valid, is renamed from it");
        assert_eq!(world.live("a").get("port"), world.live("b").get("port"));
    }
}
