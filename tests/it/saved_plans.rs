//! A saved plan is carried out as it stands or not at all; `--base` needs no state.

use apinizer_gitops::testing::sandbox::Options;
use axum::http::Method;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::secrets::masked;
use crate::world::{
    CANARY, CHECKOUT, SandboxOptions as _, World, email, email_body, ftp, one_target,
};

fn with_a_saved_plan() -> (World, String) {
    let world = World::settled(&["a"]);
    world.commit_email("b", "");
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file]).code(2);
    world.forget_calls();
    (world, file)
}

#[test]
fn a_plan_that_still_fits_is_carried_out() {
    let (world, file) = with_a_saved_plan();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(CANARY));
    // The same tree under another commit: a merge.
    world.commit("nothing new");
    world.run(&["apply", &file, "--yes"]).code(0);
    assert_eq!(world.writes(), ["POST b"]);
}

#[test]
fn a_plan_that_no_longer_fits_changes_nothing() {
    let (world, file) = with_a_saved_plan();
    world.commit_email("c", "");
    world.run(&["apply", &file, "--yes"]).code(3).says("`c` is new in git");
    world.commit_without(&["c"]);
    world.edit("a", "port", json!(9));
    world.run(&["apply", &file, "--yes"]).code(3).says("`a` changed on the server");
    assert!(world.writes().is_empty());
}

#[test]
fn a_saved_plan_without_digests_or_targets_is_none() {
    let (world, file) = with_a_saved_plan();
    let saved: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    for missing in ["/targets/0/digests", "/targets/0/place", "/targets/0", "/targets"] {
        let mut saved = saved.clone();
        match missing {
            "/targets/0" => saved["targets"] = json!([]),
            other => drop(saved.pointer_mut(other).map(Value::take)),
        }
        std::fs::write(&file, saved.to_string()).unwrap();
        let ran = world.run(&["apply", &file, "--yes"]).code(1).says("is no saved plan");
        assert!(world.calls().is_empty(), "{missing}: {ran:?}");
    }
}

#[test]
fn a_saved_plan_does_nothing_beyond_its_list() {
    let (mut world, file) = with_a_saved_plan();
    world.env.insert("SMTP_PASSWORD".into(), "rotated".into());
    world.run(&["apply", &file, "--yes"]).code(0);
    assert_eq!(world.writes(), ["POST b"]);
    assert_eq!(world.live("a")["password"], json!(CANARY));
}

#[test]
fn a_saved_plan_is_of_one_target() {
    let (mut world, file) = with_a_saved_plan();
    let other = World::new();
    world.config(&one_target(CHECKOUT, "").replace("{url}", &other.url()));
    world.run(&["apply", &file, "--yes"]).code(3);
    assert!(other.writes().is_empty());
    std::fs::write(&file, "{}").unwrap();
    world.run(&["apply", &file, "--yes"]).code(1).says("no saved plan");
}

#[test]
fn a_base_revision_stands_for_the_state() {
    let world = World::new();
    world.commit_email("a", "");
    world.commit_email("gone", "");
    world.commit_email("moved", "");
    let base = world.commit_email("kept", "x-gitops: {protect: true}\n");
    world.run(&["apply", "--yes"]).code(0);
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    world.make(email_body("by-hand"));
    world.edit("moved", "host", json!("elsewhere"));
    for name in ["gone", "moved", "kept"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    world.write_email("a", "port: 26\n");
    world.commit("change one, remove three");
    world.run(&["plan", "--base", &base]).code(3).says("rotated values");
    assert_eq!(
        world.changes(&["--base", &base]),
        ["update a", "delete gone", "delete kept (held)", "delete moved (held)"]
    );
    world.run(&["apply", "--yes", "--base", &base]).code(3);
    assert_eq!(world.names(), ["a", "by-hand", "kept", "moved"]);
    assert_eq!(world.live("a")["port"], json!(26));
    assert!(!world.state_dir().exists(), "no state is written");
}

#[test]
fn a_listed_delete_of_a_drifted_connection_is_made() {
    let world = World::settled(&["a", "b", "c"]);
    world.edit("a", "port", json!(9));
    world.edit("b", "port", json!(9));
    world.remove("connections/a.yaml");
    world.write(
        "connections/b.yaml",
        &email("b", "host: other\n").replacen("host: smtp.example.com\n", "", 1),
    );
    world.commit("remove a, change b");
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file]).code(2);
    world.run(&["apply", &file, "--yes"]).code(0);
    assert_eq!(world.names(), ["b", "c"]);
    assert_eq!(world.live("b")["host"], json!("other"));
}

