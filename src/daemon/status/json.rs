//! The status as JSON. Fields are only added, never changed.
//!
//! It is written as it is read: a tree of values would take many times the room of its text, for
//! each reader of a project with many connections.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{HistoryEntry, SourceStatus, Status, TargetStatus};
use crate::apply::Counts;
use crate::plan::ConnectionState;
use crate::source::Commit;

/// The body of `/api/v1/status`.
pub(super) struct Body(pub(super) Arc<Status>);

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Status { source, targets } = &*self.0;
        let version = env!("CARGO_PKG_VERSION");
        All { version, source: Source::of(source), targets }.serialize(serializer)
    }
}

#[derive(Serialize)]
struct All<'a> {
    version: &'a str,
    source: Source<'a>,
    #[serde(serialize_with = "target_list")]
    targets: &'a [Arc<TargetStatus>],
}

#[derive(Serialize)]
struct Source<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    branch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worktree: Option<bool>,
    commit: Option<&'a str>,
    subject: Option<&'a str>,
    author: Option<&'a str>,
    time: Option<Timestamp>,
    fetched_at: Option<Timestamp>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Target<'a> {
    name: &'a str,
    project: &'a str,
    url: &'a str,
    state: &'a str,
    suspended: bool,
    commit_seen: Option<&'a str>,
    commit_applied: Option<&'a str>,
    last_reconcile: Option<Timestamp>,
    next_reconcile: Option<Timestamp>,
    error: Option<&'a str>,
    notices: &'a [String],
    #[serde(serialize_with = "connection_list")]
    connections: &'a [ConnectionState],
    #[serde(serialize_with = "history_list")]
    history: &'a [HistoryEntry],
}

#[derive(Serialize)]
struct Connection<'a> {
    r#type: &'a str,
    name: &'a str,
    state: &'a str,
    reason: Option<&'a str>,
    last_change: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified: Option<bool>,
}

#[derive(Serialize)]
struct Entry<'a> {
    time: Option<Timestamp>,
    cause: &'a str,
    commit: Option<&'a str>,
    outcome: &'a str,
    counts: &'a Counts,
    error: Option<&'a str>,
    duration: f64,
}

impl<'a> Source<'a> {
    fn of(source: &'a SourceStatus) -> Self {
        let commit = source.commit.as_ref();
        let location = source.location.as_str();
        Self {
            url: source.is_url.then_some(location),
            path: (!source.is_url).then_some(location),
            branch: source.branch.as_deref(),
            worktree: source.worktree.then_some(true),
            commit: id(commit),
            subject: commit.map(|commit| commit.subject.as_str()),
            author: commit.map(|commit| commit.author.as_str()),
            time: commit.and_then(|commit| Timestamp::from_second(commit.time).ok()),
            fetched_at: source.fetched_at.and_then(to_the_second),
            error: source.error.as_deref(),
        }
    }
}

impl<'a> Target<'a> {
    fn of(target: &'a TargetStatus) -> Self {
        Self {
            name: &target.name,
            project: &target.project,
            url: &target.url,
            state: target.state.as_str(),
            suspended: target.suspended,
            commit_seen: id(target.commit_seen.as_ref()),
            commit_applied: id(target.commit_applied.as_ref()),
            last_reconcile: target.last_reconcile.and_then(to_the_second),
            next_reconcile: target.next_reconcile.and_then(to_the_second),
            error: target.error.as_deref(),
            notices: &target.notices,
            connections: &target.connections,
            history: &target.history,
        }
    }
}

impl<'a> Connection<'a> {
    fn of(connection: &'a ConnectionState) -> Self {
        let changed = connection.last_change;
        Self {
            r#type: &connection.type_name,
            name: connection.name.as_str(),
            state: connection.state.as_str(),
            reason: connection.reason.as_deref(),
            last_change: changed.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            unverified: connection.unverified.then_some(true),
        }
    }
}

impl<'a> Entry<'a> {
    fn of(entry: &'a HistoryEntry) -> Self {
        Self {
            time: to_the_second(entry.time),
            cause: entry.cause.as_str(),
            commit: entry.commit.as_ref().map(|id| id.0.as_str()),
            outcome: entry.outcome.as_str(),
            counts: &entry.counts,
            error: entry.error.as_deref(),
            duration: entry.duration.as_secs_f64(),
        }
    }
}

fn target_list<S: Serializer>(targets: &[Arc<TargetStatus>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(targets.iter().map(|target| Target::of(target)))
}

fn connection_list<S: Serializer>(known: &[ConnectionState], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(known.iter().map(Connection::of))
}

fn history_list<S: Serializer>(history: &[HistoryEntry], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(history.iter().map(Entry::of))
}

fn id(commit: Option<&Commit>) -> Option<&str> {
    commit.map(|commit| commit.id.0.as_str())
}

/// A moment to the second, which is all that anybody reads.
fn to_the_second(time: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(time.as_second()).ok()
}
