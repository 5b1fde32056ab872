//! Deletes: who asked for them, how many may go, and what holds them back.

use axum::http::Method;
use serde_json::json;

use crate::world::{CHECKOUT, World, email, email_body, ftp, git_in, one_target, refusal};

#[test]
fn an_adoption_in_the_same_commit_frees_no_delete_of_everything() {
    let mut world = World::new();
    world.target("max_deletes: 10");
    world.settle(&["a", "b"]);
    world.make(email_body("by-hand"));
    world.write_email("by-hand", "");
    world.commit_without(&["a", "b"]);
    world.plan().code(3).says("all 2 connections");
    world.apply().code(3);
    world.target("max_deletes: 20");
    world.apply().code(3);
    assert_eq!(world.names(), ["a", "b", "by-hand"], "it was not max_deletes that held them");
}

#[test]
fn adoptions_in_the_same_commit_raise_no_share() {
    let world = World::settled(&["a", "b", "c", "d", "e", "f"]);
    for name in ["a", "b", "c", "d"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    for index in 0..12 {
        let name = format!("hand-{index}");
        world.make(email_body(&name));
        world.write_email(&name, "");
    }
    world.commit("four leave, twelve are taken over");
    world.apply().code(3).says("max_deletes");
    assert_eq!(world.names().len(), 18);
}

#[test]
fn a_narrowed_run_is_no_way_past_the_limit() {
    let mut world = World::new();
    world.target("max_deletes: 1");
    world.settle(&["a", "b", "c", "d"]);
    world.commit_without(&["a", "b", "c"]);
    world.run(&["apply", "--yes", "--name", "a"]).code(3).says("3 deletes are due");
    assert_eq!(world.names().len(), 4);
    world.run(&["apply", "--yes", "--allow-deletes", "--name", "a"]).code(0);
    assert_eq!(world.names(), ["b", "c", "d"]);
}

#[test]
fn what_is_held_with_others_says_so_when_they_are_taken_back() {
    let mut world = World::new();
    world.target("max_deletes: 1");
    world.settle(&["a", "b", "c", "d"]);
    world.commit_without(&["a", "b"]);
    world.apply().code(3).says("2 deletes are due and 1 allowed");
    world.commit_email("b", "");
    world.apply().code(3).says("2 deletes were due at first sight and 1 allowed");
    assert_eq!(world.names().len(), 4);
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
fn a_working_tree_lifts_no_protection() {
    let world = World::new();
    world.commit_email("a", "x-gitops: {protect: true}\n");
    world.settle(&["b"]);
    world.write_email("a", "");
    world.run(&["apply", "--yes", "--worktree"]).code(0);
    world.git(&["checkout", "-q", "."]);
    world.commit_without(&["a"]);
    world.apply().code(3).says("protected");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_working_tree_deletes_only_with_the_flag() {
    let world = World::settled(&["a", "b", "c"]);
    world.remove("connections/a.yaml");
    world.write("connections/b.yaml", &ftp("b", ""));
    let text = world.run(&["plan", "--worktree"]).code(3).says("worktree");
    assert!(text.stdout.contains("--worktree --allow-deletes"));
    world.run(&["apply", "--yes", "--worktree"]).code(3);
    assert_eq!(world.live("b")["type"], json!("email"));
    assert_eq!(world.names(), ["a", "b", "c"]);
    // The checkout comes back to what is committed: nothing of the attempt is left.
    world.git(&["checkout", "-q", "."]);
    world.apply().code(0);
    assert_eq!(world.record()["deletes"], json!({}));
    world.remove("connections/a.yaml");
    world.run(&["apply", "--yes", "--worktree", "--allow-deletes"]).code(0);
    assert_eq!(world.names(), ["b", "c"]);
}

/// A shallow clone of the repository, and a config that reads it.
fn shallow(world: &mut World, keys: &str) {
    let clone = world.path("shallow");
    drop(std::fs::remove_dir_all(&clone));
    let from = format!("file://{}", world.repo().display());
    git_in(&world.path(""), &["clone", "-q", "--depth", "1", &from, "shallow"]);
    world.source(&format!("path: '{}'", clone.display()), keys);
}

#[test]
fn a_shallow_clone_answers_from_the_state_and_not_from_a_commit_that_is_gone() {
    let mut world = World::new();
    world.commit_email("a", "");
    world.commit_email("b", "");
    world.commit_email("c", "");
    shallow(&mut world, "paths: [connections]");
    world.apply().code(0);
    world.commit_without(&["a"]);
    shallow(&mut world, "paths: [connections]");
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"], "the state knows what the last good commit declared");
    world.commit_without(&["b"]);
    shallow(&mut world, "paths: [connections, overlays]");
    world.write("overlays/.keep", "");
    world.plan().code(3).says("no longer has the last good commit");
    world.apply().code(3);
    world.apply().code(3);
    assert_eq!(world.names(), ["b", "c"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(3);
    world.run(&["apply", "--yes", "--allow-delete", "b"]).code(0);
    assert_eq!(world.names(), ["c"]);
}

#[test]
fn a_document_that_leaves_a_target_is_deleted_there_by_the_rules() {
    let mut world = World::new();
    world.target("max_deletes: 1");
    world.commit_email("a", "");
    world.commit_email("b", "x-gitops: {targets: [default]}\n");
    world.settle(&["c", "d"]);
    world.commit_email("b", "x-gitops: {targets: [elsewhere]}\n");
    assert_eq!(world.changes(&[]), ["delete b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "c", "d"]);
    world.write_email("a", "x-gitops: {targets: [elsewhere]}\n");
    world.write_email("c", "x-gitops: {targets: []}\n");
    world.commit("two leave at once");
    world.apply().code(3).says("max_deletes");
    assert_eq!(world.names(), ["a", "c", "d"]);
}

#[test]
fn a_renamed_target_deletes_nothing_and_keeps_its_inventory() {
    let mut world = World::new();
    world.target("");
    world.commit_email("a", "");
    world.commit_email("b", "x-gitops: {targets: [default]}\n");
    world.apply().code(0);
    world.config(&one_target(CHECKOUT, "").replace("name: default", "name: renamed"));
    world.apply().code(3).says("no commit removed it");
    assert_eq!(world.names(), ["a", "b"]);
    world.run(&["forget", "b"]).code(0);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_suspended_connection_is_neither_written_nor_deleted() {
    let world = World::settled(&["a", "b"]);
    world.commit_email("a", "port: 99\nx-gitops: {suspend: true}\n");
    world.edit("a", "host", json!("by.hand"));
    world.plan().code(0);
    world.apply().code(0);
    world.write("connections/a.yaml", &ftp("a", "x-gitops: {suspend: true}\n"));
    world.commit("even another type");
    world.apply().code(0);
    assert!(world.writes().is_empty());
    assert_eq!(world.names(), ["a", "b"]);
    world.commit_email("a", "port: 99\n");
    world.apply().code(0);
    assert_eq!(world.live("a")["host"], json!("smtp.example.com"));
}

#[test]
fn a_replace_counts_as_a_delete() {
    let mut world = World::new();
    world.target("max_deletes: 1");
    world.settle(&["a", "b", "c", "d"]);
    world.write("connections/a.yaml", &ftp("a", ""));
    world.remove("connections/b.yaml");
    world.commit("replace one, remove one");
    assert_eq!(world.changes(&[]), ["replace a (held)", "delete b (held)"]);
    let summary = world.plan_json(&[])["summary"].clone();
    assert_eq!(summary["held"], json!(2));
    assert_eq!(summary["replace"], json!(1));
    assert_eq!(summary["delete"], json!(1));
    world.apply().code(3);
    assert_eq!(world.live("a")["type"], json!("email"));
    // The trailer in the tip consents to all that is due.
    world.git(&["commit", "-q", "--allow-empty", "-m", "go\n\nAllow-Deletes: true"]);
    world.apply().code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
    assert_eq!(world.names(), ["a", "c", "d"]);
}

#[test]
fn a_count_is_exact_and_a_higher_one_frees_what_is_held() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b", "c"]);
    world.commit_without(&["a"]);
    world.apply().code(3);
    world.commit_email("b", "port: 7\n");
    world.apply().code(3);
    assert_eq!(world.live("b")["port"], json!(7), "everything else goes on");
    world.target("max_deletes: 1");
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn a_path_that_empties_holds_though_another_path_holds_documents() {
    let mut world = World::new();
    world.target("paths: [connections, more]");
    for name in ["a", "b", "c"] {
        world.commit_email(name, "");
    }
    world.write("more/m.yaml", &email("m", ""));
    world.commit("more");
    world.apply().code(0);
    world.remove("more/m.yaml");
    world.commit("the folder is gone");
    world.apply().code(3).says("`more`").says("missing or empty");
    world.commit_email("a", "port: 3\n");
    world.apply().code(3);
    assert!(world.names().contains(&"m".to_owned()), "it stays held in later commits");
    world.write("more/m.yaml", &email("m", ""));
    world.commit("and back");
    world.apply().code(0);
    assert_eq!(world.record()["deletes"], json!({}));
}

#[test]
fn a_missing_path_without_an_inventory_is_an_error() {
    let mut world = World::new();
    world.target("paths: [connectoins]");
    world.commit_email("a", "");
    world.plan().code(1).says("connectoins");
    world.apply().code(1);
    assert!(world.names().is_empty());
}

#[test]
fn a_target_that_is_pointed_elsewhere_starts_with_an_empty_inventory() {
    let mut world = World::new();
    world.target("");
    world.settle(&["a", "b"]);
    let other = World::new();
    other.make(email_body("a"));
    world.config(&one_target(CHECKOUT, "").replace("{url}", &other.url()));
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(other.names(), ["a", "b"], "what was there is nobody's");
    assert_eq!(
        std::fs::read_dir(world.state_dir())
            .unwrap()
            .filter(|f| { f.as_ref().unwrap().path().extension().is_some_and(|e| e == "json") })
            .count(),
        2,
        "the old file is kept"
    );
}

#[test]
fn a_path_that_empties_as_the_config_changes_holds_too() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.commit_email(name, "");
    }
    world.write("more/m.yaml", &email("m", ""));
    world.commit("more");
    world.target("paths: ['.']");
    world.apply().code(0);
    world.target("paths: [connections, more]");
    world.remove("more/m.yaml");
    world.commit("the folder is gone");
    world.apply().code(3).says("`more`").says("missing or empty");
    assert_eq!(world.names(), ["a", "b", "c", "m"]);
}

#[test]
fn a_trailer_consents_to_no_later_removal_of_the_name() {
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
fn replaces_outside_a_narrowed_run_count_too() {
    let mut world = World::settled(&["a", "b", "c", "d", "e"]);
    world.target("max_deletes: 2");
    for name in ["b", "c"] {
        world.write(&format!("connections/{name}.yaml"), &ftp(name, ""));
    }
    world.commit_without(&["a"]);
    world.run(&["apply", "--yes", "--name", "a"]).code(3).says("3 deletes are due");
    world.run(&["apply", "--yes", "--name", "b"]).code(3).says("3 deletes are due");
    assert!(world.writes().is_empty());
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