#[test]
fn a_listed_delete_that_is_held_today_changes_nothing() {
    let mut world = World::new();
    world.target("max_deletes: 3");
    world.settle(&["a", "b", "c"]);
    world.remove("connections/a.yaml");
    world.commit_email("d", "");
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file]).code(2);
    world.target("max_deletes: 0");
    world.forget_calls();
    world.run(&["apply", &file, "--yes"]).code(3).says("max_deletes");
    assert!(world.writes().is_empty());
    // Nor the other way round: what was held is not let go by another config.
    world.run(&["plan", "--out", &file]).code(3);
    world.target("max_deletes: 3");
    world.run(&["apply", &file, "--yes"]).code(3).says("`a`");
    assert!(world.writes().is_empty());
}

#[test]
fn fields_that_only_a_single_read_shows_are_digested() {
    let world = World::with(Options::with(Options::list_summaries));
    world.commit_email("a", "port: 1\n");
    world.settle(&["b"]);
    world.commit_email("c", "");
    world.commit_email("b", "port: 2\n");
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file]).code(2);
    world.run(&["plan", "--out", &file]).code(2);
    world.edit("a", "port", json!(9));
    world.forget_calls();
    world.run(&["apply", &file, "--yes"]).code(3).says("`a` changed on the server");
    assert!(world.writes().is_empty());
    world.edit("a", "port", json!(1));
    world.run(&["apply", &file, "--yes"]).code(0);
    assert_eq!(world.live("b")["port"], json!(2));
}

#[test]
fn the_base_decides_by_texts_which_secrets_are_sent() {
    let mut world = World::with(masked());
    world.commit_email("a", "");
    world.commit_email("b", "");
    let base = world.commit_email("c", "");
    world.apply().code(0);
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    world.env.insert("SMTP_PASSWORD".into(), "rotated".into());
    world.env.insert("OTHER".into(), "another".into());
    world.forget_calls();
    let ran = world.run(&["apply", "--yes", "--base", &base]).code(0);
    assert!(world.writes().is_empty(), "a rotated value is not seen: {ran:?}");
    world.write("connections/a.yaml", &email("a", "").replace("SMTP_PASSWORD", "OTHER"));
    world.commit_email("b", "port: 7\n");
    assert_eq!(world.changes(&["--base", &base]), ["update a", "update b"]);
    world.run(&["apply", "--yes", "--base", &base]).code(0);
    assert_eq!(world.live("a")["password"], json!("another"));
    assert_eq!(world.live("b")["password"], json!("rotated"), "sent with another write");
    assert_eq!(world.live("c")["password"], json!(CANARY));
    world.forget_calls();
    world.run(&["apply", "--yes", "--base", "HEAD", "--resend-secrets"]).code(0);
    assert_eq!(world.live("c")["password"], json!("rotated"));
    assert!(!world.state_dir().exists());
}

#[test]
fn the_base_knows_renames_replaces_and_limits() {
    let world = World::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.commit_email(name, "");
    }
    let base = world.commit("base");
    world.apply().code(0);
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    world.remove("connections/a.yaml");
    world.write_email("z", "x-gitops: {renamedFrom: a}\n");
    world.write("connections/b.yaml", &ftp("b", ""));
    for name in ["c", "d", "e"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    world.commit("rename, replace, remove three");
    assert_eq!(
        world.changes(&["--base", &base]),
        ["rename z", "replace b (held)", "delete c (held)", "delete d (held)", "delete e (held)"]
    );
    world.commit("consent\n\nAllow-Deletes: true");
    world.run(&["apply", "--yes", "--base", &base]).code(0);
    assert_eq!(world.names(), ["b", "f", "z"]);
    assert_eq!(world.live("b")["type"], json!("ftp"));
    // A mistyped path deletes nothing: REV is read with today's config too.
    world.run(&["apply", "--yes", "--base", &base, "--path", "conections"]);
    assert_eq!(world.names(), ["b", "f", "z"]);
}

