//! One connection as the text of a document, and the fields of it that are not written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::catalog::{self, ConnectionType, Field, Kind, Required, hidden, is_bookkeeping};
use crate::desired::env_names;
use crate::export::known::VariableNames;
use crate::export::{KnownReferences, yaml};
use crate::live::LiveConnection;
use crate::plan::compare::shows_file;
use crate::plan::equality::{is_empty, is_unset};
use crate::pointer::{self, look_up};
use crate::secret::{SENSITIVE, Sensitive};
use crate::{document, reference};

/// Writes the document of a connection; beside it the fields of live that are not in it.
///
/// # Errors
/// Why no document can declare it.
pub(super) fn write(
    connection_type: &'static ConnectionType,
    live: &LiveConnection,
    known: &KnownReferences,
    names: &mut VariableNames,
    full: bool,
) -> Result<(String, Vec<LeftOut>), String> {
    let (name, body) = (live.name.as_str(), live.body());
    names.begin(connection_type.name, name);
    let mut fields = normal(connection_type, body.clone());
    add_declared(connection_type, body, known.declared(&live.name), &mut fields);
    let whole = fields.clone();
    let masked = mark_masked(connection_type, body, &mut fields);
    let declared = take_known(&mut fields, connection_type, live, known, names);
    let is_required =
        |field: &Field| field.required.holds(&|key| connection_type.field(key), &whole);
    let is_needed = |key: &String| {
        let is_declared = |path| pointer::steps(path).next().as_deref() == Some(&**key);
        connection_type.field(key).is_some_and(is_required)
            || known.declared(&live.name).any(is_declared)
    };
    let offered: BTreeSet<String> = masked.into_iter().filter(|key| !is_needed(key)).collect();
    let mut left_out = take_out_odd_secrets(connection_type, &mut fields);
    let is_masked = |field: &&'static Field| field.is_secret() || may_mask_file(field, &whole);
    for field in connection_type.fields().filter(is_masked) {
        fields.shift_remove(field.name);
    }
    let mut fields = extract(connection_type, &fields, &offered, names);
    for (key, value) in &mut fields {
        let mut used = BTreeSet::new();
        *value = known.referring(value, &mut used);
        used.into_iter()
            .for_each(|v| names.note(v, &format!("`{key}`, which shows it"), false, None));
    }
    left_out.extend(take_out_shown_secrets(&mut fields, known));
    for (path, value) in &declared {
        put(&mut fields, path, Some(value.clone()));
    }
    let is_known = |path: &str| declared.iter().any(|(known, _)| known.get(1..) == Some(path));
    if !full {
        let field_of = |key: &str| connection_type.field(key);
        fields = without_defaults(&fields, &field_of, &is_known);
    }
    let is_left_out = |field: &Field| left_out.iter().any(|out| out.field == field.name);
    let is_open = |field: &&'static Field| {
        !is_left_out(field) && (field.is_secret() || field.is_used(connection_type, &whole))
    };
    let open = connection_type.fields().filter(is_masked).filter(is_open);
    let mut offers = add_masked(open, &mut fields, &whole, &is_required, names);
    take_out_refused(connection_type, name, &mut fields, &mut left_out)?;
    refuse_left_out(known.declared(&live.name), &left_out)?;
    offers.extend(offered.into_iter().filter_map(|key| fields.shift_remove_entry(&key)));
    Ok((render(connection_type, name, fields, offers, &left_out), left_out))
}

/// Adds the values that the server fills by itself and that are not written, unless git declares them.
fn add_declared<'p>(
    connection_type: &'static ConnectionType,
    body: &Map<String, Value>,
    declared: impl Iterator<Item = &'p str>,
    fields: &mut Map<String, Value>,
) {
    for path in declared {
        let value = look_up(body, path).filter(|value| !is_empty(value));
        if let Some(value) = value.filter(|_| look_up(fields, path).is_none())
            && !pointer::steps(path).next().is_some_and(|top| is_bookkeeping(connection_type, &top))
        {
            put(fields, path, Some(value.clone()));
        }
    }
}

/// Whether live's answer may mask the file or certificate of a field.
fn may_mask_file(field: &Field, live: &Map<String, Value>) -> bool {
    field.is_file() && !shows_file(live.get(field.name))
}

