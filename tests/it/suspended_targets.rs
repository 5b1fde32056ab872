//! A target that somebody suspended is not written to by an `apply` that does not name it.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use apinizer_gitops::testing::state::StateFile;

use crate::faults::{Fault, Moment};
use crate::fleet::{TARGETS, fleet, project};
use crate::history::events;
use crate::running::{Running, eventually};
use crate::world::{CHECKOUT, World, one_target, refusal};

/// A target that a daemon was told to suspend; the daemon has ended.
fn suspended() -> World {
    let mut world = World::settled(&["a", "b"]);
    world.env.insert("APINIZER_GITOPS_TOKEN".into(), "admin".into());
    let config = one_target(CHECKOUT, "");
    world.config(&format!("server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{config}"));
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    world
        .run(&["suspend", "--server", &daemon.address])
        .code(0)
        .says("asked to suspend every target");
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
    world.apply().code(3).says("suspended").says("apinizer-gitops resume --target 'default'");
    assert!(world.writes().is_empty());
    world.plan().code(3).says("suspended");
    for output in ["json", "markdown"] {
        world.run(&["plan", "--output", output]).code(3).says("suspended");
    }
    world.run(&["run", "--once"]).code(3).says("held: the target is suspended");
    assert!(world.writes().is_empty());
}

#[test]
fn a_suspension_that_was_accepted_outlives_the_end_of_the_daemon() {
    for _ in 0..5 {
        let mut world = World::settled(&["a"]);
        world.env.insert("APINIZER_GITOPS_TOKEN".into(), "admin".into());
        let config = one_target(CHECKOUT, "");
        world.config(&format!("server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{config}"));
        let mut daemon = Running::start(&world, &[]);
        eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
        world.run(&["suspend", "--server", &daemon.address]).code(0);
        daemon.signal("-TERM");
        assert_eq!(daemon.ends(), 0);
        assert_eq!(world.record()["suspended"], json!(true));
    }
}

#[test]
fn an_apply_writes_once_the_target_is_resumed() {
    let world = suspended();
    world.commit_email("a", "port: 26\n");
    world.apply().code(3).says("suspended");
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    let order = |words: &[&str]| world.run(&[words, &["--server", &daemon.address]].concat());
    order(&["reconcile", "--wait"]).code(1).says("default: suspended");
    order(&["resume", "--target", "nope"]).code(1).says("404").says("no target `nope`");
    order(&["resume", "--target", "default"]).code(0).says("asked to resume default");
    eventually("it is resumed", || world.record()["suspended"] == json!(false));
    eventually("it is written", || world.live("a")["port"] == json!(26));
    eventually("it is told", || events(&world, &[]).last().unwrap()["event"] == "update");
    let update = events(&world, &[]).pop().unwrap();
    assert_eq!(update["cause"], "suspension");
    assert_eq!(update["by"], "a request from 127.0.0.1", "the write follows from the request");
    world.edit("a", "port", json!(99));
    order(&["reconcile", "--target", "default", "--wait"]).code(0).says("default: applied");
    assert_eq!(world.live("a")["port"], json!(26));
    order(&["reconcile", "--wait"]).code(0).says("default: in sync");
    order(&["reconcile"]).code(0).says("asked to reconcile every target");
    drop(daemon);
    world.apply().code(0);
}

#[test]
fn an_apply_to_a_suspended_target_in_sync_ends_with_0() {
    let world = suspended();
    world.apply().code(0).says("suspended");
    world.plan().code(0).says("suspended");
}

#[test]
fn protect_counts_from_a_pass_over_a_suspended_target() {
    let world = suspended();
    world.write_email("b", "x-gitops: {protect: true}\n");
    world.commit("protect b");
    world.apply().code(0).says("suspended");
    world.commit_without(&["b"]);
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    assert_eq!(daemon.send(&world, "POST", "/api/v1/resume", "admin"), 202);
    eventually("it is resumed", || world.record()["suspended"] == json!(false));
    drop(daemon);
    world.apply().code(3).says("protect");
    assert_eq!(world.names(), ["a", "b"]);
}

