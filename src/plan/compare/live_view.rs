//! A live connection as its answers show it: whether it is ours, whether it is as a base has it, and what of it
//! may be masked. Rules 3 and 8 ask this; it needs nothing of what git declares today.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::catalog::{self, Field, Kind};
use crate::desired::{holds_env, lies_in};
use crate::live::{LastEdit, LiveConnection};
use crate::plan::compare::base::{Keys, matches_base};
use crate::plan::compare::pairs::Filling;
use crate::plan::compare::{CompareSettings, field_exactly_at, sent, shown_text, shows_file};
use crate::plan::equality::{Equality, is_unset};
use crate::pointer::look_up;
use crate::record::{Base, BaseField, Owned};
use crate::secret::Fingerprint;

/// The view of a live connection: its entry in the list, and its own answer to `GET` where it
/// was read. The own answer is believed first; a field that it leaves out is taken from the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveView<'a> {
    /// The entry of the list, or the connection's own answer where no list shows it.
    pub(crate) listed: &'a LiveConnection,
    /// The connection's own answer.
    pub(crate) own: Option<&'a LiveConnection>,
}

impl<'a> LiveView<'a> {
    /// Looks at the own answer of a connection alone.
    pub(crate) fn of(own: &'a LiveConnection) -> Self {
        Self { listed: own, own: Some(own) }
    }

    /// The value at a pointer.
    pub(crate) fn get(&self, path: &str) -> Option<&'a Value> {
        self.shown_by_get(path).or_else(|| look_up(self.listed.body(), path))
    }

    /// The value at a pointer in the connection's own answer: lists never show secrets.
    pub(crate) fn shown_by_get(&self, path: &str) -> Option<&'a Value> {
        look_up(self.own?.body(), path)
    }

    /// The object that is believed first.
    pub(crate) fn body(&self) -> &'a Map<String, Value> {
        self.own.unwrap_or(self.listed).body()
    }

    /// The last edit that the server tells of.
    pub(crate) fn last_edit(&self) -> Option<LastEdit> {
        self.own.and_then(LiveConnection::last_edit).or_else(|| self.listed.last_edit())
    }

    /// The server's id, where it shows one.
    pub(crate) fn id(&self) -> Option<&'a String> {
        self.own.and_then(|own| own.id.as_ref()).or(self.listed.id.as_ref())
    }
}

