//! The fields of a live connection that are not written, and why. Live may hold values that no
//! document may, such as a port of 0; a field that is not declared keeps what it has, so a
//! document without it still plans to nothing.

use serde_json::{Map, Value};

use super::KnownReferences;
use crate::catalog::{ConnectionType, Required, hidden};
use crate::document;
use crate::pointer;
use crate::secret::SENSITIVE;

/// A field of a live connection that is not in its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Its name.
    pub(super) field: String,
    /// Why, without its value.
    pub(super) why: String,
}

/// Why no document can be written.
#[derive(Debug)]
pub(super) struct Undeclarable {
    field: String,
    /// Why it was taken out, where live has it.
    why: Option<String>,
    /// Git declares it, so that a document without it would take it away; else the type needs it.
    is_declared: bool,
}

impl std::fmt::Display for Undeclarable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let field = &self.field;
        let needed = if self.is_declared { "declared by git" } else { "needed" };
        match &self.why {
            Some(why) => write!(f, "`{field}` is {needed}, and it cannot be written: {why}"),
            None => write!(f, "`{field}` is missing"),
        }
    }
}

/// Takes out the secrets, and what holds them, that are no texts: a reference would stand for the
/// text of them, which is another value.
pub(super) fn what_no_reference_stands_for(
    connection_type: &'static ConnectionType,
    fields: &mut Map<String, Value>,
) -> Vec<LeftOut> {
    let parts = hidden::secret_parts(connection_type, fields);
    let is_odd = |pointer: &str| {
        let value = pointer::look_up(fields, pointer);
        value.is_some_and(|value| !value.is_string() && !value.is_null())
    };
    let odd = parts.iter().filter(|part| is_odd(&part.pointer));
    let odd: Vec<String> =
        odd.filter_map(|part| Some(pointer::steps(&part.pointer).next()?.into_owned())).collect();
    let mut left_out = Vec::new();
    for field in odd {
        if fields.shift_remove(&field).is_some() {
            left_out.push(LeftOut { field, why: "its secret is not a text".to_owned() });
        }
    }
    left_out
}

/// Takes out what still shows a value of the environment after references took its place, as keys
/// and encoded texts do.
pub(super) fn what_shows_secrets(
    fields: &mut Map<String, Value>,
    known: &KnownReferences,
) -> Vec<LeftOut> {
    let mut left_out = Vec::new();
    fields.retain(|key, value| {
        let shows_key = known.is_shown_in_name(key);
        let shows = shows_key || known.is_shown_by(value);
        if shows {
            let field = if shows_key { SENSITIVE } else { key }.to_owned();
            left_out.push(LeftOut { field, why: "it shows a value of the environment".to_owned() });
        }
        !shows
    });
    left_out
}

/// Takes out what `validate` would refuse. Where that is a field that is missing because of what
/// another one says, it is the other one.
///
/// # Errors
/// A field is missing that every connection of the type needs.
pub(super) fn what_is_refused(
    connection_type: &'static ConnectionType,
    name: &str,
    fields: &mut Map<String, Value>,
    left_out: &mut Vec<LeftOut>,
) -> Result<(), Undeclarable> {
    loop {
        let refused = document::refused(connection_type, name, fields);
        let Some((first, _)) = refused.first_key_value() else { return Ok(()) };
        let before = left_out.len();
        for (field, code) in &refused {
            let culprits = if fields.contains_key(field) {
                vec![(field.as_str(), code.title.to_owned())]
            } else {
                let why = format!("it asks for `{field}`, which is not there");
                askers(connection_type, field).map(|asker| (asker, why.clone())).collect()
            };
            for (field, why) in culprits {
                if fields.shift_remove(field).is_some() {
                    left_out.push(LeftOut { field: field.to_owned(), why });
                }
            }
        }
        if left_out.len() == before {
            let why = left_out.iter().find(|out| out.field == *first).map(|out| out.why.clone());
            return Err(Undeclarable { field: first.clone(), why, is_declared: false });
        }
    }
}

/// Sees to it that nothing was left out that git declares, by the JSON pointers of that.
///
/// # Errors
/// A field was.
pub(super) fn what_git_declares<'p>(
    declared: impl Iterator<Item = &'p str>,
    left_out: &[LeftOut],
) -> Result<(), Undeclarable> {
    for path in declared {
        let top = pointer::steps(path).next().unwrap_or_default();
        if let Some(LeftOut { field, why }) = left_out.iter().find(|out| out.field == top) {
            let (field, why) = (field.clone(), Some(why.clone()));
            return Err(Undeclarable { field, why, is_declared: true });
        }
    }
    Ok(())
}

/// The fields whose values make another one needed.
fn askers(connection_type: &ConnectionType, field: &str) -> impl Iterator<Item = &'static str> {
    let condition = match connection_type.field(field).map(|field| &field.required) {
        Some(Required::When(condition)) => condition.fields(),
        _ => Vec::new(),
    };
    condition.into_iter()
}
