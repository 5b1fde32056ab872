//! Diagnostics as SARIF 2.1.0, which code scanning services read.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::group::{Group, groups, word};
use crate::config::code::ALL as CONFIG_CODES;
use crate::document::code::all_codes;
use crate::document::{Diagnostic, Mark};

/// What stands for itself in the path of a URI.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Draws diagnostics as a SARIF log with one run.
#[must_use]
pub fn sarif(diagnostics: &[Diagnostic]) -> Value {
    let groups = groups(diagnostics);
    let used: BTreeSet<&str> = groups.iter().map(|group| group.diagnostic.code).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": used.iter().map(|id| rule(id)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": groups.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn rule(id: &str) -> Value {
    match all_codes().chain(CONFIG_CODES).find(|code| code.id == id) {
        None => json!({"id": id}),
        Some(code) => json!({
            "id": id,
            "shortDescription": {"text": code.title},
            "fullDescription": {"text": code.cause},
            "help": {"text": code.cure},
        }),
    }
}

fn result(group: &Group<'_>) -> Value {
    let diagnostic = group.diagnostic;
    let mut message = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        message.push_str("\nhelp: ");
        message.push_str(help);
    }
    if !group.targets.is_empty() {
        message.push_str("\ntargets: ");
        message.push_str(&group.targets.join(", "));
    }
    let related = diagnostic
        .related
        .iter()
        .map(|(mark, what)| json!({"physicalLocation": location(mark), "message": {"text": what}}));
    json!({
        "ruleId": diagnostic.code,
        "level": word(diagnostic.severity),
        "message": {"text": message},
        "locations": [{"physicalLocation": location(&diagnostic.mark)}],
        "relatedLocations": related.collect::<Vec<_>>(),
    })
}

fn location(mark: &Mark) -> Value {
    let uri = utf8_percent_encode(&mark.file, PATH).to_string();
    let artifact = json!({"uri": uri});
    if mark.line == 0 {
        return json!({"artifactLocation": artifact});
    }
    let column = mark.column.max(1);
    json!({
        "artifactLocation": artifact,
        "region": {
            "startLine": mark.line,
            "startColumn": column,
            "endColumn": column.saturating_add(mark.length),
            "snippet": {"text": mark.text},
        },
    })
}
