//! Who edited a connection last, as the server tells it, and the commit that changed it last.

use apinizer_gitops::testing::sandbox::{LoggedCall, Options};
use serde_json::{Value, json};

use crate::running::{Running, eventually};
use crate::world::{CANARY, World};

/// A world whose server tells who changed a connection, and when.
fn world(keys: &str) -> World {
    let mut world = World::with(Options { bookkeeping: true, ..Options::default() });
    world.target(keys);
    world
}

/// Declares connections and applies them.
fn settle(world: &World, names: &[&str]) {
    for name in names {
        world.write_email(name, "port: 25\n");
    }
    world.commit("declare them");
    world.apply().code(0);
}

fn edit(world: &World, user: &str, name: &str, port: u16) {
    let control = world.control();
    assert!(control.edit_as(user, "demo", name, |body| {
        body.insert("port".to_owned(), json!(port));
    }));
}

#[test]
fn drift_tells_who_edited_the_connection_last() {
    let world = world("prune: true");
    settle(&world, &["a", "b"]);
    // What the bookkeeping shows is no difference.
    world.plan().code(0);
    edit(&world, "alice", "a", 99);
    world.plan().code(2).says("      last edited by alice, 20").says(" UTC\n");
    let markdown = world.run(&["plan", "--output", "markdown"]).code(2);
    markdown.says("#     last edited by alice, 20");
    let change = world.plan_json(&[])["changes"][0].clone();
    assert_eq!(change["edited"]["by"], "alice");
    assert!(change["edited"]["at"].as_str().unwrap().ends_with('Z'), "{change}");
    let paths: Vec<&Value> =
        change["fields"].as_array().unwrap().iter().map(|field| &field["path"]).collect();
    assert_eq!(paths, ["/port"]);
    // A change that git alone made tells of no edit.
    world.commit_email("b", "port: 26\n");
    let changes = world.plan_json(&[])["changes"].as_array().unwrap().clone();
    let of_b = changes.iter().find(|change| change["name"] == "b").unwrap();
    assert!(of_b.get("edited").is_none(), "{of_b}");
    world.apply().code(0);
    let calls = world.control().calls();
    let bodies = calls.iter().filter(|call| call.method == "PUT").filter_map(LoggedCall::body);
    for body in bodies {
        let fields = body.expose().as_object().unwrap();
        assert!(!fields.keys().any(|name| name.contains("odified")), "bookkeeping was sent");
    }
    world.run(&["history", "--name", "a"]).code(0).says("last edited by alice, 20");
}

/// `World::run` asserts that no output holds the secret.
#[test]
fn a_secret_in_the_place_of_a_user_is_hidden() {
    let world = world("prune: true");
    settle(&world, &["a"]);
    edit(&world, CANARY, "a", 99);
    for output in ["text", "json", "markdown"] {
        world.run(&["plan", "--output", output]).code(2).says("(sensitive)");
    }
}

#[test]
fn the_page_tells_who_edited_and_which_commit_changed_a_connection() {
    let world = world("drift: report\nresync: 1s");
    world.write_email("a", "port: 25\n");
    world.write_email("b", "");
    let first = world.commit("declare both");
    let daemon = Running::start(&world, &[]);
    eventually("made", || world.names() == ["a", "b"]);
    edit(&world, "alice", "a", 99);
    let page = || daemon.get(&world, "/").1;
    eventually("who edited it", || page().contains("Last edited by <strong>alice</strong>, <time"));
    let second = world.commit_email("b", "port: 26\n");
    eventually("changed", || world.live("b")["port"] == json!(26));
    let commits = || {
        let status = daemon.status(&world);
        let all = status["targets"][0]["connections"].as_array().unwrap().clone();
        all.iter().map(|one| one["last_commit"]["id"].clone()).collect::<Vec<_>>()
    };
    eventually("each with its own commit", || commits() == [json!(first), json!(second)]);
    let of_b = daemon.status(&world)["targets"][0]["connections"][1]["last_commit"].clone();
    assert_eq!(of_b["author"], "Ada <ada@example.com>");
    assert!(of_b["time"].as_str().unwrap().ends_with('Z'), "{of_b}");
    let said = format!("last changed by commit <code title=\"{second}\">");
    assert!(page().contains(&said) && page().contains("Ada</span>"), "{}", page());
}

#[test]
fn of_several_commits_each_connection_has_its_own() {
    let world = world("prune: true");
    let commits = ["a", "b", "c"].map(|name| {
        world.git(&["config", "user.name", name]);
        world.commit_email(name, "")
    });
    let own = || {
        let owned = world.remembered("owned");
        ["a", "b", "c"].map(|name| owned[name]["last_commit"]["id"].clone())
    };
    world.apply().code(0);
    assert_eq!(own(), commits.clone().map(Value::from));
    world.git(&["switch", "-q", "-c", "side", "HEAD~1"]);
    let on_side = world.commit_email("a", "port: 26\n");
    world.git(&["switch", "-q", "-"]);
    world.commit_email("d", "");
    world.git(&["merge", "-q", "-m", "bring the side in", "side"]);
    world.apply().code(0);
    let [_, b, c] = commits;
    assert_eq!(own(), [on_side, b, c].map(Value::from));
}

#[test]
fn correcting_drift_is_no_change_of_a_commit() {
    let world = world("prune: true");
    world.write_email("a", "port: 25\n");
    let first = world.commit("declare a");
    world.apply().code(0);
    world.commit_email("b", "");
    edit(&world, "alice", "a", 99);
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(25));
    assert_eq!(world.remembered("owned")["a"]["last_commit"]["id"], json!(first));
}

#[test]
fn a_rename_tells_who_moved_what_it_corrects() {
    let world = world("prune: true");
    settle(&world, &["a"]);
    edit(&world, "alice", "a", 99);
    world.remove("connections/a.yaml");
    world.commit_email("new", "port: 25\nx-gitops: {renamedFrom: a}\n");
    world.plan().code(2).says("last edited by alice, 20");
}
