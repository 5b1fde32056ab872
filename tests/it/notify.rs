//! Notifications, received over HTTP.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::receiver::Received;
use crate::running::{Running, eventually};
use crate::world::{CANARY, CHECKOUT, World, one_target};

fn events(got: &Received) -> Vec<String> {
    let got = got.all();
    let hooks = got.iter().filter(|(path, _)| path == "/hook");
    hooks
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap())
        .map(|body| body["event"].as_str().unwrap().to_owned())
        .collect()
}

fn with_notify(world: &mut World, target: &str, address: &str) {
    world.env.insert("HOOK_URL".to_owned(), format!("{address}/hook"));
    world.env.insert("CHAT_URL".to_owned(), format!("{address}/chat-c4nary"));
    world.env.insert("HOST_TOKEN".to_owned(), "host-token".to_owned());
    let target = one_target(CHECKOUT, &format!("resync: 1s\n{target}"));
    world.config(&format!(
        "{target}notify:\n  \
         - {{kind: webhook, url: '${{env:HOOK_URL}}'}}\n  \
         - {{kind: slack, url: '${{env:CHAT_URL}}', events: [failed]}}\n  \
         - {{kind: gitea, url: '{address}/team/config', secret: '${{env:HOST_TOKEN}}'}}\n"
    ));
}

#[test]
fn events_are_told_once_and_without_a_secret() {
    let mut world = World::new();
    let got = Received::start(&world);
    with_notify(&mut world, "max_deletes: 0", &got.address);
    world.commit_email("a", "port: 1\n");
    let commit = world.commit_email("b", "");
    let mut daemon = Running::start(&world, &[]);
    eventually("applied", || events(&got) == ["applied"]);
    world.edit("a", "port", json!(9));
    eventually("drift", || events(&got) == ["applied", "drift"]);
    world.commit_without(&["b"]);
    eventually("held", || events(&got) == ["applied", "drift", "held"]);
    world.write("connections/c.yaml", "type: email\nname: c\nhost: ${env:NOPE}\n");
    world.commit_email("b", "");
    eventually("failed", || events(&got).len() == 4);
    // Several resyncs later nothing more has been said.
    let resyncs = || daemon.status(&world)["targets"][0]["history"].as_array().unwrap().len();
    let before = resyncs();
    eventually("resyncs", || resyncs() >= before + 2);
    assert_eq!(events(&got), ["applied", "drift", "held", "failed"]);
    world.commit_without(&["c"]);
    eventually("recovered", || {
        events(&got) == ["applied", "drift", "held", "failed", "applied", "recovered"]
    });
    eventually("the chat", || got.all().iter().any(|(path, _)| path == "/chat-c4nary"));
    let got: Vec<(String, String)> = (got.all().into_iter())
        .map(|(path, body)| (path, String::from_utf8(body).unwrap()))
        .collect();
    let chat: Vec<_> = got.iter().filter(|(path, _)| path == "/chat-c4nary").collect();
    assert_eq!(chat.len(), 1);
    assert!(chat[0].1.contains("default: 1 connection blocked"), "{}", chat[0].1);
    let status = format!("/api/v1/repos/team/config/statuses/{commit}");
    assert!(got.iter().any(|(path, body)| *path == status && body.contains("success")));
    for (_, body) in &got {
        assert!(!body.contains(CANARY) && !body.contains("host-token"), "{body}");
    }
    assert!(!daemon.logs().contains("c4nary") && !daemon.logs().contains("host-token"));
    daemon.signal("-TERM");
    assert_eq!(daemon.ends(), 0);
    assert!(!daemon.logs().contains("not sent before the end"), "{}", daemon.logs());
}

#[test]
fn an_api_that_is_down_is_told_of_and_so_is_its_return() {
    let mut world = World::new();
    let got = Received::start(&world);
    with_notify(&mut world, "drift: report", &got.address);
    world.commit_email("a", "port: 1\n");
    let _daemon = Running::start(&world, &[]);
    eventually("applied", || events(&got) == ["applied"]);
    world.control().fail_next(None, "type=", Fault::Failure, usize::MAX);
    eventually("failed", || events(&got) == ["applied", "failed"]);
    world.control().clear_faults();
    eventually("recovered", || events(&got) == ["applied", "failed", "recovered"]);
    world.edit("a", "port", json!(9));
    eventually("drift", || events(&got) == ["applied", "failed", "recovered", "drift"]);
}

