//! A delete needs a commit that removed the name; a config that moved away is none.

use serde_json::json;

use crate::world::{CHECKOUT, World, email, email_body, git_in, one_target};

/// A shallow clone of the repository, and a config that reads it.
fn shallow(world: &mut World, keys: &str) {
    let clone = world.path("shallow");
    drop(std::fs::remove_dir_all(&clone));
    let from = format!("file://{}", world.repo().display());
    git_in(&world.path(""), &["clone", "-q", "--depth", "1", &from, "shallow"]);
    world.source(&format!("path: '{}'", clone.display()), keys);
}

#[test]
fn a_mistyped_path_or_a_lost_state_deletes_nothing() {
    let mut world = World::new();
    world.target("paths: [connections]");
    world.commit_email("a", "");
    world.commit_email("b", "");
    world.write("other/z.yaml", &email("z", ""));
    world.commit("another folder");
    world.apply().code(0);
    world.target("paths: [other]");
    world.apply().code(3).says("no commit removed it");
    assert_eq!(world.names(), ["a", "b", "z"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(3);
    assert_eq!(world.names(), ["a", "b", "z"]);
    world.run(&["apply", "--yes", "--allow-delete", "a"]).code(3);
    assert_eq!(world.names(), ["b", "z"]);
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "z"]);
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
fn a_document_that_leaves_a_target_is_deleted_there() {
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
fn a_shallow_clone_answers_from_the_state() {
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
fn without_prune_a_name_stays_in_the_inventory_while_it_is_not_known_whether_a_commit_removed_it() {
    let mut world = World::new();
    world.commit_email("a", "");
    world.commit_email("b", "");
    shallow(&mut world, "prune: false");
    world.apply().code(0);
    world.commit_without(&["a"]);
    shallow(&mut world, "prune: false\npaths: [connections, overlays]");
    world.apply().code(0);
    assert!(world.remembered("owned").get("a").is_some());
}

#[test]
fn a_due_delete_lasts_until_the_name_is_declared_again() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b", "c"]);
    world.commit_without(&["a", "b"]);
    world.apply().code(3);
    world.commit_email("d", "");
    world.apply().code(3);
    world.commit_email("a", "");
    world.apply().code(3);
    assert_eq!(world.remembered("due").as_object().unwrap().keys().collect::<Vec<_>>(), ["b"]);
    world.target("max_deletes: 2");
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "c", "d"]);
}

#[test]
fn a_file_that_moves_changes_nothing() {
    let world = World::settled(&["a"]);
    world.git(&["mv", "connections/a.yaml", "connections/z.yaml"]);
    world.commit("move");
    world.plan().code(0);
    world.apply().code(0);
    assert!(world.writes().is_empty());
}

#[test]
fn a_narrowed_run_touches_nothing_outside_and_moves_no_commit() {
    let world = World::settled(&["a", "b", "z"]);
    let last_good = || world.record()["last_good"]["commit"].clone();
    let (good, applied) = (last_good(), world.record()["last_applied"].clone());
    world.remove("connections/a.yaml");
    world.remove("connections/b.yaml");
    world.write_email("z", "port: 7\n");
    world.commit("remove two, change one");
    world.run(&["apply", "--yes", "--name", "a*"]).code(0);
    assert_eq!(world.names(), ["b", "z"]);
    assert_ne!(world.live("z")["port"], json!(7));
    assert_eq!(last_good(), good);
    assert_eq!(world.record()["last_applied"], applied);
    world.run(&["apply", "--yes", "--type", "kafka"]).code(0);
    assert_eq!(world.names(), ["b", "z"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["z"]);
}
