//! Flags, outputs and exit codes.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use apinizer_gitops::testing::sandbox::Options;
use serde_json::{Value, json};

use crate::running::at_terminal;
use crate::world::{World, email, email_body, ftp};

#[test]
fn a_usage_error_is_1_and_never_2() {
    let world = World::new();
    world.commit_email("a", "");
    for arguments in [
        &["plan", "--nonsense"][..],
        &["nonsense"],
        &["plan", "--output", "nonsense"],
        &["plan", "--rev", "HEAD", "--worktree"],
        &["plan", "--rev", "no-such-revision"],
        &["plan", "--base", "no-such-revision"],
        &["plan", "--target", "nonsense"],
        &["plan", "--type", "emial"],
        &["apply", "--lock-timeout", "soon"],
        &["forget"],
        &["apply", "no-such-file", "--yes"],
    ] {
        world.run(arguments).code(1);
    }
    world.run(&["plan", "--type", "emial"]).code(1).says("did you mean `email`?");
    world.run(&["plan", "--help"]).code(0);
    world.run(&["--version"]).code(0);
    assert!(world.writes().is_empty());
}

#[test]
fn without_a_terminal_apply_needs_yes() {
    let world = World::new();
    world.commit_email("a", "");
    world.apply_without_yes().code(1).says("--yes");
    assert!(world.control().take_calls().is_empty());
}

#[test]
fn a_plan_is_shown_at_the_terminal_that_is_asked() {
    for output in ["json", "text"] {
        let world = World::new();
        world.commit_email("a", "");
        let file = world.path("out");
        let redirected = format!(">'{}'", file.to_str().unwrap());
        let inside = world.command(&["apply", "--output", output]);
        let Some(mut command) = at_terminal(&inside, &[], &redirected) else { return };
        let mut asked = command.env("NO_COLOR", "1").stdout(Stdio::piped()).spawn().unwrap();
        asked.stdin.as_mut().unwrap().write_all(b"yes\n").unwrap();
        let shown = asked.wait_with_output().unwrap().stdout;
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains("+ email  a") && shown.contains("Apply this plan?"), "{shown}");
        assert_eq!(world.names(), ["a"]);
        let told = std::fs::read_to_string(file).unwrap();
        let is_json = serde_json::from_str::<Value>(&told).is_ok();
        assert!(is_json == (output == "json") && !told.contains("Plan:"), "{told}");
    }
}

impl World {
    fn apply_without_yes(&self) -> crate::world::Ran {
        self.run(&["apply"])
    }
}

#[test]
fn the_codes_win_over_one_another() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    for name in ["a", "b", "c"] {
        world.commit_email(name, "");
    }
    world.plan().code(2);
    world.apply().code(0);
    world.plan().code(0);
    world.commit_without(&["a"]);
    world.plan().code(3);
    world.commit_email("d", "");
    world.plan().code(3);
    world.write("connections/e.yaml", "type: email\nname: e\nhost: ${env:NOT_SET}\n");
    world.commit("blocked");
    world.plan().code(1);
    world.apply().code(1);
    assert_eq!(world.names(), ["a", "b", "c", "d"]);
    world.commit_without(&["e"]);
    world.apply().code(3);
    world.run(&["run", "--once"]).code(3);
    world.run(&["run", "--once", "--dry-run"]).code(3);
    world.target("max_deletes: 1");
    world.run(&["run", "--once"]).code(0);
    assert_eq!(world.names(), ["b", "c", "d"]);
}

#[test]
fn colour_is_as_it_was_asked_for() {
    let mut world = World::new();
    world.commit_email("a", "");
    assert!(!world.plan().stdout.contains('\u{1b}'));
    assert!(world.run(&["plan", "--color", "always"]).stdout.contains('\u{1b}'));
    world.env.insert("NO_COLOR".into(), "1".into());
    assert!(!world.plan().stdout.contains('\u{1b}'));
    assert!(!world.run(&["plan", "--color", "never"]).stdout.contains('\u{1b}'));
}

