//! A command at a terminal, where `apply` asks.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use axum::http::Method;
use serde_json::json;

use crate::faults::Moment;
use crate::git_servers::{program, serve};
use crate::ran::Ran;
use crate::world::{CHECKOUT, PROJECT, World, one_target};

/// Starts a command at a terminal of its own. Nothing where this machine has no `script`.
fn at_terminal(world: &World, arguments: &[&str]) -> Option<Child> {
    in_shell(world, arguments, "exec {}")
}

/// The same by a line of the shell, in which `{}` stands for the command.
fn in_shell(world: &World, arguments: &[&str], line: &str) -> Option<Child> {
    let script = program("script")?;
    let inside = world.command(arguments);
    let words = std::iter::once(inside.get_program()).chain(inside.get_args());
    let words: Vec<String> =
        words.map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"))).collect();
    let mut command = std::process::Command::new(script);
    // A shell between the two would hear of Ctrl-C too, and end with a code of its own.
    command.arg("-qec").arg(line.replace("{}", &words.join(" "))).arg("/dev/null");
    command.env_clear().current_dir(inside.get_current_dir().unwrap());
    command.env("NO_COLOR", "1");
    command.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Some(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
}

/// Runs a command at a terminal of its own, and does something once it asks; then it is answered
/// `yes`. What it shows all comes to stdout. Nothing where this machine has no `script`.
fn asked(world: &World, arguments: &[&str], meanwhile: impl FnOnce()) -> Option<Ran> {
    let mut child = at_terminal(world, arguments)?;
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stdout = Vec::new();
    while !stdout.ends_with(b"anything else ends.") {
        let mut byte = [0];
        let read = shown.read(&mut byte).unwrap();
        assert_eq!(read, 1, "it does not ask: {}", String::from_utf8_lossy(&stdout));
        stdout.push(byte[0]);
    }
    meanwhile();
    typed.write_all(b"yes\n").unwrap();
    shown.read_to_end(&mut stdout).unwrap();
    let status = child.wait().unwrap();
    Some(world.ended(std::process::Output { status, stdout, stderr: Vec::new() }))
}

#[test]
fn a_commit_that_is_pushed_during_the_prompt_is_not_applied() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    let push = |world: &World| world.git(&["push", "-q", bare.to_str().unwrap(), "HEAD"]);
    world.commit_email("a", "");
    push(&world);
    world.source(&format!("url: 'file://{}'", bare.display()), "");
    let Some(ran) = asked(&world, &["apply"], || {
        world.commit_email("b", "");
        push(&world);
    }) else {
        return;
    };
    ran.code(3).says("the plan no longer fits");
    assert!(world.writes().is_empty());
    let ran = asked(&world, &["apply"], || ()).unwrap().code(0);
    let target = format!("project {PROJECT} at {}", world.url());
    assert_eq!(ran.stdout.matches(&target).count(), 2, "plan and question: {}", ran.stdout);
    let ran = ran.says("[1/2] default   + email  ").says("[2/2] default   + email  ");
    assert_eq!(ran.stdout.matches(": done").count(), 2, "each is shown once: {}", ran.stdout);
    assert!(ran.stdout.trim_end().lines().last().unwrap().starts_with("Applied: 2 done"));
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn after_ctrl_c_each_change_is_shown_once_and_the_summary_last() {
    let mut world = World::new();
    world.target("concurrency: 1");
    for name in ["a", "b", "c"] {
        world.write_email(name, "");
    }
    world.commit("three");
    let gate = world.control().gate(Some(Method::POST), "/b/", Moment::After);
    let Some(mut child) = at_terminal(&world, &["apply", "--yes"]) else { return };
    world.block_on(gate.wait_for(1));
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    typed.write_all(b"\x03").unwrap();
    let mut stdout = Vec::new();
    while !String::from_utf8_lossy(&stdout).contains("once more ends at once") {
        let mut byte = [0];
        assert_eq!(shown.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&stdout));
        stdout.push(byte[0]);
    }
    gate.open();
    shown.read_to_end(&mut stdout).unwrap();
    let status = child.wait().unwrap();
    let ran = world.ended(std::process::Output { status, stdout, stderr: Vec::new() }).code(1);
    let ran = ran.says("[1/3] default   + email  ").says("[2/3] default   + email  ");
    assert_eq!(ran.stdout.matches(": done").count(), 2, "{}", ran.stdout);
    let last = ran.stdout.trim_end().lines().last().unwrap();
    assert!(last.starts_with("Applied: 2 done") && last.contains("1 not started"), "{last}");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_probe_asks_with_the_leftovers_that_it_deletes() {
    let mut world = World::new();
    world.alter_projects(&[PROJECT, "scratch"]);
    world.target("");
    let left = "apinizer-gitops-probe-0-email";
    let marker = "Made by the probe of apinizer-gitops and deleted by it";
    let body = json!({"type": "email", "name": left, "description": marker});
    world.control().put("scratch", body).unwrap();
    let Some(ran) = asked(&world, &["probe", "--project", "scratch"], || ()) else { return };
    ran.code(0).says(left).says("project scratch at");
    assert!(world.control().names("scratch").is_empty());
}

#[test]
fn a_command_says_once_that_it_tries_again_and_why() {
    let mut world = World::new();
    world.commit_email("a", "");
    world.config(&one_target(CHECKOUT, "").replace("{url}", "http://127.0.0.1:9"));
    let Some(child) = at_terminal(&world, &["plan"]) else { return };
    let ran = world.ended(child.wait_with_output().unwrap()).code(1);
    let cause = "connection refused by 127.0.0.1:9";
    let ran = ran.says(&format!("{cause}; trying again for up to 3s"));
    assert_eq!(ran.stdout.matches(cause).count(), 2, "the line, and the end: {}", ran.stdout);
    let ran = world.plan().code(1).says(cause);
    let text = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(text.matches(cause).count(), 1, "without a terminal only the end: {text}");
}

#[test]
fn init_asks_for_what_no_flag_gives() {
    let mut world = World::new();
    let config = world.path("apinizer-gitops.yaml");
    world.use_config(&config);
    let Some(mut child) = at_terminal(&world, &["init"]) else { return };
    child.stdin.take().unwrap().write_all(b"https://gateway.example.com\nShop\n").unwrap();
    let ran = world.ended(child.wait_with_output().unwrap()).code(0);
    ran.says("URL of the Manager").says("Apinizer project:");
    world.run(&["validate"]).code(0);
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("project: \"Shop\""), "{text}");
}

