//! Secrets are references, in their own fields and where they hide.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Check, kind};
use crate::catalog::{Field, Kind, Secrecy, hidden, nearest_of};
use crate::diagnostic::{Finding, Part, code, hides_secret, is_secret_in_key, quoted};
use crate::pointer::{any_text, child, each_text, for_people, item, steps, with_texts};
use crate::reference::{self, ReferenceError, Segment};

impl Check<'_> {
    /// Checks a field that is a secret as a whole.
    pub(super) fn check_secret(&mut self, pointer: &str, field: &'static Field, value: &Value) {
        let is_text = |segment: &Segment<'_>| matches!(segment, Segment::Text(_));
        let is_var = |segment: &Segment<'_>| matches!(segment, Segment::Var(_));
        let write = self.write_instead(pointer, field);
        let shown = for_people(pointer);
        let literal = |what: &str, help: String| {
            let message = format!("`{shown}` is a secret and {what}");
            Finding::error(&code::LITERAL_SECRET, pointer, message).help(help)
        };
        let finding = match value {
            Value::Null => return,
            Value::String(text) if text.is_empty() => {
                let help = format!("{write}; to empty it on purpose write `{}: null`", field.name);
                literal("is declared as an empty text", help)
            }
            Value::String(text) => match reference::parse(text) {
                Err(ReferenceError::BadApinizerName { .. }) => {
                    let help = "their names have letters, digits, `_` and `.`";
                    let help = format!("{help}; for a value from where this runs {write}");
                    literal("holds no variable of Apinizer's", help)
                }
                Err(_) => malformed_secret(pointer).help(write),
                Ok(segments) if segments.iter().any(is_text) => {
                    let help = format!("{write}; if the value was ever pushed, change it");
                    literal("is written out in the file", help)
                }
                Ok(segments) if segments.iter().any(is_var) => {
                    let message = format!("`{shown}` is a secret, and variables are plain");
                    Finding::error(&code::SECRET_FROM_VAR, pointer, message).help(write)
                }
                Ok(_) => return,
            },
            _ => literal("takes references only", write),
        };
        self.findings.push(finding);
    }

    /// How to write a secret instead of its text.
    fn write_instead(&self, pointer: &str, field: &Field) -> String {
        let (name, variable) = (field.name, variable(self.name, pointer));
        let file = match field.kind {
            Kind::Bytes => format!(", or `{variable}_FILE` to a file that holds its base64 text"),
            _ => String::new(),
        };
        format!("write `{name}: ${{env:{variable}}}`, and set `{variable}` where this runs{file}")
    }

    /// Finds the keys that hold a secret themselves, which is what becomes of a forgotten colon in
    /// braces. Nothing else can be said of such a document without showing it.
    pub(super) fn check_keys(&mut self) -> bool {
        self.check_keys_of("", self.fields);
        !self.findings.is_empty()
    }

    fn check_keys_of(&mut self, pointer: &str, fields: &Map<String, Value>) {
        for (key, value) in fields {
            let pointer = child(pointer, key);
            // With a value it may be what a free mapping calls one.
            if value.is_null() && is_secret_in_key(key) {
                let message = "a key speaks of a secret and holds more than a name".to_owned();
                self.findings.push(
                    Finding::error(&code::LITERAL_SECRET, pointer, message)
                        .part(Part::Key)
                        .help("write `key: ${env:NAME}`, with a colon and a space after the key"),
                );
            } else {
                self.check_keys_in(&pointer, value);
            }
        }
    }

    fn check_keys_in(&mut self, pointer: &str, value: &Value) {
        match value {
            Value::Object(fields) => self.check_keys_of(pointer, fields),
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.check_keys_in(&item(pointer, index), value);
                }
            }
            _ => {}
        }
    }

    /// Checks the places where secrets hide, as they are written and as they are once the
    /// target's variables are in them.
    pub(super) fn check_hidden(&mut self, resolved: &Map<String, Value>) {
        let written = hidden::literal_secrets(self.connection_type, self.fields);
        let of_vars = if std::ptr::eq(resolved, self.fields) {
            Vec::new()
        } else {
            hidden::literal_secrets(self.connection_type, resolved)
        };
        for literal in &written {
            self.findings.push(
                Finding::error(
                    &code::HIDDEN_SECRET,
                    &literal.pointer,
                    format!("{} is written out in the file", literal.what),
                )
                .help(&literal.advice),
            );
        }
        for literal in of_vars {
            if !written.iter().any(|known| known.pointer == literal.pointer) {
                // The advice would show the text with the values of variables in it.
                self.findings.push(
                    Finding::error(
                        &code::SECRET_FROM_VAR,
                        &literal.pointer,
                        format!("{} comes from a variable, and variables are plain", literal.what),
                    )
                    .of_target(),
                );
            }
        }
    }
}

/// A name for the environment variable of a field: `ORDER_MAILS_PASSWORD`.
pub(crate) fn variable(connection: &str, pointer: &str) -> String {
    let steps: Vec<_> = std::iter::once(connection.into()).chain(steps(pointer)).collect();
    let words: Vec<&str> = steps.iter().map(AsRef::as_ref).collect();
    match hidden::variable(&words) {
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("_{name}"),
        name => name,
    }
}

// References: well formed, known, and fit for the field that they stand in.

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
            finding.problem.code = code::BAD_VAR_VALUE.id;
            finding.problem.message.push_str(", with the variables of this target");
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
                self.findings.push(match error {
                    _ if may_show => malformed(pointer, text, &error),
                    ReferenceError::BadApinizerName { .. } => malformed(pointer, "", &error),
                    _ => malformed_secret(pointer),
                });
                None
            }
            Ok(segments) => {
                for segment in &segments {
                    if let Segment::Var(name) = segment {
                        self.check_var(pointer, name);
                    }
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
                let message = format!("the target has no var {}", quoted(name));
                Finding::error(&code::UNKNOWN_VAR, pointer, message).help(help)
            }
            Some(Value::Array(_) | Value::Object(_) | Value::Null) => {
                let message = format!("the var {} is no plain value", quoted(name));
                Finding::error(&code::BAD_VAR_VALUE, pointer, message)
                    .help("vars are texts, numbers and booleans")
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
        let with_vars = |text: &str| reference::with_vars(text, &|name| self.var(name));
        let resolved = |value| with_texts(value, &mut |text| with_vars(text));
        Cow::Owned(self.fields.iter().map(|(key, value)| (key.clone(), resolved(value))).collect())
    }
}

/// A plain value as it stands inside a text.
fn text_of(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| value.to_string().into(), Cow::from)
}

/// A malformed reference, with the text where it hides no secret and may be repeated.
fn malformed(pointer: &str, text: &str, error: &ReferenceError) -> Finding {
    let from = text.get(error.offset()..).unwrap_or_default();
    let end = from.find('}').map_or(from.len(), |end| end + 1);
    let written: String = from.get(..end).unwrap_or_default().chars().take(60).collect();
    Finding::error(&code::BAD_REFERENCE, pointer, format!("in `{}`: {error}", for_people(pointer)))
        .part(Part::Text(written))
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
