use aws_lc_rs::hmac;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::daemon::{Board, Trigger};
use crate::web::{AccessKeys, Site};

const SECRET: &str = "hook-canary";
const PUSH: &str = r#"{"ref":"refs/heads/main","repository":{"url":"https://h.example/t/c"},
    "push":{"changes":[{"new":{"type":"branch","name":"main"}}]}}"#;

async fn serving(secret: Option<&str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let board = Board::default();
    board.edit_source(|source| source.branch = Some("main".to_owned()));
    let site = Site { trigger: Trigger::channel(&[], true).0, board, metrics: None };
    let keys = AccessKeys {
        token: None,
        webhook: secret.map(crate::web::tests::key),
        repository: Some("git@h.example:t/c.git".to_owned()),
    };
    tokio::spawn(crate::web::listen::serve(
        listener,
        site,
        keys,
        Default::default(),
        Default::default(),
    ));
    format!("http://{address}/hooks/")
}

async fn code(url: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

fn signature(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    crate::digest::hex(hmac::sign(&key, body.as_bytes()).as_ref())
}

#[tokio::test]
async fn a_push_wakes_only_with_the_secret() {
    let url = serving(Some(SECRET)).await;
    let prefixed = |body| format!("sha256={}", signature(body));
    type Proof = fn(&str) -> String;
    let hosts: [(&str, &str, &str, &str, Proof); 4] = [
        ("github", "x-github-event", "push", "x-hub-signature-256", |b| {
            format!("sha256={}", signature(b))
        }),
        ("gitlab", "x-gitlab-event", "Push Hook", "x-gitlab-token", |_| SECRET.to_owned()),
        ("gitea", "x-gitea-event", "push", "x-gitea-signature", signature),
        ("bitbucket", "x-event-key", "repo:push", "x-hub-signature", |b| {
            format!("sha256={}", signature(b))
        }),
    ];
    for (host, event, push, proof, prove) in hosts {
        let url = format!("{url}{host}");
        let right = prove(PUSH);
        assert_eq!(code(&url, &[(event, push), (proof, &right)], PUSH).await, 202, "{host}");
        assert_eq!(code(&url, &[(event, "ping"), (proof, &right)], PUSH).await, 200, "{host}");
        assert_eq!(code(&url, &[(event, push)], PUSH).await, 401, "{host}");
        for wrong in ["", "sha256=", "sha256=zz", "abc"] {
            assert_eq!(code(&url, &[(event, push), (proof, wrong)], PUSH).await, 401, "{host}");
        }
    }
    let other = PUSH.replace("heads/main", "heads/x").replace("\"main\"", "\"x\"");
    let proof = prefixed(&other);
    let headers = [("x-github-event", "push"), ("x-hub-signature-256", proof.as_str())];
    assert_eq!(code(&format!("{url}github"), &headers, other).await, 200);
    assert_eq!(code(&format!("{url}github"), &headers, PUSH).await, 401);
}

#[tokio::test]
async fn hooks_are_off_without_a_secret_and_bounded_with_one() {
    assert_eq!(code(&format!("{}github", serving(None).await), &[], PUSH).await, 403);
    let url = serving(Some(SECRET)).await;
    assert_eq!(code(&format!("{url}svn"), &[], PUSH).await, 404);
    for size in [LARGEST + 1, 20 * LARGEST] {
        assert_eq!(code(&format!("{url}github"), &[], vec![b' '; size]).await, 413);
    }
    assert_eq!(code(&format!("{url}github"), &[], vec![b' '; LARGEST]).await, 401);
    let proof = format!("sha256={}", signature("{"));
    let headers = [("x-github-event", "push"), ("x-hub-signature-256", proof.as_str())];
    assert_eq!(code(&format!("{url}github"), &headers, "{").await, 400);
}

#[tokio::test]
async fn a_form_is_taken_too() {
    let url = format!("{}github", serving(Some(SECRET)).await);
    let form = |payload: &str| {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", payload)
            .finish()
    };
    for (payload, expected) in [(PUSH, 202), ("{", 400)] {
        let body = form(payload);
        let proof = format!("sha256={}", signature(&body));
        let headers = [
            ("x-github-event", "push"),
            ("x-hub-signature-256", proof.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        assert_eq!(code(&url, &headers, body).await, expected);
    }
}

#[test]
fn the_ways_to_a_repository_are_one_address() {
    let url = "https://git.example.com/team/config";
    let says = |way: &str| is_of_repository(&json!({"project": [{"any": way}]}), url);
    for way in [
        "https://bot@GIT.example.com:8443/team/config.git",
        "ssh://git@git.example.com:2222/team/config.git",
        "git@git.example.com:team/config.git",
        "git://git.example.com/team/config/",
    ] {
        assert!(says(way), "{way}");
        assert!(is_of_repository(&json!([url]), way), "{way}");
    }
    for other in [
        "https://git.example.com/team/config2",
        "https://git.example.com/team/Config",
        "https://git.example.org/team/config",
        "https://git.example.com/",
        "/team/config",
        "team/config",
        "",
    ] {
        assert!(!says(other), "{other}");
    }
}

#[test]
fn a_repository_of_this_machine_has_an_address_too() {
    let payload = json!({"repository": {"clone_url": "file:///srv/git/config.git"}});
    for url in ["file:///srv/git/config.git", "file:///srv/git/config", "/srv/git/config.git"] {
        assert!(is_of_repository(&payload, url), "{url}");
    }
    assert!(!is_of_repository(&payload, "file:///srv/git/other.git"));
    assert!(!is_of_repository(&payload, "https://h.example/srv/git/config.git"));
}

#[test]
fn every_host_names_its_branch_and_repository() {
    let url = "https://h.example/t/c.git";
    for payload in [
        json!({"ref": "refs/heads/main", "repository": {"clone_url": "https://h.example/t/c.git"}}),
        json!({"ref": "refs/heads/main", "project": {"git_ssh_url": "git@h.example:t/c.git"}}),
        json!({"push": {"changes": [{"new": {"type": "branch", "name": "main"}}]},
            "repository": {"links": {"html": {"href": "https://h.example/t/c"}}}}),
        json!({"changes": [{"ref": {"id": "refs/heads/main"}}],
            "repository": {"links": {"clone": [{"href": "ssh://git@h.example:7999/t/c.git"}]}}}),
    ] {
        for (branch, is_it) in [
            ("main", true),
            ("refs/heads/main", true),
            ("mai", false),
            ("heads/main", false),
            ("refs/heads/refs/heads/main", false),
        ] {
            assert_eq!(is_to_branch(&payload, branch), is_it, "{branch}: {payload}");
        }
        assert!(is_of_repository(&payload, url), "{payload}");
        assert!(!is_of_repository(&payload, "https://h.example/t/other"), "{payload}");
    }
    let tag = json!({"ref": "refs/tags/main", "push": {"changes": [{"new": null}]}});
    assert!(!is_to_branch(&tag, "main"));
}
