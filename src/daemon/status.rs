//! The status of the daemon: one model that the page, the API, the probes and the events
//! are drawn from; and the JSON of it. Fields of that are only added, never changed.
//!
//! A [`Board`] is shared by all tasks. A status on it is replaced and never changed in place, so a reader
//! holds a consistent picture for as long as it likes, and no task waits for the reader.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Watchdog;
use super::after::Wait;
use crate::audit::{PastReconcile, ShownPast};
use crate::config::TargetKey;
use crate::document::{Diagnostic, Severity};
use crate::links::Links;
use crate::name::CommitId;
use crate::plan::Entry;
use crate::report::diagnostics;
use crate::source::Commit;

pub(crate) use super::outcome::TargetState;

/// All that is shown, as it was at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// When the daemon was started: another time is another daemon.
    pub started: Timestamp,
    /// The source.
    pub source: SourceStatus,
    /// The targets, in the order of the config.
    pub targets: Vec<Arc<TargetStatus>>,
}

/// Where the documents come from, and what was read there last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SourceStatus {
    /// Whether it is a url, which is fetched, and not a path.
    pub is_url: bool,
    /// The url or path as the config has it.
    pub location: String,
    /// The branch that is followed; `None`: what HEAD names, or not known yet.
    pub branch: Option<String>,
    /// Whether the files of the working tree are followed instead of commits.
    pub worktree: bool,
    /// Where commits and files are shown on the web.
    pub links: Option<Links>,
    /// The newest commit.
    pub commit: Option<Commit>,
    /// When the server of a url last answered.
    pub fetched_at: Option<Timestamp>,
    /// Why the source cannot be fetched or read.
    pub error: Option<String>,
}

/// One target.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetStatus {
    /// Which target it is.
    pub key: TargetKey,
    /// How it stands as a whole.
    pub state: TargetState,
    /// Whether a reconcile is under way.
    pub reconciling: bool,
    /// Whether somebody suspended it.
    pub suspended: bool,
    /// The newest commit of the source at the last reconcile, whether or not the target was given it.
    pub commit_seen: Option<Commit>,
    /// The newest commit of which nothing failed and nothing was held.
    pub commit_applied: Option<Commit>,
    /// When the last reconcile ended.
    pub last_reconcile: Option<Timestamp>,
    /// When the next one is due if nothing happens before.
    pub next_reconcile: Option<Timestamp>,
    /// The last request for a reconcile that has ended since.
    pub answered: Option<RequestAnswer>,
    /// The problems of the target as a whole.
    pub trouble: Trouble,
    /// Its connections, each with the change that a reconcile would still make: held, blocked,
    /// failed, reported or not written.
    pub connections: Arc<Vec<Entry>>,
    /// Earlier reconciles.
    pub past: ShownPast,
}

/// The answer to a request for a reconcile.
#[derive(Clone, Debug)]
pub(crate) struct RequestAnswer {
    /// Its number.
    pub request: u64,
    /// How it ended.
    pub outcome: TargetState,
    /// Why the newest commit of the source was not read for it.
    pub unread: Option<String>,
    /// Why the target was not given the newest commit.
    pub waits: Option<String>,
}

impl RequestAnswer {
    /// Whether the newest commit is in force.
    #[must_use]
    pub(crate) fn is_success(&self) -> bool {
        self.outcome.is_success() && self.unread.is_none() && self.waits.is_none()
    }
}

/// The problems of a target as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// Its error.
    pub error: Option<String>,
    /// Other notices.
    pub notices: Vec<String>,
    /// The commit that the target was last given; with `after` it is not always the newest.
    pub commit_given: Option<CommitId>,
    /// The problems of the documents of that commit.
    pub diagnostics: Arc<Vec<Diagnostic>>,
    /// Whether that commit is refused, so that the last good one is kept up.
    pub refused: bool,
    /// Whether a reconcile has looked at its connections: until then none is known.
    pub looked_at: bool,
    /// The commit that the connections were compared with.
    pub commit_in_force: Option<CommitId>,
    /// How many documents and changes each rule of the user matches, by name and effect.
    pub rule_matches: Arc<BTreeMap<(String, &'static str), usize>>,
    /// The wait for the predecessor, and since when it waits.
    pub wait: Option<(Wait, Timestamp)>,
}

impl Status {
    /// The target of that name.
    #[must_use]
    pub(crate) fn target(&self, name: &str) -> Option<&TargetStatus> {
        self.targets.iter().find(|target| target.key.name == name).map(AsRef::as_ref)
    }

    /// The targets that no reconcile has ended for yet, those aside that another replica keeps.
    #[must_use]
    pub(crate) fn not_ready(&self) -> Vec<&str> {
        self.targets
            .iter()
            .filter(|target| {
                target.last_reconcile.is_none() && target.state != TargetState::Standby
            })
            .map(|target| target.key.name.as_str())
            .collect()
    }

