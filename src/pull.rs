//! From live into the files: what the plan calls drift becomes an edit of the document that
//! declares the field.
//!
//! [`drift_of`] looks at a plan, [`Pull::add`] changes texts. Nothing here reads or writes a file.
//! An edit counts only if the file, read again, says what it said but for the one value, the
//! documents of the connection load without an error, and git's value then equals live's. What
//! cannot be written is told with the reason and left as it is.

mod edit;
mod extent;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::catalog::Kind;
use crate::desired::{Desired, DesiredConnection, DesiredField, Resolution, resolve};
use crate::document::{DeclaredLayer, Document, LoadRequest, ParseCache, load};
use crate::export::normal_value;
use crate::name::ConnectionName;
use crate::plan::compare::{LiveView, field_exactly_at, with_ignored_parts_of};
use crate::plan::equality::Equality;
use crate::plan::{ADOPTED, Action, Change, Entry, FieldChange, Origin};
use crate::pointer::{child, for_people, look_up, with_texts};
use crate::reference::{self, holds_reference};
use crate::source::{FileEntry, Folder};

/// The texts of files, by path.
pub(crate) type Texts = BTreeMap<Arc<str>, String>;

/// A field in which live moved, and the value to declare.
#[derive(Clone, Debug)]
pub(crate) struct DriftedField {
    type_name: String,
    /// The connection, as git spells its name.
    pub name: ConnectionName,
    path: String,
    declared: Value,
    wanted: Value,
    live: Option<Value>,
}

/// Something that moved in live and is not written into a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NotWritten {
    /// The target's name.
    pub target: String,
    /// The connection's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The connection's name.
    pub name: ConnectionName,
    /// The field for people; `None`: the connection as a whole.
    pub field: Option<String>,
    /// Why.
    pub reason: String,
}

/// The facts of one target.
pub(crate) struct PullTarget<'a> {
    /// How its documents are loaded.
    pub request: LoadRequest<'a>,
    /// Its name.
    pub name: &'a str,
    /// How their references are resolved.
    pub resolution: Resolution<'a>,
    /// The layers of each connection.
    pub layers: BTreeMap<ConnectionName, Vec<DeclaredLayer>>,
}

/// The texts as they change.
#[derive(Debug, Default)]
pub(crate) struct Pull {
    /// The files that connections with drift are declared in.
    pub texts: Texts,
    /// The values written so far, by file, document and pointer: two targets may disagree.
    written: BTreeMap<(Arc<str>, usize, String), Option<Value>>,
}

/// The fields in which live moved, and those of them that cannot be written; `live_of` gives live's side
/// of a connection.
pub(crate) fn drift_of<'l>(
    target: &str,
    entries: &[Entry],
    desired: &Desired,
    live_of: impl Fn(&ConnectionName) -> Option<LiveView<'l>>,
) -> (Vec<DriftedField>, Vec<NotWritten>) {
    let (mut drift, mut not_written) = (Vec::new(), Vec::new());
    for (entry, change) in entries.iter().flat_map(|e| e.changes().map(move |change| (e, change))) {
        let mut leave = |field: Option<&str>, reason| {
            let field = field.map(for_people);
            let (target, type_name) = (target.to_owned(), change.type_name.clone());
            let name = change.name.clone();
            not_written.push(NotWritten { target, type_name, name, field, reason });
        };
        let live = live_of(&change.name);
        if let Some(reason) = whole_reason(entry, change, live.is_some()) {
            leave(None, reason);
            continue;
        }
        let Some((connection, live)) = desired.get(&change.name).zip(live) else { continue };
        for field in change.fields.iter().filter(|field| field.origin != Origin::Git) {
            match drift_in(connection, field, &live) {
                Some(Ok(found)) => drift.push(found),
                Some(Err(reason)) => leave(Some(&field.path), reason),
                None => {}
            }
        }
    }
    (drift, not_written)
}

/// The drift of one field, or why it cannot be written; `None`: git no longer declares it.
fn drift_in(
    connection: &DesiredConnection,
    change: &FieldChange,
    live: &LiveView<'_>,
) -> Option<Result<DriftedField, String>> {
    let path = &change.path;
    let live = live.get(path).filter(|live| !live.is_null());
    let field = connection.field(path)?;
    if let Some(reason) = reason_of(change, field, live) {
        return Some(Err(reason));
    }
    let (declared, value) = (&field.declared, field.value()?);
    let with_ignored =
        live.and_then(|live| with_ignored_parts_of(connection, path, live, Some(value)));
    let live = with_ignored.as_ref().or(live);
    let wanted = value_to_declare(field.field.map(|field| &field.kind), declared, value, live);
    Some(wanted.map(|wanted| DriftedField {
        type_name: connection.connection_type.name.to_owned(),
        name: connection.name.clone(),
        path: path.clone(),
        declared: declared.clone(),
        wanted,
        live: live.cloned(),
    }))
}

