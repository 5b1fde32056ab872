//! The daemon: what wakes it, what it shows, how it ends.

use reqwest::Method;
use serde_json::{Value, json};

use crate::running::{Running, eventually};
use crate::world::{CANARY, World, refusal};

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
fn trouble_beside_a_refused_commit_is_logged_with_the_commit_in_force() {
    let mut world = World::new();
    world.target("max_deletes: 0\nresync: 1s");
    world.settle(&["a", "b"]);
    let good = world.commit_without(&["a"]);
    let daemon = Running::start(&world, &[]);
    let target = || daemon.status(&world)["targets"][0].clone();
    eventually("held", || target()["state"] == json!("held"));
    world.write("connections/b.yaml", "type: nothing\nname: b\n");
    world.commit("a mistake");
    eventually("refused", || target()["state"] == json!("refused"));
    let before = target()["history"].as_array().unwrap().len();
    eventually("a resync", || target()["history"].as_array().unwrap().len() > before);
    let logs = daemon.logs();
    let held: Vec<&str> = logs.lines().filter(|line| line.contains("event=\"held\"")).collect();
    let of_good = format!("commit=\"{}\"", &good[..12]);
    assert!(held.len() == 1 && held[0].contains(&of_good), "{logs}");
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
fn a_dry_run_tells_drift_as_drift_and_pending_changes_as_no_failure() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.commit_email("a", "port: 1\n");
    world.apply().code(0);
    world.edit("a", "port", json!(9));
    world.commit_email("b", "");
    let daemon = Running::start(&world, &["--dry-run"]);
    let target = |world: &World, daemon: &Running| daemon.status(world)["targets"][0].clone();
    let looks = || target(&world, &daemon)["history"].as_array().unwrap().len();
    eventually("three looks", || looks() >= 3);
    assert_eq!(target(&world, &daemon)["state"], json!("pending"));
    let logs = daemon.logs();
    for event in ["event=\"drift\"", "event=\"pending\""] {
        assert_eq!(logs.matches(event).count(), 1, "{logs}");
    }
    assert!(!logs.contains("event=\"failed\"") && !logs.contains("WARN"), "{logs}");
    assert_eq!(daemon.get(&world, "/readyz").0, 200);
    let metrics = daemon.get(&world, "/metrics").1;
    assert!(metrics.contains("outcome=\"pending\"") && !metrics.contains("outcome=\"failed\""));
    assert!(metrics.contains("apinizer_gitops_drift_detected_total{target=\"default\"} 1\n"));
    assert!(
        metrics.contains("apinizer_gitops_last_success_timestamp_seconds{target=\"default\"} 1")
    );
    assert!(daemon.get(&world, "/").1.contains("default needs attention: 2 pending"));
    drop(daemon);
    world.run(&["run", "--once", "--dry-run"]).code(2).says("1 to create, 1 to update");
    // Drift that the target only reports stays drift.
    world.target("resync: 1s\ndrift: report");
    world.commit_without(&["b"]);
    let daemon = Running::start(&world, &["--dry-run"]);
    eventually("drifted", || target(&world, &daemon)["state"] == json!("drifted"));
    assert!(world.names() == ["a"] && world.live("a")["port"] == json!(9));
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
    let logs = daemon.logs();
    let is_one = |line: &str| line.contains("WARN") || line.contains("INFO");
    assert!(logs.lines().all(is_one), "each problem is one line of the log: {logs}");
    assert!(logs.contains("`mistyped`"), "{logs}");
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
fn logs_name_commit_target_and_connection() {
    let world = World::new();
    let commit = world.commit_email("a", "");
    let ran = world.run(&["run", "--once", "-v"]).code(0);
    let made = ran.stderr.lines().find(|line| line.contains("email `a` was created")).unwrap();
    for once in ["target=\"default\"", &format!("commit=\"{}\"", &commit[..12])] {
        assert!(made.matches(once).count() == 1 && !made.contains("apply{"), "{made}");
    }
    let commit = world.commit_email("a", "port: 1\n");
    let ran = world.run(&["run", "--once", "--log-format", "json", "-v"]).code(0);
    let lines: Vec<Value> =
        ran.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let made = lines.iter().find(|line| line["connection"] == json!("a")).unwrap();
    assert_eq!(made["target"], json!("default"));
    assert_eq!(made["commit"], json!(commit[..12]));
    // The spans are there once, as a list.
    assert!(made["span"].is_null() && made["spans"][0]["name"] == json!("apply"), "{made}");
}

/// The lines of the log that warn.
fn warnings(daemon: &Running) -> Vec<String> {
    let logs = daemon.logs();
    logs.lines().filter(|line| line.contains(" WARN ")).map(str::to_owned).collect()
}

#[test]
fn failures_of_one_kind_are_logged_once_whatever_their_texts_say() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.settle(&["a"]);
    world.commit_email("a", "port: 1\n");
    let failed = || world.control().struck();
    let put = |id: &str| {
        let text = format!("request {id} was refused");
        world.control().fail_next(Some(Method::PUT), "/a/", refusal(&text), 1);
    };
    put("cafe");
    let daemon = Running::start(&world, &[]);
    eventually("a refused write", || failed() == 1);
    // Two kinds of failures take turns, and each text is another one.
    for (round, id) in ["beef", "fade", "deed"].iter().enumerate() {
        let text = format!("request {id} was refused");
        world.control().fail_next(Some(Method::GET), "type=", refusal(&text), 14);
        put(id);
        eventually("refused lists, and then a refused write", || failed() == 1 + 15 * (round + 1));
    }
    eventually("the write", || live_port(&world, "a") == json!(1));
    eventually("recovered", || daemon.logs().contains("recovered"));
    let warnings = warnings(&daemon);
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
}

