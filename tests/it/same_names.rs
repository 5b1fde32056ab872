//! Names that a server may take for one: they are not created beside each other before a read
//! shows that they are two.

use apinizer_gitops::testing::sandbox::LoggedCall;
use axum::http::Method;
use serde_json::json;

use crate::answers::showing;
use crate::world::{PROJECT, World, email_body};

/// Pairs of names that one server tells apart and another one does not.
const PAIRS: [(&str, &str); 5] = [
    ("caf\u{e9}", "cafe\u{301}"),
    ("Istanbul", "\u{131}stanbul"),
    ("\u{130}zmir", "izmir"),
    ("stra\u{df}e", "strasse"),
    ("mas\u{17f}", "mass"),
];

fn document(name: &str) -> String {
    json!({"type": "email", "name": name, "host": "h"}).to_string()
}

/// The path of a connection as it is sent.
fn path_of(name: &str) -> String {
    let encoded = name.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    format!("/connections/{}/", encoded.collect::<String>())
}

fn position(calls: &[LoggedCall], method: &str, name: &str) -> Option<usize> {
    let path = path_of(name);
    calls.iter().position(|call| call.method == method && call.path.ends_with(&path))
}

#[test]
fn a_read_comes_before_a_create_beside_a_similar_live_name() {
    for (live, declared) in PAIRS {
        let world = World::new();
        world.make(email_body(live));
        world.write("connections/1.yaml", &document(declared));
        world.commit("a similar name");
        world.apply().code(0);
        let calls = world.control().take_calls();
        let read = position(&calls, "GET", declared);
        let created = position(&calls, "POST", declared);
        assert!(read.is_some() && read < created, "{live} and {declared}: {calls:?}");
        assert_eq!(world.names().len(), 2, "{live} and {declared} are two on this server");
    }
}

#[test]
fn a_server_that_takes_two_names_for_one_gets_no_create() {
    for (live, declared) in PAIRS {
        let world = World::new();
        world.make(email_body(live));
        let theirs = world.live(live);
        let mut shown = theirs.clone();
        shown["id"] = json!(world.control().id(PROJECT, live).unwrap());
        world.control().fail_next(Some(Method::GET), &path_of(declared), showing(&[shown]), 9);
        world.write("connections/1.yaml", &document(declared));
        world.commit("a similar name");
        world.apply().code(1).says(live);
        assert!(world.writes().is_empty(), "{live} and {declared}");
        assert_eq!(world.live(live), theirs);
    }
}

#[test]
fn two_similar_names_of_one_commit_are_created_one_after_the_other() {
    for (first, second) in PAIRS {
        let world = World::new();
        world.write("connections/1.yaml", &document(first));
        world.write("connections/2.yaml", &document(second));
        world.commit("two similar names");
        world.apply().code(0);
        let calls = world.control().take_calls();
        let mut creates: Vec<(usize, &str)> = [first, second]
            .into_iter()
            .map(|name| (position(&calls, "POST", name).unwrap(), name))
            .collect();
        creates.sort_unstable();
        let (_, later) = creates[1];
        let read = calls
            .iter()
            .rposition(|call| call.method == "GET" && call.path.ends_with(&path_of(later)));
        assert!(
            read > Some(creates[0].0) && read < Some(creates[1].0),
            "{later} is read between the two creates: {calls:?}"
        );
    }
}
