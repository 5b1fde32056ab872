//! Values of a config with their pointers, and the state of reading one.

use std::borrow::Cow;

use serde_json::Value;

use crate::environment::Environment;
use crate::pointer::{child, item};
use crate::secret::Sensitive;

use super::SecretText;
use super::code;
use super::problems::{Problems, error};

/// A value of the config and where it is.
#[derive(Clone, Debug)]
pub(super) struct Node<'v> {
    pub(super) value: &'v Value,
    pub(super) pointer: String,
}

impl<'v> Node<'v> {
    /// The values of a mapping by their keys; none of anything else.
    pub(super) fn entries(&self) -> Vec<(&'v str, Self)> {
        let entries = self.value.as_object().into_iter().flatten();
        let node = |key: &str, value| Node { value, pointer: child(&self.pointer, key) };
        entries.map(|(key, value)| (key.as_str(), node(key, value))).collect()
    }

    /// The values of a list; none of anything else.
    pub(super) fn items(&self) -> Vec<Self> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(|(index, value)| Node { value, pointer: item(&self.pointer, index) }).collect()
    }
}

/// The state of reading a config.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// The problems so far.
    pub(super) problems: Problems,
    /// Where references are resolved.
    pub(super) environment: &'a Environment,
    /// Whether a reference to an unset variable is an error.
    pub(super) strict: bool,
    /// The values that came from the environment.
    pub(super) resolved: Vec<Sensitive>,
}

impl Reader<'_> {
    /// The text of a single value as it is written; numbers and booleans too.
    pub(super) fn written<'v>(&self, node: &Node<'v>) -> Option<Cow<'v, str>> {
        let as_written = || self.problems.written(&node.pointer).map(str::to_owned);
        match node.value {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => {
                Some(Cow::Owned(as_written().unwrap_or_else(|| number.to_string())))
            }
            Value::Bool(flag) => Some(Cow::Owned(as_written().unwrap_or_else(|| flag.to_string()))),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Hides a value from snippets, unless it is made of references, which may be seen.
    pub(super) fn hide_unless_reference(&mut self, node: &Node<'_>) {
        let is_reference = |text: &Value| {
            text.as_str().is_some_and(|text| SecretText(text.to_owned()).is_reference())
        };
        if !is_reference(node.value) {
            self.problems.hide(&node.pointer);
        }
    }

    /// Notes that a value is of another kind than its key wants.
    pub(super) fn wrong_kind(&mut self, what: &str, wanted: &str, node: &Node<'_>) {
        self.hide_unless_reference(node);
        let found = match node.value {
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
            _ => "a single value",
        };
        let message = format!("{what} is {wanted}, and here is {found}");
        self.problems.add(&node.pointer, error(&code::WRONG_KIND, message));
    }
}
