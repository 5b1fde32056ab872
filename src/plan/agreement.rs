//! Whether a connection is in sync beyond doubt, told from the texts of live and of its base.
//!
//! Most connections of most runs are, and for them neither text is taken apart. Whatever needs a
//! thought (another spelling, a default, an ignored field, an answer of its own) is left to
//! [`compare()`](super::compare::compare), which says of what agrees here that it agrees too.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

mod exact;

use exact::{Extras, MOST_FIELDS, Same, in_doubt, note};

use super::compare::Context;
use super::same::is_the_same;
use crate::desired::{DesiredConnection, DesiredField};
use crate::inventory::Owned;
use crate::live::{Live, LiveConnection, Text};

/// What the texts say of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Agreement {
    /// Not enough: it has to be compared.
    #[default]
    Doubtful,
    /// Live has what git declares, the base has it too, and nothing is waiting.
    InSync,
    /// The same, with a secret that was neither sent nor read back.
    Unverified,
}

/// What the texts say of a connection that git declares.
#[must_use]
pub fn agreement(desired: &DesiredConnection, live: &Live, context: &Context<'_>) -> Agreement {
    if context.stateless || context.resend_secrets || !context.key_is_known {
        return Agreement::Doubtful;
    }
    let record = context.record;
    let name = &desired.name;
    let waits = record.intents.contains_key(name)
        || record.degraded.contains_key(name)
        || record.unstable.contains_key(name);
    let entry = live.connections.get(name).filter(|_| !waits);
    match (entry, record.inventory.get(name)) {
        (Some(entry), Some(owned)) => of_texts(desired, entry, owned, context),
        _ => Agreement::Doubtful,
    }
}

fn of_texts(
    desired: &DesiredConnection,
    entry: &LiveConnection,
    owned: &Owned,
    context: &Context<'_>,
) -> Agreement {
    let fields = desired.fields();
    let is_plain = desired.options.ignore.is_empty()
        && desired.unresolved.is_empty()
        && fields.len() < MOST_FIELDS
        && fields.iter().all(|field| field.value().is_some());
    let is_ours = is_the_same(owned, entry) && owned.type_name == desired.connection_type.name;
    if !is_plain || !is_ours || !shows_all(fields, entry) {
        return Agreement::Doubtful;
    }
    let base = AsBase { found: Found::new(fields, false), context, unverified: Cell::new(false) };
    let mut text = serde_json::Deserializer::from_str(owned.base.text());
    match text.deserialize_map(&base) {
        Ok(()) if !base.found.is_all() => Agreement::Doubtful,
        Ok(()) if base.unverified.get() => Agreement::Unverified,
        Ok(()) => Agreement::InSync,
        Err(_) => Agreement::Doubtful,
    }
}

/// Whether the text of an entry shows every field that is no secret as git has it.
fn shows_all(fields: &[DesiredField], entry: &LiveConnection) -> bool {
    let found = Found::new(fields, true);
    let top = AsLive { found: &found, above: "" };
    let mut text = serde_json::Deserializer::from_slice(entry.text());
    text.deserialize_map(top).is_ok() && found.is_all()
}

/// The fields of a connection, and which of them were met.
struct Found<'a> {
    fields: &'a [DesiredField],
    met: Cell<u64>,
    /// Objects that were entered, by the first field in them: one that a text has twice is one
    /// whose first version does not count.
    entered: Cell<u64>,
}

impl<'a> Found<'a> {
    fn new(fields: &'a [DesiredField], without_secrets: bool) -> Self {
        let found = Self { fields, met: Cell::new(0), entered: Cell::new(0) };
        for (index, _) in
            fields.iter().enumerate().filter(|(_, f)| without_secrets && f.is_secret())
        {
            found.met.set(found.met.get() | 1 << index);
        }
        found
    }

    /// Whether a field is at a key below a pointer (`true`), deeper there (`false`), or elsewhere.
    fn leads_to(&self, field: &DesiredField, above: &str, key: &str) -> Option<bool> {
        let path = field.path.as_bytes();
        let begin = above.len() + 1;
        let end = begin + key.len();
        // Lengths and ends are at hand, and tell most fields apart.
        let ends = path.len() == end || path.get(end) == Some(&b'/');
        let is_there = ends
            && path.get(begin..end) == Some(key.as_bytes())
            && path.get(above.len()) == Some(&b'/')
            && path.starts_with(above.as_bytes());
        is_there.then_some(path.len() == end)
    }

