//! Deletes, updates and protection where one path patches another: what a commit removed is the
//! merged declaration, and a path that is not read lifts nothing.

use serde_json::json;

use crate::world::{World, email};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// `base` declares eight connections; `over` patches `a` and declares `z`.
fn world(patch: &str) -> World {
    let mut world = World::new();
    world.target("paths: [base, over]\nmax_deletes: 20");
    for name in NAMES {
        world.write(&format!("base/{name}.yaml"), &email(name, ""));
    }
    world.write("over/a.yaml", patch);
    world.write("over/z.yaml", &email("z", ""));
    world.commit("a base and an overlay");
    world.apply().code(0);
    world.forget_calls();
    world
}

/// A patch that is a whole document by itself.
fn whole_patch(more: &str) -> String {
    email("a", more)
}

#[track_caller]
fn all_are_live(world: &World) {
    let mut names = world.names();
    names.retain(|name| NAMES.contains(&name.as_str()));
    assert_eq!(names, NAMES);
}

#[test]
fn a_patch_that_leaves_removes_nothing_while_the_path_of_its_base_is_mistyped() {
    let mut world = world(&whole_patch("port: 2525\n"));
    world.target("paths: [bsae, over]\nmax_deletes: 20");
    world.apply().code(3);
    world.remove("over/a.yaml");
    world.commit("the patch leaves, the connection stays");
    world.apply().code(3);
    all_are_live(&world);
    world.run(&["apply", "--yes"]).code(3);
    world.commit("another commit");
    world.apply().code(3);
    all_are_live(&world);
    assert!(world.writes().is_empty());
    world.target("paths: [base, over]\nmax_deletes: 20");
    world.apply().code(0);
    all_are_live(&world);
    assert_ne!(world.live("a")["port"], json!(2525), "only the patch has left");
}

#[test]
fn a_patch_that_leaves_removes_nothing_while_no_path_reads_its_base() {
    let mut world = world(&whole_patch("port: 2525\n"));
    world.target("paths: [over]\nmax_deletes: 20");
    world.apply().code(3).says("no commit removed it");
    world.remove("over/a.yaml");
    world.commit("the patch leaves, the connection stays");
    world.apply().code(3).says("no commit removed it");
    all_are_live(&world);
}

#[test]
fn consent_to_due_deletes_makes_no_path_forgotten_that_still_declares_something() {
    let mut world = world(&whole_patch("port: 2525\n"));
    world.target("paths: [over]\nmax_deletes: 20");
    world.run(&["apply", "--yes", "--allow-deletes"]).code(3).says("no commit removed it");
    world.remove("over/a.yaml");
    world.commit("the patch leaves, the connection stays");
    world.apply().code(3).says("no commit removed it");
    all_are_live(&world);
}

#[test]
fn a_base_that_leaves_removes_nothing_while_no_path_reads_its_patch() {
    let mut world = world(&whole_patch("port: 2525\n"));
    world.target("paths: [base]\nmax_deletes: 20");
    world.apply();
    world.remove("base/a.yaml");
    world.commit("the base leaves, the overlay still declares it");
    world.apply().code(3);
    all_are_live(&world);
}

#[test]
fn a_patch_and_its_base_that_leave_together_remove_the_connection() {
    let world = world(&whole_patch("port: 2525\n"));
    world.remove("over/a.yaml");
    world.remove("base/a.yaml");
    world.commit("both layers leave");
    world.apply().code(0);
    assert!(!world.names().contains(&"a".to_owned()));
}

/// An overlay that protects `a`, whose path is missing or empty for one apply.
fn protected_by_the_overlay() -> World {
    world("name: a\nport: 2525\nx-gitops: {protect: true}\n")
}

#[test]
fn a_mistyped_overlay_path_writes_nothing_that_the_overlay_touched() {
    let mut world = protected_by_the_overlay();
    world.write("base/b.yaml", &email("b", "port: 26\n"));
    world.commit("another port for b");
    world.target("paths: [base, ovre]\nmax_deletes: 20");
    world.plan().code(3).says("ovre");
    world.apply().code(3).says("ovre");
    assert_eq!(world.live("a")["port"], json!(2525), "what the overlay declared stays");
    assert_eq!(world.live("b")["port"], json!(26), "the overlay did not touch it");
    assert_eq!(world.writes(), ["PUT b"]);
    assert!(world.names().contains(&"z".to_owned()));
}

#[test]
fn a_mistyped_overlay_path_lifts_no_protection() {
    let mut world = protected_by_the_overlay();
    world.target("paths: [base, ovre]\nmax_deletes: 20");
    world.apply().code(3);
    world.target("paths: [base, over]\nmax_deletes: 20");
    world.apply().code(0);
    world.remove("base/a.yaml");
    world.remove("over/a.yaml");
    world.commit("remove a, which every commit protected");
    world.apply().code(3).says("protected");
    all_are_live(&world);
}

#[test]
fn a_removal_that_comes_with_the_right_path_is_held_by_protection() {
    let mut world = protected_by_the_overlay();
    world.target("paths: [base, ovre]\nmax_deletes: 20");
    world.apply();
    world.target("paths: [base, over]\nmax_deletes: 20");
    world.remove("base/a.yaml");
    world.remove("over/a.yaml");
    world.commit("remove a, which every commit protected");
    world.apply().code(3).says("protected");
    world.apply().code(3).says("protected");
    all_are_live(&world);
}

#[test]
fn a_removal_while_the_overlay_path_is_mistyped_is_held_by_protection() {
    let mut world = protected_by_the_overlay();
    world.target("paths: [base, ovre]\nmax_deletes: 20");
    world.apply().code(3);
    world.remove("base/a.yaml");
    world.remove("over/a.yaml");
    world.commit("remove a meanwhile");
    world.apply().code(3);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(3);
    all_are_live(&world);
    world.target("paths: [base, over]\nmax_deletes: 20");
    world.apply().code(3).says("protected");
    all_are_live(&world);
}

#[test]
fn an_overlay_path_that_a_commit_emptied_holds_the_updates_of_its_names() {
    let world = protected_by_the_overlay();
    world.remove("over/a.yaml");
    world.remove("over/z.yaml");
    world.write("over/.keep", "");
    world.write("base/b.yaml", &email("b", "port: 26\n"));
    world.commit("empty the overlay");
    world.apply().code(3).says("over");
    assert_eq!(world.live("a")["port"], json!(2525));
    assert_eq!(world.writes(), ["PUT b"]);
    world.apply().code(3).says("over");
    // Consent is given with the flag.
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    assert_ne!(world.live("a")["port"], json!(2525));
    assert!(!world.names().contains(&"z".to_owned()));
}

#[test]
fn the_trailer_consents_to_the_updates_of_an_emptied_overlay_path() {
    let world = protected_by_the_overlay();
    world.remove("over/a.yaml");
    world.remove("over/z.yaml");
    world.write("over/.keep", "");
    world.commit("empty the overlay\n\nAllow-Deletes: true");
    world.apply().code(0);
    assert_ne!(world.live("a")["port"], json!(2525));
    assert!(!world.names().contains(&"z".to_owned()));
}
