//! The costs of a run, in counts: calls that are made and files that are parsed. Never in seconds.

use apinizer_gitops::cli;
use apinizer_gitops::cli::args::{NarrowArgs, ReadArgs, WriteArgs};
use apinizer_gitops::cli::context::Context;
use apinizer_gitops::cli::session::Session;

use crate::world::{PROJECT, World, email};

const MANY: usize = 40;

/// A world of many connections, one file each, in two folders.
fn world() -> World {
    let world = World::new();
    for number in 0..MANY {
        world.write(&file(number), &email(&format!("mails-{number}"), ""));
    }
    world.commit("all");
    world
}

fn file(number: usize) -> String {
    format!("connections/{}/{number}.yaml", number % 2)
}

#[test]
fn creates_make_one_call_each() {
    let world = world();
    world.apply().code(0);
    let calls = world.control().take_calls();
    let of = |method: &str| calls.iter().filter(|call| call.method == method).count();
    // The last list is for the ids of what was created.
    assert_eq!((of("GET"), of("POST"), calls.len()), (14 + 1, MANY, 14 + MANY + 1));
}

#[test]
fn an_update_makes_two_calls_and_leaves_the_others_alone() {
    let world = world();
    world.apply().code(0);
    world.write(&file(7), &email("mails-7", "port: 26\n"));
    world.commit("one");
    world.forget_calls();
    world.apply().code(0);
    assert_eq!(world.control().take_calls().len(), 14 + 2);
}

#[test]
fn an_apply_in_sync_does_not_write_the_state() {
    let world = world();
    world.apply().code(0);
    let file = || {
        let files = std::fs::read_dir(world.state_dir()).unwrap().map(|file| file.unwrap());
        let state = files.filter(|file| file.path().extension().is_some_and(|e| e == "json"));
        state.map(|file| file.metadata().unwrap().modified().unwrap()).collect::<Vec<_>>()
    };
    // The first reading after a create tells its id, and the state learns it.
    world.apply().code(0);
    let before = file();
    assert_eq!(before.len(), 1);
    world.apply().code(0);
    assert_eq!(file(), before);
}

#[test]
fn a_commit_that_changes_one_file_parses_one_file() {
    let world = world();
    let (url, repo, state) = (world.url(), world.repo(), world.state_dir());
    let arguments = ["apinizer-gitops", "plan", "--url", &url, "--project", PROJECT, "--repo"];
    let arguments = arguments.map(Into::into).into_iter();
    let paths = [repo.into_os_string(), "--state-dir".into(), state.into_os_string()];
    let command = cli::parse(arguments.chain(paths)).unwrap();
    let context = Context::new(command.global, world.env.clone()).unwrap();
    let mut session = Session::new(&context, &[]).unwrap();
    let (everything, writes) = (NarrowArgs::default(), WriteArgs::default());
    let options = session.options(&context, "plan", &everything, &writes, None);
    let options = world.block_on(options).unwrap();

    let mut parsed_by_a_pass = || {
        world.block_on(async {
            let before = session.engine.cache.parsed();
            let snapshot = session.snapshot(&ReadArgs::default()).await.unwrap();
            let prepared = session.prepare(&snapshot, &options).await;
            assert_eq!(prepared[0].plan.errors, Vec::<String>::new());
            assert_eq!(prepared[0].plan.summary().create, MANY);
            session.engine.cache.parsed() - before
        })
    };
    assert_eq!(parsed_by_a_pass(), MANY as u64);
    assert_eq!(parsed_by_a_pass(), 0);
    world.write(&file(7), &email("mails-7", "port: 26\n"));
    world.commit("one");
    assert_eq!(parsed_by_a_pass(), 1);
    // A file that is only moved has the same content.
    world.git(&["mv", &file(7), "connections/elsewhere.yaml"]);
    world.commit("moved");
    assert_eq!(parsed_by_a_pass(), 0);
}
