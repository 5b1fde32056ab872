//! Deletes, updates and protection where one path patches another: what a commit removed is the
//! merged declaration, and a path that is not read lifts nothing.

use serde_json::json;

use crate::world::{World, email, email_body};

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
fn a_narrowed_rename_keeps_what_the_overlay_touched() {
    let mut world = world("name: a\nport: 2525\n");
    world.remove("base/a.yaml");
    world.remove("over/a.yaml");
    world.write("base/new.yaml", &email("new", "x-gitops: {renamedFrom: a}\n"));
    world.write("over/new.yaml", "name: new\nport: 2525\n");
    world.commit("a is called new, with its overlay");
    world.run(&["apply", "--yes", "--name", "new"]).code(0);
    world.target("paths: [base, ovre]\nmax_deletes: 20");
    world.forget_calls();
    world.apply().code(3).says("ovre");
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.live("new")["port"], json!(2525));
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

/// A base and a patch that protects, in two folders; both are applied.
fn patched() -> World {
    let mut world = World::new();
    world.target("paths: [base, over]");
    world.write("base/a.yaml", &email("a", ""));
    world.write("base/b.yaml", &email("b", ""));
    world.write("over/a.yaml", "name: a\nport: 25\nx-gitops: {protect: true}\n");
    world.write("over/b.yaml", "name: b\ndescription: of the overlay\n");
    world.commit("a base and patches");
    world.apply().code(0);
    world.forget_calls();
    world
}

/// Nothing of what the patch said is taken back, and once it is gone for good the delete waits.
fn holds_what_the_patch_said(world: &World) {
    world.apply().code(3).says("`over").says("is there but not read now");
    world.apply().code(3);
    assert!(!world.writes().iter().any(|call| call.ends_with(" a")));
    assert_eq!(world.live("a")["port"], json!(25));
}

#[test]
fn a_path_that_the_config_no_longer_names_lifts_nothing_while_it_is_there() {
    for paths in ["paths: [base]", "paths: [base, over2]"] {
        let mut world = patched();
        world.write("over2/c.yaml", &email("c", ""));
        world.commit("another folder");
        world.target(paths);
        world.run(&["apply", "--yes", "--name", "a"]).code(3);
        holds_what_the_patch_said(&world);
        world.git(&["rm", "-rq", "base/a.yaml", "over"]);
        world.commit("take both away");
        world.apply().says("protected");
        assert!(world.names().contains(&"a".to_owned()));
    }
}

#[test]
fn a_rename_while_a_layer_is_not_read_waits_and_lifts_nothing() {
    for paths in ["paths: [base]", "paths: [base, voer]", "paths: [base, over]"] {
        let mut world = patched();
        world.target(paths);
        world.remove("base/a.yaml");
        world.write("base/a9.yaml", &email("a9", "x-gitops: {renamedFrom: a}\n"));
        let patch = world.repo().join("over/a.yaml");
        if paths.ends_with("over]") {
            std::fs::remove_file(&patch).unwrap();
            std::os::unix::fs::symlink("../elsewhere.yaml", patch).unwrap();
        } else {
            std::fs::write(patch, "name: a9\nport: 25\nx-gitops: {protect: true}\n").unwrap();
        }
        world.commit("another name");
        world.plan().code(3);
        world.apply().code(3);
        assert!(!world.writes().iter().any(|call| call.contains(" a")), "{paths}");
        world.target("paths: [base, over]");
        world.git(&["rm", "-rqf", "base/a9.yaml", "over/a.yaml"]);
        world.commit("take both away");
        world.apply().says("protected");
        assert_eq!(world.live("a")["port"], json!(25), "{paths}");
    }
}

#[test]
fn consent_ends_what_a_path_outside_the_config_said() {
    let mut world = patched();
    world.target("paths: [base]");
    world.apply().code(3);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    assert_eq!(world.live("a")["port"], json!(587));
    world.write("base/b.yaml", &email("b", "port: 26\n"));
    world.commit("another port");
    world.apply().code(0);
    // The folder still declares it: nothing removed it.
    world.git(&["rm", "-q", "base/a.yaml"]);
    world.commit("take the base away");
    world.apply();
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_patch_that_becomes_a_link_lifts_nothing() {
    let world = patched();
    std::fs::rename(world.repo().join("over/a.yaml"), world.repo().join("elsewhere.yaml")).unwrap();
    std::os::unix::fs::symlink("../elsewhere.yaml", world.repo().join("over/a.yaml")).unwrap();
    world.commit("a link in its place");
    holds_what_the_patch_said(&world);
    world.git(&["rm", "-q", "over/a.yaml", "base/a.yaml"]);
    world.commit("take both away");
    world.apply().says("protected");
    assert_eq!(world.names(), ["a", "b"]);
    // Where the patch alone is taken away, that is a commit's decision.
    let world = patched();
    std::os::unix::fs::symlink("b.yaml", world.repo().join("over/link.yaml")).unwrap();
    world.git(&["rm", "-q", "over/a.yaml"]);
    world.commit("a link that declared nothing");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(587));
}

