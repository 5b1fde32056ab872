//! Which renames are due, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use super::Situation;
use super::same::is_the_same;
use crate::live::LiveConnection;
use crate::name::ConnectionName;

/// What `renamedFrom` asks for at the moment.
#[derive(Debug, Default)]
pub(super) struct Renames {
    /// New and old name, a chain from its free end.
    pub(super) due: Vec<(ConnectionName, ConnectionName)>,
    /// New names whose rename cannot be made, with the old name and why.
    pub(super) refused: BTreeMap<ConnectionName, (ConnectionName, String)>,
    /// Old names that are ours and that git does not declare, by which the rename is inert since
    /// the new name is ours too: it was not made, so the old name is not deleted either.
    pub(super) inert: BTreeMap<ConnectionName, ConnectionName>,
}

/// Finds the renames that are due. A rename acts if the old name is live and the new one is
/// not; a name that an earlier rename frees counts as not live.
pub(super) fn arrange(situation: &Situation<'_>) -> Renames {
    let Situation { desired, .. } = situation;
    let mut open: Vec<(&ConnectionName, &ConnectionName)> = desired
        .values()
        .filter_map(|d| Some((&d.name, d.options.renamed_from.as_ref()?)))
        .filter(|(new, old)| {
            situation.shown(old).is_some() && !situation.was_renamed_before(new, old)
        })
        .collect();
    let mut renames = Renames::default();
    let mut freed = BTreeSet::new();
    loop {
        let before = open.len();
        open.retain(|(new, old)| {
            let acts = situation.shown(new).is_none() || freed.contains(*new);
            if acts {
                freed.insert((*old).clone());
                renames.due.push(((*new).clone(), (*old).clone()));
            }
            !acts
        });
        if open.len() == before {
            break;
        }
    }
    for (new, old) in open {
        let is_declared = desired.get(old);
        // The end of a chain: its old name is declared as what another connection is to become.
        let moves_on = is_declared
            .and_then(|document| document.options.renamed_from.as_ref())
            .is_some_and(|older| situation.is_to_be_renamed(older));
        if situation.context.record.inventory.contains_key(new) {
            if situation.is_to_be_renamed(old) {
                renames.inert.insert(old.clone(), new.clone());
            }
        } else if is_declared.is_none() || moves_on {
            let reason = format!("cannot be renamed from `{old}`: both names are live");
            renames.refused.insert(new.clone(), (old.clone(), reason));
        }
    }
    renames
}

impl Situation<'_> {
    /// What is live under a name, also if only its own answer shows it.
    fn shown(&self, name: &ConnectionName) -> Option<&LiveConnection> {
        self.live.connections.get(name).or_else(|| self.singles.get(name))
    }

    /// Whether what is live under the name is ours.
    fn is_ours(&self, name: &ConnectionName) -> bool {
        let owned = self.context.record.inventory.get(name);
        owned.zip(self.shown(name)).is_some_and(|(owned, live)| is_the_same(owned, live))
    }

    /// Whether a connection of ours has a name that git has for no connection of its own any more.
    fn is_to_be_renamed(&self, name: &ConnectionName) -> bool {
        !self.desired.contains_key(name) && self.is_ours(name)
    }

    /// Whether the new name is known as a connection that is another one than what has the old
    /// name now: somebody made that after the rename.
    fn was_renamed_before(&self, new: &ConnectionName, old: &ConnectionName) -> bool {
        let known = self.context.record.inventory.get(new).and_then(|owned| owned.id.as_ref());
        let shown = self.shown(old).and_then(|live| live.id.as_ref());
        let is_another = known.zip(shown).is_some_and(|(known, shown)| known != shown);
        is_another && !self.is_to_be_renamed(old)
    }
}
