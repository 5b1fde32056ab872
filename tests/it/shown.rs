//! The values that a plan shows of each change, those that it conceals, and the problems that it tells.

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

#[test]
fn warnings_about_documents_stand_in_every_output() {
    let world = World::new();
    world.commit_email("a", "protocl: x\n");
    for arguments in [&["plan", "--output"][..], &["apply", "--yes", "--output"]] {
        for output in ["text", "markdown", "json"] {
            let ran = world.run(&[arguments, &[output]].concat());
            assert_eq!(ran.stdout.matches("AG201").count(), 1, "{}", ran.stdout);
            assert!(ran.stdout.contains("`protocl`") && !ran.stderr.contains("AG201"), "{ran:?}");
        }
    }
    let target = world.plan_json(&[]);
    assert_eq!(target["warnings"][0]["file"], json!("connections/a.yaml"));
    let line = target["warnings"][0]["line"].as_u64().unwrap_or_default();
    let text = std::fs::read_to_string(world.repo().join("connections/a.yaml")).unwrap();
    assert!(text.lines().nth(line as usize - 1).unwrap().starts_with("protocl"));
}

/// A job shows the plan's own output in a comment, and nothing else.
#[test]
fn errors_of_documents_stand_in_every_output_of_a_plan() {
    let world = World::new();
    world.commit_email("a", "port: 5x87\n");
    for output in ["text", "markdown", "json"] {
        let ran = world.run(&["plan", "--output", output]).code(1);
        let shown = if output == "text" { &ran.stderr } else { &ran.stdout };
        assert_eq!(shown.matches("AG202").count(), 1, "{ran:?}");
        assert!(shown.contains("whole number"), "{ran:?}");
    }
    let error = &world.plan_json(&[])["document_errors"][0];
    assert_eq!([&error["file"], &error["code"]], [&json!("connections/a.yaml"), &json!("AG202")]);
}

#[test]
fn warnings_of_one_text_are_told_once_with_all_their_places() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.commit_email(name, "protocl: x\n");
    }
    let counted = |output: &str, flag: Option<&str>| {
        let arguments: Vec<&str> = ["plan", "--output", output].into_iter().chain(flag).collect();
        let ran = world.run(&arguments).code(2).says("connections/b.yaml:");
        (ran.stdout.matches("protocl`").count(), ran.stdout)
    };
    for (output, flag) in [("text", None), ("text", Some("--summary")), ("markdown", None)] {
        let (count, stdout) = counted(output, flag);
        assert_eq!(count, 1, "{stdout}");
    }
    let (_, text) = counted("text", None);
    assert!(text.contains("3 warnings in 3 files") && text.contains("| ^^^"), "{text}");
    assert!(!counted("text", Some("--summary")).1.contains("| ^^^"));
    assert_eq!(world.plan_json(&[])["warnings"].as_array().map(Vec::len), Some(3));
}

#[test]
fn warnings_about_the_config_stand_in_every_output_of_a_plan() {
    let mut world = World::new();
    world.target("vars: {version: 1.10}");
    world.commit_email("a", "description: v${var:version}\n");
    for output in ["text", "markdown", "json"] {
        world.run(&["plan", "--output", output]).code(2).says("AG618");
    }
}
