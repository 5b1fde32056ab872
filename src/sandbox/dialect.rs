//! How each dialect says that a call succeeded, or did not.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::options::{Dialect, OnExisting, OnMissing, Options};
use super::refusal::Refusal;

/// A whole answer, always JSON.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    retry_after: Option<u64>,
}

impl Answer {
    /// Answers a JSON value.
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self { status, body: Bytes::from(body.to_string()), retry_after: None }
    }

    /// Answers JSON that is text already.
    pub(super) fn entries(body: Bytes) -> Self {
        Self { status: StatusCode::OK, body, retry_after: None }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut response = (self.status, [json], self.body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// How the deployment to the workers ended that a write asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deployed {
    /// It was done.
    Done,
    /// It failed: the write is saved all the same.
    Failed,
    /// The connection is not for the workers.
    NotAsked,
}

const ENVIRONMENT: &str = "production";
const POD: &str = "sandbox-worker-0";

impl Dialect {
    /// Answers connections.
    pub(super) fn entries(self, entries: &[Value]) -> Bytes {
        let count = entries.len();
        let body = match self {
            Self::Current => {
                json!({"status": "SUCCESS", "resultList": entries, "resultCount": count})
            }
            Self::Older => json!({"success": true, "resultList": entries, "resultCount": count}),
        };
        Bytes::from(body.to_string())
    }

    /// Answers a write.
    pub(super) fn written(self, deployed: Deployed) -> Answer {
        let success = deployed != Deployed::Failed;
        let message = match deployed {
            Deployed::Failed => "Worker did not answer",
            Deployed::Done | Deployed::NotAsked => "Deployed",
        };
        let body = match (self, deployed) {
            (Self::Current, Deployed::NotAsked) => json!({"status": "SUCCESS"}),
            (Self::Older, Deployed::NotAsked) => json!({"success": true}),
            (Self::Current, _) => json!({
                "status": "SUCCESS",
                "deploymentResult": {
                    "success": success,
                    "envName": ENVIRONMENT,
                    "podName": null,
                    "detail": message,
                    "detailList": [{
                        "success": success,
                        "envName": ENVIRONMENT,
                        "podName": POD,
                        "detail": message,
                    }],
                },
            }),
            (Self::Older, _) => json!({
                "success": true,
                "deploymentResult": {
                    "success": success,
                    "deploymentResults": [{
                        "environmentName": ENVIRONMENT,
                        "success": success,
                        "message": message,
                    }],
                },
            }),
        };
        Answer::json(StatusCode::OK, &body)
    }

    /// Answers a call that is not carried out.
    pub(super) fn refused(self, refusal: &Refusal) -> Answer {
        let (status, code, text) = refusal.told(self);
        let mut body = match self {
            Self::Current => json!({"status": "FAILURE", "resultMessage": text}),
            Self::Older => json!({"error": code, "error_description": text}),
        };
        if let (Self::Older, Refusal::Invalid(problems)) = (self, refusal) {
            body["validation_errors"] = problems
                .iter()
                .map(|(field, message)| json!({"field": field, "message": message}))
                .collect::<Value>();
        }
        let is_limit = status == StatusCode::TOO_MANY_REQUESTS;
        if is_limit && self == Self::Older {
            body["retry_after"] = json!(1);
        }
        let retry_after = (is_limit && self == Self::Current).then_some(1);
        Answer { retry_after, ..Answer::json(status, &body) }
    }
}

impl Options {
    /// Answers a call that is not carried out: in the words of the dialect, with the status
    /// that an option may have changed.
    pub(super) fn refused(&self, refusal: &Refusal) -> Answer {
        let mut answer = self.dialect.refused(refusal);
        let status = match refusal {
            Refusal::NoProject { .. } | Refusal::NoConnection { .. } => {
                self.answers.missing.map(|missing| match missing {
                    OnMissing::NotFound => StatusCode::NOT_FOUND,
                    OnMissing::BadRequest => StatusCode::BAD_REQUEST,
                })
            }
            Refusal::AlreadyExists(_) if self.on_existing() == OnExisting::Conflict => {
                Some(StatusCode::CONFLICT)
            }
            _ => None,
        };
        if let Some(status) = status {
            answer.status = status;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(body: &[u8]) -> Value {
        serde_json::from_slice(body).expect("JSON")
    }

    #[test]
    fn entries_are_counted() {
        let body = Dialect::Current.entries(&[json!({"a": 1}), json!({"b": 2})]);
        assert_eq!(
            value(&body),
            json!({"status": "SUCCESS", "resultList": [{"a": 1}, {"b": 2}], "resultCount": 2})
        );
        let body = Dialect::Older.entries(&[]);
        assert_eq!(value(&body), json!({"success": true, "resultList": [], "resultCount": 0}));
    }

    #[test]
    fn a_failed_deployment_is_a_saved_write() {
        let answer = Dialect::Older.written(Deployed::Failed);
        assert_eq!(answer.status, StatusCode::OK);
        let body = value(&answer.body);
        assert_eq!(body["success"], true);
        assert_eq!(body["deploymentResult"]["success"], false);
        assert_eq!(body["deploymentResult"]["deploymentResults"][0]["success"], false);
        let body = value(&Dialect::Current.written(Deployed::Failed).body);
        assert_eq!(body["status"], "SUCCESS");
        assert_eq!(body["deploymentResult"]["detailList"][0]["podName"], POD);
    }
}
