//! The words and signs that all forms share.

use std::fmt::Display;

use crate::document::Place;
use crate::plan::{Action, Change, Counts, Entry, Origin, Plan, Summary, TargetPlan, with_reason};

use super::escape;
use super::style::Role;

/// The sign of an action, which carries its meaning without colour.
pub(crate) fn sign(action: Action) -> &'static str {
    match action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "-/+",
        Action::Rename => "»",
        Action::Delete => "-",
        Action::Blocked => "!",
        Action::Drift => "?",
    }
}

/// The colour of an action.
pub(super) fn role(action: Action) -> Role {
    match action {
        Action::Create => Role::Added,
        Action::Update => Role::Changed,
        Action::Replace => Role::Replaced,
        Action::Rename => Role::Renamed,
        Action::Delete => Role::Removed,
        Action::Blocked => Role::Wrong,
        Action::Drift => Role::Attention,
    }
}

/// Whose change it is, where git alone did not make it.
pub(super) fn drifted(change: &Change) -> Option<&'static str> {
    let mut origins = change.fields.iter().map(|field| field.origin);
    let is_update = matches!(change.action, Action::Update | Action::Rename);
    let is_drift = is_update && origins.clone().any(|origin| origin != Origin::Git);
    let is_all = origins.all(|origin| origin == Origin::Drift);
    is_drift.then_some(if is_all { "drift" } else { "git and drift" })
}

/// The name of a changed connection, with the one that a rename frees.
pub(super) fn name(change: &Change) -> String {
    let name = escape::plain(change.name.as_str());
    match &change.previous_name {
        Some(previous) => format!("{} -> {name}", escape::plain(previous.as_str())),
        None => name,
    }
}

/// A change in a line of a comment: action, type and name.
pub(super) fn named(change: &Change) -> String {
    let type_name = escape::plain(&change.type_name);
    format!("{} {type_name} {}", change.action.into_str(), name(change))
}

/// Where a document is.
pub(super) fn place(place: &Place) -> String {
    format!("{}:{}", escape::plain(&place.file), place.line)
}

/// Why a change is made or held, where the fields do not say it.
pub(crate) fn reason(change: &Change) -> Option<String> {
    let reason = change.reason.as_deref().map(escape::plain);
    match (change.held, change.action) {
        (true, _) => Some(match reason {
            Some(reason) => with_reason("held", &reason),
            None => "held by a rule".to_owned(),
        }),
        (false, Action::Delete) => {
            Some(reason.unwrap_or_else(|| "git no longer declares it".to_owned()))
        }
        (false, Action::Replace) => {
            Some(reason.unwrap_or_else(|| "git gave it another type".to_owned()))
        }
        (false, _) => reason,
    }
}

/// Who edited a connection last whose fields somebody else moved, where the server tells it.
pub(super) fn edited(change: &Change) -> Option<String> {
    change.edited.as_ref().map(|edit| escape::plain(&format!("last {edit}")))
}

/// A target with its project and URL: `prod: project Payments at https://apinizer.example.com`.
pub(crate) fn target(target: &TargetPlan) -> String {
    let [name, project, url] =
        [&target.name, &target.project, &target.url].map(|t| escape::plain(t));
    format!("{name}: project {project} at {url}")
}

/// The inputs of a plan: `/srv/config at 3f2a91c0d1e2 (Add order mails)`.
pub(super) fn source(plan: &Plan) -> String {
    let source = escape::plain(&plan.source);
    match &plan.commit {
        Some(commit) => {
            let subject = escape::plain(&commit.subject);
            format!("{source} at {} ({subject})", escape::plain(commit.id.short()))
        }
        None => format!("{source}, worktree: files as they are, committed or not"),
    }
}

/// The counts of a plan as the end of a sentence: what would be made, and apart from it what a rule
/// holds.
pub(super) fn counts<'a>(entries: impl Iterator<Item = &'a Entry> + Clone) -> String {
    let (summary, held) = (Summary::of(entries.clone()), Summary::of_held(entries));
    let one_or_more = |count, one, more| (count, if count == 1 { one } else { more });
    let pending = listed(&[
        (summary.create - held.create, "to create"),
        (summary.update - held.update, "to update"),
        (summary.replace - held.replace, "to replace"),
        (summary.rename - held.rename, "to rename"),
        (summary.delete - held.delete, "to delete"),
        (summary.adopt, "to adopt as they are"),
        one_or_more(held.create, "create held", "creates held"),
        one_or_more(held.update, "update held", "updates held"),
        one_or_more(held.replace, "replace held", "replaces held"),
        one_or_more(held.rename, "rename held", "renames held"),
        one_or_more(held.delete, "delete held", "deletes held"),
        (summary.blocked, "blocked"),
        (summary.drifted, "drifted"),
    ]);
    let aside = listed(&[
        (summary.unchanged, "in sync"),
        (summary.unmanaged, "unmanaged"),
        (summary.unverified, "unverified"),
    ]);
    match (pending.is_empty(), aside.is_empty()) {
        (false, false) => format!("{pending}; {aside}"),
        (false, true) => pending,
        (true, _) => aside,
    }
}

/// A count with its noun: `1 target`, `2 targets`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Those counts that are not zero: `2 to create, 1 delete held`.
pub(crate) fn listed(counts: &[(usize, impl Display)]) -> String {
    counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// How the changes of a run ended.
pub(crate) fn ended(counts: &Counts) -> Vec<(usize, &'static str)> {
    vec![
        (counts.done, "done"),
        (counts.degraded, "saved but not deployed"),
        (counts.failed, "failed"),
        (counts.blocked, "blocked"),
        (counts.held, "held"),
        (counts.drifted, "drifted"),
        (counts.not_started, "not started"),
    ]
}

/// The one line that says what a plan comes to.
pub(super) fn plan_line(plan: &Plan) -> String {
    let entries = plan.targets.iter().flat_map(|target| &target.entries);
    let summary = Summary::of(entries.clone());
    let failed = plan.targets.iter().filter(|target| !target.errors.is_empty()).count();
    let is_quiet = plan.targets.iter().all(|target| target.changes().is_empty());
    if is_quiet && failed == 0 && summary.adopt == 0 {
        return no_changes(&summary);
    }
    let counts = counts(entries);
    let failed = (failed > 0).then(|| format!("{} with errors", counted(failed, "target")));
    let parts: Vec<String> =
        Some(counts).filter(|counts| !counts.is_empty()).into_iter().chain(failed).collect();
    format!("Plan: {}.", parts.join("; "))
}

/// The sentence for a plan without changes.
fn no_changes(summary: &Summary) -> String {
    let aside = listed(&[(summary.unmanaged, "unmanaged"), (summary.unverified, "unverified")]);
    let aside = if aside.is_empty() { aside } else { format!(" ({aside})") };
    match summary.unchanged {
        0 => format!("No changes.{aside}"),
        1 => format!("No changes. 1 connection is in sync{aside}."),
        count => format!("No changes. {count} connections are in sync{aside}."),
    }
}

/// The sign in column 0 that colours a line in a block of differences.
pub(super) fn column(action: Action) -> &'static str {
    match action {
        Action::Create => "+",
        Action::Delete => "-",
        Action::Update | Action::Replace | Action::Rename => "!",
        Action::Blocked | Action::Drift => "#",
    }
}
