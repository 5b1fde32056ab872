//! The rules of one document: type, fields, references, secrets, required fields.
//!
//! Everything here is a function of the merged value, the catalog and the target's variables. No
//! message holds a value of a field that is, or may hide, a secret.

mod fields;
mod kind;
mod references;
mod required;
mod secrets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(crate) use kind::texts_to_numbers;

use super::options::{holds_reference, no_reference};
use crate::catalog::{self, ConnectionType};
use crate::diagnostic::code::{self, Code};
use crate::diagnostic::{Finding, Part, quoted};
use crate::pointer::steps;

/// The most problems that are listed of one document.
const MOST_FINDINGS: usize = 100;

/// Finds the type of a document.
pub(crate) fn connection_type(
    fields: &Map<String, Value>,
    patches_nothing: bool,
    findings: &mut Vec<Finding>,
) -> Option<&'static ConnectionType> {
    let pointer = "/type";
    let value = fields.get("type").filter(|value| !value.is_null());
    let Some(value) = value else {
        findings.push(if patches_nothing {
            Finding::error(
                &code::INCOMPLETE_PATCH,
                "",
                "no earlier path declares this connection, and the document has no `type` to \
                 stand on its own"
                    .to_owned(),
            )
            .part(Part::Start)
            .help("correct the name, or add `type` and the required fields")
        } else {
            Finding::error(&code::TYPE_MISSING, "", "the document has no `type`".to_owned())
                .part(Part::Start)
                .help(format!("add `type:` with one of {}", all_types()))
        });
        return None;
    };
    if holds_reference(value) {
        findings.push(no_reference(pointer, "type"));
        return None;
    }
    let Value::String(name) = value else {
        findings.push(
            Finding::error(&code::TYPE_MISSING, pointer, "`type` takes a text".to_owned())
                .help(format!("one of {}", all_types())),
        );
        return None;
    };
    let found = catalog::find(name);
    if found.is_none() {
        let message = if name == "ops-genie" {
            "connections of type `ops-genie` are not supported: the API describes none".to_owned()
        } else {
            format!("there is no type {}", quoted(name))
        };
        let help = match catalog::nearest(name).filter(|_| name != "ops-genie") {
            Some(nearest) => format!("did you mean `{}`?", nearest.name),
            None => format!("the types are {}", all_types()),
        };
        findings.push(Finding::error(&code::UNKNOWN_TYPE, pointer, message).help(help));
    }
    found
}

fn all_types() -> String {
    let names: Vec<_> = catalog::all().map(|t| format!("`{}`", t.name)).collect();
    names.join(", ")
}

/// The fields at the top of a document that it would be refused for, with what is wrong there. What
/// hangs on the variables of a target is not looked at.
pub(crate) fn refused(
    connection_type: &'static ConnectionType,
    name: &str,
    fields: &Map<String, Value>,
) -> BTreeMap<String, &'static Code> {
    let mut findings = Vec::new();
    Check { name, connection_type, fields, vars: None, patches_nothing: false }.run(&mut findings);
    let mut refused = BTreeMap::new();
    for finding in findings.into_iter().filter(Finding::is_error) {
        if let Some(top) = steps(&finding.pointer).next() {
            refused.entry(top.into_owned()).or_insert(finding.code);
        }
    }
    refused
}

/// The context of the checks of one document.
pub(crate) struct Check<'a> {
    /// The connection's name, from which names of variables are made.
    pub(crate) name: &'a str,
    pub(crate) connection_type: &'static ConnectionType,
    /// The declared fields without `type`, `name` and `x-gitops`.
    pub(crate) fields: &'a Map<String, Value>,
    /// The target's variables; `None`: not known, so nothing is said of them.
    pub(crate) vars: Option<&'a BTreeMap<String, Value>>,
    /// Whether no earlier path could have declared what is missing.
    pub(crate) patches_nothing: bool,
}

impl Check<'_> {
    /// Applies all rules.
    pub(crate) fn run(&self, findings: &mut Vec<Finding>) {
        let before = findings.len();
        if self.check_keys(findings) {
            return;
        }
        self.check_fields(findings);
        let resolved = self.resolved_fields();
        self.check_required(&resolved, findings);
        self.check_hidden(&resolved, findings);
        if findings.len() - before > MOST_FINDINGS {
            // Errors stay: a document with one is refused.
            if let Some(mine) = findings.get_mut(before..) {
                mine.sort_by_key(|finding| finding.severity);
            }
            findings.truncate(before + MOST_FINDINGS);
            findings.push(
                Finding::warning(
                    &code::TOO_MANY,
                    "",
                    format!("the document has more than {MOST_FINDINGS} problems"),
                )
                .part(Part::Start)
                .help("mend those that are listed and run again"),
            );
        }
    }
}
