//! Lists are believed whole or not at all.

use apinizer_gitops::testing::sandbox::{Dialect, Options, Unset};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::world::{CANARY, SandboxOptions as _, World, email_body, ftp, without_types};

fn answer(body: &Value) -> Fault {
    Fault::Answer { status: StatusCode::OK, body: body.to_string(), retry_after: None }
}

fn list_of(entries: &Value) -> Fault {
    let count = entries.as_array().unwrap().len();
    answer(&json!({"success": true, "resultList": entries, "resultCount": count}))
}

/// One list is bad in this way for as long as it lasts: names that are not known are not created,
/// nothing is deleted, and all else goes on.
fn bad_list(kind: &str, fault: &Fault, dialect: Dialect) {
    let mut world = World::with(Options::default().in_dialect(dialect));
    world.target("max_response: 64KiB");
    world.settle(&["a", "b", "moved", "drifted"]);
    world.make(email_body("taken-over"));
    world.remove("connections/a.yaml");
    world.write_email("taken-over", "port: 587\n");
    world.write_email("moved", "port: 1\n");
    world.write("connections/b.yaml", &ftp("b", ""));
    world.commit_email("new", "");
    world.edit("drifted", "host", json!("by.hand"));
    world.control().fail_next(Some(Method::GET), "type=kafka", fault.clone(), 1000);
    let ran = world.apply().code(1).says("the list of kafka is not complete");
    assert!(ran.stdout.contains("new") && ran.stdout.contains("not created"), "{kind}: {ran:?}");
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(writes, ["PUT drifted", "PUT moved"], "{kind}");
    let owned = world.remembered("owned")["taken-over"].clone();
    assert!(owned.is_object(), "{kind}: what is equal is taken over all the same");
    world.control().clear_faults();
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "drifted", "moved", "new", "taken-over"], "{kind}");
    assert_eq!(world.live("b")["type"], json!("ftp"), "{kind}");
}

#[test]
fn a_bad_list_stops_creates_and_deletes_and_nothing_else() {
    let entry = |body: Value| list_of(&json!([body]));
    let kinds: Vec<(&str, Fault)> = vec![
        ("it fails for a while", Fault::Error),
        ("it is refused", Fault::Forbidden),
        ("it fails inside a success", Fault::Failure),
        ("it ends early", Fault::Truncated),
        ("a page of a proxy", Fault::Html(StatusCode::OK)),
        ("fewer entries than it says", Fault::ShortList),
        ("an entry without a name", entry(json!({"type": "kafka"}))),
        ("an entry without a type", entry(json!({"name": "k"}))),
        ("an entry of another type", entry(json!({"type": "email", "name": "k"}))),
        ("more than max_response", entry(json!({"type": "kafka", "name": "x".repeat(70_000)}))),
        (
            "no JSON",
            Fault::Answer { status: StatusCode::OK, body: "OK".to_owned(), retry_after: None },
        ),
        ("neither success nor failure", answer(&json!({"resultList": []}))),
    ];
    // Most of the time is spent in pauses between retries.
    std::thread::scope(|scope| {
        for (number, (kind, fault)) in kinds.iter().enumerate() {
            let dialect = if number % 2 == 0 { Dialect::Current } else { Dialect::Older };
            scope.spawn(move || bad_list(kind, fault, dialect));
        }
    });
}

#[test]
fn a_name_that_lists_show_twice_blocks_that_name_alone() {
    // One that git changes, and one that git removes.
    for name in ["a", "b"] {
        let world = World::settled(&["a", "b", "c"]);
        world.write_email("a", "port: 26\n");
        world.write_email("c", "port: 26\n");
        world.write_email("new", "");
        world.commit_without(&["b"]);
        world.forget_calls();
        let twice = Fault::ListedTwice(name.to_owned());
        world.control().fail_next(Some(Method::GET), "type=email", twice, usize::MAX);
        world.apply().code(1).says("shows it twice");
        let mut writes = world.writes();
        writes.sort();
        let others = if name == "a" {
            ["DELETE b", "POST new", "PUT c"]
        } else {
            ["POST new", "PUT a", "PUT c"]
        };
        assert_eq!(writes, others);
    }
}