/// Puts a mask where live shows nothing of a secret inside a field; gives the names of the fields that
/// hold a mask.
fn mark_masked(
    connection_type: &'static ConnectionType,
    live: &Map<String, Value>,
    fields: &mut Map<String, Value>,
) -> BTreeSet<String> {
    let has_own_place = |key: &str| {
        catalog::HEAD.contains(&key)
            || is_bookkeeping(connection_type, key)
            || connection_type.field(key).is_some_and(|f| f.is_secret() || f.is_file())
    };
    let is_written = |pointer: &String| {
        !connection_type.field_at(pointer).is_some_and(|field| field.filled_by_server)
    };
    let mut marked = BTreeSet::new();
    let mut body = Value::Object(std::mem::take(fields));
    for part in hidden::masked_parts(connection_type, live).into_iter().filter(is_written) {
        let key = pointer::first_step(&part);
        if has_own_place(&key) {
            continue;
        }
        if body.pointer(&part).is_none_or(is_empty) {
            pointer::put(&mut body, &part, Some(Value::from(hidden::MASK)));
        }
        marked.insert(key.into_owned());
    }
    if let Value::Object(body) = body {
        *fields = body;
    }
    marked
}

/// Adds a reference for each secret or masked file that is set or has to be; gives those that are
/// only offered, in a comment.
fn add_masked(
    open: impl Iterator<Item = &'static Field>,
    fields: &mut Map<String, Value>,
    whole: &Map<String, Value>,
    is_required: &dyn Fn(&Field) -> bool,
    names: &mut VariableNames,
) -> BTreeMap<String, Value> {
    let mut offers = BTreeMap::new();
    for field in open {
        if fields.contains_key(field.name) {
            continue;
        }
        let text = whole.get(field.name).and_then(Value::as_str);
        let shown = text.filter(|text| !hidden::is_masked_text(text));
        if let Some(text) = shown.filter(|text| reference::is_apinizers(text)) {
            fields.insert(field.name.to_owned(), Value::from(text));
            continue;
        }
        let offered = shown.is_none() && !is_required(field);
        let variable = names.invent(field.name);
        let reference = Value::from(format!("${{env:{variable}}}"));
        let value = shown.map(|text| Sensitive::new(text.to_owned()));
        names.note(variable, &format!("`{}`", field.name), offered, value);
        if offered {
            offers.insert(field.name.to_owned(), reference);
        } else {
            fields.insert(field.name.to_owned(), reference);
        }
    }
    offers
}

/// Takes the fields that git declares with references out, as git declares them.
fn take_known(
    fields: &mut Map<String, Value>,
    connection_type: &ConnectionType,
    live: &LiveConnection,
    known: &KnownReferences,
    names: &mut VariableNames,
) -> Vec<(String, Value)> {
    let mut taken = Vec::new();
    for (path, declared) in known.references(&live.name) {
        let is_masked = |field: &Field| field.is_secret() || field.is_file();
        let may_be_masked = connection_type.field_at(path).is_some_and(is_masked);
        let there = look_up(fields, path).is_some();
        put(fields, path, None);
        // A field that live does not have stays away, but secrets and files are seldom shown.
        if there || may_be_masked {
            for variable in env_names(declared) {
                let field = path.trim_start_matches('/');
                names.note(variable, &format!("`{field}`, as git declares it"), false, None);
            }
            taken.push((path.to_owned(), declared.clone()));
        }
    }
    taken
}

/// Sets the value that a pointer leads to, or removes it.
fn put(fields: &mut Map<String, Value>, path: &str, value: Option<Value>) {
    let mut body = Value::Object(std::mem::take(fields));
    match value {
        Some(value) => pointer::set(&mut body, path, value),
        None => pointer::put(&mut body, path, None),
    }
    if let Value::Object(body) = body {
        *fields = body;
    }
}

/// Puts references in the place of hidden secrets, and of texts that are nothing but a mask.
fn extract(
    connection_type: &'static ConnectionType,
    fields: &Map<String, Value>,
    offered: &BTreeSet<String>,
    names: &mut VariableNames,
) -> Map<String, Value> {
    let mut notes = Vec::new();
    let (mut fields, variables) = hidden::extract(connection_type, fields, &mut |part| {
        let field = pointer::steps(&part.pointer).next().unwrap_or_default();
        notes.push((part.what.clone(), offered.contains(&*field)));
        names.invent(&part.label)
    });
    for ((variable, value), (about, is_offered)) in variables.into_iter().zip(notes) {
        let value = Some(value).filter(|value| !hidden::is_masked_text(value.expose()));
        names.note(variable, &about, is_offered, value);
    }
    for (key, value) in &mut fields {
        *value = pointer::with_texts(value, &mut |text| {
            if !hidden::is_mask(text) {
                return Value::from(text);
            }
            let variable = names.invent(key);
            let reference = format!("${{env:{variable}}}");
            names.note(variable, &format!("`{key}`"), offered.contains(key), None);
            Value::from(reference)
        });
    }
    fields
}

