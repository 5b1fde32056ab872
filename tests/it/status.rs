//! `status`: what a running daemon says, and how it is told.

use axum::body::{Body, Bytes};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::running::{Running, eventually};
use crate::world::{CHECKOUT, World, one_target};

/// What a server answers to a request with this header `Authorization`.
type Answers = fn(&str) -> (StatusCode, Body);

/// Another server in the place of the daemon; its address.
fn other_server(world: &World, answers: Answers) -> String {
    let answer = move |headers: HeaderMap| async move {
        let sent = headers.get(AUTHORIZATION).map(|sent| sent.to_str().unwrap().to_owned());
        answers(&sent.unwrap_or_default())
    };
    serve(world, axum::Router::new().fallback(answer))
}

fn serve(world: &World, routes: axum::Router) -> String {
    world.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    })
}

/// The commands that ask a daemon.
const ASKS: [&[&str]; 5] =
    [&["status"], &["status", "--output", "json"], &["reconcile"], &["suspend"], &["resume"]];

#[test]
fn healthy_is_0_and_anything_wrong_is_1() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.write("connections/notes.txt", "");
    world.commit_email("a", "prot: 1\n");
    let nowhere = ["status", "--server", "http://127.0.0.1:9"];
    world.run(&nowhere).code(1).says("no daemon answers at http://127.0.0.1:9: connection refused");
    // A daemon that no config names is not asked instead.
    world.config("targets: [");
    world.run(&["suspend"]).code(1).says("apinizer-gitops.yaml");
    world.target("max_deletes: 0");
    let daemon = Running::start(&world, &[]);
    let server = daemon.address.clone();
    eventually("in sync", || daemon.status(&world)["targets"][0]["state"] == json!("in_sync"));
    world.run(&["status", "--server", &server]).code(0).says("in sync");
    for output in ["text", "markdown", "json"] {
        let arguments = ["status", "--server", &server, "--output", output];
        world.run(&arguments).code(0).says("AG201").says("did you mean `port`").says("notes.txt");
    }
    world.run(&["status", "--server", &server]).code(0).says("Z  email `a` was created");
    world.run(&["status", "--probe", "--server", &server]).code(0);
    assert_eq!(daemon.logs().matches("has no field `prot`").count(), 1, "{}", daemon.logs());
    let ran = world.run(&["status", "--server", &server, "--color", "always"]).code(0);
    assert!(ran.stdout.contains("\u{1b}[32min sync"), "{:?}", ran.stdout);
    let ran = world.run(&["status", "--server", &server, "--output", "json"]).code(0);
    let status: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(status["targets"][0]["connections"][0]["name"], "a");
    world.remove("connections/a.yaml");
    world.commit("retire a");
    eventually("held", || daemon.status(&world)["targets"][0]["state"] == json!("held"));
    for output in ["text", "markdown", "json"] {
        let arguments = ["status", "--server", &server, "--output", output];
        world.run(&arguments).code(1).says("max_deletes");
    }
}

#[test]
fn a_daemon_that_other_machines_reach_asks_for_the_token() {
    let mut world = World::new();
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "admin".to_owned());
    let server = "server: {token: '${env:APINIZER_GITOPS_TOKEN}'}\n";
    world.config(&format!("{}{server}", one_target(CHECKOUT, "")));
    world.commit_email("a", "");
    let daemon = Running::start(&world, &["--listen", "0.0.0.0:0"]);
    let server = daemon.address.replace("0.0.0.0", "127.0.0.1");
    eventually("ready", || daemon.get(&world, "/readyz").0 == 200);
    world.run(&["status", "--server", &server]).code(0);
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "other".to_owned());
    world.run(&["status", "--server", &server]).code(1).says("401").says("APINIZER_GITOPS_TOKEN");
}

#[test]
fn a_daemon_that_is_named_gets_the_token_of_the_environment_first() {
    let mut world = World::new();
    let address = other_server(&world, |sent| {
        let token = match sent {
            "Bearer admin" => "the token of the config",
            "Bearer other" => "the token of the environment",
            _ => "no token",
        };
        (StatusCode::FORBIDDEN, token.into())
    });
    let listen = address.trim_start_matches("http://");
    let server = format!("server: {{token: '${{env:ADMIN}}', listen: '{listen}'}}\n");
    world.config(&format!("{}{server}", one_target(CHECKOUT, "")));
    world.env.insert("ADMIN".to_owned(), "admin".to_owned());
    let named = ["suspend", "--server", &address];
    for arguments in [&["suspend"][..], &named] {
        let ran = world.run(arguments).code(1).says("the token of the config");
        assert!(!ran.stderr.contains("APINIZER_GITOPS_TOKEN"), "{ran:?}");
    }
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "other".to_owned());
    world.run(&named).code(1).says("the token of the environment");
    world.config("targets: [");
    world.run(&named).code(1).says("the token of the environment");
    let with_user = address.replace("http://", "http://ada:of-ada@");
    let ran = world.run(&["status", "--server", &with_user]).code(1).says("user info");
    assert!(!ran.stderr.contains("of-ada"), "{ran:?}");
}

