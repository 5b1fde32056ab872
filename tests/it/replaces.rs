//! Another type under the same name: a delete and a create, with a way back.

use apinizer_gitops::testing::sandbox::{Dialect, Ids, Options, SecretsOnGet};
use axum::http::Method;
use serde_json::{Value, json};

use crate::crashes::kill_at_first_write;
use crate::drift_kept::with_host_of_the_environment;
use crate::faults::{Fault, Moment};
use crate::running::{Applying, eventually};
use crate::secrets::masked;
use crate::world::{CANARY, PROJECT, World, email, email_body, ftp, refusal};

fn replacing(options: Options) -> World {
    let mut world = World::with(options);
    world.env.insert("FTP_PASSWORD".into(), "of-ftp".into());
    world.settle(&["a", "b"]);
    let document = ftp("a", "").replace("SMTP_PASSWORD", "FTP_PASSWORD");
    world.write("connections/a.yaml", &document);
    world.commit("a is ftp now");
    world
}

#[test]
fn a_replace_is_a_get_a_delete_and_a_create() {
    for dialect in [Dialect::Current, Dialect::Older] {
        let world = replacing(masked().in_dialect(dialect));
        world.apply().code(0);
        assert_eq!(world.calls(), ["GET a", "DELETE a", "POST a"]);
        assert_eq!(world.live("a")["type"], json!("ftp"));
        assert_eq!(world.live("a")["password"], json!("of-ftp"));
        world.plan().code(0);
    }
}

#[test]
fn a_refused_replace_restores_the_old_connection_with_its_masked_secrets() {
    for dialect in [Dialect::Current, Dialect::Older] {
        let world = replacing(masked().in_dialect(dialect));
        world.control().fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 1);
        world.apply().code(1).says("made again");
        assert_eq!(world.live("a")["type"], json!("email"));
        assert_eq!(world.live("a")["password"], json!(CANARY));
        assert_eq!(world.live("a")["username"], json!("u"));
        // It is still ours, also once somebody edited it: the commit that takes it out deletes it.
        world.edit("a", "port", json!(99));
        world.commit_without(&["a"]);
        world.apply().code(0);
        assert_eq!(world.names(), ["b"]);
    }
}

#[test]
fn a_connection_that_could_not_be_restored_is_not_deleted() {
    for secrets in [SecretsOnGet::Masked, SecretsOnGet::Cipher, SecretsOnGet::Asterisks] {
        let mut world = replacing(Options::showing(secrets));
        world.env.remove("SMTP_PASSWORD");
        world.write(
            "connections/b.yaml",
            "type: email\nname: b\nhost: h\nx-gitops: {suspend: true}\n",
        );
        world.commit("leave b alone");
        world.apply().code(1).says("SMTP_PASSWORD");
        assert!(world.writes().is_empty(), "{secrets:?}");
    }
}

#[test]
fn a_secret_that_git_never_declared_blocks_a_replace_in_the_plan_too() {
    for secrets in [SecretsOnGet::Masked, SecretsOnGet::Cipher] {
        a_secret_of_the_console_blocks_a_replace(secrets);
    }
}

fn a_secret_of_the_console_blocks_a_replace(secrets: SecretsOnGet) {
    let world = World::with(Options::showing(secrets));
    let mut by_hand = email_body("a");
    by_hand["password"] = json!("of-the-console");
    world.make(by_hand);
    world.write("connections/a.yaml", "type: email\nname: a\nhost: smtp.example.com\n");
    world.commit("adopt it");
    world.apply().code(0);
    world.write("connections/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
    world.commit("another type");
    world.forget_calls();
    let why = "the old connection's `password` can be neither resolved nor read";
    world.plan().code(1).says(why);
    world.apply().code(1).says(why);
    assert!(world.writes().is_empty());
}

#[test]
fn the_new_connection_is_resolved_before_the_delete() {
    let mut world = replacing(masked());
    world.env.remove("FTP_PASSWORD");
    world.apply().code(1).says("FTP_PASSWORD");
    assert!(world.writes().is_empty());
}

#[test]
fn any_other_difference_of_type_is_blocked() {
    // In the console ours was replaced by one of another type.
    let world = World::settled(&["a", "b"]);
    assert!(world.control().remove(PROJECT, "a"));
    world.make(json!({"type": "ftp", "name": "a", "host": "h", "protocol": "FTP"}));
    world.plan().code(1).says("is of type ftp on the server");
    world.apply().code(1);
    // Git follows: what is live is equal to what it declares now, and is taken over.
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("git follows");
    world.apply().code(0);
    assert!(!world.writes().iter().any(|w| w.starts_with("DELETE")));
    // And one that nobody owns is never replaced.
    let mut body = email_body("c");
    body["host"] = json!("x");
    world.make(body);
    world.write("connections/c.yaml", &ftp("c", ""));
    world.commit("another type");
    world.apply().code(1).says("is of type email on the server");
    assert_eq!(world.live("c")["type"], json!("email"));
}

#[test]
fn a_create_whose_answer_was_lost_is_looked_after() {
    for fault in [Fault::Lost, Fault::LateError] {
        let world = replacing(masked());
        world.control().fail_next(Some(Method::POST), "/a/", fault.clone(), 1);
        world.apply().code(0);
        assert_eq!(world.live("a")["type"], json!("ftp"), "{fault:?}");
        assert_eq!(world.live("a")["password"], json!("of-ftp"));
        world.plan().code(0);
    }
}

#[test]
fn a_way_back_whose_answer_was_lost_leaves_no_orphan() {
    let world = replacing(masked());
    let control = world.control();
    control.fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 1);
    control.fail_next(Some(Method::POST), "/a/", Fault::Lost, 1);
    control.fail_next(Some(Method::GET), "/a/", Fault::Nothing, 2);
    control.fail_next(Some(Method::GET), "/a/", refusal("not now"), 9);
    world.apply().code(1);
    control.clear_faults();
    assert!(world.remembered("intent").get("a").is_some(), "whether it arrived is not known");
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}