#[test]
fn a_list_over_the_limit_says_which_key_raises_it() {
    let mut world = World::new();
    world.target("max_response: 2KiB");
    world.settle(&["a"]);
    world.edit("a", "description", json!("x".repeat(4000)));
    world.plan().code(1).says("`max_response` of 2048 bytes");
    let lists = world.control().take_calls();
    assert_eq!(lists.iter().filter(|call| call.path.contains("type=email")).count(), 1);
}

#[test]
fn both_dialects_and_summary_lists_converge() {
    for dialect in [Dialect::Current, Dialect::Older] {
        for summaries in [false, true] {
            for unset in [Unset::Null, Unset::LeftOut] {
                let mut options = Options::default().in_dialect(dialect);
                options.read_unset_as(unset);
                if summaries {
                    options.list_summaries();
                }
                let world = World::with(options);
                world.commit_email("stays", "");
                world.commit_email("a", "port: 2525\nenableStartTls: false\n");
                world.apply().code(0);
                world.plan().code(0);
                world.edit("a", "port", json!(1));
                world.apply().code(0);
                assert_eq!(world.live("a")["port"], json!(2525));
                world.commit_without(&["a"]);
                world.apply().code(0);
                assert_eq!(world.names(), ["stays"]);
            }
        }
    }
}

#[test]
fn a_type_that_the_server_does_not_know_blocks_its_documents_alone() {
    for dialect in [Dialect::Current, Dialect::Older] {
        let world = World::with(without_types(&["syslog"]).in_dialect(dialect));
        world.commit_email("a", "");
        world.commit_email("b", "");
        world.plan().code(2).says("does not know the type syslog");
        world.apply().code(0);
        world.remove("connections/a.yaml");
        world.write("connections/s.yaml", "type: syslog\nname: s\nsyslogServerHostname: h\n");
        world.commit_email("c", "");
        world.apply().code(1);
        assert_eq!(world.names(), ["b", "c"], "nothing is held for it");
    }
}

#[test]
fn a_type_of_the_inventory_that_the_server_no_longer_knows_is_an_incomplete_list() {
    let world = World::new();
    world.write("connections/g.yaml", "type: syslog\nname: g\nsyslogServerHostname: h\n");
    world.settle(&["a", "b"]);
    world.control().alter(|options| options.profile = without_types(&["syslog"]).profile);
    world.remove("connections/a.yaml");
    world.write_email("c", "");
    world.commit("remove a, add c");
    world.apply().code(1).says("syslog");
    assert!(world.writes().is_empty());
}

/// Lists show no secret, wherever it stands, and GET may show it.
#[test]
fn a_secret_inside_a_list_is_compared_with_what_get_shows() {
    for adopt in ["equal", "always"] {
        let mut world = World::new();
        world.target(&format!("adopt: {adopt}"));
        let header = |secret: Value| json!([{"name": "Authorization", "value": secret}]);
        let hook = |headers: Value| json!({"type": "webhook", "name": "w", "fullUrl": "https://h", "headerList": headers});
        world.make(hook(header(json!(CANARY))));
        let list = list_of(&json!([hook(header(json!(null)))]));
        world.control().fail_next(Some(Method::GET), "type=webhook", list, 1000);
        let secret = "[{name: Authorization, value: '${env:SMTP_PASSWORD}'}]";
        world.write(
            "connections/w.yaml",
            &format!("type: webhook\nname: w\nfullUrl: https://h\nheaderList: {secret}\n"),
        );
        world.commit("what is live");
        world.apply().code(0);
        world.plan().code(0);
        assert!(world.writes().is_empty());
        world.edit("w", "headerList", header(json!("another")));
        world.plan().code(2).says("headerList");
    }
}
