//! What a call is answered with, and how the answer can break on its way.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;

/// A whole answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    content_type: &'static str,
    retry_after: Option<String>,
}

impl Answer {
    /// Answers a JSON value.
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::json_bytes(status, Bytes::from(body.to_string()))
    }

    /// Answers JSON that is text already.
    pub(super) fn json_bytes(status: StatusCode, body: Bytes) -> Self {
        Self { status, body, content_type: "application/json", retry_after: None }
    }

    /// Answers the page of a proxy in front of the server.
    pub(super) fn html(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or("Answer");
        let page = format!(
            "<html>\r\n<head><title>{code} {reason}</title></head>\r\n<body>\r\n\
             <center><h1>{code} {reason}</h1></center>\r\n</body>\r\n</html>\r\n",
            code = status.as_u16()
        );
        Self { status, body: Bytes::from(page), content_type: "text/html", retry_after: None }
    }

    /// Adds a `Retry-After` header, or takes it away.
    pub(super) fn with_retry_after(mut self, value: Option<String>) -> Self {
        self.retry_after = value;
        self
    }
}

/// What leaves the server: an answer, less than an answer, or nothing.
#[derive(Debug)]
pub(super) enum Reply {
    /// The answer as it is.
    Whole(Answer),
    /// Half of the answer's body, then the connection breaks.
    Cut(Answer),
    /// The connection breaks without a byte.
    Broken,
}

impl Reply {
    /// The status that the client sees, if it sees one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Whole(answer) | Self::Cut(answer) => Some(answer.status.as_u16()),
            Self::Broken => None,
        }
    }

    /// The reply as the web server sends it.
    pub(super) fn into_response(self) -> Response<Body> {
        match self {
            Self::Whole(answer) => {
                let body = Body::from(answer.body.clone());
                response(&answer, body)
            }
            Self::Cut(answer) => {
                let half = answer.body.slice(..answer.body.len() / 2);
                let length = answer.body.len();
                let body = Body::from_stream(stream::unfold(Some(half), |left| async move {
                    let half = left?;
                    if half.is_empty() {
                        // The server sends what it has got when the body makes it wait, and
                        // forgets it when the body fails at once.
                        tokio::task::yield_now().await;
                        return Some((Err(broken()), None));
                    }
                    Some((Ok(half), Some(Bytes::new())))
                }));
                let mut response = response(&answer, body);
                response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
                response
            }
            // A body that fails before its first byte takes the headers with it: they are
            // still in the server's buffer when it drops the connection.
            Self::Broken => {
                Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(broken()) })))
            }
        }
    }
}

fn broken() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset)
}

fn response(answer: &Answer, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if let Some(value) = answer.retry_after.as_deref()
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(RETRY_AFTER, value);
    }
    response
}
