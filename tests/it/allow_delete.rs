//! `apply --allow-delete NAME`: consent to one delete or replace, by its exact name.

use serde_json::json;

use crate::world::{CHECKOUT, PROJECT, Ran, World, email, ftp};

/// Names that a shell or a glob would take for something else.
const UNUSUAL: [&str; 9] =
    ["conn-*", "conn-?", "[x", "a[b]", "{y", "a\\", "it's", "-dash", "two words"];

/// These connections were declared below `connections`, which a mistyped path no longer reads.
fn not_removed_by_a_commit(names: &[&str]) -> World {
    let mut world = World::new();
    world.target("paths: [connections, other]\nmax_deletes: 20");
    for (index, name) in names.iter().enumerate() {
        let document = json!({"type": "email", "name": name, "host": "h"});
        world.write(&format!("connections/{index}.yaml"), &document.to_string());
    }
    world.write("other/kept.yaml", &email("kept", ""));
    world.commit("all");
    world.apply().code(0);
    world.target("paths: [other]\nmax_deletes: 20");
    world.forget_calls();
    world
}

/// Carries out the advice about one name as somebody who copies it into a shell.
fn follow_the_advice(world: &World, name: &str) -> Ran {
    let plan = world.plan_json(&[]);
    let changes = plan["changes"].as_array().unwrap();
    let change = changes.iter().find(|change| change["name"] == json!(name)).unwrap();
    let advice = change["advice"].as_str().unwrap_or_else(|| panic!("no advice: {change}"));
    let mut commands = advice.split('`').filter(|part| part.contains("apply --allow-delete"));
    let command = commands.next().unwrap_or_else(|| panic!("no command in: {advice}"));
    let flags = &command[command.find("--allow-delete").unwrap()..];
    let program = world.command(&["apply", "--yes"]);
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(format!("\"$0\" \"$@\" {flags}")).arg(program.get_program());
    shell.args(program.get_args()).env_clear();
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(program.get_current_dir().unwrap());
    shell.stdin(std::process::Stdio::null());
    world.ended(shell.output().unwrap())
}

#[test]
fn the_advice_for_an_unusual_name_deletes_that_name_alone() {
    let all = [&UNUSUAL[..], &["conn-0", "conn-1"]].concat();
    for name in UNUSUAL {
        let world = not_removed_by_a_commit(&all);
        world.plan().code(3).says("no commit removed it");
        follow_the_advice(&world, name).code(3);
        let mut left: Vec<String> = all.iter().map(|name| (*name).to_owned()).collect();
        left.retain(|left| left != name);
        left.push("kept".to_owned());
        left.sort();
        let mut names = world.names();
        names.sort();
        assert_eq!(names, left, "{name}");
        assert_eq!(world.writes().len(), 1, "{name}");
    }
}

#[test]
fn consent_to_one_name_may_be_repeated_and_frees_nothing_else() {
    let world = not_removed_by_a_commit(&["a", "b", "c"]);
    let both = ["apply", "--yes", "--allow-delete", "a", "--allow-delete=b"];
    world.run(&both).code(3).says("no commit removed it");
    assert_eq!(world.names(), ["c", "kept"]);
    // It was consent for that run.
    world.apply().code(3);
    assert_eq!(world.names(), ["c", "kept"]);
}

#[test]
fn consent_to_one_name_is_no_glob() {
    let world = not_removed_by_a_commit(&["conn-0", "conn-1"]);
    let note = "`--allow-delete conn-*` consents to nothing";
    for output in ["text", "json", "markdown"] {
        let consent = ["--allow-delete", "conn-*", "--allow-delete", "conn-0", "--output", output];
        let plan = world.run(&[&["plan"], &consent[..]].concat()).code(3).says(note);
        assert!(!plan.stdout.contains("`--allow-delete conn-0` consents"), "{}", plan.stdout);
    }
    world.run(&["apply", "--yes", "--allow-delete", "conn-*"]).code(3).says(note);
    assert!(world.writes().is_empty());
    assert_eq!(world.names(), ["conn-0", "conn-1", "kept"]);
}

#[test]
fn consent_to_deletes_over_a_limit_frees_no_delete_that_no_commit_asked_for() {
    let world = not_removed_by_a_commit(&["a", "b"]);
    for arguments in [
        &["--allow-deletes"][..],
        &["--allow-deletes", "--name", "a"],
        &["--allow-deletes", "--name=a", "--name=b"],
    ] {
        let ran = world.run(&[&["apply", "--yes"], arguments].concat());
        ran.code(3).says("no commit removed it");
        assert!(world.writes().is_empty(), "{arguments:?}");
    }
    assert_eq!(world.names(), ["a", "b", "kept"]);
}

#[test]
fn the_plan_shows_the_delete_that_consent_to_one_name_frees() {
    let world = not_removed_by_a_commit(&["a", "b"]);
    let changes = world.changes(&["--allow-delete", "a"]);
    assert_eq!(changes, ["delete a", "delete b (held)"]);
}

#[test]
fn consent_to_one_name_lifts_no_protection() {
    let world = World::new();
    world.commit_email("a", "x-gitops: {protect: true}\n");
    world.settle(&["b"]);
    world.commit_without(&["a"]);
    world.run(&["apply", "--yes", "--allow-delete", "a"]).code(3).says("protected");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn consent_to_one_name_frees_a_replace_that_no_commit_asked_for() {
    let mut world = World::settled(&["a", "b", "c"]);
    for name in ["b", "c"] {
        world.write(&format!("other/{name}.yaml"), &email(name, ""));
    }
    world.write("other/a.yaml", &ftp("a", ""));
    world.commit("the same elsewhere, but for the type of a");
    world.apply().code(0);
    world.target("paths: [other]");
    world.plan().code(3).says("no commit changed its type");
    world.run(&["apply", "--yes", "--allow-deletes", "--name", "a"]).code(3);
    assert_eq!(world.live("a")["type"], json!("email"));
    follow_the_advice(&world, "a").code(0);
    assert_eq!(world.live("a")["type"], json!("ftp"));
}

#[test]
fn a_saved_plan_carries_the_consent_that_it_was_made_with() {
    let world = not_removed_by_a_commit(&["a", "b"]);
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--allow-delete", "a", "--out", &file]).code(3);
    world.run(&["apply", &file, "--yes"]).code(3);
    assert_eq!(world.names(), ["b", "kept"]);
}

#[test]
fn forget_is_the_other_way_past() {
    let world = not_removed_by_a_commit(&["a", "b"]);
    world.run(&["forget", "a", "b"]).code(0);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b", "kept"]);
}

#[test]
fn what_is_advised_names_the_target_where_there_are_several() {
    let mut world = not_removed_by_a_commit(&["a"]);
    let target = |name: &str, project: &str, paths: &str| {
        let url = world.url();
        format!(
            "- {{name: {name}, url: '{url}', project: {project}, token: '${{env:APINIZER_TOKEN}}', paths: {paths}}}\n"
        )
    };
    let first = target("prod", PROJECT, "[other]");
    let text = format!("source: {{{CHECKOUT}}}\ntargets:\n{first}");
    let second = target("staging", "other", "[other]");
    world.config(&text);
    world.plan().code(3).says("`apinizer-gitops apply --allow-delete 'a'`");
    world.config(&format!("{text}{second}"));
    let plan = world.run(&["plan", "--target", "prod"]).code(3);
    plan.says("apply --target 'prod' --allow-delete 'a'").says("forget --target 'prod' 'a'");
}
