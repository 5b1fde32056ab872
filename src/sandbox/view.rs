//! A stored connection as the server shows it: never quite as it was written.

use aws_lc_rs::hmac;
use serde_json::{Map, Value};

use super::options::{Ids, ListFields, Options, SecretsOnGet, Unset};
use super::store::Stored;
use crate::catalog::{self, ConnectionType, Default, Field, Kind};
use crate::profile::Mask;

/// The fields that a [`ListFields::Summary`] holds.
const SUMMARY: [&str; 6] = ["id", "type", "name", "description", "deployToWorker", "enabled"];

/// Who is shown a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Who lists a type.
    List,
    /// Who gets one connection.
    Get,
}

/// Draws a connection as one of the two calls shows it.
pub(super) fn draw(
    options: &Options,
    project: &str,
    stored: &Stored,
    audience: Audience,
) -> Map<String, Value> {
    let mut body = stored.body();
    let known = catalog::find(&stored.type_name);
    let own = options.types.get(&stored.type_name);
    if let Some(known) = known {
        for field in known.fields() {
            let unset = own.and_then(|own| own.reading_of_unset(field.name));
            fill_unset(unset.unwrap_or(options.answers.unset), field, &mut body);
            fill(project, field, &mut body);
            if let Some(how) = shown_as(options, known, field) {
                let listed = !field.is_secret() && how == SecretsOnGet::Shown;
                let is_shown = audience == Audience::Get || listed;
                let value = shown(options.seed, how, is_shown, body.get(field.name));
                body.insert(field.name.to_owned(), value);
            }
        }
        if known.name == "kafka" {
            name_stores_once(audience, &mut body);
        }
    }
    if options.answers.bookkeeping {
        body.insert("created".to_owned(), Value::from(stored.created.to_string()));
        body.insert("modified".to_owned(), Value::from(stored.modified.to_string()));
        body.insert("modifiedBy".to_owned(), Value::from(stored.modified_by.as_str()));
    }
    let shows_id = match options.answers.ids {
        Ids::Everywhere => true,
        Ids::OnlyInLists => audience == Audience::List,
        Ids::OnlyOnGet => audience == Audience::Get,
        Ids::Nowhere => false,
    };
    if shows_id {
        body.shift_insert(0, "id".to_owned(), Value::from(stored.id.as_str()));
    }
    if audience == Audience::List && options.answers.list_fields == ListFields::Summary {
        body.retain(|name, _| SUMMARY.contains(&name.as_str()));
    }
    if let Some(own) = own.filter(|_| audience == Audience::List) {
        body.retain(|name, _| !own.unlisted.contains(name));
    }
    if options.answers.omit_nulls {
        body.retain(|_, value| !value.is_null());
    }
    body
}

fn fill_unset(unset: Unset, field: &Field, body: &mut Map<String, Value>) {
    if body.get(field.name).is_some_and(|value| !value.is_null()) {
        return;
    }
    let default = |default: Option<&Default>| default.map_or(Value::Null, |one| one.to_json());
    let value = match unset {
        Unset::Absent => {
            body.shift_remove(field.name);
            return;
        }
        Unset::Null => Value::Null,
        Unset::Default => default(field.default.as_ref()),
        Unset::OtherDefault => default(field.other_defaults.first()),
        Unset::Empty => match &field.kind {
            Kind::List(_) | Kind::Set(_) => Value::Array(Vec::new()),
            Kind::Object(_) | Kind::Map(_) => Value::Object(Map::new()),
            _ => Value::from(""),
        },
        Unset::OtherValue => match &field.kind {
            Kind::Boolean => Value::from(field.default != Some(Default::Boolean(true))),
            Kind::Integer { .. } => Value::from(7),
            _ => Value::from("set by the server"),
        },
    };
    body.insert(field.name.to_owned(), value);
}

/// Kafka's stores are shown by name in lists and by id elsewhere.
fn name_stores_once(audience: Audience, body: &mut Map<String, Value>) {
    let hidden = match audience {
        Audience::List => ["keyStoreId", "trustStoreId"],
        Audience::Get => ["keyStoreName", "trustStoreName"],
    };
    for name in hidden {
        body.shift_remove(name);
    }
}

/// Whether a write that brings no value for a field is treated in a way of its own.
pub(super) fn is_hidden(options: &Options, known: &ConnectionType, field: &Field) -> bool {
    let is_named = field.is_secret() && options.types.contains_key(known.name);
    is_named || shown_as(options, known, field).is_some_and(|how| how != SecretsOnGet::Shown)
}

