//! Renames come first: they free the names that later steps need.

use super::change::{RENAME, TAKEN_OVER, change, written_fields};
use super::{Planner, State};
use crate::desired::DesiredConnection;
use crate::inventory::Owned;
use crate::name::ConnectionName;
use crate::plan::compare::compare;
use crate::plan::{Action, Change};

impl<'a> Planner<'a> {
    pub(super) fn renames(&mut self) {
        let refused = std::mem::take(&mut self.renames.refused);
        for (new, (old, reason)) in refused {
            if let Some(desired) = self.situation.desired.get(&new)
                && self.admits(desired.connection_type.name, &new)
            {
                self.protect(&old, desired);
                let advice = format!(
                    "take `renamedFrom` out of `{new}`, or delete one of the two in the console"
                );
                self.block(desired, reason, Some(advice));
            }
            self.locked.insert(old, new);
        }
        for (new, old) in std::mem::take(&mut self.renames.due) {
            let Some(desired) = self.situation.desired.get(&new) else { continue };
            let live = self.situation.live;
            if self.situation.invalid.contains_key(&new) {
                self.locked.insert(old, new);
                continue;
            }
            let waits_for = (live.connections.contains_key(&new) && !self.freed.contains(&new))
                || self.locked.contains_key(&new);
            let admitted = self.admits(desired.connection_type.name, &new);
            if admitted {
                self.protect(&old, desired);
            }
            let planned = if desired.options.suspend || !admitted {
                if admitted {
                    self.state(desired, State::Suspended, None);
                }
                false
            } else if waits_for {
                let reason = format!("waits for the name `{new}`, which is not free");
                self.block(desired, reason, None);
                false
            } else if self.is_suspended(&old) {
                let reason = format!("waits until `{old}` is no longer suspended");
                self.block(desired, reason, None);
                false
            } else if self.situation.invalid.contains_key(&old) {
                let reason = format!("waits for the document of `{old}`, which is not valid");
                self.block(desired, reason, None);
                false
            } else {
                self.rename(desired, &old)
            };
            if planned {
                self.freed.insert(old);
            } else {
                self.locked.insert(old, new);
            }
        }
    }

    /// Protects the old name of a rename whose document says so: until it is done, taking that
    /// document out is no consent either.
    fn protect(&mut self, old: &ConnectionName, desired: &DesiredConnection) {
        let is_it = |owned: &Owned| owned.type_name == desired.connection_type.name;
        let owned = self.record.inventory.get(old);
        if desired.options.protect && owned.is_some_and(|owned| is_it(owned) && !owned.protect) {
            self.edit_owned(old, |owned| owned.protect = true);
        }
    }

    /// Whether git says to leave the connection of that name alone.
    fn is_suspended(&self, name: &ConnectionName) -> bool {
        self.situation.desired.get(name).is_some_and(|desired| desired.options.suspend)
    }

    /// Plans one rename; whether it will be made.
    pub(super) fn rename(&mut self, desired: &'a DesiredConnection, old: &ConnectionName) -> bool {
        let Some(view) = self.view(old) else { return false };
        if let Some(reason) = self.cannot_be_written(desired) {
            self.block(desired, reason, None);
            return false;
        }
        if view.entry.type_name != desired.connection_type.name {
            let reason = format!(
                "cannot be renamed from `{}`: that is of type {}",
                view.entry.name, view.entry.type_name
            );
            let advice = "rename it in one commit, and change its type in a later one";
            self.block(desired, reason, Some(advice.to_owned()));
            return false;
        }
        if self.came_to_nothing(desired, RENAME) {
            let reason = format!("not converging: the server keeps the name `{}`", view.entry.name);
            self.block(desired, reason, None);
            return false;
        }
        let owned = self.owned(old, view.entry);
        let base = owned.as_ref().map(|o| o.base.fields());
        let comparison = compare(desired, &view, base.as_ref(), &self.situation.context);
        if owned.is_none() && !self.may_take_over(desired, &comparison) {
            return false;
        }
        self.learn(desired, &comparison);
        let fields = written_fields(&comparison);
        self.push(Change {
            action: Action::Rename,
            previous_name: Some(view.entry.name.clone()),
            reason: owned.is_none().then(|| TAKEN_OVER.to_owned()),
            fields,
            ..change(desired)
        });
        self.state(desired, State::Pending, None);
        true
    }
}
