//! What may be written, and what never: one test for each sentence that is easily broken.

use apinizer_gitops::sandbox::{Answers, Dialect, ListFields, Options, Rewrite, RewriteTo, Writes};
use axum::http::Method;
use serde_json::json;

use crate::world::{CANARY, PROJECT, World, email, email_body, ftp, refusal};

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
fn the_trailer_consents_once() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b", "c"]);
    world.remove("connections/a.yaml");
    world.commit("remove a\n\nAllow-Deletes: true");
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
    world.commit_without(&["b"]);
    world.apply().code(3);
    assert_eq!(world.names(), ["b", "c"]);
}

#[test]
fn a_mistyped_path_or_a_lost_state_deletes_nothing() {
    let mut world = World::new();
    world.target("paths: [connections]");
    world.commit_email("a", "");
    world.commit_email("b", "");
    world.write("other/z.yaml", &email("z", ""));
    world.commit("another folder");
    world.apply().code(0);
    world.target("paths: [other]");
    world.apply().code(3).says("no commit removed it");
    assert_eq!(world.names(), ["a", "b", "z"]);
    world.run(&["apply", "--yes", "--allow-deletes"]).code(3);
    assert_eq!(world.names(), ["a", "b", "z"]);
    world.run(&["apply", "--yes", "--allow-delete", "a"]).code(3);
    assert_eq!(world.names(), ["b", "z"]);
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "z"]);
}

#[test]
fn protect_outlives_its_document() {
    let world = World::new();
    world.commit_email("a", "x-gitops: {protect: true}\n");
    world.settle(&["b"]);
    world.commit_without(&["a"]);
    world.apply().code(3).says("protected");
    world.run(&["apply", "--yes", "--allow-delete", "a"]).code(3);
    assert_eq!(world.names(), ["a", "b"]);
    world.commit_email("a", "");
    world.apply().code(0);
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b"]);
}

#[test]
fn both_dialects_and_summary_lists_converge() {
    for dialect in [Dialect::Current, Dialect::Older] {
        for list_fields in [ListFields::All, ListFields::Summary] {
            for omit_nulls in [false, true] {
                let answers = Answers { list_fields, omit_nulls, ..Answers::default() };
                let options = Options { dialect, answers, ..Options::default() };
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
fn a_changed_type_is_a_replace_and_a_refused_one_is_undone_once() {
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
fn a_field_that_the_server_rewrites_is_given_up_after_two_puts() {
    let rewrites = vec![Rewrite::new("email", "host", RewriteTo::Lowercase)];
    let writes = Writes { rewrites, ..Writes::default() };
    let world = World::with(Options { writes, ..Options::default() });
    world.write("connections/a.yaml", "type: email\nname: a\nhost: SMTP.example.com\n");
    world.commit("a");
    world.apply().code(0);
    for _ in 0..5 {
        world.apply();
    }
    let puts = world.writes().iter().filter(|w| *w == "PUT a").count();
    assert_eq!(puts, 2);
    world.plan().says("not converging");
    world.write("connections/a.yaml", "type: email\nname: a\nhost: smtp.example.com\n");
    world.commit("as the server wants it");
    world.plan().code(0);
}

#[test]
fn drift_is_only_reported_where_the_target_says_so() {
    let mut world = World::new();
    world.target("drift: report");
    world.commit_email("a", "port: 25\n");
    world.settle(&["b"]);
    world.edit("a", "host", json!("by.hand"));
    assert!(world.control().remove(PROJECT, "b"));
    assert_eq!(world.changes(&[]), ["drift a", "drift b"]);
    world.plan().code(2);
    world.forget_calls();
    world.apply().code(0);
    assert!(world.writes().is_empty());
    world.commit_email("a", "port: 26\n");
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(26));
    assert_eq!(world.live("a")["host"], json!("by.hand"), "a PUT keeps what drifted");
}

#[test]
fn what_differs_is_taken_over_as_the_config_says() {
    for (adopt, code, host) in
        [("always", 0, "smtp.example.com"), ("equal", 1, "other"), ("never", 1, "other")]
    {
        let mut world = World::new();
        world.target(&format!("adopt: {adopt}"));
        let mut body = email_body("a");
        body["host"] = json!("other");
        world.make(body);
        world.commit_email("a", "");
        world.apply().code(code);
        assert_eq!(world.live("a")["host"], json!(host), "{adopt}");
    }
}

#[test]
fn an_unresolved_reference_blocks_its_connection_alone() {
    let world = World::new();
    world.commit_email("a", "");
    world.write("connections/b.yaml", "type: email\nname: b\nhost: ${env:NOT_SET}\n");
    world.commit("b");
    world.apply().code(1).says("NOT_SET");
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn prune_false_leaves_the_inventory_without_a_delete() {
    let mut world = World::new();
    world.target("prune: false");
    world.settle(&["a", "b"]);
    world.commit_without(&["a"]);
    let plan = world.plan_json(&[]);
    assert_eq!(plan["summary"]["held"], json!(0));
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
    assert!(world.record()["inventory"].get("a").is_none());
}

#[test]
fn prune_false_holds_a_replace_since_it_takes_a_delete() {
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

#[test]
fn an_empty_folder_holds_the_deletes() {
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
fn a_refused_commit_changes_nothing() {
    let world = World::settled(&["a"]);
    world.write(
        "connections/b.yaml",
        "type: email\nname: b\nhost: h\nauth: true\nusername: u\npassword: plain\n",
    );
    world.commit_email("c", "");
    let ran = world.apply().code(1);
    assert!(!format!("{ran:?}").contains("plain\""));
    assert!(world.writes().is_empty());
    let mut world = world;
    world.target("on_invalid: isolate");
    world.commit_without(&["a"]);
    world.apply();
    assert_eq!(world.names(), ["a", "c"], "valid ones are applied and nothing is deleted");
}
