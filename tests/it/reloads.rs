//! A config that is read again while a target is busy.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use apinizer_gitops::testing::secret::Sensitive;

use crate::faults::Moment;
use crate::running::{Applying, Running, eventually};
use crate::world::{CHECKOUT, World, one_target, refusal};

#[test]
fn a_reload_waits_for_no_target_that_hangs() {
    let mut world = World::new();
    let other = World::new();
    let target = |name: &str, url: &str, more: &str| {
        format!(
            "  - {{name: {name}, url: '{url}', project: demo, token: '${{env:APINIZER_TOKEN}}'{more}}}\n"
        )
    };
    let config = |more: &str| {
        let first = target("hangs", &other.url(), "");
        let second = target("well", "{url}", more);
        format!("source: {{{CHECKOUT}}}\ntargets:\n{first}{second}")
    };
    world.config(&config(""));
    world.commit_email("a", "");
    let gate = other.control().gate(Some(Method::GET), "type=email", Moment::Before);
    let daemon = Running::start(&world, &[]);
    world.block_on(async { gate.wait_for(1).await });
    eventually("the other is made", || world.names() == ["a"]);
    world.config(&config(", drift: report"));
    daemon.signal("-HUP");
    world.commit_email("b", "");
    eventually("the other goes on", || world.names() == ["a", "b"]);
    assert!(!daemon.logs().contains("are left"), "it waited for the one that hangs");
    gate.open();
    eventually("and so does this one", || other.names() == ["a", "b"]);
}

#[test]
fn a_pass_of_the_older_config_says_nothing_of_the_newer() {
    let mut world = World::new();
    let other = World::new();
    let elsewhere = one_target(CHECKOUT, "concurrency: 1").replace("{url}", &other.url());
    world.config(&elsewhere);
    world.commit_email("a", "");
    other.control().fail_next(Some(Method::GET), "type=email", refusal("not here"), 1);
    let gate = other.control().gate(Some(Method::GET), "type=email", Moment::Before);
    let daemon = Running::start(&world, &["-v"]);
    world.block_on(gate.wait_for(1));
    world.target("concurrency: 1");
    daemon.signal("-HUP");
    let target = || daemon.status(&world)["targets"][0].clone();
    eventually("the new target stands", || target()["state"] == json!("in_sync"));
    gate.open();
    eventually("the older one ends", || {
        other.control().calls().iter().any(|call| call.status.is_some())
    });
    std::thread::sleep(Duration::from_secs(1));
    let target = target();
    let known = target["history"].as_array().unwrap().iter().map(|one| &one["outcome"]);
    let known: Vec<_> = known.filter(|one| **one != json!("in_sync")).collect();
    assert_eq!((known, &target["error"]), (vec![&json!("applied")], &json!(null)), "{target}");
}

#[test]
fn a_start_and_a_reload_are_the_cause_of_the_reconcile_that_follows_the_first_fetch() {
    let mut world = World::new();
    world.source("url: 'file://{repo}', poll: 1h", "resync: 24h");
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    let causes = |world: &World| {
        let history = daemon.status(world)["targets"][0]["history"].clone();
        let all = history.as_array().unwrap().iter().map(|one| one["cause"].clone());
        all.collect::<Vec<_>>()
    };
    eventually("it is created", || world.names() == ["a"]);
    eventually("it is told", || causes(&world) == ["start"]);
    world.source("url: 'file://{repo}', poll: 1h", "resync: 23h");
    daemon.signal("-HUP");
    eventually("the reload is told", || causes(&world) == ["reload", "start"]);
}

#[test]
fn a_request_beside_a_reload_is_answered() {
    let mut world = World::new();
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "admin".to_owned());
    let target = one_target(CHECKOUT, "resync: 24h");
    world.config(&format!("server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{target}"));
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    for number in 1..=5 {
        // Both come within one burst of events.
        assert_eq!(daemon.send(&world, "POST", "/api/v1/reconcile", "admin"), 202);
        daemon.signal("-HUP");
        eventually("it is answered", || {
            daemon.status(&world)["targets"][0]["answered"]["request"] == json!(number)
        });
    }
}

