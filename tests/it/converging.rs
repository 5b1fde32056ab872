//! Writes that do not stick: a server that rewrites a field is not written to for ever, and people
//! who edit a field are corrected however often they do.

use apinizer_gitops::testing::sandbox::Options;
use axum::http::Method;
use serde_json::{Value, json};

use crate::crashes::kill_at_first_write;
use crate::faults::Fault;
use crate::history::events;
use crate::receiver::Received;
use crate::running::{Running, eventually};
use crate::world::{CHECKOUT, SandboxOptions as _, World, one_target};

fn puts(world: &World) -> usize {
    world.writes().iter().filter(|call| *call == "PUT a").count()
}

#[test]
fn a_field_that_people_edit_between_readings_is_corrected() {
    for options in [Options::default(), Options::with(Options::list_summaries)] {
        let world = World::with(options);
        world.commit_email("a", "port: 1\n");
        world.settle(&["b"]);
        for round in 0..8 {
            world.edit("a", "port", json!(100 + round));
            world.apply().code(0);
            assert_eq!(world.live("a")["port"], json!(1), "round {round}");
        }
        assert_eq!(puts(&world), 8);
        world.plan().code(0);
        // No reading in between found live as git declares it: another program may write it too.
        world.edit("a", "port", json!(200));
        world.apply().code(0).says("the server or somebody else rewrites it");
        assert_eq!(puts(&world), 0);
    }
}

#[test]
fn a_field_that_people_edit_to_two_values_in_turn_is_corrected() {
    let world = World::new();
    world.commit_email("a", "description: of git\n");
    world.settle(&["b"]);
    for round in 0..8 {
        let text = if round % 2 == 0 { "by hand" } else { "by another hand" };
        world.edit("a", "description", json!(text));
        world.apply().code(0);
        assert_eq!(world.live("a")["description"], json!("of git"), "round {round}");
    }
}

/// A server that stores hosts with a slash at their end.
fn rewriting_hosts() -> Options {
    Options::with(|options| options.of_type("email").rewritten.extend(["host".to_owned()]))
}

fn rewriting() -> World {
    let world = World::with(rewriting_hosts());
    world.write("connections/a.yaml", "type: email\nname: a\nhost: SMTP.example.com\n");
    world.commit("a");
    world
}

#[test]
fn a_field_that_the_server_rewrites_is_given_up_after_two_puts() {
    let world = rewriting();
    world.apply().code(0);
    world.forget_calls();
    for _ in 0..5 {
        world.apply();
    }
    assert_eq!(puts(&world), 2);
    // The message says how it ends.
    world.plan().says("not converging").says("until");
    world.write("connections/a.yaml", "type: email\nname: a\nhost: SMTP.example.com/\n");
    world.commit("as the server wants it");
    world.plan().code(0);
}

#[test]
fn a_field_that_is_given_up_is_not_noted_again_and_again_while_a_layer_is_absent() {
    let mut world = World::with(rewriting_hosts());
    world.target("paths: [connections, over]");
    world.write("connections/a.yaml", "type: email\nname: a\nhost: SMTP.example.com\n");
    world.write("over/a.yaml", "name: a\nport: 26\n");
    world.commit("a");
    for _ in 0..3 {
        world.apply();
    }
    world.target("paths: [connections, ovre]");
    let notes = "note: `a` is not converging";
    let noted = (0..3).filter(|_| world.apply().stdout.contains(notes)).count();
    assert_eq!(noted, 0, "nothing is remembered of it while the path is mistyped");
    world.target("paths: [connections, over]");
    world.apply().says(notes);
}

#[test]
fn an_edit_by_hand_does_not_end_a_rewrite_by_the_server() {
    let world = rewriting();
    for _ in 0..4 {
        world.apply();
    }
    world.forget_calls();
    // Another field is edited and corrected; the host stays given up.
    world.edit("a", "port", json!(9));
    world.apply();
    world.apply();
    assert!(puts(&world) <= 1);
    world.plan().says("not converging");
}

#[test]
fn another_value_of_a_var_is_tried_again() {
    let mut world = World::with(rewriting_hosts());
    world.write("connections/a.yaml", "type: email\nname: a\nhost: ${var:host}\n");
    world.commit("a");
    world.target("vars: {host: SMTP.example.com}");
    for _ in 0..5 {
        world.apply();
    }
    world.forget_calls();
    world.target("vars: {host: MAIL.example.com}");
    for _ in 0..5 {
        world.apply();
    }
    assert_eq!(puts(&world), 2);
    assert_eq!(world.live("a")["host"], json!("MAIL.example.com/"));
}

#[test]
fn a_write_that_was_never_sent_does_not_count() {
    let world = World::settled(&["a"]);
    world.commit_email("a", "port: 2525\n");
    for _ in 0..3 {
        assert!(kill_at_first_write(&world, true));
        world.edit("a", "port", json!(587));
    }
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(2525));
}

