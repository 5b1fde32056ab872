//! References: well formed, known, and fit for the field that they stand in.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Check;
use super::kind;
use crate::catalog::{Field, Kind, Secrecy, nearest_of};
use crate::diagnostic::{Finding, Part, code, hides_secret, quoted};
use crate::pointer::{child, for_people, item, steps};
use crate::reference::{self, ReferenceError, Segment};

impl Check<'_> {
    /// Checks the references anywhere inside a value whose kind does not matter.
    pub(super) fn check_references(
        &self,
        pointer: &str,
        value: &Value,
        findings: &mut Vec<Finding>,
    ) {
        match value {
            Value::String(text) => {
                self.segments(pointer, text, findings);
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.check_references(&item(pointer, index), value, findings);
                }
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.check_references(&child(pointer, key), value, findings);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Checks a text that looks as if it held references, in a field of some kind.
    pub(super) fn check_template(
        &self,
        pointer: &str,
        kind: &'static Kind,
        text: &str,
        findings: &mut Vec<Finding>,
    ) {
        let Some(segments) = self.segments(pointer, text, findings) else { return };
        let Some(value) = self.resolve(&segments) else {
            // A reference is a text or a scalar at most, never a list or a mapping.
            if matches!(kind, Kind::List(_) | Kind::Set(_) | Kind::Object(_) | Kind::Map(_)) {
                let misfit = kind::fit(kind, None, &Value::String(String::new()));
                findings.extend(misfit.map(|misfit| misfit.finding(pointer)));
            }
            return;
        };
        let Some(misfit) = kind::fit(kind, None, &value) else { return };
        let mut finding = misfit.finding(pointer);
        if segments.iter().any(|s| matches!(s, Segment::Var(_))) {
            finding.code = &code::BAD_VAR_VALUE;
            finding.message.push_str(", with the variables of this target");
            finding.of_target = true;
        }
        findings.push(finding);
    }

    /// Splits a text into segments, and says what is wrong with them.
    pub(super) fn segments<'t>(
        &self,
        pointer: &str,
        text: &'t str,
        findings: &mut Vec<Finding>,
    ) -> Option<Vec<Segment<'t>>> {
        match reference::parse(text) {
            Err(error) => {
                let top = steps(pointer).next().and_then(|top| self.connection_type.field(&top));
                let is_plain = |field: Option<&Field>| {
                    field.is_some_and(|field| matches!(field.secrecy, Secrecy::Plain))
                };
                let may_show = is_plain(top)
                    && is_plain(self.connection_type.field_at(pointer))
                    && !hides_secret(text);
                findings.push(if may_show {
                    malformed(pointer, text, &error)
                } else {
                    malformed_secret(pointer)
                });
                None
            }
            Ok(segments) => {
                for segment in &segments {
                    if let Segment::Var(name) = segment {
                        self.check_var(pointer, name, findings);
                    }
                }
                if let Some(misnamed) = reference::misnamed_variable(text) {
                    findings.push(misnamed_variable(pointer, misnamed));
                }
                Some(segments)
            }
        }
    }

    fn check_var(&self, pointer: &str, name: &str, findings: &mut Vec<Finding>) {
        let Some(vars) = self.vars else { return };
        let part = Part::Text(format!("${{var:{name}}}"));
        let finding = match vars.get(name) {
            None => {
                let help = match nearest_of(vars.keys(), name, |known| known.as_str()) {
                    Some(nearest) => format!("did you mean `${{var:{nearest}}}`?"),
                    None => format!("add `{name}` to the `vars` of the target"),
                };
                let message = format!("the target has no variable {}", quoted(name));
                Finding::error(&code::UNKNOWN_VAR, pointer, message).help(help)
            }
            Some(Value::Array(_) | Value::Object(_) | Value::Null) => {
                let message = format!("the variable {} is no plain value", quoted(name));
                Finding::error(&code::BAD_VAR_VALUE, pointer, message)
                    .help("variables are texts, numbers and booleans")
            }
            Some(_) => return,
        };
        findings.push(finding.part(part).of_target());
    }

    /// The value of segments; `None`: only the environment, Apinizer or the target's variables can
    /// say it.
    fn resolve(&self, segments: &[Segment<'_>]) -> Option<Value> {
        if let [Segment::Var(name)] = segments {
            return self.var(name).cloned();
        }
        let mut text = String::new();
        for segment in segments {
            match segment {
                Segment::Text(plain) => text.push_str(plain),
                Segment::Var(name) => text.push_str(&text_of(self.var(name)?)),
                Segment::Env(_) | Segment::Apinizer(_) => return None,
            }
        }
        Some(Value::String(text))
    }

    /// The value of a variable, where it is known and plain.
    fn var(&self, name: &str) -> Option<&Value> {
        let value = self.vars?.get(name)?;
        matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)).then_some(value)
    }

    /// The fields with the target's variables in their places; other references stay as written.
    pub(super) fn resolved_fields(&self) -> Cow<'_, Map<String, Value>> {
        if self.vars.is_none() || !self.fields.values().any(holds_var) {
            return Cow::Borrowed(self.fields);
        }
        let mut fields = self.fields.clone();
        for value in fields.values_mut() {
            self.put_vars(value);
        }
        Cow::Owned(fields)
    }

    fn put_vars(&self, value: &mut Value) {
        match value {
            Value::String(text) if text.contains("${var:") => {
                let Ok(segments) = reference::parse(text) else { return };
                *value = match self.resolve(&segments) {
                    Some(value @ (Value::Number(_) | Value::Bool(_))) => value,
                    _ => Value::String(self.with_vars(&segments)),
                };
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.put_vars(item)),
            Value::Object(entries) => entries.values_mut().for_each(|value| self.put_vars(value)),
            _ => {}
        }
    }

    fn with_vars(&self, segments: &[Segment<'_>]) -> String {
        let mut text = String::new();
        for segment in segments {
            match segment {
                Segment::Text(plain) => text.push_str(&reference::escape(plain)),
                Segment::Env(name) => text.push_str(&format!("${{env:{name}}}")),
                Segment::Apinizer(name) => text.push_str(&format!("${{{name}}}")),
                Segment::Var(name) => match self.var(name) {
                    Some(value) => text.push_str(&reference::escape(&text_of(value))),
                    None => text.push_str(&format!("${{var:{name}}}")),
                },
            }
        }
        text
    }
}

