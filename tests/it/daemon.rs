//! The daemon: what wakes it, what it shows, how it ends.

use serde_json::{Value, json};

use crate::running::{Running, eventually};
use crate::world::{CANARY, World};

fn live_port(world: &World, name: &str) -> Value {
    let is_live = world.names().contains(&name.to_owned());
    if is_live { world.live(name)["port"].clone() } else { Value::Null }
}

#[test]
fn a_commit_an_amended_one_a_branch_switch_and_packed_refs_are_followed() {
    let world = World::new();
    world.commit_email("a", "port: 1\n");
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    world.commit_email("a", "port: 2\n");
    eventually("a commit", || live_port(&world, "a") == json!(2));
    world.write_email("a", "port: 3\n");
    world.git(&["commit", "-qa", "--amend", "-m", "amended"]);
    eventually("an amended commit", || live_port(&world, "a") == json!(3));
    world.git(&["gc", "-q"]);
    world.commit_email("a", "port: 4\n");
    eventually("a commit after gc", || live_port(&world, "a") == json!(4));
    world.git(&["switch", "-qc", "other"]);
    world.commit_email("a", "port: 5\n");
    eventually("another branch", || live_port(&world, "a") == json!(5));
    let status = daemon.status(&world);
    assert_eq!(status["source"]["branch"], json!("other"));
    assert!(!status.to_string().contains(CANARY));
}

#[test]
fn drift_is_corrected_at_a_resync_and_the_status_says_how_things_stand() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.make(crate::world::email_body("by-hand"));
    let commit = world.commit_email("a", "port: 1\n");
    let daemon = Running::start(&world, &[]);
    eventually("ready", || daemon.get(&world, "/readyz").0 == 200);
    world.edit("a", "port", json!(9));
    eventually("corrected", || live_port(&world, "a") == json!(1));
    assert_eq!(daemon.get(&world, "/healthz").0, 200);
    eventually("in sync", || daemon.status(&world)["targets"][0]["state"] == json!("in_sync"));
    let status = daemon.status(&world);
    assert_eq!(status["targets"][0]["commit_applied"], json!(commit));
    let connections = status["targets"][0]["connections"].as_array().unwrap();
    let states: Vec<&str> = connections.iter().map(|c| c["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["in_sync", "unmanaged"]);
    assert!(daemon.get(&world, "/metrics").1.contains("apinizer_gitops_reconciles_total"));
}

#[test]
fn a_refused_commit_leaves_the_last_good_one_in_force() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.commit_email("a", "port: 1\n");
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    world.write("connections/b.yaml", "type: email\nname: b\nhost: h\npassword: in-the-clear\n");
    world.remove("connections/a.yaml");
    world.commit("a mistake");
    eventually("refused", || daemon.status(&world)["targets"][0]["state"] == json!("refused"));
    world.edit("a", "port", json!(9));
    eventually("drift of the last good commit", || live_port(&world, "a") == json!(1));
    assert_eq!(world.names(), ["a"]);
    assert!(!daemon.status(&world).to_string().contains("in-the-clear"));
}

#[test]
fn a_dry_run_never_writes() {
    let world = World::new();
    world.commit_email("a", "");
    let daemon = Running::start(&world, &["--dry-run"]);
    eventually("pending", || daemon.status(&world)["targets"][0]["state"] == json!("pending"));
    assert!(world.writes().is_empty());
    assert!(world.state().is_empty());
}

#[test]
fn sigterm_finishes_the_call_in_flight_and_records_it() {
    use crate::faults::Moment;
    let world = World::new();
    world.commit_email("a", "");
    let gate = world.control().gate(Some(axum::http::Method::POST), "/a/", Moment::After);
    let mut daemon = Running::start(&world, &[]);
    world.block_on(gate.wait_for(1));
    daemon.ask_to_end();
    gate.open();
    assert_eq!(daemon.ends(), 0);
    assert_eq!(world.names(), ["a"]);
    assert!(world.remembered("owned").get("a").is_some());
    assert!(world.remembered("intent").as_object().unwrap().is_empty());
}

