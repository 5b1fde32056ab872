//! Every answer in both dialects, and what no dialect has.

use super::*;

#[tokio::test]
async fn calls_go_out_as_documented() {
    let server = Server::start(|seen, _| match (seen.method.as_str(), seen.path.contains('?')) {
        ("GET", true) => Reply::json(200, &json!({"success": true, "resultList": []})),
        ("GET", false) => Reply::json(
            200,
            &json!({"success": true, "resultList": [{"type": "email", "name": "Ä %2F?#;."}]}),
        ),
        _ => Reply::json(200, &json!({"success": true})),
    })
    .await;
    let url = format!("{}/manager/", server.url);
    let client = client_with(settings(&url, given("static-token")), &Redactor::default());
    let name = ConnectionName::new("ä %2F?#;.");
    client.list("linux-script").await.unwrap();
    client.get(&name).await.unwrap().unwrap();
    assert_eq!(client.create(&name, &body()).await.unwrap(), Deployment::Done);
    client.update(&name, &body()).await.unwrap();
    client.delete(&name).await.unwrap();

    let connections = "/manager/apiops/projects/My%20Project/connections/";
    let one = format!("{connections}%C3%A4%20%252F%3F%23%3B./");
    let sent: Vec<(String, String)> =
        server.seen().iter().map(|seen| (seen.method.clone(), seen.path.clone())).collect();
    let expected = [
        ("GET", format!("{connections}?type=linux-script")),
        ("GET", one.clone()),
        ("POST", one.clone()),
        ("PUT", one.clone()),
        ("DELETE", one),
    ];
    assert_eq!(sent, expected.map(|(method, path)| (method.to_owned(), path)));
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), Some("Bearer static-token"));
        assert_eq!(seen.header("user-agent"), Some(USER_AGENT));
    }
    let put = &server.seen()[3];
    assert_eq!(put.header("content-type"), Some("application/json"));
    assert_eq!(serde_json::from_str::<Value>(&put.body).unwrap(), *body().expose());
}

#[tokio::test]
async fn a_complete_list_is_taken_in_either_dialect() {
    let entries =
        json!([{"type": "email", "name": "a", "id": "1"}, {"type": "email", "name": "b"}]);
    for answer in [
        json!({"success": true, "resultList": entries, "resultCount": 2, "new": {}}),
        json!({"status": "SUCCESS", "resultList": entries, "resultCount": 2}),
        json!({"status": "SUCCESS", "resultList": entries}),
    ] {
        assert_eq!(listed(200, &answer).await.unwrap().len(), 2, "{answer}");
    }
    for answer in [
        json!({"success": true}),
        json!({"status": "SUCCESS", "resultCount": 0}),
        json!({"success": true, "resultList": null, "resultCount": null}),
        json!({"success": true, "resultList": [], "resultCount": 0}),
    ] {
        assert_eq!(listed(200, &answer).await.unwrap().len(), 0, "{answer}");
    }
}

