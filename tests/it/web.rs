//! The HTTP endpoints of the daemon, asked as other programs ask them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::running::{Running, eventually};
use crate::world::{CHECKOUT, World, one_target};

fn with_server(world: &mut World, server: &str) {
    world.config(&format!("{}server: {server}\n", one_target(CHECKOUT, "")));
}

#[test]
fn sighup_changes_the_token_and_refuses_one_without_a_value() {
    let mut world = World::new();
    for (name, value) in [("OLD", "old-admin"), ("NEW", "new-admin")] {
        world.env.insert(name.to_owned(), value.to_owned());
    }
    world.commit_email("a", "");
    with_server(&mut world, "{token: '${env:OLD}'}");
    let daemon = Running::start(&world, &[]);
    let order = |token: &str| daemon.send(&world, "POST", "/api/v1/reconcile", token);
    assert_eq!([order("old-admin"), order("new-admin")], [202, 401]);
    with_server(&mut world, "{token: '${env:NOPE}'}");
    daemon.signal("-HUP");
    eventually("refused", || daemon.logs().contains("the old one stays"));
    let order = |token: &str| daemon.send(&world, "POST", "/api/v1/reconcile", token);
    assert_eq!(order("old-admin"), 202);
    with_server(&mut world, "{token: '${env:NEW}'}");
    daemon.signal("-HUP");
    let order = |token: &str| daemon.send(&world, "POST", "/api/v1/reconcile", token);
    eventually("the new token", || order("new-admin") == 202);
    eventually("no longer the old one", || order("old-admin") == 401);
    assert!(!daemon.logs().contains("-admin"));
}

#[test]
fn who_connected_before_a_new_config_is_answered() {
    let mut world = World::new();
    world.commit_email("a", "");
    for (name, value) in [("OLD", "old-admin"), ("NEW", "new-admin")] {
        world.env.insert(name.to_owned(), value.to_owned());
    }
    with_server(&mut world, "{token: '${env:OLD}'}");
    let daemon = Running::start(&world, &[]);
    let address = daemon.address.trim_start_matches("http://").to_owned();
    let mut connection = std::net::TcpStream::connect(&address).unwrap();
    // Connections are taken in the order in which they come.
    assert_eq!(daemon.get(&world, "/healthz").0, 200);
    with_server(&mut world, "{token: '${env:NEW}'}");
    daemon.signal("-HUP");
    eventually("the new config", || daemon.logs().contains("the config was read again"));
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
}

#[test]
fn sighup_moves_the_listener() {
    let mut world = World::new();
    world.commit_email("a", "");
    let free = || {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        taken.local_addr().unwrap().to_string()
    };
    with_server(&mut world, &format!("{{listen: '{}'}}", free()));
    let mut daemon = Running::with_own_listener(&world);
    assert_eq!(daemon.get(&world, "/healthz").0, 200);
    let before = daemon.address.clone();
    with_server(&mut world, &format!("{{listen: '{}'}}", free()));
    daemon.signal("-HUP");
    eventually("another address", || daemon.moved_to().is_some());
    daemon.address = daemon.moved_to().unwrap();
    assert_ne!(daemon.address, before);
    assert_eq!(daemon.get(&world, "/healthz").0, 200);
    let before = before.trim_start_matches("http://");
    eventually("closed", || std::net::TcpStream::connect(before).is_err());
}

#[test]
fn other_machines_need_the_token_and_a_missing_one_is_told() {
    let mut world = World::new();
    world.commit_email("a", "");
    let daemon = Running::start(&world, &["--listen", "0.0.0.0:0"]);
    assert!(daemon.logs().contains("no `server.token` is set"));
    assert_eq!(daemon.send(&world, "GET", "/", "x"), 403);
    assert_eq!(daemon.send(&world, "GET", "/metrics", "x"), 200);
    drop(daemon);
    world.env.insert("APINIZER_GITOPS_TOKEN".to_owned(), "admin".to_owned());
    with_server(&mut world, "{token: '${env:APINIZER_GITOPS_TOKEN}'}");
    let daemon = Running::start(&world, &["--listen", "0.0.0.0:0"]);
    assert!(!daemon.logs().contains("no `server.token` is set"));
    for (path, wrong, right) in [
        ("/", 401, 200),
        ("/api/v1/status", 401, 200),
        ("/healthz", 200, 200),
        ("/metrics", 200, 200),
    ] {
        assert_eq!(daemon.send(&world, "GET", path, "x"), wrong, "{path}");
        assert_eq!(daemon.send(&world, "GET", path, "admin"), right, "{path}");
    }
}

#[test]
fn a_push_is_fetched_and_applied() {
    for branch in ["main", "refs/heads/main"] {
        is_fetched_and_applied(branch);
    }
}

fn is_fetched_and_applied(branch: &str) {
    let mut world = World::new();
    world.env.insert("HOOK".to_owned(), "hook".to_owned());
    world.commit_email("a", "port: 1\n");
    let source = &format!("url: 'file://{{repo}}', branch: {branch}, poll: 1h");
    let server = "server: {webhook_secret: '${env:HOOK}'}\n";
    world.config(&format!("{}{server}", one_target(source, "")));
    let daemon = Running::start(&world, &[]);
    eventually("created", || world.names() == ["a"]);
    world.commit_email("b", "");
    let push = |branch: &str| {
        let body = json!({
            "ref": format!("refs/heads/{branch}"),
            "project": {"git_http_url": format!("file://{}", world.repo().display())},
        });
        world.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client
                .post(format!("{}/hooks/gitlab", daemon.address))
                .header("x-gitlab-event", "Push Hook")
                .header("x-gitlab-token", "hook");
            request.body(body.to_string()).send().await.unwrap().status().as_u16()
        })
    };
    assert_eq!(push("other"), 200);
    for _ in 0..3 {
        assert_eq!(push("main"), 202);
    }
    eventually("the pushed commit", || world.names() == ["a", "b"]);
}

#[test]
fn probes_are_answered_beside_heads_that_never_end_and_streams_that_stay_open() {
    let world = World::new();
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    let address = daemon.address.trim_start_matches("http://").to_owned();
    let open = |text: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let is_answered = |when: &str| {
        for path in ["/healthz", "/metrics"] {
            let begun = std::time::Instant::now();
            assert_eq!(daemon.get(&world, path).0, 200, "{path} {when}");
            assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{path} {when}");
        }
    };
    let events = format!("GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let heads: Vec<_> = (0..400).map(|_| open("GET / HTTP/1.1\r\nX-Slow: ")).collect();
    is_answered("beside heads");
    let streams: Vec<_> = (0..400).map(|_| open(&events)).collect();
    is_answered("beside heads and streams");
    let more: Vec<_> = (0..400).map(|_| open("GET / HTTP/1.1\r\nX-Slow: ")).collect();
    drop(heads);
    is_answered("beside streams and newer heads");
    drop((streams, more));
}
