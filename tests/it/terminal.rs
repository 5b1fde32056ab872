//! A command at a terminal, where `apply` asks.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::git_servers::{program, serve};
use crate::ran::Ran;
use crate::world::World;

/// Runs a command at a terminal of its own, and does something once it asks; then it is answered
/// `yes`. What it shows all comes to stdout. Nothing where this machine has no `script`.
fn asked(world: &World, arguments: &[&str], meanwhile: impl FnOnce()) -> Option<Ran> {
    let script = program("script")?;
    let inside = world.command(arguments);
    let words = std::iter::once(inside.get_program()).chain(inside.get_args());
    let words: Vec<String> =
        words.map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"))).collect();
    let mut command = std::process::Command::new(script);
    command.arg("-qec").arg(words.join(" ")).arg("/dev/null");
    command.env_clear().current_dir(inside.get_current_dir().unwrap());
    command.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stdout = Vec::new();
    while !stdout.ends_with(b"for an answer.") {
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
fn a_commit_that_is_pushed_while_somebody_is_asked_was_not_agreed_to() {
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
    asked(&world, &["apply"], || ()).unwrap().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}
