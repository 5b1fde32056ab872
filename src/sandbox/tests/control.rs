use super::super::Moment;
use super::*;

#[tokio::test]
async fn the_console_edits_without_a_call() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    control.put("demo", email("orders")).expect("a connection");
    assert!(control.edit("demo", "ORDERS", |body| {
        body.insert("port".to_owned(), json!(25));
    }));
    assert!(!control.edit("demo", "none", |_| {}));
    assert_eq!(trial.list("email").await[0]["port"], 25);
    assert!(control.remove("demo", "orders"));
    assert!(!control.remove("demo", "orders"));
    assert_eq!(trial.list("email").await, json!([]));
    assert!(control.put("demo", json!({"name": "a"})).is_err());
    let lines: Vec<String> = control.calls().iter().map(super::super::LoggedCall::line).collect();
    assert_eq!(lines, vec!["GET /apiops/projects/demo/connections/?type=email"; 2]);
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
    assert_eq!(calls[0].body().expect("a body").expose(), &email("a"));
    assert!(!format!("{calls:?}").contains("hunter2"));
    assert!(control.calls().is_empty());
    assert_eq!(control.call_count(), 2);
}

#[tokio::test]
async fn a_gate_holds_a_call_before_or_after_it_is_done() {
    let trial = std::sync::Arc::new(Trial::current().await);
    let control = trial.running.control().clone();
    for (moment, done) in [(Moment::Before, false), (Moment::After, true)] {
        let gate = control.gate(Some(Method::POST), "", moment);
        let caller = std::sync::Arc::clone(&trial);
        let call = tokio::spawn(async move { caller.create(&email("a")).await });
        gate.wait_for(1).await;
        assert_eq!(gate.arrived(), 1);
        assert_eq!(trial.stored("a").is_some(), done);
        trial.list("email").await;
        assert!(!call.is_finished());
        gate.open();
        call.await.expect("an answer");
        assert!(control.remove("demo", "a"));
    }
}

#[tokio::test]
async fn a_stop_opens_gates_and_frees_the_address() {
    let trial = Trial::current().await;
    let control = trial.running.control().clone();
    let address = trial.running.address();
    let gate = control.gate(None, "", Moment::Before);
    let request = trial.request("GET", &one("a")).bearer_auth("any");
    let call = tokio::spawn(request.send());
    gate.wait_for(1).await;
    trial.running.stop().await;
    assert_eq!(call.await.expect("a task").expect("an answer").status(), StatusCode::BAD_REQUEST);
    let again = Sandbox::start(Options { listen: address, ..Options::default() }).await;
    assert_eq!(again.expect("the address is free").address(), address);
}

#[tokio::test]
async fn the_surface_shows_edits_and_counts() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    trial.create(&email("orders")).await;
    let response = trial.request("GET", "/sandbox/connections").send().await.expect("an answer");
    let text = response.text().await.expect("a text");
    assert!(text.contains("smtp.example.com") && text.contains("(sensitive)"));
    assert!(!text.contains("hunter2"));

    let path = "/sandbox/connections/demo/orders";
    let patch = json!({"port": 25, "auth": null});
    let response = trial.request("PATCH", path).json(&patch).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let stored = control.get("demo", "orders").expect("a connection");
    assert_eq!((&stored["port"], stored.get("auth")), (&json!(25), None));
    let new = json!({"type": "webhook"});
    let path = "/sandbox/connections/demo/hook";
    let response = trial.request("PATCH", path).json(&new).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::CREATED);
    let response = trial.request("DELETE", path).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(control.names("demo"), ["orders"]);

    let calls: Value = trial
        .request("GET", "/sandbox/calls")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(calls["count"], 1, "only calls of the API count");
    assert_eq!(calls["calls"][0]["status"], 200);
    trial.request("DELETE", "/sandbox/calls").send().await.expect("an answer");
    assert!(control.calls().is_empty());
}

#[tokio::test]
async fn the_surface_takes_faults_and_no_web_page() {
    let trial = Trial::current().await;
    let put = |body: &'static str| trial.request("PUT", "/sandbox/faults").body(body).send();
    let wrong = put("boom=1").await.expect("an answer");
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert!(wrong.text().await.expect("a text").contains("there is no fault `boom`"));
    assert_eq!(put("error=1").await.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(trial.call("GET", &one("a"), None).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    put("").await.expect("an answer");
    assert_eq!(trial.call("GET", &one("a"), None).await.0, StatusCode::BAD_REQUEST);
    let page = trial
        .request("PUT", "/sandbox/faults")
        .header("origin", "https://example.com")
        .send()
        .await
        .expect("an answer");
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
}