/// A daemon that takes orders with the token `admin`.
fn administered() -> (World, Running) {
    let mut world = World::settled(&["a"]);
    world.env.insert("APINIZER_GITOPS_TOKEN".into(), "admin".into());
    let config = one_target(CHECKOUT, "");
    world.config(&format!("server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{config}"));
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    (world, daemon)
}

#[test]
fn a_suspension_that_is_taken_back_at_once_is_told_while_the_target_retries() {
    let (world, daemon) = administered();
    world.control().fail_next(Some(Method::PUT), "/a/", Fault::Error, 1000);
    world.commit_email("a", "port: 26\n");
    eventually("some retries", || world.control().struck() > 1);
    for verb in ["suspend", "resume", "suspend", "resume"] {
        assert_eq!(daemon.send(&world, "POST", &format!("/api/v1/{verb}"), "admin"), 202);
    }
    world.control().clear_faults();
    eventually("it is written", || world.live("a")["port"] == json!(26));
    let told = || {
        let events = events(&world, &[]).into_iter();
        let asked_for = |event: &Value| event["by"] == "a request from 127.0.0.1";
        // The write follows from the last of the requests.
        let told = events.filter(|event| asked_for(event) && event["event"] != "update");
        told.map(|event| event["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    eventually("each is told", || told().len() == 4);
    assert_eq!(told(), ["suspended", "resumed", "suspended", "resumed"]);
    let logs = daemon.logs();
    let lines = ["the target is suspended", "the target is resumed"];
    assert_eq!(lines.map(|line| logs.matches(line).count()), [2, 2], "{logs}");
    assert_eq!(world.record()["suspended"], json!(false));
}

#[test]
fn the_write_of_a_retry_names_who_asked_for_the_reconcile_that_failed() {
    let (world, daemon) = administered();
    world.control().fail_next(Some(Method::PUT), "/a/", refusal("not now"), 1);
    world.edit("a", "host", json!("typed.by.hand"));
    assert_eq!(daemon.send(&world, "POST", "/api/v1/reconcile", "admin"), 202);
    eventually("it is corrected", || world.live("a")["host"] != json!("typed.by.hand"));
    let update = || {
        let mut events = events(&world, &["--name", "a"]);
        events.retain(|event| event["event"] == "update" && event["result"] == "done");
        events.pop()
    };
    eventually("it is told", || update().is_some());
    let update = update().unwrap();
    assert_eq!(
        (&update["cause"], &update["by"]),
        (&json!("retry"), &json!("a request from 127.0.0.1"))
    );
}

#[test]
fn a_suspension_outlives_a_reload_and_a_state_that_is_deleted() {
    let (world, daemon) = administered();
    assert_eq!(daemon.send(&world, "POST", "/api/v1/suspend", "admin"), 202);
    daemon.signal("-HUP");
    eventually("the suspension is remembered", || world.record()["suspended"] == json!(true));
    let target = || daemon.status(&world)["targets"][0].clone();
    eventually("it is suspended", || target()["state"] == json!("suspended"));
    std::fs::remove_file(world.state_file()).unwrap();
    world.commit_email("late", "");
    let is_told = |text: String| text.contains("found to be gone") && text.contains("suspended");
    eventually("it is told", || is_told(target()["notices"].to_string()));
    assert_eq!((target()["state"].as_str(), world.names()), (Some("suspended"), vec!["a".into()]));
    assert_eq!(world.record()["suspended"], json!(true), "other processes know too");
    world.run(&["reconcile", "--wait", "--server", &daemon.address]).code(1).says("suspended");
    let told = daemon.logs().matches("the target lost its state").count();
    assert_eq!(told, 1, "{}", daemon.logs());
    world.run(&["history"]).code(0).says("the target lost its state: what git declares");
}

/// A person who suspends in an emergency waits for no call.
#[test]
fn a_suspension_is_saved_while_a_call_hangs_and_no_other_call_starts() {
    for (method, path) in [(Method::GET, "type=email"), (Method::PUT, "/a/")] {
        let mut world = World::settled(&["a", "b"]);
        world.env.insert("APINIZER_GITOPS_TOKEN".into(), "admin".into());
        let config = one_target(CHECKOUT, "concurrency: 1");
        world.config(&format!("server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{config}"));
        let daemon = Running::start(&world, &[]);
        eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
        let gate = world.control().gate(Some(method), path, Moment::Before);
        world.write_email("a", "port: 26\n");
        world.commit_email("b", "port: 26\n");
        world.block_on(gate.wait_for(1));
        assert_eq!(daemon.send(&world, "POST", "/api/v1/suspend", "admin"), 202);
        eventually("the suspension is remembered", || world.record()["suspended"] == json!(true));
        world.forget_calls();
        gate.open();
        let target = || daemon.status(&world)["targets"][0].clone();
        eventually("it is suspended", || target()["state"] == json!("suspended"));
        let written = world.writes();
        assert!(written.iter().all(|call| call.contains("/a/")), "{written:?}");
        assert_eq!(world.record()["suspended"], json!(true));
    }
}

#[test]
fn the_end_tells_of_a_suspension_that_could_not_be_saved() {
    let (world, mut daemon) = administered();
    std::fs::create_dir(world.state_file().with_extension("new")).unwrap();
    assert_eq!(daemon.send(&world, "POST", "/api/v1/suspend", "admin"), 202);
    daemon.signal("-TERM");
    assert_eq!(daemon.ends(), 0);
    let logs = daemon.logs();
    assert!(logs.contains("a suspension was not saved before the end"), "{logs}");
}

#[test]
fn a_dry_run_takes_no_suspension() {
    let mut world = World::settled(&["a"]);
    world.env.insert("APINIZER_GITOPS_TOKEN".into(), "admin".into());
    let config = one_target(CHECKOUT, "");
    world.config(&format!("server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{config}"));
    let daemon = Running::start(&world, &["--dry-run"]);
    for verb in ["suspend", "resume"] {
        let ran = world.run(&[verb, "--server", &daemon.address]);
        ran.code(1).says("409").says("a dry run suspends and resumes nothing");
    }
}

#[test]
fn a_suspension_that_cannot_be_saved_holds_the_target() {
    let (world, daemon) = administered();
    // Where the new state would be written there is something that cannot be replaced.
    let in_the_way = world.state_file().with_extension("new");
    std::fs::create_dir(&in_the_way).unwrap();
    assert_eq!(daemon.send(&world, "POST", "/api/v1/suspend", "admin"), 202);
    eventually("it is said", || daemon.logs().contains("could not be remembered"));
    let target = || daemon.status(&world)["targets"][0].clone();
    assert_eq!(target()["state"], json!("failing"));
    world.forget_calls();
    world.commit_email("a", "port: 1\n");
    std::thread::sleep(Duration::from_secs(1));
    assert!(world.writes().is_empty());
    daemon.signal("-HUP");
    eventually("a new config", || daemon.logs().contains("the config was read again"));
    std::thread::sleep(Duration::from_secs(1));
    assert!(world.writes().is_empty());
    std::fs::remove_dir(&in_the_way).unwrap();
    eventually("it is remembered", || target()["state"] == json!("suspended"));
    assert!(world.writes().is_empty());
}

#[test]
fn targets_whose_suspension_cannot_be_saved_keep_no_other_waiting() {
    let world = fleet();
    let daemon = Running::start(&world, &[]);
    eventually("ready", || daemon.get(&world, "/readyz").0 == 200);
    // More of them than targets are reconciled at once.
    for number in 0..6 {
        let state = StateFile::of(&world.state_dir(), &world.url(), &project(number));
        std::fs::create_dir(state.path().with_extension("new")).unwrap();
        let path = format!("/api/v1/suspend?target=target-{number:02}");
        assert_eq!(daemon.send(&world, "POST", &path, "admin"), 202);
    }
    eventually("it is said", || daemon.logs().matches("could not be remembered").count() >= 6);
    world.forget_calls();
    assert_eq!(daemon.send(&world, "POST", "/api/v1/reconcile", "admin"), 202);
    let calls = |number| {
        let calls = world.control().calls();
        calls.iter().any(|call| call.path.contains(&project(number)))
    };
    eventually("all others are looked at", || (6..TARGETS).all(calls));
    assert!(!(0..6).any(calls));
}

/// A config of one target at the world's project.
fn named(name: &str, project: &str, more: &str) -> String {
    let target = one_target(CHECKOUT, "").replace("name: default", &format!("name: {name}"));
    let target = target.replace("project: demo", &format!("project: {project}"));
    format!("server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{target}{more}")
}

/// Reads a config and waits until it is in force.
fn reload(world: &mut World, daemon: &Running, config: &str) {
    let reloads = || daemon.logs().matches("the config was read again").count();
    let before = reloads();
    world.config(config);
    daemon.signal("-HUP");
    eventually("a new config", || reloads() > before);
}

#[test]
fn a_suspension_that_cannot_be_saved_belongs_to_the_project_whatever_its_target_is_called() {
    for ways in [&["renamed"][..], &["elsewhere", "default"]] {
        let (mut world, daemon) = administered();
        world.alter_projects(&["demo", "other"]);
        let in_the_way = world.state_file().with_extension("new");
        std::fs::create_dir(&in_the_way).unwrap();
        assert_eq!(daemon.send(&world, "POST", "/api/v1/suspend", "admin"), 202);
        eventually("it is said", || daemon.logs().contains("could not be remembered"));
        for name in ways {
            let project = if *name == "elsewhere" { "other" } else { "demo" };
            reload(&mut world, &daemon, &named(name, project, ""));
        }
        world.forget_calls();
        world.commit_email("a", "port: 1\n");
        std::thread::sleep(Duration::from_secs(2));
        assert!(!world.writes().contains(&"PUT a".to_owned()), "{ways:?}");
        std::fs::remove_dir(&in_the_way).unwrap();
        let target = || daemon.status(&world)["targets"][0].clone();
        eventually("it is remembered", || target()["state"] == json!("suspended"));
        assert!(!world.writes().contains(&"PUT a".to_owned()), "{ways:?}");
    }
}

#[test]
fn a_suspension_that_is_accepted_during_a_reload_is_in_force() {
    let (mut world, daemon) = administered();
    // With so many rules the daemon takes its time to read the config.
    let rule = |number| format!("  - {{name: r{number}, when: connection.name == 'z', warn: w}}\n");
    let rules = "rules:\n".to_owned() + &(0..400).map(rule).collect::<String>();
    let mut old = "default".to_owned();
    let mut accepted = 0;
    for round in 0..8 {
        let new = format!("round-{round}");
        let reloads = daemon.logs().matches("the config was read again").count();
        world.config(&named(&new, "demo", &rules));
        daemon.signal("-HUP");
        std::thread::sleep(Duration::from_millis(50 * round));
        let path = format!("/api/v1/suspend?target={old}");
        let answer = daemon.send(&world, "POST", &path, "admin");
        eventually("a new config", || {
            daemon.logs().matches("the config was read again").count() > reloads
        });
        if answer == 202 {
            accepted += 1;
            eventually("it is in force", || world.record()["suspended"] == json!(true));
            assert_eq!(daemon.send(&world, "POST", "/api/v1/resume", "admin"), 202);
            eventually("it is resumed", || world.record()["suspended"] == json!(false));
        }
        old = new;
    }
    assert!(accepted > 0);
}
