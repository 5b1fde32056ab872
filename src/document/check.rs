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
use crate::catalog::{self, ConnectionType, did_you_mean_type};
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
        let types = format!("the types are {}", all_types());
        let help = if name == "ops-genie" { types } else { did_you_mean_type(name, types) };
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
    let findings = Check::new(name, connection_type, fields, None, false).run();
    let mut refused = BTreeMap::new();
    for finding in findings.into_iter().filter(Finding::is_error) {
        if let Some(top) = steps(&finding.pointer).next() {
            refused.entry(top.into_owned()).or_insert(finding.code);
        }
    }
    refused
}

/// The checks of one document.
pub(crate) struct Check<'a> {
    /// The connection's name, from which names of variables are made.
    name: &'a str,
    connection_type: &'static ConnectionType,
    /// The declared fields without `type`, `name` and `x-gitops`.
    fields: &'a Map<String, Value>,
    /// The target's variables; `None`: not known, so nothing is said of them.
    vars: Option<&'a BTreeMap<String, Value>>,
    /// Whether no earlier path could have declared what is missing.
    patches_nothing: bool,
    findings: Vec<Finding>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(
        name: &'a str,
        connection_type: &'static ConnectionType,
        fields: &'a Map<String, Value>,
        vars: Option<&'a BTreeMap<String, Value>>,
        patches_nothing: bool,
    ) -> Self {
        let findings = Vec::new();
        Self { name, connection_type, fields, vars, patches_nothing, findings }
    }

    /// The problems by all rules.
    pub(crate) fn run(mut self) -> Vec<Finding> {
        if self.check_keys() {
            return self.findings;
        }
        self.check_fields();
        let resolved = self.resolved_fields();
        self.check_required(&resolved);
        self.check_hidden(&resolved);
        if self.findings.len() > MOST_FINDINGS {
            // Errors stay: a document with one is refused.
            self.findings.sort_by_key(|finding| finding.severity);
            self.findings.truncate(MOST_FINDINGS);
            let message = format!("the document has more than {MOST_FINDINGS} problems");
            self.findings.push(
                Finding::warning(&code::TOO_MANY, "", message)
                    .part(Part::Start)
                    .help("mend those that are listed and run again"),
            );
        }
        self.findings
    }
}
