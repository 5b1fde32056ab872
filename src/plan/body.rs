//! The body of a create or of a PUT: what git declares, what live has beside it, and no secret
//! that would be wiped (rule 5).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::compare::{
    Comparison, Filling, LiveView, NotSent, Subject, Treatment, field_exactly_at, shown_text,
    shows_file, value_to_send,
};
use crate::catalog::{self, ConnectionType, Field, hidden, is_bookkeeping};
use crate::desired::{DesiredConnection, DesiredField, lies_in};
use crate::live::LiveConnection;
use crate::name::ConnectionName;
use crate::pointer::{self, look_up};
use crate::profile::TypeProfile;
use crate::record::Base;
use crate::secret::SensitiveValue;

/// Why a body cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoBody {
    /// A reference has no value in this run.
    #[error("{0}")]
    Unresolved(String),
    /// A PUT would wipe a secret that git does not declare.
    #[error(
        "the server masks the secret `{0}`, which git does not declare, so a PUT would wipe it: \
         declare it as `${{env:NAME}}`, or as `null` to empty it"
    )]
    WouldWipe(String),
    /// A PUT would wipe a file that git does not declare.
    #[error(
        "the server shows nothing for the file `{0}`, as it may do for one that is there, and git \
         does not declare it, so a PUT could wipe it: declare it, or declare it `null` to empty it"
    )]
    WouldWipeFile(String),
    /// A value that git declares must not be sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// A PUT would overwrite drift that is to be kept.
    #[error(
        "`{0}` drifted and live does not show all of it, so a PUT would overwrite the drift: declare what \
         is live, or undo the drift"
    )]
    WouldOverwriteDrift(String),
}

/// Whether a secret that live shows may be sent back as it is shown: it has to be proven that the
/// server shows it in clear.
pub(crate) type IsProven<'a> = dyn Fn(&str, &Value) -> bool + 'a;

/// The body of a create: all fields that git declares, also those under `ignore`.
///
/// # Errors
/// A reference has no value.
pub(crate) fn for_create(desired: &DesiredConnection) -> Result<SensitiveValue, NoBody> {
    let type_name = desired.connection_type.name;
    let mut body = json!({"type": type_name, "name": desired.name.as_str()});
    for field in &desired.fields {
        pointer::set(&mut body, &field.path, value_of(desired, field)?.clone());
    }
    Ok(SensitiveValue::new(body))
}

/// The body that makes the connection again that a replace deletes: what GET showed, with the secrets
/// of the old document's references, or as they were read where that is proven to be their value.
/// `resolve` gives the value of a declared text. A plan gives the text itself: whether the reference
/// resolves is found out when the replace is carried out.
///
/// # Errors
/// Why the connection could not be restored, which blocks the replace.
pub(crate) fn way_back(
    old: &LiveConnection,
    base: &Base,
    profile: Option<&TypeProfile>,
    is_proven: &IsProven<'_>,
    resolve: &dyn Fn(&Value) -> Result<Value, String>,
) -> Result<SensitiveValue, String> {
    let Some(old_type) = catalog::find(&old.type_name) else {
        return Err(format!("the type {} of the old connection is not known", old.type_name));
    };
    let mut body = old.body().clone();
    body.retain(|key, _| !is_bookkeeping(old_type, key));
    for masked in old_type.fields().filter(|field| may_be_masked(field, profile)) {
        let declared = base.get(&masked.pointer()).map(|base| &base.declared);
        let is_file = masked.is_file() && !profile.is_some_and(|own| own.masks(masked.name));
        if is_file && shows_file(old.body().get(masked.name)) {
            continue;
        }
        match old_value(masked, old, declared, is_proven, resolve)? {
            Some(value) => {
                body.insert(masked.name.to_owned(), value);
            }
            None if masked.is_used(old_type, &body) && !declared.is_some_and(Value::is_null) => {
                return Err(format!(
                    "the old connection's `{}` can be neither resolved nor read, so it could not \
                     be restored if the new one were refused",
                    masked.name
                ));
            }
            None => {
                body.shift_remove(masked.name);
            }
        }
    }
    let mut body = Value::Object(body);
    unmask(&mut body, old_type, base, resolve)?;
    Ok(SensitiveValue::new(body))
}

/// The value of a secret or file of the old connection, where it is known.
fn old_value(
    masked: &Field,
    old: &LiveConnection,
    declared: Option<&Value>,
    is_proven: &IsProven<'_>,
    resolve: &dyn Fn(&Value) -> Result<Value, String>,
) -> Result<Option<Value>, String> {
    let shown = old.body().get(masked.name);
    let resolved = declared.filter(|declared| !declared.is_null()).map(resolve);
    if let Some(Ok(value)) = resolved {
        return Ok(Some(value));
    }
    let proven = shown_text(shown).map(Value::from);
    if let Some(value) = proven.filter(|value| is_proven(&masked.pointer(), value)) {
        return Ok(Some(value));
    }
    match resolved {
        Some(Err(problem)) => Err(not_restored(&masked.pointer(), &problem)),
        _ => Ok(None),
    }
}

