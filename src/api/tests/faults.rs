//! Proxies, broken connections, limits: what is tried again, and what never is.

use base64::Engine as _;

use super::*;

/// 20 kB of spaces inside a list, packed.
const BOMB: &str = "H4sIAAAAAAACA+3BsQ2AIBAAwFXM107ADG5grAiFiRUPFXF317C4uxU5a22ZUUafbY/ecj7juHNEOTcAAAAAAAAAAAAAAAAAAAAAAAAAfuF6P0NEyhBATgAA";

fn ok() -> Reply {
    Reply::json(200, &json!({"success": true, "resultList": [], "resultCount": 0}))
}

fn html(status: u16) -> Reply {
    Reply::with(status, "Content-Type: text/html\r\n", b"<html><title>static-token</title></html>")
}

/// A server that fails so the first time, and works then.
async fn failing_once(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Server, Client) {
    let server = Server::start(move |_, before| if before == 0 { reply() } else { ok() }).await;
    let client = client(&server);
    (server, client)
}

#[tokio::test]
async fn passing_failures_of_reads_are_tried_again() {
    for (name, reply) in [
        ("500", (|| Reply::json(500, &json!({"error": "x"}))) as fn() -> Reply),
        ("502 html", || html(502)),
        ("200 html", || html(200)),
        ("429", || Reply::json(429, &json!({"error": "rate_limit_exceeded"}))),
        ("429 header", || Reply::with(429, "Retry-After: 0\r\n", b"")),
        ("429 body", || Reply::json(429, &json!({"retry_after": 0.01}))),
        ("503 header", || Reply::with(503, "Retry-After: 0\r\n", b"")),
        ("empty", || Reply::with(200, "", b"")),
        ("short JSON", || Reply::with(200, "", b"{\"success\": true, \"resultList\": [")),
        ("cut short", || ok().cut(5)),
        ("no answer", Reply::nothing),
        ("half a head", || ok().cut(80)),
    ] {
        let (server, client) = failing_once(reply).await;
        assert!(client.list("email").await.is_ok(), "{name}");
        assert_eq!(server.seen().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_read_ends_after_its_attempts_with_the_last_failure() {
    let (server, client) = saying(500, &json!({"error": "down"})).await;
    let error = client.list("email").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ServerError);
    assert_eq!(
        error.to_string(),
        "list of type `email`: the server answered 500: down; gave up after 3 attempts"
    );
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_write_is_sent_again_only_if_it_was_not_done() {
    for (name, reply, kind) in [
        ("500", (|| Reply::json(500, &json!({}))) as fn() -> Reply, ErrorKind::ServerError),
        ("503", || Reply::with(503, "Retry-After: 0\r\n", b""), ErrorKind::ServerError),
        ("html", || html(200), ErrorKind::BrokenAnswer),
        ("empty", || Reply::with(200, "", b""), ErrorKind::BrokenAnswer),
        ("cut short", || ok().cut(5), ErrorKind::BrokenAnswer),
        ("no answer", Reply::nothing, ErrorKind::NotHttp),
    ] {
        let (server, client) = failing_once(reply).await;
        let error = client.create(&orders(), &body()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{name}: {error}");
        assert!(error.may_have_been_done(), "{name}");
        assert_eq!(server.seen().len(), 1, "{name}");
    }
    let (server, client) = failing_once(|| Reply::json(429, &json!({"retry_after": 0}))).await;
    client.create(&orders(), &body()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_loses_a_write_at_most_once() {
    // The second request arrives on a connection that ends without an answer.
    let server = Server::start(|_, before| if before == 1 { Reply::nothing() } else { ok() }).await;
    let client = client(&server);
    client.list("email").await.unwrap();
    let error = client.update(&orders(), &body()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotHttp, "{error}");
    assert_eq!(server.seen().iter().filter(|seen| seen.method == "PUT").count(), 1);
}

#[tokio::test]
async fn html_keeps_the_meaning_of_its_status() {
    for (status, kind) in [
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::Refused),
        (500, ErrorKind::ServerError),
    ] {
        let server = Server::start(move |_, _| html(status)).await;
        let error = client(&server).get(&orders()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains("an HTML page"), "{error}");
        assert!(!error.message.contains("title"), "{error}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read() {
    let bomb = base64::engine::general_purpose::STANDARD.decode(BOMB).unwrap();
    let packed =
        Server::start(move |_, _| Reply::with(200, "Content-Encoding: gzip\r\n", &bomb)).await;
    let plain = Server::start(|_, _| Reply::with(200, "", &[b' '; LIMIT as usize + 1])).await;
    for server in [packed, plain] {
        let error = client(&server).list("email").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
        assert!(error.message.contains("`max_response` of 4096 bytes"), "{error}");
        assert_eq!(server.seen().len(), 1, "the next answer would be as large");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::start(|_, _| ok()).await;
    let location = format!("Location: {}/x?token=abc\r\n", other.url);
    let server = Server::start(move |_, _| Reply::with(302, &location, b"")).await;
    let error = client(&server).list("email").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("points to http://127.0.0.1"), "{error}");
    assert!(!error.message.contains("abc"), "{error}");
    assert!(other.seen().is_empty());
    let server = Server::start(|_, _| Reply::with(304, "", b"")).await;
    let error = client(&server).list("email").await.unwrap_err();
    assert!(!error.message.contains("another address"), "{error}");
}

#[tokio::test]
async fn secrets_in_a_servers_words_are_replaced() {
    let said = "no host for \"s3cret\" in czNjcmV0 of static-token\n\u{1b}[31m";
    for reply in [
        Reply::json(400, &json!({"status": "FAILURE", "resultMessage": said})),
        Reply::json(400, &json!({"error": said, "validation_errors": [{"field": said}]})),
        Reply::json(200, &json!({"success": false, "message": said})),
        Reply::with(400, "Content-Type: text/plain\r\n", said.as_bytes()),
        Reply::json(200, &json!({"success": true, "resultList": said})),
    ] {
        let reply = parking_lot::Mutex::new(Some(reply));
        let server =
            Server::start(move |_, _| reply.lock().take().unwrap_or_else(Reply::nothing)).await;
        let redactor = Redactor::default();
        redactor.learn("s3cret");
        let client = client_with(settings(&server.url, given("static-token")), &redactor);
        let once = RetryPolicy { attempts: 1, ..quick() };
        let client = client.with_retries(Retries::new(once, CancellationToken::new()));
        let error = client.list("email").await.unwrap_err();
        let text = format!("{error} {error:?}");
        for secret in ["s3cret", "czNjcmV0", "static-token", "\u{1b}"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn an_address_without_a_listener_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = client_with(settings(&url, given("static-token")), &Redactor::default());
    let error = client.create(&orders(), &body()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoServer);
    assert!(error.message.contains("connection refused"), "{error}");
}

#[tokio::test]
async fn a_port_that_speaks_tls_is_told_as_such() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1000]).await;
            let _ = stream.write_all(&[0x15, 3, 1, 0, 2, 2, 0x46]).await;
        }
    });
    let client = client_with(settings(&url, given("static-token")), &Redactor::default());
    let error = client.create(&orders(), &body()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotHttp);
    assert!(error.message.contains("should its URL be https?"), "{error}");
    // nginx says so in HTML.
    let page = b"<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>";
    let reply = || Reply::with(400, "Content-Type: text/html\r\n", page);
    let server = Server::start(move |_, _| reply()).await;
    let error = self::client(&server).list("email").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("should its URL be https?"), "{error}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_unreachable() {
    let client =
        client_with(settings("http://h.invalid", given("static-token")), &Redactor::default());
    let error = client.list("email").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoServer);
    assert!(error.message.contains("DNS lookup of h.invalid failed"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_silent_loses_the_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut settings = settings(&url, given("static-token"));
    settings.timeout = Duration::from_millis(50);
    let client = client_with(settings, &Redactor::default());
    let error = client.update(&orders(), &body()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AnswerLost);
    assert!(error.message.contains("did not answer within 50ms"), "{error}");
}

#[tokio::test]
async fn a_long_pause_stops_the_other_calls_too() {
    let server = Server::start(|_, _| Reply::with(429, "Retry-After: 3600\r\n", b"")).await;
    let client = client(&server);
    let first = client.list("email").await.unwrap_err();
    assert!(first.to_string().contains("too long to wait for"), "{first}");
    let second = client.list("ldap").await.unwrap_err();
    assert_eq!(second.kind, ErrorKind::RateLimited);
    assert!(second.message.contains("not sent"), "{second}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_end_of_the_run_ends_the_retries() {
    let server = Server::start(|_, _| Reply::with(429, "Retry-After: 50\r\n", b"")).await;
    let ending = CancellationToken::new();
    let client = client(&server).with_retries(Retries::new(quick(), ending.clone()));
    let call = client.list("email");
    let (result, ()) = tokio::join!(call, async {
        while server.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ending.cancel();
    });
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited, "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_write_that_would_not_be_over_in_time_waits_for_more_time_or_is_not_sent() {
    let server = Server::start(|_, _| ok()).await;
    let in_seconds = |seconds| tokio::time::Instant::now() + Duration::from_secs(seconds);
    // A call may take 20 s.
    let (limit, mover) = WriteLimit::at(in_seconds(19));
    let retries = Retries::new(quick(), CancellationToken::new()).within(limit);
    let client = client(&server).with_retries(retries);
    let more_time = async {
        mover.wanted().await;
        assert_eq!(server.seen().len(), 0);
        mover.move_to(in_seconds(60));
    };
    let (orders, body) = (orders(), body());
    tokio::join!(client.update(&orders, &body), more_time).0.unwrap();
    assert_eq!(server.seen().len(), 1);
    mover.move_to(in_seconds(19));
    drop(mover);
    for error in [
        client.update(&orders, &body).await.unwrap_err(),
        client.create(&orders, &body).await.unwrap_err(),
        client.delete(&orders).await.unwrap_err(),
    ] {
        assert!(error.message.contains("not sent"), "{error}");
        assert!(!error.may_have_been_done(), "{error}");
    }
    client.list("email").await.unwrap();
    assert_eq!(server.seen().len(), 2, "only what reads was sent");
}

#[tokio::test]
async fn the_end_of_the_run_ends_the_wait_of_a_write_for_more_time() {
    let server = Server::start(|_, _| ok()).await;
    let (limit, mover) = WriteLimit::at(tokio::time::Instant::now());
    let ending = CancellationToken::new();
    let client = client(&server).with_retries(Retries::new(quick(), ending.clone()).within(limit));
    let end = async {
        mover.wanted().await;
        ending.cancel();
    };
    let (orders, body) = (orders(), body());
    let error = tokio::join!(client.update(&orders, &body), end).0.unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (ErrorKind::Ending, 0), "{error}");
}

#[test]
fn a_ca_file_must_hold_certificates() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (path, problem) in [
        (file.path(), "holds no certificate"),
        (std::path::Path::new("/nowhere"), "cannot be read"),
    ] {
        let mut settings = settings("https://h", given("static-token"));
        settings.ca_file = Some(path.to_owned());
        let error = Client::new(settings, Redactor::default(), &SharedClients::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[tokio::test]
async fn every_request_is_counted_by_target_method_and_status() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let guard = metrics::set_default_local_recorder(&recorder);
    let (_server, client) = failing_once(|| Reply::json(500, &json!({}))).await;
    client.list("email").await.unwrap();
    drop(guard);
    let text = recorder.handle().render();
    for status in ["500", "200"] {
        let line = format!(
            "apinizer_gitops_api_requests_total{{target=\"test\",method=\"GET\",status=\"{status}\"}} 1"
        );
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains("apinizer_gitops_api_request_duration_seconds_count{"), "{text}");
}

#[test]
fn calls_can_be_spawned() {
    fn sendable<F: Future + Send>(_: F) {}
    let client = client_with(settings("http://h", asked()), &Redactor::default());
    let (name, body) = (orders(), body());
    sendable(client.list("email"));
    sendable(client.get(&name));
    sendable(client.create(&name, &body));
    sendable(client.update(&name, &body));
    sendable(client.delete(&name));
}
