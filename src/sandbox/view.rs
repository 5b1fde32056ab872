//! A stored connection as the server shows it: never quite as it was written.

use serde_json::{Map, Value};

use super::options::{Ids, Mask, Options, Unset};
use super::store::{Stored, id_of_store, store_name_of};
use crate::catalog::{self, Default, Field, Kind};
use crate::digest::hmac_sha256;
use crate::profile::TypeProfile;

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
    let own = options.profile.types.get(&stored.type_name);
    if let (Some(known), Some(own)) = (catalog::find(&stored.type_name), own) {
        for field in known.fields() {
            let unset = own.reading_of_unset(field.name).unwrap_or_default();
            fill_unset(unset, field, &mut body);
            fill(project, field, &mut body);
            if let Some(mask) = mask_of(own, field, audience) {
                let value = body.get(field.name).filter(|value| !value.is_null());
                match value.and_then(|value| masked(options, mask, value)) {
                    Some(text) => drop(body.insert(field.name.to_owned(), Value::from(text))),
                    None if unset == Unset::LeftOut => drop(body.shift_remove(field.name)),
                    None => drop(body.insert(field.name.to_owned(), Value::Null)),
                }
            }
        }
        if known.name == "kafka" {
            name_stores_once(audience, &mut body);
        }
        if audience == Audience::List {
            body.retain(|name, _| !own.unlisted.contains(name));
        }
    }
    if options.bookkeeping {
        body.insert("created".to_owned(), Value::from(stored.created.to_string()));
        body.insert("modified".to_owned(), Value::from(stored.modified.to_string()));
        body.insert("modifiedBy".to_owned(), Value::from(stored.modified_by.as_str()));
    }
    let shows_id = match options.ids {
        Ids::Everywhere => true,
        Ids::OnlyInLists => audience == Audience::List,
        Ids::OnlyOnGet => audience == Audience::Get,
        Ids::Nowhere => false,
    };
    if shows_id {
        body.shift_insert(0, "id".to_owned(), Value::from(stored.id.as_str()));
    }
    body
}

fn fill_unset(unset: Unset, field: &Field, body: &mut Map<String, Value>) {
    if body.get(field.name).is_some_and(|value| !value.is_null()) {
        return;
    }
    let default = |default: Option<&Default>| default.map_or(Value::Null, |one| one.to_json());
    let value = match unset {
        Unset::LeftOut => {
            body.shift_remove(field.name);
            return;
        }
        Unset::Null => Value::Null,
        Unset::Default => default(field.default.as_ref()),
        Unset::OtherDefault => default(field.defaults().others.first()),
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
    let left_out = match audience {
        Audience::List => ["keyStoreId", "trustStoreId"],
        Audience::Get => ["keyStoreName", "trustStoreName"],
    };
    for name in left_out {
        body.shift_remove(name);
    }
}

/// The mask in the place of a field; lists show no secret and nothing that is masked.
fn mask_of(own: &TypeProfile, field: &Field, audience: Audience) -> Option<Mask> {
    let mask = own.masked.get(field.name).copied();
    match audience {
        Audience::List if field.is_secret() || mask.is_some() => Some(Mask::Nothing),
        Audience::List | Audience::Get => mask,
    }
}

/// The text in the place of a value, if there is any.
fn masked(options: &Options, mask: Mask, value: &Value) -> Option<String> {
    match mask {
        Mask::Nothing => None,
        Mask::Asterisks => Some("********".to_owned()),
        Mask::OtherText if options.fresh_nonces => Some(cipher_text(fastrand::u64(..), value)),
        Mask::OtherText => Some(cipher_text(0, value)),
    }
}

fn cipher_text(nonce: u64, value: &Value) -> String {
    let digits = hmac_sha256(&nonce.to_be_bytes(), value.to_string().as_bytes());
    format!("{{cipher}}{digits:.32}")
}

/// Fills a field that the server fills, and those inside it.
fn fill(project: &str, field: &Field, body: &mut Map<String, Value>) {
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
