use std::time::Duration;

use super::super::{Fault, Faults};
use super::*;

const LIST: &str = "/apiops/projects/demo/connections/?type=email";

#[tokio::test]
async fn a_reset_connection_breaks_before_anything_is_done() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    control.fail_next(Some(Method::POST), "orders", Fault::Reset, 1);
    let error =
        trial.send("POST", &one("orders"), Some(&email("orders"))).await.expect_err("no answer");
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    assert_eq!(trial.stored("orders"), None);
    trial.create(&email("orders")).await;
    let lines: Vec<String> = control.take_calls().iter().map(ToString::to_string).collect();
    let line = "POST /apiops/projects/demo/connections/orders/ ->";
    assert_eq!(lines, [format!("{line} no answer (reset)"), format!("{line} 200")]);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_write_done() {
    let trial = Trial::current().await;
    trial.create(&email("other")).await;
    trial.running.control().fail_next(None, "orders", Fault::Lost, 1);
    let error =
        trial.send("POST", &one("orders"), Some(&email("orders"))).await.expect_err("no answer");
    assert!(error.is_request(), "{error:?}");
    assert_eq!(trial.stored("orders"), Some(email("orders")));
}

#[tokio::test]
async fn a_truncated_answer_breaks_in_its_middle() {
    let trial = Trial::current().await;
    for number in 0..100 {
        trial.running.control().put("demo", email(&format!("c{number}"))).expect("a connection");
    }
    trial.running.control().fail_next(None, "", Fault::Truncated, 1);
    let response = trial.send("GET", LIST, None).await.expect("the head of an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let error = response.bytes().await.expect_err("half a body");
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(trial.list("email").await.as_array().expect("a list").len(), 100);
}

#[tokio::test]
async fn errors_have_the_words_of_the_dialect() {
    let older = Trial::older().await;
    let current = Trial::current().await;
    for (fault, status, code) in [
        (Fault::Error, 500, "internal_error"),
        (Fault::LateError, 500, "internal_error"),
        (Fault::Unavailable { after: None }, 503, "service_unavailable"),
        (Fault::Forbidden, 403, "access_denied"),
        (Fault::Unauthorized, 401, "invalid_token"),
        (Fault::RateLimited { after: 7 }, 429, "rate_limit_exceeded"),
    ] {
        older.running.control().fail_next(None, "", fault.clone(), 1);
        let (got, answer) = older.call("GET", LIST, None).await;
        assert_eq!((got.as_u16(), &answer["error"]), (status, &json!(code)));
        let limited = matches!(fault, Fault::RateLimited { .. });
        assert_eq!(answer["retry_after"], if limited { json!(7) } else { Value::Null });

        current.running.control().fail_next(None, "", fault, 1);
        let response = current.send("GET", LIST, None).await.expect("an answer");
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(
            response.headers().get("retry-after").is_some_and(|after| after == "7"),
            limited
        );
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!(answer["status"], "FAILURE");
    }
}

#[tokio::test]
async fn a_late_error_leaves_the_write_done() {
    let trial = Trial::current().await;
    for (name, fault) in [("a", Fault::LateError), ("b", Fault::LateHtml)] {
        trial.running.control().fail_next(None, "", fault, 1);
        let response = trial.send("POST", &one(name), Some(&email(name))).await.expect("an answer");
        assert!(response.status().is_server_error());
        assert!(trial.stored(name).is_some());
    }
}

#[tokio::test]
async fn a_proxy_answers_with_a_page() {
    let trial = Trial::current().await;
    for status in [StatusCode::OK, StatusCode::BAD_GATEWAY] {
        trial.running.control().fail_next(None, "", Fault::Html(status), 1);
        let response = trial.send("POST", &one("a"), Some(&email("a"))).await.expect("an answer");
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["content-type"], "text/html");
        assert!(response.text().await.expect("a text").contains("<html>"));
        assert_eq!(trial.stored("a"), None);
    }
}

