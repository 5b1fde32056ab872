//! Which renames are due, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Desired;
use crate::inventory::Record;
use crate::live::Live;
use crate::name::ConnectionName;

/// What `renamedFrom` asks for at the moment.
#[derive(Debug, Default)]
pub(super) struct Renames {
    /// New and old name, a chain from its free end.
    pub(super) due: Vec<(ConnectionName, ConnectionName)>,
    /// New names whose rename cannot be made, with the old name and why.
    pub(super) refused: BTreeMap<ConnectionName, (ConnectionName, String)>,
}

/// Finds the renames that are due. A rename acts if the old name is live and the new one is
/// not; a name that an earlier rename frees counts as not live.
pub(super) fn arrange(desired: &Desired, live: &Live, record: &Record) -> Renames {
    let is_live = |name: &ConnectionName| live.connections.contains_key(name);
    let mut open: Vec<(&ConnectionName, &ConnectionName)> = desired
        .values()
        .filter_map(|d| Some((&d.name, d.options.renamed_from.as_ref()?)))
        .filter(|(_, old)| is_live(old))
        .collect();
    let mut renames = Renames::default();
    let mut freed = BTreeSet::new();
    loop {
        let before = open.len();
        open.retain(|(new, old)| {
            let acts = !is_live(new) || freed.contains(*new);
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
        let is_done = record.inventory.contains_key(new) || desired.contains_key(old);
        if !is_done {
            let reason = format!("cannot be renamed from `{old}`: both names are live");
            renames.refused.insert(new.clone(), (old.clone(), reason));
        }
    }
    renames
}
