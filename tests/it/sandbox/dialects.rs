use super::*;
use crate::world::without_types;
use apinizer_gitops::testing::sandbox::{OnExisting, OnMissing};

#[tokio::test]
async fn success_has_the_shape_of_the_dialect() {
    let current = Trial::current().await;
    let written = current.create(&email("orders")).await;
    assert_eq!(written["status"], "SUCCESS");
    assert_eq!(written["deploymentResult"]["success"], true);
    assert_eq!(written["deploymentResult"]["detailList"][0]["envName"], "production");

    let older = Trial::older().await;
    let written = older.create(&email("orders")).await;
    assert_eq!(written["success"], true);
    let deployments = &written["deploymentResult"]["deploymentResults"];
    assert_eq!(deployments[0]["environmentName"], "production");

    let path = "/apiops/projects/demo/connections/?type=email";
    let (_, list) = current.call("GET", path, None).await;
    assert_eq!((&list["status"], &list["resultCount"]), (&json!("SUCCESS"), &json!(1)));
    let (_, list) = older.call("GET", path, None).await;
    assert_eq!((&list["success"], &list["resultCount"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn not_found_is_404_or_400_by_dialect_and_call() {
    let older = Trial::older().await;
    let current = Trial::current().await;
    let body = email("none");
    for (method, sent, older_status) in
        [("GET", None, 404), ("PUT", Some(&body), 400), ("DELETE", None, 400)]
    {
        let (status, answer) = older.call(method, &one("none"), sent).await;
        assert_eq!(status.as_u16(), older_status, "{method}");
        assert_eq!(answer["error"], "not_found");
        assert_eq!(answer["error_description"], "Connection (name: none) was not found!");
        let (status, answer) = current.call(method, &one("none"), sent).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{method}");
        assert_eq!(answer["status"], "FAILURE");
        assert_eq!(answer["resultMessage"], "Connection (name: none) was not found!");
    }
    for path in
        ["/apiops/projects/Demo/connections/?type=email", "/apiops/projects/x/connections/a/"]
    {
        let (status, answer) = older.call("GET", path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "project names are case-sensitive");
        assert!(answer["error_description"].as_str().unwrap().contains("was not found"));
        let (status, answer) = current.call("GET", path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["resultMessage"].as_str().unwrap().contains("is not found"));
    }
}

#[tokio::test]
async fn a_list_needs_a_type_that_the_server_knows() {
    let options = without_types(&["snmp"]);
    let older = Trial::of(options.clone().in_dialect(Dialect::Older)).await;
    let current = Trial::of(options).await;
    for query in ["", "?type=", "?type=ops-genie", "?type=Email", "?type=snmp"] {
        let path = format!("/apiops/projects/demo/connections/{query}");
        let (status, answer) = older.call("GET", &path, None).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_parameter"))
        );
        let (status, answer) = current.call("GET", &path, None).await;
        assert_eq!((status, &answer["status"]), (StatusCode::BAD_REQUEST, &json!("FAILURE")));
    }
    let path = "/apiops/projects/demo/connections/?type=snmp";
    let (_, answer) = current.call("GET", path, None).await;
    assert_eq!(answer["resultMessage"], "Connection type (snmp) is not valid!");
    for known in apinizer_gitops::testing::catalog::all().filter(|known| known.name != "snmp") {
        assert_eq!(current.list(known.name).await, json!([]));
    }
}

#[tokio::test]
async fn a_create_on_an_existing_name_updates_or_is_refused() {
    let mut changed = email("Orders");
    changed["port"] = json!(25);
    let current = Trial::current().await;
    current.create(&email("orders")).await;
    let id = current.running.control().id("demo", "orders");
    current.create(&changed).await;
    assert_eq!(current.stored("orders"), Some(changed.clone()));
    assert_eq!(current.running.control().id("demo", "orders"), id);

    let older = Trial::older().await;
    older.create(&email("orders")).await;
    let (status, answer) = older.call("POST", &one("Orders"), Some(&changed)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error_description"].as_str().unwrap().contains("already exists"));
    assert_eq!(older.stored("orders"), Some(email("orders")));

    older.running.control().alter(|options| options.profile.existing = Some(OnExisting::Conflict));
    let (status, _) = older.call("POST", &one("orders"), Some(&changed)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    // Each dialect also with the other's way.
    older.running.control().alter(|options| options.profile.existing = Some(OnExisting::Update));
    older.create(&changed).await;
    assert_eq!(older.stored("orders"), Some(changed));
}

#[tokio::test]
async fn paths_are_exact() {
    let trial = Trial::current().await;
    trial.create(&email("orders")).await;
    for path in [
        "/apiops/projects/demo/connections?type=email",
        "/apiops/projects/demo/connections/orders",
        "/apiops/projects/demo/connections//",
        "/apiops/projects//connections/orders/",
        "/apiops/projects/demo/connections/orders/x/",
        "/apiops/projects/demo/connections/%ff/",
        "/apiops/auth/token/",
        "/",
    ] {
        let (status, _) = trial.call("GET", path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    for (method, path) in [
        ("PATCH", one("orders").as_str()),
        ("POST", "/apiops/projects/demo/connections/?type=email"),
        ("POST", "/apiops/projects/demo/environmentVariables/"),
        ("GET", "/apiops/auth/token"),
    ] {
        let (status, _) = trial.call(method, path, None).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
    }
}

#[tokio::test]
async fn the_status_of_a_missing_thing_can_be_either() {
    let trial = Trial::current().await;
    trial.running.control().alter(|options| options.profile.missing = Some(OnMissing::NotFound));
    let (status, _) = trial.call("DELETE", &one("none"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let trial = Trial::older().await;
    trial.running.control().alter(|options| options.profile.missing = Some(OnMissing::BadRequest));
    let (status, _) = trial.call("GET", &one("none"), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