#[tokio::test]
async fn lists_lie_about_their_entries() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    for filled in [false, true] {
        if filled {
            control.put("demo", email("a")).expect("a connection");
            control.put("demo", email("b")).expect("a connection");
        }
        control.fail_next(None, "", Fault::ShortList, 1);
        let (_, answer) = trial.call("GET", LIST, None).await;
        let entries = answer["resultList"].as_array().expect("a list").len();
        assert_eq!(answer["resultCount"], entries + 1);
    }
    control.fail_next(None, "", Fault::NoName, 1);
    let list = trial.list("email").await;
    assert_eq!(list[0]["name"], "a");
    assert_eq!(list[1].get("name"), None);
}

#[tokio::test]
async fn a_fault_waits_for_a_call_that_it_can_strike() {
    let trial = Trial::current().await;
    trial.running.control().fail_next(None, "", Fault::Undeployed, 1);
    trial.list("email").await;
    let written = trial.create(&email("a")).await;
    assert_eq!(written["deploymentResult"]["success"], false);
    let written = trial.create(&email("a")).await;
    assert_eq!(written["deploymentResult"]["success"], true);
}

#[tokio::test]
async fn chances_strike_and_end() {
    let faults: Faults = "error@PUT=1".parse().expect("faults");
    let trial = Trial::of(Options { faults, ..Options::default() }).await;
    trial.create(&email("a")).await;
    let (status, _) = trial.call("PUT", &one("a"), Some(&email("a"))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    trial.running.control().clear_faults();
    let (status, _) = trial.call("PUT", &one("a"), Some(&email("a"))).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_write_is_done_when_the_client_has_gone() {
    let trial = Trial::current().await;
    let control = trial.running.control();
    control.fail_next(None, "", Fault::Slow(Duration::from_millis(50)), 1);
    let body = email("a");
    let call = trial.send("POST", "/apiops/projects/demo/connections/a/", Some(&body));
    assert!(tokio::time::timeout(Duration::from_millis(10), call).await.is_err());
    let gate = control.gate(None, "", super::super::Moment::After);
    gate.wait_for(1).await;
    assert_eq!(trial.stored("a"), Some(email("a")));
}

#[tokio::test]
async fn a_failure_hides_in_a_success() {
    for trial in [Trial::current().await, Trial::older().await] {
        trial.running.control().fail_next(None, "", Fault::Failure, 1);
        let (status, answer) = trial.call("POST", &one("a"), Some(&email("a"))).await;
        assert_eq!(status, StatusCode::OK);
        assert!(answer["status"] == "FAILURE" || answer["success"] == false);
        assert_eq!(trial.stored("a"), None);
    }
}

#[tokio::test]
async fn one_list_can_fail_while_others_succeed() {
    let trial = Trial::current().await;
    trial.running.control().fail_next(Some(Method::GET), "type=ftp", Fault::Error, usize::MAX);
    trial.list("email").await;
    let (status, _) = trial.call("GET", "/apiops/projects/demo/connections/?type=ftp", None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn any_answer_can_be_given() {
    let trial = Trial::current().await;
    let fault = Fault::Answer {
        status: StatusCode::TOO_MANY_REQUESTS,
        body: r#"{"status":"FAILURE"}"#.to_owned(),
        retry_after: Some("Wed, 21 Oct 2026 07:28:00 GMT".to_owned()),
    };
    trial.running.control().fail_next(None, "", fault, 1);
    let response = trial.send("GET", LIST, None).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "Wed, 21 Oct 2026 07:28:00 GMT");
    assert_eq!(response.text().await.expect("a text"), r#"{"status":"FAILURE"}"#);
    let fault = Fault::Unavailable { after: Some(3) };
    trial.running.control().fail_next(None, "", fault, 1);
    let response = trial.send("GET", LIST, None).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "3");
}
