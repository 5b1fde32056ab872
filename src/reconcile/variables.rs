//! Apinizer's own variables: whether the project has those that documents use.

use crate::api::Client;
use crate::config::Target;
use crate::document::variables_of;
use crate::plan::TargetPlan;
use crate::source::Snapshot;

use super::Engine;
use super::load::{LoadedTarget, unknown_variables};

/// Warns in the plan of variables that the project does not have. Documents that use none cause no
/// call; a list that is refused, or a read that fails, is a note and nothing else.
pub(super) async fn check(
    engine: &Engine,
    (target, snapshot): (&Target, &Snapshot),
    loaded: &LoadedTarget,
    client: &Client,
    plan: &mut TargetPlan,
) {
    let used = variables_of(&loaded.loaded.documents, &target.vars);
    if used.is_empty() {
        return;
    }
    let note = |problem: &str| {
        format!(
            "Apinizer's variables in the documents were not checked, which takes the permission \
             `GLOBAL_SETTINGS` with VIEW: {problem}"
        )
    };
    let known = match client.variables().await {
        Ok(known) => known,
        Err(error) => return plan.notices.push(note(&error.cause())),
    };
    if used.is_subset(&known) {
        return;
    }
    let find = || unknown_variables(engine, target, snapshot, &known);
    match tokio::task::block_in_place(find) {
        Ok(found) => {
            plan.diagnostics.extend(found);
            plan.diagnostics
                .sort_by_cached_key(|d| (d.mark.file.clone(), d.mark.line, d.mark.column));
        }
        Err(error) => plan.notices.push(note(&error.to_string())),
    }
}