#[test]
fn a_connection_that_somebody_makes_in_place_of_a_lost_way_back_is_not_ours() {
    let world = replacing(masked());
    let control = world.control();
    control.fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 1);
    control.fail_next(Some(Method::POST), "/a/", Fault::Reset, 1);
    let refused = control.gate(Some(Method::POST), "/a/", Moment::After);
    let applying = Applying::until(&world, &refused);
    let way_back = control.gate(Some(Method::POST), "/a/", Moment::Before);
    refused.open();
    world.block_on(way_back.wait_for(1));
    let mut theirs = email_body("a");
    theirs["host"] = json!("theirs.example.com");
    world.make(theirs);
    way_back.open();
    applying.ends().code(1);
    assert!(world.remembered("owned").get("a").is_none());
}

#[test]
fn a_way_back_that_is_refused_too_claims_nothing() {
    let world = replacing(masked());
    world.control().fail_next(Some(Method::POST), "/a/", refusal("not now"), 2);
    world.apply().code(1).says("could not be made again");
    let mut by_hand = email_body("a");
    by_hand["username"] = json!("u");
    by_hand["password"] = json!(CANARY);
    world.make(by_hand);
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}

/// A failure that says nothing of the document is no refusal of it; but it is not tried for ever.
#[test]
fn a_replace_that_only_failed_is_tried_once_more() {
    for failures in [1, 2] {
        let world = replacing(masked());
        world.control().fail_next(Some(Method::POST), "/a/", Fault::Forbidden, 1);
        world.apply().code(1).says("made again");
        assert_eq!(world.live("a")["password"], json!(CANARY));
        if failures == 1 {
            world.apply().code(0);
            assert_eq!(world.live("a")["type"], json!("ftp"));
            world.plan().code(0);
            continue;
        }
        world.control().fail_next(Some(Method::POST), "/a/", Fault::Forbidden, 1);
        world.apply().code(1).says("made again");
        world.forget_calls();
        world.apply().code(1).says("--allow-delete").says("tries it once more");
        assert_eq!(world.writes(), [""; 0], "not for ever");
        asked_for(&world);
    }
}

/// Asks for the replace by name, after the server was made to take it.
fn asked_for(world: &World) {
    for arguments in
        [&["--name", "a"][..], &["--allow-deletes"], &["--allow-deletes", "--name", "a"]]
    {
        world.run(&[&["apply", "--yes"], arguments].concat()).code(1);
        assert_eq!(world.writes(), [""; 0], "{arguments:?}");
    }
    let asking = ["apply", "--yes", "--allow-delete", "a"];
    world.control().fail_next(Some(Method::POST), "/a/", Fault::Forbidden, 1);
    world.run(&asking).code(1).says("made again");
    world.apply().code(1).says("tries it once more");
    assert_eq!(world.live("a")["type"], json!("email"));
    world.run(&asking).code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
    world.plan().code(0);
}

#[test]
fn a_refused_replace_is_tried_again_on_request() {
    let world = replacing(masked());
    world.control().fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 1);
    world.apply().code(1).says("made again");
    world.forget_calls();
    asked_for(&world);
}

/// Two ways in which the old one is gone by the tool's own hand and the new one is not there: git
/// goes back, and where drift is only reported that is no drift.
#[test]
fn a_replace_that_ended_halfway_leaves_no_drift() {
    for is_killed in [true, false] {
        let mut world = replacing(masked());
        world.target("drift: report");
        if is_killed {
            assert!(kill_at_first_write(&world, true));
        } else {
            world.control().fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 2);
            world.apply().code(1).says("could not be made again");
            world.control().clear_faults();
        }
        assert_eq!(world.names(), ["b"]);
        world.git(&["revert", "--no-edit", "HEAD"]);
        world.apply().code(0);
        assert_eq!(world.names(), ["a", "b"], "killed: {is_killed}");
        world.plan().code(0);
    }
}