fn render(
    connection_type: &'static ConnectionType,
    name: &str,
    mut fields: Map<String, Value>,
    mut offers: BTreeMap<String, Value>,
    left_out: &[LeftOut],
) -> String {
    let mut text = String::new();
    yaml::entry(&mut text, "type", &Value::from(connection_type.name));
    yaml::entry(&mut text, "name", &Value::from(name));
    for field in connection_type.fields() {
        if let Some(value) = fields.shift_remove(field.name) {
            yaml::entry(&mut text, field.name, &value);
        } else if let Some(value) = offers.remove(field.name) {
            yaml::offer(&mut text, field.name, &value);
        }
    }
    for (key, value) in &fields {
        yaml::entry(&mut text, key, value);
    }
    for (key, value) in &offers {
        yaml::offer(&mut text, key, value);
    }
    for LeftOut { field, why } in left_out {
        yaml::comment(&mut text, field, &format!("not written: {why}"));
    }
    text
}

// Chooses the fields of a live connection that belong into a document, in a stable order and form.

/// The fields of a connection as they are compared: without its identity, the server's
/// bookkeeping, what the server fills by itself, and what holds nothing.
fn normal(
    connection_type: &'static ConnectionType,
    mut fields: Map<String, Value>,
) -> Map<String, Value> {
    fields.retain(|key, value| {
        // A live field of the name `x-gitops` would be taken for our options.
        !catalog::HEAD.contains(&key.as_str())
            && !catalog::is_bookkeeping(connection_type, key)
            && !is_empty(value)
    });
    in_order(connection_type.fields(), fields)
}

/// Takes away what says no more than an undeclared field does, unless it is required.
fn without_defaults(
    fields: &Map<String, Value>,
    field_of: &dyn Fn(&str) -> Option<&'static Field>,
    stays: &dyn Fn(&str) -> bool,
) -> Map<String, Value> {
    let is_required = |field: &Field| field.required.holds(field_of, fields);
    let kept = |key: &str, value: &Value| match field_of(key) {
        Some(field) => {
            stays(key)
                || is_required(field)
                || !is_unset(Some(&field.kind), field.default.as_ref(), Some(value))
        }
        None => true,
    };
    let mut shown = Map::new();
    for (key, value) in fields {
        if !kept(key, value) {
            continue;
        }
        let value = match (field_of(key).map(|field| &field.kind), value) {
            // An object with named fields is owned field by field, lists and maps as a whole.
            (Some(kind @ Kind::Object(_)), Value::Object(inner)) => {
                let lookup = |key: &str| kind.field(key);
                let prefix = format!("{key}/");
                let stays = |key: &str| stays(&format!("{prefix}{key}"));
                let inner = without_defaults(inner, &lookup, &stays);
                let required = field_of(key).is_some_and(is_required);
                if inner.is_empty() && !required {
                    continue;
                }
                Value::Object(inner)
            }
            _ => value.clone(),
        };
        shown.insert(key.clone(), value);
    }
    shown
}

/// An object's fields in the order of the catalog, then what the catalog does not have.
fn in_order(
    known: impl Iterator<Item = &'static Field> + Clone,
    mut fields: Map<String, Value>,
) -> Map<String, Value> {
    let mut ordered = Map::new();
    for field in known {
        let Some(value) = fields.shift_remove(field.name) else { continue };
        if !field.filled_by_server && !value.is_null() {
            ordered.insert(field.name.to_owned(), normal_value(&field.kind, value));
        }
    }
    fields.sort_keys();
    ordered.extend(fields.into_iter().map(|(key, value)| (key, sorted(value))));
    ordered
}

/// A value in the form that a document has it in.
pub(crate) fn normal_value(kind: &'static Kind, value: Value) -> Value {
    match (kind, value) {
        (Kind::Integer { .. }, Value::String(text)) => {
            text.trim().parse::<i64>().map_or(Value::String(text), Value::from)
        }
        (Kind::List(item), Value::Array(items)) => {
            items.into_iter().map(|value| normal_value(item, value)).collect()
        }
        (Kind::Set(item), Value::Array(items)) => {
            let mut items: Vec<Value> =
                items.into_iter().map(|value| normal_value(item, value)).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        (Kind::Object(named), Value::Object(inner)) => Value::Object(in_order(named.iter(), inner)),
        (Kind::Map(item), Value::Object(mut map)) => {
            // An entry that is null cannot be told from one that is not there.
            map.retain(|_, value| !value.is_null());
            map.sort_keys();
            let entries = map.into_iter().map(|(key, value)| (key, normal_value(item, value)));
            Value::Object(entries.collect())
        }
        (_, value) => sorted(value),
    }
}

/// A value with the keys of all its objects sorted.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(mut map) => {
            map.sort_keys();
            Value::Object(map.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        other => other,
    }
}

