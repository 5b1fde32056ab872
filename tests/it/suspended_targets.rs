//! A target that somebody suspended is not written to by an `apply` that does not name it.

use serde_json::json;

use crate::running::{Running, eventually};
use crate::world::{CHECKOUT, World, one_target};

/// A target that a daemon was told to suspend; the daemon has ended.
fn suspended() -> World {
    let mut world = World::settled(&["a", "b"]);
    world.env.insert("ADMIN".into(), "admin".into());
    let config = one_target(CHECKOUT, "");
    world.config(&format!("server: {{token: '${{env:ADMIN}}'}}\n{config}"));
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    assert_eq!(daemon.send(&world, "POST", "/api/v1/suspend", "admin"), 202);
    eventually("the suspension is remembered", || world.record()["suspended"] == json!(true));
    drop(daemon);
    world.forget_calls();
    world
}

#[test]
fn an_apply_holds_a_suspended_target_and_says_so() {
    let world = suspended();
    world.write_email("a", "port: 26\n");
    world.commit_without(&["b"]);
    world.apply().code(3).says("suspended").says("resume");
    assert!(world.writes().is_empty());
    world.plan().code(3).says("suspended");
    for output in ["json", "markdown"] {
        world.run(&["plan", "--output", output]).code(3).says("suspended");
    }
}

#[test]
fn an_apply_writes_once_the_target_is_resumed() {
    let world = suspended();
    world.commit_email("a", "port: 26\n");
    world.apply().code(3).says("suspended");
    let daemon = Running::start(&world, &["--dry-run"]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    assert_eq!(daemon.send(&world, "POST", "/api/v1/resume", "admin"), 202);
    eventually("it is resumed", || world.record()["suspended"] == json!(false));
    drop(daemon);
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(26));
}

#[test]
fn an_apply_to_a_suspended_target_in_sync_ends_with_0() {
    let world = suspended();
    world.apply().code(0).says("suspended");
    world.plan().code(0).says("suspended");
}
