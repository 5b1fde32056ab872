use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::listen::MOST_CONNECTIONS;
use super::*;
use crate::config::SecretText;
use crate::environment::Environment;

pub(super) fn key(secret: &str) -> AccessKey {
    let environment = Environment::new([("KEY".to_owned(), secret.to_owned())]);
    AccessKey::new(SecretText("${env:KEY}".to_owned()), &environment).unwrap()
}

fn site() -> Site {
    let board = Board::default();
    let (trigger, events) = Trigger::channel(&[], true);
    // A daemon that does not end.
    std::mem::forget(events);
    Site { trigger, board, metrics: None }
}

fn keys(token: Option<&str>) -> AccessKeys {
    AccessKeys { token: token.map(key), ..AccessKeys::default() }
}

async fn serving(token: Option<&str>, is_loopback: bool) -> (SocketAddr, CancellationToken) {
    // A listener on all addresses is not loopback, and reached over it all the same.
    let address = if is_loopback { "127.0.0.1:0" } else { "0.0.0.0:0" };
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ending = CancellationToken::new();
    tokio::spawn(listen::serve(listener, site(), keys(token), ending.clone(), ending.clone()));
    (SocketAddr::from(([127, 0, 0, 1], port)), ending)
}

async fn code(method: &str, address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let method = method.parse().unwrap();
    let mut request = client.request(method, format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn reading_is_open_on_this_machine_and_changing_never_is() {
    let (address, _shutdown) = serving(Some("t0ken"), true).await;
    assert_eq!(code("GET", address, "/api/v1/status", &[]).await, 200);
    assert_eq!(code("GET", address, "/healthz", &[]).await, 200);
    assert_eq!(code("GET", address, "/readyz", &[]).await, 503);
    for path in ["/api/v1/reconcile", "/api/v1/suspend", "/api/v1/resume"] {
        assert_eq!(code("POST", address, path, &[]).await, 401);
        let wrong = [("authorization", "Bearer wrong")];
        assert_eq!(code("POST", address, path, &wrong).await, 401);
        let right = [("authorization", "Bearer t0ken")];
        assert_eq!(code("POST", address, path, &right).await, 202);
    }
}

#[tokio::test]
async fn a_mistyped_parameter_is_refused_and_means_no_target() {
    let (address, _shutdown) = serving(Some("t0ken"), true).await;
    let post =
        async |path: &str| code("POST", address, path, &[("authorization", "Bearer t0ken")]).await;
    for verb in ["reconcile", "suspend", "resume"] {
        assert_eq!(post(&format!("/api/v1/{verb}?traget=x")).await, 400, "{verb}");
        assert_eq!(post(&format!("/api/v1/{verb}?target=x&dry=1")).await, 400, "{verb}");
        assert_eq!(post(&format!("/api/v1/{verb}?target=x")).await, 404, "{verb}");
        assert_eq!(post(&format!("/api/v1/{verb}")).await, 202, "{verb}");
    }
}

#[tokio::test]
async fn without_a_token_nothing_can_be_changed() {
    let (address, _shutdown) = serving(None, true).await;
    let guess = [("authorization", "Bearer x")];
    assert_eq!(code("POST", address, "/api/v1/reconcile", &guess).await, 403);
}

#[tokio::test]
async fn elsewhere_reading_needs_the_token_and_probes_do_not() {
    let (address, _shutdown) = serving(Some("t0ken"), false).await;
    assert_eq!(code("GET", address, "/api/v1/status", &[]).await, 401);
    assert_eq!(code("GET", address, "/healthz", &[]).await, 200);
    let basic = [("authorization", "Basic YW55Ym9keTp0MGtlbg==")];
    assert_eq!(code("GET", address, "/api/v1/status", &basic).await, 200);
    assert_eq!(code("POST", address, "/api/v1/reconcile", &basic).await, 401);
}

#[tokio::test]
async fn a_foreign_host_is_refused_on_this_machine() {
    let (address, _shutdown) = serving(None, true).await;
    assert_eq!(code("GET", address, "/api/v1/status", &[("host", "evil.example.com")]).await, 403);
    assert_eq!(code("GET", address, "/api/v1/status", &[("host", "localhost:1")]).await, 200);
    assert_eq!(code("GET", address, "/api/v1/status", &[("host", "[::1]")]).await, 200);
}

#[tokio::test]
async fn the_page_needs_nothing_but_its_own_files_and_shows_no_token() {
    let (address, _shutdown) = serving(Some("token-canary"), true).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: String| client.get(format!("http://{address}{path}")).send();
    let page = get("/?q=x".to_owned()).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    assert_eq!(page.headers()["cache-control"], "no-store");
    let text = page.text().await.unwrap();
    assert!(!text.contains("token-canary") && !text.contains("http://"));
    let linked = text.split('"').filter(|part| part.starts_with("/static/"));
    let linked: Vec<_> = linked.map(str::to_owned).collect();
    assert_eq!(linked.len(), 3);
    for path in linked {
        assert_eq!(get(path).await.unwrap().status(), 200);
    }
    assert_eq!(get("/fragment".to_owned()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn events_end_with_the_daemon() {
    let (address, shutdown) = serving(None, true).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut answer = client.get(format!("http://{address}/events")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let event = answer.chunk().await.unwrap().unwrap();
    assert!(event.starts_with(b"event: changed"));
    shutdown.cancel();
    while answer.chunk().await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let (address, _shutdown) = serving(None, true).await;
    for begun in ["", "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        // The clock stands still but for the waits, so this takes no time.
        tokio::time::pause();
        let asked = tokio::time::Instant::now();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(60), "held until the end of its life");
        tokio::time::resume();
        assert!(!said.starts_with(b"HTTP/1.1 2"), "{begun}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let keys = AccessKeys { webhook: Some(key("s")), ..AccessKeys::default() };
    tokio::spawn(listen::serve(listener, site(), keys, Default::default(), Default::default()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::pause();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn a_head_is_bounded() {
    let (address, _shutdown) = serving(None, true).await;
    let long = "x".repeat(20_000);
    assert_eq!(code("GET", address, "/healthz", &[("x-long", &long)]).await, 431);
    let names: Vec<String> = (0..70).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(code("GET", address, "/healthz", &many).await, 431);
}

#[tokio::test]
async fn connections_are_bounded_and_the_oldest_makes_room() {
    let (address, _shutdown) = serving(None, true).await;
    let mut held = Vec::new();
    for _ in 0..MOST_CONNECTIONS {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(code("GET", address, "/healthz", &[]).await, 200);
    let mut ended = async |at: usize| {
        let read = held[at].read_u8();
        tokio::time::timeout(Duration::from_millis(300), read).await.is_ok()
    };
    assert!(ended(0).await, "the oldest");
    assert!(!ended(1).await, "no other");
}

#[tokio::test]
async fn bodies_that_do_not_come_leave_room_for_a_probe() {
    let (address, _shutdown) = serving(Some("t0ken"), true).await;
    let mut held = Vec::new();
    for _ in 0..MOST_CONNECTIONS + 9 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        held.push(stream);
    }
    assert_eq!(code("GET", address, "/healthz", &[]).await, 200);
}

#[tokio::test]
async fn a_new_config_moves_the_listener_and_changes_the_token() {
    let shutdown = CancellationToken::new();
    let listener = Listener::new(site(), shutdown.clone());
    let any = Some("127.0.0.1:0".parse().unwrap());
    let first = listener.serve(any, keys(Some("old"))).unwrap().unwrap();
    let order = |address, token: &'static str| async move {
        code("POST", address, "/api/v1/reconcile", &[("authorization", token)]).await
    };
    assert_eq!(order(first, "Bearer old").await, 202);
    // The same address is kept, with other keys.
    assert_eq!(listener.serve(any, keys(Some("new"))).unwrap(), None);
    for _ in 0..20 {
        if order(first, "Bearer old").await == 401 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(order(first, "Bearer old").await, 401);
    assert_eq!(order(first, "Bearer new").await, 202);
    // Another one that cannot be bound leaves all as it was.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert!(listener.serve(Some(taken.local_addr().unwrap()), keys(None)).is_err());
    assert_eq!(order(first, "Bearer new").await, 202);
    let free = taken.local_addr().unwrap();
    drop(taken);
    assert_eq!(listener.serve(Some(free), keys(Some("new"))).unwrap(), Some(free));
    assert_eq!(order(free, "Bearer new").await, 202);
    listener.serve(None, AccessKeys::default()).unwrap();
    shutdown.cancel();
    listener.ended().await;
    assert!(TcpStream::connect(free).await.is_err() && TcpStream::connect(first).await.is_err());
}

#[tokio::test]
async fn a_mounted_token_rotates() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "one\n").unwrap();
    let name = ("T_FILE".to_owned(), file.display().to_string());
    let key = AccessKey::new(SecretText("${env:T}".to_owned()), &Environment::new([name])).unwrap();
    assert!(key.is("one") && !key.is("two"));
    std::fs::write(&file, "two\n").unwrap();
    assert!(key.is("two") && !key.is("one"));
    std::fs::write(&file, "").unwrap();
    assert!(!key.is("") && !key.is("two"));
}
