//! One daemon with many targets at one Manager.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use crate::running::{Running, eventually};
use crate::world::{World, email};

pub(crate) const TARGETS: usize = 20;

/// How many calls a target may make at once.
const CONCURRENCY: usize = 3;

pub(crate) fn project(number: usize) -> String {
    format!("project-{number:02}")
}

/// A world of targets that have two connections each.
pub(crate) fn fleet() -> World {
    let mut world = World::new();
    let names: Vec<String> = (0..TARGETS).map(project).collect();
    world.alter_projects(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "admin".to_owned());
    let mut config =
        "source: {path: repo}\nserver: {token: '${env:APINIZER_GITOPS_TOKEN}'}\ntargets:\n"
            .to_owned();
    for (number, project) in names.iter().enumerate() {
        writeln!(
            config,
            "  - {{name: target-{number:02}, url: '{{url}}', project: {project}, \
             token: '${{env:APINIZER_TOKEN}}', paths: [{project}], concurrency: {CONCURRENCY}}}"
        )
        .unwrap();
        for name in ["mails", "orders"] {
            world.write(&format!("{project}/{name}.yaml"), &email(name, ""));
        }
    }
    world.config(&config);
    world.commit("declare all");
    world
}

#[test]
fn a_fleet_shares_the_limit_of_its_host_and_a_commit_goes_to_its_target_first() {
    let world = fleet();
    world.control().alter(|options| options.latency = Duration::from_millis(5));
    let daemon = Running::start(&world, &[]);
    eventually("ready", || daemon.get(&world, "/readyz").0 == 200);
    let calls = world.control().take_calls();
    assert_eq!(calls.iter().filter(|call| call.method == "POST").count(), 2 * TARGETS);
    let most = calls.iter().map(|call| call.at_once).max();
    assert!(most.is_some_and(|most| most <= CONCURRENCY), "{most:?} at once");
    let last = project(TARGETS - 1);
    world.write(&format!("{last}/mails.yaml"), &email("mails", "port: 26\n"));
    world.commit("change one file");
    eventually("written", || world.control().calls().iter().any(|call| call.method == "PUT"));
    // A few targets are reconciled at once, so that others may call before it.
    let before = called_before(&world, &last, "GET");
    assert!(before.len() < TARGETS / 2, "{before:?}");
}

/// The targets that were called before one of them was called by a method.
fn called_before(world: &World, last: &str, method: &str) -> BTreeSet<String> {
    let calls = world.control().calls();
    let project = |path: &str| path.split('/').nth(3).unwrap_or_default().to_owned();
    let called = calls.into_iter().map(|call| (project(&call.path), call.method));
    let before = called.take_while(|(called, by)| called != last || by != method);
    before.map(|(called, _)| called).filter(|called| called != last).collect()
}

#[test]
fn a_commit_waits_for_no_resyncs_of_other_targets() {
    let world = fleet();
    let daemon = Running::start(&world, &[]);
    eventually("ready", || daemon.get(&world, "/readyz").0 == 200);
    // Made aside, so that only its branch has to be moved.
    let last = project(TARGETS - 1);
    world.write(&format!("{last}/mails.yaml"), &email("mails", "port: 26\n"));
    world.git(&["add", "-A"]);
    let tree = world.git(&["write-tree"]);
    let commit = world.git(&["commit-tree", "-p", "HEAD", "-m", "one file", tree.trim()]);
    world.control().alter(|options| options.latency = Duration::from_millis(20));
    world.forget_calls();
    assert_eq!(daemon.send(&world, "POST", "/api/v1/reconcile", "admin"), 202);
    eventually("the resyncs begin", || !world.control().calls().is_empty());
    world.git(&["update-ref", "refs/heads/main", commit.trim()]);
    eventually("written", || world.control().calls().iter().any(|call| call.method == "PUT"));
    let before = called_before(&world, &last, "PUT");
    assert!(before.len() < TARGETS - 1, "it came last");
}

#[test]
fn the_connections_of_a_fleet_are_shown_once_their_target_is_opened() {
    let world = fleet();
    let daemon = Running::start(&world, &[]);
    eventually("ready", || daemon.get(&world, "/readyz").0 == 200);
    let page = daemon.get(&world, "/").1;
    assert!(page.contains("target-19") && !page.contains("smtp.example.com"));
    assert!(!page.contains("Connections of target"), "{page}");
    let opened = daemon.get(&world, "/?target=target-07").1;
    assert_eq!(opened.matches("<caption class=\"hidden\">Connections of ").count(), 1);
    assert!(opened.contains("Connections of target-07"));
    // So few that all of them are shown.
    let found = daemon.get(&world, "/fragment?q=TARGET-1").1;
    assert!(found.contains("20 connections match."), "{found}");
    assert_eq!(found.matches("<caption class=\"hidden\">Connections of ").count(), 10);
    let server = daemon.address.as_str();
    world
        .run(&["status", "--server", server])
        .code(0)
        .says("20 targets: 20 in sync; connections: ");
    let status = world.run(&["status", "--server", server]);
    status.says("40 in sync").says("20 targets in sync; `--verbose` lists all");
    let all = world.run(&["status", "--server", server, "--verbose"]);
    all.says("target-07 (project-07 at ");
}
