//! Tokens: renewed by one task, and a refusal that is not asked for again and again.

use apinizer_gitops::testing::sandbox::{Access, Options, TokenClient};
use apinizer_gitops::testing::secret::Sensitive;
use serde_json::{Value, json};

use crate::running::{Running, eventually};
use crate::world::{World, refusal};

fn refusing() -> World {
    let tokens = vec![Sensitive::new("another".into())];
    World::with(Options { access: Access { tokens, ..Access::default() }, ..Options::default() })
}

#[test]
fn a_refused_token_stops_the_target_with_one_clear_error() {
    let world = refusing();
    world.commit_email("a", "");
    let ran = world.apply().code(1).says("check the target's credentials");
    let text = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(text.matches("credentials").count(), 1, "{text}");
    assert!(!text.contains("a-token-for-tests"), "{text}");
    // Those that were under way side by side; nothing is sent after the first refusal came.
    assert!(world.control().call_count() <= 8, "{}", world.control().call_count());
}

#[test]
fn the_daemon_tries_a_refused_token_again_slowly() {
    let mut world = refusing();
    world.target("resync: 1s");
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    let target = || daemon.status(&world)["targets"][0].clone();
    eventually("failing", || target()["state"] == json!("failing"));
    let target = target();
    let pause = pause_of(&target);
    assert!((50..=61).contains(&pause), "{pause}: {target}");
    assert!(target["error"].as_str().unwrap().contains("credentials"), "{target}");
}

/// How long after its last reconcile a target is reconciled again, in seconds.
fn pause_of(target: &Value) -> i64 {
    let seconds = |key: &str| {
        let time: jiff::Timestamp = target[key].as_str().unwrap().parse().unwrap();
        time.as_second()
    };
    seconds("next_reconcile") - seconds("last_reconcile")
}

#[test]
fn pauses_after_a_refused_token_grow_beside_a_refused_commit_too() {
    let mut world = World::new();
    world.target("resync: 1s");
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    eventually("applied", || world.names() == ["a"]);
    world.control().alter(|options| {
        options.access.tokens = vec![Sensitive::new("another".into())];
    });
    let target = || daemon.status(&world)["targets"][0].clone();
    for (commit, pauses) in [("first", 50..=61), ("second", 100..=121)] {
        world.write("connections/b.yaml", &format!("type: nope\nname: {commit}\n"));
        let id = world.commit(commit);
        let is_so = || {
            let target = target();
            target["commit_seen"] == json!(id) && target["state"] == json!("refused")
        };
        eventually("refused", is_so);
        let target = target();
        assert!(target["error"].as_str().unwrap().contains("credentials"), "{target}");
        assert!(pauses.contains(&pause_of(&target)), "{target}");
    }
}

/// A target that asks for its tokens, with `${env:API_USER}` and `${env:API_PASSWORD}`.
fn asking() -> World {
    let client =
        TokenClient { id: "gitops".to_owned(), secret: Sensitive::new("s3cret-word".into()) };
    let access = Access { client: Some(client), ..Access::default() };
    let mut world = World::with(Options { access, ..Options::default() });
    let config = "source: {path: '{repo}'}\ntargets:\n  - name: default\n    url: {url}\n    \
                  project: demo\n    username: ${env:API_USER}\n    password: ${env:API_PASSWORD}\n    \
                  resync: 1s\n";
    world.config(config);
    world.env.insert("API_USER".to_owned(), "gitops".to_owned());
    world.env.insert("API_PASSWORD".to_owned(), "s3cret-word".to_owned());
    world.commit_email("a", "");
    world
}

#[test]
fn a_user_of_the_environment_is_not_shown() {
    let mut world = asking();
    world.env.insert("API_USER".to_owned(), "us3r-of-the-environment".to_owned());
    let refusal = refusal("no client us3r-of-the-environment");
    world.control().fail_next(None, "/auth/token", refusal, 1);
    let ran = world.run(&["plan", "-vvv"]).code(1).says("no client (sensitive)");
    assert!(!format!("{ran:?}").contains("us3r"), "{ran:?}");
}

#[test]
fn tokens_that_expire_in_the_middle_are_renewed_by_one_task() {
    let world = asking();
    let daemon = Running::start(&world, &[]);
    eventually("applied", || world.names() == ["a"]);
    let asked = || {
        let calls = world.control().calls();
        calls.iter().filter(|call| call.path.contains("/auth/token")).count()
    };
    assert_eq!(asked(), 1);
    for number in 2..5 {
        world.control().expire_tokens();
        world.commit_email("a", &format!("port: {number}\n"));
        eventually("applied again", || world.live("a")["port"] == json!(number));
        assert_eq!(asked(), number, "all calls that met the expired token made one request");
    }
    assert!(!daemon.logs().contains("s3cret-word"));
}