    /// The first letters of the steps below a pointer, as bits.
    fn first_letters(&self, above: &str) -> u64 {
        let paths = self.fields.iter().map(|field| field.path.as_bytes());
        paths.fold(0, |letters, path| letters | letter(path.get(above.len() + 1)))
    }

    /// Notes that a field was met; one that is met twice is in doubt.
    fn meet<E: Error>(&self, index: usize) -> Result<(), E> {
        note(&self.met, index)
    }

    fn is_all(&self) -> bool {
        self.met.get() == (1 << self.fields.len()) - 1
    }
}

/// A letter as a bit; letters may share one.
fn letter(byte: Option<&u8>) -> u64 {
    1 << (byte.copied().unwrap_or_default() % 64)
}

/// An object of live, to be like the declared fields below `above`.
#[derive(Clone, Copy)]
struct AsLive<'a> {
    found: &'a Found<'a>,
    above: &'a str,
}

impl<'de> DeserializeSeed<'de> for AsLive<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AsLive<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { found, above } = self;
        let first_letters = found.first_letters(above);
        while let Some(Text(key)) = map.next_key()? {
            // The step of a pointer that is not spelled as the key.
            if key.contains(['~', '/']) {
                return Err(in_doubt());
            }
            // Most keys are of no declared field, and most of those begin with another letter.
            if first_letters & letter(key.as_bytes().first()) == 0 {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let below = |field: &DesiredField| found.leads_to(field, above, &key);
            let first =
                found.fields.iter().enumerate().find_map(|(at, f)| Some((at, f, below(f)?)));
            match first {
                None => _ = map.next_value::<IgnoredAny>()?,
                Some((_, field, true)) if field.is_secret() => {
                    _ = map.next_value::<IgnoredAny>()?;
                }
                Some((index, field, true)) => {
                    found.meet(index)?;
                    let value = field.value().unwrap_or(&Value::Null);
                    map.next_value_seed(Same { value, extras: Extras::Of(field.kind()) })?;
                }
                Some((index, _, false)) => {
                    note(&found.entered, index)?;
                    let above = format!("{above}/{key}");
                    map.next_value_seed(AsLive { found, above: &above })?;
                }
            }
        }
        Ok(())
    }
}

/// A base, to be the one that the declared fields would have now.
struct AsBase<'a> {
    found: Found<'a>,
    context: &'a Context<'a>,
    unverified: Cell<bool>,
}

impl<'de> Visitor<'de> for &AsBase<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a base")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(path)) = map.next_key()? {
            let mut fields = self.found.fields.iter().enumerate();
            let (index, field) = fields.find(|(_, f)| *f.path == *path).ok_or_else(in_doubt)?;
            self.found.meet(index)?;
            map.next_value_seed(AsBaseField { base: self, field })?;
        }
        Ok(())
    }
}

struct AsBaseField<'a> {
    base: &'a AsBase<'a>,
    field: &'a DesiredField,
}

impl<'de> DeserializeSeed<'de> for AsBaseField<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AsBaseField<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the base of a field")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { base, field } = self;
        let value = field.value().unwrap_or(&Value::Null);
        let (mut has_text, mut has_print) = (false, false);
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "is" => {
                    let value = &field.declared;
                    map.next_value_seed(Same { value, extras: Extras::None })?;
                    has_text = true;
                }
                "print" => {
                    let Text(print) = map.next_value()?;
                    if !base.context.key.matches_text(&print, &field.path, value) {
                        return Err(in_doubt());
                    }
                    has_print = true;
                }
                "unverified" if field.is_secret() => {
                    let unverified: bool = map.next_value()?;
                    base.unverified.set(base.unverified.get() || unverified);
                }
                _ => return Err(in_doubt()),
            }
        }
        (has_text && has_print == field.holds_reference()).then_some(()).ok_or_else(in_doubt)
    }
}

#[cfg(test)]
mod tests;
