//! The program as process 1 of a container: it adopts what its children leave behind.

use std::fs;
use std::process::{Command, Stdio};

use crate::git_servers::skipped;
use crate::remote::follow;
use crate::running::{Running, eventually};
use crate::world::World;

/// A process of its own namespace, which is process 1 there and ends with `unshare`.
const CONTAINER: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// The children of a process, each with the letter of its state.
fn children(parent: u32) -> Vec<(u32, char)> {
    let read = |process: fs::DirEntry| {
        let text = fs::read_to_string(process.path().join("stat")).ok()?;
        let mut fields = text.rsplit_once(") ")?.1.split(' ');
        let (state, its_parent) = (fields.next()?.chars().next()?, fields.next()?);
        let id = text.split(' ').next()?.parse().ok()?;
        (its_parent == parent.to_string()).then_some((id, state))
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(read).collect()
}

#[test]
fn failed_fetches_leave_no_zombies() {
    let mut tried = Command::new(CONTAINER[0]);
    tried.args(&CONTAINER[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    if !tried.status().is_ok_and(|status| status.success()) {
        skipped("unshare may not make a namespace of processes here");
        return;
    }
    let mut world = World::new();
    follow(&mut world, "ssh://git.example.com/gateway.git", "", "resync: 24h");
    // It leaves two processes behind that end a moment later, one in a session of its own.
    let (ssh, called) = (world.path("ssh"), world.path("called"));
    let script = format!(
        "#!/bin/sh\necho >> {}\nsleep 0.2 &\nsetsid sleep 0.2 &\nexec >&-\nsleep 0.1\nexit 255\n",
        called.display()
    );
    fs::write(&ssh, script).unwrap();
    let command = format!("sh {}", ssh.display());
    world.env.insert("GIT_SSH_COMMAND".to_owned(), command);
    let daemon = Running::within(&world, &CONTAINER, &[]);
    let calls = || fs::read_to_string(&called).unwrap_or_default().lines().count();
    eventually("six fetches failed", || calls() >= 6);
    let [(program, _)] = children(daemon.id())[..] else { panic!("unshare has one child") };
    let zombies = children(program).iter().filter(|(_, state)| *state == 'Z').count();
    // Those of the last fetch are there until the next one.
    assert!(zombies <= 4, "{zombies} zombies");
    assert_eq!(daemon.get(&world, "/healthz").0, 200);
}
