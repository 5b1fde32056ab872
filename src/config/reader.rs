//! What reading a config needs, and what it gathers on the way.

use crate::environment::Environment;
use crate::secret::Sensitive;

use super::SecretText;
use super::code;
use super::problems::{Problem, Problems};
use super::yaml::{Node, Value};

/// What reading a config needs, and what it gathers on the way.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// What was found wrong.
    pub(super) problems: Problems,
    /// What references are resolved in.
    pub(super) environment: &'a Environment,
    /// Whether a reference to an unset variable is an error.
    pub(super) strict: bool,
    /// The values that came from the environment.
    pub(super) resolved: Vec<Sensitive>,
}

impl Reader<'_> {
    /// Hides a value from snippets, unless it is made of references, which may be seen.
    pub(super) fn hide_unless_reference(&mut self, node: &Node) {
        match &node.value {
            Value::Scalar { text, .. } if SecretText(text.clone()).is_reference() => {}
            _ => self.problems.hide(node.place),
        }
    }

    /// Notes that a value is of another kind than its key wants.
    pub(super) fn wrong_kind(&mut self, what: &str, wanted: &str, node: &Node) {
        self.hide_unless_reference(node);
        let found = match &node.value {
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        let message = format!("{what} is {wanted}, and here is {found}");
        self.problems.add(node.place, Problem::error(&code::WRONG_KIND, message));
    }
}