#[test]
fn an_error_breaks_no_word_on_a_terminal() {
    let mut world = World::new();
    world.env.insert("COLUMNS".into(), "40".into());
    world.run(&["init"]).code(0);
    let Some(child) = at_terminal(&world, &["init"]) else { return };
    let ran = world.ended(child.wait_with_output().unwrap()).code(1);
    let lines: Vec<&str> = ran.stdout.lines().map(str::trim_end).collect();
    assert!(lines.contains(&"hint: name another file with --config,"), "{}", ran.stdout);
    assert!(lines.contains(&"or edit that one"), "{}", ran.stdout);
}

#[test]
fn a_plan_that_is_asked_about_has_the_width_of_its_own_terminal() {
    let mut world = World::new();
    world.env.insert("COLUMNS".into(), String::new());
    world.commit_email("a", "description: 'one two three four five six seven eight nine ten'\n");
    let arguments = ["apply", "--output", "json"];
    let Some(child) = in_shell(&world, &arguments, "stty cols 40; exec {} > out") else { return };
    let ran = world.ended(child.wait_with_output().unwrap()).code(1).says("Nothing was applied.");
    let value = ran.stdout.lines().find(|line| line.contains("one two")).unwrap();
    assert!(!value.contains("ten"), "{}", ran.stdout);
}
