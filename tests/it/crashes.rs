//! `kill -9` in the middle of a write: the next run converges, nothing is orphaned.

use std::time::Duration;

use apinizer_gitops::sandbox::Moment;
use reqwest::Method;
use serde_json::json;

use crate::running::Applying;
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