/// Why nothing of a change can be written, where it may be drift.
fn whole_reason(entry: &Entry, change: &Change, is_live: bool) -> Option<String> {
    let moved = change.fields.iter().any(|field| field.origin != Origin::Git);
    match change.action {
        Action::Create | Action::Drift if moved && !is_live => Some(
            "it was deleted outside git; remove its document from git, or apply it again"
                .to_owned(),
        ),
        Action::Blocked if !moved => entry.reason.clone(),
        Action::Update if change.reason.as_deref() == Some(ADOPTED) => Some(
            "it is not in the inventory, so which side moved is not known; where the state is \
                  elsewhere, --base names the commit that was applied"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Why live's value of a field cannot be written.
fn reason_of(change: &FieldChange, field: &DesiredField, live: Option<&Value>) -> Option<String> {
    let reason = if change.origin == Origin::Both {
        "git moved it too, and git's value stays"
    } else if field.is_secret() {
        "a secret is never written"
    } else if field.is_sensitive() {
        "it holds a reference to the environment"
    } else if change.sensitive || change.before.as_ref() != live {
        "live shows a secret or a value of the environment there"
    } else {
        return None;
    };
    Some(reason.to_owned())
}

impl Pull {
    /// Writes one value into the layer that declares it; where that cannot be done, the texts are as
    /// they were.
    pub(crate) fn add(
        &mut self,
        drift: &DriftedField,
        target: &PullTarget<'_>,
    ) -> Option<NotWritten> {
        let reason = self.write(drift, target).err()?;
        Some(NotWritten {
            target: target.name.to_owned(),
            type_name: drift.type_name.clone(),
            name: drift.name.clone(),
            field: Some(for_people(&drift.path)),
            reason,
        })
    }

    fn write(&mut self, drift: &DriftedField, target: &PullTarget<'_>) -> Result<(), String> {
        const NOT_ALONE: &str =
            "it cannot be changed alone: an anchor, an alias or a comment is in it";
        let layers = target.layers.get(&drift.name).map_or(&[][..], Vec::as_slice);
        let mut leaves = Vec::new();
        moved_leaves(&drift.path, &drift.declared, Some(&drift.wanted), &mut leaves);
        let (mut texts, mut written) = (self.texts.clone(), self.written.clone());
        for (pointer, value) in leaves {
            let layer = layer_of(layers, &pointer, value.is_none())?;
            let place = (Arc::clone(&layer.file), layer.document, pointer);
            match written.get(&place) {
                Some(known) if known.as_ref() == value => continue,
                Some(_) => return Err("another target has another value there".to_owned()),
                None => {}
            }
            let text = texts.get_mut(&layer.file).ok_or(NOT_ALONE)?;
            *text = edit::set(text, layer.document, &place.2, value).ok_or(NOT_ALONE)?;
            written.insert(place, value.cloned());
        }
        target.check(drift, layers, &texts)?;
        (self.texts, self.written) = (texts, written);
        Ok(())
    }
}

impl PullTarget<'_> {
    /// Checks that the documents of a connection load, and that git's value equals live's.
    fn check(
        &self,
        drift: &DriftedField,
        layers: &[DeclaredLayer],
        texts: &Texts,
    ) -> Result<(), String> {
        let is_of_it = |file: &FileEntry| layers.iter().any(|layer| layer.file == file.path);
        let mut number: u64 = 0;
        let folders: Vec<Folder> = self
            .request
            .folders
            .iter()
            .map(|folder| {
                let files = folder.files.iter().filter(|file| is_of_it(file)).map(|file| {
                    number += 1;
                    FileEntry::numbered(Arc::clone(&file.path), number)
                });
                Folder { files: files.collect(), ..folder.clone() }
            })
            .collect();
        let request = LoadRequest { folders: &folders, ..self.request };
        let read = |entry: &FileEntry| {
            let text = texts.get(&entry.path).map(|text| text.clone().into_bytes());
            text.ok_or_else(|| "it was not read".to_owned())
        };
        let loaded = load(&request, &ParseCache::default(), &read);
        if let Some(error) = loaded.errors().next() {
            return Err(format!("its file would be refused: {}", error.message));
        }
        let is_it = |document: &Document| document.name == drift.name;
        let document = loaded.documents.into_iter().find(is_it);
        let desired = resolve(document.as_slice(), &self.resolution);
        let connection = desired.get(&drift.name).ok_or("the edit would remove its document")?;
        let field = connection.field(&drift.path);
        let kind = field_exactly_at(connection.connection_type, &drift.path);
        let value = field.and_then(|field| field.value());
        match Equality::of(kind).holds(value, drift.live.as_ref()) {
            true => Ok(()),
            false => Err("the document would still differ from live".to_owned()),
        }
    }
}

/// The values that differ, as deep as both sides are mappings: layers are merged so deep.
fn moved_leaves<'v>(
    pointer: &str,
    older: &Value,
    wanted: Option<&'v Value>,
    leaves: &mut Vec<(String, Option<&'v Value>)>,
) {
    match (older, wanted) {
        (older, Some(wanted)) if older == wanted => {}
        (Value::Object(older), Some(Value::Object(wanted))) if !wanted.is_empty() => {
            for (key, value) in older {
                moved_leaves(&child(pointer, key), value, wanted.get(key), leaves);
            }
            let new = wanted.iter().filter(|(key, _)| !older.contains_key(*key));
            leaves.extend(new.map(|(key, value)| (child(pointer, key), Some(value))));
        }
        _ => leaves.push((pointer.to_owned(), wanted)),
    }
}

/// The layer that declares a value; of a new one: that declares what it belongs to.
fn layer_of<'l>(
    layers: &'l [DeclaredLayer],
    pointer: &str,
    goes: bool,
) -> Result<&'l DeclaredLayer, String> {
    let with = |pointer: &str| {
        let has = |layer: &&DeclaredLayer| look_up(&layer.fields, pointer).is_some();
        layers.iter().filter(has).collect::<Vec<_>>()
    };
    let declaring = with(pointer);
    if goes && declaring.len() > 1 {
        return Err(
            "several paths declare it, so removing it from one of them is not enough".to_owned()
        );
    }
    let parent = || with(pointer.rsplit_once('/').map_or("", |(parent, _)| parent));
    let layer = declaring.last().copied().or_else(|| parent().last().copied());
    layer.ok_or_else(|| "no document is found that declares it".to_owned())
}

