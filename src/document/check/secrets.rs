//! Secrets are references, in their own fields and where they hide.

use serde_json::{Map, Value};

use super::Check;
use super::references::malformed_secret;
use crate::catalog::{Field, hidden};
use crate::diagnostic::{Finding, Part, code, is_secret_in_key};
use crate::pointer::steps;
use crate::pointer::{child, for_people, item};
use crate::reference::{self, Segment};

impl Check<'_> {
    /// Checks a field that is a secret as a whole.
    pub(super) fn check_secret(&mut self, pointer: &str, field: &'static Field, value: &Value) {
        let name = field.name;
        let write = || {
            let variable = variable(self.name, pointer);
            format!("write `{name}: ${{env:{variable}}}`, and set `{variable}` where this runs")
        };
        let literal = |what: &str| {
            Finding::error(
                &code::LITERAL_SECRET,
                pointer,
                format!("`{}` is a secret and {what}", for_people(pointer)),
            )
        };
        let text = match value {
            Value::Null => return,
            Value::String(text) if text.is_empty() => {
                let write = write();
                let help = format!("{write}; to empty it on purpose write `{name}: null`");
                self.findings.push(literal("is declared as an empty text").help(help));
                return;
            }
            Value::String(text) => text,
            _ => {
                self.findings.push(literal("takes references only").help(write()));
                return;
            }
        };
        let Ok(segments) = reference::parse(text) else {
            self.findings.push(malformed_secret(pointer).help(write()));
            return;
        };
        if reference::misnamed_variable(text) == Some(text) {
            let help = "their names have letters, digits, `_` and `.`";
            let help = format!("{help}; for a value from where this runs {}", write());
            self.findings.push(literal("holds no variable of Apinizer's").help(help));
        } else if segments.iter().any(|segment| matches!(segment, Segment::Text(_))) {
            let write = write();
            let help = format!("{write}; if the value was ever pushed, change it");
            self.findings.push(literal("is written out in the file").help(help));
        } else if segments.iter().any(|segment| matches!(segment, Segment::Var(_))) {
            self.findings.push(
                Finding::error(
                    &code::SECRET_FROM_VAR,
                    pointer,
                    format!("`{}` is a secret, and variables are plain", for_people(pointer)),
                )
                .help(write()),
            );
        }
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
                    .help("take it from the environment: `${env:NAME}`")
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
