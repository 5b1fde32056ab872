//! Why a call is not carried out, in the words of each dialect.

use axum::http::StatusCode;

use crate::sandbox::answer::Answer;
use crate::sandbox::options::{Dialect, OnExisting, OnMissing, Options};

/// Why a call is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Refusal {
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
    /// The token is good, and its user may not do this.
    Forbidden,
    /// The client that asks for a token is not known, or its secret is wrong.
    BadClient,
    /// A token request of another kind than client credentials.
    BadGrant,
    /// The path names no call.
    NoSuchPath,
    /// The path does not take the method.
    NoSuchMethod,
    /// Something broke inside.
    Internal,
    /// The server is not there for the moment.
    Unavailable,
    /// Too many calls.
    RateLimited { after: u64 },
    /// The data file cannot be written.
    NotSaved,
}

impl Options {
    /// Answers a call that is not carried out: in the words of the dialect, with the status
    /// that an option may have changed.
    pub(in crate::sandbox) fn refused(&self, refusal: &Refusal) -> Answer {
        let mut answer = self.dialect.refused(refusal);
        let status = match refusal {
            Refusal::NoProject { .. } | Refusal::NoConnection { .. } => {
                self.missing.map(|missing| match missing {
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

impl Refusal {
    /// The HTTP status.
    pub(super) fn status(&self, dialect: Dialect) -> StatusCode {
        match self {
            Self::NoProject { changing, .. } | Self::NoConnection { changing, .. } => match dialect
            {
                Dialect::Older if !changing => StatusCode::NOT_FOUND,
                Dialect::Older | Dialect::Current => StatusCode::BAD_REQUEST,
            },
            Self::NoType
            | Self::UnknownType(_)
            | Self::BadBody
            | Self::Invalid(_)
            | Self::NameMismatch { .. }
            | Self::AlreadyExists(_)
            | Self::TypeChanged { .. }
            | Self::BadGrant => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::BadToken | Self::ExpiredToken | Self::BadClient => {
                StatusCode::UNAUTHORIZED
            }
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Internal | Self::NotSaved => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The code of the older dialect.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NoProject { .. } | Self::NoConnection { .. } | Self::NoSuchPath => "not_found",
            Self::NoType | Self::UnknownType(_) => "invalid_parameter",
            Self::BadBody | Self::NameMismatch { .. } | Self::TypeChanged { .. } => {
                "invalid_request"
            }
            Self::Invalid(_) => "validation_error",
            Self::AlreadyExists(_) => "already_exists",
            Self::NoToken | Self::BadToken => "invalid_token",
            Self::ExpiredToken => "token_expired",
            Self::Forbidden => "access_denied",
            Self::BadClient => "unauthorized_client",
            Self::BadGrant => "unsupported_grant_type",
            Self::NoSuchMethod => "method_not_allowed",
            Self::Internal | Self::NotSaved => "internal_error",
            Self::Unavailable => "service_unavailable",
            Self::RateLimited { .. } => "rate_limit_exceeded",
        }
    }

    /// The text for people.
    pub(super) fn text(&self, dialect: Dialect) -> String {
        let current = dialect == Dialect::Current;
        match self {
            Self::NoProject { name, .. } if current => format!("Project ({name}) is not found!"),
            Self::NoProject { name, .. } => format!(
                "Project (name: {name}) was not found or user does not have privilege to access \
                 it!"
            ),
            Self::NoConnection { name, .. } => {
                format!("Connection (name: {name}) was not found!")
            }
            Self::NoType => "The parameter type is required!".to_owned(),
            Self::UnknownType(name) => format!("Connection type ({name}) is not valid!"),
            Self::BadBody => "The body has to be one JSON object!".to_owned(),
            Self::Invalid(problems) => {
                let problems: Vec<String> =
                    problems.iter().map(|(field, message)| format!("{field}: {message}")).collect();
                format!("The connection is not valid! {}", problems.join(", "))
            }
            Self::NameMismatch { path, body } => format!(
                "The name in the path ({path}) and the name in the body ({body}) do not match!"
            ),
            Self::AlreadyExists(name) => format!("Connection (name: {name}) already exists!"),
            Self::TypeChanged { name, from, to } => {
                format!("The type of connection ({name}) cannot change from {from} to {to}!")
            }
            Self::NoToken => "A bearer token is required!".to_owned(),
            Self::BadToken => "The token is not valid!".to_owned(),
            Self::ExpiredToken => "The token has expired!".to_owned(),
            Self::Forbidden => "The user may not do this!".to_owned(),
            Self::BadClient => "The client id or the client secret is not valid!".to_owned(),
            Self::BadGrant => "The grant type has to be client_credentials!".to_owned(),
            Self::NoSuchPath => "There is nothing at this path!".to_owned(),
            Self::NoSuchMethod => "This path does not take this method!".to_owned(),
            Self::Internal => "Something went wrong!".to_owned(),
            Self::Unavailable => "The service is not available!".to_owned(),
            Self::RateLimited { after } => {
                format!("Too many requests, try again in {after} seconds!")
            }
            Self::NotSaved => "The sandbox cannot write its data file!".to_owned(),
        }
    }
}