#[test]
fn trouble_is_logged_with_target_commit_type_and_connection() {
    let world = World::new();
    world.commit_email("fine", "");
    let commit = world.commit_email("a", "from: ${env:NOPE}\n");
    let daemon = Running::start(&world, &["--log-format", "json"]);
    let warning = || {
        let logs = daemon.logs();
        let lines: Vec<Value> =
            logs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.into_iter().find(|line| line["level"] == json!("WARN"))
    };
    eventually("a warning", || warning().is_some());
    let warning = warning().unwrap();
    let fields = ["target", "commit", "type", "connection"].map(|field| warning[field].clone());
    assert_eq!(fields, ["default", &commit[..12], "email", "a"].map(|text| json!(text)));
    let message = warning["message"].as_str().unwrap();
    assert!(message.starts_with("email `a` is blocked: "), "{message}");
}

#[test]
fn a_resync_with_nothing_changed_reads_the_lists_and_writes_nothing() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.settle(&["a"]);
    let daemon = Running::start(&world, &[]);
    eventually("ready", || daemon.get(&world, "/readyz").0 == 200);
    let state = world.state();
    world.forget_calls();
    eventually("two resyncs", || world.control().call_count() >= 28);
    let calls = world.control().take_calls();
    let is_list = |path: &str| path.contains("type=");
    assert!(calls.iter().all(|call| call.method == "GET" && is_list(&call.path)), "{calls:?}");
    assert_eq!(world.state(), state);
    assert_eq!(daemon.status(&world)["targets"][0]["state"], json!("in_sync"));
}

#[test]
fn a_rotated_secret_is_sent() {
    let mut world = World::new();
    let file = world.path("rotating");
    std::fs::write(&file, "first").unwrap();
    world.env.remove("SMTP_PASSWORD");
    world.env.insert("SMTP_PASSWORD_FILE".to_owned(), file.display().to_string());
    world.target("resync: 1s");
    world.settle(&["a"]);
    let daemon = Running::start(&world, &[]);
    eventually("ready", || daemon.get(&world, "/readyz").0 == 200);
    world.forget_calls();
    std::fs::write(&file, "second").unwrap();
    eventually("sent", || world.writes().iter().any(|call| call.starts_with("PUT")));
}

#[test]
fn a_state_that_another_process_changed_is_read_again() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.settle(&["a"]);
    let daemon = Running::start(&world, &[]);
    let state_of = || daemon.status(&world)["targets"][0]["state"].clone();
    eventually("in sync", || state_of() == json!("in_sync"));
    world.run(&["forget", "a"]).code(0);
    eventually("adopted again", || world.remembered("owned")["a"].is_object());
    eventually("suspended", || {
        // Again, should a reconcile have been writing the state just then.
        let suspended = world.state().replace("\"suspended\":false", "\"suspended\":true");
        std::fs::write(world.state_file(), suspended).unwrap();
        state_of() == json!("suspended")
    });
    world.edit("a", "port", json!(9));
    world.forget_calls();
    eventually("two resyncs", || world.control().call_count() >= 28);
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn a_connection_that_was_deleted_by_hand_is_made_again() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.settle(&["a"]);
    let daemon = Running::start(&world, &[]);
    eventually("ready", || daemon.get(&world, "/readyz").0 == 200);
    assert!(world.control().remove(crate::world::PROJECT, "a"));
    eventually("made again", || world.names() == ["a"]);
}