#[tokio::test]
async fn a_list_that_does_not_add_up_is_broken() {
    let one = json!({"type": "email", "name": "a"});
    for (answer, expected) in [
        (json!({"success": true, "resultList": [one], "resultCount": 2}), "`resultCount` is 2"),
        (json!({"success": true, "resultCount": 2}), "no `resultList`"),
        (json!({"success": true, "resultCount": -1}), "no number"),
        (json!({"success": true, "resultList": [one, {"name": "b"}]}), "entry 2"),
        (json!({"success": true, "resultList": [{"type": "email", "name": ""}]}), "entry 1"),
        (json!({"success": true, "resultList": [{"type": "ldap", "name": "x"}]}), "type `ldap`"),
        (json!({"success": true, "resultList": ["a"]}), "not of the API's form"),
        (json!({"success": true, "resultList": {}}), "not of the API's form"),
        (json!({"resultList": [one]}), "neither `success` nor `status`"),
        (json!([one]), "not of the API's form"),
    ] {
        let error = listed(200, &answer).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::BrokenAnswer, "{answer}: {error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = listed(206, &json!({"success": true, "resultList": [one]})).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::BrokenAnswer, "{error}");
}

#[tokio::test]
async fn an_unknown_type_is_unsupported_and_an_unknown_project_is_not() {
    for answer in [
        json!({"error": "invalid_parameter", "error_description": "type is not supported"}),
        json!({"status": "FAILURE", "resultMessage": "Connection type (email) is not valid!"}),
    ] {
        let (_server, client) = saying(400, &answer).await;
        assert!(matches!(client.list("email").await, Ok(Listed::Unsupported)), "{answer}");
    }
    for (status, answer) in [
        (400, json!({"status": "FAILURE", "resultMessage": "Project (My Project) is not found!"})),
        (
            404,
            json!({"error": "not_found", "error_description":
            "Project (name: connection) was not found or user does not have privilege on it"}),
        ),
    ] {
        assert_eq!(listed(status, &answer).await.unwrap_err().kind, ErrorKind::NoProject);
        let (_server, client) = saying(status, &answer).await;
        assert_eq!(client.get(&orders()).await.unwrap_err().kind, ErrorKind::NoProject);
        assert_eq!(client.delete(&orders()).await.unwrap_err().kind, ErrorKind::NoProject);
    }
}

#[tokio::test]
async fn one_connection_is_found_only_under_its_name() {
    let found = |entries: Value| json!({"status": "SUCCESS", "resultList": entries});
    let (_server, client) = saying(200, &found(json!([{"type": "email", "name": "ORDERS"}]))).await;
    assert_eq!(client.get(&orders()).await.unwrap().unwrap().name.as_str(), "ORDERS");
    for answer in [
        found(json!([{"type": "email", "name": "other"}])),
        found(json!([{"type": "email", "name": "orders"}, {"type": "email", "name": "b"}])),
        found(json!([])),
        json!({"success": true}),
        json!({"success": true, "resultList": [{"type": "email", "name": "orders"}], "resultCount": 2}),
    ] {
        let (_server, client) = saying(200, &answer).await;
        let error = client.get(&orders()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::BrokenAnswer, "{answer}: {error}");
    }
}

#[tokio::test]
async fn only_words_about_the_connection_prove_that_it_is_absent() {
    let text = "Connection (name: project x) was not found!";
    for (status, answer) in [
        (404, json!({"error": "not_found", "error_description": text})),
        (400, json!({"status": "FAILURE", "resultMessage": text})),
        (404, json!({"error": "not_found", "error_description": "The connection is not found"})),
        (
            400,
            json!({"status": "FAILURE", "resultMessage": "Connection (permission-db) was not found!"}),
        ),
        (200, json!({"status": "FAILURE", "resultMessage": text})),
    ] {
        let (_server, client) = saying(status, &answer).await;
        assert!(client.get(&orders()).await.unwrap().is_none(), "{answer}");
        for result in [client.delete(&orders()).await, client.update(&orders(), &body()).await] {
            assert_eq!(result.unwrap_err().kind, ErrorKind::NotFound, "{answer}");
        }
    }
    for (status, answer) in [
        (404, json!({"timestamp": "x", "status": 404, "error": "Not Found", "path": "/apiops"})),
        (404, json!({"message": "no Route matched with those values"})),
        (
            400,
            json!({"status": "FAILURE", "resultMessage": "Key store of connection x was not found"}),
        ),
        (
            400,
            json!({"status": "FAILURE", "resultMessage": "Connection to the worker was not found: w1"}),
        ),
        (200, json!({"status": "FAILURE", "resultMessage": "Connection pool x not found"})),
        (404, json!("not found")),
    ] {
        let (server, client) = saying(status, &answer).await;
        assert_eq!(client.get(&orders()).await.unwrap_err().kind, ErrorKind::Refused, "{answer}");
        assert_eq!(server.seen().len(), 1, "final");
    }
}

#[tokio::test]
async fn refusals_keep_their_class_and_words() {
    use ErrorKind::{AlreadyExists, Forbidden, Refused};
    for (status, answer, kind, words) in [
        (
            400,
            json!({"error": "bad_request", "error_description": "connection already exists"}),
            AlreadyExists,
            "connection already exists (bad_request)",
        ),
        (409, json!({"status": "FAILURE", "resultMessage": "taken"}), AlreadyExists, "taken"),
        (
            400,
            json!({"error": "validation_error", "error_description": "invalid",
            "validation_errors": [{"field": "host", "message": "must not be empty"}]}),
            Refused,
            "invalid; host: must not be empty (validation_error)",
        ),
        (400, json!({"status": "FAILURE", "resultMessage": "no"}), Refused, "answered 400: no"),
        (403, json!({"status": "FAILURE", "resultMessage": "no"}), Forbidden, "answered 403: no"),
        (
            404,
            json!({"error": "not_found", "error_description":
            "Connection (name: a) was not found or user does not have privilege on it"}),
            Forbidden,
            "Connection (name: a) was not found or user does not have privilege on it (not_found)",
        ),
        (200, json!({"success": false, "error": "x"}), Refused, "a failure: x"),
        (200, json!({"success": true, "status": "FAILURE"}), Refused, "does not say why"),
        (
            200,
            json!({"status": "FAILURE", "resultMessage": "n", "resultList": ["a"]}),
            Refused,
            "n",
        ),
    ] {
        let (server, client) = saying(status, &answer).await;
        let error = client.create(&orders(), &body()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{answer}: {error}");
        assert!(error.to_string().starts_with("POST connection `orders`: "), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(server.seen().len(), 1, "final");
    }
}

#[tokio::test]
async fn a_write_tells_of_its_deployment() {
    for answer in [
        json!({"success": true, "deploymentResult": {"success": false, "deploymentResults":
            [{"environmentName": "prod", "success": false, "message": "no worker for s3cret"}]}}),
        json!({"status": "SUCCESS", "deploymentResult": {"success": false, "envName": "prod",
            "detail": "no worker for s3cret", "detailList": []}}),
    ] {
        let server = Server::start(move |_, _| Reply::json(200, &answer)).await;
        let redactor = Redactor::default();
        redactor.learn("s3cret");
        let client = client_with(settings(&server.url, given("static-token")), &redactor);
        let expected = vec!["environment prod: no worker for (sensitive)".to_owned()];
        assert_eq!(client.update(&orders(), &body()).await.unwrap(), Deployment::Failed(expected));
    }
    let server = Server::start(|_, _| Reply::with(204, "", b"")).await;
    assert_eq!(client(&server).delete(&orders()).await.unwrap(), Deployment::Done);
}