fn not_restored(path: &str, problem: &str) -> String {
    let field = pointer::for_people(path);
    format!("the old connection's `{field}` could not be restored: {problem}")
}

/// Puts the values of the old document's references where the answer masks a secret inside another
/// field, as in a header of a webhook, and leaves all else as it was shown.
fn unmask(
    body: &mut Value,
    old_type: &'static ConnectionType,
    base: &Base,
    resolve: &dyn Fn(&Value) -> Result<Value, String>,
) -> Result<(), String> {
    let masked =
        body.as_object().map(|body| hidden::masked_parts(old_type, body)).unwrap_or_default();
    let value_of =
        |path: &str, part: &Value| resolve(part).map_err(|problem| not_restored(path, &problem));
    let mut filling = Filling { masked, takes_references: false, value_of: &value_of };
    for (path, field) in base {
        let kind = field_exactly_at(old_type, path).map(|field| &field.kind);
        if let Some(value) = filling.filled(kind, path, body.pointer(path), &field.declared)? {
            pointer::set(body, path, value);
        }
    }
    match filling.masked.first() {
        None => Ok(()),
        Some(path) => Err(format!(
            "the server masks a secret in the old connection's `{}`, so it could not be restored if \
             the new one were refused",
            pointer::for_people(path)
        )),
    }
}

/// Whether `GET` may show something else in the place of a field.
pub(crate) fn may_be_masked(field: &Field, profile: Option<&TypeProfile>) -> bool {
    field.is_secret() || field.is_file() || profile.is_some_and(|own| own.masks(field.name))
}

/// The body of a PUT: live as it is, with git's fields put in. `named` is the name that the
/// connection has afterwards.
///
/// # Errors
/// As of [`NoBody`].
pub(crate) fn for_update(
    desired: &DesiredConnection,
    live: &LiveView<'_>,
    comparison: &Comparison,
    named: &ConnectionName,
    is_proven: &IsProven<'_>,
) -> Result<SensitiveValue, NoBody> {
    let own_type = desired.connection_type;
    let mut body = Value::Object(fields_of_live(own_type, live));
    body["type"] = live.listed.type_name.as_str().into();
    body["name"] = named.as_str().into();
    let kept: BTreeSet<&str> = comparison.kept().collect();
    if let Some(path) = comparison.drift_not_shown() {
        return Err(NoBody::WouldOverwriteDrift(pointer::for_people(path)));
    }
    for field in desired.fields.iter().filter(|field| !desired.ignores(&field.path)) {
        if kept.contains(&*field.path) {
            continue;
        }
        let (path, value) = (&*field.path, value_of(desired, field)?);
        let sent = value_to_send(desired, field, value, comparison.base.get(path), live.get(path));
        if let Some(refused) = sent.refused {
            return Err(refused.into());
        }
        pointer::set(&mut body, path, sent.value.into_owned());
    }
    let dropped = comparison.differences.iter().filter(|d| d.subject == Subject::Dropped);
    for dropped in dropped.filter(|d| d.treatment == Treatment::Write) {
        match &dropped.change.after {
            Some(default) => pointer::set(&mut body, &dropped.change.path, default.clone()),
            None => pointer::put(&mut body, &dropped.change.path, None),
        }
    }
    let profile = desired.profile_of(own_type.name);
    for masked in own_type.fields().filter(|field| may_be_masked(field, profile)) {
        let path = masked.pointer();
        let is_written = desired.field(&path).is_some() && !desired.ignores(&path);
        if !is_written {
            settle_masked(&mut body, masked, desired, live, is_proven)?;
        }
    }
    if let Some(path) = comparison.not_shown.first() {
        return Err(NoBody::WouldWipe(pointer::for_people(path)));
    }
    refuse_masked_text(&body, desired)?;
    Ok(SensitiveValue::new(body))
}

/// Live's fields, less the server's bookkeeping and the secrets, which are put in one by one.
fn fields_of_live(own_type: &'static ConnectionType, live: &LiveView<'_>) -> Map<String, Value> {
    let mut body = live.own.unwrap_or(live.listed).with_listed(live.listed);
    body.retain(|key, _| !is_bookkeeping(own_type, key));
    for secret in own_type.secrets() {
        body.shift_remove(secret.name);
    }
    body
}

