//! The inventory: what is remembered, who may work on it, and how it is let go.

use std::fs;
use std::time::Duration;

use apinizer_gitops::state::StateDir;
use serde_json::json;

use crate::world::{PROJECT, World, email_body};

#[test]
fn a_plan_leaves_no_trace() {
    let world = World::new();
    world.commit_email("a", "");
    world.plan().code(2).says("deletes cannot be known");
    assert!(!world.state_dir().exists());
    assert!(world.writes().is_empty());
}

#[test]
fn what_is_forgotten_is_left_alone() {
    let world = World::settled(&["a", "b"]);
    world.run(&["forget", "A"]).code(0);
    world.run(&["forget", "a"]).code(1).says("not in the inventory");
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn another_process_is_waited_for_and_named() {
    let world = World::new();
    world.commit_email("a", "");
    let file = StateDir::new(world.state_dir()).file(&world.url(), PROJECT);
    let lock = world.block_on(file.lock(Duration::ZERO, "somebody else")).unwrap();
    world.run(&["apply", "--yes", "--lock-timeout", "1s"]).code(1).says("somebody else");
    assert!(world.writes().is_empty());
    world.plan().code(2);
    drop(lock);
    world.apply().code(0);
}

#[test]
fn a_state_that_cannot_be_read_stops_and_stays() {
    let world = World::settled(&["a"]);
    let file = StateDir::new(world.state_dir()).file(&world.url(), PROJECT);
    let newer =
        fs::read_to_string(file.path()).unwrap().replacen("\"version\":1", "\"version\":9", 1);
    for text in ["{\"version\":1,", newer.as_str()] {
        fs::write(file.path(), text).unwrap();
        world.commit_email("b", "");
        world.apply().code(1).says("the state");
        world.plan().code(1);
        assert!(world.writes().is_empty());
        assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
    }
}

#[test]
fn what_was_made_anew_by_hand_is_not_deleted() {
    let world = World::settled(&["a", "b"]);
    world.apply().code(0);
    assert!(world.control().remove(PROJECT, "a"));
    world.make(email_body("a"));
    world.commit_without(&["a"]);
    world.apply().code(3).says("not what the tool made");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_narrowed_run_touches_nothing_else_and_moves_no_commit() {
    let world = World::settled(&["a", "b", "z"]);
    let (good, applied) =
        (world.record()["last_good"].clone(), world.record()["last_applied"].clone());
    world.remove("connections/a.yaml");
    world.remove("connections/b.yaml");
    world.write_email("z", "port: 7\n");
    world.commit("remove two, change one");
    world.run(&["apply", "--yes", "--name", "a*"]).code(0);
    assert_eq!(world.names(), ["b", "z"]);
    assert_ne!(world.live("z")["port"], json!(7));
    assert_eq!(world.record()["last_good"], good);
    assert_eq!(world.record()["last_applied"], applied);
    world.run(&["apply", "--yes", "--type", "kafka"]).code(0);
    assert_eq!(world.names(), ["b", "z"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["z"]);
}

#[test]
fn a_noted_delete_lasts_and_a_new_declaration_drops_it() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b", "c"]);
    world.commit_without(&["a", "b"]);
    world.apply().code(3);
    world.commit_email("d", "");
    world.apply().code(3);
    world.commit_email("a", "");
    world.apply().code(3);
    assert_eq!(world.record()["deletes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["b"]);
    world.target("max_deletes: 2");
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "c", "d"]);
}

#[test]
fn a_trailer_below_the_tip_consents_to_what_its_commit_removed() {
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
fn a_file_that_moves_changes_nothing() {
    let world = World::settled(&["a"]);
    world.git(&["mv", "connections/a.yaml", "connections/z.yaml"]);
    world.commit("move");
    world.plan().code(0);
    world.apply().code(0);
    assert!(world.writes().is_empty());
}

#[test]
fn forgetting_what_nobody_knows_leaves_no_state() {
    let world = World::new();
    world.run(&["forget", "a"]).code(1).says("not in the inventory");
    assert_eq!(world.state(), "");
    world.commit_email("a", "");
    world.plan().code(2).says("deletes cannot be known");
}

#[test]
fn forgetting_a_declared_name_says_that_the_next_pass_adopts_it() {
    let world = World::settled(&["a", "b"]);
    world.commit_without(&["b"]);
    let ran = world.run(&["forget", "a"]).code(0).says("adopt");
    assert!(!ran.stdout.contains("unmanaged from now on"), "{}", ran.stdout);
    world.run(&["forget", "b"]).code(0).says("unmanaged from now on");
    world.apply().code(0);
    assert_eq!(world.record()["inventory"].as_object().unwrap().keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(world.names(), ["a", "b"]);
}
