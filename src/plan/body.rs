//! The body of a create or of a PUT: what git declares, what live has beside it, and no secret
//! that would be wiped.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::compare::{Comparison, LiveView, Treatment, at, field_at};
use crate::catalog::{Condition, ConnectionType, Field, Secrecy, hidden, is_bookkeeping};
use crate::desired::{DesiredConnection, DesiredField, lies_in};
use crate::inventory::{BaseField, Owned, Record};
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::pointer;
use crate::secret::SensitiveValue;

/// Why a body cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBody {
    /// A reference has no value in this run.
    #[error("{0}")]
    Unresolved(String),
    /// A PUT would wipe a secret that git does not declare.
    #[error(
        "the server hides the secret `{0}`, which git does not declare, so a PUT would wipe it: \
         declare it as `${{env:NAME}}`, or as `null` to empty it"
    )]
    WouldWipe(String),
}

/// The body of a create: what git declares, fields that others may edit included.
///
/// # Errors
/// A reference has no value.
pub fn for_create(desired: &DesiredConnection) -> Result<SensitiveValue, NoBody> {
    let mut body = Map::new();
    body.insert("type".to_owned(), desired.connection_type.name.into());
    body.insert("name".to_owned(), desired.name.as_str().into());
    let mut body = Value::Object(body);
    for field in desired.fields() {
        set(&mut body, &field.path, value_of(desired, field)?.clone());
    }
    Ok(SensitiveValue::new(body))
}

/// The body of a PUT: live as it is, with git's fields put in. `named` is the name that the
/// connection has afterwards.
///
/// # Errors
/// A reference has no value, or the PUT would wipe a secret that nobody asked to empty.
pub fn for_update(
    desired: &DesiredConnection,
    live: &LiveView<'_>,
    comparison: &Comparison,
    named: &ConnectionName,
    record: &Record,
) -> Result<SensitiveValue, NoBody> {
    let own_type = desired.connection_type;
    let mut body = lives_own(desired, live);
    body.insert("type".to_owned(), live.entry.type_name.as_str().into());
    body.insert("name".to_owned(), named.as_str().into());
    let mut body = Value::Object(body);
    for field in desired.fields() {
        if desired.ignores(&field.path) {
            continue;
        }
        // Where live shows a mask, keeping it would send the mask.
        if is_kept(comparison, &field.path) && !shows_a_mask(desired, &field.path, &body) {
            continue;
        }
        let value = value_of(desired, field)?;
        let patched = super::ignored::with_lives_ignored_parts(
            desired,
            &field.path,
            value,
            live.get(&field.path),
        );
        set(&mut body, &field.path, patched.unwrap_or_else(|| value.clone()));
    }
    for dropped in comparison.differences.iter().filter(|d| d.dropped) {
        if dropped.treatment != Treatment::Write {
            continue;
        }
        match &dropped.change.after {
            Some(default) => set(&mut body, &dropped.change.path, default.clone()),
            None => super::ignored::put(&mut body, &dropped.change.path, None),
        }
    }
    for secret in own_type.secrets() {
        let path = format!("/{}", secret.name);
        let written = desired.field(&path).is_some()
            && !desired.ignores(&path)
            && !is_kept(comparison, &path);
        if !written {
            keep_secret(&mut body, secret, &path, live, desired, record)?;
        }
    }
    refuse_masked_text(&body, desired)?;
    Ok(SensitiveValue::new(body))
}

/// What live has, less the server's bookkeeping and the secrets, which are put in one by one.
fn lives_own(desired: &DesiredConnection, live: &LiveView<'_>) -> Map<String, Value> {
    let own_type = desired.connection_type;
    let mut body = live.body().clone();
    if live.single.is_some() {
        // A field that only the list shows (Kafka's `keyStoreName`) is live's all the same.
        for (key, value) in live.entry_body() {
            if !value.is_null() && !body.contains_key(key) {
                body.insert(key.clone(), value.clone());
            }
        }
    }
    body.retain(|key, _| !is_bookkeeping(own_type, key));
    for secret in own_type.secrets() {
        body.shift_remove(secret.name);
    }
    body
}

/// A secret that git does not declare, or ignores: sent as live shows it where it can be read,
/// left out where it has no use, and otherwise the PUT is refused.
fn keep_secret(
    body: &mut Value,
    secret: &Field,
    path: &str,
    live: &LiveView<'_>,
    desired: &DesiredConnection,
    record: &Record,
) -> Result<(), NoBody> {
    let shown = live.get_secret(path);
    let text =
        shown.and_then(Value::as_str).filter(|t| !t.is_empty() && !hidden::is_masked_text(t));
    let readable = record.is_readable(desired.connection_type.name, path);
    match (readable, text) {
        (true, Some(text)) => {
            set(body, path, text.into());
            Ok(())
        }
        // Nothing shown is no proof that it is empty: the server may have begun to hide it.
        _ if !is_used(secret, desired, body) => Ok(()),
        _ => Err(NoBody::WouldWipe(secret.name.to_owned())),
    }
}