/// Settles a field that GET may mask and that git does not declare, or ignores. It is sent as live shows it
/// where that is proven to be its value. It is left out if the server has no use for it, or was seen to keep
/// a file that is left out. Otherwise the PUT is refused.
fn settle_masked(
    body: &mut Value,
    field: &Field,
    desired: &DesiredConnection,
    live: &LiveView<'_>,
    is_proven: &IsProven<'_>,
) -> Result<(), NoBody> {
    let own_type = desired.connection_type;
    let path = field.pointer();
    let shown = live.shown_by_get(&path);
    let is_masked = desired.masks(field);
    if field.is_file() && !is_masked && shows_file(live.get(&path)) {
        return Ok(());
    }
    if let (true, Some(text)) = (field.is_secret(), shown_text(shown)) {
        let value = Value::from(text);
        if is_proven(&path, &value) {
            pointer::set(body, &path, value);
            return Ok(());
        }
    }
    // A field that is not shown may hold a value: the server may mask it by now.
    let is_used = body.as_object().is_none_or(|object| field.is_used(own_type, object));
    match (is_used && !desired.keeps_file(field), field.is_file()) {
        (false, _) => {
            pointer::put(body, &path, None);
            Ok(())
        }
        (true, false) => Err(NoBody::WouldWipe(field.name.to_owned())),
        (true, true) => Err(NoBody::WouldWipeFile(field.name.to_owned())),
    }
}

/// No PUT sends a mask back: where live masks a part that git does not declare or ignores, or shows
/// nothing in the place of a secret in it, sending that would wipe the secret.
fn refuse_masked_text(body: &Value, desired: &DesiredConnection) -> Result<(), NoBody> {
    let is_of_live = |field: &DesiredField| {
        let ignored = &desired.options.ignore;
        desired.ignores(&field.path) || ignored.iter().any(|part| lies_in(part, &field.path))
    };
    let of_git = desired.fields.iter().filter(|field| !is_of_live(field));
    let of_git = pointer::assemble(of_git.filter_map(|field| Some((&*field.path, field.value()?))));
    let is_of_git = |part: &String| {
        let own = look_up(&of_git, part);
        own.is_some() && own == body.pointer(part)
    };
    let masked = body.as_object().map(|body| hidden::masked_parts(desired.connection_type, body));
    match masked.unwrap_or_default().iter().find(|part| !is_of_git(part)) {
        Some(part) => Err(NoBody::WouldWipe(pointer::first_step(part).into_owned())),
        None => Ok(()),
    }
}

fn value_of<'a>(desired: &DesiredConnection, field: &'a DesiredField) -> Result<&'a Value, NoBody> {
    let unknown = || {
        let name = field.path.trim_start_matches('/');
        let problem = desired.unresolved.first().cloned();
        problem.unwrap_or_else(|| format!("the value of `{name}` is not known in this run"))
    };
    field.value().ok_or_else(|| NoBody::Unresolved(unknown()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BaseField;

    #[test]
    fn a_mask_that_no_reference_fills_leaves_no_way_back() {
        let headers = |value: Value| json!([{"name": "Authorization", "value": value}]);
        for shown in [json!("****"), json!(""), json!(null)] {
            leaves_no_way_back(&headers(shown), &headers("Bearer ${env:TOKEN}".into()));
        }
        leaves_no_way_back(&json!([{"name": "Authorization"}]), &headers("${env:TOKEN}".into()));
    }

    #[test]
    fn a_secret_of_which_an_element_with_another_name_shows_nothing_leaves_no_way_back() {
        let shown = json!([{"name": "X-Other", "value": ""}]);
        let declared = json!([{"name": "Authorization", "value": "${env:TOKEN}"}]);
        assert!(way_back_of(&shown, Some(&declared)).unwrap_err().contains("masks a secret"));
    }

    fn leaves_no_way_back(shown: &Value, declared: &Value) {
        assert!(way_back_of(shown, None).unwrap_err().contains("masks a secret"));
        let body = way_back_of(shown, Some(declared)).unwrap();
        assert_eq!(body.expose()["headerList"], *declared);
    }

    /// The way back of a webhook with such headers, of which the base has others.
    fn way_back_of(shown: &Value, declared: Option<&Value>) -> Result<SensitiveValue, String> {
        let old =
            json!({"type": "webhook", "name": "a", "fullUrl": "https://h", "headerList": shown});
        let old = LiveConnection::from_entry(old.as_object().cloned().unwrap()).unwrap();
        let as_text = |declared: &Value| Ok(declared.clone());
        let base = declared.into_iter().map(|declared| {
            let declared = declared.clone();
            ("/headerList".to_owned(), BaseField { declared, print: None, unverified: false })
        });
        way_back(&old, &base.collect(), None, &|_, _| false, &as_text)
    }
}