#[test]
fn a_request_to_a_daemon_that_is_started_again_ends_with_an_error() {
    let world = World::new();
    let asked = json!({"request": 1, "targets": ["default"], "started": "2026-11-30T10:00:00Z"});
    let target = json!({"name": "default", "state": "in_sync", "connections": []});
    let status = json!({"version": "1", "started": "2026-11-30T10:00:01Z", "targets": [target]});
    let routes = Router::new()
        .route("/api/v1/reconcile", post((StatusCode::ACCEPTED, Json(asked))))
        .route("/api/v1/status", get(Json(status)));
    let address = world.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    });
    let waits = world.run(&["reconcile", "--wait", "--server", &address]);
    waits.code(1).says("the daemon was started again before the reconcile ended");
}

/// Reads the config that the world has now.
fn reload(daemon: &Running) {
    let reloads = || daemon.logs().matches("the config was read again").count();
    let before = reloads();
    daemon.signal("-HUP");
    eventually("a new config", || reloads() > before);
}

#[test]
fn a_request_that_is_waited_for_ends_though_a_reload_changes_the_targets() {
    let renamed = ("name: default", "name: renamed");
    let added = (
        "targets:\n",
        "targets:\n  - {name: new, url: '{url}', project: other, token: '${env:APINIZER_TOKEN}'}\n",
    );
    let gone = "the config no longer has the target `default`";
    for (more, (from, to), code, says) in [
        (&[][..], renamed, 1, gone),
        (&["--target", "default"], renamed, 1, gone),
        (&[], added, 0, "default: in sync"),
        (&[], ("project: demo", "project: other"), 0, "default: applied"),
    ] {
        let mut world = World::settled(&["a"]);
        world.alter_projects(&["demo", "other"]);
        world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "admin".to_owned());
        let config = format!(
            "server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{}",
            one_target(CHECKOUT, "")
        );
        world.config(&config);
        let daemon = Running::start(&world, &[]);
        eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
        let gate =
            world.control().gate(Some(Method::GET), "demo/connections/?type=email", Moment::Before);
        world.config(&config.replace(from, to));
        let arguments = [&["reconcile", "--wait", "--server", &daemon.address], more].concat();
        let mut waiting = Applying::command(&world, &arguments).come_to(&gate);
        reload(&daemon);
        if code == 0 {
            gate.open();
        }
        eventually("the command ends", || waiting.has_ended());
        waiting.ends().code(code).says(says);
    }
}

#[test]
fn the_end_of_trouble_is_logged_though_a_reload_brought_it() {
    let mut world = World::new();
    world.env.insert("WRONG".to_owned(), "wrong".to_owned());
    world.commit_email("a", "");
    let good = one_target("url: 'file://{repo}'", "");
    let wrong_token = good.replace("APINIZER_TOKEN", "WRONG");
    let tokens = vec![Sensitive::new("a-token-for-tests".to_owned())];
    world.control().alter(|options| options.access.tokens = tokens);
    world.config(&good.replace("{repo}", "{repo}-wrong"));
    let daemon = Running::start(&world, &[]);
    let says = |text: &str| eventually(text, || daemon.logs().contains(text));
    says("the source cannot be fetched");
    says("the source cannot be read");
    world.config(&wrong_token);
    reload(&daemon);
    says("the source can be fetched again");
    says("the source can be read again");
    says("401");
    world.config(&good);
    reload(&daemon);
    says("recovered");
}

#[test]
fn a_reload_while_the_source_cannot_be_read_leaves_the_last_commit_in_force() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.commit_email("a", "port: 1\n");
    let daemon = Running::start(&world, &[]);
    eventually("it is made", || world.names() == ["a"]);
    std::fs::rename(world.repo(), world.path("aside")).unwrap();
    eventually("it is said", || daemon.logs().contains("the source cannot be read"));
    reload(&daemon);
    world.edit("a", "port", json!(9));
    eventually("drift is corrected", || world.live("a")["port"] == json!(1));
}
