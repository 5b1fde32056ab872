//! `renamedFrom`: when it acts, when it is inert, and what it holds back.

use apinizer_gitops::testing::sandbox::{Dialect, Ids, Options, Rename, SecretsOnGet};
use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::crashes::kill_at_first_write;
use crate::faults::Fault;
use crate::secrets::masked;
use crate::world::{CANARY, PROJECT, SandboxOptions as _, World, email, email_body, ftp, refusal};

/// A server on which path and body have to agree.
pub(crate) fn refusing_renames() -> Options {
    Options::with(|options| options.profile.rename = Some(Rename::Refused))
}

#[test]
fn neither_name_live_is_a_plain_create() {
    let world = World::new();
    world.commit_email("new", "x-gitops: {renamedFrom: old}\n");
    assert_eq!(world.changes(&[]), ["create new"]);
    world.apply().code(0);
    assert_eq!(world.writes(), ["POST new"]);
}

#[test]
fn both_names_live_are_an_error_unless_the_new_one_is_ours_or_the_old_one_declared() {
    let world = World::new();
    world.make(email_body("old"));
    world.make(email_body("new"));
    world.commit_email("new", "x-gitops: {renamedFrom: old}\n");
    world.apply().code(1).says("both names are live");
    assert!(world.writes().is_empty());
    world.commit_email("old", "");
    world.apply().code(0);
    assert!(world.writes().is_empty());
    world.commit_without(&["old"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["new"]);
}

#[test]
fn a_rename_that_is_done_is_inert() {
    let world = World::settled(&["old", "other"]);
    world.commit_rename("old", "new");
    world.apply().code(0);
    world.make(email_body("old"));
    world.forget_calls();
    world.apply().code(0);
    assert!(world.writes().is_empty());
    assert_eq!(world.names(), ["new", "old", "other"]);
}

#[test]
fn an_old_name_outside_the_inventory_is_adopted_as_the_config_says() {
    for (adopt, code, name) in [("always", 0, "new"), ("never", 1, "old"), ("equal", 0, "new")] {
        let mut world = World::new();
        world.target(&format!("adopt: {adopt}"));
        world.make(email_body("old"));
        world.commit_email("new", "x-gitops: {renamedFrom: old}\n");
        world.apply().code(code);
        assert_eq!(world.names(), [name], "{adopt}");
    }
}

#[test]
fn a_rename_keeps_masked_secrets_and_undeclared_fields() {
    for dialect in [Dialect::Current, Dialect::Older] {
        let world = World::with(masked().in_dialect(dialect));
        world.settle(&["old", "other"]);
        world.edit("old", "description", json!("by hand"));
        world.commit_rename("old", "new");
        let plan = world.plan_json(&[]);
        assert_eq!(plan["changes"][0]["previous_name"], json!("old"));
        assert!(plan["notes"].to_string().contains("do not follow a rename"), "{plan}");
        world.apply().code(0);
        assert_eq!(world.live("new")["password"], json!(CANARY));
        assert_eq!(world.live("new")["description"], json!("by hand"));
        world.plan().code(0);
    }
}

#[test]
fn a_rename_that_fails_gives_another_connection_no_secret() {
    let world = World::with(Options::showing(SecretsOnGet::Shown));
    world.settle(&["a", "witness"]);
    world.write("connections/new.yaml", &ftp("new", ""));
    world.commit("an ftp connection");
    world.apply().code(0);
    assert!(world.control().remove(PROJECT, "new"));
    world.remove("connections/a.yaml");
    world.commit_email("new", "x-gitops: {renamedFrom: a, ignore: [password]}\n");
    world.control().fail_next(Some(Method::GET), "type=ftp", Fault::Forbidden, 50);
    world.control().fail_next(Some(Method::PUT), "/a/", Fault::Forbidden, 1);
    world.forget_calls();
    world.apply().code(1);
    assert_eq!(world.writes(), ["PUT a"]);
    let kept = &world.remembered("owned")["new"];
    assert!(kept["type"] == "ftp" && kept.get("shown_secrets").is_none(), "{kept}");
}

#[test]
fn a_refused_rename_is_blocked_and_its_old_name_is_left_alone() {
    for dialect in [Dialect::Current, Dialect::Older] {
        let world = World::with(refusing_renames().in_dialect(dialect));
        world.settle(&["old", "other"]);
        world.commit_rename("old", "new");
        world.apply().code(1).says("refuses the rename");
        assert_eq!(world.names(), ["old", "other"]);
        // Nor may another step take the old name: neither a new document nor a rename onto it.
        world.commit_email("old", "port: 77\n");
        world.apply().code(1);
        assert_ne!(world.live("old")["port"], json!(77));
        world.remove("connections/old.yaml");
        world.commit_rename("other", "old");
        world.apply().code(1);
        assert_eq!(world.names(), ["old", "other"]);
        world.commit_without(&["old"]);
        world.apply().code(1);
        assert!(world.names().contains(&"old".to_owned()), "{:?}", world.names());
    }
}

#[test]
fn a_step_that_needs_a_freed_name_waits_for_the_rename() {
    let world = World::settled(&["a", "b"]);
    world.write_email("a", "port: 77\n");
    world.write_email("c", "x-gitops: {renamedFrom: a}\n");
    world.commit("a becomes c, and another a comes");
    world.control().fail_next(Some(Method::PUT), "/a/", refusal("path and body must agree"), 1);
    world.apply().code(1);
    assert_eq!(world.writes(), ["PUT a"]);
    assert_eq!(world.names(), ["a", "b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b", "c"]);
    assert_eq!(world.live("a")["port"], json!(77));
    world.plan().code(0);
}

#[test]
fn a_chain_whose_end_is_refused_moves_nothing() {
    let world = World::settled(&["a", "b"]);
    world.remove("connections/a.yaml");
    world.write_email("b", "x-gitops: {renamedFrom: a}\n");
    world.write_email("c", "x-gitops: {renamedFrom: b}\n");
    world.commit("a chain");
    world.control().fail_next(Some(Method::PUT), "/b/", Fault::Failure, 1);
    world.apply().code(1);
    assert_eq!(world.writes(), ["PUT b"]);
    assert_eq!(world.names(), ["a", "b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn cycles_and_shared_old_names_are_errors() {
    let world = World::settled(&["a", "b"]);
    world.write_email("a", "x-gitops: {renamedFrom: b}\n");
    world.write_email("b", "x-gitops: {renamedFrom: A}\n");
    world.commit("a cycle");
    world.apply().code(1).says("cycle");
    world.write("connections/a.yaml", &email("c", "x-gitops: {renamedFrom: b}\n"));
    world.write("connections/b.yaml", &email("d", "x-gitops: {renamedFrom: B}\n"));
    world.commit("two from one");
    world.apply().code(1).says("AG502");
    assert!(world.writes().is_empty());
}

#[test]
fn a_name_that_differs_in_case_is_the_same_connection_and_lives_spelling_stays() {
    for dialect in [Dialect::Current, Dialect::Older] {
        let world = World::with(Options::default().in_dialect(dialect));
        world.make(email_body("Order-Mails"));
        world.commit_email("order-mails", "port: 26\n");
        assert_eq!(world.changes(&[]), ["update Order-Mails"]);
        world.apply().code(0);
        assert_eq!(world.names(), ["Order-Mails"]);
        assert_eq!(world.live("Order-Mails")["name"], json!("Order-Mails"));
        world.plan().code(0);
        world.git(&["mv", "connections/order-mails.yaml", "connections/other.yaml"]);
        world.write("connections/other.yaml", &email("ORDER-MAILS", "port: 26\n"));
        world.commit("another spelling");
        world.plan().code(0);
        world.remove("connections/other.yaml");
        world.commit_email("stays", "");
        world.commit("gone");
        world.apply().code(0);
        assert_eq!(world.names(), ["stays"]);
    }
}

#[test]
fn a_rename_in_a_narrowed_run_keeps_the_old_name() {
    let world = World::settled(&["old", "other"]);
    world.commit_rename("old", "new");
    world.run(&["apply", "--yes", "--name", "old"]).code(0);
    world.run(&["apply", "--yes", "--allow-deletes", "--name", "other"]).code(0);
    assert!(world.writes().is_empty());
    assert_eq!(world.names(), ["old", "other"]);
    world.run(&["apply", "--yes", "--name", "new"]).code(0);
    assert_eq!(world.names(), ["new", "other"]);
}

#[test]
fn a_suspended_rename_keeps_the_old_name() {
    let world = World::settled(&["old", "other"]);
    world.remove("connections/old.yaml");
    world.commit_email("new", "x-gitops: {renamedFrom: old, suspend: true}\n");
    world.apply();
    world.run(&["apply", "--yes", "--allow-deletes"]);
    assert!(world.writes().is_empty());
    assert_eq!(world.names(), ["old", "other"]);
}

#[test]
fn a_suspended_old_name_is_left_alone() {
    let world = World::settled(&["old", "other"]);
    world.write_email("old", "x-gitops: {suspend: true}\n");
    world.commit_email("new", "x-gitops: {renamedFrom: old}\n");
    world.apply().code(1).says("no longer suspended");
    assert!(world.writes().is_empty());
    world.remove("connections/old.yaml");
    world.commit("and now it may go");
    world.apply().code(0);
    assert_eq!(world.names(), ["new", "other"]);
}

#[test]
fn the_old_name_of_a_rename_that_is_done_was_removed_by_no_later_commit() {
    let mut world = World::new();
    world.target("paths: [connections]");
    world.commit_email("old", "");
    world.commit_email("other", "");
    world.apply().code(0);
    world.commit_rename("old", "new");
    world.apply().code(0);
    world.apply().code(0);
    // Another one comes under the old name that no commit ever declared.
    world.write_email("old", "");
    world.run(&["apply", "--yes", "--worktree"]).code(0);
    world.remove("connections/old.yaml");
    world.apply().code(3).says("no commit removed it");
    // Nor does a config that reads the last good commit anew find it there.
    world.target("paths: [connections, more]");
    world.apply().code(3).says("no commit removed it");
    assert_eq!(world.names(), ["new", "old", "other"]);
}

#[test]
fn a_rename_that_keeps_drift_is_known_again_after_a_kill() {
    let mut world = World::new();
    world.target("drift: report");
    world.commit_email("old", "port: 1\n");
    world.commit_email("other", "");
    world.apply().code(0);
    world.edit("old", "host", json!("by.hand"));
    world.commit_rename("old", "new");
    assert!(kill_at_first_write(&world, true));
    assert_eq!(world.names(), ["new", "other"]);
    world.apply().code(0);
    assert!(world.remembered("owned").get("new").is_some());
    assert_eq!(world.live("new")["host"], json!("by.hand"));
    assert_eq!(world.changes(&[]), ["drift new"]);
    world.remove("connections/new.yaml");
    world.commit("and it goes");
    world.apply().code(0);
    assert_eq!(world.names(), ["other"]);
}

/// A chain whose free end somebody took: what the names stand for must not move along it.
#[test]
fn a_chain_that_ends_at_an_unmanaged_connection_waits_whole() {
    let world = World::settled(&["a", "b", "x", "y"]);
    let id = world.control().id(PROJECT, "b");
    world.make(email_body("c"));
    let theirs = world.live("c");
    world.remove("connections/a.yaml");
    world.write_email("b", "port: 1\nx-gitops: {renamedFrom: a}\n");
    world.write_email("c", "port: 2\nx-gitops: {renamedFrom: b}\n");
    world.commit("a becomes b, b becomes c");
    world.apply().code(1).says("both names are live");
    assert!(!world.changes(&[]).iter().any(|change| change.starts_with("delete")));
    world.run(&["apply", "--yes", "--allow-delete", "a"]).code(1);
    assert!(world.writes().is_empty());
    assert_eq!(world.live("c"), theirs);
    assert!(world.control().remove(PROJECT, "c"));
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c", "x", "y"]);
    assert_eq!(world.control().id(PROJECT, "c"), id);
}

#[test]
fn the_head_of_a_chain_that_was_refused_is_not_deleted_once_the_chain_is_cut() {
    let world = World::settled(&["a", "b", "other"]);
    world.remove("connections/a.yaml");
    world.write_email("b", "x-gitops: {renamedFrom: a}\n");
    world.commit_email("c", "x-gitops: {renamedFrom: b}\n");
    world.control().fail_next(Some(Method::PUT), "/connections/", refusal("no renames"), 9);
    world.apply().code(1);
    world.control().clear_faults();
    world.commit_without(&["c"]);
    world.apply().code(3).says("renamedFrom");
    assert_eq!(world.names(), ["a", "b", "other"]);
}

#[test]
fn an_old_name_that_is_still_ours_is_not_deleted_while_its_rename_is_declared() {
    let world = World::settled(&["old", "new", "other", "another"]);
    world.apply().code(0);
    world.commit_rename("old", "new");
    assert_eq!(world.changes(&[]), ["delete old (held)"]);
    world.apply().code(3).says("renamedFrom");
    assert_eq!(world.names(), ["another", "new", "old", "other"]);
    world.commit_email("new", "");
    world.apply().code(0);
    assert_eq!(world.names(), ["another", "new", "other"]);
}

#[test]
fn a_rename_that_arrived_is_known_by_its_id() {
    let world = World::settled(&["old", "other"]);
    world.apply().code(0);
    let id = world.control().id(PROJECT, "old");
    world.commit_rename("old", "new");
    assert!(kill_at_first_write(&world, true));
    world.make(email_body("old"));
    world.edit("old", "port", json!(9));
    let theirs = world.live("old");
    world.apply().code(0);
    assert_eq!(world.control().id(PROJECT, "new"), id);
    assert_eq!(world.live("old"), theirs);
    world.commit_without(&["new"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["old", "other"]);
}

#[test]
fn an_old_name_that_a_list_left_out_is_looked_for_before_anything_is_made() {
    let world = World::settled(&["old", "other"]);
    world.apply().code(0);
    let id = world.control().id(PROJECT, "old");
    world.commit_rename("old", "new");
    let body = json!({"status": "SUCCESS", "resultList": [world.live("other")]}).to_string();
    let short = Fault::Answer { status: StatusCode::OK, body, retry_after: None };
    world.control().fail_next(Some(Method::GET), "type=email", short, 1);
    world.apply();
    world.apply().code(0);
    assert_eq!(world.names(), ["new", "other"]);
    assert_eq!(world.control().id(PROJECT, "new"), id);
}

#[test]
fn a_rename_that_is_done_does_not_take_a_later_connection() {
    let world = World::settled(&["old", "other"]);
    world.commit_rename("old", "new");
    world.apply().code(0);
    world.apply().code(0);
    world.make(email_body("old"));
    let theirs = world.live("old");
    assert!(world.control().remove(PROJECT, "new"));
    assert_eq!(world.changes(&[]), ["create new"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["new", "old", "other"]);
    assert_eq!(world.live("old"), theirs);
    // The connection that was renamed back is still ours, by its id.
    world.apply().code(0);
    let ours = world.control().id(PROJECT, "new");
    assert!(world.control().remove(PROJECT, "old"));
    world.edit("new", "name", json!("old"));
    assert_eq!(world.changes(&[]), ["rename new"]);
    world.apply().code(0);
    assert_eq!(world.control().id(PROJECT, "new"), ours);
}

#[test]
fn a_failed_read_of_the_new_name_blocks_no_connection_that_has_the_old_one_since() {
    let options = Options::with(Options::list_summaries);
    let world = World::with(Options { ids: Ids::Nowhere, ..options });
    world.settle(&["old", "other"]);
    world.commit_rename("old", "new");
    world.apply().code(0);
    world.commit_email("old", "");
    world.apply().code(0);
    assert_eq!(world.names(), ["new", "old", "other"]);
    world.control().fail_next(Some(Method::GET), "/new/", Fault::Forbidden, 50);
    assert_eq!(world.changes(&[]), ["blocked new"]);
}

#[test]
fn a_rename_that_cannot_be_made_stays_blocked() {
    let world = World::settled(&["new", "other"]);
    world.make(json!({"type": "ftp", "name": "old", "host": "h", "protocol": "FTP"}));
    assert!(world.control().remove(PROJECT, "new"));
    world.commit_email("new", "x-gitops: {renamedFrom: old}\n");
    world.forget_calls();
    // Also at the next reconcile, which no longer reads that commit for the first time.
    for _ in 0..2 {
        world.apply().code(1).says("that is of type ftp");
        assert!(world.writes().is_empty());
    }
}

#[test]
fn a_rename_that_arrived_is_known_where_no_ids_are_shown() {
    let world = World::with(Options { ids: Ids::Nowhere, ..Options::default() });
    world.settle(&["old", "other"]);
    world.commit_rename("old", "new");
    assert!(kill_at_first_write(&world, true));
    world.make(email_body("old"));
    world.edit("old", "host", json!("by.hand"));
    world.apply().code(0);
    world.commit_without(&["new"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["old", "other"]);
}

#[test]
fn an_old_rename_that_is_taken_out_removes_nothing_of_the_old_name() {
    let world = World::settled(&["x", "other"]);
    world.commit_rename("x", "y");
    world.apply().code(0);
    world.git(&["checkout", "-qb", "feature"]);
    world.commit_email("x", "description: another\n");
    world.run(&["apply", "--yes", "--name", "x"]).code(0);
    world.git(&["checkout", "-q", "main"]);
    assert!(world.control().remove(PROJECT, "y"));
    world.commit_email("y", "");
    world.apply().code(3).says("no commit removed it");
    assert_eq!(world.live("x")["description"], json!("another"));
}

#[test]
fn a_name_that_is_declared_anew_is_not_renamed_again() {
    let world = World::settled(&["old", "other"]);
    world.commit_rename("old", "new");
    world.apply().code(0);
    world.commit_email("old", "");
    world.apply().code(0);
    world.apply().code(0);
    let id = world.control().id(PROJECT, "old");
    assert!(world.control().remove(PROJECT, "new"));
    assert_eq!(world.changes(&[]), ["create new"]);
    world.apply().code(0);
    assert_eq!(world.control().id(PROJECT, "old"), id);
}

#[test]
fn a_rename_that_cannot_be_made_gives_advice() {
    let world = World::settled(&["old", "other"]);
    world.make(email_body("new"));
    world.commit_rename("old", "new");
    world.plan().code(1).says("to proceed: ");
    assert!(world.control().remove(PROJECT, "new"));
    world.write("connections/new.yaml", &ftp("new", "x-gitops: {renamedFrom: old}\n"));
    world.commit("of another type");
    world.plan().code(1).says("to proceed: ");
}

#[test]
fn a_rename_that_would_wipe_a_secret_is_blocked_in_the_plan() {
    let world = World::with(masked());
    world.make(email_body("old"));
    world.write(
        "connections/old.yaml",
        "type: email\nname: old\nhost: smtp.example.com\nusername: u\n",
    );
    world.settle(&["other"]);
    world.remove("connections/old.yaml");
    let document = "type: email\nname: new\nhost: smtp.example.com\nusername: u\n\
                    x-gitops: {renamedFrom: old}\n";
    world.write("connections/new.yaml", document);
    world.commit("rename it without its password");
    for _ in 0..2 {
        assert_eq!(world.changes(&[]), ["blocked new"]);
        world.plan().code(1).says("would wipe it");
        world.apply().code(1).says("would wipe it");
    }
    assert!(world.writes().is_empty());
    assert_eq!(world.live("old")["password"], json!(CANARY));
}

#[test]
fn a_rename_is_one_put_and_a_chain_goes_from_its_free_end() {
    let world = World::settled(&["a", "b"]);
    world.remove("connections/a.yaml");
    world.write_email("b", "x-gitops: {renamedFrom: a}\n");
    world.write_email("c", "x-gitops: {renamedFrom: b}\n");
    world.commit("a becomes b, b becomes c");
    world.apply().code(0);
    assert_eq!(world.writes(), ["PUT b", "PUT a"]);
    assert_eq!(world.names(), ["b", "c"]);
    world.plan().code(0);
    world.apply().code(0);
    assert!(world.writes().is_empty());
}

#[test]
fn the_old_name_of_a_waiting_rename_counts_as_declared() {
    for prune in ["true", "false"] {
        let mut world = World::new();
        world.target(&format!("prune: {prune}"));
        world.settle(&["a"]);
        world.remove("connections/a.yaml");
        world.commit_email("b", "x-gitops: {renamedFrom: a, suspend: true}\n");
        world.apply().code(0);
        assert!(world.remembered("owned").get("a").is_some(), "{prune}");
        world.commit_email("b", "x-gitops: {renamedFrom: a}\n");
        world.apply().code(0);
        assert_eq!(world.names(), ["b"]);
    }
}

#[test]
fn a_step_that_waits_for_a_refused_rename_leaves_no_intent() {
    let world = World::with(refusing_renames());
    world.settle(&["a", "b"]);
    for name in ["a", "b"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    world.write_email("c", "x-gitops: {renamedFrom: b}\n");
    world.write_email("b", "x-gitops: {renamedFrom: a}\n");
    world.commit("rename a chain");
    world.apply().code(1).says("waits for the name");
    assert_eq!(world.remembered("intent"), json!({}));
}

#[test]
fn a_create_that_waits_for_a_refused_rename_is_not_given_up() {
    let world = World::with(refusing_renames());
    world.settle(&["a"]);
    world.commit_email("a", "port: 2525\n");
    world.commit_email("b", "x-gitops: {renamedFrom: a}\n");
    for _ in 0..3 {
        world.plan().says("+ email  a");
        world.apply().code(1);
    }
}

#[test]
fn a_commit_deletes_the_old_name_of_a_rename_that_was_refused() {
    let world = World::with(refusing_renames());
    world.settle(&["a", "other"]);
    world.commit_rename("a", "b");
    world.apply().code(1);
    world.commit_without(&["b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["other"]);
}

#[test]
fn a_plan_reads_a_connection_before_it_says_that_it_is_renamed() {
    let world = World::settled(&["a"]);
    world.control().alter(|options| {
        options.of_type("email").unlisted.insert("relayToken".to_owned());
    });
    world.edit("a", "relayToken", json!(null));
    world.commit_rename("a", "b");
    world.plan().code(1).says("relayToken");
    world.apply().code(1).says("would wipe it");
    assert_eq!(world.names(), ["a"]);
}
