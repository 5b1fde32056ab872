//! Conditions over the fields of one object: whether they hold, and how to say them.

use std::fmt;

use serde_json::{Map, Value};

use super::{Condition, ConnectionType, Field, Required, same_choice};

impl Condition {
    /// Whether it holds in an object; `field` finds the fields of that object, whose defaults
    /// stand for what is not declared, `null` or an empty text.
    pub fn holds(
        &self,
        field: &dyn Fn(&str) -> Option<&'static Field>,
        object: &Map<String, Value>,
    ) -> bool {
        match self {
            Self::Is(name, wanted) => {
                value_of(name, field, object).is_some_and(|value| match &value {
                    Value::String(text) => same_choice(text, wanted),
                    Value::Bool(value) => {
                        same_choice(if *value { "true" } else { "false" }, wanted)
                    }
                    Value::Number(number) => number.to_string() == *wanted,
                    _ => false,
                })
            }
            Self::Present(name) => value_of(name, field, object).is_some_and(|value| match value {
                Value::Array(items) => !items.is_empty(),
                Value::Object(map) => !map.is_empty(),
                _ => true,
            }),
            Self::Any(conditions) => conditions.iter().any(|c| c.holds(field, object)),
            Self::All(conditions) => conditions.iter().all(|c| c.holds(field, object)),
        }
    }

    /// The fields that it looks at.
    pub fn fields(&self) -> Vec<&'static str> {
        match self {
            Self::Is(name, _) | Self::Present(name) => vec![name],
            Self::Any(all) | Self::All(all) => all.iter().flat_map(Self::fields).collect(),
        }
    }
}

impl Required {
    /// Whether an object needs the field; `field` finds the fields of that object.
    pub(crate) fn holds(
        &self,
        field: &dyn Fn(&str) -> Option<&'static Field>,
        object: &Map<String, Value>,
    ) -> bool {
        match self {
            Self::No => false,
            Self::Always | Self::Disputed => true,
            Self::When(condition) => condition.holds(field, object),
        }
    }
}

impl ConnectionType {
    /// Whether a condition over top-level fields holds in a connection.
    pub fn holds(&self, condition: &Condition, fields: &Map<String, Value>) -> bool {
        condition.holds(&|name| self.field(name), fields)
    }
}

/// The declared value, else the default; nothing for what counts as not there.
fn value_of(
    name: &str,
    field: &dyn Fn(&str) -> Option<&'static Field>,
    object: &Map<String, Value>,
) -> Option<Value> {
    let there = |value: &Value| !value.is_null() && value.as_str() != Some("");
    object
        .get(name)
        .filter(|value| there(value))
        .cloned()
        .or_else(|| field(name)?.default.map(super::Default::to_json))
        .filter(there)
}

/// A condition in words: "`auth` is `true`".
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(name, value) => write!(f, "`{name}` is `{value}`"),
            Self::Present(name) => write!(f, "`{name}` is set"),
            Self::Any(conditions) => write_joined(f, conditions, " or "),
            Self::All(conditions) => write_joined(f, conditions, " and "),
        }
    }
}

fn write_joined(f: &mut fmt::Formatter<'_>, all: &[Condition], word: &str) -> fmt::Result {
    for (index, condition) in all.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        write!(f, "{condition}")?;
    }
    Ok(())
}
