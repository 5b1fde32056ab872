use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::config::{SecretText, TargetKey};
use crate::name::CommitId;
use crate::source::Commit;

const CANARY: &str = "c4nary-\"7/x";

/// A request to a receiver: path, headers, body.
type Got = (String, HeaderMap, String);

#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<Got>>>,
    /// The answers before all is well.
    answers: Arc<Mutex<Vec<StatusCode>>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    async fn wait_for(&self, count: usize) -> Vec<Got> {
        for _ in 0..1500 {
            let got = self.got.lock().unwrap().clone();
            if got.len() >= count {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no {count} messages came");
    }
}

async fn take(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let body = String::from_utf8(body.to_vec()).unwrap();
    receiver.got.lock().unwrap().push((uri.path().to_owned(), headers, body));
    let mut answers = receiver.answers.lock().unwrap();
    let answer = if answers.is_empty() { StatusCode::OK } else { answers.remove(0) };
    (answer, format!("said {CANARY}"))
}

fn to(kind: NotifyKind) -> Notify {
    Notify {
        kind,
        url: SecretText("${env:NOTIFY_URL}".to_owned()),
        secret: Some(SecretText("${env:NOTIFY_SECRET}".to_owned())),
        events: vec![
            NotifyEvent::Applied,
            NotifyEvent::Failed,
            NotifyEvent::Drift,
            NotifyEvent::Held,
        ],
    }
}

fn started(receiver: &Notify, url: &str) -> (Notifier, Senders) {
    let environment = Environment::new([
        ("NOTIFY_URL".to_owned(), url.to_owned()),
        ("NOTIFY_SECRET".to_owned(), "s3cret".to_owned()),
    ]);
    let redactor = Redactor::default();
    redactor.learn(CANARY);
    let mut senders = Senders::default();
    let notifier = senders.start(std::slice::from_ref(receiver), &environment, &redactor);
    (notifier, senders)
}

fn notice(event: NotifyEvent) -> Notice {
    Notice {
        event,
        target: Some(TargetKey {
            name: "prod".to_owned(),
            project: "Payments".to_owned(),
            url: "https://apinizer.example.com".to_owned(),
        }),
        source: "/srv/config".to_owned(),
        commit: Some(Commit {
            id: CommitId("3f2a91c0".repeat(5)),
            subject: format!("Add <mail> {CANARY}"),
            author: "Ada <ada@example.com>".to_owned(),
            time: 0,
        }),
        state: "failed",
        time: Timestamp::UNIX_EPOCH,
        error: (event == NotifyEvent::Failed).then(|| format!("500: bad password {CANARY}")),
        subjects: vec![NoticeSubject {
            type_name: "email".to_owned(),
            name: "orders".into(),
            what: "failed",
            why: Some(format!("400: {CANARY}")),
        }],
    }
}

fn assert_no_canary(got: &Got) {
    let escaped = json!(CANARY).to_string();
    assert!(!got.2.contains(CANARY) && !got.2.contains(escaped.trim_matches('"')), "{}", got.2);
}

#[tokio::test]
async fn a_webhook_is_signed_and_holds_no_secret() {
    let receiver = Receiver::default();
    let url = format!("{}/hook", receiver.start().await);
    let (notifier, senders) = started(&to(NotifyKind::Webhook), &url);
    notifier.tell(notice(NotifyEvent::Failed));
    let got = receiver.wait_for(1).await.remove(0);
    assert_no_canary(&got);
    assert_eq!(got.0, "/hook");
    assert_eq!(got.1["x-apinizer-gitops-event"], "failed");
    let tag = got.1["x-hub-signature-256"].to_str().unwrap().strip_prefix("sha256=").unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"s3cret");
    let right = aws_lc_rs::hmac::sign(&key, got.2.as_bytes());
    assert_eq!(tag, crate::digest::hex(right.as_ref()));
    let body: Value = serde_json::from_str(&got.2).unwrap();
    assert_eq!(body["event"], "failed");
    assert_eq!(body["target"]["project"], "Payments");
    assert_eq!(body["connections"][0]["name"], "orders");
    assert_eq!(body["error"], "500: bad password (sensitive)");
    drop(notifier);
    senders.end().await;
}

#[tokio::test]
async fn a_chat_gets_words_and_only_about_changes() {
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let (notifier, senders) = started(&to(NotifyKind::Slack), &url);
    notifier.tell(Notice { subjects: Vec::new(), ..notice(NotifyEvent::Applied) });
    notifier.tell(notice(NotifyEvent::Recovered));
    notifier.tell(notice(NotifyEvent::Failed));
    drop(notifier);
    senders.end().await;
    let got = receiver.wait_for(1).await;
    assert_eq!(got.len(), 1);
    assert_no_canary(&got[0]);
    let body: Value = serde_json::from_str(&got[0].2).unwrap();
    let text = "prod: 1 connection failed at 3f2a91c03f2a (Add &lt;mail&gt; (sensitive))\n\
                - 500: bad password (sensitive)\n- email `orders`: failed: 400: (sensitive)";
    assert_eq!(body, json!({"text": text}));
}

