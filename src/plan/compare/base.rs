//! The base of fields: making it, keeping it, and asking whether live still agrees with it.

use serde_json::Value;

use super::{CompareRules, Keys};
use crate::catalog::{ConnectionType, Defaults, Field};
use crate::desired::{DesiredConnection, DesiredField};
use crate::plan::equality::{equal_with, other_spellings};
use crate::record::{Base, BaseField};

/// The base of a connection all of whose declared fields are as git has them. Fields that others
/// may edit are not git's.
pub(crate) fn base_of(desired: &DesiredConnection, keys: Keys<'_>, stateless: bool) -> Base {
    let owned = desired.fields.iter().filter(|field| !desired.ignores(&field.path));
    let fields = owned.filter_map(|field| {
        let base = match field.value() {
            Some(value) => written(field, value, keys),
            // A revision's text is its base even in a run that looks no value up.
            None if stateless => text_of(field),
            None => return None,
        };
        Some((field.path.clone(), base))
    });
    fields.collect()
}

fn text_of(field: &DesiredField) -> BaseField {
    BaseField { declared: field.declared.clone(), print: None, unverified: false }
}

/// The base of a field whose write was acknowledged.
pub(super) fn written(field: &DesiredField, value: &Value, keys: Keys<'_>) -> BaseField {
    let print = field.holds_reference().then(|| keys.key.of(&field.path, value));
    BaseField { print, ..text_of(field) }
}

/// The base of a field that was found equal: the older fingerprint stays where it still holds,
/// so that a state in sync is not rewritten.
pub(super) fn agreed(
    field: &DesiredField,
    value: &Value,
    older: Option<&BaseField>,
    keys: Keys<'_>,
) -> BaseField {
    let older = older.and_then(|older| older.print.as_ref());
    match older.filter(|_| field.holds_reference() && keys.is_known) {
        Some(print) if keys.key.matches(print, &field.path, value) => {
            BaseField { print: Some(print.clone()), ..text_of(field) }
        }
        _ => written(field, value, keys),
    }
}

/// Whether live still holds what the base of a field says.
pub(super) fn matches_base(
    (field, defaults): (Option<&Field>, Option<Defaults>),
    path: &str,
    older: &BaseField,
    live: Option<&Value>,
    keys: Keys<'_>,
) -> bool {
    match &older.print {
        None => equal_with(defaults, field, Some(&older.declared), live),
        Some(print) if keys.is_known => {
            let seen = live.unwrap_or(&Value::Null);
            let spellings = other_spellings(field, seen);
            std::iter::once(seen)
                .chain(&spellings)
                .any(|spelling| keys.key.matches(print, path, spelling))
        }
        Some(_) => false,
    }
}

/// The catalog's field at a pointer.
pub(crate) fn field_at(own_type: &'static ConnectionType, path: &str) -> Option<&'static Field> {
    let mut steps = path.strip_prefix('/')?.split('/');
    let mut field = own_type.field(steps.next()?)?;
    for step in steps {
        field = field.kind.field(step)?;
    }
    Some(field)
}

/// The catalog's field at the pointer of an owned field.
pub(in crate::plan) fn catalog_field(
    desired: &DesiredConnection,
    path: &str,
) -> Option<&'static Field> {
    field_at(desired.connection_type, path)
}

impl CompareRules<'_> {
    /// The base of a connection that was written as git has it.
    pub(crate) fn base_of(&self, desired: &DesiredConnection) -> Base {
        base_of(desired, self.keys, self.stateless)
    }
}
