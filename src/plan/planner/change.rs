//! Changes as they are written down, and the small questions that decide them.

use serde_json::Value;

use crate::desired::DesiredConnection;
use crate::inventory::{BaseField, Owned};
use crate::live::LiveConnection;
use crate::plan::compare::{Comparison, Context, Treatment, show_desired};
use crate::plan::{Action, Change, FieldChange, Origin};

pub(super) const TAKEN_OVER: &str = "taken over";

/// The pointer under which a refused replace is remembered.
pub(crate) const REPLACE: &str = "/type";

/// The pointer under which a rename is counted that the server takes and does not make.
pub(crate) const RENAME: &str = "/name";

/// The pointer under which creates are counted of a connection that never shows up.
pub(crate) const CREATE: &str = "";

/// What decides whether a step that came to nothing is tried again: all that is declared, with
/// the values of its references.
#[must_use]
pub fn whole_digest(desired: &DesiredConnection) -> Value {
    let fields = desired.fields().iter().map(|field| {
        let value = field.value().unwrap_or(&field.declared);
        (field.path.to_string(), value.clone())
    });
    let type_name = ("type".to_owned(), Value::from(desired.connection_type.name));
    Value::Object(fields.chain([type_name]).collect())
}

pub(super) fn change(desired: &DesiredConnection) -> Change {
    Change {
        action: Action::Update,
        type_name: desired.connection_type.name.to_owned(),
        name: desired.name.clone(),
        previous_name: None,
        reason: None,
        advice: None,
        fields: Vec::new(),
        held: false,
        place: Some(desired.place.clone()),
    }
}

pub(super) fn delete(live: &LiveConnection, reason: String) -> Change {
    Change {
        action: Action::Delete,
        type_name: live.type_name.clone(),
        name: live.name.clone(),
        previous_name: None,
        reason: Some(reason),
        advice: None,
        fields: Vec::new(),
        held: false,
        place: None,
    }
}

pub(super) fn held_delete(
    owned: &Owned,
    live: &LiveConnection,
    reason: String,
    advice: Option<String>,
) -> Change {
    Change { type_name: owned.type_name.clone(), advice, held: true, ..delete(live, reason) }
}

pub(super) fn written_fields(comparison: &Comparison) -> Vec<FieldChange> {
    let written = comparison.differences.iter().filter(|d| d.treatment == Treatment::Write);
    written.map(|d| d.change.clone()).collect()
}

pub(super) fn created_fields(desired: &DesiredConnection, origin: Origin) -> Vec<FieldChange> {
    desired
        .fields()
        .iter()
        .map(|field| FieldChange {
            path: field.path.to_string(),
            before: None,
            after: Some(show_desired(desired, field, field.value().unwrap_or(&Value::Null)))
                .filter(|after| !after.is_null()),
            sensitive: field.is_sensitive(),
            origin,
        })
        .collect()
}

/// Whether git declares anything else than the base has.
pub(super) fn git_moved(desired: &DesiredConnection, owned: &Owned, context: &Context<'_>) -> bool {
    let moved = |path: &str, older: Option<&BaseField>, declared: &Value, value: Option<&Value>| {
        let Some(older) = older else { return true };
        let other_value = match (&older.print, value) {
            (Some(print), Some(value)) if context.key_is_known => {
                !context.key.matches(print, path, value)
            }
            _ => false,
        };
        older.declared != *declared || other_value
    };
    let base = owned.base.fields();
    desired
        .fields()
        .iter()
        .filter(|f| !desired.ignores(&f.path))
        .any(|f| moved(&f.path, base.get(&*f.path), &f.declared, f.value()))
        || base.keys().any(|path| desired.field(path).is_none())
}
