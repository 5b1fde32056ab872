//! The fields that the server fills by itself. A store's id spells its name in hexadecimal digits,
//! so that the name can be had from the id without a table of stores.

use serde_json::{Map, Value};

use crate::catalog::{self, Field, Kind};

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
    fn a_store_is_known_by_its_id() {
        let id = id_of_store("müşteri-store");
        assert_eq!(store_of_id(&id).as_deref(), Some("müşteri-store"));
        assert_eq!(store_of_id("xyz"), None);
    }
}