#[test]
fn consent_to_one_replace_is_no_consent_to_another() {
    let mut world = replacing(masked());
    world.target("max_deletes: 0");
    world.commit("consent\n\nAllow-Deletes: true");
    world.control().fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 1);
    world.apply().code(1).says("made again");
    world.write("connections/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
    world.commit("something else, without a word");
    world.forget_calls();
    world.apply().code(3).says("max_deletes");
    assert!(world.writes().is_empty());
    world.commit("consent\n\nAllow-Deletes: true");
    world.apply().code(0);
    assert_eq!(world.live("a")["type"], json!("syslog"));
}

#[test]
fn a_masked_part_of_a_field_is_restored_or_blocks_the_replace() {
    for is_declared in [true, false] {
        let world = World::with(masked());
        let headers =
            "headerList:\n  - {name: Authorization, value: 'Bearer ${env:SMTP_PASSWORD}'}\n";
        let headers = if is_declared { headers } else { "" };
        let webhook = format!("type: webhook\nname: w\nfullUrl: https://example.com/\n{headers}");
        world.write("connections/w.yaml", &webhook);
        world.settle(&["a", "b"]);
        // A server that answers with asterisks: this one has nothing else, which tells them apart.
        let masked = json!([{"name": "Authorization", "value": "********"}]);
        world.edit("w", "headerList", masked);
        world.write("connections/w.yaml", "type: syslog\nname: w\nsyslogServerHostname: h\n");
        world.commit("w is syslog now");
        world.control().fail_next(Some(Method::POST), "/w/", refusal("no syslog here"), 1);
        world.forget_calls();
        if is_declared {
            world.apply().code(1).says("made again");
            let value = format!("Bearer {CANARY}");
            assert_eq!(world.live("w")["headerList"][0]["value"], json!(value));
        } else {
            world.apply().code(1).says("could not be restored");
            assert!(world.writes().is_empty());
        }
    }
}

#[test]
fn a_connection_that_a_failed_replace_deleted_leaves_the_inventory() {
    for (adopt, code) in [("always", 0), ("never", 1)] {
        let mut world = replacing(Options::default());
        world.target(&format!("adopt: {adopt}"));
        world.control().fail_next(Some(Method::POST), "/a/", refusal("no"), 2);
        world.apply().code(1).says("could not be made again");
        world.control().clear_faults();
        world.make(email_body("a"));
        world.edit("a", "host", json!("by.hand"));
        world.git(&["revert", "--no-edit", "HEAD"]);
        world.apply().code(code);
        world.commit_without(&["a"]);
        // Only what was taken over is deleted.
        world.apply().code(0);
        assert_eq!(world.names().contains(&"a".to_owned()), adopt == "never", "{adopt}");
    }
}

#[test]
fn a_killed_replace_claims_nothing_where_no_ids_are_shown() {
    let world = replacing(Options { ids: Ids::Nowhere, ..Options::default() });
    let gate = world.control().gate(Some(Method::POST), "/a/", Moment::Before);
    assert!(Applying::until(&world, &gate).kill());
    assert_eq!(world.names(), ["b"]);
    world.make(email_body("a"));
    world.edit("a", "host", json!("by.hand"));
    world.apply().code(1);
    assert_eq!(world.live("a")["host"], json!("by.hand"));
}

#[test]
fn a_held_replace_names_the_commits_that_removed_and_declared_the_name() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b"]);
    world.commit_without(&["a"]);
    world.apply().code(3).says("max_deletes");
    world.write("connections/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
    world.commit("another a, of another type");
    let ran = world.apply().code(3).says("removed").says("another type");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.contains("the config may have changed"), "a commit did it: {said}");
    assert_eq!(world.live("a")["type"], json!("email"));
    world.run(&["apply", "--yes", "--allow-delete", "a"]).code(3).says("max_deletes");
    world.run(&["apply", "--yes", "--allow-delete", "a", "--allow-deletes"]).code(0);
    assert_eq!(world.live("a")["type"], json!("syslog"));
}

