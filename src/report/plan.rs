//! Views of a plan.

mod markdown;
mod text;

pub(super) use markdown::heads;
pub(crate) use markdown::markdown;
pub(crate) use text::text;
pub(super) use text::{head, told};

#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Value, json};

use crate::diagnostic::Severity;
use crate::plan::{Change, Entry, Plan, TargetPlan};
use crate::report::{FORMAT_VERSION, Style, diagnostics};

// A plan for programs. Fields are only added, never changed.

/// The plan as JSON, `format_version` 1.0.
pub(crate) fn json(plan: &Plan, style: &Style) -> Value {
    json!({
        "format_version": FORMAT_VERSION,
        "commit": plan.commit.as_ref().map(|commit| commit.id.0.as_str()),
        "worktree": plan.commit.is_none(),
        "source": plan.source,
        "exit_code": crate::report::exit::of_plan(plan),
        "targets": plan.targets.iter().map(|one| planned(one, style)).collect::<Vec<_>>(),
    })
}

fn planned(plan: &TargetPlan, style: &Style) -> Value {
    let mut shown = target(plan, &plan.changes(), plan.summary());
    if style.list_unmanaged {
        let connection =
            |entry: &Entry| json!({"type": entry.type_name, "name": entry.name.as_str()});
        shown["unmanaged"] = plan.unmanaged().map(connection).collect();
    }
    shown
}

/// A target with changes of it and their counts.
pub(super) fn target(target: &TargetPlan, changes: &[&Change], counts: impl Serialize) -> Value {
    json!({
        "name": target.name,
        "project": target.project,
        "url": target.url,
        "changes": changes,
        "summary": counts,
        "errors": target.errors,
        "notes": target.notices,
        "warnings": diagnostics::list(&target.diagnostics, Severity::Warning),
        "document_errors": diagnostics::list(&target.diagnostics, Severity::Error),
    })
}
