//! Webhooks of git hosts: a push to the branch that is followed starts a fetch.
//!
//! Each host proves itself in its own way; the proof is checked over the raw body before any of
//! it is parsed. All that a hook can do is to wake the daemon, so a replay is harmless.

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Peer, Served};
use crate::daemon::Cause;
use crate::secret::Sensitive;

mod body;
mod push;

/// The git hosts whose webhooks are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    GitHub,
    GitLab,
    Gitea,
    Bitbucket,
}

impl Host {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "github" => Self::GitHub,
            "gitlab" => Self::GitLab,
            "gitea" => Self::Gitea,
            "bitbucket" => Self::Bitbucket,
            _ => return None,
        })
    }

    /// Whether the request comes from somebody who has the secret.
    fn is_proven(self, secret: &Sensitive, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name| text(headers, name);
        let signed = |signature: Option<&str>| {
            let tag = signature.and_then(from_hex);
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
            tag.is_some_and(|tag| hmac::verify(&key, body, &tag).is_ok())
        };
        let prefixed = |name| header(name).and_then(|value| value.strip_prefix("sha256="));
        match self {
            Self::GitHub => signed(prefixed("x-hub-signature-256")),
            Self::Bitbucket => signed(prefixed("x-hub-signature")),
            Self::Gitea => signed(header("x-gitea-signature")),
            Self::GitLab => header("x-gitlab-token").is_some_and(|token| secret.is(token)),
        }
    }

    /// Whether the request tells of a push; hosts tell of much else.
    fn is_push(self, headers: &HeaderMap) -> bool {
        let (name, events): (_, &[&str]) = match self {
            Self::GitHub => ("x-github-event", &["push"]),
            Self::GitLab => ("x-gitlab-event", &["Push Hook"]),
            Self::Gitea => ("x-gitea-event", &["push"]),
            Self::Bitbucket => ("x-event-key", &["repo:push", "repo:refs_changed"]),
        };
        text(headers, name).is_some_and(|event| events.contains(&event))
    }
}

/// Answers `POST /hooks/HOST`.
pub(super) async fn receive(
    State(served): State<Arc<Served>>,
    Path(host): Path<String>,
    Extension(Peer(from)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(host) = Host::named(&host) else { return StatusCode::NOT_FOUND.into_response() };
    let Some(key) = &served.keys.webhook else {
        let text = "this needs `server.webhook_secret` in the config\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    };
    let body = match body::read(body).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    if !key.value().is_some_and(|secret| host.is_proven(&secret, &headers, &body)) {
        let text = "the signature or token is missing or wrong\n";
        return (StatusCode::UNAUTHORIZED, text).into_response();
    }
    if !host.is_push(&headers) {
        return (StatusCode::OK, "not a push\n").into_response();
    }
    let Some(payload) = body::payload(&headers, &body) else {
        return (StatusCode::BAD_REQUEST, "the body is not JSON\n").into_response();
    };
    let status = served.site.board.status();
    let repository = served.keys.repository.as_deref();
    let is_ours = repository.is_none_or(|url| push::is_of_repository(&payload, url));
    let branch = status.source.branch.as_deref();
    let is_followed = branch.is_none_or(|name| push::is_to_branch(&payload, name));
    if !is_ours || !is_followed {
        return (StatusCode::OK, "not the repository or branch that is followed\n").into_response();
    }
    served.site.trigger.fetch_and_reconcile(Cause::Webhook(from));
    StatusCode::ACCEPTED.into_response()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let byte = |pair: &[u32]| {
        pair.iter().try_fold(0_u8, |byte, digit| Some(byte << 4 | u8::try_from(*digit).ok()?))
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests;