// Live's value in the words of the document: references, spellings and the server's own additions
// stay as git has them.

/// The value to declare, so that it resolves to live's; `declared` is what git says, `value` what
/// that resolves to.
///
/// # Errors
/// A reference would have to go.
fn value_to_declare(
    kind: Option<&'static Kind>,
    declared: &Value,
    value: &Value,
    live: Option<&Value>,
) -> Result<Value, String> {
    if Equality::of_part(kind).holds(Some(value), live) {
        return Ok(declared.clone());
    }
    match (declared, value, live) {
        (Value::Object(declared), Value::Object(value), Some(Value::Object(live))) => {
            object(kind, declared, value, live)
        }
        (Value::Array(declared), Value::Array(value), Some(Value::Array(live))) => {
            list(kind, declared, value, live)
        }
        (declared, ..) if holds_reference(declared) => Err(reference_stays(declared)),
        // The number of a text stays a text.
        (Value::String(_), _, Some(Value::Number(number)))
            if matches!(kind, Some(Kind::Integer { .. })) =>
        {
            Ok(Value::from(number.to_string()))
        }
        (.., live) => Ok(live.map_or(Value::Null, |live| literal(kind, live))),
    }
}

fn object(
    kind: Option<&'static Kind>,
    declared: &Map<String, Value>,
    value: &Map<String, Value>,
    live: &Map<String, Value>,
) -> Result<Value, String> {
    let kind_of = |key: &str| kind.and_then(|kind| kind.of_key(key));
    let is_free = matches!(kind, Some(Kind::Map(_)));
    let mut wanted = Map::new();
    for (key, one) in declared {
        let live = live.get(key).filter(|live| !is_free || !live.is_null());
        if is_free && live.is_none() {
            if holds_reference(one) {
                return Err(reference_stays(one));
            }
            continue;
        }
        let value = value.get(key).unwrap_or(one);
        wanted.insert(key.clone(), value_to_declare(kind_of(key), one, value, live)?);
    }
    let new = live
        .iter()
        .filter(|(key, value)| is_free && !value.is_null() && !declared.contains_key(*key));
    wanted.extend(new.map(|(key, value)| (key.clone(), literal(kind_of(key), value))));
    Ok(Value::Object(wanted))
}

fn list(
    kind: Option<&'static Kind>,
    declared: &[Value],
    value: &[Value],
    live: &[Value],
) -> Result<Value, String> {
    let item = kind.and_then(Kind::of_item);
    if declared.len() == live.len() && !matches!(kind, Some(Kind::Set(_))) {
        let all = declared.iter().zip(value).zip(live);
        return all
            .map(|((declared, value), live)| value_to_declare(item, declared, value, Some(live)))
            .collect();
    }
    // Entries that stay keep their text, whatever came before them.
    let mut left: Vec<Option<(&Value, &Value)>> = declared.iter().zip(value).map(Some).collect();
    let mut items = Vec::new();
    for live in live {
        let is_it = |one: &&mut Option<(&Value, &Value)>| {
            one.is_some_and(|(_, value)| Equality::of_part(item).holds(Some(value), Some(live)))
        };
        let known = left.iter_mut().find(is_it).and_then(Option::take);
        items.push(known.map_or_else(|| literal(item, live), |(declared, _)| declared.clone()));
    }
    let mut gone = left.into_iter().flatten().map(|(declared, _)| declared);
    match gone.find(|declared| holds_reference(declared)) {
        Some(gone) => Err(reference_stays(gone)),
        None => Ok(Value::Array(items)),
    }
}

fn reference_stays(declared: &Value) -> String {
    format!("git writes it as {declared}, and references stay")
}

/// A value of live as a document writes it: none of its texts is taken for a reference of ours.
fn literal(kind: Option<&'static Kind>, live: &Value) -> Value {
    let live = match kind {
        Some(kind) => normal_value(kind, live.clone()),
        None => live.clone(),
    };
    with_texts(&live, &mut |text| Value::from(reference::escape(text)))
}