#[test]
fn fields_that_displace_each_other_are_given_up() {
    let world = World::new();
    world.commit_email("a", "port: 25\n");
    world.apply().code(0);
    let push_aside = |round: usize| match round % 2 {
        0 => world.edit("a", "port", json!(587)),
        _ => world.edit("a", "host", json!("another.host")),
    };
    push_aside(0);
    let mut written = 0;
    for round in 1..40 {
        world.forget_calls();
        world.apply();
        if !world.writes().is_empty() {
            written += 1;
            push_aside(round);
        }
    }
    assert!((3..=16).contains(&written), "{written} PUTs");
    world.plan().says("not converging");
    // An edit by people is corrected however often it comes.
    world.edit("a", "port", json!(25));
    world.edit("a", "host", json!("smtp.example.com"));
    for round in 0..20 {
        world.apply().code(0);
        push_aside(round);
        world.apply().code(0);
        world.plan().code(0);
    }
}

/// A server that spells a name of a list in its own way, and gives each element another id at each PUT.
#[test]
fn a_list_with_new_ids_after_each_put_is_given_up_after_two_puts() {
    let world = World::new();
    let headers = "headerList: [{name: X-A, value: '1'}, {name: X-B, value: '2'}]\n";
    let document = format!("type: webhook\nname: a\nfullUrl: 'https://h.example.com/x'\n{headers}");
    world.write("connections/a.yaml", &document);
    world.commit("a");
    world.apply().code(0);
    world.forget_calls();
    for round in 0..5 {
        let live = json!([
            {"id": round, "name": "x-a", "value": "1"},
            {"id": round + 100, "name": "x-b", "value": "2"},
        ]);
        world.edit("a", "headerList", live);
        world.apply();
    }
    assert_eq!(puts(&world), 2);
}

#[test]
fn a_set_with_a_double_entry_is_in_sync_with_one_entry() {
    let world = World::new();
    let entry = "{key: a, value: '1'}";
    world.commit_email("a", &format!("additionalProperties: [{entry}, {entry}]\n"));
    world.apply().code(0);
    world.edit("a", "additionalProperties", json!([{"key": "a", "value": "1", "id": 7}]));
    world.plan().code(0);
}

/// The server answers so many writes with success and makes none.
fn comes_to_nothing(world: &World, method: Method, path: &str, times: usize, says: &str) {
    world.control().fail_next(Some(method), path, Fault::BareSuccess, times);
    for _ in 0..times {
        world.apply();
    }
    world.forget_calls();
    world.apply().code(1).says(says);
    assert!(world.writes().is_empty());
    let told = events(world, &[]).pop().unwrap();
    assert_eq!((&told["event"], &told["connection"]), (&json!("not_converging"), &json!("new")));
}

#[test]
fn a_create_and_a_rename_that_are_taken_and_not_made_are_given_up() {
    let world = World::settled(&["old", "other"]);
    world.commit_rename("old", "new");
    let says = "not converging: the server keeps the name `old`";
    comes_to_nothing(&world, Method::PUT, "/old/", 2, says);
    let world = World::settled(&["other"]);
    world.commit_email("new", "");
    let says = "not converging: the server took it twice and does not list it";
    comes_to_nothing(&world, Method::POST, "/new/", 3, says);
}

#[test]
fn a_daemon_says_once_that_a_field_does_not_converge() {
    let mut world = rewriting();
    let got = Received::start(&world);
    let target = one_target(CHECKOUT, "resync: 1s");
    world.env.insert("HOOK_URL".to_owned(), got.address.clone());
    world.config(&format!("{target}notify: [{{kind: webhook, url: '${{env:HOOK_URL}}'}}]\n"));
    let daemon = Running::start(&world, &[]);
    let target = || daemon.status(&world)["targets"][0].clone();
    eventually("it is given up", || target()["state"] == json!("not_converging"));
    let resyncs = || target()["history"].as_array().unwrap().len();
    let before = resyncs();
    eventually("more resyncs", || resyncs() >= before + 3);
    let says = "email `a` does not converge: ";
    assert_eq!(daemon.logs().matches(says).count(), 1, "{}", daemon.logs());
    let told = |events: Vec<Value>| {
        events.into_iter().filter(|event| event["event"] == "not_converging").count()
    };
    assert_eq!(told(events(&world, &[])), 1);
    let notices = got.all().into_iter().map(|(_, body)| String::from_utf8(body).unwrap());
    assert_eq!(notices.filter(|body| body.contains("not_converging")).count(), 1);
    world.write("connections/a.yaml", "type: email\nname: a\nhost: SMTP.example.com/\n");
    world.commit("as the server wants it");
    eventually("it is over", || events(&world, &[]).pop().unwrap()["event"] == "settled");
}
