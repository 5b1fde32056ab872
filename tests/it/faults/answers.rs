//! The faults of single calls, and the answers that they give.

use apinizer_gitops::testing::sandbox::Dialect;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};

use super::Call;

/// One thing that goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: the fault that comes behind it in the script strikes a later call.
    Nothing,
    /// 500, and nothing was done.
    Error,
    /// 500, and all was done.
    LateError,
    /// 503, and nothing was done.
    Unavailable,
    /// 429 with the seconds to wait, and nothing was done.
    RateLimited { after: u64 },
    /// 401, and nothing was done.
    Unauthorized,
    /// 403, and nothing was done.
    Forbidden,
    /// 200 with a failure inside, and nothing was done.
    Failure,
    /// 200 with success and nothing else, and nothing was done.
    BareSuccess,
    /// This JSON answer, and nothing was done.
    Answer { status: StatusCode, body: String, retry_after: Option<String> },
    /// The connection breaks before anything was done.
    Reset,
    /// All was done, and the connection breaks without an answer.
    Lost,
    /// All was done, and the connection breaks in the middle of the answer.
    Truncated,
    /// A page of a proxy with this status, and nothing was done.
    Html(StatusCode),
    /// A page of a proxy with status 502, and all was done.
    LateHtml,
    /// The answer takes so many milliseconds longer.
    Slow(u64),
    /// A list lacks its last entry, and counts it all the same.
    ShortList,
    /// The last entry of a list has no name.
    NoName,
    /// A list lacks the entry of this name, and counts only the others.
    Unlisted(String),
    /// A list shows the entry of this name twice.
    ListedTwice(String),
    /// A write is saved, and its deployment fails.
    Undeployed,
}

impl Fault {
    /// Whether the fault can strike this call.
    pub(super) fn strikes(&self, call: &Call) -> bool {
        match self {
            Self::ShortList | Self::NoName | Self::Unlisted(_) | Self::ListedTwice(_) => {
                call.path.contains("/connections/?")
            }
            Self::Undeployed => call.method != Method::GET && !call.is_token(),
            Self::Unauthorized | Self::Forbidden => !call.is_token(),
            _ => true,
        }
    }

    /// The answer to a call that is not carried out; `None`: it is.
    pub(super) fn instead(&self, dialect: Dialect) -> Option<Response> {
        let refused = |status, code| refused(dialect, status, code);
        Some(match self {
            Self::Reset => broken(),
            Self::Html(status) => page(*status),
            Self::Answer { status, body, retry_after } => {
                let mut response = answer(*status, body.clone());
                if let Some(after) = retry_after {
                    response
                        .headers_mut()
                        .insert(RETRY_AFTER, HeaderValue::from_str(after).unwrap());
                }
                response
            }
            Self::Failure => match dialect {
                Dialect::Current => refused(StatusCode::OK, ""),
                Dialect::Older => answer(StatusCode::OK, json!({"success": false}).to_string()),
            },
            Self::BareSuccess => answer(
                StatusCode::OK,
                match dialect {
                    Dialect::Current => json!({"status": "SUCCESS"}).to_string(),
                    Dialect::Older => json!({"success": true}).to_string(),
                },
            ),
            Self::Error => refused(StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
            Self::Unavailable => refused(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable"),
            Self::Unauthorized => refused(StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Forbidden => refused(StatusCode::FORBIDDEN, "access_denied"),
            Self::RateLimited { after } => {
                let code = "rate_limit_exceeded";
                let mut body = refusal(dialect, code);
                if dialect == Dialect::Older {
                    body["retry_after"] = json!(after);
                }
                let mut response = answer(StatusCode::TOO_MANY_REQUESTS, body.to_string());
                if dialect == Dialect::Current {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*after));
                }
                response
            }
            _ => return None,
        })
    }

    /// The rest of the answer to a call that was carried out.
    pub(super) async fn spoil(&self, dialect: Dialect, response: Response) -> Response {
        match self {
            Self::Lost => broken(),
            Self::Truncated => cut(response).await,
            Self::LateHtml => page(StatusCode::BAD_GATEWAY),
            Self::LateError => {
                refused(dialect, StatusCode::INTERNAL_SERVER_ERROR, "internal_error")
            }
            Self::ShortList => with_list(response, true, |list| drop(list.pop())).await,
            Self::NoName => {
                let forget = |last: &mut Value| last.as_object_mut().unwrap().shift_remove("name");
                with_list(response, true, |list| drop(list.last_mut().map(forget))).await
            }
            Self::Unlisted(name) => {
                with_list(response, false, |list| list.retain(|entry| !is_of(entry, name))).await
            }
            Self::ListedTwice(name) => {
                let again = |list: &mut Vec<Value>| {
                    list.extend(list.clone().into_iter().filter(|entry| is_of(entry, name)));
                };
                with_list(response, false, again).await
            }
            Self::Undeployed => {
                changed(response, |body| undeploy(&mut body["deploymentResult"])).await
            }
            _ => response,
        }
    }
}

fn is_of(entry: &Value, name: &str) -> bool {
    entry["name"].as_str().is_some_and(|of| of.eq_ignore_ascii_case(name))
}

/// Lets a deployment fail, and the one of each pod or environment in it.
fn undeploy(deployment: &mut Value) {
    let Some(deployment) = deployment.as_object_mut() else { return };
    for (key, value) in deployment {
        match value {
            Value::Bool(success) => *success = false,
            Value::Array(inner) => inner.iter_mut().for_each(undeploy),
            Value::String(text) if key == "detail" || key == "message" => {
                *text = "Worker did not answer".to_owned();
            }
            _ => {}
        }
    }
}

fn refusal(dialect: Dialect, code: &str) -> Value {
    let text = "Something went wrong!";
    match dialect {
        Dialect::Current => json!({"status": "FAILURE", "resultMessage": text}),
        Dialect::Older => json!({"error": code, "error_description": text}),
    }
}

fn refused(dialect: Dialect, status: StatusCode, code: &str) -> Response {
    answer(status, refusal(dialect, code).to_string())
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn page(status: StatusCode) -> Response {
    let text = format!("<html><head><title>{status}</title></head></html>\r\n");
    (status, [(CONTENT_TYPE, "text/html")], text).into_response()
}

fn reset() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset)
}

/// A body that fails before its first byte takes the headers with it: they are still in the
/// server's buffer when it drops the connection.
pub(super) fn broken() -> Response {
    Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(reset()) })))
}

/// Half of the body, then the connection breaks.
async fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let halves = stream::unfold(Some(half), |left| async move {
        let half = left?;
        if half.is_empty() {
            // The server sends its buffer when the body makes it wait, and forgets it when the
            // body fails at once.
            tokio::task::yield_now().await;
            return Some((Err(reset()), None));
        }
        Some((Ok(half), Some(Bytes::new())))
    });
    Response::from_parts(parts, Body::from_stream(halves))
}

async fn changed(response: Response, change: impl FnOnce(&mut Value)) -> Response {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        return Response::from_parts(parts, Body::from(body));
    };
    change(&mut value);
    answer(parts.status, value.to_string())
}

/// Changes the `resultList` of an answer; with a `lie` its count stays, and is 1 where the list
/// was empty.
async fn with_list(
    response: Response,
    lie: bool,
    change: impl FnOnce(&mut Vec<Value>),
) -> Response {
    changed(response, |body| {
        let Some(list) = body.get_mut("resultList").and_then(Value::as_array_mut) else { return };
        let before = list.len();
        change(list);
        let count = if lie { before.max(1) } else { list.len() };
        body["resultCount"] = json!(count);
    })
    .await
}
