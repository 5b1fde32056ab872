//! Changes between a plan and its calls.

use apinizer_gitops::testing::sandbox::{Options, SecretsOnGet};
use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::faults::{Fault, Moment};
use crate::rules::with_rules;
use crate::running::Applying;
use crate::world::{PROJECT, Ran, World, email_body, ftp};

/// Applies, and does something while a reading of `a` is held.
fn apply_while(world: &World, meanwhile: impl FnOnce()) -> Ran {
    let gate = world.control().gate(Some(Method::GET), "/connections/a/", Moment::Before);
    let applying = Applying::until(world, &gate);
    meanwhile();
    gate.open();
    applying.ends()
}

#[test]
fn drift_since_the_plan_is_kept_where_it_is_only_reported() {
    let mut world = World::new();
    world.target("drift: report");
    world.commit_email("a", "port: 1\n");
    world.apply().code(0);
    world.commit_email("a", "port: 2\n");
    apply_while(&world, || {
        world.edit("a", "host", json!("typed.meanwhile"));
    })
    .code(0);
    assert_eq!(world.live("a")["host"], json!("typed.meanwhile"));
    assert_eq!(world.live("a")["port"], json!(2));
}

#[test]
fn a_connection_that_is_in_sync_by_then_is_not_written() {
    let world = World::new();
    world.commit_email("a", "port: 1\n");
    world.apply().code(0);
    world.commit_email("a", "port: 2\n");
    world.forget_calls();
    apply_while(&world, || world.edit("a", "port", json!(2))).code(0);
    assert!(world.writes().is_empty());
    world.plan().code(0);
}

#[test]
fn a_connection_that_moved_is_planned_again() {
    let world = World::new();
    world.commit_email("a", "port: 1\n");
    world.apply().code(0);
    world.commit_email("a", "port: 2\n");
    apply_while(&world, || {
        world.edit("a", "description", json!("typed meanwhile"));
        world.edit("a", "host", json!("typed.meanwhile"));
    })
    .code(0);
    assert_eq!(world.live("a")["description"], json!("typed meanwhile"));
    assert_eq!(world.live("a")["host"], json!("smtp.example.com"));
    assert_eq!(world.live("a")["port"], json!(2));
}

#[test]
fn a_password_that_drifts_before_a_write_is_made_again_is_judged() {
    let mut world = World::with(Options::showing(SecretsOnGet::Shown));
    let rule = "p|hold|change.action == 'update' && change.fields.exists(f, f.path == '/password')";
    world.target("verify_secrets: 0s");
    world.commit_email("a", "port: 1\n");
    world.apply().code(0);
    world.apply().code(0);
    with_rules(&mut world, "drift: report", &[rule]);
    world.commit_email("a", "port: 2\n");
    world.control().fail_next(Some(Method::PUT), "/a/", Fault::Undeployed, 1);
    world.apply().code(1).says("saved but not deployed");
    apply_while(&world, || world.edit("a", "password", json!("typed"))).says("as p says");
    assert_eq!(world.live("a")["password"], json!("typed"));
}

