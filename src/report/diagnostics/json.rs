//! Diagnostics for programs.

use serde_json::{Value, json};

use super::group::{Group, counts, groups, word};
use crate::document::{Diagnostic, Mark};
use crate::plan::TargetPlan;

/// The version of this form; fields are only added, never changed.
const FORMAT_VERSION: &str = "1.0";

/// Draws diagnostics as one JSON object.
#[must_use]
pub fn json(diagnostics: &[Diagnostic]) -> Value {
    let groups = groups(diagnostics);
    let (errors, warnings) = counts(&groups);
    json!({
        "format_version": FORMAT_VERSION,
        "diagnostics": groups.iter().map(entry).collect::<Vec<_>>(),
        "summary": {"errors": errors, "warnings": warnings},
    })
}

/// The warnings about the documents of a target, as plan and outcome list them.
pub(in crate::report) fn warnings(target: &TargetPlan) -> Value {
    let warning = |one: &Diagnostic| {
        let place = (one.mark.line > 0).then_some((one.mark.line, one.mark.column));
        json!({
            "code": one.code,
            "message": one.message,
            "file": one.mark.file,
            "line": place.map(|(line, _)| line),
            "column": place.map(|(_, column)| column),
        })
    };
    target.warnings().map(warning).collect()
}

fn entry(group: &Group<'_>) -> Value {
    let diagnostic = group.diagnostic;
    let related = diagnostic.related.iter().map(|(mark, what)| {
        let mut place = place(mark);
        if let Value::Object(place) = &mut place {
            place.insert("message".to_owned(), json!(what));
        }
        place
    });
    let mut entry = json!({
        "code": diagnostic.code,
        "severity": word(diagnostic.severity),
        "message": diagnostic.message,
        "help": diagnostic.help,
    });
    if let (Value::Object(entry), Value::Object(place)) = (&mut entry, place(&diagnostic.mark)) {
        entry.extend(place);
        entry.insert("related".to_owned(), related.collect());
        entry.insert("targets".to_owned(), json!(group.targets));
    }
    entry
}

fn place(mark: &Mark) -> Value {
    if mark.line == 0 {
        return json!({"file": mark.file, "line": null, "column": null, "length": null, "text": null});
    }
    json!({
        "file": mark.file,
        "line": mark.line,
        "column": mark.column,
        "length": mark.length,
        "text": mark.text,
    })
}