#[test]
fn a_receiver_that_cannot_be_reached_holds_nothing_up() {
    let mut world = World::new();
    with_notify(&mut world, "drift: report", "http://127.0.0.1:1");
    world.commit_email("a", "");
    let mut daemon = Running::start(&world, &[]);
    eventually("created", || world.names() == ["a"]);
    world.commit_email("b", "");
    eventually("created", || world.names() == ["a", "b"]);
    daemon.signal("-TERM");
    assert_eq!(daemon.ends(), 0);
    assert!(!daemon.logs().contains("chat-c4nary"), "{}", daemon.logs());
}

/// A git host that is dead leaves the targets in sync, so that everything else stays quiet.
#[test]
fn a_source_that_fails_is_told_of_and_so_is_its_return() {
    let mut world = World::new();
    let got = Received::start(&world);
    world.env.insert("HOOK_URL".to_owned(), format!("{}/hook", got.address));
    let target = one_target("url: 'file://{repo}', poll: 1s", "resync: 1s");
    world.config(&format!("{target}notify: [{{kind: webhook, url: '${{env:HOOK_URL}}'}}]\n"));
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    eventually("applied", || events(&got) == ["applied"]);
    let failures = || {
        let text = daemon.get(&world, "/metrics").1;
        let value = |name: &str| {
            let name = format!("apinizer_gitops_source_{name} ");
            text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok()).unwrap()
        };
        assert!(value("last_fetch_timestamp_seconds") > 0.0);
        value("fetch_failures_total")
    };
    assert_eq!(failures(), 0.0);
    let aside = world.path("aside");
    std::fs::rename(world.repo(), &aside).unwrap();
    eventually("failed", || events(&got) == ["applied", "source_failed"]);
    eventually("counted", || failures() > 1.0);
    assert!(daemon.get(&world, "/").1.contains("The source is failing"));
    let said = world.run(&["status", "--server", &daemon.address]).code(1);
    said.says("1 target: 1 in sync; connections: 1 in sync");
    assert_eq!(daemon.get(&world, "/readyz").0, 200);
    std::fs::rename(&aside, world.repo()).unwrap();
    eventually("back", || events(&got) == ["applied", "source_failed", "recovered"]);
    let bodies: Vec<Value> =
        got.all().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect();
    let message = bodies[1]["message"].as_str().unwrap();
    assert!(message.contains("the source is failing") && bodies[1]["target"].is_null());
    // A source that is read and refused is no quieter.
    world.write("connections/b.yaml", "type: nothing\nname: b\n");
    let broken = world.commit("broken");
    eventually("refused", || events(&got).last().is_some_and(|last| last == "failed"));
    let (_, body) = got.all().pop().unwrap();
    let message = serde_json::from_slice::<Value>(&body).unwrap()["message"].to_string();
    assert!(
        message.contains(&format!("a commit is refused at {} (broken)", &broken[..12])),
        "{message}"
    );
    eventually("shown", || daemon.get(&world, "/").1.contains("The newest commit is refused"));
}

#[test]
fn a_reload_loses_no_notification_that_is_tried_again() {
    let mut world = World::new();
    let got = Received::start(&world);
    with_notify(&mut world, "", &got.address);
    got.answers(StatusCode::SERVICE_UNAVAILABLE);
    world.write("connections/a.yaml", "type: nothing\nname: a\n");
    world.commit("broken");
    let daemon = Running::start(&world, &[]);
    let tries = || events(&got).len();
    eventually("it is tried", || tries() > 0);
    daemon.signal("-HUP");
    eventually("a new config", || daemon.logs().contains("the config was read again"));
    got.answers(StatusCode::OK);
    let before = tries();
    eventually("it is tried again", || tries() > before);
    assert_eq!(events(&got).pop().unwrap(), "failed");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(tries(), before + 1, "it has arrived");
    assert!(!daemon.logs().contains("did not arrive"), "{}", daemon.logs());
}

/// The path of a chat's URL is all that is needed to write to the chat.
#[test]
fn a_receiver_that_repeats_the_path_of_its_url_shows_no_secret() {
    let mut world = World::new();
    let got = Received::start(&world);
    got.answers(StatusCode::NOT_FOUND);
    let url = format!("{}/services/T000/B000/c4naryOfTheChat", got.address);
    world.env.insert("CHAT_URL".to_owned(), url);
    let target = one_target(CHECKOUT, "");
    world.config(&format!("{target}notify: [{{kind: slack, url: '${{env:CHAT_URL}}'}}]\n"));
    world.commit_email("a", "");
    let daemon = Running::start(&world, &[]);
    eventually("it is refused", || daemon.logs().contains("a notification did not arrive"));
    assert!(!daemon.logs().contains("c4nary"), "{}", daemon.logs());
}
