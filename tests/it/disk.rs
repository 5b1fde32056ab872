//! A disk that fails: nothing is sent that cannot be noted, and the next run converges.

use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::json;

use crate::faults::Moment;
use crate::running::Applying;
use crate::world::{CANARY, Ran, World};

#[test]
fn nothing_is_sent_that_cannot_be_noted() {
    let world = World::new();
    world.commit_email("a", "");
    std::fs::write(world.state_dir(), "a file in the place of the folder").unwrap();
    world.apply().code(1).says("state folder");
    assert!(world.writes().is_empty());
}

/// Runs `apply` with a bound on the size of files, as a full disk is one.
#[test]
fn a_full_disk_stops_the_run_before_the_first_call() {
    let world = World::settled(&["a"]);
    let before = world.state();
    world.commit_email("b", "");
    let apply = world.command(&["apply", "--yes"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(apply.get_program())
        .args(apply.get_args())
        .env_clear()
        .envs(apply.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(apply.get_current_dir().unwrap())
        .stdin(Stdio::null());
    world.forget_calls();
    world.ended(command.output().unwrap()).code(1).says("cannot be written");
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.state(), before);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}

/// A run of three creates, one by one; `trouble` comes while the first is under way.
fn in_the_middle(world: &mut World, trouble: impl Fn(&World)) -> Ran {
    world.target("concurrency: 1");
    for name in ["a", "b", "c"] {
        world.write_email(name, "");
    }
    world.commit("three");
    let gate = world.control().gate(Some(Method::POST), "/a/", Moment::After);
    let applying = Applying::until(world, &gate);
    trouble(world);
    gate.open();
    applying.ends()
}

#[test]
fn a_state_that_cannot_be_written_any_more_begins_nothing_more() {
    let mut world = World::new();
    let aside = world.path("aside");
    in_the_middle(&mut world, |world| {
        std::fs::rename(world.state_dir(), &aside).unwrap();
        std::fs::write(world.state_dir(), "a file in the place of the folder").unwrap();
        // The state is not written more often than it takes time to write it.
        std::thread::sleep(std::time::Duration::from_secs(5));
    })
    .code(1)
    .says("cannot be written")
    .says("not started");
    assert_eq!(world.writes(), ["POST a"]);
    std::fs::remove_file(world.state_dir()).unwrap();
    std::fs::rename(&aside, world.state_dir()).unwrap();
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b", "c"]);
    assert_eq!(world.live("a")["password"], json!(CANARY));
    assert_eq!(world.remembered("owned").as_object().unwrap().len(), 3);
}

#[test]
fn a_state_folder_that_vanishes_is_made_again() {
    let mut world = World::new();
    in_the_middle(&mut world, |world| std::fs::remove_dir_all(world.state_dir()).unwrap()).code(0);
    assert_eq!(world.remembered("owned").as_object().unwrap().len(), 3);
    world.commit_without(&["a"]);
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
}
