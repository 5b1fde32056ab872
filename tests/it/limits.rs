//! Deletes that a limit or a lost path holds, as a group and until somebody consents.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::faults::Fault;
use crate::world::{World, email, email_body, ftp};

#[test]
fn deletes_over_the_limit_are_held_as_a_group_until_consent() {
    let mut world = World::new();
    world.target("max_deletes: 1");
    world.settle(&["a", "b", "c", "d"]);
    world.commit_without(&["a", "b"]);
    world.plan().code(3).says("max_deletes");
    world.apply().code(3).says("--allow-deletes");
    assert_eq!(world.names().len(), 4);
    for name in ["e", "f", "g", "h", "i", "j", "k", "l"] {
        world.commit_email(name, "");
    }
    world.apply().code(3);
    assert!(world.names().contains(&"a".to_owned()), "a larger inventory does not free them");
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    assert!(!world.names().contains(&"a".to_owned()));
}

#[test]
fn many_deletes_that_one_rule_holds_are_one_reason() {
    let mut world = World::new();
    world.env.insert("COLUMNS".into(), "80".into());
    let names: Vec<String> = (0..60).map(|number| format!("many-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.settle(&names);
    names[1..].iter().for_each(|name| world.remove(&format!("connections/{name}.yaml")));
    world.commit("retire all but one");
    let reasons = |text: &str| text.matches("held by max_deletes").count();
    for arguments in [&["plan"][..], &["plan", "--summary"], &["apply", "--yes"]] {
        let ran = world.run(arguments).code(3).says("59 names").says("--verbose");
        assert_eq!(reasons(&ran.stdout), 1, "{}", ran.stdout);
        assert!(ran.stdout.lines().count() < 15, "{}", ran.stdout);
        assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    }
    let ran = world.plan().code(3).says("Plan: 59 deletes held; 1 in sync.");
    assert!(!ran.stdout.contains("many-7"), "{}", ran.stdout);
    world.run(&["plan", "-v"]).code(3).says("  - email  many-7\n");
    let ran = world.run(&["plan", "--output", "markdown"]).code(3).says("- delete email: 59 names");
    assert_eq!(reasons(&ran.stdout), 2, "above the folded part and in it: {}", ran.stdout);
}

#[test]
fn adoptions_do_not_free_a_delete_of_everything() {
    let mut world = World::new();
    world.target("max_deletes: 10");
    world.settle(&["a", "b"]);
    world.make(email_body("by-hand"));
    world.write_email("by-hand", "");
    world.commit_without(&["a", "b"]);
    world.plan().code(3).says("nothing would be left of the 2 connections");
    world.apply().code(3);
    world.target("max_deletes: 20");
    world.apply().code(3);
    assert_eq!(world.names(), ["a", "b", "by-hand"], "it was not max_deletes that held them");
}

#[test]
fn adoptions_do_not_raise_the_share() {
    let world = World::settled(&["a", "b", "c", "d", "e", "f"]);
    for name in ["a", "b", "c", "d"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    for index in 0..12 {
        let name = format!("hand-{index}");
        world.make(email_body(&name));
        world.write_email(&name, "");
    }
    world.commit("four leave, twelve are taken over");
    world.apply().code(3).says("max_deletes");
    assert_eq!(world.names().len(), 18);
}

#[test]
fn a_narrowed_run_is_no_way_past_the_limit() {
    let mut world = World::new();
    world.target("max_deletes: 1");
    world.settle(&["a", "b", "c", "d"]);
    world.commit_without(&["a", "b", "c"]);
    world.run(&["apply", "--yes", "--name", "a"]).code(3).says("3 deletes are due");
    assert_eq!(world.names().len(), 4);
    world.run(&["apply", "--yes", "--allow-deletes", "--name", "a"]).code(0);
    assert_eq!(world.names(), ["b", "c", "d"]);
}

#[test]
fn replaces_outside_a_narrowed_run_count_too() {
    let mut world = World::settled(&["a", "b", "c", "d", "e"]);
    world.target("max_deletes: 2");
    for name in ["b", "c"] {
        world.write(&format!("connections/{name}.yaml"), &ftp(name, ""));
    }
    world.commit_without(&["a"]);
    world.run(&["apply", "--yes", "--name", "a"]).code(3).says("3 deletes are due");
    world.run(&["apply", "--yes", "--name", "b"]).code(3).says("3 deletes are due");
    assert!(world.writes().is_empty());
}

#[test]
fn a_held_delete_gives_the_numbers_of_its_first_sight() {
    let mut world = World::new();
    world.target("max_deletes: 1");
    world.settle(&["a", "b", "c", "d"]);
    world.commit_without(&["a", "b"]);
    world.apply().code(3).says("2 deletes are due and 1 allowed");
    world.commit_email("b", "");
    world.apply().code(3).says("2 deletes were due at first sight and 1 allowed");
    assert_eq!(world.names().len(), 4);
}

#[test]
fn a_replace_counts_as_a_delete() {
    let mut world = World::new();
    world.target("max_deletes: 1");
    world.settle(&["a", "b", "c", "d"]);
    world.write("connections/a.yaml", &ftp("a", ""));
    world.remove("connections/b.yaml");
    world.commit("replace one, remove one");
    assert_eq!(world.changes(&[]), ["replace a (held)", "delete b (held)"]);
    let summary = world.plan_json(&[])["summary"].clone();
    assert_eq!(summary["held"], json!(2));
    assert_eq!(summary["replace"], json!(1));
    assert_eq!(summary["delete"], json!(1));
    world.apply().code(3);
    assert_eq!(world.live("a")["type"], json!("email"));
    // The trailer in the tip consents to all that is due.
    world.git(&["commit", "-q", "--allow-empty", "-m", "go\n\nAllow-Deletes: true"]);
    world.apply().code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
    assert_eq!(world.names(), ["a", "c", "d"]);
}

#[test]
fn a_count_is_exact_and_a_higher_count_frees_held_deletes() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b", "c"]);
    world.commit_without(&["a"]);
    world.apply().code(3);
    world.commit_email("b", "port: 7\n");
    world.apply().code(3);
    assert_eq!(world.live("b")["port"], json!(7), "everything else goes on");
    world.target("max_deletes: 1");
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn an_empty_path_holds_the_deletes() {
    let world = World::new();
    world.commit_email("a", "");
    world.write("connections/.keep", "");
    world.commit("keep");
    world.apply().code(0);
    world.commit_without(&["a"]);
    world.apply().code(3).says("missing or empty");
    assert_eq!(world.names(), ["a"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    assert!(world.names().is_empty());
}

#[test]
fn an_empty_path_holds_although_another_path_has_documents() {
    let mut world = World::new();
    world.target("paths: [connections, more]");
    for name in ["a", "b", "c"] {
        world.commit_email(name, "");
    }
    world.write("more/m.yaml", &email("m", ""));
    world.commit("more");
    world.apply().code(0);
    world.remove("more/m.yaml");
    world.commit("the folder is gone");
    world.apply().code(3).says("`more`").says("missing or empty");
    world.commit_email("a", "port: 3\n");
    world.apply().code(3);
    assert!(world.names().contains(&"m".to_owned()), "it stays held in later commits");
    world.write("more/m.yaml", &email("m", ""));
    world.commit("and back");
    world.apply().code(0);
    assert_eq!(world.remembered("due"), json!({}));
}

#[test]
fn a_delete_that_a_path_held_says_so_of_a_path_that_is_back() {
    let mut world = World::new();
    world.target("paths: [connections, more]");
    world.write("more/m.yaml", &email("m", ""));
    world.settle(&["a", "b", "c"]);
    world.remove("more/m.yaml");
    world.commit("the folder is gone");
    world.apply().code(3).says("the path `more` declared connections before");
    world.write("more/n.yaml", &email("n", ""));
    world.commit("the folder is back, and m is not");
    let reason = "the path `more` was missing or empty when this became due";
    let held = world.apply().code(3).says(reason).says("--allow-deletes");
    assert!(!held.stdout.contains("empty now"), "{}", held.stdout);
    assert_eq!(world.names(), ["a", "b", "c", "m", "n"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
    assert_eq!(world.names(), ["a", "b", "c", "n"]);
}

#[test]
fn a_path_that_empties_while_the_config_changes_holds() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.commit_email(name, "");
    }
    world.write("more/m.yaml", &email("m", ""));
    world.commit("more");
    world.target("paths: ['.']");
    world.apply().code(0);
    world.target("paths: [connections, more]");
    world.remove("more/m.yaml");
    world.commit("the folder is gone");
    world.apply().code(3).says("`more`").says("missing or empty");
    assert_eq!(world.names(), ["a", "b", "c", "m"]);
}

#[test]
fn an_empty_path_is_remembered_when_a_list_fails_first() {
    let mut world = World::new();
    world.target("paths: [connections, more]");
    world.write("more/b.yaml", &email("b", ""));
    world.write("more/.keep", "");
    world.settle(&["a", "c"]);
    world.remove("more/b.yaml");
    world.commit("empty a path");
    let html = Fault::Html(StatusCode::OK);
    world.control().fail_next(Some(Method::GET), "?type=ftp", html, 9);
    world.apply().code(1);
    world.control().clear_faults();
    world.apply().code(3).says("missing or empty");
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn an_empty_path_is_remembered_behind_a_limit() {
    let mut world = World::new();
    world.target("paths: [connections, more]\nmax_deletes: 0");
    world.write("more/b.yaml", &email("b", ""));
    world.write("more/.keep", "");
    world.settle(&["a", "c"]);
    world.remove("more/b.yaml");
    world.commit("empty a path");
    world.apply().code(3).says("max_deletes");
    world.target("paths: [connections, more]\nmax_deletes: 5");
    world.apply().code(3).says("missing or empty");
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn a_missing_path_without_an_inventory_is_an_error() {
    let mut world = World::new();
    world.target("paths: [connectoins]");
    world.commit_email("a", "");
    world.plan().code(1).says("connectoins");
    world.apply().code(1);
    assert!(world.names().is_empty());
}
