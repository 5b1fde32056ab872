//! How each dialect says that a call succeeded, or did not.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::options::{Dialect, OnExisting, OnMissing, Options};

/// A whole answer, always JSON.
#[derive(Clone, Debug)]
pub(super) struct SandboxAnswer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl SandboxAnswer {
    /// Answers a JSON value.
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self { status, body: Bytes::from(body.to_string()) }
    }

    /// Answers JSON that is text already.
    pub(super) fn ok(body: Bytes) -> Self {
        Self { status: StatusCode::OK, body }
    }
}

impl IntoResponse for SandboxAnswer {
    fn into_response(self) -> Response {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (self.status, [json], self.body).into_response()
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
    /// The body that answers a list.
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
    pub(super) fn written(self, deployed: Deployed) -> SandboxAnswer {
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
        SandboxAnswer::json(StatusCode::OK, &body)
    }

    /// Answers a call that is not carried out.
    pub(super) fn refused(self, refusal: &Refusal) -> SandboxAnswer {
        let Refusal { status, code, text, fields } = refusal;
        let mut body = match self {
            Self::Current => json!({"status": "FAILURE", "resultMessage": text}),
            Self::Older => json!({"error": code, "error_description": text}),
        };
        if self == Self::Older && !fields.is_empty() {
            let told =
                |(field, message): &(String, String)| json!({"field": field, "message": message});
            body["validation_errors"] = fields.iter().map(told).collect();
        }
        SandboxAnswer::json(*status, &body)
    }
}

/// Why a call is not carried out.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// The code of the older dialect.
    code: &'static str,
    /// The text for people.
    text: String,
    /// The fields whose values the server cannot take, with what is wrong there.
    fields: Vec<(String, String)>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self { status, code, text: text.into(), fields: Vec::new() }
    }

    pub(super) fn bad(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, text)
    }

    pub(super) fn unauthorized(code: &'static str, text: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, text)
    }

    /// Of fields whose values the server cannot take.
    pub(super) fn invalid(fields: Vec<(String, String)>) -> Self {
        let problems = fields.iter().map(|(field, message)| format!("{field}: {message}"));
        let problems = problems.collect::<Vec<_>>().join(", ");
        let text = format!("The connection is not valid! {problems}");
        Self { fields, ..Self::bad("validation_error", text) }
    }

    /// Of one field.
    pub(super) fn invalid_field(field: &str, message: &str) -> Self {
        Self::invalid(vec![(field.to_owned(), message.to_owned())])
    }

    pub(super) fn unknown_type(name: &str) -> Self {
        Self::bad("invalid_parameter", format!("Connection type ({name}) is not valid!"))
    }

    /// Of a thing that is not there; `changing`: the call would have changed it.
    pub(super) fn missing(options: &Options, changing: bool, text: String) -> Self {
        let status = match (options.profile.missing, options.dialect()) {
            (Some(OnMissing::NotFound), _) => StatusCode::NOT_FOUND,
            (None, Dialect::Older) if !changing => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, "not_found", text)
    }

    /// Of a create on a name that exists.
    pub(super) fn exists(options: &Options, name: &str) -> Self {
        let status = match options.on_existing() {
            OnExisting::Conflict => StatusCode::CONFLICT,
            OnExisting::Update | OnExisting::Refuse => StatusCode::BAD_REQUEST,
        };
        Self::new(status, "already_exists", format!("Connection (name: {name}) already exists!"))
    }

    /// A refusal that says no more than its status.
    pub(super) fn by(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::SERVICE_UNAVAILABLE => "service_unavailable",
            _ => "internal_error",
        };
        Self::new(status, code, status.canonical_reason().unwrap_or("Failure"))
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
