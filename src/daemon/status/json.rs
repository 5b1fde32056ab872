//! The status as JSON. Fields are only added, never changed.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{Answer, HistoryEntry, SourceStatus, Status, TargetStatus};
use crate::plan::Entry;
use crate::report::diagnostics::warnings_json;
use crate::source::Commit;

/// The body of `/api/v1/status`.
#[derive(Serialize)]
pub(super) struct Body {
    version: &'static str,
    source: Value,
    targets: Targets,
}

/// The targets, each made into a value when it is written: all of a fleet at once would be large.
struct Targets(Arc<Status>);

impl Serialize for Targets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.targets.iter().map(|one| target(one)))
    }
}

impl Body {
    pub(super) fn of(status: Arc<Status>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self { version, source: source(&status.source), targets: Targets(status) }
    }
}

fn source(source: &SourceStatus) -> Value {
    let commit = source.commit.as_ref();
    let place = if source.is_url { "url" } else { "path" };
    let mut json = json!({ place: source.location, "branch": source.branch });
    if source.worktree {
        json["worktree"] = json!(true);
    }
    json["commit"] = json!(id(commit));
    json["subject"] = json!(commit.map(|commit| &commit.subject));
    json["author"] = json!(commit.map(|commit| &commit.author));
    json["time"] = json!(commit.and_then(|commit| second(commit.time)));
    json["fetched_at"] = json!(source.fetched_at.and_then(to_the_second));
    json["error"] = json!(source.error);
    json
}

fn target(target: &TargetStatus) -> Value {
    let mut json = json!({
        "name": target.key.name,
        "project": target.key.project,
        "url": target.key.url,
        "state": target.state.as_str(),
        "suspended": target.suspended,
        "commit_seen": id(target.commit_seen.as_ref()),
        "commit_applied": id(target.commit_applied.as_ref()),
        "last_reconcile": target.last_reconcile.and_then(to_the_second),
        "next_reconcile": target.next_reconcile.and_then(to_the_second),
        "answered": target.answered.as_ref().map(answer),
        "error": target.trouble.error,
        "notices": target.trouble.notices,
        "warnings": warnings_json(target.trouble.diagnostics.iter()),
        "connections": target.connections.iter().map(connection).collect::<Vec<_>>(),
        "history": target.past.history.iter().map(entry).collect::<Vec<_>>(),
        "events": target.past.events,
    });
    if let Some((wait, since)) = &target.trouble.wait {
        json["waits_for"] = json!({
            "target": wait.after,
            "commit": wait.commit.0,
            "since": to_the_second(*since),
            "until": wait.until,
            "reason": wait.reason,
        });
    }
    json
}

fn answer(answer: &Answer) -> Value {
    json!({
        "request": answer.request,
        "outcome": answer.outcome.as_str(),
        "success": answer.is_success(),
        "unread": answer.unread,
    })
}

fn connection(connection: &Entry) -> Value {
    let mut json = json!({
        "type": connection.type_name,
        "name": connection.name.as_str(),
        "state": connection.state.as_str(),
        "reason": connection.reason,
        "last_change": connection.last_change.and_then(second),
    });
    if let Some(commit) = &connection.last_commit {
        json["last_commit"] =
            json!({"id": commit.id.0, "author": commit.author, "time": second(commit.time)});
    }
    if let Some(advice) = connection.advice() {
        json["advice"] = json!(advice);
    }
    if connection.unverified {
        json["unverified"] = json!(true);
    }
    json
}

fn entry(entry: &HistoryEntry) -> Value {
    json!({
        "time": to_the_second(entry.time),
        "cause": entry.cause.as_str(),
        "commit": entry.commit.as_ref().map(|id| &id.0),
        "outcome": entry.outcome.as_str(),
        "counts": entry.counts,
        "error": entry.error,
        "duration": entry.duration.as_secs_f64(),
    })
}

fn id(commit: Option<&Commit>) -> Option<&str> {
    commit.map(|commit| commit.id.0.as_str())
}

fn second(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok()
}

/// A moment without the fraction of its second.
fn to_the_second(time: Timestamp) -> Option<Timestamp> {
    second(time.as_second())
}
