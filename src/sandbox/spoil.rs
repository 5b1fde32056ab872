//! What faults make of answers.

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::Value;

use super::answer::{Answer, Reply};
use super::dialect::Refusal;
use super::faults::Fault;
use super::options::Dialect;

/// The reply to a call that a fault keeps from being carried out.
pub(super) fn instead(dialect: Dialect, fault: &Fault) -> Reply {
    let refusal = match fault {
        Fault::Reset => return Reply::Broken,
        Fault::Html(status) => return Reply::Whole(Answer::html(*status)),
        Fault::Answer { status, body, retry_after } => {
            let answer = Answer::json_bytes(*status, Bytes::from(body.clone()));
            return Reply::Whole(answer.with_retry_after(retry_after.clone()));
        }
        Fault::Failure => return Reply::Whole(dialect.failed()),
        Fault::Unavailable { after } => {
            let answer = dialect.refused(&Refusal::Unavailable);
            return Reply::Whole(answer.with_retry_after(after.map(|after| after.to_string())));
        }
        Fault::RateLimited { after } => Refusal::RateLimited { after: *after },
        Fault::Forbidden => Refusal::Forbidden,
        Fault::Unauthorized => Refusal::BadToken,
        _ => Refusal::Internal,
    };
    Reply::Whole(dialect.refused(&refusal))
}

/// What is left of the answer to a call that was carried out.
pub(super) fn after(dialect: Dialect, fault: &Fault, answer: Answer) -> Reply {
    match fault {
        Fault::Lost => Reply::Broken,
        Fault::Truncated => Reply::Cut(answer),
        Fault::LateHtml => Reply::Whole(Answer::html(StatusCode::BAD_GATEWAY)),
        Fault::LateError => Reply::Whole(dialect.refused(&Refusal::Internal)),
        Fault::ShortList => Reply::Whole(with_list(answer, |list| {
            list.pop();
        })),
        Fault::NoName => Reply::Whole(with_list(answer, |list| {
            if let Some(Value::Object(last)) = list.last_mut() {
                last.shift_remove("name");
            }
        })),
        _ => Reply::Whole(answer),
    }
}

/// Changes the `resultList` of an answer, and nothing else: an empty list gets a count of 1.
fn with_list(mut answer: Answer, change: impl FnOnce(&mut Vec<Value>)) -> Answer {
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let Some(list) = body.get_mut("resultList").and_then(Value::as_array_mut) else {
        return answer;
    };
    let empty = list.is_empty();
    change(list);
    if empty {
        body["resultCount"] = Value::from(1);
    }
    answer.body = Bytes::from(body.to_string());
    answer
}