#[test]
fn the_json_of_a_plan_has_every_key() {
    let world = World::settled(&["a", "b", "old"]);
    world.make(email_body("hand"));
    world.remove("connections/b.yaml");
    world.remove("connections/old.yaml");
    world.write_email("new", "x-gitops: {renamedFrom: old}\n");
    world.write_email("c", "");
    world.commit_email("a", "port: 1\n");
    let ran = world.run(&["plan", "--output", "json"]).code(2);
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let has = |value: &Value, wanted: &[&str]| {
        let keys = keys(value);
        for key in wanted {
            assert!(keys.contains(*key), "{key} is not in {value}");
        }
    };
    has(&plan, &["format_version", "commit", "source", "targets"]);
    assert_eq!(plan["format_version"], json!("1.0"));
    assert_eq!(plan["commit"], json!(world.git(&["rev-parse", "HEAD"]).trim()));
    let target = &plan["targets"][0];
    has(target, &["name", "project", "url", "changes", "summary", "errors"]);
    has(
        &target["summary"],
        &[
            "create",
            "update",
            "replace",
            "rename",
            "delete",
            "adopt",
            "held",
            "unchanged",
            "blocked",
            "unmanaged",
            "unverified",
        ],
    );
    let changes = target["changes"].as_array().unwrap();
    let actions: Vec<&str> = changes.iter().map(|c| c["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["rename", "create", "update", "delete"]);
    for change in changes {
        has(change, &["action", "type", "name", "fields", "held", "file", "line"]);
        for field in change["fields"].as_array().unwrap() {
            has(field, &["path", "before", "after", "sensitive", "origin"]);
            assert!(field["path"].as_str().unwrap().starts_with('/'));
        }
    }
    assert_eq!(changes[0]["previous_name"], json!("old"));
    assert_eq!(changes[2]["file"], json!("connections/a.yaml"));
    assert_eq!(changes[2]["line"], json!(1));
    let password = changes[1]["fields"].as_array().unwrap().iter();
    let password = password.clone().find(|f| f["path"] == json!("/password")).unwrap();
    assert_eq!(password["after"], json!("${env:SMTP_PASSWORD}"));
    assert_eq!(password["sensitive"], json!(true));
}

#[test]
fn the_text_of_a_plan_is_quiet_and_says_why() {
    let world = World::settled(&["a", "b", "c", "old"]);
    world.remove("connections/b.yaml");
    world.remove("connections/old.yaml");
    world.write_email("new", "x-gitops: {renamedFrom: old}\n");
    world.write_email("d", "");
    world.write("connections/a.yaml", &ftp("a", ""));
    world.edit("c", "host", json!("drifted"));
    world.commit("all kinds");
    let text = world.plan().code(2).stdout;
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in\n{text}"));
    for sign in ["»", "-/+", "  + ", "  ~ ", "  - "] {
        at(sign);
    }
    assert!(at("type      \"email\" -> \"ftp\"") > 0);
    assert!(at("no longer in git since commit") > at("  ~ "), "deletes come last\n{text}");
    assert!(at("drift") > 0);
    let last = text.trim_end().lines().last().unwrap();
    assert!(last.contains("1 to create") && last.contains("1 to delete"), "{last}");
}

#[test]
fn markdown_fits_a_comment() {
    let world = World::new();
    for index in 0..150 {
        let lines = "x ".repeat(400);
        let name = format!("c{index}");
        world.write(
            &format!("connections/{name}.yaml"),
            &email(&name, &format!("description: '{lines}'\n")),
        );
    }
    world.commit("many");
    let ran = world.run(&["plan", "--output", "markdown"]).code(2);
    assert!(ran.stdout.chars().count() < 65_000, "{}", ran.stdout.len());
    assert!(ran.stdout.contains("150 to create"), "{}", &ran.stdout[..400]);
    assert!(ran.stdout.starts_with("<!--"));
    let ran = world.run(&["apply", "--yes", "--output", "markdown"]).code(0);
    assert!(ran.stdout.chars().count() < 65_000);
    let wrong = "type: email\nname: NAME\nhosst: h\npassword: lit\n";
    for index in 0..800 {
        let name = format!("e{index}");
        world.write(&format!("connections/{name}.yaml"), &wrong.replace("NAME", &name));
    }
    let ran = world.run(&["validate", "--output", "markdown"]).code(1);
    assert!(ran.stdout.chars().count() < 65_000, "{}", ran.stdout.len());
    assert!(ran.stdout.starts_with("<!-- apinizer-gitops:validate -->\n### "), "{ran:?}");
}

#[test]
fn without_secrets_nothing_of_the_environment_is_needed() {
    let mut world = World::new();
    world.write("connections/h.yaml", "type: email\nname: h\nhost: ${env:HOST}\n");
    world.env.insert("HOST".into(), "s3cret.example.com".into());
    world.settle(&["a"]);
    world.env.remove("SMTP_PASSWORD");
    world.env.remove("HOST");
    world.plan().code(1).says("SMTP_PASSWORD");
    for output in ["text", "json", "markdown"] {
        let ran = world.run(&["plan", "--without-secrets", "--output", output]).code(0);
        assert!(ran.stdout.contains("SMTP_PASSWORD") && ran.stdout.contains("HOST"), "{ran:?}");
    }
    world.commit_email("a", "port: 3\n");
    assert_eq!(world.changes(&["--without-secrets"]), ["update a"]);
}

#[test]
fn deletes_cannot_be_known_without_a_state_and_every_output_says_so() {
    let world = World::new();
    world.commit_email("a", "");
    for output in ["text", "json", "markdown"] {
        world.run(&["plan", "--output", output]).code(2).says("deletes cannot be known");
    }
    let base = world.commit("base");
    let ran = world.run(&["plan", "--base", &base]).code(2);
    assert!(!ran.stdout.contains("deletes cannot be known"));
}

#[test]
fn a_config_key_that_is_not_known_is_an_error_with_the_nearest() {
    let mut world = World::new();
    world.commit_email("a", "");
    for (keys, says) in [
        ("max_delete: 3", "max_deletes"),
        ("paths: [/etc]", "/etc"),
        ("paths: [../x]", ".."),
        ("drift: reprot", "report"),
        ("max_deletes: 130%", "max_deletes"),
        ("concurrency: 0", "concurrency"),
    ] {
        world.target(keys);
        world.run(&["validate"]).code(1).says(says);
        world.run(&["plan"]).code(1).says(says);
    }
    world.target("");
    let text = std::fs::read_to_string(world.path("apinizer-gitops.yaml")).unwrap();
    world.config(&text.replace("${env:APINIZER_TOKEN}", "pl4in-t0ken"));
    let ran = world.run(&["plan"]).code(1).says("${env:");
    assert!(!format!("{ran:?}").contains("pl4in-t0ken"));
    world.config(
        &text.replace("a-token-for-tests", "").replace("${env:APINIZER_TOKEN}", "${env:UNSET}"),
    );
    world.run(&["plan"]).code(1).says("UNSET");
    world.run(&["validate"]).code(0);
    let twice = text.replace("targets:\n", "targets:\n  - {name: other, url: '{url}/', project: demo, token: '${env:APINIZER_TOKEN}'}\n");
    world.config(&twice);
    world.run(&["plan"]).code(1).says("two targets have this URL and project");
    world.config(&text.replace(&world.url(), "http://gateway.example.com"));
    world.run(&["validate"]).code(0).says("unencrypted");
}

#[test]
fn forms_of_validate_and_status_are_those_of_plan() {
    let world = World::with(Options::default());
    world.write("connections/a.yaml", "type: email\nname: a\nhost: h\nport: 99999\n");
    world.commit("a");
    let ran = world.run(&["validate", "--output", "json"]).code(1);
    serde_json::from_str::<Value>(&ran.stdout).unwrap();
    world.run(&["validate", "--output", "markdown"]).code(1).says("99999");
    for output in ["text", "json", "markdown"] {
        world.run(&["status", "--server", "http://127.0.0.1:9", "--output", output]).code(1);
    }
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let world = World::new();
    world.commit_email("a", "");
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for arguments in [
        &["plan"][..],
        &["plan", "--output", "json"],
        &["plan", "--output", "markdown"],
        &["validate", "--output", "json"],
        &["schema"],
        &["explain"],
        &["man"],
        &["completions", "bash"],
        &["apply", "--yes"],
        &["run", "--once"],
        &["export"],
        &["--help"],
        &["plan", "--help"],
        &["--version"],
    ] {
        let output = world.command(arguments).stdout(full()).output().unwrap();
        world.ended(output).code(1).says("cannot write to stdout");
    }
    assert_eq!(world.names(), ["a"], "what was asked for is done all the same");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let world = World::new();
    for arguments in [&["schema"][..], &["explain"], &["man"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = world.ended(world.command(arguments).stdout(writer).output().unwrap()).code(0);
        assert_eq!(ran.stderr, "");
    }
}
