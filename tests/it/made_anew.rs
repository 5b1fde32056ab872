//! A connection that somebody made anew by hand under a name of the tool is not the tool's.

use apinizer_gitops::testing::sandbox::{Ids, Options};
use axum::http::Method;
use serde_json::json;

use crate::faults::{Fault, Moment};
use crate::running::Applying;
use crate::world::{PROJECT, SandboxOptions as _, World, email_body};

/// Creates `a`, then somebody deletes it and makes another before the tool looks again.
fn made_anew_after_the_create(world: &World, change: impl FnOnce(&mut serde_json::Value)) {
    world.settle(&["a", "b"]);
    let mut body = world.live("a");
    assert!(world.control().remove(PROJECT, "a"));
    change(&mut body);
    world.make(body);
    world.commit_without(&["a"]);
}

#[test]
fn the_ids_of_creates_are_read_at_the_end_of_the_run() {
    let world = World::new();
    made_anew_after_the_create(&world, |_| ());
    world.plan().code(3).says("not the one in the inventory");
    world.apply().code(3).says("not the one in the inventory");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn the_id_of_what_a_failed_create_met_is_not_learned() {
    let world = World::settled(&["b"]);
    world.commit_email("a", "");
    let gate = world.control().gate(Some(Method::POST), "/connections/a/", Moment::After);
    let applying = Applying::until(&world, &gate);
    world.control().fail_next(Some(Method::GET), "type=email", Fault::Forbidden, 1);
    gate.open();
    applying.ends().code(0);
    // Of `a` no id is known. It is deleted by hand, and made anew before it is created again.
    assert!(world.control().remove(PROJECT, "a"));
    let of_the_plan = world.control().gate(Some(Method::GET), "/connections/a/", Moment::After);
    let applying = Applying::until(&world, &of_the_plan);
    let gate = world.control().gate(Some(Method::GET), "/connections/a/", Moment::Before);
    of_the_plan.open();
    let applying = applying.come_to(&gate);
    let mut body = email_body("a");
    body["description"] = json!("made by hand");
    world.make(body);
    gate.open();
    applying.ends().code(1);
    world.commit_without(&["a"]);
    world.apply().code(3).says("not the one in the inventory");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn ids_are_read_with_one_list_for_each_type_that_had_a_create() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.write_email(name, "");
    }
    world.write("connections/s.yaml", "type: syslog\nname: s\nsyslogServerHostname: h\n");
    world.commit("three mails and a syslog");
    world.apply().code(0);
    let calls = world.control().take_calls();
    let last_write = calls.iter().rposition(|call| call.method == "POST").unwrap();
    let after: Vec<&str> = calls[last_write + 1..].iter().map(|call| call.path.as_str()).collect();
    let of =
        |kind: &str| after.iter().filter(|path| path.contains(&format!("type={kind}"))).count();
    assert_eq!((of("email"), of("syslog"), after.len()), (1, 1, 2), "{after:?}");
}

#[test]
fn ids_are_read_after_a_replace_and_after_other_changes_failed() {
    let world = World::settled(&["a", "b"]);
    world.write("connections/a.yaml", "type: syslog\nname: a\nsyslogServerHostname: h\n");
    world.commit_email("b", "port: 26\n");
    world.control().fail_next(Some(Method::PUT), "/b/", Fault::Forbidden, 1);
    world.apply().code(1);
    let body = world.live("a");
    assert_eq!(body["type"], json!("syslog"));
    assert!(world.control().remove(PROJECT, "a"));
    world.make(body);
    world.commit_without(&["a"]);
    world.apply().code(3).says("not the one in the inventory");
    assert_eq!(world.names(), ["a", "b"]);
}

/// Where the list at the end fails, the entry has no id: then only what is equal counts as ours.
#[test]
fn without_an_id_only_a_connection_equal_to_the_write_is_ours() {
    for other in [None, Some(("host", "by.hand")), Some(("description", "by hand"))] {
        let world = World::new();
        for name in ["a", "b"] {
            world.write_email(name, "");
        }
        world.commit("two mails");
        let gate = world.control().gate(Some(Method::POST), "/connections/", Moment::After);
        let applying = Applying::until(&world, &gate);
        world.control().fail_next(Some(Method::GET), "type=email", Fault::Forbidden, 9);
        gate.open();
        applying.ends();
        world.control().clear_faults();
        let mut body = world.live("a");
        assert!(world.control().remove(PROJECT, "a"));
        if let Some((field, value)) = other {
            body[field] = json!(value);
        }
        world.make(body);
        world.commit_without(&["a"]);
        let ran = world.apply();
        if other.is_none() {
            ran.code(0);
            assert_eq!(world.names(), ["b"]);
        } else {
            ran.code(3).says("not the one in the inventory");
            assert_eq!(world.names(), ["a", "b"]);
        }
    }
}

#[test]
fn without_an_id_a_field_that_only_a_read_shows_counts_too() {
    let world = World::with(Options::with(Options::list_summaries));
    made_anew_after_the_create(&world, |body| body["host"] = json!("by.hand"));
    world.apply().code(3).says("not the one in the inventory");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_connection_that_was_made_anew_after_a_reading_is_not_deleted() {
    let world = World::settled(&["a", "b"]);
    world.apply().code(0);
    assert!(world.control().remove(PROJECT, "a"));
    world.make(email_body("a"));
    world.commit_without(&["a"]);
    world.apply().code(3).says("not the one in the inventory");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn an_id_that_only_lists_show_is_known_after_an_update() {
    let world = World::with(Options { ids: Ids::OnlyInLists, ..Options::default() });
    world.settle(&["a", "b"]);
    world.edit("a", "description", json!("typed in the console"));
    world.commit_email("a", "port: 26\n");
    world.apply().code(0);
    assert!(world.remembered("owned")["a"]["id"].is_string());
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}
