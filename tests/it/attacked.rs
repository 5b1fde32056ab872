//! Histories that somebody found who tried to break the rules.

use std::fs::File;
use std::time::Duration;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::faults::{Fault, Moment};
use crate::running::{Applying, Running, eventually};
use crate::secrets::masked;
use crate::world::{CANARY, CHECKOUT, World, email, email_body, ftp, one_target, refusal};

#[test]
fn what_waited_for_the_lock_puts_no_older_commit_in_place_of_a_newer_one() {
    let world = World::settled(&["a"]);
    world.commit_email("b", "");
    let newer = world.git(&["rev-parse", "HEAD"]).trim().to_owned();
    world.apply().code(0);
    world.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let state = std::fs::read_dir(world.state_dir()).unwrap();
    let mut lock = state
        .map(|entry| entry.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "lock"));
    let lock = File::options().write(true).open(lock.next().unwrap()).unwrap();
    lock.lock().unwrap();
    let mut waiting = world.command(&["apply", "--yes"]).spawn().unwrap();
    let files = format!("/proc/{}/fd", waiting.id());
    eventually("it waits for the lock", || {
        let open = std::fs::read_dir(&files).into_iter().flatten().flatten();
        open.filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|path| path.extension().is_some_and(|e| e == "lock"))
    });
    world.git(&["reset", "-q", "--hard", &newer]);
    world.forget_calls();
    lock.unlock().unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(1));
    assert!(world.writes().is_empty());
    // A branch that was moved back is another thing.
    world.git(&["reset", "-q", "--hard", "HEAD~1"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn what_a_working_tree_lacks_no_commit_removed() {
    let mut world = World::settled(&["a", "b"]);
    world.write("other/b.yaml", &email("b", ""));
    world.commit("the same elsewhere");
    world.apply();
    world.remove("connections/a.yaml");
    world.run(&["apply", "--yes", "--worktree"]).code(3);
    world.git(&["checkout", "-q", "."]);
    world.target("paths: [other]");
    world.apply().code(3).says("no commit removed it");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn consent_to_a_delete_is_none_to_a_replace() {
    let mut world = World::settled(&["a", "b"]);
    world.target("max_deletes: 0");
    world.remove("connections/a.yaml");
    world.git(&["commit", "-qam", "Remove a\n\nAllow-Deletes: true"]);
    world.control().fail_next(Some(Method::DELETE), "/a/", refusal("not now"), 1);
    world.apply().code(1);
    world.write("connections/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
    world.commit("another a");
    world.apply().code(3);
    assert_eq!(world.live("a")["type"], json!("email"));
}

/// A daemon that takes orders with the token `admin`.
fn administered() -> (World, Running) {
    let mut world = World::settled(&["a"]);
    world.env.insert("ADMIN".into(), "admin".into());
    let config = one_target(CHECKOUT, "");
    world.config(&format!("server: {{token: '${{env:ADMIN}}'}}\n{config}"));
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    (world, daemon)
}

#[test]
fn a_suspension_outlives_a_reload_beside_it() {
    let (world, daemon) = administered();
    assert_eq!(daemon.send(&world, "POST", "/api/v1/suspend", "admin"), 202);
    daemon.signal("-HUP");
    eventually("the suspension is remembered", || world.record()["suspended"] == json!(true));
    world.commit_email("late", "");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_suspension_that_cannot_be_remembered_holds_the_target_back() {
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
fn a_replace_of_which_the_delete_was_lost_is_made_good_where_drift_is_only_reported() {
    let mut world = World::settled(&["a", "b"]);
    world.target("drift: report");
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("a is ftp now");
    let gate = world.control().gate(Some(Method::DELETE), "/a/", Moment::Before);
    world.control().fail_next(Some(Method::DELETE), "/a/", Fault::Lost, 1);
    let applying = Applying::until(&world, &gate);
    world.control().fail_next(Some(Method::GET), "/a/", Fault::Forbidden, 50);
    gate.open();
    applying.ends().code(1).says("not known");
    assert_eq!(world.names(), ["b"]);
    world.control().clear_faults();
    world.git(&["revert", "--no-edit", "HEAD"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
    assert_eq!(world.live("a")["type"], json!("email"));
}

#[test]
fn a_trailer_consents_once_wherever_the_branch_is_moved() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b"]);
    world.remove("connections/a.yaml");
    world.git(&["commit", "-qam", "Remove a\n\nAllow-Deletes: true"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
    world.run(&["apply", "--yes", "--rev", "HEAD~1"]).code(0);
    assert_eq!(world.names(), ["a", "b"]);
    world.apply().code(3);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_mistyped_path_replaces_nothing() {
    let mut world = World::settled(&["a", "b", "c", "d"]);
    for name in ["b", "c", "d"] {
        world.write(&format!("other/{name}.yaml"), &email(name, ""));
    }
    world.write("other/a.yaml", &ftp("a", ""));
    world.commit("the same elsewhere, but for the type of a");
    world.apply().code(0);
    world.target("paths: [other]");
    // However often it is looked at, and whatever else is committed.
    for round in 0..3 {
        world.apply().code(3).says("no commit changed its type");
        assert_eq!(world.live("a")["type"], json!("email"), "{round}");
        world.commit(&format!("round {round}"));
    }
    world.run(&["apply", "--yes", "--allow-deletes"]).code(3);
    assert_eq!(world.live("a")["type"], json!("email"));
    world.run(&["apply", "--yes", "--allow-delete", "a"]).code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
    world.write("other/a.yaml", &email("a", ""));
    world.commit("a commit that does change it");
    world.apply().code(0);
    assert_eq!(world.live("a")["type"], json!("email"));
}

#[test]
fn a_saved_plan_is_not_carried_out_without_its_deletes() {
    let mut world = World::settled(&["a", "b"]);
    world.remove("connections/a.yaml");
    world.commit_email("b", "port: 26\n");
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file]).code(2);
    world.target("prune: false");
    world.forget_calls();
    world.run(&["apply", &file, "--yes"]).code(3).says("the delete of `a` was to be made");
    assert!(world.writes().is_empty());
}

#[test]
fn a_list_that_fails_is_no_stale_plan() {
    let world = World::settled(&["a", "b"]);
    world.commit_without(&["a"]);
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file]).code(2);
    world.control().fail_next(Some(Method::GET), "type=email", Fault::Forbidden, 1);
    let ran = world.run(&["apply", &file, "--yes"]).code(1).says("the list of email");
    assert!(!ran.stderr.contains("no longer on the server"), "{}", ran.stderr);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_secret_that_somebody_typed_elsewhere_is_not_shown() {
    let mut world = World::settled(&["a", "b"]);
    world.commit_email("a", "description: what git says\n");
    world.apply().code(0);
    world.edit("a", "description", json!(format!("the password is {CANARY}, do not tell")));
    world.edit("a", "from", json!(CANARY));
    world.write_email("a", "description: what git says\nfrom: noreply@example.com\n");
    world.commit("declare from");
    for output in ["text", "json", "markdown"] {
        world.run(&["plan", "--output", output]).code(2).says("(sensitive)");
    }
    let folder = world.path("exported").display().to_string();
    world.run(&["export", "--dir", &folder]).code(0);
    let text = std::fs::read_to_string(world.path("exported/a.yaml")).unwrap();
    assert!(text.contains("the password is ${env:SMTP_PASSWORD}, do not tell"), "{text}");
    assert!(text.contains("from: ${env:SMTP_PASSWORD}\n"), "{text}");
    assert!(!text.contains(&CANARY[..9]), "{text}");
    world.target("drift: report");
    let daemon = Running::start(&world, &["--dry-run"]);
    eventually("it is ready", || daemon.get(&world, "/readyz").0 == 200);
    let page = daemon.get(&world, "/").1 + &daemon.get(&world, "/api/v1/status").1;
    assert!(!page.contains(&CANARY[..9]), "{page}");
}

#[test]
fn a_secret_that_somebody_typed_in_another_form_is_not_shown() {
    let mut world = World::settled(&["a"]);
    world.env.insert("SHORT".into(), "hunter2".into());
    world.commit_email("b", "description: x\nfrom: ${env:SHORT}\n");
    world.apply().code(0);
    let secret = STANDARD.encode(CANARY);
    for typed in [
        format!("as base64 {secret}."),
        "in a link c4nary-Zq%227%2F%C3%BC".to_owned(),
        format!("quoted {}", json!(CANARY)),
        "log in with hunter2, please".to_owned(),
        "hunter2".to_owned(),
    ] {
        world.edit("b", "description", json!(typed));
        let shown = world.run(&["plan", "--output", "json"]).code(2).says("(sensitive)").stdout
            + &world.run(&["export"]).stdout;
        for piece in [&secret, "c4nary", "hunter2"] {
            assert!(!shown.contains(piece), "{typed}: {shown}");
        }
    }
    // A key of a map holds no reference, so its field is left out.
    world.make(json!({
        "type": "snmp", "name": "s", "version": "V1", "connectionString": "udp:1/1",
        "securityOrCommunityName": "${C}", "pduOidForMessage": "1.2", "pduVariableMap": {CANARY: "x"},
    }));
    let exported = world.run(&["export"]).stdout;
    assert!(exported.contains("# pduVariableMap:") && !exported.contains("c4nary"), "{exported}");
}

#[test]
fn a_secret_that_somebody_made_a_name_of_is_not_shown() {
    let mut world = World::settled(&["a"]);
    world.env.insert("TOKEN".into(), "hunter2-and-more".into());
    world.env.insert("STAGE".into(), "prod".into());
    world.commit_email("a", "from: ${env:STAGE}@example.com\ndescription: ${env:TOKEN}\n");
    world.apply().code(0);
    for name in ["hunter2-and-more", "old aHVudGVyMi1hbmQtbW9yZQ==", "orders-prod"] {
        world.make(email_body(name));
    }
    let file = world.path("plan.json").display().to_string();
    let mut shown = String::new();
    for output in ["text", "json", "markdown"] {
        let plan = ["plan", "--output", output, "--list-unmanaged", "--out", &file];
        let ran = world.run(&plan).code(0).says("(sensitive)").says("orders-prod");
        shown += &(ran.stdout + &std::fs::read_to_string(&file).unwrap());
    }
    let folder = world.path("exported").display().to_string();
    let ran = world.run(&["export", "--dir", &folder]).code(1);
    let ran = ran.says("cannot be declared: its name shows a value of the environment");
    shown += &(ran.stdout + &ran.stderr);
    for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        shown += &format!("{:?}{}", entry.path(), std::fs::read_to_string(entry.path()).unwrap());
    }
    assert!(shown.contains("orders-prod.yaml"), "{shown}");
    let daemon = Running::start(&world, &["--dry-run"]);
    eventually("it is ready", || daemon.get(&world, "/readyz").0 == 200);
    shown += &(daemon.get(&world, "/").1 + &daemon.get(&world, "/api/v1/status").1);
    shown += &daemon.logs();
    for piece in ["hunter2", "aHVudGVy"] {
        assert!(!shown.contains(piece), "{shown}");
    }
}

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
fn what_an_older_config_was_about_says_nothing_of_the_newer() {
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
fn a_value_of_before_a_rotation_is_still_a_secret_after_a_reload() {
    let mut world = World::with(masked());
    let file = world.path("password");
    std::fs::write(&file, "the-older-value").unwrap();
    world.env.remove("SMTP_PASSWORD");
    world.env.insert("SMTP_PASSWORD_FILE".into(), file.display().to_string());
    world.target("resync: 1s");
    world.settle(&["a"]);
    let daemon = Running::start(&world, &[]);
    eventually("it stands", || daemon.get(&world, "/readyz").0 == 200);
    std::fs::write(&file, "the-newer-value").unwrap();
    world.target("resync: 2s");
    daemon.signal("-HUP");
    eventually("it is sent", || world.live("a")["password"] == json!("the-newer-value"));
    world.control().fail_next(Some(Method::PUT), "/a/", refusal("was the-older-value"), 99);
    world.commit_email("a", "port: 26\n");
    let shown = || daemon.logs() + &daemon.get(&world, "/api/v1/status").1;
    eventually("what the server says is shown", || shown().contains("was "));
    let shown = shown();
    assert!(shown.contains("was (sensitive)") && !shown.contains("the-older-value"), "{shown}");
}
