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
    pub(super) fn entries(body: Bytes) -> Self {
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
        SandboxAnswer::json(status, &body)
    }
}

impl Options {
    /// Answers a call that is not carried out: in the words of the dialect, with the status
    /// that an option may have changed.
    pub(super) fn refused(&self, refusal: &Refusal) -> SandboxAnswer {
        let mut answer = self.dialect().refused(refusal);
        let status = match refusal {
            Refusal::NoProject { .. } | Refusal::NoConnection { .. } => {
                self.profile.missing.map(|missing| match missing {
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

// Why a call is not carried out, in the words of each dialect.

/// Why a call is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No such project.
    NoProject { name: String, changing: bool },
    /// No such connection; `changing`: the call would have changed it.
    NoConnection { name: String, changing: bool },
    /// A list that names no type.
    NoType,
    /// A type that this server does not know.
    UnknownType(String),
    /// The body is not one JSON object.
    BadBody,
    /// Fields whose values the server cannot read.
    Invalid(Vec<(String, String)>),
    /// The names in the path and in the body have to agree, and do not.
    NameMismatch { path: String, body: String },
    /// A create on a name that exists.
    AlreadyExists(String),
    /// A write that would change the type.
    TypeChanged { name: String, from: String, to: String },
    /// No bearer token came with the call.
    NoToken,
    /// The token is not one of ours.
    BadToken,
    /// The token was ours once.
    ExpiredToken,
    /// The client that asks for a token is not known, or its secret is wrong.
    BadClient,
    /// A token request of another kind than client credentials.
    BadGrant,
    /// The token may not make this call.
    NoPermission,
    /// Whatever the status says by itself.
    Other(StatusCode),
}

impl Refusal {
    /// The HTTP status, the code of the older dialect and the text for people.
    pub(super) fn told(&self, dialect: Dialect) -> (StatusCode, &'static str, String) {
        let bad = |code, text: String| (StatusCode::BAD_REQUEST, code, text);
        let unauthorized = |code, text: &str| (StatusCode::UNAUTHORIZED, code, text.to_owned());
        let missing = |changing: bool| match dialect {
            Dialect::Older if !changing => StatusCode::NOT_FOUND,
            Dialect::Older | Dialect::Current => StatusCode::BAD_REQUEST,
        };
        match self {
            Self::NoProject { name, changing } => {
                let text = no_project(dialect, name);
                (missing(*changing), "not_found", text)
            }
            Self::NoConnection { name, changing } => {
                let text = format!("Connection (name: {name}) was not found!");
                (missing(*changing), "not_found", text)
            }
            Self::NoType => bad("invalid_parameter", "The parameter type is required!".to_owned()),
            Self::UnknownType(name) => {
                bad("invalid_parameter", format!("Connection type ({name}) is not valid!"))
            }
            Self::BadBody => {
                bad("invalid_request", "The body has to be one JSON object!".to_owned())
            }
            Self::Invalid(problems) => {
                let problems: Vec<String> =
                    problems.iter().map(|(field, message)| format!("{field}: {message}")).collect();
                let text = format!("The connection is not valid! {}", problems.join(", "));
                bad("validation_error", text)
            }
            Self::NameMismatch { path, body } => bad(
                "invalid_request",
                format!("The name in the path ({path}) and in the body ({body}) do not match!"),
            ),
            Self::AlreadyExists(name) => {
                bad("already_exists", format!("Connection (name: {name}) already exists!"))
            }
            Self::TypeChanged { name, from, to } => bad(
                "invalid_request",
                format!("The type of connection ({name}) cannot change from {from} to {to}!"),
            ),
            Self::NoToken => unauthorized("invalid_token", "A bearer token is required!"),
            Self::BadToken => unauthorized("invalid_token", "The token is not valid!"),
            Self::ExpiredToken => unauthorized("token_expired", "The token has expired!"),
            Self::BadClient => unauthorized(
                "unauthorized_client",
                "The client id or the client secret is not valid!",
            ),
            Self::BadGrant => bad(
                "unsupported_grant_type",
                "The grant type has to be client_credentials!".to_owned(),
            ),
            Self::NoPermission => bad(
                "access_denied",
                "User does not have required permission for this operation!".to_owned(),
            ),
            Self::Other(status) => told_by(*status),
        }
    }
}

fn no_project(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Current => format!("Project ({name}) is not found!"),
        Dialect::Older => format!(
            "Project (name: {name}) was not found or user does not have privilege to access it!"
        ),
    }
}

fn told_by(status: StatusCode) -> (StatusCode, &'static str, String) {
    let code = match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::SERVICE_UNAVAILABLE => "service_unavailable",
        _ => "internal_error",
    };
    (status, code, status.canonical_reason().unwrap_or("Failure").to_owned())
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