/// A plain value as it stands inside a text.
fn text_of(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| value.to_string().into(), Cow::from)
}

fn holds_var(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${var:"),
        Value::Array(items) => items.iter().any(holds_var),
        Value::Object(entries) => entries.values().any(holds_var),
        _ => false,
    }
}

/// A malformed reference in a field that hides no secret, so that its text may be repeated.
fn malformed(pointer: &str, text: &str, error: &ReferenceError) -> Finding {
    let from = text.get(error.offset()..).unwrap_or_default();
    let end = from.find('}').map_or(from.len(), |end| end + 1);
    let written: String = from.get(..end).unwrap_or_default().chars().take(60).collect();
    Finding::error(&code::BAD_REFERENCE, pointer, format!("in `{}`: {error}", for_people(pointer)))
        .part(Part::Text(written))
        .help("write `$${` for text that only looks like a reference")
}

/// Text that looks like one of Apinizer's variables.
fn misnamed_variable(pointer: &str, written: &str) -> Finding {
    let message = format!(
        "{} in `{}` is no variable of Apinizer's: their names have letters, digits, `_` and `.`",
        quoted(written),
        for_people(pointer)
    );
    Finding::warning(&code::BAD_REFERENCE, pointer, message)
        .part(Part::Text(written.to_owned()))
        .help("correct the name if it is meant as a variable; it is sent as it is written")
}

/// A malformed reference in a field that is or hides a secret.
pub(super) fn malformed_secret(pointer: &str) -> Finding {
    Finding::error(
        &code::BAD_REFERENCE,
        pointer,
        format!("the reference in `{}` is not well formed", for_people(pointer)),
    )
    .help("write `${env:NAME}`, where the name has letters, digits and `_`")
}
