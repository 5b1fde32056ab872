//! The base of fields: making it, keeping it, and asking whether live still agrees with it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Context, LiveView};
use crate::catalog::{ConnectionType, Field, Secrecy};
use crate::desired::{DesiredConnection, DesiredField, holds_env};
use crate::inventory::BaseField;
use crate::plan::equality::{equal, other_spellings};
use crate::secret::FingerprintKey;

/// The base of a connection all of whose declared fields are as git has them. Fields that others
/// may edit are not git's.
pub(crate) fn base_of(
    desired: &DesiredConnection,
    context: &Context<'_>,
) -> BTreeMap<String, BaseField> {
    desired
        .fields()
        .iter()
        .filter(|field| !desired.ignores(&field.path))
        .filter_map(|field| {
            let base = match field.value() {
                Some(value) => written(field, value, context),
                // A revision's text is its base even in a run that looks no value up.
                None if context.stateless => {
                    BaseField { declared: field.declared.clone(), print: None, unverified: false }
                }
                None => return None,
            };
            Some((field.path.to_string(), base))
        })
        .collect()
}

/// The base of a field whose write was acknowledged.
pub(super) fn written(field: &DesiredField, value: &Value, context: &Context<'_>) -> BaseField {
    let print = field.holds_reference().then(|| context.key.of(&field.path, value));
    BaseField { declared: field.declared.clone(), print, unverified: false }
}

/// The base of a field that was found equal: the older fingerprint stays where it still holds,
/// so that a state in sync is not rewritten.
pub(super) fn agreed(
    field: &DesiredField,
    older: Option<&BaseField>,
    context: &Context<'_>,
) -> BaseField {
    let Some(value) = field.value() else {
        return BaseField { declared: field.declared.clone(), print: None, unverified: false };
    };
    if let Some(BaseField { print: Some(print), .. }) = older
        && field.holds_reference()
        && context.key_is_known
        && context.key.matches(print, &field.path, value)
    {
        return BaseField {
            declared: field.declared.clone(),
            print: Some(print.clone()),
            unverified: false,
        };
    }
    written(field, value, context)
}

/// Whether live still holds what the base says.
pub(super) fn matches_base(
    field: Option<&Field>,
    older: &BaseField,
    live_value: Option<&Value>,
    path: &str,
    context: &Context<'_>,
) -> bool {
    is_base(field, older, live_value, path, context.key, context.key_is_known)
}

fn is_base(
    field: Option<&Field>,
    older: &BaseField,
    live_value: Option<&Value>,
    path: &str,
    key: &FingerprintKey,
    key_is_known: bool,
) -> bool {
    match &older.print {
        None => equal(field, Some(&older.declared), live_value),
        Some(print) if key_is_known => {
            let seen = live_value.cloned().unwrap_or(Value::Null);
            key.matches(print, path, &seen)
                || other_spellings(field, &seen)
                    .iter()
                    .any(|spelling| key.matches(print, path, spelling))
        }
        Some(_) => false,
    }
}

/// Whether live shows a connection as a call sent it, in all that can be read.
#[must_use]
pub fn is_as_sent(
    intent: &crate::inventory::Intent,
    live: &LiveView<'_>,
    key: &FingerprintKey,
    key_is_known: bool,
) -> bool {
    let mut sent = intent.base.fields();
    sent.retain(|path, _| !intent.kept.contains(path));
    shows(&intent.type_name, &sent, live, key, key_is_known)
}

/// Whether live still shows a connection of the inventory as its base has it, in all that can
/// be read.
#[must_use]
pub fn is_as_declared(
    owned: &crate::inventory::Owned,
    live: &LiveView<'_>,
    key: &FingerprintKey,
    key_is_known: bool,
) -> bool {
    shows(&owned.type_name, &owned.base.fields(), live, key, key_is_known)
}

fn shows(
    type_name: &str,
    base: &BTreeMap<String, BaseField>,
    live: &LiveView<'_>,
    key: &FingerprintKey,
    key_is_known: bool,
) -> bool {
    let Some(connection_type) = crate::catalog::find(type_name) else { return false };
    live.entry.type_name == type_name
        && base.iter().all(|(path, older)| {
            let field = field_at(connection_type, path);
            let is_secret = field.is_some_and(|f| matches!(f.secrecy, Secrecy::Secret { .. }));
            let not_looked_at = older.print.is_none() && holds_env(&older.declared);
            is_secret
                || not_looked_at
                || is_base(field, older, live.get(path), path, key, key_is_known)
        })
}

/// The catalog's field at a pointer.
pub(in crate::plan) fn field_at(
    connection_type: &'static ConnectionType,
    path: &str,
) -> Option<&'static Field> {
    let mut steps = path.strip_prefix('/')?.split('/');
    let mut field = connection_type.field(steps.next()?)?;
    for step in steps {
        let crate::catalog::Kind::Object(named) = &field.kind else { return None };
        field = named.iter().find(|f| f.name == step)?;
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