#[test]
fn a_row_of_the_history_opens_to_the_changes_that_were_sent() {
    let mut world = World::new();
    world.target("max_deletes: 1");
    world.settle(&["a", "b", "c"]);
    let daemon = Running::start(&world, &[]);
    eventually("it is ready", || daemon.get(&world, "/readyz").0 == 200);
    world.write_email("d", "");
    world.commit_without(&["a", "b"]);
    eventually("made", || world.names() == ["a", "b", "c", "d"]);
    let page = || daemon.get(&world, "/").1;
    eventually("shown, while two deletes are held", || page().contains(">1 change</summary>"));
    let page = page();
    let sent = page.split(">1 change</summary>").nth(1).unwrap();
    let sent = sent.split("</details>").next().unwrap();
    assert!(sent.contains("create") && sent.contains("d <span") && sent.contains("host"), "{sent}");
}

#[test]
fn the_answer_of_another_server_is_not_believed() {
    let world = World::new();
    let answers: [Answers; 5] = [
        |_| (StatusCode::OK, "<html>Log in</html>".into()),
        |_| (StatusCode::ACCEPTED, "null".into()),
        |_| (StatusCode::OK, "{}".into()),
        |_| (StatusCode::OK, r#"{"version": 5, "targets": [{"name": null}]}"#.into()),
        |_| (StatusCode::NO_CONTENT, Body::empty()),
    ];
    for answers in answers {
        let server = other_server(&world, answers);
        for command in ASKS.iter().copied().chain([&["status", "--probe"][..]]) {
            let arguments = [command, &["--server", &server]].concat();
            let ran = world.run(&arguments).code(1).says("is no answer of apinizer-gitops");
            assert!(ran.stdout.is_empty(), "{ran:?}");
        }
    }
    let server = other_server(&world, |_| {
        let part = || Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20]));
        let parts = std::iter::repeat_with(part).take(80);
        (StatusCode::OK, Body::from_stream(futures_util::stream::iter(parts)))
    });
    world.run(&["status", "--server", &server]).code(1).says("is larger than");
}

#[test]
fn the_token_in_an_answer_is_not_shown() {
    let mut world = World::new();
    let token = "the-token-of-the-daemon";
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), token.to_owned());
    let answers: [Answers; 2] = [
        |sent| (StatusCode::FORBIDDEN, format!("denied: {sent} {}", "x".repeat(9999)).into()),
        |sent| {
            let connections =
                json!([{"type": "email", "name": "a", "state": "held", "reason": sent}]);
            let target = json!({"name": "t", "state": "held", "error": sent, sent: 1, "connections": connections});
            (StatusCode::OK, json!({"version": "1", "targets": [target]}).to_string().into())
        },
    ];
    for answers in answers {
        let server = other_server(&world, answers);
        for command in ASKS {
            let ran = world.run(&[command, &["--server", &server]].concat()).code(1);
            let shown = ran.stdout + &ran.stderr;
            assert!(!shown.contains(token) && shown.len() < 2000, "{shown}");
        }
    }
}

#[test]
fn a_wait_outlives_an_answer_that_does_not_come() {
    let world = World::new();
    let target = json!({"name": "t", "state": "in_sync", "connections": [],
        "answered": {"request": 1, "outcome": "applied", "success": true}});
    let status = json!({"version": "1", "started": "now", "targets": [target]});
    let taken = json!({"request": 1, "started": "now", "targets": ["t"]});
    let polls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let answer = move |method: axum::http::Method| async move {
        let number = polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match (method, number) {
            (axum::http::Method::POST, _) => (StatusCode::ACCEPTED, taken.to_string()),
            (_, 1) => (StatusCode::SERVICE_UNAVAILABLE, "in a moment".to_owned()),
            _ => (StatusCode::OK, status.to_string()),
        }
    };
    let server = serve(&world, axum::Router::new().fallback(answer));
    world.run(&["reconcile", "--wait", "--server", &server]).code(0).says("t: applied");
}
