//! The status as JSON. Fields are only added, never changed.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{SourceStatus, Status, TargetStatus};
use crate::name::CommitId;
use crate::plan::ConnectionState;

/// The body of `/api/v1/status`.
pub(super) fn of(status: &Status) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "source": source(&status.source),
        "targets": status.targets.iter().map(|one| target(one)).collect::<Vec<_>>(),
    })
}

fn source(source: &SourceStatus) -> Value {
    let commit = source.commit.as_ref();
    let mut object = Map::new();
    let location = if source.is_url { "url" } else { "path" };
    object.insert(location.to_owned(), json!(source.location));
    object.insert("branch".to_owned(), json!(source.branch));
    if source.worktree {
        object.insert("worktree".to_owned(), json!(true));
    }
    object.insert("commit".to_owned(), id(commit.map(|commit| &commit.id)));
    object.insert("subject".to_owned(), json!(commit.map(|commit| &commit.subject)));
    object.insert("author".to_owned(), json!(commit.map(|commit| &commit.author)));
    object.insert("time".to_owned(), seconds(commit.map(|commit| commit.time)));
    object.insert("fetched_at".to_owned(), moment(source.fetched_at));
    object.insert("error".to_owned(), json!(source.error));
    Value::Object(object)
}

fn target(target: &TargetStatus) -> Value {
    json!({
        "name": target.name,
        "project": target.project,
        "url": target.url,
        "state": target.state.as_str(),
        "suspended": target.suspended,
        "commit_seen": id(target.commit_seen.as_ref().map(|commit| &commit.id)),
        "commit_applied": id(target.commit_applied.as_ref().map(|commit| &commit.id)),
        "last_reconcile": moment(target.last_reconcile),
        "next_reconcile": moment(target.next_reconcile),
        "error": target.error,
        "notices": target.notices,
        "connections": target.connections.iter().map(connection).collect::<Vec<_>>(),
        "history": target.history.iter().map(|entry| json!({
            "time": moment(Some(entry.time)),
            "cause": entry.cause.as_str(),
            "commit": id(entry.commit.as_ref()),
            "outcome": entry.outcome.as_str(),
            "counts": entry.counts,
            "error": entry.error,
            "duration": entry.duration.as_secs_f64(),
        })).collect::<Vec<_>>(),
    })
}

fn connection(connection: &ConnectionState) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), json!(connection.type_name));
    object.insert("name".to_owned(), json!(connection.name.as_str()));
    object.insert("state".to_owned(), json!(connection.state.as_str()));
    object.insert("reason".to_owned(), json!(connection.reason));
    object.insert("last_change".to_owned(), seconds(connection.last_change));
    if connection.unverified {
        object.insert("unverified".to_owned(), json!(true));
    }
    Value::Object(object)
}

fn id(commit: Option<&CommitId>) -> Value {
    json!(commit.map(|commit| &commit.0))
}

/// A moment as RFC 3339 to the second, which is all that anybody reads.
fn moment(time: Option<Timestamp>) -> Value {
    seconds(time.map(Timestamp::as_second))
}

fn seconds(seconds: Option<i64>) -> Value {
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    json!(time.map(|time| time.to_string()))
}
