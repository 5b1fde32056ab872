//! `plan --without-secrets`: a field that holds a reference is compared by its text with the text
//! of the base, so that a pull request shows what its commit changes.

use serde_json::{Value, json};

use crate::world::World;

const DATABASE: &str = "type: database\nname: a\ndbType: POSTGRES\nuseCredentials: false\n\
    jdbcUrl: jdbc:postgresql://db1.example.com/l?password=${env:SMTP_PASSWORD}\n";

const WEBHOOK: &str = "type: webhook\nname: a\nfullUrl: https://example.com/hook\nheaderList:\n\
    - {name: Authorization, value: 'Bearer ${env:SMTP_PASSWORD}'}\n\
    - {name: X-Tenant, value: payments}\n- {name: X-Stage, value: prod}\n";

const KAFKA: &str = "type: kafka\nname: a\ntopicName: t\npropertiesMap:\n  \
    bootstrap.servers: {value: 'kafka.example.com:9092', valueType: STRING}\n  \
    ssl.key.password: {value: '${env:SMTP_PASSWORD}', valueType: STRING}\n";

/// Applies one document and commits another in its place.
fn changed(before: &str, after: &str) -> World {
    let world = World::new();
    world.write("connections/a.yaml", before);
    world.commit("before");
    world.apply().code(0);
    world.write("connections/a.yaml", after);
    world.commit("after");
    world
}

/// The plans that a job without secrets can make: with the state, and with the base revision.
fn plans() -> [&'static [&'static str]; 2] {
    [&["--without-secrets"], &["--without-secrets", "--base", "HEAD~1"]]
}

/// Asserts that both plans show a changed field, and these texts of it.
#[track_caller]
fn shows(mut world: World, path: &str, texts: &[&str]) {
    // The job has no secret.
    world.env.remove("SMTP_PASSWORD");
    for arguments in plans() {
        let ran = world.run(&[&["plan"], arguments].concat()).code(2);
        for text in texts {
            assert!(ran.stdout.contains(text), "no `{text}` in {}", ran.stdout);
        }
        let plan = world.plan_json(arguments);
        let change = &plan["changes"][0];
        assert_eq!((&change["action"], &change["name"]), (&json!("update"), &json!("a")), "{plan}");
        let fields = change["fields"].as_array().unwrap();
        let is_below = |shown: &&Value| shown["path"].as_str().unwrap().starts_with(path);
        let field = fields.iter().find(is_below).unwrap_or_else(|| panic!("no {path} in {plan}"));
        assert_eq!(field["origin"], json!("git"), "{plan}");
    }
}

#[test]
fn a_changed_host_beside_a_reference_is_shown() {
    let world = changed(DATABASE, &DATABASE.replace("db1.example.com", "evil.example.com"));
    shows(world, "/jdbcUrl", &["evil.example.com", "${env:SMTP_PASSWORD}"]);
}

/// With `--base` both sides are read with today's vars, so that only the state can show it.
#[test]
fn a_changed_var_beside_a_reference_is_shown() {
    let mut world = World::new();
    world.target("vars: {host: db1.example.com}");
    world.write("connections/a.yaml", &DATABASE.replace("db1.example.com", "${var:host}"));
    world.commit("a host by its var");
    world.apply().code(0);
    world.env.remove("SMTP_PASSWORD");
    world.run(&["plan", "--without-secrets"]).code(0);
    world.target("vars: {host: evil.example.com}");
    let ran = world.run(&["plan", "--without-secrets"]).code(2);
    ran.says("//evil.example.com/l?password=${env:SMTP_PASSWORD}").says("//db1.example.com/l");
}

#[test]
fn another_reference_is_shown() {
    let world = changed(DATABASE, &DATABASE.replace("SMTP_PASSWORD", "OTHER_PASSWORD"));
    shows(world, "/jdbcUrl", &["${env:OTHER_PASSWORD}"]);
}

#[test]
fn another_reference_to_a_password_is_shown() {
    let email = "type: email\nname: a\nhost: h\nauth: true\nusername: u\n\
        password: ${env:SMTP_PASSWORD}\n";
    let world = changed(email, &email.replace("SMTP_PASSWORD", "OTHER_PASSWORD"));
    shows(world, "/password", &["${env:OTHER_PASSWORD}"]);
}

#[test]
fn an_element_that_leaves_a_list_with_a_reference_is_shown() {
    let without = WEBHOOK.replace("- {name: X-Tenant, value: payments}\n", "");
    shows(changed(WEBHOOK, &without), "/headerList", &["X-Tenant"]);
}

#[test]
fn an_element_that_changes_in_a_list_with_a_reference_is_shown() {
    let other = WEBHOOK.replace("value: payments", "value: orders");
    shows(changed(WEBHOOK, &other), "/headerList", &["orders"]);
}

#[test]
fn an_element_that_joins_a_list_with_a_reference_is_shown() {
    let more = format!("{WEBHOOK}- {{name: X-Evil, value: 'yes'}}\n");
    shows(changed(WEBHOOK, &more), "/headerList", &["X-Evil"]);
}

#[test]
fn an_entry_that_changes_in_a_map_with_a_reference_is_shown() {
    let other = KAFKA.replace("kafka.example.com", "evil.example.com");
    shows(changed(KAFKA, &other), "/propertiesMap", &["evil.example.com"]);
}

#[test]
fn a_rotated_value_is_not_seen_and_the_names_are_listed() {
    for document in [DATABASE, WEBHOOK, KAFKA] {
        let mut world = changed(document, document);
        world.env.insert("SMTP_PASSWORD".into(), "rotated".into());
        for arguments in plans() {
            world.run(&[&["plan"], arguments].concat()).code(0).says("SMTP_PASSWORD");
        }
    }
}
