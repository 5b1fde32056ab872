//! Credentials: one renewal, by one task, and no token in any text.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn empty_list() -> Reply {
    Reply::json(200, &json!({"success": true, "resultList": []}))
}

fn refused() -> Reply {
    Reply::json(401, &json!({"error": "token_expired"}))
}

/// Gives out the tokens `token-1`, `token-2` and so on, and takes only those that `valid` allows.
async fn issuing(lifetime: u64, valid: impl Fn(&str) -> bool + Send + Sync + 'static) -> Server {
    let issued = AtomicUsize::new(0);
    Server::start(move |seen, _| {
        if seen.is_token_request() {
            let number = issued.fetch_add(1, Ordering::Relaxed) + 1;
            let token = format!("token-{number}");
            let answer =
                json!({"access_token": token, "token_type": "bearer", "expires_in": lifetime});
            return Reply::json(200, &answer);
        }
        let token = seen.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
        if token.is_some_and(&valid) { empty_list() } else { refused() }
    })
    .await
}

fn asking(server: &Server) -> Client {
    client_with(settings(&server.url, asked()), &Redactor::default())
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept() {
    let server = issuing(3600, |token| token == "token-1").await;
    let client = asking(&server);
    let calls = (0..20).map(|_| client.list("email"));
    for result in futures_util::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!((server.calls(), server.token_requests()), (20, 1));
    let request = &server.seen()[0];
    assert_eq!(
        request.body,
        "grant_type=client_credentials&client_id=user%40example%2Ecom&client_secret=p%26ss%20w%25rd"
    );
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn a_refused_token_is_renewed_by_one_task_for_all() {
    let server = issuing(3600, |token| token != "token-1").await;
    let client = asking(&server);
    let calls = (0..20).map(|_| client.list("email"));
    for result in futures_util::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(server.token_requests(), 2);
    assert!(server.calls() <= 40);
}

#[tokio::test]
async fn a_second_401_is_final_and_stops_the_run() {
    let server = issuing(3600, |_| false).await;
    let client = asking(&server);
    let error = client.create(&orders(), &body()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert!(error.message.contains("token_expired"), "{error}");
    assert_eq!((server.calls(), server.token_requests()), (2, 2));
    assert_eq!(client.list("email").await.unwrap_err().kind, ErrorKind::Unauthorized);
    assert_eq!((server.calls(), server.token_requests()), (2, 2), "nothing more is sent");
    let next = client.with_retries(Retries::new(quick(), CancellationToken::new()));
    next.list("email").await.unwrap_err();
    assert!(server.calls() > 2, "the next reconcile asks again");
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end() {
    tokio::time::pause();
    let server = issuing(100, |_| true).await;
    tokio::time::resume();
    let client = asking(&server);
    client.list("email").await.unwrap();
    client.list("email").await.unwrap();
    assert_eq!(server.token_requests(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(91)).await;
    tokio::time::resume();
    client.list("email").await.unwrap();
    assert_eq!(server.token_requests(), 2);
}

#[tokio::test]
async fn a_token_at_hand_is_used_on_while_it_cannot_be_renewed() {
    tokio::time::pause();
    let server = Server::start(|seen, before| match (seen.is_token_request(), before) {
        (true, 0) => Reply::json(200, &json!({"access_token": "t", "expires_in": 100})),
        (true, _) => Reply::json(503, &json!({})),
        (false, _) => empty_list(),
    })
    .await;
    tokio::time::resume();
    let client = asking(&server);
    client.list("email").await.unwrap();
    let later = |seconds| async move {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    later(91).await;
    client.list("email").await.unwrap();
    later(10).await;
    let error = client.list("email").await.unwrap_err();
    assert!(error.message.contains("token request"), "it has ended now: {error}");
}

#[tokio::test]
async fn a_refused_static_token_is_final_at_once() {
    let server = Server::start(|_, _| {
        Reply::json(
            401,
            &json!({"error": "invalid_token", "error_description": "bad static-token"}),
        )
    })
    .await;
    let client = client(&server);
    let error = client.list("email").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert_eq!(server.calls(), 1);
    let text = format!("{error} {error:?}");
    assert!(!text.contains("static-token"), "{text}");
}

#[tokio::test]
async fn refused_client_credentials_are_final() {
    for status in [400, 401] {
        let server = Server::start(move |_, _| {
            Reply::json(
                status,
                &json!({"error": "unauthorized_client",
                "error_description": "no client with p&ss w%rd"}),
            )
        })
        .await;
        let client = asking(&server);
        let error = client.get(&orders()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unauthorized);
        assert!(error.to_string().contains("`orders`: token request: "), "{error}");
        assert!(!error.to_string().contains("p&ss"), "{error}");
        assert_eq!((server.calls(), server.token_requests()), (0, 1));
    }
}

#[tokio::test]
async fn a_token_request_that_fails_in_passing_is_made_again() {
    let server = Server::start(|seen, before| match (seen.is_token_request(), before) {
        (true, 0) => Reply::json(500, &json!({})),
        (true, _) => Reply::json(200, &json!({"access_token": "t"})),
        (false, _) => Reply::json(200, &json!({"success": true})),
    })
    .await;
    let client = asking(&server);
    client.create(&orders(), &body()).await.unwrap();
    assert_eq!((server.calls(), server.token_requests()), (1, 2));
}

#[tokio::test]
async fn a_write_without_a_token_was_surely_not_done() {
    let server = Server::start(|_, _| Reply::json(200, &json!({"token": "s3cret"}))).await;
    let client = asking(&server);
    let error = client.create(&orders(), &body()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(!error.may_have_been_done());
    assert!(error.message.contains("no `access_token`"), "{error}");
    assert!(!error.to_string().contains("s3cret"));
    assert_eq!(server.calls(), 0);
}

#[test]
fn a_token_that_no_header_takes_is_refused_without_an_echo() {
    let made = Client::new(
        settings("http://h", given("a\nb")),
        Redactor::default(),
        &SharedClients::default(),
    );
    let error = made.err().unwrap().to_string();
    assert!(error.contains("line break") && !error.contains("a\nb"), "{error}");
}
