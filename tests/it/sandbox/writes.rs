use super::*;
use crate::world::SandboxOptions as _;
use apinizer_gitops::testing::sandbox::{Fault, Mask, Names, OnMasked, Rename, UnknownFields};

#[tokio::test]
async fn a_put_replaces_the_whole_object_and_wipes_missing_fields() {
    let trial = Trial::current().await;
    trial.create(&email("orders")).await;
    let mut body = email("orders");
    body.as_object_mut().unwrap().remove("password");
    let (status, _) = trial.call("PUT", &one("orders"), Some(&body)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(trial.stored("orders"), Some(body.clone()));
    assert_eq!(trial.get("orders").await["password"], Value::Null);

    trial.running.control().put("demo", email("orders")).unwrap();
    body["password"] = Value::Null;
    trial.call("PUT", &one("orders"), Some(&body)).await;
    assert_eq!(trial.get("orders").await["password"], Value::Null);
}

#[tokio::test]
async fn names_are_one_without_regard_to_case_and_across_types() {
    let trial = Trial::older().await;
    trial.create(&email("Orders")).await;
    assert_eq!(trial.get("oRDERS").await["name"], "Orders");
    let (status, answer) = trial.call("POST", &one("ORDERS"), Some(&webhook("ORDERS"))).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("already_exists")));
    let (status, _) = trial.call("DELETE", &one("orders"), None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(trial.running.control().names("demo").is_empty());
}

#[tokio::test]
async fn names_are_percent_decoded() {
    let trial = Trial::current().await;
    let (status, _) = trial
        .call("POST", &one("m%C3%BC%C5%9Fteri%20%26%20co"), Some(&email("müşteri & co")))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(trial.running.control().names("demo"), ["müşteri & co"]);
    assert_eq!(trial.get("m%C3%BC%C5%9Fteri%20%26%20co").await["name"], "müşteri & co");
}

