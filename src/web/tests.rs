use super::*;
use std::net::SocketAddr;

async fn serving(token: Option<&str>, is_loopback: bool) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let board = Board::default();
    let site = Site {
        trigger: Trigger::new(board.clone()),
        board,
        token: token.map(|token| Sensitive::new(token.to_owned())),
        hooks: None,
        is_loopback,
        metrics: None,
    };
    let shutdown = CancellationToken::new();
    tokio::spawn(serve(listener, site, shutdown.clone()));
    (address, shutdown)
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
    assert_eq!(linked.len(), 2);
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
