//! Webhooks of git hosts: a push to the branch that is followed starts a fetch.
//!
//! Each host proves itself in its own way; the proof is checked over the raw body before any of
//! it is parsed. All that a hook can do is to cause a fetch and a reconcile, so a replay is harmless.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde_json::Value;
use strum::EnumString;

use super::{Caller, Peer, Shared};
use crate::daemon::Cause;
use crate::digest::hmac_sha256;
use crate::links::{repository_at, without_ending};
use crate::secret::Sensitive;

/// The git hosts whose webhooks are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "lowercase")]
enum GitHost {
    GitHub,
    GitLab,
    Gitea,
    Bitbucket,
}

impl GitHost {
    /// Whether the request comes from somebody who has the secret.
    fn is_proven(self, secret: &Sensitive, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name| text(headers, name);
        let signed = |signature: Option<&str>| {
            let right = Sensitive::new(hmac_sha256(secret.expose().as_bytes(), body));
            signature.is_some_and(|given| right.is(&given.to_ascii_lowercase()))
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
    State(served): Shared,
    Path(host): Path<String>,
    Extension(Peer(from)): Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(host) = host.parse::<GitHost>() else { return StatusCode::NOT_FOUND.into_response() };
    let Some(key) = &served.keys.webhook else {
        let text = "this needs `server.webhook_secret` in the config\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    };
    let body = match read_body(body).await {
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
    let Some(payload) = payload(&headers, &body) else {
        return (StatusCode::BAD_REQUEST, "the body is not JSON\n").into_response();
    };
    let status = served.site.board.status();
    let repository = served.keys.repository.as_deref();
    let is_ours = repository.is_none_or(|url| is_of_repository(&payload, url));
    let branch = status.source.branch.as_deref();
    let is_followed = branch.is_none_or(|name| is_to_branch(&payload, name));
    if !is_ours || !is_followed {
        return (StatusCode::OK, "not the repository or branch that is followed\n").into_response();
    }
    served.site.trigger.fetch_and_reconcile(Cause::Webhook(from));
    StatusCode::ACCEPTED.into_response()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The largest body that is taken.
pub(in crate::web) const LARGEST: usize = 1024 * 1024;

/// How much of a larger one is read and thrown away: a sender that is cut off in the middle sees
/// a broken connection in the place of the answer.
const MOST_THROWN_AWAY: usize = 32 * LARGEST;

/// Reads a body.
///
/// # Errors
/// It is too large, or it did not come whole.
async fn read_body(body: Body) -> Result<Bytes, (StatusCode, &'static str)> {
    let mut stream = body.into_data_stream();
    let mut taken = Vec::new();
    let mut length = 0_usize;
    while let Some(part) = stream.next().await {
        let Ok(part) = part else {
            return Err((StatusCode::BAD_REQUEST, "the body is not complete\n"));
        };
        length = length.saturating_add(part.len());
        if length > MOST_THROWN_AWAY {
            break;
        }
        if length <= LARGEST {
            taken.extend_from_slice(&part);
        }
    }
    if length > LARGEST {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB\n"));
    }
    Ok(taken.into())
}

/// The JSON of a body; GitHub and Gitea may send it as the field of a form, and GitHub does so
/// unless it is told otherwise.
fn payload(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return serde_json::from_slice(body).ok();
    }
    let (_, json) = url::form_urlencoded::parse(body).find(|(name, _)| name == "payload")?;
    serde_json::from_str(&json).ok()
}

/// Whether a push is to this branch, which the config may have as its short or its whole name.
fn is_to_branch(payload: &Value, branch: &str) -> bool {
    let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    let full = format!("refs/heads/{branch}");
    if payload["ref"].as_str() == Some(&full) {
        return true;
    }
    // Bitbucket tells of several changes at once, its cloud and its server in different words.
    let cloud = payload["push"]["changes"].as_array().into_iter().flatten().any(|change| {
        let new = &change["new"];
        new["type"] == "branch" && new["name"].as_str() == Some(branch)
    });
    let server = payload["changes"].as_array().into_iter().flatten();
    cloud || server.into_iter().any(|change| change["ref"]["id"].as_str() == Some(&full))
}

/// Whether any URL of the payload is this one; hosts put theirs in many places.
fn is_of_repository(payload: &Value, url: &str) -> bool {
    address(url).is_some_and(|wanted| names(payload, &wanted))
}

fn names(value: &Value, wanted: &(String, String)) -> bool {
    match value {
        Value::String(text) => address(text).as_ref() == Some(wanted),
        Value::Array(values) => values.iter().any(|value| names(value, wanted)),
        Value::Object(map) => map.values().any(|value| names(value, wanted)),
        _ => false,
    }
}

/// Host and path of a repository, of which one on this machine has no host: without scheme, user, port and
/// `.git`, which differ between the ways to one repository.
fn address(url: &str) -> Option<(String, String)> {
    let here = url.strip_prefix("file://").or_else(|| url.starts_with('/').then_some(url));
    let (host, path) = match here {
        Some(path) => (String::new(), without_ending(path).to_owned()),
        None => repository_at(url).map(|(host, _, path)| (host, path))?,
    };
    (!path.is_empty()).then_some((host, path))
}

#[cfg(test)]
mod tests;