    /// Whether every target has been reconciled, or has been found failing.
    #[must_use]
    pub(crate) fn is_ready(&self) -> bool {
        !self.targets.is_empty() && self.not_ready().is_empty()
    }
}

/// The shared status; clones are the same board.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    status: Arc<watch::Sender<Arc<Status>>>,
    watchdog: Watchdog,
}

impl Default for Board {
    fn default() -> Self {
        let started = Timestamp::now();
        let (status, _) = watch::channel(Arc::new(Status { started, ..Status::default() }));
        Self { status: Arc::new(status), watchdog: Watchdog::default() }
    }
}

impl Board {
    /// The status of this moment.
    #[must_use]
    pub(crate) fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    /// Follows the status. A slow reader may miss older statuses, and never the newest.
    #[must_use]
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Status>> {
        self.status.subscribe()
    }

    /// Who watches over the tasks.
    #[must_use]
    pub(crate) fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    /// Changes the status of the source. An edit that changes nothing wakes no reader.
    pub(crate) fn edit_source(&self, change: impl FnOnce(&mut SourceStatus)) {
        self.status.send_if_modified(|status| {
            let mut source = status.source.clone();
            change(&mut source);
            let differs = source != status.source;
            if differs {
                Arc::make_mut(status).source = source;
            }
            differs
        });
    }

    /// Whether a target is among those of the config that is in force.
    #[must_use]
    pub(crate) fn shows(&self, key: &TargetKey) -> bool {
        self.status.borrow().targets.iter().any(|target| target.key == *key)
    }

    /// Changes the status of one target, if the board shows it.
    pub(crate) fn edit_target(&self, key: &TargetKey, change: impl FnOnce(&mut TargetStatus)) {
        self.status.send_if_modified(|status| {
            let mut targets = Arc::make_mut(status).targets.iter_mut();
            let found = targets.find(|target| target.key == *key);
            found.map(|target| change(Arc::make_mut(target))).is_some()
        });
    }

    /// Sets the targets of the config. Targets that stay keep their status.
    pub(crate) fn set_targets(&self, targets: &[crate::config::Target]) {
        self.status.send_modify(|status| {
            let known = status.targets.clone();
            Arc::make_mut(status).targets = targets
                .iter()
                .map(|target| {
                    let key = TargetKey::of(target);
                    let same = known.iter().find(|known| known.key == key);
                    // Of a new one nothing is known yet.
                    let new = || TargetStatus { key: key.clone(), ..TargetStatus::default() };
                    same.map_or_else(|| Arc::new(new()), Arc::clone)
                })
                .collect();
        });
    }
}

/// The body of `/api/v1/status`.
impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(Some(4))?;
        body.serialize_entry("version", env!("CARGO_PKG_VERSION"))?;
        body.serialize_entry("started", &self.started)?;
        body.serialize_entry("source", &source(&self.source))?;
        body.serialize_entry("targets", &Targets(&self.targets))?;
        body.end()
    }
}

/// The targets, each made into a value when it is written: all of a fleet at once would be large.
struct Targets<'s>(&'s [Arc<TargetStatus>]);

impl Serialize for Targets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|one| target(one)))
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
        "state": target.state.into_str(),
        "suspended": target.suspended,
        "commit_seen": id(target.commit_seen.as_ref()),
        "commit_applied": id(target.commit_applied.as_ref()),
        "last_reconcile": target.last_reconcile.and_then(to_the_second),
        "next_reconcile": target.next_reconcile.and_then(to_the_second),
        "answered": target.answered.as_ref().map(answer),
        "error": target.trouble.error,
        "notices": target.trouble.notices,
        "warnings": diagnostics::list(&target.trouble.diagnostics, Severity::Warning),
        "document_errors": diagnostics::list(&target.trouble.diagnostics, Severity::Error),
        "connections": target.connections.iter().map(|one| connection(target, one)).collect::<Vec<_>>(),
        "history": target.past.reconciles.iter().map(reconcile).collect::<Vec<_>>(),
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

fn answer(answer: &RequestAnswer) -> Value {
    json!({
        "request": answer.request,
        "outcome": answer.outcome.outcome(),
        "success": answer.is_success(),
        "unread": answer.unread,
        "waits": answer.waits,
    })
}

fn connection(target: &TargetStatus, connection: &Entry) -> Value {
    let mut json = json!({
        "type": connection.type_name,
        "name": connection.name.as_str(),
        "state": connection.state.into_str(),
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
    if let Some(since) = target.past.drifting.get(&connection.name) {
        json["drifting_since"] = json!(since);
    }
    if connection.unverified {
        json["unverified"] = json!(true);
    }
    json
}

fn reconcile(PastReconcile { ended, .. }: &PastReconcile) -> Value {
    json!({
        "time": to_the_second(ended.time),
        "cause": ended.cause,
        "commit": ended.commit.as_ref().map(|id| &id.0),
        "outcome": ended.outcome,
        "counts": ended.counts,
        "error": ended.error,
        "duration": ended.seconds,
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

#[cfg(test)]
mod tests;