/// Without a state nobody knows what a path declared that does not exist.
#[test]
fn without_a_state_a_missing_path_holds_deletes() {
    for paths in ["paths: [bsae, over]", "paths: [base, voer]"] {
        let mut world = patched();
        world.write("over/b.yaml", &email("b", ""));
        world.commit("b is complete in both");
        world.apply().code(0);
        world.target(paths);
        world.git(&["rm", "-q", "over/b.yaml", "over/a.yaml", "base/a.yaml"]);
        world.commit("take patches away");
        world.forget_calls();
        world.run(&["apply", "--yes", "--base", "HEAD~1"]);
        assert!(!world.writes().iter().any(|call| call.starts_with("DELETE")), "{paths}");
    }
}

#[test]
fn without_a_state_live_keeps_what_a_missing_path_may_have_declared() {
    for before in ["port: 24\n", ""] {
        let mut world = patched();
        world.write("base/a.yaml", &email("a", before));
        world.commit("a port below the patch");
        world.apply().code(0);
        world.target("paths: [base, voer]");
        world.write("base/a.yaml", &email("a", "port: 26\ndescription: of the base\n"));
        world.commit("another port below the patch");
        world.run(&["plan", "--base", "HEAD~1"]).code(2).says("nobody remembers");
        world.run(&["apply", "--yes", "--base", "HEAD~1"]).code(0);
        let live = world.live("a");
        assert_eq!((&live["port"], &live["description"]), (&json!(25), &json!("of the base")));
    }
}

/// The second overlay patches what is held for the first one, so no name of the state is known to be
/// its own; that is no consent to its loss.
#[test]
fn an_overlay_that_gets_lost_holds_later_deletes_too_where_it_only_patched_what_was_held() {
    let mut world = World::new();
    world.target("paths: [base, over]\nmax_deletes: 20");
    for name in ["a", "b", "c"] {
        world.write(&format!("base/{name}.yaml"), &email(name, ""));
    }
    world.write("over/a.yaml", "name: a\nport: 2525\n");
    world.write("other/a.yaml", "name: a\ndescription: d\n");
    world.commit("a base and two overlays");
    world.apply().code(0);
    world.target("paths: [base, other]\nmax_deletes: 20");
    world.apply().code(3).says("over");
    for path in ["base", "over", "other"] {
        world.remove(&format!("{path}/a.yaml"));
    }
    world.commit("without a");
    world.apply().code(3).says("missing or empty");
    world.remove("base/b.yaml");
    world.commit("without b");
    world.apply().code(3).says("missing or empty");
    assert_eq!(world.names(), ["a", "b", "c"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    assert_eq!(world.names(), ["c"]);
}

#[test]
fn a_rename_that_is_taken_back_leaves_the_old_name_what_the_overlay_says_of_the_new_one() {
    let world = world("name: a\nport: 2525\n");
    world.remove("base/a.yaml");
    world.remove("over/a.yaml");
    world.write("base/new.yaml", &email("new", "x-gitops: {renamedFrom: a, suspend: true}\n"));
    world.write("over/new.yaml", "name: new\nport: 2525\n");
    world.commit("a is to be called new");
    world.apply().code(0);
    for file in ["base/new.yaml", "over/new.yaml", "over/z.yaml"] {
        world.remove(file);
    }
    world.write("base/a.yaml", &email("a", ""));
    world.commit("back to a; the overlay is empty");
    world.forget_calls();
    world.apply().code(3).says("over");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn an_overlay_that_took_a_connection_out_of_the_target_holds_it_once_it_is_lost() {
    let mut world = world("name: a\nx-gitops: {targets: []}\n");
    assert!(!world.names().contains(&"a".to_owned()));
    let mut by_hand = email_body("a");
    by_hand["port"] = json!(99);
    world.make(by_hand);
    world.target("paths: [base]\nmax_deletes: 20");
    world.forget_calls();
    world.apply().code(3).says("over");
    assert_eq!(world.writes(), [""; 0]);
}