/// The text in the place of a field; `None`: the field is never hidden.
fn shown_as(options: &Options, known: &ConnectionType, field: &Field) -> Option<SecretsOnGet> {
    let own = options.types.get(known.name);
    match own.and_then(|own| own.masked.get(field.name)) {
        Some(Mask::Nothing) => return Some(SecretsOnGet::Masked),
        Some(Mask::Asterisks) => return Some(SecretsOnGet::Asterisks),
        Some(Mask::OtherText) => return Some(SecretsOnGet::Cipher),
        None => {}
    }
    match field.is_secret().then_some(options.secrets)? {
        SecretsOnGet::ByGuide if known.secrets_on_get == catalog::SecretsOnGet::Shown => {
            Some(SecretsOnGet::Shown)
        }
        SecretsOnGet::ByGuide => Some(SecretsOnGet::Masked),
        how => Some(how),
    }
}

/// A value as it is shown; lists show no secret and nothing that is hidden.
fn shown(seed: u64, how: SecretsOnGet, is_shown: bool, value: Option<&Value>) -> Value {
    let Some(value) = value.filter(|value| is_shown && !value.is_null()) else {
        return Value::Null;
    };
    match how {
        SecretsOnGet::ByGuide | SecretsOnGet::Masked => Value::Null,
        SecretsOnGet::Shown => value.clone(),
        SecretsOnGet::Asterisks => Value::from("********"),
        SecretsOnGet::Cipher => Value::from(cipher_text(seed, value)),
        SecretsOnGet::FreshCipher => Value::from(cipher_text(fastrand::u64(..), value)),
    }
}

fn cipher_text(seed: u64, value: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes());
    let tag = hmac::sign(&key, value.to_string().as_bytes());
    let digits: String = tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{{cipher}}{digits}")
}

// The fields that the server fills by itself. A store's id spells its name in hexadecimal digits,
// so that the name can be had from the id without a table of stores.

/// Takes the fields out of a write that the server fills, so that a client may send back the
/// answer that it was shown.
pub(super) fn forget(type_name: &str, body: &mut Map<String, Value>) {
    let Some(known) = catalog::find(type_name) else { return };
    body.retain(|name, _| !catalog::is_bookkeeping(known, name));
    for field in known.fields().filter(|field| field.filled_by_server) {
        let id = body.shift_remove(field.name);
        // An id that was shown names its store as well as the name itself does.
        let Some(partner) = store_name_of(field.name) else { continue };
        let Some(name) = id.as_ref().and_then(Value::as_str).and_then(store_of_id) else {
            continue;
        };
        if body.get(&partner).is_none_or(Value::is_null) {
            body.insert(partner, Value::from(name));
        }
    }
}

/// Fills a field that the server fills, and those inside it.
pub(super) fn fill(project: &str, field: &Field, body: &mut Map<String, Value>) {
    if field.filled_by_server
        && let Some(value) = server_value(project, field.name, body)
    {
        body.insert(field.name.to_owned(), value);
    }
    let inner = match &field.kind {
        Kind::Object(fields) => Some(*fields),
        Kind::List(Kind::Object(fields)) | Kind::Set(Kind::Object(fields)) => Some(*fields),
        _ => None,
    };
    let Some(inner) = inner else { return };
    let objects = match body.get_mut(field.name) {
        Some(Value::Array(items)) => items.as_mut_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_mut(one),
        _ => return,
    };
    for object in objects.iter_mut().filter_map(Value::as_object_mut) {
        for field in inner {
            fill(project, field, object);
        }
    }
}

fn server_value(project: &str, field: &str, body: &Map<String, Value>) -> Option<Value> {
    if let Some(partner) = store_name_of(field) {
        let name = body.get(&partner)?.as_str()?;
        return Some(Value::from(id_of_store(name)));
    }
    match field {
        "projectName" => Some(Value::from(project)),
        "logPodName" => Some(Value::from("sandbox-worker-0")),
        "status" => Some(Value::from("green")),
        "clusterName" => Some(Value::from("sandbox")),
        _ => None,
    }
}

/// The field that names the store whose id this field holds.
fn store_name_of(field: &str) -> Option<String> {
    field.strip_suffix("Id").map(|stem| format!("{stem}Name"))
}

fn id_of_store(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn store_of_id(id: &str) -> Option<String> {
    let bytes = id
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cipher_text_is_stable_and_shows_nothing() {
        let text = cipher_text(7, &Value::from("hunter2"));
        assert_eq!(text, cipher_text(7, &Value::from("hunter2")));
        assert_ne!(text, cipher_text(7, &Value::from("hunter3")));
        assert!(text.starts_with("{cipher}") && !text.contains("hunter2"));
    }
}

#[cfg(test)]
mod server_fields_tests {
    use super::*;

    #[test]
    fn a_store_is_known_by_its_id() {
        let id = id_of_store("müşteri-store");
        assert_eq!(store_of_id(&id).as_deref(), Some("müşteri-store"));
        assert_eq!(store_of_id("xyz"), None);
    }
}
