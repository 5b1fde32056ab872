//! A saved plan is carried out as it stands or not at all; `--base` needs no state.

use serde_json::json;

use crate::world::{CANARY, World, email, email_body};

fn with_a_saved_plan() -> (World, String) {
    let world = World::new();
    world.commit_email("a", "");
    world.apply().code(0);
    world.commit_email("b", "");
    let file = world.path("plan.json").display().to_string();
    world.run(&["plan", "--out", &file]).code(2);
    world.forget_calls();
    (world, file)
}

#[test]
fn a_plan_that_still_fits_is_carried_out() {
    let (world, file) = with_a_saved_plan();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(CANARY));
    // The same tree under another commit: a merge.
    world.commit("nothing new");
    world.run(&["apply", &file, "--yes"]).code(0);
    assert_eq!(world.writes(), ["POST b"]);
}

#[test]
fn a_plan_that_no_longer_fits_changes_nothing() {
    let (world, file) = with_a_saved_plan();
    world.commit_email("c", "");
    world.run(&["apply", &file, "--yes"]).code(3).says("`c` is new in git");
    world.remove("connections/c.yaml");
    world.commit("take c back");
    world.edit("a", "port", json!(9));
    world.run(&["apply", &file, "--yes"]).code(3).says("`a` changed on the server");
    assert!(world.writes().is_empty());
}

#[test]
fn a_saved_plan_does_nothing_beyond_its_list() {
    let (mut world, file) = with_a_saved_plan();
    world.env.insert("SMTP_PASSWORD".into(), "rotated".into());
    world.run(&["apply", &file, "--yes"]).code(0);
    assert_eq!(world.writes(), ["POST b"]);
    assert_eq!(world.live("a")["password"], json!(CANARY));
}

#[test]
fn a_saved_plan_is_of_one_target() {
    let (mut world, file) = with_a_saved_plan();
    let other = World::new();
    let url = other.url();
    world.config(&format!(
        "source: {{path: '{{repo}}'}}\ntargets:\n  - {{name: default, url: '{url}', project: demo, \
         token: '${{env:APINIZER_TOKEN}}'}}\n"
    ));
    world.run(&["apply", &file, "--yes"]).code(3);
    assert!(other.writes().is_empty());
    std::fs::write(&file, "{}").unwrap();
    world.run(&["apply", &file, "--yes"]).code(1).says("no saved plan");
}

#[test]
fn a_base_revision_stands_for_the_state() {
    let world = World::new();
    world.commit_email("a", "");
    world.commit_email("gone", "");
    world.commit_email("moved", "");
    let base = world.commit_email("kept", "x-gitops: {protect: true}\n");
    world.run(&["apply", "--yes"]).code(0);
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    world.make(email_body("by-hand"));
    world.edit("moved", "host", json!("elsewhere"));
    for name in ["gone", "moved", "kept"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    world.write("connections/a.yaml", &email("a", "port: 26\n"));
    world.commit("change one, remove three");
    world.run(&["plan", "--base", &base]).code(3).says("rotated values");
    assert_eq!(
        world.changes(&["--base", &base]),
        ["update a", "delete gone", "delete kept (held)", "delete moved (held)"]
    );
    world.run(&["apply", "--yes", "--base", &base]).code(3);
    assert_eq!(world.names(), ["a", "by-hand", "kept", "moved"]);
    assert_eq!(world.live("a")["port"], json!(26));
    assert!(!world.state_dir().exists(), "no state is written");
}
