use super::*;
use apinizer_gitops::testing::sandbox::Fault;

#[tokio::test]
async fn the_console_edits_without_a_call() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    control.put("demo", email("orders")).unwrap();
    assert!(control.edit("demo", "ORDERS", |body| {
        body.insert("port".to_owned(), json!(25));
    }));
    assert!(!control.edit("demo", "none", |_| {}));
    assert_eq!(trial.list("email").await[0]["port"], 25);
    assert!(control.remove("demo", "orders"));
    assert!(!control.remove("demo", "orders"));
    assert_eq!(trial.list("email").await, json!([]));
    assert!(control.put("demo", json!({"name": "a"})).is_none());
    let lines = control.calls().into_iter().map(|call| format!("{} {}", call.method, call.path));
    let lines: Vec<String> = lines.collect();
    assert_eq!(lines, vec!["GET /apiops/projects/demo/connections/?type=email"; 2]);
}

#[tokio::test]
async fn an_edit_takes_no_name_from_another_connection() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    for name in ["orders", "bills"] {
        control.put("demo", email(name)).unwrap();
    }
    assert!(!control.edit("demo", "orders", |body| {
        body.insert("name".to_owned(), json!("bills"));
    }));
    assert_eq!(control.names("demo"), ["bills", "orders"]);
}

#[tokio::test]
async fn calls_are_kept_in_their_order_until_taken() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    trial.create(&email("a")).await;
    trial.call("DELETE", &one("b"), None).await;
    let calls = control.take_calls();
    let lines: Vec<String> = calls.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "POST /apiops/projects/demo/connections/a/ -> 200",
            "DELETE /apiops/projects/demo/connections/b/ -> 400",
        ]
    );
    assert_eq!(calls[0].body().unwrap().expose(), &email("a"));
    assert!(!format!("{calls:?}").contains("hunter2"));
    assert!(control.calls().is_empty());
    assert_eq!(control.call_count(), 2);
}

#[tokio::test]
async fn a_write_is_done_when_the_client_has_gone() {
    let latency = std::time::Duration::from_millis(400);
    let trial = Trial::of(Options { latency, ..Options::default() }).await;
    let body = email("a");
    let call = trial.send("POST", "/apiops/projects/demo/connections/a/", Some(&body));
    assert!(tokio::time::timeout(latency / 2, call).await.is_err());
    trial.list("email").await;
    trial.list("email").await;
    assert_eq!(trial.stored("a"), Some(email("a")));
}

#[tokio::test]
async fn a_stop_frees_the_address() {
    let trial = Trial::current().await;
    let address = trial.running.address();
    trial.list("email").await;
    trial.running.stop().await;
    let start = || Sandbox::start(Options { listen: address, ..Options::default() });
    let mut again = start().await;
    // A child of another test has a copy of the listener until it is a program of its own.
    for _ in 0..100 {
        if again.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            again = start().await;
        }
    }
    assert_eq!(again.unwrap().address(), address);
}

#[tokio::test]
async fn a_layer_may_answer_in_the_place_of_the_api() {
    let layers = |api: axum::Router| {
        api.layer(axum::middleware::from_fn(|_: axum::extract::Request, _| async {
            StatusCode::IM_A_TEAPOT
        }))
    };
    let running = Sandbox::start_behind(Options::default(), layers).await.unwrap();
    let trial = Trial { running, client: reqwest::Client::new() };
    let response = trial.send("GET", &one("a"), None).await.unwrap();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(trial.running.control().calls()[0].status, Some(418));
    let surface = trial.request("GET", "/sandbox/calls").send().await.unwrap();
    assert_eq!(surface.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_fault_strikes_every_call_until_it_ends() {
    let trial = Trial::current().await;
    for (fault, status) in [
        (Fault::Error, StatusCode::INTERNAL_SERVER_ERROR),
        (Fault::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
        (Fault::Unauthorized, StatusCode::UNAUTHORIZED),
    ] {
        trial.running.control().alter(|options| options.fault = Some(fault));
        assert_eq!(trial.call("POST", &one("a"), Some(&email("a"))).await.0, status);
        assert_eq!(trial.stored("a"), None);
    }
    trial.running.control().alter(|options| options.fault = None);
    trial.create(&email("a")).await;
}

#[tokio::test]
async fn the_surface_shows_edits_and_counts() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    trial.create(&email("orders")).await;
    let response = trial.request("GET", "/sandbox/connections").send().await.unwrap();
    let text = response.text().await.unwrap();
    assert!(text.contains("smtp.example.com") && text.contains("(sensitive)"));
    assert!(!text.contains("hunter2"));

    let path = "/sandbox/connections/demo/orders";
    let patch = json!({"port": 25, "auth": null});
    let response = trial.request("PATCH", path).json(&patch).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let stored = control.get("demo", "orders").unwrap();
    assert_eq!((&stored["port"], stored.get("auth")), (&json!(25), None));
    let new = json!({"type": "webhook"});
    let path = "/sandbox/connections/demo/hook";
    let response = trial.request("PATCH", path).json(&new).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let response = trial.request("DELETE", path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(control.names("demo"), ["orders"]);

    let calls: Value =
        trial.request("GET", "/sandbox/calls").send().await.unwrap().json().await.unwrap();
    assert_eq!(calls["count"], 1, "only calls of the API count");
    assert_eq!(calls["calls"][0]["status"], 200);
    trial.request("DELETE", "/sandbox/calls").send().await.unwrap();
    assert!(control.calls().is_empty());
}

#[tokio::test]
async fn the_surface_takes_faults_and_no_web_page() {
    let trial = Trial::current().await;
    let put = |body: &'static str| trial.request("PUT", "/sandbox/fault").body(body).send();
    let wrong = put("boom").await.unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert!(wrong.text().await.unwrap().contains("boom"));
    assert_eq!(put("error").await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(trial.call("GET", &one("a"), None).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    put("").await.unwrap();
    assert_eq!(trial.call("GET", &one("a"), None).await.0, StatusCode::BAD_REQUEST);
    let page = trial
        .request("PUT", "/sandbox/fault")
        .header("origin", "https://example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
}
