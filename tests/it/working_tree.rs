//! A working tree in the middle of a change is no decision to delete.

use serde_json::json;

use crate::world::{World, email, ftp};

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
    assert_eq!(world.remembered("due"), json!({}));
    world.remove("connections/a.yaml");
    world.run(&["apply", "--yes", "--worktree", "--allow-deletes"]).code(0);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn a_name_that_a_working_tree_lacks_was_removed_by_no_commit() {
    let mut world = World::settled(&["a", "b"]);
    world.write("other/b.yaml", &email("b", ""));
    world.commit("the same elsewhere");
    world.apply();
    world.remove("connections/a.yaml");
    world.run(&["apply", "--yes", "--worktree"]).code(3);
    world.git(&["checkout", "-q", "."]);
    world.target("paths: [other]");
    world.apply().code(3).says("no commit removed it");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn what_a_plan_does_not_look_at_is_told_in_every_output() {
    let world = World::new();
    world.write("connections/notes.txt", "not a document");
    world.write("connections/w.yaml", "type: email\nname: w\nhost: h\nhots: x\n");
    world.commit_email("a", "");
    let plan = |more: &[&str]| world.run(&[&["plan"], more].concat());
    assert!(!plan(&[]).stdout.contains("not committed"));
    world.write_email("b", "");
    world.write_email("a", "port: 1\n");
    for output in ["text", "json", "markdown"] {
        plan(&["--output", output])
            .says("not committed are not read without --worktree: connections/a.yaml, connections/b.yaml")
            .says("notes.txt is skipped")
            .says("hots");
        plan(&["--output", output, "--name", "nope"]).says("the filter matches no connection");
        plan(&["--output", output, "--name", "nope", "--name", "a*"])
            .says("`--name nope` matches no connection");
    }
    assert!(!plan(&["--worktree"]).stdout.contains("not committed"));
}