#[test]
fn sighup_reads_the_config_again_and_refuses_a_bad_one() {
    let mut world = World::new();
    world.target("vars: {port: 1}");
    world.write("connections/a.yaml", "type: email\nname: a\nhost: h\nport: ${var:port}\n");
    world.commit("a");
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    world.target("vars: {port: 2}\nmistyped: true");
    daemon.signal("-HUP");
    eventually("refused", || daemon.logs().contains("the old one stays"));
    assert_eq!(live_port(&world, "a"), json!(1));
    world.target("vars: {port: 3}");
    daemon.signal("-HUP");
    eventually("the new config", || live_port(&world, "a") == json!(3));
}

#[test]
fn sighup_fetches_and_reconciles_whatever_becomes_of_the_config() {
    let mut world = World::new();
    let source = "url: 'file://{repo}', poll: 1h";
    world.source(source, "resync: 24h");
    world.commit_email("a", "port: 1\n");
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    world.source(source, "resync: 24h\nmistyped: true");
    world.commit_email("a", "port: 2\n");
    daemon.signal("-HUP");
    eventually("the commit", || live_port(&world, "a") == json!(2));
    assert!(daemon.logs().contains("the old one stays"));
}

#[test]
fn sighup_finds_the_config_file_among_the_documents() {
    let mut world = World::new();
    world.target("resync: 24h");
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    eventually("created", || world.names() == ["a"]);
    let config = world.path("apinizer-gitops.yaml");
    let among = world.repo().join("connections/here.yaml");
    std::fs::rename(&config, &among).unwrap();
    std::os::unix::fs::symlink(&among, &config).unwrap();
    daemon.signal("-HUP");
    world.commit_email("b", "");
    eventually("it is taken for no document", || world.names() == ["a", "b"]);
}

#[test]
fn once_ends_as_apply_does() {
    let world = World::new();
    world.commit_email("a", "");
    world.run(&["run", "--once"]).code(0);
    assert_eq!(world.names(), ["a"]);
    world.write("connections/b.yaml", "type: email\nname: b\nhost: ${env:NOPE}\n");
    world.commit("b");
    world.run(&["run", "--once"]).code(1);
}

#[test]
fn a_repository_that_comes_back_is_followed_again() {
    let world = World::new();
    world.commit_email("a", "port: 1\n");
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    let aside = world.path("aside");
    std::fs::rename(world.repo(), &aside).unwrap();
    eventually("missed", || !daemon.status(&world)["source"]["error"].is_null());
    std::fs::rename(&aside, world.repo()).unwrap();
    world.commit_email("a", "port: 2\n");
    eventually("a commit after the return", || live_port(&world, "a") == json!(2));
}

#[test]
fn json_logs_name_commit_target_and_connection() {
    let world = World::new();
    let commit = world.commit_email("a", "");
    let ran = world.run(&["run", "--once", "--log-format", "json", "-v"]).code(0);
    let lines: Vec<Value> =
        ran.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let made = lines.iter().find(|line| line["connection"] == json!("a")).unwrap();
    assert_eq!(made["span"]["target"], json!("default"));
    assert_eq!(made["span"]["commit"], json!(commit[..12]));
}

#[test]
fn memory_is_given_back_at_once_unless_the_environment_says_otherwise() {
    let world = World::settled(&["a"]);
    let daemon = Running::start(&world, &[]);
    assert_eq!(daemon.variable("MIMALLOC_PURGE_DELAY").as_deref(), Some("0"));
    drop(daemon);
    let told = Running::within(&world, &["env", "MIMALLOC_PURGE_DELAY=7"], &[]);
    assert_eq!(told.variable("MIMALLOC_PURGE_DELAY").as_deref(), Some("7"));
}