// The fields of a live connection that are not written, and why. Live may hold values that no
// document may, such as a port of 0; a field that is not declared keeps what it has, so a
// document without it still plans to nothing.

/// A field of a live connection that is not in its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Its name.
    pub(super) field: String,
    /// Why, without its value.
    pub(super) why: String,
}

/// Takes out the secrets, and what holds them, that are no texts: a reference would stand for the
/// text of them, which is another value.
fn take_out_odd_secrets(
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
fn take_out_shown_secrets(
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
/// A field is missing that every connection of the type needs, and why it was taken out, where live
/// has it.
fn take_out_refused(
    connection_type: &'static ConnectionType,
    name: &str,
    fields: &mut Map<String, Value>,
    left_out: &mut Vec<LeftOut>,
) -> Result<(), String> {
    loop {
        let refused = document::refused_fields(connection_type, name, fields);
        let Some((first, _)) = refused.first_key_value() else { return Ok(()) };
        let before = left_out.len();
        for (field, title) in &refused {
            let culprits = if fields.contains_key(field) {
                vec![(field.as_str(), (*title).to_owned())]
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
            return Err(match left_out.iter().find(|out| out.field == *first) {
                Some(out) => format!("`{first}` is needed, and it cannot be written: {}", out.why),
                None => format!("`{first}` is missing"),
            });
        }
    }
}

/// Sees to it that nothing was left out that git declares, by the JSON pointers of that: a document
/// without it would take it away.
///
/// # Errors
/// A field was, and why.
fn refuse_left_out<'p>(
    declared: impl Iterator<Item = &'p str>,
    left_out: &[LeftOut],
) -> Result<(), String> {
    for path in declared {
        let top = pointer::steps(path).next().unwrap_or_default();
        if let Some(LeftOut { field, why }) = left_out.iter().find(|out| out.field == top) {
            return Err(format!("`{field}` is declared by git, and it cannot be written: {why}"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(type_name: &str, body: &Value) -> Value {
        let connection_type = catalog::find(type_name).unwrap();
        let fields = normal(connection_type, body.as_object().unwrap().clone());
        let field_of = |key: &str| connection_type.field(key);
        Value::Object(without_defaults(&fields, &field_of, &|_| false))
    }

    #[test]
    fn bookkeeping_defaults_and_nothing_are_left_out() {
        let body = json!({
            "id": "1", "created": "x", "projectName": "p", "type": "email", "name": "n",
            "x-gitops": {"protect": true}, "description": "", "from": null, "enabled": true,
            "host": "h", "port": "587", "auth": true, "additionalProperties": [],
        });
        assert_eq!(shown("email", &body), json!({"auth": true, "host": "h"}));
    }

    #[test]
    fn required_fields_keep_their_defaults() {
        let body = json!({"logPath": "/path/to/logs/", "maxHistory": 0, "logPodName": "w-0"});
        assert_eq!(shown("logback", &body), json!({"logPath": "/path/to/logs/", "maxHistory": 0}));
    }

    #[test]
    fn the_order_is_the_catalogs_and_then_the_alphabet() {
        let body = json!({"zeta": {"b": 1, "a": 2}, "alpha": 1, "from": "f", "host": "h"});
        let text = shown("email", &body).to_string();
        assert_eq!(text, r#"{"host":"h","from":"f","alpha":1,"zeta":{"a":2,"b":1}}"#);
    }

    #[test]
    fn fields_that_a_server_adds_inside_lists_and_maps_are_left_out() {
        let body = json!({
            "topicName": "t",
            "propertiesMap": {
                "b": {"valueType": "STRING", "value": "x", "valueByType": "x"},
                "a": {"value": "y"},
                "gone": null,
            },
        });
        let wanted = json!({
            "topicName": "t",
            "propertiesMap": {"a": {"value": "y"}, "b": {"value": "x", "valueType": "STRING"}},
        });
        assert_eq!(shown("kafka", &body), wanted);
    }

    #[test]
    fn an_object_is_shown_field_by_field() {
        let policy =
            json!({"policyName": "apinizer-log-ilm-policy-default", "enableHotPhase": true});
        let body = json!({"indexLifecyclePolicy": policy});
        assert_eq!(
            shown("elasticsearch", &body),
            json!({"indexLifecyclePolicy": {"enableHotPhase": true}})
        );
    }
}
