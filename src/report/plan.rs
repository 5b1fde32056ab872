//! Views of a plan.

mod markdown;
mod text;

pub(super) use markdown::heads;
pub(crate) use markdown::markdown;
pub(crate) use text::text;
pub(super) use text::{head, told};

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::diagnostic::Severity;
use crate::name::ConnectionName;
use crate::plan::{Change, Entry, FieldChange, Plan, TargetPlan};
use crate::report::{FORMAT_VERSION, Style, diagnostics};
use crate::rules::Match;

// A plan for programs. Fields are only added, never changed.

/// The plan as JSON, `format_version` 1.0.
pub(crate) fn json(plan: &Plan, style: &Style) -> Value {
    json!({
        "format_version": FORMAT_VERSION,
        "commit": plan.commit.as_ref().map(|commit| commit.id.0.as_str()),
        "worktree": plan.commit.is_none(),
        "source": plan.source,
        "exit_code": crate::report::exit::of_plan(plan),
        "targets": plan.targets.iter().map(|one| target(one, style)).collect::<Vec<_>>(),
    })
}

fn target(target: &TargetPlan, style: &Style) -> Value {
    let mut shown = json!({
        "name": target.name,
        "project": target.project,
        "url": target.url,
        "changes": target.changes().into_iter().map(change).collect::<Vec<_>>(),
        "summary": target.summary(),
        "errors": target.errors,
        "notes": target.notices,
        "warnings": diagnostics::list(&target.diagnostics, Severity::Warning),
        "document_errors": diagnostics::list(&target.diagnostics, Severity::Error),
    });
    if style.list_unmanaged {
        let connection =
            |entry: &Entry| json!({"type": entry.type_name, "name": entry.name.as_str()});
        shown["unmanaged"] = target.unmanaged().map(connection).collect();
    }
    shown
}

/// One change.
pub(super) fn change(change: &Change) -> Value {
    let mut shown = json!({
        "action": change.action,
        "type": change.type_name,
        "name": change.name.as_str(),
    });
    let optional = [
        ("previous_name", change.previous_name.as_ref().map(ConnectionName::as_str)),
        ("reason", change.reason.as_deref()),
        ("advice", change.advice.as_deref()),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            shown[key] = json!(value);
        }
    }
    shown["fields"] = change.fields.iter().map(field).collect();
    shown["held"] = json!(change.held);
    if !change.rules.is_empty() {
        shown["rules"] = change.rules.iter().map(rule).collect();
    }
    if let Some(edited) = &change.edited {
        shown["edited"] = json!(edited);
    }
    let place = change.place.as_ref();
    shown["file"] = json!(place.map(|place| place.file.as_ref()));
    shown["line"] = json!(place.map(|place| place.line));
    shown
}

fn rule(found: &Match) -> Value {
    json!({
        "name": found.rule,
        "effect": found.effect.into_str(),
        "message": found.why,
        "consent": found.consent,
    })
}

fn field(field: &FieldChange) -> Value {
    let mut shown = json!({
        "path": field.path,
        "before": field.before,
        "after": field.after,
        "sensitive": field.sensitive,
        "origin": field.origin,
    });
    if let Some(base) = &field.base {
        shown["base"] = base.clone();
    }
    shown
}
