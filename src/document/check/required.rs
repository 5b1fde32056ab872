//! Required fields, after overlays.

use serde_json::{Map, Value};

use super::Check;
use super::secrets::variable;
use crate::catalog::{Default, Field, Kind, Required};
use crate::diagnostic::{Finding, Severity, code};
use crate::pointer::{child, for_people};

impl Check<'_> {
    /// Checks the top-level fields; `resolved` has the target's variables in it, since what is
    /// required may hang on one.
    pub(super) fn check_required(&mut self, resolved: &Map<String, Value>) {
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
    pub(super) fn check_required_inside(
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
        let severity = if is_disputed { Severity::Warning } else { finding.severity };
        Finding { severity, ..finding }
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
