//! Apinizer's own variables, `${NAME}`: sent as they are written, and checked against the project's.

use apinizer_gitops::testing::sandbox::{Dialect, Options, Variables};
use serde_json::json;

use crate::world::World;

/// A world whose project has these variables.
fn with(dialect: Dialect, variables: Variables) -> World {
    World::with(Options { variables, ..Options::default().in_dialect(dialect) })
}

fn named(names: &[&str]) -> Variables {
    Variables::Named(names.iter().map(|name| (*name).to_owned()).collect())
}

/// How often the variables were listed since the last look.
fn lists(world: &World) -> usize {
    let calls = world.control().take_calls();
    calls.iter().filter(|call| call.path.ends_with("/environmentVariables/")).count()
}

#[test]
fn a_variable_that_the_project_lacks_is_a_warning_at_its_place() {
    for dialect in [Dialect::Current, Dialect::Older] {
        let world = with(dialect, named(&["api.hostname", "DB_PASSWORD"]));
        let document = "type: ftp\nname: f\nhost: a.${api.hostnmae}\nusername: ${WHO}\n\
                        password: ${DB_PASSWORD}\nprotocol: FTP\n";
        world.write("connections/f.yaml", document);
        world.commit("one");
        let ran = world.plan().code(2);
        assert_eq!(lists(&world), 1);
        let ran = ran.says("connections/f.yaml:3:9").says("no environment variable `api.hostnmae`");
        let ran = ran.says("did you mean `${api.hostname}`?").says("connections/f.yaml:4:11");
        assert!(!ran.stdout.contains("`DB_PASSWORD`"), "{}", ran.stdout);
        let found = world.plan_json(&[])["warnings"].clone();
        assert_eq!(found[0]["code"], json!("AG307"), "{found}");
        assert_eq!((&found[0]["line"], &found[0]["column"]), (&json!(3), &json!(9)), "{found}");
        world.run(&["plan", "--output", "markdown"]).code(2).says("api.hostnmae");
        // It never keeps anything from being written, and is written as it stands.
        world.apply().code(0);
        assert_eq!(world.live("f")["host"], json!("a.${api.hostnmae}"));
        assert_eq!(world.live("f")["password"], json!("${DB_PASSWORD}"));
        world.plan().code(0).says("did you mean");
    }
}

#[test]
fn a_list_of_variables_that_is_refused_is_a_note() {
    for variables in [Variables::Forbidden, Variables::NoSuchCall] {
        for dialect in [Dialect::Current, Dialect::Older] {
            let world = with(dialect, variables.clone());
            world.commit_email("a", "from: ${MAIL_FROM}\n");
            world.plan().code(2).says("were not checked").says("`GLOBAL_SETTINGS` with VIEW");
            world.apply().code(0);
            let plan = world.plan_json(&[]);
            assert_eq!(plan["warnings"], json!([]));
            assert_eq!(plan["notes"].as_array().map(Vec::len), Some(1), "{plan}");
        }
    }
}

#[test]
fn the_variables_of_overlays_and_plain_variables_are_checked() {
    let mut world = with(Dialect::Current, named(&["HOST"]));
    world.target("paths: [connections, prod]\nvars: {from: 'a@${FORM}'}");
    world.write_email("a", "from: ${var:from}\n");
    world.write("prod/a.yaml", "name: a\nhost: ${HOTS}\n");
    world.commit("a base and its overlay");
    let ran = world.plan().code(2);
    let ran = ran.says("prod/a.yaml:2:7").says("did you mean `${HOST}`?");
    ran.says("connections/a.yaml:7:7").says("no environment variable `FORM`");
}

#[test]
fn documents_without_variables_cause_no_call() {
    let world = World::settled(&["a"]);
    world.plan().code(0);
    assert_eq!(world.control().take_calls().len(), 14);
}

#[test]
fn names_with_dots_pass_through_everywhere() {
    let world = with(Dialect::Current, named(&["api.hostname", "db.password", "w.token"]));
    let documents = "type: email\nname: a\nhost: ${api.hostname}\nauth: true\nusername: u\n\
                     password: ${db.password}\n---\ntype: webhook\nname: w\n\
                     fullUrl: https://u:${w.token}@${api.hostname}/x\nhttpMethod: POST\n\
                     headerList:\n  - {name: Authorization, value: 'Bearer ${w.token}'}\n";
    world.write("connections/a.yaml", documents);
    world.commit("two");
    world.run(&["validate"]).code(0);
    world.plan().code(2).says("${db.password}").says("${w.token}");
    world.apply().code(0);
    world.plan().code(0);
    assert_eq!(world.live("a")["password"], json!("${db.password}"));
    let mut export = world.run(&["export"]).code(0);
    for text in ["host: ${api.hostname}", "u:${w.token}@${api.hostname}", "Bearer ${w.token}"] {
        export = export.says(text);
    }
}
