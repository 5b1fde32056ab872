//! `kill -9` in the middle of a write: the next run converges, nothing is orphaned.

use std::time::Duration;

use apinizer_gitops::testing::sandbox::{Ids, Options};
use reqwest::Method;
use serde_json::json;

use crate::faults::Moment;
use crate::running::{Applying, eventually};
use crate::world::{CANARY, World, email_body};

/// Kills an apply while its first write is held, before or after the server carried it out. An
/// apply that writes nothing runs to its end. Says whether it was killed.
pub(crate) fn kill_at_first_write(world: &World, after: bool) -> bool {
    let moment = if after { Moment::After } else { Moment::Before };
    let gates = [Method::POST, Method::PUT, Method::DELETE]
        .map(|method| world.control().gate(Some(method), "/connections/", moment));
    let mut applying = Applying::start(world);
    while gates.iter().all(|gate| gate.arrived() == 0) {
        if applying.has_ended() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    applying.kill()
}

/// One round: a create, an update, a delete and a bystander, killed, then converged.
fn round(after: bool, moved: bool) {
    let world = World::new();
    world.make(email_body("by-hand"));
    let bystander = world.live("by-hand");
    world.commit_email("kept", "");
    world.commit_email("gone", "");
    assert!(kill_at_first_write(&world, after), "there is a write to kill in");
    world.apply().code(0);
    world.remove("connections/gone.yaml");
    if moved {
        world.write_email("kept", "port: 2626\n");
    }
    world.commit("change");
    assert!(kill_at_first_write(&world, after), "there is a write to kill in");
    world.apply().code(0);
    assert_eq!(world.names(), ["by-hand", "kept"]);
    assert_eq!(world.live("by-hand"), bystander);
    assert_eq!(world.live("kept")["password"], json!(CANARY));
    world.forget_calls();
    world.apply().code(0);
    assert!(world.writes().is_empty());
}

#[test]
fn a_killed_apply_is_made_good_by_the_next() {
    for (after, moved) in [(false, false), (false, true), (true, false), (true, true)] {
        round(after, moved);
    }
}

/// A name that a rename frees may be taken anew in the same run: that call has a note of its own.
#[test]
fn a_done_rename_leaves_the_note_of_who_takes_its_old_name() {
    // Each call takes longer than writing the state, so that the state is written between the two.
    let latency = Duration::from_millis(100);
    let world = World::with(Options { latency, ..Options::default() });
    world.settle(&["a"]);
    world.write_email("a", "port: 7\n");
    world.write_email("b", "x-gitops: {renamedFrom: a}\n");
    world.commit("a becomes b, and another one becomes a");
    let gate = world.control().gate(Some(Method::POST), "/connections/", Moment::After);
    assert!(Applying::until(&world, &gate).kill());
    drop(gate);
    assert_eq!(world.names(), ["a", "b"]);
    // A connection that the killed run made is the tool's: a commit removes it, and so it is deleted.
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}

/// A save may wait for a later answer; while that call hangs, there is none.
#[test]
fn what_was_answered_is_saved_while_another_call_hangs() {
    let world = World::with(Options { ids: Ids::Nowhere, ..Options::default() });
    let kept = (0..10).map(|number| format!("kept-{number}")).collect::<Vec<_>>();
    let names: Vec<&str> = kept.iter().map(String::as_str).chain(["a", "b", "c"]).collect();
    world.settle(&names);
    world.commit_without(&["a", "b", "c"]);
    let gate = world.control().gate(Some(Method::DELETE), "/connections/a/", Moment::After);
    let applying = Applying::start(&world);
    eventually("a delete hangs", || gate.arrived() > 0);
    eventually("the others are in the state", || {
        ["b", "c"].iter().all(|name| !world.state().contains(&format!("\"{name}\":{{\"owned")))
    });
    assert!(applying.kill());
    world.make(email_body("c"));
    let theirs = world.live("c");
    world.apply().code(0);
    assert_eq!(world.live("c"), theirs);
}

#[test]
fn forget_takes_the_note_of_a_killed_create_too() {
    let world = World::settled(&["b"]);
    world.commit_email("a", "");
    assert!(kill_at_first_write(&world, true));
    world.run(&["forget", "a"]).code(0);
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}