#[tokio::test]
async fn the_commit_gets_its_status() {
    let id = "3f2a91c0".repeat(5);
    for (kind, repository, path, header, token, event, state) in [
        (
            NotifyKind::GitHub,
            "/team/config.git",
            format!("/api/v3/repos/team/config/statuses/{id}"),
            "authorization",
            "Bearer s3cret",
            NotifyEvent::Failed,
            "failure",
        ),
        (
            NotifyKind::GitLab,
            "/group/sub/config",
            format!("/api/v4/projects/group%2Fsub%2Fconfig/statuses/{id}"),
            "private-token",
            "s3cret",
            NotifyEvent::Failed,
            "failed",
        ),
        (
            NotifyKind::Gitea,
            "/team/config/",
            format!("/api/v1/repos/team/config/statuses/{id}"),
            "authorization",
            "token s3cret",
            NotifyEvent::Held,
            "pending",
        ),
    ] {
        let receiver = Receiver::default();
        let url = format!("{}{repository}", receiver.start().await);
        let (notifier, senders) = started(&to(kind), &url);
        // Drift is nothing about a commit.
        notifier.tell(notice(NotifyEvent::Drift));
        notifier.tell(notice(event));
        notifier.tell(Notice { subjects: Vec::new(), ..notice(NotifyEvent::Applied) });
        drop(notifier);
        senders.end().await;
        let got = receiver.wait_for(2).await;
        assert_eq!(got.len(), 2);
        assert_eq!((got[0].0.as_str(), got[0].1[header].to_str().unwrap()), (path.as_str(), token));
        let [first, second] =
            [&got[0].2, &got[1].2].map(|body| serde_json::from_str::<Value>(body).unwrap());
        assert_eq!([&first["state"], &second["state"]], [state, "success"]);
        let name = if kind == NotifyKind::GitLab { "name" } else { "context" };
        assert_eq!(first[name], "apinizer-gitops/prod");
        assert!(first["description"].as_str().unwrap().chars().count() <= 140);
        got.iter().for_each(assert_no_canary);
    }
}

#[test]
fn github_itself_has_its_api_elsewhere() {
    let url = crate::secret::Sensitive::new("https://github.com/team/config".to_owned());
    let receiver = to(NotifyKind::GitHub);
    let notice = notice(NotifyEvent::Applied);
    let redactor = Redactor::default();
    let made = notice::request(&notice, &receiver, &url, None, &redactor)
        .unwrap_or_else(|e| panic!("{e}"));
    assert!(
        made.url.as_str().starts_with("https://api.github.com/repos/team/config/statuses/3f2a")
    );
    for wrong in ["https://github.com/", "https://github.com/a/b/c", "ftp://h/a/b", "x"] {
        let url = crate::secret::Sensitive::new(wrong.to_owned());
        assert!(notice::request(&notice, &receiver, &url, None, &redactor).is_err(), "{wrong}");
    }
}

#[test]
fn a_dry_run_that_recovered_is_no_success_of_its_commit() {
    let url = crate::secret::Sensitive::new("https://git.example.com/team/config".to_owned());
    let state = |state| {
        let notice = Notice { state, ..notice(NotifyEvent::Recovered) };
        let receiver = to(NotifyKind::Gitea);
        let made = notice::request(&notice, &receiver, &url, None, &Redactor::default());
        let body = made.unwrap_or_else(|problem| panic!("{problem}")).body;
        serde_json::from_str::<Value>(&body).unwrap()["state"].clone()
    };
    assert_eq!([state("pending"), state("in_sync")], ["pending", "success"]);
}

#[tokio::test]
async fn a_receiver_that_is_down_is_asked_again_and_one_that_refuses_is_not() {
    let receiver = Receiver::default();
    let busy = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
    receiver.answers.lock().unwrap().extend(busy);
    let url = receiver.start().await;
    let (notifier, _senders) = started(&to(NotifyKind::Webhook), &url);
    notifier.tell(notice(NotifyEvent::Failed));
    let got = receiver.wait_for(3).await;
    assert!(got.iter().all(|one| one.2 == got[0].2));
    receiver.answers.lock().unwrap().push(StatusCode::NOT_FOUND);
    notifier.tell(notice(NotifyEvent::Drift));
    notifier.tell(notice(NotifyEvent::Held));
    let got = receiver.wait_for(5).await;
    let events = got[3..].iter().map(|one| one.1["x-apinizer-gitops-event"].to_str().unwrap());
    assert_eq!(events.collect::<Vec<_>>(), ["drift", "held"]);
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other_and_its_queue_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (notifier, senders) = started(&to(NotifyKind::Webhook), &url);
    for _ in 0..10 * QUEUE {
        notifier.tell(notice(NotifyEvent::Failed));
    }
    assert_eq!(notifier.receivers[0].1.capacity(), 0);
    drop(notifier);
    senders.end().await;
}
