//! The one test for whether a live connection is the one in the inventory.

use super::base::{field_at, matches_base};
use super::secret::shows_file;
use super::{CompareRules, Keys};
use crate::catalog::{self, Field};
use crate::desired::{holds_env, lies_in};
use crate::plan::equality::equal;
use crate::plan::view::LiveView;
use crate::record::{Base, Owned};

impl LiveView<'_> {
    /// Whether it is the very connection of an entry of the inventory. One whose id was not known
    /// yet, on a server that shows ids, is that connection only if live equals what was written in
    /// all that can be read: somebody may have deleted ours and made another. A base revision knows
    /// no ids.
    pub(crate) fn is_the_connection_of(&self, owned: &Owned, rules: &CompareRules<'_>) -> bool {
        let is_known = owned.id.is_some() || self.id().is_none() || rules.stateless;
        owned.may_be(self.entry)
            && self.own.is_none_or(|own| owned.may_be(own))
            && (is_known
                || (self.shows(&owned.type_name, &owned.base, rules.keys)
                    && self.has_nothing_beside(&owned.base)))
    }

    /// Whether every field of the type that a base does not have says no more than its default.
    fn has_nothing_beside(&self, base: &Base) -> bool {
        let Some(own_type) = catalog::find(&self.entry.type_name) else { return false };
        own_type.fields().all(|field| {
            let path = format!("/{}", field.name);
            let is_told = !field.is_secret() && !field.is_file() && !field.filled_by_server;
            !is_told
                || base.keys().any(|declared| lies_in(declared, &path))
                || equal(Some(field), None, self.get(&path))
        })
    }

    /// Whether live shows a connection as a base has it, in all that can be read.
    pub(crate) fn shows(&self, type_name: &str, base: &Base, keys: Keys<'_>) -> bool {
        let Some(own_type) = catalog::find(type_name) else { return false };
        self.entry.type_name == type_name
            && base.iter().all(|(path, older)| {
                let field = field_at(own_type, path);
                let shown = self.get(path);
                let is_hidden = field.is_some_and(|field| {
                    field.is_secret() || (field.is_file() && !shows_file(shown))
                });
                let not_looked_at = older.print.is_none() && holds_env(&older.declared);
                let field = (field, field.map(Field::defaults));
                is_hidden || not_looked_at || matches_base(field, path, older, shown, keys)
            })
    }
}
