//! A daemon while nothing moves, and what it sees when something does.

use serde_json::json;

use crate::running::{Running, eventually};
use crate::world::World;

const NOTHING_MOVED: &str = "nothing moved since the last reconcile";

/// A daemon that found nothing to do, and then that nothing moved.
fn still(world: &mut World, keys: &str) -> Running {
    world.target(&format!("resync: 1s\n{keys}"));
    world.commit_email("a", "port: 1\n");
    let daemon = Running::start(world, &["-vv"]);
    eventually("still", || daemon.logs().contains(NOTHING_MOVED));
    daemon
}

fn times_still(daemon: &Running) -> usize {
    daemon.logs().matches(NOTHING_MOVED).count()
}

fn state_of(daemon: &Running, world: &World) -> serde_json::Value {
    daemon.status(world)["targets"][0]["state"].clone()
}

#[test]
fn a_resync_while_nothing_moves_reads_the_lists_and_writes_nothing() {
    let mut world = World::new();
    let daemon = still(&mut world, "");
    let state = world.state();
    let before = times_still(&daemon);
    world.forget_calls();
    eventually("more resyncs", || times_still(&daemon) >= before + 2);
    let calls = world.control().take_calls();
    assert!(calls.len() >= 28 && calls.iter().all(|call| call.method == "GET"), "{calls:?}");
    assert_eq!(world.writes(), Vec::<String>::new());
    assert_eq!(world.state(), state);
    let status = daemon.status(&world);
    assert_eq!(status["targets"][0]["state"], json!("in_sync"));
    assert_eq!(status["targets"][0]["connections"][0]["state"], json!("in_sync"));
}

#[test]
fn drift_is_seen_and_after_it_nothing_moves_again() {
    let mut world = World::new();
    let daemon = still(&mut world, "");
    world.edit("a", "port", json!(9));
    eventually("corrected", || world.live("a")["port"] == json!(1));
    let before = times_still(&daemon);
    eventually("still again", || times_still(&daemon) > before);
}

#[test]
fn a_rotated_secret_is_sent() {
    let mut world = World::new();
    let file = world.path("rotating");
    std::fs::write(&file, "first").unwrap();
    world.env.remove("SMTP_PASSWORD");
    world.env.insert("SMTP_PASSWORD_FILE".to_owned(), file.display().to_string());
    world.target("resync: 1s");
    world.commit_email("a", "");
    let daemon = Running::start(&world, &["-vv"]);
    eventually("still", || daemon.logs().contains(NOTHING_MOVED));
    world.forget_calls();
    std::fs::write(&file, "second").unwrap();
    eventually("sent", || world.writes().iter().any(|call| call.starts_with("PUT")));
}

#[test]
fn what_another_process_does_to_the_state_is_seen() {
    let mut world = World::new();
    let daemon = still(&mut world, "");
    world.run(&["forget", "a"]).code(0);
    eventually("taken over again", || {
        let record = world.record();
        record["inventory"]["a"].is_object()
    });
    assert_eq!(state_of(&daemon, &world), json!("in_sync"));
    let file = std::fs::read_dir(world.state_dir()).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|e| e == "json")).unwrap();
    let suspended = world.state().replace("\"suspended\":false", "\"suspended\":true");
    std::fs::write(file, suspended).unwrap();
    eventually("suspended", || state_of(&daemon, &world) == json!("suspended"));
    world.edit("a", "port", json!(9));
    world.forget_calls();
    eventually("looked again", || world.control().calls().len() >= 28);
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn a_connection_that_is_gone_is_made_again() {
    let mut world = World::new();
    let _daemon = still(&mut world, "");
    assert!(world.control().remove(crate::world::PROJECT, "a"));
    eventually("made again", || world.names() == ["a"]);
}
