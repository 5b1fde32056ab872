//! Reading the status without trusting its shape.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::report::{escape, words};

/// The states of a connection that a person has to do something about.
const UNHEALTHY: [&str; 5] = ["blocked", "held", "degraded", "not_converging", "failed"];

/// Whether nothing is wrong: the source and all targets could be read, and no connection is
/// blocked, held, degraded, failed or not converging. What was not looked at yet is not known to be
/// healthy.
pub(crate) fn is_healthy(status: &Value) -> bool {
    let is_fine = |part: &Value| part.get("error").is_none_or(Value::is_null);
    let Some(targets) = status.get("targets").and_then(Value::as_array) else { return false };
    status.get("source").is_none_or(is_fine)
        && targets.iter().all(is_fine)
        && targets.iter().all(|target| told(target, "state").as_deref() != Some("waiting"))
        && targets.iter().flat_map(connections).all(|one| {
            let state = one.get("state").and_then(Value::as_str).unwrap_or("failed");
            !UNHEALTHY.contains(&state)
        })
}

/// The targets.
pub(super) fn targets(status: &Value) -> impl Iterator<Item = &Value> {
    status.get("targets").and_then(Value::as_array).into_iter().flatten()
}

/// The connections of a target.
pub(super) fn connections(target: &Value) -> impl Iterator<Item = &Value> {
    target.get("connections").and_then(Value::as_array).into_iter().flatten()
}

/// A text of an object, harmless; `None` where there is none.
pub(super) fn told(object: &Value, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) if !text.is_empty() => Some(escape::plain(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The beginning of a commit's id.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// Where the daemon reads and what it has read there.
pub(super) fn source(status: &Value) -> String {
    let nothing = Value::Null;
    let source = status.get("source").unwrap_or(&nothing);
    let mut line = told(source, "url").or_else(|| told(source, "path")).unwrap_or_default();
    if let Some(branch) = told(source, "branch") {
        line = format!("{line}, branch {branch}");
    }
    if let Some(commit) = told(source, "commit") {
        line = format!("{line} at {}", short(&commit));
    }
    if let Some(subject) = told(source, "subject") {
        line = format!("{line} ({subject})");
    }
    match told(source, "author") {
        Some(author) => format!("{line} by {author}"),
        None => line,
    }
}

/// The error of the source.
pub(super) fn source_error(status: &Value) -> Option<String> {
    told(status.get("source")?, "error")
}

/// `prod (Payments at https://...)`.
pub(super) fn heading(target: &Value) -> String {
    let of = |key| told(target, key).unwrap_or_default();
    format!("{} ({} at {})", of("name"), of("project"), of("url"))
}

/// When and from what a target was last reconciled, one fact each.
pub(super) fn facts(target: &Value) -> Vec<String> {
    let commit = |key, word| told(target, key).map(|id| format!("{word} {}", short(&id)));
    let time = |key, word| told(target, key).map(|time| format!("{word} {time}"));
    let applied = commit("commit_applied", "applied");
    let seen = commit("commit_seen", "seen");
    [applied, seen, time("last_reconcile", "last reconcile"), time("next_reconcile", "next")]
        .into_iter()
        .flatten()
        .collect()
}

/// From so many targets on, those that are in sync are only counted.
pub(super) const MANY_TARGETS: usize = 13;

/// How many targets and connections stand how, where there are several targets.
pub(super) fn totals(status: &Value) -> Option<String> {
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for target in targets(status) {
        let state = told(target, "state").unwrap_or_default().replace('_', " ");
        *states.entry(state).or_default() += 1;
    }
    let count: usize = states.values().sum();
    let states: Vec<String> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let connections = counts(targets(status));
    (count > 1).then(|| {
        format!("{count} targets: {}; connections: {connections}", states.join(", "))
            .trim_end_matches("; connections: ")
            .to_owned()
    })
}

/// The targets that are told of one by one, and how many are left out.
pub(super) fn told_of(status: &Value, all: bool) -> (Vec<&Value>, usize) {
    let mut told_of: Vec<&Value> = targets(status).collect();
    let count = told_of.len();
    if !all && count >= MANY_TARGETS {
        told_of.retain(|target| {
            told(target, "state").as_deref() != Some("in_sync") || told(target, "error").is_some()
        });
    }
    let left_out = count - told_of.len();
    (told_of, left_out)
}

/// How many connections of some targets are in which state, those in sync first.
pub(super) fn counts<'s>(targets: impl Iterator<Item = &'s Value>) -> String {
    let connections: Vec<&Value> = targets.flat_map(connections).collect();
    let states = [
        ("in_sync", "in sync"),
        ("pending", "pending"),
        ("blocked", "blocked"),
        ("held", "held"),
        ("drifted", "drifted"),
        ("degraded", "degraded"),
        ("not_converging", "not converging"),
        ("suspended", "suspended"),
        ("failed", "failed"),
        ("unmanaged", "unmanaged"),
    ];
    let count = |state: &str| {
        connections
            .iter()
            .filter(|one| one.get("state").and_then(Value::as_str) == Some(state))
            .count()
    };
    let unverified =
        connections.iter().filter(|one| one.get("unverified") == Some(&Value::Bool(true))).count();
    let mut counts: Vec<(usize, &str)> =
        states.iter().map(|(state, words)| (count(state), *words)).collect();
    counts.push((unverified, "unverified"));
    words::listed(&counts)
}

/// One connection that is not simply in sync.
#[derive(Debug)]
pub(super) struct Noted {
    /// A sign that carries the state without colour.
    pub(super) sign: char,
    /// Its type.
    pub(super) type_name: String,
    /// Its name.
    pub(super) name: String,
    /// The state in words, with its reason.
    pub(super) state: String,
    /// Whether a person has to do something about it.
    pub(super) is_wrong: bool,
}

/// The connections that are not simply in sync; unmanaged ones where they are asked for.
pub(super) fn noted(target: &Value, unmanaged: bool) -> Vec<Noted> {
    let is_noted = |state: &str| state != "in_sync" && (unmanaged || state != "unmanaged");
    connections(target)
        .filter_map(|one| {
            let state = told(one, "state")?;
            if !is_noted(&state) {
                return None;
            }
            let words = state.replace('_', " ");
            Some(Noted {
                sign: match state.as_str() {
                    "pending" => '~',
                    "drifted" => '?',
                    "suspended" | "unmanaged" => '=',
                    "held" => '-',
                    _ => '!',
                },
                type_name: told(one, "type").unwrap_or_default(),
                name: told(one, "name").unwrap_or_default(),
                state: match told(one, "reason") {
                    Some(reason) if reason.starts_with(&words) => reason,
                    Some(reason) => format!("{words}: {reason}"),
                    None => words,
                },
                is_wrong: UNHEALTHY.contains(&state.as_str()),
            })
        })
        .collect()
}
