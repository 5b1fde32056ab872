//! References: well formed, known, and fit for the field that they stand in.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Check;
use super::kind;
use crate::catalog::{Field, Kind, Secrecy, nearest_of};
use crate::diagnostic::{Finding, Part, code, hides_secret, quoted};
use crate::pointer::{any_text, each_text, for_people, steps, with_texts};
use crate::reference::{self, ReferenceError, Segment};

impl<'a> Check<'a> {
    /// Checks the references anywhere inside a value whose kind does not matter.
    pub(super) fn check_references(&mut self, pointer: &str, value: &Value) {
        each_text(pointer, value, &mut |pointer, text| {
            self.segments(pointer, text);
        });
    }

    /// Checks a text that looks as if it held references, in a field of some kind.
    pub(super) fn check_template(&mut self, pointer: &str, kind: &'static Kind, text: &str) {
        let Some(segments) = self.segments(pointer, text) else { return };
        let Some(value) = self.resolve(&segments) else {
            // A reference is a text or a scalar at most, never a list or a mapping.
            if matches!(kind, Kind::List(_) | Kind::Set(_) | Kind::Object(_) | Kind::Map(_)) {
                let empty = Value::String(String::new());
                self.findings.extend(kind::fit(pointer, kind, None, &empty));
            }
            return;
        };
        let Some(mut finding) = kind::fit(pointer, kind, None, &value) else { return };
        if segments.iter().any(|s| matches!(s, Segment::Var(_))) {
            finding.code = &code::BAD_VAR_VALUE;
            finding.message.push_str(", with the variables of this target");
            finding.of_target = true;
        }
        self.findings.push(finding);
    }

    /// Splits a text into segments, and says what is wrong with them.
    pub(super) fn segments<'t>(
        &mut self,
        pointer: &str,
        text: &'t str,
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
                self.findings.push(if may_show {
                    malformed(pointer, text, &error)
                } else {
                    malformed_secret(pointer)
                });
                None
            }
            Ok(segments) => {
                for segment in &segments {
                    if let Segment::Var(name) = segment {
                        self.check_var(pointer, name);
                    }
                }
                if let Some(misnamed) = reference::misnamed_variable(text) {
                    self.findings.push(misnamed_variable(pointer, misnamed));
                }
                Some(segments)
            }
        }
    }

    fn check_var(&mut self, pointer: &str, name: &str) {
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
        self.findings.push(finding.part(part).of_target());
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
    pub(super) fn resolved_fields(&self) -> Cow<'a, Map<String, Value>> {
        let holds_var = |value: &Value| any_text(value, &|text| text.contains("${var:"));
        if self.vars.is_none() || !self.fields.values().any(holds_var) {
            return Cow::Borrowed(self.fields);
        }
        let resolved = |value| with_texts(value, &mut |text| self.with_vars(text));
        Cow::Owned(self.fields.iter().map(|(key, value)| (key.clone(), resolved(value))).collect())
    }

    fn with_vars(&self, text: &str) -> Value {
        let segments = match reference::parse(text) {
            Ok(segments) if text.contains("${var:") => segments,
            _ => return Value::from(text),
        };
        if let Some(value @ (Value::Number(_) | Value::Bool(_))) = self.resolve(&segments) {
            return value;
        }
        let written = segments.iter().map(|segment| match segment {
            Segment::Var(name) => match self.var(name) {
                Some(value) => reference::escape(&text_of(value)).into_owned(),
                None => segment.to_string(),
            },
            other => other.to_string(),
        });
        Value::String(written.collect())
    }
}

/// A plain value as it stands inside a text.
fn text_of(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| value.to_string().into(), Cow::from)
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
