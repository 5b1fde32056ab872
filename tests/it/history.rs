//! The audit trail: each event is told once, in the log and in the history file, with its cause and
//! who asked for it; `history` shows it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use axum::http::Method;
use serde_json::{Value, json};

use crate::faults::Moment;
use crate::rules::with_rules;
use crate::running::{Applying, Running, eventually};
use crate::world::{CHECKOUT, World, ftp, one_target};

/// The events of `history` with these arguments.
pub(crate) fn events(world: &World, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["history", "--output", "json"], arguments].concat();
    let ran = world.run(&arguments).code(0);
    let said = if ran.stdout.is_empty() { "{}" } else { &ran.stdout };
    let history: Value = serde_json::from_str(said).unwrap();
    history["events"].as_array().cloned().unwrap_or_default()
}

/// The events as `event name`.
fn told(world: &World, arguments: &[&str]) -> Vec<String> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or("-").to_owned();
    let events = events(world, arguments);
    events.iter().map(|event| text(event, "event") + " " + &text(event, "connection")).collect()
}

fn file(world: &World) -> PathBuf {
    world.state_file().with_extension("history.jsonl")
}

#[test]
fn commands_leave_a_history_that_names_who_ran_them() {
    let mut world = World::new();
    world.env.insert("USER".to_owned(), "ada".to_owned());
    world.target("max_deletes: 0");
    assert_eq!(told(&world, &[]), [""; 0]);
    world.settle(&["a", "b", "c"]);
    let created = events(&world, &["--name", "A"]);
    assert_eq!(created.len(), 1);
    let expected = json!({"event": "create", "target": "default", "type": "email",
        "connection": "a", "result": "done", "cause": "apply"});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(created[0][key], *value, "{created:?}");
    }
    assert!(created[0]["by"].as_str().unwrap().starts_with("ada@"), "{created:?}");
    assert!(created[0]["fields"].as_array().unwrap().contains(&json!("/password")));
    // A hold is told once while it stands, and a plan tells nothing.
    world.commit_without(&["a"]);
    world.plan().code(3);
    world.apply().code(3);
    world.apply().code(3);
    assert_eq!(told(&world, &[])[3..], ["held a"]);
    // Half a line of a crash is skipped.
    let mut half = fs::OpenOptions::new().append(true).open(file(&world)).unwrap();
    half.write_all(b"{\"time\":\"2026-").unwrap();
    let trailer = world.commit("yes\n\nAllow-Deletes: true");
    world.apply().code(0);
    let consent = events(&world, &[]).swap_remove(4);
    assert_eq!(consent["commit"], json!(trailer));
    assert_eq!(consent["by"], json!("Ada <ada@example.com>"));
    world.commit_without(&["b"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    world.run(&["forget", "c"]).code(0);
    world.write("connections/c.yaml", "type: nothing\nname: c\n");
    world.commit("refused");
    world.apply().code(1);
    let all = ["consent a", "delete a", "consent -", "delete b", "forget c", "refused -"];
    assert_eq!(told(&world, &[])[4..], all);
    // A delete names who consented to it: the history may have lost the line of the consent.
    let by = |at: usize| events(&world, &[])[at]["by"].as_str().unwrap().to_owned();
    assert_eq!(by(5), "Ada <ada@example.com>");
    assert!(by(7).starts_with("ada@"), "{}", by(7));
    let ran =
        world.run(&["history", "--since", "1h"]).code(0).says("email `a` was created (apply, ");
    assert!(ran.stdout.lines().count() == 10 && !ran.stdout.contains("smtp.example.com"));
    world.run(&["history", "--since", "2099-01-01T00:00:00Z"]).code(0).says("No such event");
    world.run(&["history", "--since", "soon"]).code(1);
}

#[test]
fn what_a_rule_of_the_user_stops_and_who_consents_is_told() {
    let mut world = World::settled(&["a", "b"]);
    let rules = ["ports|hold|change.action == 'update'", "b-stays|deny|change.action == 'delete'"];
    with_rules(&mut world, "", &rules);
    world.write_email("a", "port: 26\n");
    world.commit_without(&["b"]);
    world.apply().code(1);
    world.apply().code(1);
    assert_eq!(told(&world, &[])[2..], ["held a", "blocked b"]);
    let why = |at: usize| events(&world, &[])[at]["why"].as_str().unwrap().to_owned();
    assert!(why(2).contains("held by the rule `ports`"), "{}", why(2));
    assert!(why(3).contains("denied by the rule `b-stays`"), "{}", why(3));
    world.write_email("a", "port: 27\n");
    let trailer = world.commit("yes\n\nAllow-Rule: ports");
    world.apply().code(1);
    assert_eq!(told(&world, &[])[4..], ["consent a", "update a"]);
    let consent = events(&world, &[]).swap_remove(4);
    assert_eq!(consent["commit"], json!(trailer));
    assert_eq!(consent["why"], json!("the trailer Allow-Rule: ports"));
    assert_eq!(consent["by"], json!("Ada <ada@example.com>"));
    world.commit_email("a", "port: 28\n");
    world.run(&["apply", "--yes", "--allow", "ports"]).code(1);
    assert_eq!(told(&world, &[])[6..], ["consent -", "update a"]);
    assert_eq!(why(6), "--allow ports");
    world.run(&["history"]).code(0).says("whatever the rule `ports` holds is consented to");
    // A block that ends without a write.
    world.commit_email("b", "");
    world.apply().code(0);
    assert_eq!(told(&world, &[]).last().unwrap(), "settled b");
    // A warning is told once while it stands: of a document, and of a change.
    let odd = "odd|warn|connection.?port.orValue(0) == 29";
    with_rules(&mut world, "", &[odd, "moved|warn|change.action == 'update'"]);
    world.commit_email("a", "port: 29\n");
    world.apply().code(0);
    world.apply().code(0);
    assert!(told(&world, &[]).ends_with(&["update a", "warned -", "warned a"].map(str::to_owned)));
    world.run(&["history"]).code(0).says("email `a` is warned of: warning of the rule `moved`");
    with_rules(&mut world, "", &[&odd.replace("warn", "deny")]);
    world.apply().code(1);
    world.run(&["history"]).code(0).says("(denied by the rule `odd`)");
}

#[test]
fn a_daemon_tells_each_event_once_and_over_a_restart() {
    let mut world = World::new();
    world.env.insert("APINIZER_GITOPS_TOKEN".into(), "admin".into());
    let config = one_target(CHECKOUT, "resync: 1s\nmax_deletes: 0");
    world.config(&format!("server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{config}"));
    world.write_email("a", "port: 1\n");
    world.commit_email("b", "");
    let start = |world: &World, arguments: &[&str]| {
        let daemon = Running::start(world, arguments);
        eventually("it stands", || daemon.get(world, "/readyz").0 == 200);
        daemon
    };
    // One that never writes leaves nothing on disk.
    let daemon = start(&world, &["--dry-run"]);
    drop(daemon);
    assert!(!world.state_dir().exists() || fs::read_dir(world.state_dir()).unwrap().count() == 0);
    let daemon = start(&world, &[]);
    world.edit("a", "port", json!(9));
    eventually("drift is corrected", || told(&world, &[]).len() == 4);
    let drift = events(&world, &["--name", "a"]);
    let told_of = |event: &Value| [event["event"].clone(), event["fields"].clone()];
    assert_eq!(told_of(&drift[1]), [json!("drift"), json!(["/port"])]);
    assert_eq!(told_of(&drift[2]), [json!("update"), json!(["/port"])]);
    assert_eq!(drift[2]["why"], json!("corrects drift"));
    assert!(drift[2]["cause"] == json!("resync") && drift[2]["by"].is_null());
    world.commit_without(&["b"]);
    eventually("held", || told(&world, &[]).len() == 5);
    let deletes_held = |count: usize| {
        let series = format!("apinizer_gitops_deletes_held{{target=\"default\"}} {count}\n");
        daemon.get(&world, "/metrics").1.contains(&series)
    };
    eventually("the held delete is counted", || deletes_held(1));
    for verb in ["suspend", "resume"] {
        assert_eq!(daemon.send(&world, "POST", &format!("/api/v1/{verb}"), "admin"), 202);
        let word = format!("{}ed -", verb.trim_end_matches('e'));
        eventually("it is told", || told(&world, &[]).last() == Some(&word));
    }
    let suspended = events(&world, &[]).swap_remove(5);
    assert_eq!(suspended["by"], json!("a request from 127.0.0.1"));
    let logs = daemon.logs();
    for words in ["email `a` was created", "email `a` drifted in port", "is suspended"] {
        assert_eq!(logs.matches(words).count(), 1, "{logs}");
    }
    assert_eq!(logs.matches("`b` is held by max_deletes: ").count(), 1, "{logs}");
    assert!(logs.contains("by=\"a request from 127.0.0.1\""), "{logs}");
    // A later daemon knows what was told, and shows it.
    drop(daemon);
    let daemon = start(&world, &[]);
    let target = || daemon.status(&world)["targets"][0].clone();
    let outcomes: Vec<Value> = (target()["history"].as_array().unwrap().iter())
        .map(|one| json!([one["outcome"], one["cause"], one["counts"]["done"]]))
        .collect();
    for known in [json!(["applied", "start", 2]), json!(["applied", "resync", 1])] {
        assert!(outcomes.contains(&known), "{outcomes:?}");
    }
    assert!(daemon.get(&world, "/").1.contains("email `a` was updated in port: corrects drift"));
    let before = target()["history"].as_array().unwrap().len();
    eventually("resyncs", || target()["history"].as_array().unwrap().len() > before + 1);
    let expected = ["drift a", "update a", "held b", "suspended -", "resumed -"];
    assert_eq!(told(&world, &[])[2..], expected);
    assert_eq!(target()["events"][0]["event"], json!("resumed"));
    assert!(daemon.get(&world, "/").1.contains("drifted in port"));
    // A hold that ends without a write is told too; so is who asks for a reconcile.
    world.commit_email("b", "");
    eventually("settled", || told(&world, &[]).last().is_some_and(|last| last == "settled b"));
    let none_held = "apinizer_gitops_deletes_held{target=\"default\"} 0\n";
    eventually("no delete is held", || daemon.get(&world, "/metrics").1.contains(none_held));
    world.write_email("a", "port: 2\n");
    drop(daemon);
    world.config(&format!(
        "server: {{token: '${{env:APINIZER_GITOPS_TOKEN}}'}}\n{}",
        one_target(CHECKOUT, "resync: 1h\ndrift: report")
    ));
    world.commit("another port");
    let daemon = start(&world, &[]);
    world.edit("a", "port", json!(3));
    assert_eq!(daemon.send(&world, "POST", "/api/v1/reconcile", "admin"), 202);
    eventually("reported", || told(&world, &[]).last().is_some_and(|last| last == "drift a"));
    let drift = events(&world, &[]).pop().unwrap();
    assert_eq!([&drift["cause"], &drift["by"]], ["request", "a request from 127.0.0.1"]);
}

#[test]
fn many_equal_events_displace_no_older_ones() {
    let mut world = World::new();
    let names: Vec<String> = (0..60).map(|number| format!("mail-{number}")).collect();
    let config = one_target(CHECKOUT, "resync: 1s\ndrift: report\nmax_deletes: 100");
    world.config(&config);
    for name in &names {
        world.write_email(name, "");
    }
    world.commit_email("drifting", "port: 1\n");
    let daemon = Running::start(&world, &[]);
    eventually("all are created", || told(&world, &[]).len() == 61);
    world.edit("drifting", "port", json!(9));
    eventually("drift", || told(&world, &[]).len() == 62);
    world.commit_without(&names.iter().map(String::as_str).collect::<Vec<_>>());
    eventually("all are deleted", || told(&world, &[]).len() == 122);
    let target = || daemon.status(&world)["targets"][0].clone();
    eventually("the end", || target()["events"][0]["more"] == json!(50));
    let shown = target()["events"].as_array().unwrap().clone();
    let kinds: Vec<&str> = shown.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let expected = [["delete"; 10].as_slice(), &["drift"], &["create"; 10]].concat();
    assert_eq!(kinds, expected);
    assert_eq!([&shown[0]["more"], &shown[11]["more"]], [&json!(50), &json!(51)]);
    let since = &target()["connections"][0]["drifting_since"];
    assert_eq!(*since, shown[10]["time"]);
}

/// The Manager carries writes out and answers too late: the run that sent them has ended by then.
#[test]
fn a_write_whose_answer_a_killed_run_did_not_see_is_told_by_the_next() {
    for (method, path, event) in [
        (Method::POST, "/new/", "create new"),
        (Method::PUT, "/a/", "rename z"),
        (Method::DELETE, "/a/", "delete a"),
        (Method::POST, "/a/", "replace a"),
    ] {
        let world = World::settled(&["a", "b", "c", "d"]);
        match event {
            "create new" => world.commit_email("new", ""),
            "rename z" => world.commit_rename("a", "z"),
            "delete a" => world.commit_without(&["a"]),
            _ => {
                world.write("connections/a.yaml", &ftp("a", ""));
                world.commit("another type")
            }
        };
        let gate = world.control().gate(Some(method), path, Moment::After);
        assert!(Applying::until(&world, &gate).kill());
        drop(gate);
        let before = told(&world, &[]).len();
        world.apply().code(0);
        let found = events(&world, &[]).split_off(before);
        let is_found = |one: &&Value| one["why"].to_string().contains("found done");
        let found: Vec<_> = found.iter().filter(is_found).collect();
        let words = found.iter().map(|one| {
            format!("{} {}", one["event"].as_str().unwrap(), one["connection"].as_str().unwrap())
        });
        assert_eq!(words.collect::<Vec<_>>(), [event], "{found:?}");
        assert_eq!(found[0]["result"], json!("done"));
        let before = told(&world, &[]).len();
        world.apply().code(0);
        assert_eq!(told(&world, &[]).len(), before, "it is told once");
    }
}

#[test]
fn events_of_while_the_file_cannot_be_written_are_kept() {
    let world = World::settled(&["a"]);
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    let (file, aside) = (file(&world), world.path("aside"));
    fs::rename(&file, &aside).unwrap();
    fs::create_dir(&file).unwrap();
    world.commit_email("b", "");
    eventually("it is said", || daemon.logs().contains("the history cannot be written"));
    fs::remove_dir(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    world.commit_email("c", "");
    eventually("all are told", || told(&world, &[]) == ["create a", "create b", "create c"]);
    assert!(daemon.logs().contains("the history can be written again"), "{}", daemon.logs());
    let shown = || daemon.status(&world)["targets"][0]["events"].as_array().unwrap().len();
    eventually("all are shown", || shown() == 3);
}

#[test]
fn a_refused_commit_that_comes_back_is_told_again() {
    let world = World::new();
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    eventually("it is made", || world.names() == ["a"]);
    world.write("connections/b.yaml", "type: nothing\nname: b\n");
    let bad = world.commit("a mistake");
    let state = || daemon.status(&world)["targets"][0]["state"].clone();
    eventually("it is refused", || state() == json!("refused"));
    world.remove("connections/b.yaml");
    world.commit("without the mistake");
    eventually("the next one is applied", || state() == json!("in_sync"));
    world.git(&["reset", "-q", "--hard", &bad]);
    eventually("it is refused again", || state() == json!("refused"));
    let told = told(&world, &[]).into_iter().filter(|one| one == "refused -").count();
    // The problem of the document has a line, and the refusal has one.
    let logged = daemon.logs().matches("event=\"refused\"").count();
    assert_eq!((told, logged), (2, 4), "{}", daemon.logs());
}
