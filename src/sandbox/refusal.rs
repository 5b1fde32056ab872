//! Why a call is not carried out, in the words of each dialect.

use axum::http::StatusCode;

use super::options::Dialect;

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
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_exceeded",
        _ => "internal_error",
    };
    (status, code, status.canonical_reason().unwrap_or("Failure").to_owned())
}
