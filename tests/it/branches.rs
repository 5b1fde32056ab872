//! A removal on another branch, or in a narrowed run, deletes nothing elsewhere.

use axum::http::Method;
use serde_json::json;

use crate::faults::Fault;
use crate::world::{World, email, ftp, refusal};

/// A world in which `connections` declares `a` and `others`, and `other` declares the same `others`;
/// the branch `try` is at hand.
fn world(keys: &str, others: &[&str]) -> World {
    let mut world = World::new();
    world.target(keys);
    for name in others {
        world.write(&format!("other/{name}.yaml"), &email(name, ""));
    }
    world.settle(&[&["a"], others].concat());
    world.git(&["branch", "try"]);
    world
}

fn on_the_branch(world: &World, change: impl FnOnce()) {
    world.git(&["checkout", "-q", "try"]);
    change();
    world.git(&["checkout", "-q", "main"]);
}

fn refuse_deletes(world: &World, run: impl FnOnce()) {
    world.control().fail_next(Some(Method::DELETE), "/", Fault::Forbidden, 99);
    run();
    world.control().clear_faults();
}

#[test]
fn a_name_that_a_narrowed_run_saw_missing_is_not_due_outside_it() {
    for seen in ["a", "b"] {
        let mut world = world("max_deletes: 0", &["b", "c"]);
        on_the_branch(&world, || drop(world.commit_without(&["a"])));
        world.run(&["apply", "--yes", "--rev", "try", "--name", seen]);
        world.target("paths: [other]");
        world.apply().code(3).says("no commit removed it");
        assert_eq!(world.names(), ["a", "b", "c"], "narrowed to {seen}");
    }
}

#[test]
fn a_removal_on_another_branch_is_not_due_here() {
    let mut world = world("max_deletes: 3", &["b", "c", "d"]);
    on_the_branch(&world, || drop(world.commit_without(&["a"])));
    refuse_deletes(&world, || drop(world.run(&["apply", "--yes", "--rev", "try"]).code(1)));
    world.target("paths: [other]");
    world.apply().code(3).says("no commit removed it");
    assert_eq!(world.names(), ["a", "b", "c", "d"]);
    // A removal on this branch is one.
    world.target("max_deletes: 3");
    world.apply().code(0);
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c", "d"]);
}

#[test]
fn a_type_that_another_branch_changed_is_not_changed_here() {
    let mut world = world("max_deletes: 3", &["b", "c", "d"]);
    world.write("other/a.yaml", &ftp("a", ""));
    world.commit("another a elsewhere");
    world.apply().code(0);
    on_the_branch(&world, || {
        world.write("connections/a.yaml", &ftp("a", ""));
        world.commit("a is ftp");
    });
    refuse_deletes(&world, || drop(world.run(&["apply", "--yes", "--rev", "try"]).code(1)));
    world.target("paths: [other]");
    world.apply().code(3).says("no commit changed its type");
    assert_eq!(world.live("a")["type"], json!("email"));
}

#[test]
fn a_trailer_of_another_branch_consents_to_nothing_here() {
    let world = world("max_deletes: 0", &["b", "c"]);
    on_the_branch(&world, || {
        world.remove("connections/a.yaml");
        world.git(&["commit", "-qam", "Remove a\n\nAllow-Deletes: true"]);
    });
    refuse_deletes(&world, || drop(world.run(&["apply", "--yes", "--rev", "try"]).code(1)));
    world.commit_without(&["a"]);
    world.apply().code(3).says("max_deletes");
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn an_amended_commit_asks_for_the_same_deletes() {
    let world = world("max_deletes: 0", &["b", "c"]);
    world.commit_without(&["a"]);
    world.apply().code(3);
    world.git(&["commit", "-q", "--amend", "-m", "Remove a\n\nAllow-Deletes: true"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn a_narrowed_run_drops_the_notes_of_names_that_are_declared_again() {
    let world = world("max_deletes: 0", &["b", "c"]);
    world.remove("connections/a.yaml");
    world.git(&["commit", "-qam", "Remove a\n\nAllow-Deletes: true"]);
    world.control().fail_next(Some(Method::DELETE), "/a/", refusal("not now"), 1);
    world.apply().code(1);
    world.git(&["revert", "--no-edit", "HEAD"]);
    world.run(&["apply", "--yes", "--name", "b"]).code(0);
    world.commit_without(&["a"]);
    world.apply().code(3);
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn a_replace_stays_due_over_a_mistyped_path() {
    for (elsewhere, why) in [(false, "no commit removed it"), (true, "no commit changed its type")]
    {
        let mut world = world("max_deletes: 3", &["b", "c", "d"]);
        if elsewhere {
            world.write("other/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
            world.commit("another a elsewhere");
            world.apply().code(0);
        }
        world.write("connections/a.yaml", &ftp("a", ""));
        world.commit("a is ftp");
        refuse_deletes(&world, || drop(world.apply().code(1)));
        world.target("paths: [other]");
        world.apply().code(3).says(why);
        world.target("max_deletes: 3");
        world.apply().code(0);
        assert_eq!(world.live("a")["type"], json!("ftp"));
    }
}

#[test]
fn an_older_commit_that_declares_a_name_leaves_the_delete_of_a_newer_one() {
    for narrow in [&["--name", "b"][..], &[]] {
        let world = world("max_deletes: 3", &["b", "c", "d"]);
        world.remove("connections/a.yaml");
        world.write("connections/c.yaml", &ftp("c", ""));
        world.commit("without a, and c is ftp");
        refuse_deletes(&world, || drop(world.apply().code(1)));
        let older = [&["apply", "--yes", "--rev", "HEAD~1"], narrow].concat();
        world.run(&older).code(0);
        world.apply().code(0);
        assert_eq!(world.names(), ["b", "c", "d"], "{narrow:?}");
        assert_eq!(world.live("c")["type"], json!("ftp"), "{narrow:?}");
    }
}

#[test]
fn the_trailer_of_the_tip_consents_in_a_shallow_clone_too() {
    let mut world = world("max_deletes: 0", &["b", "c"]);
    let shallow = world.path("shallow").display().to_string();
    let clone = |world: &World| {
        drop(std::fs::remove_dir_all(world.path("shallow")));
        let url = format!("file://{}", world.repo().display());
        world.git(&["clone", "-q", "--depth=1", &url, &shallow]);
    };
    clone(&world);
    world.source(&format!("path: '{shallow}'"), "max_deletes: 0");
    world.apply().code(0);
    world.commit_without(&["a"]);
    clone(&world);
    world.apply().code(3).says("max_deletes");
    world.commit("say so\n\nAllow-Deletes: true");
    clone(&world);
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn a_shallow_clone_that_could_not_tell_is_asked_again() {
    let mut world = world("max_deletes: 3", &["b", "c", "d"]);
    let shallow = world.path("shallow").display().to_string();
    world.source(&format!("path: '{shallow}'"), "paths: [connections, more]");
    world.remove("connections/a.yaml");
    world.write("connections/b.yaml", &ftp("b", ""));
    world.write("more/e.yaml", &email("e", ""));
    world.commit("remove a, b is ftp, and another path");
    let url = format!("file://{}", world.repo().display());
    world.git(&["clone", "-q", "--depth=1", &url, &shallow]);
    for _ in 0..2 {
        world.apply().code(3).says("no longer has the last good commit");
    }
    world.git(&["-C", &shallow, "fetch", "-q", "--unshallow"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c", "d", "e"]);
    assert_eq!(world.live("b")["type"], json!("ftp"));
}
