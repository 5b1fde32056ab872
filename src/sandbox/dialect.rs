//! How each dialect says that a call succeeded.

mod refusal;

use axum::http::StatusCode;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

use super::answer::Answer;
use super::options::Dialect;

pub(super) use refusal::Refusal;

/// How the deployment to the workers ended that a write asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deployed {
    /// It was done.
    Done,
    /// It failed: what was written is saved all the same.
    Failed,
    /// The connection is not for the workers.
    NotAsked,
}

const ENVIRONMENT: &str = "production";
const POD: &str = "sandbox-worker-0";

impl Dialect {
    /// Answers connections, each of them a JSON text already.
    pub(super) fn entries<'a>(self, entries: impl ExactSizeIterator<Item = &'a str>) -> Bytes {
        let count = entries.len();
        let mut body = BytesMut::with_capacity(256 + count * 512);
        body.put_slice(match self {
            Self::Current => br#"{"status":"SUCCESS","resultList":["#,
            Self::Older => br#"{"success":true,"resultList":["#,
        });
        for (index, entry) in entries.enumerate() {
            if index > 0 {
                body.put_u8(b',');
            }
            body.put_slice(entry.as_bytes());
        }
        body.put_slice(format!(r#"],"resultCount":{count}}}"#).as_bytes());
        body.freeze()
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

    /// Answers with success outside and a failure inside.
    pub(super) fn failed(self) -> Answer {
        let text = Refusal::Internal.text(self);
        let body = match self {
            Self::Current => json!({"status": "FAILURE", "resultMessage": text}),
            Self::Older => json!({"success": false, "error_description": text}),
        };
        Answer::json(StatusCode::OK, &body)
    }

    /// Answers a call that is not carried out.
    pub(super) fn refused(self, refusal: &Refusal) -> Answer {
        let text = refusal.text(self);
        let status = refusal.status(self);
        let mut body = match self {
            Self::Current => json!({"status": "FAILURE", "resultMessage": text}),
            Self::Older => json!({"error": refusal.code(), "error_description": text}),
        };
        if let (Self::Older, Refusal::Invalid(problems)) = (self, refusal) {
            body["validation_errors"] = problems
                .iter()
                .map(|(field, message)| json!({"field": field, "message": message}))
                .collect::<Value>();
        }
        match (self, refusal) {
            (Self::Older, Refusal::RateLimited { after }) => {
                body["retry_after"] = json!(after);
                Answer::json(status, &body)
            }
            (Self::Current, Refusal::RateLimited { after }) => {
                Answer::json(status, &body).with_retry_after(Some(after.to_string()))
            }
            _ => Answer::json(status, &body),
        }
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
        let body = Dialect::Current.entries([r#"{"a":1}"#, r#"{"b":2}"#].into_iter());
        assert_eq!(
            value(&body),
            json!({"status": "SUCCESS", "resultList": [{"a": 1}, {"b": 2}], "resultCount": 2})
        );
        let body = Dialect::Older.entries([].into_iter());
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
