//! Which connections are in the inventory: adopted, forgotten, left alone.

use apinizer_gitops::testing::sandbox::{Ids, Options};
use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::crashes::kill_at_first_write;
use crate::faults::Fault;
use crate::world::{PROJECT, SandboxOptions as _, World, email_body, ftp};

#[test]
fn a_connection_that_differs_is_adopted_as_the_config_says() {
    for (adopt, code, host) in
        [("always", 0, "smtp.example.com"), ("equal", 1, "other"), ("never", 1, "other")]
    {
        let mut world = World::new();
        world.target(&format!("adopt: {adopt}"));
        let mut body = email_body("a");
        body["host"] = json!("other");
        world.make(body);
        world.commit_email("a", "");
        world.apply().code(code);
        assert_eq!(world.live("a")["host"], json!(host), "{adopt}");
    }
}

#[test]
fn a_connection_of_another_type_is_adopted_like_any_other() {
    let mut world = World::with(Options { ids: Ids::Nowhere, ..Options::default() });
    world.settle(&["a", "b"]);
    assert!(world.control().remove(PROJECT, "a"));
    let syslog = json!({"type": "syslog", "name": "a", "syslogServerHostname": "h"});
    world.make(syslog);
    world.write("connections/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
    world.commit("what is live");
    world.target("adopt: never");
    world.apply().code(1).says("not adopted");
    world.target("adopt: always");
    world.apply().code(0);
    assert_eq!(world.remembered("owned")["a"]["type"], json!("syslog"));
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}

#[test]
fn without_prune_a_removed_name_leaves_the_inventory() {
    let mut world = World::new();
    world.target("prune: false");
    world.settle(&["a", "b"]);
    world.commit_without(&["a"]);
    let plan = world.plan_json(&[]);
    assert_eq!(plan["summary"]["held"], json!(0));
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
    assert!(world.remembered("owned").get("a").is_none());
}

#[test]
fn without_prune_a_lost_path_takes_nothing_out_of_the_inventory() {
    let mut world = World::new();
    world.target("prune: false");
    world.settle(&["a", "b"]);
    world.git(&["mv", "connections", "elsewhere"]);
    world.commit("move them where no target looks");
    world.apply();
    let owned = world.remembered("owned");
    assert!(owned.get("a").is_some() && owned.get("b").is_some(), "{owned}");
}

#[test]
fn a_suspended_connection_is_neither_written_nor_deleted() {
    let world = World::settled(&["a", "b"]);
    world.commit_email("a", "port: 99\nx-gitops: {suspend: true}\n");
    world.edit("a", "host", json!("by.hand"));
    world.plan().code(0);
    world.apply().code(0);
    world.write("connections/a.yaml", &ftp("a", "x-gitops: {suspend: true}\n"));
    world.commit("even another type");
    world.apply().code(0);
    assert!(world.writes().is_empty());
    assert_eq!(world.names(), ["a", "b"]);
    world.commit_email("a", "port: 99\n");
    world.apply().code(0);
    assert_eq!(world.live("a")["host"], json!("smtp.example.com"));
}

#[test]
fn a_forgotten_connection_is_left_alone() {
    let world = World::settled(&["a", "b"]);
    world.run(&["forget", "A", "a"]).code(0);
    world.run(&["forget", "a"]).code(1).says("not in the inventory");
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_name_that_left_the_inventory_was_removed_by_no_earlier_commit() {
    for is_forgotten in [true, false] {
        let mut world = World::settled(&["a", "b"]);
        world.git(&["branch", "feature"]);
        world.commit_without(&["a"]);
        if is_forgotten {
            world.run(&["forget", "a"]).code(0);
        } else {
            world.target("prune: false");
            world.run(&["apply", "--yes", "--name", "a"]).code(0);
            world.target("");
        }
        world.run(&["apply", "--yes", "--rev", "feature", "--name", "a"]).code(0).says("adopted");
        world.apply().code(3).says("no commit removed it");
        assert_eq!(world.names(), ["a", "b"]);
    }
}

#[test]
fn forgetting_a_declared_name_says_that_the_next_pass_adopts_it() {
    let world = World::settled(&["a", "b"]);
    world.commit_without(&["b"]);
    let ran = world.run(&["forget", "a"]).code(0).says("adopt");
    assert!(!ran.stdout.contains("unmanaged from now on"), "{}", ran.stdout);
    world.run(&["forget", "b"]).code(0).says("unmanaged from now on");
    world.apply().code(0);
    assert_eq!(world.remembered("owned").as_object().unwrap().keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(world.names(), ["a", "b"]);
    std::fs::rename(world.repo().join(".git"), world.path("away.git")).unwrap();
    world.run(&["forget", "a"]).code(0).says("adopts it again if git still declares it");
}

#[test]
fn forgetting_an_unknown_name_leaves_no_state() {
    let world = World::new();
    world.run(&["forget", "a"]).code(1).says("not in the inventory");
    assert_eq!(world.state(), "");
    world.commit_email("a", "");
    world.plan().code(2).says("deletes cannot be known");
}

#[test]
fn a_create_of_a_killed_run_is_owned_once_it_can_be_read() {
    let world = World::with(Options::with(Options::list_summaries));
    world.commit_email("a", "");
    assert!(kill_at_first_write(&world, true));
    let refusal = Fault::Answer {
        status: StatusCode::FORBIDDEN,
        body: r#"{"status":"FAILURE","resultMessage":"no"}"#.to_owned(),
        retry_after: None,
    };
    world.control().fail_next(Some(Method::GET), "/a/", refusal, 9);
    world.apply().code(1);
    world.control().clear_faults();
    world.remove("connections/a.yaml");
    world.commit_email("b", "");
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    assert_eq!(world.names(), ["b"], "what the killed run made is no orphan");
}

#[test]
fn drift_is_only_reported_where_the_target_says_so() {
    let mut world = World::new();
    world.target("drift: report");
    world.commit_email("a", "port: 25\n");
    world.settle(&["b"]);
    world.edit("a", "host", json!("by.hand"));
    assert!(world.control().remove(PROJECT, "b"));
    assert_eq!(world.changes(&[]), ["drift a", "drift b"]);
    world.plan().code(2);
    world.forget_calls();
    world.apply().code(0);
    assert!(world.writes().is_empty());
    world.commit_email("a", "port: 26\n");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(26));
    assert_eq!(world.live("a")["host"], json!("by.hand"), "a PUT keeps what drifted");
}

#[test]
fn a_name_that_a_run_of_the_same_commit_takes_in_again_is_removed_by_a_later_one() {
    let world = World::settled(&["a", "b"]);
    world.run(&["forget", "a"]).code(0);
    world.run(&["apply", "--yes", "--name", "a"]).code(0).says("adopted");
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}
