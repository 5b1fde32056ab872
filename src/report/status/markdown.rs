//! The status as a comment or in a job's summary.

use serde_json::Value;

use crate::report::comment::Comment;
use crate::report::escape;

use super::model::{
    counts, facts, heading, is_healthy, noted, source, source_error, targets, told, told_of, totals,
};

/// The hidden first line by which a comment is found again, to be updated in place.
pub(crate) const MARKER: &str = "<!-- apinizer-gitops:status -->";

/// The status as markdown; it is always under 65,000 characters.
pub(crate) fn markdown(status: &Value) -> String {
    let mut comment = Comment::new(MARKER);
    comment.always(if is_healthy(status) { "### Healthy\n" } else { "### Not healthy\n" });
    comment.line(&format!("\n{}", escape::code_span(&source(status))));
    let mut errors: Vec<String> = source_error(status).into_iter().collect();
    errors.extend(targets(status).filter_map(|target| {
        let name = told(target, "name").unwrap_or_default();
        told(target, "error").map(|error| format!("{name}: {error}"))
    }));
    comment.list("Errors", &errors);
    if let Some(totals) = totals(status) {
        comment.line(&format!("\n{totals}"));
    }
    let mut left_out = 0;
    let (told_of, in_sync) = told_of(status, false);
    for target in told_of {
        let counts = counts(std::iter::once(target));
        comment.line(&format!("\n{}: {counts}\n", escape::code_span(&heading(target))));
        let facts = facts(target);
        if !facts.is_empty() {
            comment.line(&escape::code_span(&facts.join(", ")));
        }
        let pieces: Vec<Vec<String>> = noted(target, false)
            .iter()
            .map(|one| {
                let sign = if one.is_wrong { '!' } else { '#' };
                vec![format!("{sign} {} {}: {}", one.type_name, one.name, one.state)]
            })
            .collect();
        left_out += pieces.len() - comment.block("\n", &pieces, "");
    }
    if in_sync > 0 {
        comment.line(&format!("\n{in_sync} targets are in sync."));
    }
    let last =
        if left_out > 0 { format!("\n{left_out} more did not fit here.\n") } else { String::new() };
    comment.finish(&last)
}
