//! The status as a comment or in a job's summary.

use serde_json::Value;

use crate::report::comment::Comment;
use crate::report::{escape, groups};

use super::model::{
    Alike, Named, Noted, alike, counts, facts, heading, is_healthy, notes, source, source_error,
    targets, told, told_of, totals, warnings,
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
        comment.list("Notes", &notes(target));
        comment.list("Warnings", &warnings(target));
        let groups = alike(target, false);
        let pieces: Vec<Vec<String>> = groups.iter().map(piece).collect();
        let written = comment.block("\n", &pieces, "");
        left_out += groups.iter().skip(written).map(|group| group.noted.len()).sum::<usize>();
    }
    if in_sync > 0 {
        comment.line(&format!("\n{in_sync} targets are in sync."));
    }
    let last =
        if left_out > 0 { format!("\n{left_out} more did not fit here.\n") } else { String::new() };
    comment.finish(&last)
}

/// Connections that stand alike: one in a line, several below their reason.
fn piece(group: &Alike) -> Vec<String> {
    let sign = |one: &Noted| if one.is_wrong { '!' } else { '#' };
    let advice = group.advice.iter().map(|advice| format!("#     to proceed: {advice}"));
    if let [one] = &group.noted[..] {
        let line = format!("{} {} {}: {}", sign(one), one.type_name, one.name, one.state);
        return std::iter::once(line).chain(advice).collect();
    }
    let names = group.named(false).into_iter().map(|named| match named {
        Named::One(one) => format!("{} {} {}", sign(one), one.type_name, one.name),
        Named::Count(type_name, count) => format!("# {type_name}: {}", groups::names(count)),
    });
    std::iter::once(format!("# {}", group.state())).chain(advice).chain(names).collect()
}