#[test]
fn a_replace_whose_delete_was_lost_is_made_good_where_drift_is_only_reported() {
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
fn a_delete_of_a_replace_that_may_still_arrive_is_not_forgotten() {
    let mut world = World::settled(&["a", "b"]);
    world.target("drift: report");
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("a is ftp now");
    for fault in [Fault::Reset, Fault::Forbidden] {
        world.control().fail_next(Some(Method::DELETE), "/a/", fault, 1);
    }
    world.apply().code(1);
    assert!(world.control().remove(PROJECT, "a"), "the first DELETE arrives late");
    world.git(&["revert", "--no-edit", "HEAD"]);
    world.apply().code(0);
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
fn a_changed_type_is_a_replace_and_a_refused_replace_is_undone_once() {
    let world = World::settled(&["a", "b"]);
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("a is ftp now");
    assert_eq!(world.changes(&[]), ["replace a"]);
    world.control().fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 1);
    world.apply().code(1).says("no ftp here");
    assert_eq!(world.live("a")["type"], json!("email"));
    assert_eq!(world.live("a")["password"], json!(CANARY));
    world.forget_calls();
    world.apply().code(1);
    assert!(world.writes().is_empty(), "a refused replace is not tried for ever");
    world.write("connections/a.yaml", &ftp("a", "").replace("FTP", "SFTP"));
    world.commit("another try");
    world.apply().code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
}

#[test]
fn without_prune_a_replace_is_held() {
    let mut world = World::new();
    world.target("prune: false");
    world.settle(&["a", "b"]);
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("another type");
    world.apply().code(3).says("`prune` is off");
    assert_eq!(world.live("a")["type"], json!("email"));
    world.target("prune: true");
    world.apply().code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
}

/// A webhook with secrets of git inside of its fields, which the server masks.
const WITH_HIDDEN: &str = "type: webhook\nname: w\nfullUrl: https://example.com/\n\
    headerList: [{name: A, value: '1'}, {name: Authorization, value: '${env:SMTP_PASSWORD}'}]\n\
    tls: {mode: a, other: '${env:SMTP_PASSWORD}'}\n";

/// A world in which git declares another type for a webhook, which the server will not take.
fn refusing_to_replace(document: &str, edits: &[(&str, Value)]) -> World {
    let world = World::with(masked());
    world.write("connections/w.yaml", document);
    world.settle(&["a", "b"]);
    for (field, value) in edits {
        world.edit("w", field, value.clone());
    }
    world.write("connections/w.yaml", "type: syslog\nname: w\nsyslogServerHostname: h\n");
    world.commit("w is syslog now");
    world.control().fail_next(Some(Method::POST), "/w/", refusal("no syslog here"), 1);
    world.forget_calls();
    world
}

#[test]
fn the_way_back_is_what_get_showed_with_its_masked_parts_filled() {
    let headers = |secret: Value| {
        json!([
            {"name": "Authorization", "value": secret, "note": "of the console"},
            {"name": "A", "value": "2"},
            {"name": "B", "value": "3"},
        ])
    };
    let tls = |secret: Value| json!({"mode": "b", "zone": "z", "other": secret});
    let edits = [("headerList", headers(json!("****"))), ("tls", tls(json!(null)))];
    let world = refusing_to_replace(WITH_HIDDEN, &edits);
    world.apply().code(1).says("made again");
    let live = world.live("w");
    assert_eq!((&live["headerList"], &live["tls"]), (&headers(json!(CANARY)), &tls(json!(CANARY))));
}

#[test]
fn a_masked_part_that_git_did_not_declare_blocks_a_replace() {
    let header = |name: &str| json!([{"name": name, "value": null}, {"name": "A", "value": "1"}]);
    for (field, shown) in [
        ("tls", json!({"mode": "a", "other": null, "keyStorePassword": null})),
        ("headerList", header("Proxy-Authorization")),
    ] {
        let world = refusing_to_replace(WITH_HIDDEN, &[(field, shown)]);
        for ran in [world.plan(), world.apply()] {
            ran.code(1).says(field).says("could not be restored");
        }
        assert!(world.writes().is_empty());
    }
}

#[test]
fn drift_that_a_way_back_made_again_is_still_drift() {
    let (world, document) = with_host_of_the_environment();
    world.edit("a", "host", json!("by.hand"));
    world.write("connections/a.yaml", &ftp("a", ""));
    world.commit("a is ftp now");
    world.control().fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 1);
    world.apply().code(1).says("made again");
    world.write("connections/a.yaml", &document);
    world.commit("and back");
    world.apply().code(0).says("only reported");
    assert_eq!(world.live("a")["host"], json!("by.hand"));
}

#[test]
fn a_way_back_whose_answer_was_lost_by_a_kill_is_ours() {
    let world = replacing(Options::default());
    world.control().fail_next(Some(Method::POST), "/a/", refusal("no ftp here"), 1);
    let post = || world.control().gate(Some(Method::POST), "/a/", Moment::After);
    let of_new = post();
    let applying = Applying::until(&world, &of_new);
    let way_back = post();
    of_new.open();
    eventually("the way back arrives", || way_back.arrived() == 1);
    assert!(applying.kill());
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}