#[test]
fn a_connection_that_was_made_anew_is_not_deleted() {
    let world = World::settled(&["a", "b", "c"]);
    world.commit_without(&["a"]);
    apply_while(&world, || {
        assert!(world.control().remove(PROJECT, "a"));
        world.make(email_body("a"));
    })
    .code(3);
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn a_connection_that_was_made_anew_is_not_adopted_unplanned() {
    for renames in [false, true] {
        let mut world = World::new();
        world.target("adopt: never");
        world.commit_email("a", "port: 1\n");
        world.settle(&["b"]);
        if renames {
            world.commit_rename("a", "new");
        } else {
            world.commit_email("a", "port: 2\n");
        }
        apply_while(&world, || {
            assert!(world.control().remove(PROJECT, "a"));
            let mut body = email_body("a");
            body["description"] = json!("made by hand");
            world.make(body);
        })
        .code(1);
        assert_eq!(world.names(), ["a", "b"], "renames: {renames}");
        assert_eq!(world.live("a")["description"], json!("made by hand"));
        world.apply().code(1).says("not adopted");
        assert_eq!(world.names(), ["a", "b"], "renames: {renames}");
    }
}

#[test]
fn a_connection_that_was_made_anew_after_a_lost_answer_is_not_overwritten() {
    let world = World::new();
    world.commit_email("a", "port: 1\n");
    world.apply().code(0);
    world.commit_email("a", "port: 2\n");
    world.control().fail_next(Some(Method::PUT), "/connections/a/", Fault::Reset, 1);
    let gate = world.control().gate(Some(Method::PUT), "/connections/a/", Moment::Before);
    let applying = Applying::until(&world, &gate);
    assert!(world.control().remove(PROJECT, "a"));
    let mut body = email_body("a");
    body["description"] = json!("made by hand");
    world.make(body);
    gate.open();
    applying.ends().code(1).says("another one made");
    assert_eq!(world.live("a")["description"], json!("made by hand"));
}

#[test]
fn a_run_that_is_ended_owns_nothing_that_it_did_not_send() {
    let mut world = World::new();
    world.target("concurrency: 1");
    world.commit_email("a", "");
    world.commit_email("b", "");
    let gate = world.control().gate(Some(Method::POST), "/connections/a/", Moment::Before);
    let mut applying = Applying::until(&world, &gate);
    applying.ask_to_end("-TERM");
    gate.open();
    applying.ends().code(1).says("not started");
    assert_eq!(world.names(), ["a"]);
    assert_eq!(world.remembered("intent"), json!({}));
    // People make the other one exactly so, and git drops it: it is theirs.
    world.make(email_body("b"));
    world.commit_without(&["b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}

/// The list of this run showed it: one of the two answers is wrong, and the next run finds out which.
#[test]
fn a_connection_whose_own_answer_denies_it_is_neither_forgotten_nor_made() {
    for is_replaced in [false, true] {
        let world = World::settled(&["a", "b"]);
        if is_replaced {
            world.write("connections/a.yaml", &ftp("a", ""));
            world.commit("a is ftp now");
        } else {
            world.commit_without(&["a"]);
        }
        let not_found = missing("Connection (a) is not found!");
        world.control().fail_next(Some(Method::GET), "/connections/a/", not_found, 1);
        world.apply().code(1).says("the next run looks again");
        assert_eq!(world.writes(), [""; 0], "replaced: {is_replaced}");
        world.apply().code(0);
        assert_eq!(world.names().contains(&"a".to_owned()), is_replaced);
        world.plan().code(0);
    }
}

#[test]
fn a_delete_is_done_only_if_a_get_says_so_too() {
    let world = World::settled(&["a", "b"]);
    world.commit_without(&["a"]);
    let used = missing("Connection (a) is used by a log policy whose route is not found");
    world.control().fail_next(Some(Method::DELETE), "/connections/a/", used, 1);
    world.apply().code(1).says("is used by a log policy");
    assert_eq!(world.names(), ["a", "b"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}

fn missing(message: &str) -> Fault {
    let body = json!({"status": "FAILURE", "resultMessage": message}).to_string();
    Fault::Answer { status: StatusCode::NOT_FOUND, body, retry_after: None }
}

#[test]
fn a_connection_that_somebody_makes_under_the_new_name_is_not_the_renamed_one() {
    let world = World::settled(&["old", "other"]);
    world.commit_rename("old", "new");
    world.control().fail_next(Some(Method::PUT), "/old/", Fault::BareSuccess, 1);
    let gate = world.control().gate(Some(Method::PUT), "/old/", Moment::After);
    let applying = Applying::until(&world, &gate);
    world.make(email_body("new"));
    gate.open();
    applying.ends().code(1).says("`new` was made outside git");
    let owned = world.remembered("owned");
    assert!(owned.get("old").is_some() && owned.get("new").is_none(), "{owned}");
}
