//! The base of a field: what git and live last agreed on, and whether git or live left it since. No other file
//! of the comparison compares a value with the fingerprint of a base, but `LiveView::shows_secret`.

use serde_json::Value;

use crate::catalog::{ConnectionType, Field, Kind};
use crate::desired::{DesiredConnection, DesiredField};
use crate::plan::compare::{CompareSettings, Sides, field_exactly_at};
use crate::plan::equality::{Equality, other_spellings};
use crate::profile::Profile;
use crate::record::{Base, BaseField};
use crate::secret::{Fingerprint, FingerprintKey};

/// The settings of comparing with a base: the key of today's fingerprints, whether those of the record that do not name
/// their key were made under it, and the fields that the target's server masks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys<'a> {
    pub(crate) key: &'a FingerprintKey,
    pub(crate) is_known: bool,
    pub(crate) profile: Option<&'a Profile>,
}

impl Keys<'_> {
    /// Whether a fingerprint can be compared: it was made under today's key.
    pub(crate) fn can_tell(&self, print: &Fingerprint) -> bool {
        self.key.has_made(print).unwrap_or(self.is_known)
    }

    /// A fingerprint that no value has. It is of no field, so that `null` does not have it either.
    pub(crate) fn of_no_value(&self) -> Fingerprint {
        self.key.of("", &Value::Null)
    }
}

/// The base of a connection all of whose declared fields are as git has them. Fields that others
/// may edit are not git's.
pub(crate) fn base_of(desired: &DesiredConnection, keys: Keys<'_>, is_stateless: bool) -> Base {
    let of_git = desired.fields.iter().filter(|field| !desired.ignores(&field.path));
    let fields = of_git.filter_map(|field| {
        let base = match field.value() {
            Some(value) => base_field(field, value, keys),
            // A revision's text is its base even in a run that looks no value up.
            None if is_stateless => text_of(field),
            None => return None,
        };
        Some((field.path.clone(), base))
    });
    fields.collect()
}

fn text_of(field: &DesiredField) -> BaseField {
    BaseField { declared: field.declared.clone(), print: None, unverified: false }
}

/// The base of a field with git's value of now.
pub(super) fn base_field(field: &DesiredField, value: &Value, keys: Keys<'_>) -> BaseField {
    let print = field.holds_reference().then(|| keys.key.of(&field.path, value));
    BaseField { print, ..text_of(field) }
}

/// The base of a field that was found equal. An older fingerprint stays where it still holds, so that a
/// state in sync is not rewritten.
pub(super) fn agreed(Sides { field, value, base, .. }: Sides<'_>, keys: Keys<'_>) -> BaseField {
    let holds =
        |print: &&Fingerprint| keys.can_tell(print) && keys.key.matches(print, &field.path, value);
    let print = base.and_then(|base| base.print.as_ref());
    match print.filter(|_| field.holds_reference()).filter(holds) {
        None => base_field(field, value, keys),
        print => BaseField { print: print.cloned(), ..text_of(field) },
    }
}

/// Whether live still holds what the base of a field says.
pub(super) fn matches_base(
    field: Option<&Field>,
    equality: Equality<'_>,
    path: &str,
    base: &BaseField,
    live: Option<&Value>,
    keys: Keys<'_>,
) -> bool {
    match &base.print {
        None => equality.holds(Some(&base.declared), live),
        Some(print) if keys.can_tell(print) => {
            let kind = field.map(|field| &field.kind);
            let shown = &in_shape(kind, &base.declared, live.unwrap_or(&Value::Null));
            let spellings = other_spellings(field, shown);
            std::iter::once(shown)
                .chain(&spellings)
                .any(|spelling| keys.key.matches(print, path, spelling))
        }
        Some(_) => false,
    }
}

/// Live's value of a field as far as a field that does not stay is told by it: without the keys that servers
/// add to what git declares.
pub(crate) fn as_declared(
    own_type: &'static ConnectionType,
    path: &str,
    wanted: Option<&Value>,
    live: Option<&Value>,
) -> Value {
    let kind = field_exactly_at(own_type, path).map(|field| &field.kind);
    in_shape(kind, wanted.unwrap_or(&Value::Null), live.unwrap_or(&Value::Null))
}

/// The knowledge of the value that was sent last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LastSent {
    Never,
    Same,
    Other,
    /// It was sent under another key of fingerprints.
    NotKnown,
}

impl LastSent {
    pub(super) fn of(
        Sides { field, value, base, .. }: Sides<'_>,
        settings: &CompareSettings<'_>,
    ) -> Self {
        let Some(base) = base else { return Self::Never };
        let same_text = base.declared == field.declared;
        let same_value = match &base.print {
            _ if settings.is_stateless => same_text,
            // Another reference in git is a change, whatever the value under the older key was.
            Some(print) if !settings.keys.can_tell(print) && same_text => return Self::NotKnown,
            Some(print) if !settings.keys.can_tell(print) => false,
            Some(print) => settings.keys.key.matches(print, &field.path, value),
            // Apinizer's own `${NAME}` and a declared `null` are no secrets: their text tells.
            None => same_text,
        };
        if same_value { Self::Same } else { Self::Other }
    }
}

/// Whether git declares another value of a field than its base has; `value` is the field's, where it
/// is known in this run.
pub(in crate::plan) fn moved_field(
    desired: &DesiredConnection,
    field: &DesiredField,
    value: Option<&Value>,
    base: &BaseField,
    keys: Keys<'_>,
) -> bool {
    if base.declared != field.declared {
        // Another spelling of a value that comes from no reference moved nothing.
        return base.print.is_some()
            || field.holds_reference()
            || !Equality::on_server(desired, field.field).same(value, Some(&base.declared));
    }
    // Without a fingerprint that can be checked, what overwrites less: drift.
    let print = base.print.as_ref().filter(|print| keys.can_tell(print));
    print.zip(value).is_some_and(|(print, value)| !keys.key.matches(print, &field.path, value))
}

/// Live's value without the keys that servers add to the objects that git declares.
fn in_shape(kind: Option<&Kind>, declared: &Value, live: &Value) -> Value {
    match (declared, live) {
        (Value::Array(items), Value::Array(live)) => {
            let has_places = !matches!(kind, Some(Kind::Set(_))) && items.len() == live.len();
            let kind = kind.and_then(Kind::of_item);
            let equality = Equality::of_part(kind);
            let partner = |at: usize| match has_places {
                true => items.get(at),
                false => items.iter().find(|item| equality.holds(Some(item), Some(&live[at]))),
            };
            let shaped = live.iter().enumerate();
            shaped.map(|(at, live)| in_shape(kind, partner(at).unwrap_or(live), live)).collect()
        }
        (Value::Object(fields), Value::Object(live)) => {
            let is_of_git =
                |key: &str| matches!(kind, Some(Kind::Map(_))) || fields.contains_key(key);
            let parts = live.iter().filter(|(key, _)| is_of_git(key)).map(|(key, live)| {
                let kind = kind.and_then(|kind| kind.of_key(key));
                (key.clone(), in_shape(kind, fields.get(key).unwrap_or(live), live))
            });
            Value::Object(parts.collect())
        }
        (_, live) => live.clone(),
    }
}