#[tokio::test]
async fn a_create_needs_the_same_name_in_path_and_body() {
    let trial = Trial::current().await;
    let (status, _) = trial.call("POST", &one("a"), Some(&email("b"))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(trial.running.control().names("demo").is_empty());
}

#[tokio::test]
async fn a_put_renames_and_keeps_the_id() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    trial.create(&email("old")).await;
    trial.create(&email("taken")).await;
    let id = control.id("demo", "old");
    let (status, _) = trial.call("PUT", &one("old"), Some(&email("taken"))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = trial.call("PUT", &one("old"), Some(&email("new"))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(control.names("demo"), ["new", "taken"]);
    assert_eq!(control.id("demo", "new"), id);
    let names: Vec<Value> =
        trial.list("email").await.as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["new", "taken"]);

    control.alter(|options| options.profile.rename = Some(Rename::Refused));
    let (status, _) = trial.call("PUT", &one("new"), Some(&email("newer"))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = trial.call("PUT", &one("new"), Some(&email("New"))).await;
    assert_eq!(status, StatusCode::OK, "another case is no other name");
    assert_eq!(control.names("demo"), ["New", "taken"]);
}

#[tokio::test]
async fn a_type_cannot_change() {
    for trial in [Trial::current().await, Trial::older().await] {
        trial.create(&email("orders")).await;
        let (status, _) = trial.call("PUT", &one("orders"), Some(&webhook("orders"))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let (status, _) = trial.call("POST", &one("orders"), Some(&webhook("orders"))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(trial.stored("orders"), Some(email("orders")));
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused() {
    let trial = Trial::older().await;
    for wrong in [
        json!([]),
        json!({"name": "orders"}),
        json!({"type": "ops-genie", "name": "orders"}),
        json!({"type": "email"}),
    ] {
        let (status, _) = trial.call("POST", &one("orders"), Some(&wrong)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let mut body = email("orders");
    body["port"] = json!("many");
    body["auth"] = json!("yes");
    let (status, answer) = trial.call("POST", &one("orders"), Some(&body)).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("validation_error")));
    let fields: Vec<&Value> = answer["validation_errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| &problem["field"])
        .collect();
    assert_eq!(fields, ["port", "auth"]);
    let response =
        trial.request("POST", &one("orders")).bearer_auth("any").body("{").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_failing_deployment_is_saved() {
    let trial = Trial::of(Options { fault: Some(Fault::Undeployed), ..Options::default() }).await;
    let written = trial.create(&email("orders")).await;
    assert_eq!(written["status"], "SUCCESS");
    assert_eq!(written["deploymentResult"]["success"], false);
    assert!(trial.stored("orders").is_some());
    let mut body = email("orders");
    body["deployToWorker"] = json!(false);
    let written = trial.create(&body).await;
    assert_eq!(written.get("deploymentResult"), None, "nothing was deployed");
    trial.running.control().alter(|options| options.fault = None);
    let written = trial.create(&email("orders")).await;
    assert_eq!(written["deploymentResult"]["success"], true);
}

#[tokio::test]
async fn rewritten_and_unknown_fields_do_not_stick() {
    let options = Options::with(|options| {
        let email = options.of_type("email");
        email.rewritten.insert("host".to_owned());
        email.unknown_fields = Some(UnknownFields::Dropped);
    });
    let trial = Trial::of(options).await;
    let mut body = email("orders");
    body["hots"] = json!("typo");
    trial.create(&body).await;
    let mut stored = email("orders");
    stored["host"] = json!("smtp.example.com/");
    assert_eq!(trial.stored("orders"), Some(stored));
    let refused = Some(UnknownFields::Refused);
    let control = trial.running.control();
    control.alter(|options| options.of_type("email").unknown_fields = refused);
    let (status, answer) = trial.call("PUT", &one("orders"), Some(&body)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["resultMessage"].as_str().unwrap().contains("hots"));
    let shown = trial.get("orders").await;
    let (status, _) = trial.call("PUT", &one("orders"), Some(&shown)).await;
    assert_eq!(status, StatusCode::OK, "the answer can be sent back");
}

#[tokio::test]
async fn a_hidden_field_without_a_value_is_cleared_kept_or_refused() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    let graylog = json!({
        "type": "graylog", "name": "logs", "host": "h", "tlsTrustCertChainFile": "Y2VydA==",
    });
    control.alter(|options| options.mask("graylog", "tlsTrustCertChainFile", Mask::Nothing));
    let left = || control.get("demo", "logs").unwrap()["tlsTrustCertChainFile"].clone();
    for is_null in [true, false] {
        for (on_masked, status, after) in [
            (OnMasked::Keep, StatusCode::OK, json!("Y2VydA==")),
            (OnMasked::Refuse, StatusCode::BAD_REQUEST, json!("Y2VydA==")),
            (OnMasked::Clear, StatusCode::OK, Value::Null),
        ] {
            control.put("demo", graylog.clone()).unwrap();
            control.alter(|options| {
                let own = options.of_type("graylog");
                (own.null_secret, own.omitted_secret) = (None, None);
                let said = if is_null { &mut own.null_secret } else { &mut own.omitted_secret };
                *said = Some(on_masked);
            });
            let mut body = graylog.clone();
            body["tlsTrustCertChainFile"] = Value::Null;
            if !is_null {
                body.as_object_mut().unwrap().remove("tlsTrustCertChainFile");
            }
            let (got, _) = trial.call("PUT", &one("logs"), Some(&body)).await;
            assert_eq!(got, status, "{on_masked:?} {is_null}");
            if on_masked == OnMasked::Clear && !is_null {
                assert_eq!(control.get("demo", "logs"), Some(body));
            } else {
                assert_eq!(left(), after, "{on_masked:?} {is_null}");
            }
        }
    }
}

#[tokio::test]
async fn a_name_may_exist_once_in_each_type() {
    let options = Options::with(|options| options.profile.names = Some(Names::OnceInType));
    let trial = Trial::of(options).await;
    trial.create(&email("orders")).await;
    trial.create(&webhook("orders")).await;
    let (_, both) = trial.call("GET", &one("orders"), None).await;
    assert_eq!(both["resultCount"], 2);
    let mut body = webhook("orders");
    body["timeout"] = json!(9);
    let (status, _) = trial.call("PUT", &one("orders"), Some(&body)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(trial.list("webhook").await[0]["timeout"], 9);
    assert_eq!(trial.list("email").await[0]["host"], "smtp.example.com");
    trial.call("DELETE", &one("orders"), None).await;
    assert_eq!(trial.list("email").await, json!([]));
    assert_eq!(trial.list("webhook").await[0]["name"], "orders");
}
