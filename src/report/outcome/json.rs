//! An outcome for programs. Fields are only added, never changed.

use serde_json::{Value, json};

use crate::plan::{ChangeResult, Counts, TargetPlan};
use crate::report::plan::change_json;
use crate::report::{FORMAT_VERSION, diagnostics, exit};

/// The outcome as JSON, `format_version` 1.0: each change as in the plan, with its `result`
/// and, where it was not made, the `message` that says why.
pub(crate) fn json(outcomes: &[TargetPlan]) -> Value {
    json!({
        "format_version": FORMAT_VERSION,
        "exit_code": exit::of_outcomes(outcomes),
        "targets": outcomes.iter().map(target).collect::<Vec<_>>(),
    })
}

fn target(outcome: &TargetPlan) -> Value {
    let changes: Vec<Value> = outcome
        .results()
        .map(|(change, result)| {
            let mut shown = change_json(change);
            let (word, message) = word(result);
            shown["result"] = json!(word);
            if let Some(message) = message {
                shown["message"] = json!(message);
            }
            shown
        })
        .collect();
    let counts = Counts::of([outcome]);
    json!({
        "name": outcome.name,
        "project": outcome.project,
        "url": outcome.url,
        "changes": changes,
        "summary": {
            "done": counts.done,
            "degraded": counts.degraded,
            "failed": counts.failed,
            "blocked": counts.blocked,
            "held": counts.held,
            "drift": counts.drifted,
            "not_started": counts.not_started,
            "adopted": counts.adopted,
            "unchanged": counts.unchanged,
        },
        "errors": outcome.errors,
        "notices": outcome.notices,
        "notes": outcome.notices,
        "warnings": diagnostics::warnings_json(&outcome.diagnostics),
    })
}

fn word(result: &ChangeResult) -> (&'static str, Option<&str>) {
    match result {
        ChangeResult::Done => ("done", None),
        ChangeResult::NotNeeded => ("unchanged", None),
        ChangeResult::Degraded(why) => ("degraded", Some(why)),
        ChangeResult::Failed(why) => ("failed", Some(why)),
        ChangeResult::Blocked(why) => ("blocked", Some(why)),
        ChangeResult::Held(why) => ("held", Some(why)),
        ChangeResult::Reported => ("drift", None),
        ChangeResult::NotStarted => ("not_started", None),
    }
}