#[test]
fn a_connection_that_drifted_from_the_base_is_not_replaced() {
    let world = World::settled(&["a", "b", "c", "d"]);
    let base = world.git(&["rev-parse", "HEAD"]);
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    world.edit("a", "host", json!("by.hand"));
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("another type");
    world.run(&["plan", "--base", base.trim()]).code(3).says("not what the base revision");
    world.run(&["apply", "--yes", "--base", base.trim()]).code(3);
    assert!(world.writes().is_empty());
}

/// A job without secrets has no weaker check of what it may delete.
#[test]
fn a_list_that_drifted_from_the_base_beside_a_reference_holds_a_delete() {
    let mut world = World::new();
    for name in ["a", "b"] {
        let document = format!("type: syslog\nname: {name}\nsyslogServerHostname: h\n");
        world.write(&format!("connections/{name}.yaml"), &document);
    }
    let headers =
        "headerList: [{name: Authorization, value: '${env:SMTP_PASSWORD}'}, {name: A, value: '1'}]";
    let webhook = format!("type: webhook\nname: w\nfullUrl: https://h\n{headers}\n");
    world.write("connections/w.yaml", &webhook);
    world.commit("a webhook");
    world.apply().code(0);
    let base = world.git(&["rev-parse", "HEAD"]);
    world.commit_without(&["w"]);
    world.env.remove("SMTP_PASSWORD");
    let plan = ["plan", "--base", base.trim()];
    world.run(&plan).code(2);
    let authorization = json!({"name": "Authorization", "value": CANARY});
    for by_hand in [
        json!([authorization, {"name": "A", "value": "2"}]),
        json!([authorization, {"name": "A", "value": "1"}, {"name": "B", "value": "1"}]),
    ] {
        world.edit("w", "headerList", by_hand);
        world.run(&plan).code(3).says("not what the base revision");
    }
    world.run(&["apply", "--yes", "--base", base.trim()]).code(3);
    assert!(world.names().contains(&"w".to_owned()));
}

#[test]
fn a_saved_plan_is_not_narrowed() {
    let (world, file) = with_a_saved_plan();
    for flags in [["--name", "a"], ["--type", "webhook"], ["--target", "elsewhere"]] {
        let arguments = [&["apply", file.as_str(), "--yes"][..], &flags[..]].concat();
        world.run(&arguments).code(1).says("as it stands");
    }
    assert!(world.writes().is_empty());
    let whole = world.run(&["apply", &file, "--yes", "--target", "default"]).code(0);
    assert_eq!(world.writes(), ["POST b"], "{whole:?}");
}

#[test]
fn a_saved_plan_takes_no_other_base_and_no_commit_in_place_of_the_working_tree() {
    let world = World::settled(&["a"]);
    let base = world.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let next = world.commit_email("b", "");
    let file = world.path("plan.json").display().to_string();
    for (saved, given) in [
        (&[][..], &["--base", "HEAD~1"][..]),
        (&["--base", "HEAD~1"], &["--base", &next]),
        (&["--worktree"], &["--rev", "HEAD"]),
        (&[], &["--worktree"]),
    ] {
        world.run(&[&["plan", "--out", &file], saved].concat()).code(2);
        world.forget_calls();
        let ran = world.run(&[&["apply", &file, "--yes"], given].concat()).code(1);
        ran.says("as it stands");
        assert!(world.calls().is_empty(), "{saved:?} {given:?}");
    }
    world.run(&["plan", "--out", &file, "--base", &base]).code(2);
    world.run(&["apply", &file, "--yes", "--base", &base]).code(0);
    assert_eq!(world.writes(), ["POST b"]);
}

#[test]
fn a_saved_plan_whose_reason_is_gone_is_stale() {
    let mut world = World::settled(&["a", "b"]);
    world.env.insert("SMTP_PASSWORD".into(), "rotated".into());
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file]).code(2);
    world.env.insert("SMTP_PASSWORD".into(), CANARY.into());
    world.forget_calls();
    let ran = world.run(&["apply", &file, "--yes"]).code(3);
    ran.says("the update of `a` was to be made, and today none is due");
    assert!(world.writes().is_empty());
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
fn a_saved_plan_writes_no_field_that_it_did_not_list() {
    let mut world = World::new();
    world.target("drift: report");
    world.settle(&["a"]);
    world.edit("a", "host", json!("typed.in.the.console"));
    world.commit_email("a", "port: 26\n");
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file]).code(2);
    world.target("drift: correct");
    world.forget_calls();
    world.run(&["apply", &file, "--yes"]).code(3).says("was not to write `/host`");
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
