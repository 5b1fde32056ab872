//! The trailer `Allow-Deletes: true`: which deletes it consents to, and how long.

use axum::http::Method;
use serde_json::json;

use crate::renames::refusing_renames;
use crate::world::{World, refusal};

#[test]
fn the_trailer_consents_once() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b", "c"]);
    world.remove("connections/a.yaml");
    world.commit("remove a\n\nAllow-Deletes: true");
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
    world.commit_without(&["b"]);
    world.apply().code(3);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn the_trailer_consents_once_although_the_branch_moves() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b"]);
    world.remove("connections/a.yaml");
    world.git(&["commit", "-qam", "Remove a\n\nAllow-Deletes: true"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
    world.run(&["apply", "--yes", "--rev", "HEAD~1"]).code(0);
    assert_eq!(world.names(), ["a", "b"]);
    world.apply().code(3);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_trailer_below_the_tip_consents_to_the_names_that_its_commit_removed() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b", "c"]);
    world.remove("connections/a.yaml");
    world.commit("remove a\n\nAllow-Deletes: true");
    world.commit_without(&["b"]);
    world.apply().code(3);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn a_trailer_does_not_consent_to_a_later_removal_of_what_was_to_be_renamed() {
    let mut world = World::with(refusing_renames());
    world.target("max_deletes: 0");
    world.settle(&["a", "b", "c"]);
    world.remove("connections/a.yaml");
    world.write_email("b", "x-gitops: {renamedFrom: a}\n");
    world.write_email("d", "x-gitops: {renamedFrom: b}\n");
    world.commit("a chain that the server refuses\n\nAllow-Deletes: true");
    world.apply().code(1);
    world.commit_without(&["b", "d"]);
    world.apply().code(3);
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn a_trailer_does_not_consent_to_a_later_removal_of_the_name() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    for name in ["a", "b", "c"] {
        world.commit_email(name, "");
    }
    world.apply().code(0);
    let first = world.git(&["rev-parse", "HEAD"]);
    let remove = |message: &str| {
        world.remove("connections/a.yaml");
        world.commit(message);
    };
    remove("remove a\n\nAllow-Deletes: true");
    world.commit_email("a", "");
    remove("remove a again, without a word");
    world.apply().code(3).says("max_deletes");
    // Nor does one that was used, where its history is written anew.
    world.commit_email("a", "");
    remove("remove a once more\n\nAllow-Deletes: true");
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
    world.commit_email("a", "");
    world.apply().code(0);
    world.git(&["reset", "-q", "--hard", first.trim()]);
    world.git(&["commit", "-q", "--allow-empty", "-m", "another base"]);
    remove("remove a\n\nAllow-Deletes: true");
    world.commit_email("a", "");
    remove("remove a again, without a word");
    world.apply().code(3).says("max_deletes");
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn a_consent_ends_when_a_commit_that_was_never_loaded_declares_the_name() {
    for trailer_is_of_the_tip in [true, false] {
        let mut world = World::new();
        world.target("max_deletes: 0");
        world.settle(&["a", "b", "c"]);
        world.remove("connections/a.yaml");
        world.commit("remove a\n\nAllow-Deletes: true");
        if !trailer_is_of_the_tip {
            world.commit("something else");
        }
        world.control().fail_next(Some(Method::DELETE), "/a/", refusal("not now"), 1);
        world.apply().code(1);
        world.commit_email("a", "");
        world.commit_without(&["a"]);
        world.apply().code(3).says("max_deletes");
        assert_eq!(world.names(), ["a", "b", "c"]);
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_consent_and_counts_for_none() {
    let broken = "type: email\nname: a\n  host: h\n";
    for (at_once, again) in [(false, broken), (true, broken), (false, "<<<<<<< HEAD\n")] {
        let mut world = World::new();
        world.target("max_deletes: 0");
        world.settle(&["a", "b", "c"]);
        world.remove("connections/a.yaml");
        if at_once {
            world.write("connections/b.yaml", broken);
        }
        world.commit("remove a\n\nAllow-Deletes: true");
        world.write("connections/a.yaml", again);
        world.commit("a is back, in a way");
        world.remove("connections/a.yaml");
        if at_once {
            world.remove("connections/b.yaml");
        }
        world.commit("remove what cannot be read");
        world.apply().code(3).says("max_deletes");
        assert_eq!(world.names(), ["a", "b", "c"]);
    }
}

#[test]
fn consent_to_a_delete_is_no_consent_to_a_replace() {
    let mut world = World::settled(&["a", "b"]);
    world.target("max_deletes: 0");
    world.remove("connections/a.yaml");
    world.git(&["commit", "-qam", "Remove a\n\nAllow-Deletes: true"]);
    world.control().fail_next(Some(Method::DELETE), "/a/", refusal("not now"), 1);
    world.apply().code(1);
    world.write("connections/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
    world.commit("another a");
    world.apply().code(3);
    assert_eq!(world.live("a")["type"], json!("email"));
}
