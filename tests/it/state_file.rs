//! The file of the state: who may work on it, and what a run leaves in it.

use std::fs;
use std::fs::File;
use std::time::Duration;

use apinizer_gitops::testing::state::StateFile;

use crate::running::eventually;
use crate::world::{PROJECT, World, git_in};

#[test]
fn a_plan_leaves_no_trace() {
    let world = World::new();
    world.commit_email("a", "");
    world.plan().code(2).says("deletes cannot be known");
    assert!(!world.state_dir().exists());
    assert!(world.writes().is_empty());
}

#[test]
fn another_process_on_the_state_is_waited_for_and_named() {
    let world = World::new();
    world.commit_email("a", "");
    let file = StateFile::of(&world.state_dir(), &world.url(), PROJECT);
    let lock = world.block_on(file.lock(Duration::ZERO, "somebody else")).unwrap();
    world.run(&["apply", "--yes", "--lock-timeout", "1s"]).code(1).says("somebody else");
    assert!(world.writes().is_empty());
    world.plan().code(2);
    drop(lock);
    world.apply().code(0);
}

#[test]
fn a_state_that_cannot_be_read_stops_the_tool_and_stays() {
    let world = World::settled(&["a"]);
    let file = StateFile::of(&world.state_dir(), &world.url(), PROJECT);
    let newer =
        fs::read_to_string(file.path()).unwrap().replacen("\"version\":2", "\"version\":9", 1);
    for text in ["{\"version\":1,", newer.as_str()] {
        fs::write(file.path(), text).unwrap();
        world.commit_email("b", "");
        world.apply().code(1).says("the state");
        world.plan().code(1);
        assert!(world.writes().is_empty());
        assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
    }
}

/// The exit code of an apply that waits for the lock of the state, while something happens.
fn waiting_apply(world: &World, meanwhile: impl FnOnce()) -> Option<i32> {
    let state = std::fs::read_dir(world.state_dir()).unwrap();
    let mut lock = state
        .map(|entry| entry.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "lock"));
    let lock = File::options().write(true).open(lock.next().unwrap()).unwrap();
    lock.lock().unwrap();
    let mut waiting = world.command(&["apply", "--yes"]).spawn().unwrap();
    let files = format!("/proc/{}/fd", waiting.id());
    eventually("it waits for the lock", || {
        let open = std::fs::read_dir(&files).into_iter().flatten().flatten();
        open.filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|path| path.extension().is_some_and(|e| e == "lock"))
    });
    meanwhile();
    world.forget_calls();
    lock.unlock().unwrap();
    waiting.wait().unwrap().code()
}

#[test]
fn an_apply_that_waited_for_the_lock_does_not_apply_an_older_commit() {
    let world = World::settled(&["a"]);
    world.commit_email("b", "");
    let newer = world.git(&["rev-parse", "HEAD"]).trim().to_owned();
    world.apply().code(0);
    world.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let code = waiting_apply(&world, || {
        world.git(&["reset", "-q", "--hard", &newer]);
    });
    assert_eq!(code, Some(1));
    assert!(world.writes().is_empty());
    // A branch that was moved back is another thing.
    world.git(&["reset", "-q", "--hard", "HEAD~1"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn an_apply_that_waited_in_a_shallow_clone_does_not_apply_an_older_commit() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.commit_email(name, "");
    }
    let shallow = world.path("shallow");
    let from = format!("file://{}", world.repo().display());
    world.git(&["clone", "-q", "--depth=1", &from, shallow.to_str().unwrap()]);
    world.source(&format!("path: '{}'", shallow.display()), "");
    world.apply().code(0);
    let older = git_in(&shallow, &["rev-parse", "HEAD"]).trim().to_owned();
    for name in ["c", "d"] {
        world.commit_email(name, "");
    }
    git_in(&shallow, &["fetch", "-q", "--depth=1", "origin", "main"]);
    git_in(&shallow, &["reset", "-q", "--hard", "FETCH_HEAD"]);
    world.apply().code(0);
    git_in(&shallow, &["reset", "-q", "--hard", &older]);
    let code = waiting_apply(&world, || {
        git_in(&shallow, &["reset", "-q", "--hard", "FETCH_HEAD"]);
    });
    assert_eq!(code, Some(1));
    assert_eq!(world.names(), ["a", "b", "c", "d"]);
}