impl LiveView<'_> {
    /// Whether it is the very connection of an entry of the inventory. Where the server shows an id that
    /// the entry lacks, live has to equal what was written in all that can be read: somebody may have
    /// deleted ours and made another. With `--base` no entry has an id, so none is asked for.
    pub(crate) fn is_the_connection_of(
        &self,
        owned: &Owned,
        settings: &CompareSettings<'_>,
    ) -> bool {
        let id_is_enough = owned.id.is_some() || self.id().is_none() || settings.is_stateless;
        owned.may_be(self.listed)
            && self.own.is_none_or(|own| owned.may_be(own))
            && (id_is_enough
                || (self.shows(&owned.type_name, &owned.base, settings.keys)
                    && self.has_nothing_beside(&owned.base)))
    }

    /// Whether every field of the type that a base does not have says no more than its default.
    pub(crate) fn has_nothing_beside(&self, base: &Base) -> bool {
        let Some(own_type) = catalog::find(&self.listed.type_name) else { return false };
        own_type.fields().all(|field| {
            let path = field.pointer();
            let is_told = !field.is_secret() && !field.is_file() && !field.filled_by_server;
            !is_told
                || base.keys().any(|declared| lies_in(declared, &path))
                || Equality::of(Some(field)).holds(None, self.get(&path))
        })
    }

    /// Whether live shows a connection as a base has it, in all that can be read: values of the
    /// environment that the base does not know cannot.
    pub(crate) fn shows(&self, type_name: &str, base: &Base, keys: Keys<'_>) -> bool {
        let shows = |(path, field): (&String, &BaseField)| self.shows_field(path, field, keys);
        self.listed.type_name == type_name
            && catalog::find(type_name).is_some()
            && base.iter().all(shows)
    }

    /// The fields of a base that live shows otherwise.
    pub(crate) fn shown_otherwise(&self, base: &Base, keys: Keys<'_>) -> BTreeSet<String> {
        let otherwise = base.iter().filter(|(path, field)| !self.shows_field(path, field, keys));
        otherwise.map(|(path, _)| path.clone()).collect()
    }

    /// The fingerprints of what the list shows in some fields: an own answer may show them otherwise.
    pub(crate) fn listed_prints(
        &self,
        paths: &BTreeSet<String>,
        keys: Keys<'_>,
    ) -> BTreeMap<String, Fingerprint> {
        let print = |path: &String| (path.clone(), keys.key.of(path, &self.shown_by_list(path)));
        paths.iter().map(print).collect()
    }

    /// Whether the list shows fields as they were when the fingerprints were made, as far as today's key tells.
    pub(crate) fn stands(&self, then: &BTreeMap<String, Fingerprint>, keys: Keys<'_>) -> bool {
        let stands = |(path, print): (&String, &Fingerprint)| {
            !keys.can_tell(print) || keys.key.matches(print, path, &self.shown_by_list(path))
        };
        then.iter().all(stands)
    }

    /// The value that the list shows in a field, in one form for all that are equal.
    fn shown_by_list(&self, path: &str) -> Value {
        let own_type = catalog::find(&self.listed.type_name);
        let field = own_type.and_then(|own_type| field_exactly_at(own_type, path));
        let (kind, default) = (field.map(|f| &f.kind), field.and_then(|f| f.default.as_ref()));
        let shown = look_up(self.listed.body(), path);
        match (kind, shown.filter(|_| !is_unset(kind, default, shown))) {
            (_, None) => Value::Null,
            (Some(Kind::Set(_)), Some(Value::Array(items))) => {
                let mut items = items.clone();
                items.sort_by_cached_key(Value::to_string);
                Value::Array(items)
            }
            (Some(Kind::Integer { .. }), Some(Value::Number(number))) => {
                Value::from(number.to_string())
            }
            (_, Some(shown)) => shown.clone(),
        }
    }

    /// Whether live shows a field as a base has it, as far as it can be read.
    pub(crate) fn shows_field(&self, path: &str, base: &BaseField, keys: Keys<'_>) -> bool {
        let Some(own_type) = catalog::find(&self.listed.type_name) else { return false };
        let field = field_exactly_at(own_type, path);
        if self.may_mask(path, field, keys) {
            return true;
        }
        let shown = self.get(path);
        let is_set = matches!(field.map(|field| &field.kind), Some(Kind::Set(_)));
        let by_text = holds_env(&base.declared) && (base.print.is_none() || is_set);
        if by_text || self.masks_a_part(path) {
            let texts = Filling::with_parts(BTreeSet::new(), true);
            let kind = field.map(|field| &field.kind);
            let shown = texts.of(kind, &base.declared, shown.unwrap_or(&Value::Null));
            return Equality::of(field).holds(Some(&base.declared), Some(&shown));
        }
        matches_base(field, Equality::of(field), path, base, shown, keys)
    }

    /// The same; a field that the base lacks says no more than its default.
    pub(crate) fn shows_or_default(
        &self,
        path: &str,
        field: Option<&BaseField>,
        keys: Keys<'_>,
    ) -> bool {
        let Some(field) = field else {
            let own_type = catalog::find(&self.listed.type_name);
            let field = own_type.and_then(|own_type| field_exactly_at(own_type, path));
            return Equality::of(field).holds(None, self.get(path));
        };
        self.shows_field(path, field, keys)
    }

    /// Whether live shows a secret in clear, and as a base has it.
    pub(crate) fn shows_secret(&self, path: &str, base: &BaseField, keys: Keys<'_>) -> bool {
        let shown = self.shown_by_get(path).filter(|shown| shown_text(Some(shown)).is_some());
        let known = base.print.as_ref().filter(|print| keys.can_tell(print));
        shown.zip(known).is_some_and(|(shown, print)| keys.key.matches(print, path, shown))
    }

    /// Whether live may mask a field as a whole: a secret, what the target's profile names, or a file of
    /// which nothing is shown.
    pub(super) fn may_mask(&self, path: &str, field: Option<&Field>, keys: Keys<'_>) -> bool {
        let profile = keys.profile.and_then(|profile| profile.types.get(&self.listed.type_name));
        let is_named = profile.is_some_and(|own| own.masks(path.trim_start_matches('/')));
        let is_file = |field: &Field| field.is_file() && !shows_file(self.get(path));
        field.is_some_and(|field| is_named || field.is_secret() || is_file(field))
    }

    fn masks_a_part(&self, path: &str) -> bool {
        let Some(own_type) = catalog::find(&self.listed.type_name) else { return false };
        self.get(path).is_some_and(|shown| !sent::masked_in(own_type, path, shown).is_empty())
    }

    /// Whether live does not tell if it has a field, or a part of it, as git does.
    pub(crate) fn masks(&self, path: &str, keys: Keys<'_>) -> bool {
        let own_type = catalog::find(&self.listed.type_name);
        let field = own_type.and_then(|own_type| field_exactly_at(own_type, path));
        self.may_mask(path, field, keys) || self.masks_a_part(path)
    }

    /// Has the fields that live masks count as not sent; whether there is one.
    pub(crate) fn forget_masked(&self, base: &mut Base, keys: Keys<'_>) -> bool {
        let masked = base.iter_mut().filter(|(path, _)| self.masks(path, keys));
        masked.map(|(_, field)| field.print = Some(keys.of_no_value())).count() > 0
    }
}

/// Whether live moved between two readings in a field of those pointers, among the fields that both
/// answers carry, secrets aside.
pub(crate) fn has_moved<'p>(
    mut paths: impl Iterator<Item = &'p str>,
    in_plan: &LiveView<'_>,
    now: &LiveConnection,
) -> bool {
    let Some(own_type) = catalog::find(&now.type_name) else { return true };
    in_plan.listed.type_name != now.type_name
        || paths.any(|path| {
            let field = field_exactly_at(own_type, path);
            let (before, now) = (in_plan.get(path), look_up(now.body(), path));
            let are_shown = before.is_some() && now.is_some();
            let is_told = are_shown && !field.is_some_and(Field::is_secret);
            is_told && !Equality::of(field).holds(before, now)
        })
}
