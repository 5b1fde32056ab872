//! The rules of one document: type, fields, references, secrets, required fields.
//!
//! Everything here is a function of the merged value, the catalog and the target's variables. No
//! message holds a value of a field that is, or may hide, a secret.

mod kind;
mod secrets;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::options::no_reference;
use crate::catalog::{
    self, ConnectionType, Default, Field, Kind, OPTIONS_KEY, Required, did_you_mean_type,
    is_bookkeeping, nearest_of,
};
use crate::diagnostic::{Finding, Part, Severity, code, is_secret_in_key, quoted};
use crate::pointer::{child, for_people, item, steps};
use crate::reference::holds_reference;
use crate::secret::SENSITIVE;

use secrets::variable;

pub(crate) use kind::texts_to_numbers;

/// The most problems that are listed of one document.
const MOST_FINDINGS: usize = 100;

/// Finds the type of a document.
pub(crate) fn connection_type(
    head: &Map<String, Value>,
    patches_nothing: bool,
    findings: &mut Vec<Finding>,
) -> Option<&'static ConnectionType> {
    let pointer = "/type";
    let value = head.get("type").filter(|value| !value.is_null());
    let Some(value) = value else {
        findings.push(if patches_nothing {
            Finding::error(
                &code::INCOMPLETE_PATCH,
                "",
                "no earlier path declares this connection, and the document has no `type` to \
                 stand on its own"
                    .to_owned(),
            )
            .part(Part::FirstLine)
        } else {
            Finding::error(&code::TYPE_MISSING, "", "the document has no `type`".to_owned())
                .part(Part::FirstLine)
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
pub(crate) fn refused_fields(
    connection_type: &'static ConnectionType,
    name: &str,
    fields: &Map<String, Value>,
) -> BTreeMap<String, &'static str> {
    let findings = Check::new(name, connection_type, fields, None, false).run();
    let mut refused = BTreeMap::new();
    for finding in findings.into_iter().filter(Finding::is_error) {
        if let Some(top) = steps(&finding.pointer).next() {
            refused.entry(top.into_owned()).or_insert(code::title(finding.problem.code));
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
            self.findings.sort_by_key(|finding| finding.problem.severity);
            self.findings.truncate(MOST_FINDINGS);
            let message = format!("the document has more than {MOST_FINDINGS} problems");
            self.findings
                .push(Finding::warning(&code::TOO_MANY, "", message).part(Part::FirstLine));
        }
        self.findings
    }
}

// Known and unknown fields, and values that fit their kinds, all the way down.

impl Check<'_> {
    fn check_fields(&mut self) {
        for (key, value) in self.fields {
            let pointer = child("", key);
            match self.connection_type.field(key) {
                Some(field) => self.check_field(&pointer, field, value),
                None => self.check_unknown_top(&pointer, key, value),
            }
        }
    }

    fn check_unknown_top(&mut self, pointer: &str, key: &str, value: &Value) {
        if is_bookkeeping(self.connection_type, key) {
            self.findings.push(
                Finding::warning(
                    &code::SERVER_FIELD,
                    pointer,
                    format!("{} is the server's own bookkeeping and is never sent", quoted(key)),
                )
                .part(Part::Key)
                .help("remove it"),
            );
            return;
        }
        let known = self.connection_type.fields().map(|field| field.name);
        let what = format!("a connection of type `{}`", self.connection_type.name);
        self.findings.push(unknown(
            pointer,
            key,
            known.chain([OPTIONS_KEY]),
            &what,
            self.findings.len(),
        ));
        self.check_references(pointer, value);
    }

    fn check_field(&mut self, pointer: &str, field: &'static Field, value: &Value) {
        if field.filled_by_server && !matches!(field.required, Required::Always) {
            let message = format!("the server fills {} by itself", quoted(field.name));
            self.findings
                .push(Finding::warning(&code::SERVER_FIELD, pointer, message).part(Part::Key));
        }
        if field.is_secret() {
            self.check_secret(pointer, field, value);
        } else {
            self.check_value(pointer, &field.kind, field.default, value);
        }
    }

    fn check_value(
        &mut self,
        pointer: &str,
        kind: &'static Kind,
        default: Option<Default>,
        value: &Value,
    ) {
        match (kind, value) {
            (_, Value::Null) => {}
            (Kind::List(inner) | Kind::Set(inner), Value::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    self.check_value(&item(pointer, index), inner, None, value);
                }
            }
            (Kind::Object(fields), Value::Object(entries)) => {
                self.check_object(pointer, fields, entries);
            }
            (Kind::Map(inner), Value::Object(entries)) => {
                for (key, value) in entries {
                    self.check_value(&child(pointer, key), inner, None, value);
                }
            }
            (Kind::Any, value) => self.check_references(pointer, value),
            (Kind::Bytes, Value::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    let pointer = item(pointer, index);
                    match value {
                        Value::String(_) | Value::Number(_) | Value::Null => {
                            self.check_references(&pointer, value);
                        }
                        _ => {
                            let problem = "holds base64 texts";
                            self.findings.push(kind::wrong(&pointer, problem, kind::AS_BASE64));
                        }
                    }
                }
            }
            (_, Value::String(text)) if text.contains("${") => {
                self.check_template(pointer, kind, text);
            }
            (kind, value) => self.findings.extend(kind::fit(pointer, kind, default, value)),
        }
    }

    fn check_object(
        &mut self,
        pointer: &str,
        fields: &'static [Field],
        entries: &Map<String, Value>,
    ) {
        for (key, value) in entries {
            let inner = child(pointer, key);
            match fields.iter().find(|field| field.name == key) {
                Some(field) => self.check_field(&inner, field, value),
                None => {
                    let what = format!("`{}`", for_people(pointer));
                    let names = fields.iter().map(|field| field.name);
                    self.findings.push(unknown(&inner, key, names, &what, self.findings.len()));
                    self.check_references(&inner, value);
                }
            }
        }
        self.check_required_inside(pointer, fields, entries);
    }
}