fn is_used(secret: &Field, desired: &DesiredConnection, body: &Value) -> bool {
    let Secrecy::Secret { used } = &secret.secrecy else { return false };
    let Some(object) = body.as_object() else { return true };
    used.as_ref().is_none_or(|condition: &Condition| {
        condition.holds(&|name| desired.connection_type.field(name), object)
    })
}

/// No PUT sends asterisks back: where live masks a part of a field that git does not declare,
/// sending it would replace the secret by its mask.
fn refuse_masked_text(body: &Value, desired: &DesiredConnection) -> Result<(), NoBody> {
    for (key, value) in body.as_object().into_iter().flatten() {
        let path = format!("/{}", pointer::escaped(key));
        let written = |f: &DesiredField| lies_in(&f.path, &path) && !desired.ignores(&f.path);
        if !desired.fields().iter().any(written)
            && holds_masked_secret(desired.connection_type, key, value)
        {
            return Err(NoBody::WouldWipe(key.clone()));
        }
    }
    Ok(())
}

fn shows_a_mask(desired: &DesiredConnection, path: &str, body: &Value) -> bool {
    let key = pointer::steps(path).next().unwrap_or_default();
    body.get(key.as_ref())
        .is_some_and(|value| holds_masked_secret(desired.connection_type, &key, value))
}

/// The fields of a body in which a secret is masked.
pub(crate) fn masked_fields(own_type: &'static ConnectionType, body: &Value) -> BTreeSet<String> {
    let fields = body.as_object().into_iter().flatten();
    let masked = fields.filter(|(key, value)| holds_masked_secret(own_type, key, value));
    masked.map(|(key, _)| key.clone()).collect()
}

fn holds_masked_secret(own_type: &'static ConnectionType, key: &str, value: &Value) -> bool {
    let alone = Map::from_iter([(key.to_owned(), value.clone())]);
    hidden::secret_parts(own_type, &alone).iter().any(|part| {
        let text = alone.get(key).and_then(|_| {
            let below = part.pointer.get(1 + pointer::escaped(key).len()..)?;
            value.pointer(below)?.as_str()
        });
        let secret = match (text, &part.range) {
            (Some(text), Some(range)) => text.get(range.clone()),
            (text, _) => text,
        };
        secret.is_some_and(hidden::is_masked_text)
    })
}

fn is_kept(comparison: &Comparison, path: &str) -> bool {
    comparison.kept().any(|kept| kept == path)
}

fn value_of<'a>(
    desired: &DesiredConnection,
    field: &'a crate::desired::DesiredField,
) -> Result<&'a Value, NoBody> {
    field.value().ok_or_else(|| {
        let problem = desired.unresolved.first().cloned();
        NoBody::Unresolved(problem.unwrap_or_else(|| {
            format!(
                "the value of `{}` is not known in this run",
                field.path.trim_start_matches('/')
            )
        }))
    })
}

/// Sets the value at a pointer and makes the objects above it.
pub(crate) fn set(body: &mut Value, path: &str, value: Value) {
    let mut place = body;
    let mut steps = pointer::steps(path).peekable();
    while let Some(step) = steps.next() {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        // Made an object one line above.
        let Value::Object(map) = place else { return };
        if steps.peek().is_none() {
            map.insert(step.into_owned(), value);
            return;
        }
        place = map.entry(step.as_ref()).or_insert(Value::Null);
    }
}

/// Whether live moved between two readings in a field that git declares or the base has, among
/// those that both answers carry, secrets aside.
#[must_use]
pub fn has_moved(
    desired: &DesiredConnection,
    base: Option<&BTreeMap<String, BaseField>>,
    planned: &LiveView<'_>,
    now: &LiveConnection,
) -> bool {
    let declared = desired.fields().iter().map(|f| &*f.path);
    let remembered = base.into_iter().flatten().map(|(path, _)| path.as_str());
    moved(desired.connection_type, declared.chain(remembered), planned, now)
}

/// Whether live moved between two readings in a field that the base has, among those that both
/// answers carry, secrets aside.
#[must_use]
pub fn has_moved_from_base(owned: &Owned, planned: &LiveView<'_>, now: &LiveConnection) -> bool {
    let Some(own_type) = crate::catalog::find(&owned.type_name) else { return true };
    moved(own_type, owned.base.fields().keys().map(String::as_str), planned, now)
}

fn moved<'p>(
    own_type: &'static ConnectionType,
    mut paths: impl Iterator<Item = &'p str>,
    planned: &LiveView<'_>,
    now: &LiveConnection,
) -> bool {
    if planned.entry.type_name != now.type_name {
        return true;
    }
    let now = now.body();
    paths.any(|path| {
        let field = field_at(own_type, path);
        if field.is_some_and(|f| matches!(f.secrecy, Secrecy::Secret { .. })) {
            return false;
        }
        let before = planned.get(path);
        match (before, at(&now, path)) {
            (Some(before), Some(now)) => !super::equality::equal(field, Some(before), Some(now)),
            _ => false,
        }
    })
}
