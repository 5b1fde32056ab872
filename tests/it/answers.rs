//! Answers that a test makes up in place of the sandbox's own.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::world::{PROJECT, World};

/// A body with status 200.
pub(crate) fn answer(body: &Value) -> Fault {
    Fault::Answer { status: StatusCode::OK, body: body.to_string(), retry_after: None }
}

/// The answer of a list, or of a single read, that shows these connections.
pub(crate) fn showing(entries: &[Value]) -> Fault {
    answer(&json!({"status": "SUCCESS", "resultList": entries, "resultCount": entries.len()}))
}

/// A live connection as the server shows it, with its `id` and its secrets.
pub(crate) fn shown(world: &World, name: &str) -> Value {
    let mut body = world.live(name);
    body["id"] = json!(world.control().id(PROJECT, name).unwrap());
    body
}

/// The list of emails lacks a name this often; the name can still be read.
pub(crate) fn list_emails_without(world: &World, name: &str, times: usize) {
    let fault = Fault::Unlisted(name.to_owned());
    world.control().fail_next(Some(Method::GET), "type=email", fault, times);
}
