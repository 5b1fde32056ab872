//! What a run leaves behind that looks at a part of a commit: narrowed, of the working tree, or of a
//! commit that did not load whole. It writes, and the last good commit stays an older one.

use serde_json::json;

use crate::world::{PROJECT, World, email};

const KEYS: &str = "on_invalid: isolate\nmax_deletes: 20";

fn paths(world: &mut World, paths: &str) {
    world.target(&format!("paths: [{paths}]\n{KEYS}"));
}

/// `base` declares `a` to `d`, which are live.
fn settled() -> World {
    let mut world = World::new();
    paths(&mut world, "base");
    for name in ["a", "b", "c", "d"] {
        world.write(&format!("base/{name}.yaml"), &email(name, ""));
    }
    world.commit("declare them");
    world.apply().code(0);
    world.forget_calls();
    world
}

/// `a` moves to the path `over`, which patches and protects `b`.
fn over_has_a_say(world: &mut World) {
    world.remove("base/a.yaml");
    world.write("over/a.yaml", &email("a", "description: moved\n"));
    world.write("over/b.yaml", "name: b\nport: 2525\nx-gitops: {protect: true}\n");
    paths(world, "base, over");
}

#[test]
fn what_it_read_of_a_path_is_known_when_the_path_is_mistyped() {
    let ways: [fn(&World); 3] = [
        |world| {
            world.commit("over has a say");
            world.run(&["apply", "--yes", "--name", "a", "--name", "b"]).code(0);
        },
        |world| {
            world.run(&["apply", "--yes", "--worktree"]).code(0);
            world.commit("over has a say");
        },
        |world| {
            world.write("base/z.yaml", "type: emial\nname: z\n");
            world.commit("over has a say, and z is not valid");
            world.apply().code(1);
            world.remove("base/z.yaml");
            world.commit("z is gone");
        },
    ];
    for partial_run in ways {
        let mut world = settled();
        over_has_a_say(&mut world);
        partial_run(&world);
        paths(&mut world, "base, ovre");
        world.forget_calls();
        world.apply().code(3).says("ovre");
        assert_eq!(world.writes(), [""; 0]);
        assert!(world.remembered("owned")["b"]["protect"].as_bool().unwrap());
    }
}

#[test]
fn what_it_read_of_a_path_is_known_when_a_commit_empties_the_path() {
    let mut world = settled();
    over_has_a_say(&mut world);
    world.commit("over has a say");
    world.run(&["apply", "--yes", "--name", "a", "--name", "b"]).code(0);
    world.git(&["rm", "-rq", "over"]);
    world.write("over/README.md", "nothing here\n");
    world.commit("over is empty");
    world.forget_calls();
    world.apply().code(3).says("over");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_path_that_is_not_there_is_an_error_until_a_commit_was_read_whole() {
    let mut world = World::new();
    paths(&mut world, "base, over");
    world.write("base/a.yaml", &email("a", ""));
    world.write("over/a.yaml", "name: a\nport: 2525\n");
    world.commit("a and its overlay");
    world.run(&["apply", "--yes", "--name", "a"]).code(0);
    paths(&mut world, "base, ovre");
    world.forget_calls();
    world.apply().code(1).says("the path `ovre` does not exist");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_file_that_only_it_read_blocks_its_names_once_it_is_broken() {
    let mut world = settled();
    over_has_a_say(&mut world);
    world.write("base/z.yaml", "type: emial\nname: z\n");
    world.commit("over has a say, and z is not valid");
    world.apply().code(1);
    world.write("over/b.yaml", "name: b\nport: [2525\n");
    world.commit("the patch of b is broken");
    world.forget_calls();
    world.apply().code(1).says("over/b.yaml, which declared it, cannot be read");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_connection_that_it_makes_anew_was_removed_by_no_commit() {
    let gone: [fn(&World); 2] = [
        |world| {
            world.remove("base/a.yaml");
            world.commit("a leaves");
            world.run(&["apply", "--yes", "--name", "a"]).code(0);
        },
        |world| {
            world.remove("base/a.yaml");
            world.write("base/new.yaml", &email("new", "x-gitops: {renamedFrom: a}\n"));
            world.commit("a is called new");
            world.run(&["apply", "--yes", "--name", "new"]).code(0);
            world.write("base/new.yaml", &email("new", ""));
            world.commit("renamedFrom is no longer needed");
        },
    ];
    for a_goes in gone {
        let world = settled();
        a_goes(&world);
        world.git(&["checkout", "-qb", "feature"]);
        world.write("base/a.yaml", &email("a", "description: another\n"));
        world.commit("another a");
        world.run(&["apply", "--yes", "--rev", "feature", "--name", "a"]).code(0);
        world.git(&["checkout", "-q", "main"]);
        world.apply().code(3).says("no commit removed it");
        assert_eq!(world.live("a")["description"], json!("another"));
    }
}

#[test]
fn the_trailer_of_its_commit_consents_to_no_later_loss() {
    let mut world = settled();
    over_has_a_say(&mut world);
    world.commit("over has a say");
    world.apply().code(0);
    world.write("base/z.yaml", "type: emial\nname: z\n");
    world.commit("z is not valid\n\nAllow-Deletes: true");
    world.apply().code(1);
    paths(&mut world, "base, ovre");
    world.forget_calls();
    world.apply().code(1).says("ovre");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn the_hold_of_what_it_read_lasts_over_another_such_run() {
    let mut world = settled();
    over_has_a_say(&mut world);
    world.write("base/z.yaml", "type: emial\nname: z\n");
    world.commit("over has a say, and z is not valid");
    world.apply().code(1);
    paths(&mut world, "base, ovre");
    world.forget_calls();
    for _ in 0..3 {
        world.apply().code(1).says("ovre");
    }
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_connection_that_was_deleted_by_hand_and_that_it_makes_again_is_gits() {
    let world = settled();
    assert!(world.control().remove(PROJECT, "a"));
    world.run(&["apply", "--yes", "--name", "a"]).code(0);
    world.remove("base/a.yaml");
    world.commit("a leaves");
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c", "d"]);
}

#[test]
fn a_path_that_it_saw_nothing_of_is_not_lost_later() {
    let mut world = settled();
    paths(&mut world, "base, extra");
    world.write("extra/x.yaml", &email("x", ""));
    world.run(&["apply", "--yes", "--worktree", "--name", "a"]).code(0);
    world.remove("extra/x.yaml");
    world.remove("base/a.yaml");
    world.git(&["commit", "-qam", "a leaves"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c", "d"]);
}
