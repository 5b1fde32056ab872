//! The body of a webhook: read whole up to a limit, and what is in it.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt as _;
use serde_json::Value;

/// The largest body that is taken.
pub(in crate::web) const LARGEST: usize = 1024 * 1024;

/// How much of a larger one is read and thrown away: a sender that is cut off in the middle sees
/// a broken connection in the place of the answer.
const MOST_THROWN_AWAY: usize = 32 * LARGEST;

/// Reads a body.
///
/// # Errors
/// It is too large, or it did not come whole.
pub(super) async fn read(body: Body) -> Result<Bytes, (StatusCode, &'static str)> {
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
pub(super) fn payload(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return serde_json::from_slice(body).ok();
    }
    let (_, json) = url::form_urlencoded::parse(body).find(|(name, _)| name == "payload")?;
    serde_json::from_str(&json).ok()
}
