//! The values that a plan shows of each change, and those that it hides.

use serde_json::json;

use crate::world::{CANARY, World};

#[test]
fn a_field_that_both_moved_shows_base_live_and_git() {
    let world = World::new();
    world.commit_email("a", "port: 25\n");
    world.apply().code(0);
    world.edit("a", "port", json!(99));
    world.plan().code(2).says("connections/a.yaml:1").says("drift  port  live 99, git 25");
    world.commit_email("a", "port: 30\n");
    let plan = world.plan().code(2).says("both  port  base 25");
    plan.says("both  port  live 99, git 30");
    world.run(&["plan", "--output", "markdown"]).code(2).says("port (both): base 25");
    let field = world.plan_json(&[])["changes"][0]["fields"][0].clone();
    let sides = ["base", "before", "after"].map(|side| field[side].clone());
    assert_eq!(sides, [json!(25), json!(99), json!(30)]);
}

#[test]
fn a_summary_tells_drift_from_what_git_asks_for() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.commit_email(name, "port: 25\n");
    }
    world.apply().code(0);
    world.edit("a", "port", json!(99));
    world.edit("b", "port", json!(99));
    world.commit_email("b", "port: 25\nfrom: new@example.com\n");
    world.commit_email("c", "from: new@example.com\n");
    let plan = world.run(&["plan", "--summary"]).code(2);
    let line = |name: &str| {
        let mut lines = plan.stdout.lines().filter(|line| line.contains(&format!("  {name}  ")));
        lines.next().unwrap_or_default().to_owned()
    };
    assert!(line("a").contains("(drift)"), "{}", plan.stdout);
    assert!(line("b").contains("(git and drift)"), "{}", plan.stdout);
    assert!(!line("c").contains("drift") && !line("c").is_empty(), "{}", plan.stdout);
}

#[test]
fn a_delete_shows_the_values_that_go_and_no_secret() {
    let world = World::new();
    world.commit_email("a", "description: '${env:SMTP_PASSWORD}'\nport: 25\n");
    world.settle(&["b", "c"]);
    world.apply().code(0);
    world.commit_without(&["a"]);
    let plan = world.plan().code(2).says("- email  a").says("port         25");
    let plan = plan.says("description  ${env:SMTP_PASSWORD}");
    assert!(!plan.stdout.contains(" password") && !plan.stdout.contains(CANARY), "{}", plan.stdout);
    world.run(&["plan", "--output", "markdown"]).code(2).says("-     port: 25");
    world.run(&["plan", "--summary"]).code(2).says("no longer in git");
}

/// The state knows no reference of an ignored field, and no key that somebody uploaded.
#[test]
fn a_delete_hides_the_values_that_git_did_not_declare() {
    let world = World::new();
    world.commit_email(
        "a",
        "description: '${env:SMTP_PASSWORD}'\nx-gitops: {ignore: [description]}\n",
    );
    world.settle(&["b", "c"]);
    world.apply().code(0);
    world.edit("a", "from", json!("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"));
    world.commit_without(&["a"]);
    for output in ["text", "json", "markdown"] {
        let plan = world.run(&["plan", "--output", output]).code(2).says("description");
        assert!(!plan.stdout.contains(CANARY) && !plan.stdout.contains("MIIE"), "{}", plan.stdout);
    }
}

#[test]
fn a_list_with_a_reference_is_shown_element_by_element() {
    let world = World::new();
    let with = |timeout: u32| {
        format!(
            "additionalProperties:\n  - {{key: a, value: '${{env:SMTP_PASSWORD}}'}}\n  \
             - {{key: timeout, value: '{timeout}'}}\n"
        )
    };
    world.commit_email("a", &with(1000));
    world.apply().code(0);
    world.commit_email("a", &with(2000));
    let plan = world.plan().code(2).says("additionalProperties[timeout]/value");
    plan.says("\"1000\" -> \"2000\"").says("1 to update");
    // Which element drifted would be live's to tell.
    world.apply().code(0);
    world.edit("a", "additionalProperties", json!([{"key": "timeout", "value": CANARY}]));
    world.plan().code(2).says("drift  additionalProperties");
}