fn unknown(
    pointer: &str,
    key: &str,
    known: impl Iterator<Item = &'static str>,
    what: &str,
    listed: usize,
) -> Finding {
    let name = if is_secret_in_key(key) { SENSITIVE.to_owned() } else { quoted(key) };
    let message = format!("{what} has no field {name}");
    let finding = Finding::warning(&code::UNKNOWN_FIELD, pointer, message).part(Part::Key);
    // Problems that are not listed need no hint.
    let nearest = if listed < MOST_FINDINGS { nearest_of(known, key, |name| name) } else { None };
    match nearest {
        Some(nearest) => {
            finding.help(format!("did you mean `{nearest}`? It is sent as it is written"))
        }
        None => finding.help("it is sent as it is written"),
    }
}

// Required fields, after overlays.

impl Check<'_> {
    /// Checks the top-level fields; `resolved` has the target's variables in it, since what is
    /// required may hang on one.
    fn check_required(&mut self, resolved: &Map<String, Value>) {
        for field in self.connection_type.fields() {
            let reason = match &field.required {
                Required::No => continue,
                Required::Always | Required::Disputed => {
                    format!("a connection of type `{}` needs it", self.connection_type.name)
                }
                Required::When(condition) => {
                    if !self.connection_type.holds(condition, resolved) {
                        continue;
                    }
                    format!("it is needed where {condition}")
                }
            };
            if is_missing(field, self.fields) {
                self.findings.push(self.missing("", field, &reason));
            } else if is_missing(field, resolved) {
                // Its variable holds nothing on this target.
                self.findings.push(self.missing("", field, &reason).of_target());
            }
        }
    }

    /// Checks the fields of an object inside a connection.
    fn check_required_inside(
        &mut self,
        pointer: &str,
        fields: &'static [Field],
        entries: &Map<String, Value>,
    ) {
        let find = |name: &str| fields.iter().find(|field| field.name == name);
        for field in fields {
            if field.required.holds(&find, entries) && is_missing(field, entries) {
                let reason = format!("`{}` needs it", for_people(pointer));
                self.findings.push(self.missing(pointer, field, &reason));
            }
        }
    }

    fn missing(&self, object: &str, field: &Field, reason: &str) -> Finding {
        let name = field.name;
        let help = if field.is_secret() {
            let variable = variable(self.name, &child(object, name));
            format!("add `{name}: ${{env:{variable}}}`, or `{name}: null` to leave it empty")
        } else {
            format!("add `{name}: {}`", example(field))
        };
        let overlay = if self.patches_nothing {
            ", and no earlier path declares this connection"
        } else {
            ""
        };
        let is_disputed = matches!(field.required, Required::Disputed);
        let says = if is_disputed { " by the guide, and the console does not" } else { "" };
        let message =
            format!("`{}` is missing: {reason}{says}{overlay}", for_people(&child(object, name)));
        let finding = Finding::error(&code::REQUIRED, child(object, name), message).help(help);
        if is_disputed { finding.severity(Severity::Warning) } else { finding }
    }
}

/// Whether a field has to be added: a documented default or the server's own value stands in for
/// an undeclared one, and a secret may be declared `null`.
fn is_missing(field: &Field, object: &Map<String, Value>) -> bool {
    if field.filled_by_server || has_value(field.default) {
        return false;
    }
    match object.get(field.name) {
        None => true,
        Some(Value::Null) => !field.is_secret(),
        Some(Value::String(text)) => text.is_empty() && !field.is_secret(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

fn has_value(default: Option<Default>) -> bool {
    !matches!(default, None | Some(Default::EmptyList | Default::EmptyMap))
}

fn example(field: &Field) -> String {
    match &field.kind {
        Kind::Choice(choices) => choices.words().next().unwrap_or("...").to_owned(),
        Kind::Integer { min, .. } => (*min).max(1).to_string(),
        Kind::Boolean => "true".to_owned(),
        Kind::List(_) | Kind::Set(_) => "[...]".to_owned(),
        Kind::Object(_) | Kind::Map(_) => "{...}".to_owned(),
        Kind::Text | Kind::Bytes | Kind::Any => "...".to_owned(),
    }
}
